//! Arrivals: duplicates, and entries on their way into the store.

use super::Dispatcher;
use crate::encoding::Bytes;
use crate::head::{EntryHead, MemoryItem};
use crate::id::{ArrivalId, DedupeKey, EntryId};
use crate::ledger::KnownKey;
use crate::output::{NotStored, Output, Stored};
use crate::schedule::Waiting;
use crate::writer::{PendingEntry, StoredEntry};
use relayline_core::time::Time;
use std::fmt;
use std::sync::Arc;

/// Maximum number of duplicates that wait for one arrival.
const MAX_DUPLICATES: usize = 64;

/// Event that arrived and is to be stored. `Debug` prints no texts of people.
#[derive(Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Number, which the answer names.
    pub id: ArrivalId,
    /// Session of the event.
    pub session: Box<str>,
    /// Key of its duplicates; `None` if it cannot have any.
    pub key: Option<DedupeKey>,
    /// Body of the entry, which only the host interprets.
    pub body: Bytes,
    /// Host memory that the entry carries.
    pub memory: Option<MemoryItem>,
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arrival { id, key, body, .. } = self;
        let mut arrival = f.debug_struct("Arrival");
        arrival.field("id", id).field("key", key).field("body", &body.len()).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Returns true if another arrival can be passed in. Otherwise leave it in the inbox of the relay.
    pub fn takes_arrivals(&self) -> bool {
        let (pending, bytes) = self.writer.pending_entries();
        self.is_leading()
            && !self.is_stopping
            && !self.health.is_failing()
            && !self.health.is_full()
            && pending < self.limits.pending_entries
            && bytes < self.limits.pending_bytes
    }

    /// Handles an event that arrived. [`Output::Arrived`] answers it, once it is durable.
    pub fn handle_arrival(&mut self, now: Time, arrival: Arrival) {
        self.now = self.now.max(now);
        if let Some(result) = self.arrive(arrival) {
            self.outputs.push_back(result);
        }
        self.advance(now);
    }

    /// Returns the answer, unless it follows later.
    fn arrive(&mut self, arrival: Arrival) -> Option<Output> {
        let answer = |result| Some(Output::Arrived { arrival: arrival.id, result });
        let is_known = arrival.key.and_then(|key| self.ledger.known_key(key));
        if self.is_leading() && matches!(is_known, Some(KnownKey::Entry(_) | KnownKey::Settled)) {
            self.stats.duplicates += 1;
            return answer(Ok(Stored::Duplicate));
        }
        if !self.takes_arrivals() {
            self.stats.arrivals_refused += 1;
            let is_over = !self.is_leading() || self.is_stopping;
            return answer(Err(if is_over { NotStored::NotLeading } else { NotStored::Unavailable }));
        }
        if let Some(key) = arrival.key {
            if let Some(duplicates) = self.pending_keys.get_mut(&key) {
                if duplicates.len() >= MAX_DUPLICATES {
                    self.stats.arrivals_refused += 1;
                    return answer(Err(NotStored::Unavailable));
                }
                duplicates.push(arrival.id);
                return None;
            }
            self.pending_keys.insert(key, Vec::new());
        }
        let Arrival { id, session, key, body, memory } = arrival;
        let head = EntryHead { epoch: self.ledger.epoch(), session, size: body.len() as u64, key, memory };
        self.writer.add_entry(PendingEntry::new(id, head, body));
        self.check_full();
        None
    }

    /// Handles an entry that is in the store. It can be handed out from now on.
    pub(super) fn entry_stored(&mut self, id: EntryId, entry: StoredEntry) {
        match entry {
            StoredEntry::Own(PendingEntry { arrival, head, body, .. }) => {
                self.stats.stored += 1;
                let key = head.key;
                self.ledger.add(id, head);
                self.bodies.keep(id, body);
                self.outputs.push_back(Output::Arrived { arrival, result: Ok(Stored::New(id)) });
                for arrival in key.and_then(|key| self.pending_keys.remove(&key)).into_iter().flatten() {
                    self.stats.duplicates += 1;
                    self.outputs.push_back(Output::Arrived { arrival, result: Ok(Stored::Duplicate) });
                }
            }
            StoredEntry::Foreign(head) => match EntryHead::decode(id, &head) {
                Ok(head) => {
                    self.stats.adopted += 1;
                    self.ledger.add(id, head);
                }
                Err(error) => {
                    self.fail(crate::ledger::LoadError::from(error));
                    return;
                }
            },
        }
        self.add_waiting(id, Time::ZERO);
    }

    /// Lets an entry of the ledger wait for an agent.
    pub(super) fn add_waiting(&mut self, id: EntryId, retry_at: Time) {
        let Some(entry) = self.ledger.entry(id) else { return };
        let (session, waiting) = (Arc::clone(&entry.session), Waiting { size: entry.size, retry_at });
        self.schedule.add(self.now, id, &session, waiting);
        if self.ledger.is_cautious(&session) {
            self.schedule.set_cautious(self.now, &session, true);
        }
    }
}
