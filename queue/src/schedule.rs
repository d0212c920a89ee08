//! Schedule: the next entry and its agent, by sessions, turns and load. Nothing here is durable.
//!
//! A session whose next entry can be handed out is *ready*, and has a turn: sessions are served in the order of their
//! turns, and get a new turn after each hand-out. A session that is bound to an agent is in that agent's line; the others
//! share one, from which the least loaded agent takes.

mod agents;
mod sessions;
#[cfg(test)]
mod tests;

use crate::config::QueueLimits;
use crate::id::{AgentId, EntryId};
pub(crate) use agents::AgentNo;
use agents::Agents;
use relayline_core::time::Time;
pub(crate) use sessions::Waiting;
use sessions::{Session, SessionNo, Sessions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Entries that wait, entries that are out, sessions and agents.
#[derive(Debug)]
pub(crate) struct Schedule {
    sessions: Sessions,
    agents: Agents,
    /// Sessions of entries that wait or are out.
    places: BTreeMap<EntryId, SessionNo>,
    out: BTreeMap<EntryId, Out>,
    /// Ready sessions without an agent, by turn.
    unbound: BTreeMap<u64, SessionNo>,
    next_turn: u64,
    /// Sessions that wait for a time.
    timers: BTreeSet<(Time, SessionNo)>,
    window: usize,
}

/// Entry that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Out {
    agent: AgentNo,
    size: u64,
}

/// Entry that was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chosen {
    pub(crate) entry: EntryId,
    pub(crate) agent: AgentNo,
}

impl Schedule {
    /// Creates an empty schedule. `seed` must be random.
    pub(crate) fn new(limits: &QueueLimits, seed: &str) -> Schedule {
        Schedule {
            sessions: Sessions::new(limits.sticky_sessions, seed),
            agents: Agents::new(limits.agent_window, limits.agent_window_bytes as u64),
            places: BTreeMap::new(),
            out: BTreeMap::new(),
            unbound: BTreeMap::new(),
            next_turn: 0,
            timers: BTreeSet::new(),
            window: limits.window(),
        }
    }

    /// Adds an agent. Returns false if it is known.
    pub(crate) fn add_agent(&mut self, id: &AgentId) -> bool {
        self.agents.add(id)
    }

    /// Removes an agent; its sessions are free for others. Returns the entries that were out, by session. Each must be put
    /// back or finished.
    pub(crate) fn remove_agent(&mut self, now: Time, id: &AgentId) -> Option<(AgentNo, Vec<Vec<EntryId>>)> {
        let (number, sessions) = self.agents.remove(id)?;
        let mut left = Vec::new();
        for session in sessions {
            let Some(known) = self.sessions.get_mut(session) else { continue };
            known.agent = None;
            // Its turn was in the line of the agent.
            known.turn = None;
            if !known.out.is_empty() {
                left.push(known.out.iter().copied().collect());
            }
            self.refresh(now, session);
        }
        Some((number, left))
    }

    /// Adds an entry that waits.
    pub(crate) fn add(&mut self, now: Time, entry: EntryId, session: &Arc<str>, waiting: Waiting) {
        let session = self.sessions.find_or_add(session);
        self.places.insert(entry, session);
        if let Some(known) = self.sessions.get_mut(session) {
            known.waiting.insert(entry, waiting);
        }
        self.refresh(now, session);
    }

    /// Sets the caution of a session: a cautious one gets one entry at a time.
    pub(crate) fn set_cautious(&mut self, now: Time, session: &str, is_cautious: bool) {
        self.change(now, session, |known| known.is_cautious = is_cautious);
    }

    /// Holds a session back, or lets it go on. Nothing of it is chosen meanwhile.
    pub(crate) fn set_held(&mut self, now: Time, session: &str, is_held: bool) {
        self.change(now, session, |known| known.is_held = is_held);
    }

    fn change(&mut self, now: Time, session: &str, change: impl FnOnce(&mut Session)) {
        let Some(session) = self.sessions.find(session) else { return };
        if let Some(known) = self.sessions.get_mut(session) {
            change(known);
        }
        self.refresh(now, session);
    }

    /// Chooses the next entry and its agent. The entry counts as out from now on.
    pub(crate) fn choose(&mut self, now: Time) -> Option<Chosen> {
        let own = self.agents.next_turn();
        let shared = self.unbound.first_key_value().zip(self.agents.least_loaded());
        let (session, agent) = match (own, shared) {
            (Some((turn, agent)), shared) if shared.is_none_or(|((first, _), _)| turn < *first) => {
                (self.agents.session_at(agent, turn)?, agent)
            }
            (_, shared) => shared.map(|((_, session), agent)| (*session, agent))?,
        };
        let (entry, size) = self.sessions.get_mut(session)?.take_next()?;
        self.out.insert(entry, Out { agent, size });
        self.bind(session, agent);
        self.agents.add_out(agent, size);
        self.end_turn(session);
        self.refresh(now, session);
        Some(Chosen { entry, agent })
    }

    /// Ends a hand-out, and puts the entry back. It waits until a time.
    pub(crate) fn put_back(&mut self, now: Time, entry: EntryId, retry_at: Time) {
        let Some((session, size)) = self.end(entry) else { return };
        if let Some(known) = self.sessions.get_mut(session) {
            known.waiting.insert(entry, Waiting { size, retry_at });
        }
        self.refresh(now, session);
    }

    /// Removes an entry that waits or is out.
    pub(crate) fn finish(&mut self, now: Time, entry: EntryId) {
        let session = match self.end(entry) {
            Some((session, _)) => session,
            None => {
                let Some(session) = self.places.get(&entry).copied() else { return };
                if let Some(known) = self.sessions.get_mut(session) {
                    known.waiting.remove(&entry);
                }
                session
            }
        };
        self.places.remove(&entry);
        self.refresh(now, session);
    }

    /// Sets the time before which an entry that waits is not handed out.
    pub(crate) fn set_retry(&mut self, now: Time, entry: EntryId, retry_at: Time) {
        let Some(session) = self.places.get(&entry).copied() else { return };
        let waiting = self.sessions.get_mut(session).and_then(|known| known.waiting.get_mut(&entry));
        if let Some(waiting) = waiting {
            waiting.retry_at = retry_at;
        }
        self.refresh(now, session);
    }

    /// Gives an agent an entry that waits, and its session unless another agent has that. Returns the agent's number.
    pub(crate) fn adopt(&mut self, now: Time, entry: EntryId, agent: &AgentId) -> Option<AgentNo> {
        let agent = self.agents.find(agent)?;
        let session = self.places.get(&entry).copied()?;
        let known = self.sessions.get_mut(session)?;
        let size = known.waiting.remove(&entry)?.size;
        known.out.insert(entry);
        let is_free = known.agent.is_none();
        self.out.insert(entry, Out { agent, size });
        self.agents.add_out(agent, size);
        if is_free {
            self.bind(session, agent);
        }
        self.refresh(now, session);
        Some(agent)
    }

    /// Returns the agents of a worker.
    pub(crate) fn agents_of(&self, worker: &str) -> Vec<AgentId> {
        self.agents.ids().filter(|id| id.worker() == Some(worker)).cloned().collect()
    }

    /// Returns the agents of all workers.
    pub(crate) fn remote_agents(&self) -> Vec<AgentId> {
        self.agents.ids().filter(|id| id.worker().is_some()).cloned().collect()
    }

    /// Returns the entries of the same session that are out and came later.
    pub(crate) fn out_after(&self, entry: EntryId) -> Vec<EntryId> {
        let session = self.places.get(&entry).and_then(|session| self.sessions.get(*session));
        session.map(|known| known.out.range(entry.next()..).copied().collect()).unwrap_or_default()
    }

    /// Returns the agent that has a session.
    pub(crate) fn agent_of(&self, session: &str) -> Option<&AgentId> {
        let session = self.sessions.get(self.sessions.find(session)?)?;
        self.agents.id(session.agent?)
    }

    pub(crate) fn agent_id(&self, agent: AgentNo) -> Option<&AgentId> {
        self.agents.id(agent)
    }

    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    pub(crate) fn out_entries(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn sessions_forgotten(&self) -> u64 {
        self.sessions.forgotten()
    }

    /// Returns the time at which the next session becomes ready.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Makes the sessions ready whose time has come.
    pub(crate) fn handle_tick(&mut self, now: Time) {
        while let Some((at, session)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.refresh(now, session);
        }
    }

    /// Removes an entry from those that are out. It is neither waiting nor out then.
    fn end(&mut self, entry: EntryId) -> Option<(SessionNo, u64)> {
        let Out { agent, size } = self.out.remove(&entry)?;
        let session = self.places.get(&entry).copied()?;
        if let Some(known) = self.sessions.get_mut(session) {
            known.out.remove(&entry);
        }
        self.agents.remove_out(agent, size);
        Some((session, size))
    }

    fn bind(&mut self, session: SessionNo, agent: AgentNo) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        if known.agent == Some(agent) {
            return;
        }
        if let Some(turn) = known.turn.take() {
            self.unbound.remove(&turn);
        }
        known.agent = Some(agent);
        self.agents.bind(agent, session);
    }

    /// Takes a session out of its line.
    fn end_turn(&mut self, session: SessionNo) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        let Some(turn) = known.turn.take() else { return };
        match known.agent {
            Some(agent) => self.agents.leave_line(agent, turn),
            None => {
                self.unbound.remove(&turn);
            }
        }
    }

    /// Puts a session into its line or takes it out, after a change of the session.
    fn refresh(&mut self, now: Time, session: SessionNo) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        let (is_ready, timer) = known.readiness(now, self.window);
        if known.timer != timer {
            if let Some(old) = std::mem::replace(&mut known.timer, timer) {
                self.timers.remove(&(old, session));
            }
            if let Some(new) = timer {
                self.timers.insert((new, session));
            }
        }
        match (is_ready, known.turn) {
            (true, None) => {
                let turn = self.next_turn;
                self.next_turn += 1;
                known.turn = Some(turn);
                match known.agent {
                    Some(agent) => self.agents.join_line(agent, turn, session),
                    None => {
                        self.unbound.insert(turn, session);
                    }
                }
            }
            (false, Some(_)) => self.end_turn(session),
            (true, Some(_)) | (false, None) => {}
        }
        for (forgotten, agent) in self.sessions.note_idle(session) {
            self.agents.unbind(agent, forgotten);
        }
    }
}
