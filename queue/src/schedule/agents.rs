//! Agents: their load, and the lines of their ready sessions.

use super::sessions::SessionNo;
use crate::id::AgentId;
use std::collections::{BTreeMap, BTreeSet};

/// Number of an agent in this process. An agent that ends and registers again gets a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct AgentNo(u64);

#[derive(Debug)]
struct Agent {
    id: AgentId,
    /// Number of entries that are out.
    out: usize,
    /// Bytes of these entries.
    bytes: u64,
    sessions: BTreeSet<SessionNo>,
    /// Ready sessions by turn.
    line: BTreeMap<u64, SessionNo>,
    /// Place in `Agents::lines`.
    listed_turn: Option<u64>,
    /// Place in `Agents::loads`.
    listed_load: Option<(usize, usize)>,
}

/// All agents.
#[derive(Debug)]
pub(super) struct Agents {
    by_number: BTreeMap<AgentNo, Agent>,
    by_id: BTreeMap<AgentId, AgentNo>,
    next: u64,
    /// First turns of the lines of agents that have room.
    lines: BTreeSet<(u64, AgentNo)>,
    /// Loads of agents that have room: entries that are out, then sessions.
    loads: BTreeSet<(usize, usize, AgentNo)>,
    max_out: usize,
    max_bytes: u64,
}

impl Agents {
    pub(super) fn new(max_out: usize, max_bytes: u64) -> Self {
        let (by_number, by_id) = (BTreeMap::new(), BTreeMap::new());
        let (lines, loads) = (BTreeSet::new(), BTreeSet::new());
        Agents { by_number, by_id, next: 0, lines, loads, max_out, max_bytes }
    }

    pub(super) fn add(&mut self, id: &AgentId) -> bool {
        if self.by_id.contains_key(id) {
            return false;
        }
        let number = AgentNo(self.next);
        self.next += 1;
        self.by_id.insert(id.clone(), number);
        let agent = Agent {
            id: id.clone(),
            out: 0,
            bytes: 0,
            sessions: BTreeSet::new(),
            line: BTreeMap::new(),
            listed_turn: None,
            listed_load: None,
        };
        self.by_number.insert(number, agent);
        self.relist(number);
        true
    }

    /// Removes an agent. Returns its sessions.
    pub(super) fn remove(&mut self, id: &AgentId) -> Option<(AgentNo, BTreeSet<SessionNo>)> {
        let number = self.by_id.remove(id)?;
        let agent = self.by_number.remove(&number)?;
        if let Some(turn) = agent.listed_turn {
            self.lines.remove(&(turn, number));
        }
        if let Some((out, sessions)) = agent.listed_load {
            self.loads.remove(&(out, sessions, number));
        }
        Some((number, agent.sessions))
    }

    pub(super) fn id(&self, agent: AgentNo) -> Option<&AgentId> {
        self.by_number.get(&agent).map(|agent| &agent.id)
    }

    pub(super) fn find(&self, id: &AgentId) -> Option<AgentNo> {
        self.by_id.get(id).copied()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &AgentId> {
        self.by_id.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Returns the first turn of all lines, and its agent.
    pub(super) fn next_turn(&self) -> Option<(u64, AgentNo)> {
        self.lines.first().copied()
    }

    /// Returns the session that has a turn in an agent's line.
    pub(super) fn session_at(&self, agent: AgentNo, turn: u64) -> Option<SessionNo> {
        self.by_number.get(&agent)?.line.get(&turn).copied()
    }

    /// Returns the agent with room that has the fewest entries, and of these the fewest sessions.
    pub(super) fn least_loaded(&self) -> Option<AgentNo> {
        self.loads.first().map(|(_, _, agent)| *agent)
    }

    pub(super) fn bind(&mut self, agent: AgentNo, session: SessionNo) {
        self.change(agent, |agent| {
            agent.sessions.insert(session);
        });
    }

    pub(super) fn unbind(&mut self, agent: AgentNo, session: SessionNo) {
        self.change(agent, |agent| {
            agent.sessions.remove(&session);
        });
    }

    pub(super) fn add_out(&mut self, agent: AgentNo, size: u64) {
        self.change(agent, |agent| {
            agent.out += 1;
            agent.bytes = agent.bytes.saturating_add(size);
        });
    }

    /// Notes the end of a hand-out. The agent may be gone.
    pub(super) fn remove_out(&mut self, agent: AgentNo, size: u64) {
        self.change(agent, |agent| {
            agent.out = agent.out.saturating_sub(1);
            agent.bytes = agent.bytes.saturating_sub(size);
        });
    }

    pub(super) fn join_line(&mut self, agent: AgentNo, turn: u64, session: SessionNo) {
        self.change(agent, |agent| {
            agent.line.insert(turn, session);
        });
    }

    pub(super) fn leave_line(&mut self, agent: AgentNo, turn: u64) {
        self.change(agent, |agent| {
            agent.line.remove(&turn);
        });
    }

    fn change(&mut self, number: AgentNo, change: impl FnOnce(&mut Agent)) {
        if let Some(agent) = self.by_number.get_mut(&number) {
            change(agent);
            self.relist(number);
        }
    }

    /// Lists an agent by its first turn and its load, if it has room.
    fn relist(&mut self, number: AgentNo) {
        let Some(agent) = self.by_number.get_mut(&number) else { return };
        let has_room = agent.out < self.max_out && agent.bytes < self.max_bytes;
        let turn = agent.line.keys().next().copied().filter(|_| has_room);
        if agent.listed_turn != turn {
            if let Some(old) = std::mem::replace(&mut agent.listed_turn, turn) {
                self.lines.remove(&(old, number));
            }
            self.lines.extend(turn.map(|turn| (turn, number)));
        }
        let load = has_room.then_some((agent.out, agent.sessions.len()));
        if agent.listed_load != load {
            if let Some((out, sessions)) = std::mem::replace(&mut agent.listed_load, load) {
                self.loads.remove(&(out, sessions, number));
            }
            self.loads.extend(load.map(|(out, sessions)| (out, sessions, number)));
        }
    }
}
