//! Sessions: their entries, and the agents that they stay with.

use super::agents::AgentNo;
use crate::hash::{Seeded, Table};
use crate::id::EntryId;
use relayline_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Number of a session in this process. A later session may get that of one that was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct SessionNo(usize);

/// Entry that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    /// Size of the body.
    pub(crate) size: u64,
    /// Time before which it is not handed out again.
    pub(crate) retry_at: Time,
}

/// Session that has entries, or an agent.
#[derive(Debug)]
pub(super) struct Session {
    name: Arc<str>,
    pub(super) agent: Option<AgentNo>,
    pub(super) waiting: BTreeMap<EntryId, Waiting>,
    pub(super) out: BTreeSet<EntryId>,
    /// True if it gets one entry at a time.
    pub(super) is_cautious: bool,
    /// True if it gets nothing for now.
    pub(super) is_held: bool,
    /// Turn, while it is ready.
    pub(super) turn: Option<u64>,
    /// Time at which its first entry can be handed out again.
    pub(super) timer: Option<Time>,
    /// Place among the idle sessions.
    idle: Option<u64>,
}

impl Session {
    /// Returns whether the first waiting entry can be handed out, or else the time at which its wait ends.
    ///
    /// Only the first one counts: the later ones wait for it.
    pub(super) fn readiness(&self, now: Time, window: usize) -> (bool, Option<Time>) {
        let first = self.waiting.first_key_value().filter(|_| !self.is_held);
        let Some((_, first)) = first else { return (false, None) };
        if first.retry_at > now {
            return (false, Some(first.retry_at));
        }
        let window = if self.is_cautious { 1 } else { window };
        (self.out.len() < window, None)
    }

    /// Takes the first entry that waits. It is out from now on.
    pub(super) fn take_next(&mut self) -> Option<(EntryId, u64)> {
        let (entry, waiting) = self.waiting.pop_first()?;
        self.out.insert(entry);
        Some((entry, waiting.size))
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.out.is_empty()
    }
}

/// All sessions. Those without entries are forgotten, except the last ones that have an agent.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Sessions by number; `None` for a number that is free.
    slots: Vec<Option<Session>>,
    free: Vec<SessionNo>,
    by_name: Table<Arc<str>, SessionNo>,
    /// Idle sessions with an agent, the one that is idle for longest first.
    idle: BTreeMap<u64, SessionNo>,
    next_idle: u64,
    forgotten: u64,
    max_idle: usize,
}

impl Sessions {
    /// Creates an empty table. `seed` must be random: peers choose the names of sessions.
    pub(super) fn new(max_idle: usize, seed: &str) -> Self {
        let by_name = Table::with_hasher(Seeded::new(seed));
        let (slots, free, idle) = (Vec::new(), Vec::new(), BTreeMap::new());
        Sessions { slots, free, by_name, idle, next_idle: 0, forgotten: 0, max_idle }
    }

    pub(super) fn get(&self, session: SessionNo) -> Option<&Session> {
        self.slots.get(session.0)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, session: SessionNo) -> Option<&mut Session> {
        self.slots.get_mut(session.0)?.as_mut()
    }

    pub(super) fn find(&self, name: &str) -> Option<SessionNo> {
        self.by_name.get(name).copied()
    }

    pub(super) fn find_or_add(&mut self, name: &Arc<str>) -> SessionNo {
        if let Some(known) = self.find(name) {
            return known;
        }
        let session = Session {
            name: Arc::clone(name),
            agent: None,
            waiting: BTreeMap::new(),
            out: BTreeSet::new(),
            is_cautious: false,
            is_held: false,
            turn: None,
            timer: None,
            idle: None,
        };
        let number = self.free.pop().unwrap_or(SessionNo(self.slots.len()));
        match self.slots.get_mut(number.0) {
            Some(slot) => *slot = Some(session),
            None => self.slots.push(Some(session)),
        }
        self.by_name.insert(Arc::clone(name), number);
        number
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Notes whether a session is idle. Returns the sessions that are forgotten for it, and their agents.
    pub(super) fn note_idle(&mut self, session: SessionNo) -> Vec<(SessionNo, AgentNo)> {
        let Some(known) = self.slots.get_mut(session.0).and_then(Option::as_mut) else { return Vec::new() };
        match (known.is_idle(), known.idle, known.agent) {
            (true, _, None) => {
                self.forget(session);
            }
            (true, None, Some(_)) => {
                known.idle = Some(self.next_idle);
                self.idle.insert(self.next_idle, session);
                self.next_idle += 1;
            }
            (false, Some(place), _) => {
                known.idle = None;
                self.idle.remove(&place);
            }
            (true, Some(_), Some(_)) | (false, None, _) => {}
        }
        let mut left = Vec::new();
        while self.idle.len() > self.max_idle {
            let Some((_, oldest)) = self.idle.pop_first() else { break };
            self.forgotten += 1;
            left.extend(self.forget(oldest).map(|agent| (oldest, agent)));
        }
        left
    }

    /// Forgets a session. Returns its agent.
    fn forget(&mut self, session: SessionNo) -> Option<AgentNo> {
        let known = self.slots.get_mut(session.0)?.take()?;
        self.by_name.remove(&known.name);
        self.free.push(session);
        if let Some(place) = known.idle {
            self.idle.remove(&place);
        }
        known.agent
    }
}
