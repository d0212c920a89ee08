//! A gateway of the simulation: the dispatcher, its agents, and what the model knows of both.

use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::dispatcher::Dispatcher;
use relayline_queue::id::{AgentId, ArrivalId, EntryId, HandOutId, RequestId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Process of a gateway, from its start to its end.
pub(crate) struct Gateway {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) is_leading: bool,
    pub(crate) is_paused: bool,
    pub(crate) is_ending: bool,
    /// Epoch, once it leads.
    pub(crate) epoch: u64,
    /// Last entry in the store when it began to lead.
    pub(crate) known: EntryId,
    /// Events by their arrivals without an answer.
    pub(crate) arrivals: BTreeMap<ArrivalId, u64>,
    pub(crate) agents: BTreeSet<AgentId>,
    pub(crate) next_agent: u64,
    /// Entries that agents have and have not settled.
    pub(crate) held: BTreeMap<EntryId, Held>,
    /// Agent that each session stays with.
    pub(crate) bound: BTreeMap<String, AgentId>,
    /// Sessions that get one entry at a time.
    pub(crate) cautious: BTreeSet<String>,
    /// Entries that are done, dead or dropped, perhaps not durably.
    pub(crate) over: BTreeSet<EntryId>,
    /// Charges of entries, perhaps not durable.
    pub(crate) charges: BTreeMap<EntryId, u32>,
    /// Times before which entries are not handed out again.
    pub(crate) not_before: BTreeMap<EntryId, Time>,
    /// Settlements without an answer, and whether they must succeed, in order.
    pub(crate) settlements: Vec<(HandOutId, Expected)>,
    pub(crate) requests: BTreeSet<RequestId>,
}

/// Entry that an agent has.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) agent: AgentId,
    pub(crate) id: HandOutId,
    pub(crate) session: String,
    pub(crate) size: u64,
}

/// Answer that a settlement must get from a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    Done,
    Refused,
    Late,
}

impl Gateway {
    pub(crate) fn new(limits: &QueueLimits, leader: &str, now: Time) -> Gateway {
        Gateway {
            dispatcher: Dispatcher::new(limits.clone(), leader, now),
            is_leading: false,
            is_paused: false,
            is_ending: false,
            epoch: 0,
            known: EntryId(0),
            arrivals: BTreeMap::new(),
            agents: BTreeSet::new(),
            next_agent: 0,
            held: BTreeMap::new(),
            bound: BTreeMap::new(),
            cautious: BTreeSet::new(),
            over: BTreeSet::new(),
            charges: BTreeMap::new(),
            not_before: BTreeMap::new(),
            settlements: Vec::new(),
            requests: BTreeSet::new(),
        }
    }

    /// Returns the entries of a session that agents have.
    pub(crate) fn held_of<'g>(&'g self, session: &'g str) -> impl Iterator<Item = &'g Held> {
        self.held.values().filter(move |held| held.session == session)
    }

    /// Charges an entry: it waits, or is dead.
    pub(crate) fn charge(&mut self, limits: &QueueLimits, now: Time, entry: EntryId) {
        let charges = self.charges.entry(entry).or_default();
        *charges += 1;
        if *charges as usize >= limits.max_attempts {
            self.over.insert(entry);
        } else {
            let wait = back_off(limits, *charges);
            self.not_before.insert(entry, now + wait);
        }
    }
}

/// Returns the time to wait after a number of failures: the first time doubled, and five minutes at most.
pub(crate) fn back_off(limits: &QueueLimits, charges: u32) -> Duration {
    (1..charges).fold(limits.redeliver_after, |wait, _| wait * 2).min(Duration::from_secs(300))
}
