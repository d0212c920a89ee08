//! Bodies: those in memory, and those that are being read from the store.

use super::Dispatcher;
use crate::config::QueueLimits;
use crate::encoding::Bytes;
use crate::id::{CommandId, EntryId};
use crate::store::StoreCommand;
use relayline_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// Bodies of waiting entries, bounded in bytes. When there is no room, a new body is not kept: the older ones are needed
/// earlier.
#[derive(Debug)]
pub(super) struct BodyCache {
    bodies: BTreeMap<EntryId, Bytes>,
    bytes: usize,
    max_bytes: usize,
}

impl BodyCache {
    pub(super) fn new(max_bytes: usize) -> Self {
        BodyCache { bodies: BTreeMap::new(), bytes: 0, max_bytes }
    }

    pub(super) fn keep(&mut self, entry: EntryId, body: Bytes) {
        if self.bytes + body.len() <= self.max_bytes && !self.bodies.contains_key(&entry) {
            self.bytes += body.len();
            self.bodies.insert(entry, body);
        }
    }

    pub(super) fn take(&mut self, entry: EntryId) -> Option<Bytes> {
        let body = self.bodies.remove(&entry)?;
        self.bytes -= body.len();
        Some(body)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bodies.clear();
        self.bytes = 0;
    }
}

/// Reads of bodies that are under way or to be repeated.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Entry and time of each command, in the order of the commands.
    under_way: BTreeMap<CommandId, (EntryId, Time)>,
    retries: BTreeSet<(Time, EntryId)>,
}

impl Reads {
    /// Ends a read. Returns its entry.
    pub(super) fn end(&mut self, id: CommandId) -> Option<EntryId> {
        self.under_way.remove(&id).map(|(entry, _)| entry)
    }

    pub(super) fn retry(&mut self, at: Time, entry: EntryId) {
        self.retries.insert((at, entry));
    }

    pub(super) fn deadline(&self, limits: &QueueLimits) -> Option<Time> {
        let overdue = self.under_way.values().next().map(|(_, sent)| *sent + limits.store_timeout);
        let retry = self.retries.first().map(|(at, _)| *at);
        overdue.into_iter().chain(retry).min()
    }

    /// Ends the first read that was not answered in time. Returns its entry.
    pub(super) fn take_overdue(&mut self, now: Time, limits: &QueueLimits) -> Option<EntryId> {
        let first = self.under_way.first_entry()?;
        let (_, sent) = first.get();
        (now >= *sent + limits.store_timeout).then(|| first.remove().0)
    }

    fn take_retry(&mut self, now: Time) -> Option<EntryId> {
        let (at, entry) = self.retries.first().copied()?;
        (at <= now).then(|| {
            self.retries.pop_first();
            entry
        })
    }
}

impl Dispatcher {
    /// Reads a body from the store.
    pub(super) fn read_body(&mut self, entry: EntryId) {
        let id = self.command(StoreCommand::ReadBody(entry));
        self.reads.under_way.insert(id, (entry, self.now));
    }

    /// Repeats the reads that failed, where the body is still wanted.
    pub(super) fn retry_reads(&mut self) {
        while let Some(entry) = self.reads.take_retry(self.now) {
            if self.hand_outs.wants_body(entry) {
                self.read_body(entry);
            }
        }
    }
}
