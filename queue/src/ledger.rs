//! Durable state of the queue: a function of the entries, the snapshot and the journal, and of nothing else.
//!
//! The dispatcher applies each record when it issues it. A later leader applies the same records when it loads, and so
//! has the same state.

mod keys;
mod memory;
mod piece;
mod replay;
#[cfg(test)]
mod tests;

pub(crate) use keys::Block;
pub(crate) use piece::Piece;
pub use replay::LoadError;

use crate::config::QueueLimits;
use crate::hash::{Seeded, Table};
use crate::head::{EntryHead, MemoryItem};
use crate::id::{DedupeKey, EntryId, RecordSeq};
use crate::record::{Record, ReturnReason};
use keys::SettledKeys;
use memory::HostMemory;
use relayline_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Durable state of a queue.
#[derive(Clone, PartialEq, Debug)]
pub struct Ledger {
    pub(crate) epoch: u64,
    entries: BTreeMap<EntryId, LedgerEntry>,
    /// Bytes of the entries.
    bytes: u64,
    /// Entries whose state is not that of a new one. Only these are in a snapshot.
    changed: BTreeSet<EntryId>,
    dead: BTreeSet<EntryId>,
    /// Entries that are done, and whose removal the store has not confirmed.
    unremoved: BTreeSet<EntryId>,
    /// Sessions that get one entry at a time, because an agent crashed with several.
    cautious: BTreeSet<Arc<str>>,
    /// Entries in the queue by the key of their duplicates.
    keys: Table<DedupeKey, EntryId>,
    settled: SettledKeys,
    memory: HostMemory,
    /// Place of the last record that is applied.
    pub(crate) last_record: RecordSeq,
}

/// Entry of the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerEntry {
    /// Session of the entry.
    pub session: Arc<str>,
    /// Size of the body in bytes.
    pub size: u64,
    /// Number of hand-outs.
    pub attempts: u32,
    /// Number of hand-outs that failed since it was stored or last retried.
    pub charges: u32,
    /// State.
    pub state: EntryState,
    /// Worker whose agent has it; `None` if no worker's agent has it.
    pub worker: Option<Arc<str>>,
    /// Last error of an agent.
    pub error: Option<Box<str>>,
    key: Option<DedupeKey>,
    /// Key of the host memory that it carries. The value is in the memory, if no later entry has set another one.
    memory_key: Option<Box<str>>,
    /// Bytes that count towards the limits.
    weight: u64,
}

impl LedgerEntry {
    /// Returns true if nothing has happened to it since it was stored.
    fn is_new(&self) -> bool {
        self.attempts == 0 && self.charges == 0 && self.state == EntryState::Waiting
    }
}

/// State of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum EntryState {
    /// It waits for an agent.
    Waiting,
    /// An agent has it, or had it when the gateway ended.
    Out,
    /// It is a dead letter.
    Dead,
}

/// Place where a key of duplicates is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KnownKey {
    /// An entry in the queue.
    Entry(EntryId),
    /// An entry that is done.
    Settled,
}

impl Ledger {
    /// Creates the state of an empty queue. `seed` must be random in a process that takes events.
    pub(crate) fn new(limits: &QueueLimits, seed: &str) -> Ledger {
        Ledger {
            epoch: 0,
            entries: BTreeMap::new(),
            bytes: 0,
            changed: BTreeSet::new(),
            dead: BTreeSet::new(),
            unremoved: BTreeSet::new(),
            cautious: BTreeSet::new(),
            keys: Table::with_hasher(Seeded::new(seed)),
            settled: SettledKeys::new(limits.dedupe_for, limits.dedupe_keys, seed),
            memory: HostMemory::new(limits.memory_items, limits.memory_bytes),
            last_record: RecordSeq(0),
        }
    }

    /// Returns the entries in order of arrival.
    pub fn entries(&self) -> impl Iterator<Item = (EntryId, &LedgerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// Returns an entry.
    pub fn entry(&self, id: EntryId) -> Option<&LedgerEntry> {
        self.entries.get(&id)
    }

    /// Returns the number of entries, dead letters included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the bytes of the entries.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of dead letters.
    pub fn dead_letters(&self) -> usize {
        self.dead.len()
    }

    /// Returns the epoch of the last leader.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the number of keys of settled entries.
    pub fn settled_keys(&self) -> usize {
        self.settled.len()
    }

    /// Returns the keys and values of the host memory.
    pub fn memory(&self) -> impl Iterator<Item = (&str, &str)> {
        self.memory.iter()
    }

    /// Returns the value of a key of the host memory.
    pub fn memory_value(&self, key: &str) -> Option<&str> {
        self.memory.value(key)
    }

    /// Returns true if an entry with this key is in the queue, or was.
    pub fn knows(&self, key: DedupeKey) -> bool {
        self.known_key(key).is_some()
    }

    /// Returns the place where a key is known.
    pub(crate) fn known_key(&self, key: DedupeKey) -> Option<KnownKey> {
        let entry = self.keys.get(&key).copied().map(KnownKey::Entry);
        entry.or_else(|| self.settled.contains(key).then_some(KnownKey::Settled))
    }

    pub(crate) fn oldest_dead(&self) -> Option<EntryId> {
        self.dead.first().copied()
    }

    /// Returns the sessions that get one entry at a time.
    pub fn cautious_sessions(&self) -> impl Iterator<Item = &str> {
        self.cautious.iter().map(|session| &**session)
    }

    pub(crate) fn is_cautious(&self, session: &str) -> bool {
        self.cautious.contains(session)
    }

    /// Adds an entry that is in the store. Returns false if it is known to be done: its removal was not confirmed.
    pub(crate) fn add(&mut self, id: EntryId, head: EntryHead) -> bool {
        if self.unremoved.contains(&id) {
            return false;
        }
        let EntryHead { session, size, key, memory, .. } = head;
        let session: Arc<str> = session.into();
        let (attempts, charges, state, worker, error) = (0, 0, EntryState::Waiting, None, None);
        let memory_bytes = memory.as_ref().map_or(0, |item| item.key.len() + item.value.len());
        let weight = size.saturating_add((session.len() + memory_bytes) as u64);
        let memory_key = memory.as_ref().map(|item| item.key.clone());
        let entry =
            LedgerEntry { session, size, attempts, charges, state, worker, error, key, memory_key, weight };
        self.bytes = self.bytes.saturating_add(weight);
        if let Some(key) = key {
            self.keys.entry(key).or_insert(id);
        }
        if let Some(item) = memory {
            self.memory.set(item, id);
        }
        self.entries.insert(id, entry);
        true
    }

    /// Applies a record, and counts it. A record of an entry that is gone changes nothing but what it carries itself.
    pub(crate) fn apply(&mut self, now: Time, record: &Record) {
        self.last_record = self.last_record.next();
        match record {
            Record::Epoch { epoch, .. } => self.epoch = *epoch,
            Record::HandOut { entry, attempt } => self.handed_out(*entry, *attempt, None),
            Record::Leased { entry, attempt, worker } => self.handed_out(*entry, *attempt, Some(worker)),
            Record::Returned { entry, reason } => self.returned(*entry, *reason),
            Record::Charged { entry, error } => self.charge(*entry, EntryState::Waiting, error),
            Record::Dead { entry, error } => {
                self.charge(*entry, EntryState::Dead, error);
                if self.entries.contains_key(entry) {
                    self.dead.insert(*entry);
                }
            }
            Record::Cautious { session } => {
                self.cautious.insert((&**session).into());
            }
            Record::Settled { entry, key, memory, relaxes } => {
                if let Some(item) = memory {
                    self.memory.set(item.clone(), *entry);
                }
                if let Some(session) = relaxes {
                    self.cautious.remove(&**session);
                }
                self.remove(now, *entry, *key);
            }
            Record::Dropped { entry, key } => self.remove(now, *entry, *key),
            Record::Retried { entry } => {
                self.dead.remove(entry);
                self.change(*entry, |entry| {
                    entry.charges = 0;
                    entry.state = EntryState::Waiting;
                });
            }
            Record::Memory { key, value, after } => match value {
                Some(value) => self.memory.set(MemoryItem { key: key.clone(), value: value.clone() }, *after),
                None => self.memory.forget(key),
            },
            Record::Snapshot { .. } | Record::Released => {}
        }
    }

    fn change(&mut self, id: EntryId, change: impl FnOnce(&mut LedgerEntry)) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        change(entry);
        match entry.is_new() {
            true => self.changed.remove(&id),
            false => self.changed.insert(id),
        };
    }

    fn handed_out(&mut self, id: EntryId, attempt: u32, worker: Option<&str>) {
        self.change(id, |entry| {
            entry.attempts = attempt;
            entry.state = EntryState::Out;
            entry.worker = worker.map(Into::into);
        });
    }

    fn returned(&mut self, id: EntryId, reason: ReturnReason) {
        self.change(id, |entry| {
            entry.state = EntryState::Waiting;
            entry.worker = None;
            if reason == ReturnReason::Unseen {
                entry.attempts = entry.attempts.saturating_sub(1);
            }
        });
    }

    fn charge(&mut self, id: EntryId, state: EntryState, error: &str) {
        self.change(id, |entry| {
            entry.charges = entry.charges.saturating_add(1);
            entry.state = state;
            entry.worker = None;
            entry.error = Some(error.into());
        });
    }

    /// Removes an entry that is done, and remembers its key.
    fn remove(&mut self, now: Time, id: EntryId, key: Option<DedupeKey>) {
        self.changed.remove(&id);
        self.dead.remove(&id);
        self.unremoved.insert(id);
        if let Some(key) = key {
            if self.keys.get(&key) == Some(&id) {
                self.keys.remove(&key);
            }
            self.settled.insert(now, key);
        }
        if let Some(entry) = self.entries.remove(&id) {
            self.bytes = self.bytes.saturating_sub(entry.weight);
        }
    }

    /// Handles the confirmation that the store has removed an entry.
    pub(crate) fn removed(&mut self, id: EntryId) {
        self.unremoved.remove(&id);
    }

    /// Returns the record that settles an entry; `None` if there is no such entry.
    pub(crate) fn settlement(&self, id: EntryId) -> Option<Record> {
        let entry = self.entries.get(&id)?;
        let memory = entry.memory_key.as_deref().and_then(|key| self.memory.item_of(key, id));
        let relaxes = self.cautious.get(&entry.session).map(|session| (&**session).into());
        Some(Record::Settled { entry: id, key: entry.key, memory, relaxes })
    }

    /// Returns the record that drops an entry; `None` if there is no such entry.
    pub(crate) fn dropping(&self, id: EntryId) -> Option<Record> {
        let entry = self.entries.get(&id)?;
        Some(Record::Dropped { entry: id, key: entry.key })
    }

    /// Forgets the keys whose time is over.
    pub(crate) fn expire_keys(&mut self, now: Time) {
        self.settled.expire(now);
    }

    /// Returns the time at which the next keys expire.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.settled.next_expiry()
    }

    /// Returns the number of keys, and of items of host memory, that were forgotten before their time.
    pub(crate) fn forgotten(&self) -> (u64, u64) {
        (self.settled.forgotten(), self.memory.forgotten())
    }

    /// Forgets sessions that have no entry any more.
    fn tidy(&mut self) {
        if !self.cautious.is_empty() {
            let living: BTreeSet<&str> = self.entries.values().map(|entry| &*entry.session).collect();
            self.cautious.retain(|session| living.contains(&**session));
        }
    }
}
