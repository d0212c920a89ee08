//! Writes to the store: what is to be written, in order, and what is under way. One write is under way at a time.
//!
//! Nothing leaves its queue before the store has confirmed it. After a failure, a conflict or a time-out the end of the
//! entries and of the journal is read back, and compared with what was under way.

#[cfg(test)]
mod tests;

use crate::config::QueueLimits;
use crate::encoding::Bytes;
use crate::head::EntryHead;
use crate::id::{ArrivalId, CommandId, EntryId, PieceId, RecordSeq};
use crate::store::{Batch, NewEntry, READ_BACK, ReadBack, StoreCommand};
use relayline_core::time::Time;
use std::collections::VecDeque;

/// Number of pieces of a snapshot in one write.
const PIECES: usize = 4;

/// Entry that is to be stored.
#[derive(Clone, Debug)]
pub(crate) struct PendingEntry {
    pub(crate) arrival: ArrivalId,
    pub(crate) head: EntryHead,
    encoded: Bytes,
    pub(crate) body: Bytes,
}

impl PendingEntry {
    pub(crate) fn new(arrival: ArrivalId, head: EntryHead, body: Bytes) -> PendingEntry {
        PendingEntry { arrival, encoded: head.encode(), head, body }
    }

    fn weight(&self) -> usize {
        self.encoded.len() + self.body.len()
    }
}

/// State of the write that is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// None is under way.
    Idle,
    /// A batch is under way.
    Writing { command: CommandId, sent: Time, size: Size },
    /// Its outcome is unknown. The end is to be read back.
    Uncertain { since: Time, size: Size, retry_at: Time },
    /// The end is being read back.
    ReadingBack { command: CommandId, since: Time, size: Size, sent: Time },
}

/// Numbers of things in a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Size {
    entries: usize,
    pieces: usize,
    records: usize,
    removed_entries: usize,
    removed_pieces: usize,
    has_removed_records: bool,
}

/// Things that the store has confirmed.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    /// Entries stored: the own ones, and those of another leader.
    pub(crate) entries: Vec<(EntryId, StoredEntry)>,
    pub(crate) pieces: usize,
    pub(crate) removed_entries: Vec<EntryId>,
    /// True if the end was read because that was asked for.
    pub(crate) is_checked: bool,
}

/// Entry that is in the store.
#[derive(Debug)]
pub(crate) enum StoredEntry {
    Own(PendingEntry),
    /// Encoded head of an entry of another leader.
    Foreign(Bytes),
}

/// Result of reading back.
#[derive(Debug)]
pub(crate) enum Comparison {
    /// These things are in the store. The rest is written again.
    Confirmed(Confirmed),
    /// Another leader has written to the journal.
    OtherLeader,
    /// The store has lost what it had confirmed.
    Lost,
}

/// Queue of writes.
#[derive(Debug)]
pub(crate) struct Writer {
    phase: Phase,
    /// Last entry and last record that are confirmed.
    last_entry: EntryId,
    last_record: RecordSeq,
    entries: VecDeque<PendingEntry>,
    entry_bytes: usize,
    records: VecDeque<Bytes>,
    pieces: VecDeque<(PieceId, Bytes)>,
    /// Entries to remove, each with the record that must be written with it or before it.
    removed_entries: VecDeque<(RecordSeq, EntryId)>,
    removed_pieces: VecDeque<PieceId>,
    removed_records: Option<RecordSeq>,
    /// Time before which nothing is written, after a failure.
    write_after: Time,
    check: Check,
}

/// Read of the end that was asked for, although no outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Check {
    None,
    Due,
    /// The read that is under way was sent after it was asked for.
    Sent,
}

impl Writer {
    /// Creates a queue that continues at the end of a store.
    pub(crate) fn new(last_entry: EntryId, last_record: RecordSeq) -> Writer {
        Writer {
            phase: Phase::Idle,
            last_entry,
            last_record,
            entries: VecDeque::new(),
            entry_bytes: 0,
            records: VecDeque::new(),
            pieces: VecDeque::new(),
            removed_entries: VecDeque::new(),
            removed_pieces: VecDeque::new(),
            removed_records: None,
            write_after: Time::ZERO,
            check: Check::None,
        }
    }

    /// Reads the end of the journal before anything else is written: another leader may have written to it.
    pub(crate) fn check_end(&mut self) {
        self.check = Check::Due;
    }

    pub(crate) fn add_entry(&mut self, entry: PendingEntry) {
        self.entry_bytes += entry.weight();
        self.entries.push_back(entry);
    }

    /// Adds a record. Returns its place in the journal.
    pub(crate) fn add_record(&mut self, record: Bytes) -> RecordSeq {
        self.records.push_back(record);
        RecordSeq(self.last_record.0 + self.records.len() as u64)
    }

    pub(crate) fn add_piece(&mut self, id: PieceId, bytes: Bytes) {
        self.pieces.push_back((id, bytes));
    }

    /// Removes an entry once a record is written.
    pub(crate) fn remove_entry(&mut self, with: RecordSeq, entry: EntryId) {
        self.removed_entries.push_back((with, entry));
    }

    /// Removes the records up to one. It must be confirmed.
    pub(crate) fn remove_records(&mut self, upto: RecordSeq) {
        self.removed_records = Some(upto);
    }

    pub(crate) fn remove_pieces(&mut self, pieces: impl IntoIterator<Item = PieceId>) {
        self.removed_pieces.extend(pieces);
    }

    /// Returns the number and the bytes of the entries that are to be stored.
    pub(crate) fn pending_entries(&self) -> (usize, usize) {
        (self.entries.len(), self.entry_bytes)
    }

    /// Removes the entries that are to be stored, because they never will be.
    pub(crate) fn take_entries(&mut self) -> Vec<PendingEntry> {
        self.entry_bytes = 0;
        self.entries.drain(..).collect()
    }

    pub(crate) fn pending_records(&self) -> usize {
        self.records.len()
    }

    /// Returns true if nothing could be added to the next batch.
    pub(crate) fn has_full_batch(&self, limits: &QueueLimits) -> bool {
        self.entries.len() >= limits.entries_in_write()
            || self.records.len() >= limits.records_in_write()
            || self.entry_bytes >= limits.batch_bytes
    }

    pub(crate) fn last_record(&self) -> RecordSeq {
        self.last_record
    }

    pub(crate) fn last_entry(&self) -> EntryId {
        self.last_entry
    }

    /// Returns true if nothing is to be written or under way.
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Idle && self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.records.is_empty()
            && self.pieces.is_empty()
            && self.removed_entries.is_empty()
            && self.removed_pieces.is_empty()
            && self.removed_records.is_none()
    }

    /// Returns true if this command is awaited.
    pub(crate) fn awaits(&self, id: CommandId) -> bool {
        match &self.phase {
            Phase::Writing { command, .. } | Phase::ReadingBack { command, .. } => *command == id,
            Phase::Idle | Phase::Uncertain { .. } => false,
        }
    }

    /// Returns the time since which a command is without a confirmation.
    pub(crate) fn waits_since(&self) -> Option<Time> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Writing { sent, .. } => Some(*sent),
            Phase::Uncertain { since, .. } | Phase::ReadingBack { since, .. } => Some(*since),
        }
    }

    /// Returns the next command, if one can be sent now.
    pub(crate) fn next_command(
        &mut self,
        now: Time,
        limits: &QueueLimits,
        mut number: impl FnMut() -> CommandId,
    ) -> Option<(CommandId, StoreCommand)> {
        match self.phase {
            Phase::Idle if self.check == Check::Due => {
                Some(self.start_read_back(now, now, Size::default(), number()))
            }
            Phase::Idle if !self.is_empty() && now >= self.write_after => {
                let (size, batch) = self.batch(limits);
                let command = number();
                self.phase = Phase::Writing { command, sent: now, size };
                Some((command, StoreCommand::Write(Box::new(batch))))
            }
            Phase::Uncertain { since, size, retry_at } if now >= retry_at => {
                Some(self.start_read_back(now, since, size, number()))
            }
            Phase::Idle | Phase::Uncertain { .. } | Phase::Writing { .. } | Phase::ReadingBack { .. } => None,
        }
    }

    fn start_read_back(
        &mut self,
        now: Time,
        since: Time,
        size: Size,
        command: CommandId,
    ) -> (CommandId, StoreCommand) {
        if self.check == Check::Due {
            self.check = Check::Sent;
        }
        self.phase = Phase::ReadingBack { command, since, size, sent: now };
        let (after_entry, after_record) = (self.last_entry, self.last_record);
        (command, StoreCommand::ReadBack { after_entry, after_record })
    }

    fn batch(&self, limits: &QueueLimits) -> (Size, Batch) {
        let mut bytes = 0;
        let fits = |entry: &&PendingEntry| {
            let fits = bytes < limits.batch_bytes;
            bytes += entry.weight();
            fits
        };
        let entries = self.entries.iter().take(limits.entries_in_write()).take_while(fits);
        let new = |entry: &PendingEntry| NewEntry { head: entry.encoded.clone(), body: entry.body.clone() };
        let records: Vec<Bytes> = self.records.iter().take(limits.records_in_write()).cloned().collect();
        let upto = RecordSeq(self.last_record.0 + records.len() as u64);
        let removed = self.removed_entries.iter().take_while(|(with, _)| *with <= upto);
        let batch = Batch {
            after_entry: self.last_entry,
            after_record: self.last_record,
            entries: entries.map(new).collect(),
            pieces: self.pieces.iter().take(PIECES).cloned().collect(),
            records,
            removed_entries: removed.map(|(_, entry)| *entry).collect(),
            removed_records: self.removed_records,
            removed_pieces: self.removed_pieces.iter().copied().collect(),
        };
        let size = Size {
            entries: batch.entries.len(),
            pieces: batch.pieces.len(),
            records: batch.records.len(),
            removed_entries: batch.removed_entries.len(),
            removed_pieces: batch.removed_pieces.len(),
            has_removed_records: batch.removed_records.is_some(),
        };
        (size, batch)
    }

    /// Handles the confirmation of the batch that is under way.
    pub(crate) fn written(&mut self) -> Confirmed {
        let Phase::Writing { size, .. } = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return Confirmed::default();
        };
        let mut confirmed = Confirmed { pieces: size.pieces, ..Confirmed::default() };
        for _ in 0..size.entries {
            confirmed.entries.extend(self.take_entry());
        }
        self.take_records(size.records);
        self.pieces.drain(..size.pieces.min(self.pieces.len()));
        let removed = self.removed_entries.drain(..size.removed_entries.min(self.removed_entries.len()));
        confirmed.removed_entries = removed.map(|(_, entry)| entry).collect();
        self.removed_pieces.drain(..size.removed_pieces.min(self.removed_pieces.len()));
        if size.has_removed_records {
            self.removed_records = None;
        }
        confirmed
    }

    /// Moves the first pending entry to the end of the store.
    fn take_entry(&mut self) -> Option<(EntryId, StoredEntry)> {
        let entry = self.entries.pop_front()?;
        self.entry_bytes = self.entry_bytes.saturating_sub(entry.weight());
        self.last_entry = self.last_entry.next();
        Some((self.last_entry, StoredEntry::Own(entry)))
    }

    fn take_records(&mut self, number: usize) {
        let taken = self.records.drain(..number.min(self.records.len())).count();
        self.last_record = RecordSeq(self.last_record.0 + taken as u64);
    }

    /// Handles an answer that leaves the outcome of the batch unknown, or the lack of one.
    pub(crate) fn doubt(&mut self, now: Time, limits: &QueueLimits) {
        let later = now + limits.store_retry;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Writing { sent, size, .. } => Phase::Uncertain { since: sent, size, retry_at: now },
            Phase::ReadingBack { since, size, .. } => {
                if self.check == Check::Sent {
                    self.check = Check::Due;
                }
                Phase::Uncertain { since, size, retry_at: later }
            }
            other @ (Phase::Idle | Phase::Uncertain { .. }) => other,
        };
    }

    /// Compares the end of the store with the batch whose outcome is unknown.
    pub(crate) fn read_back(&mut self, now: Time, end: &ReadBack, limits: &QueueLimits) -> Comparison {
        let Phase::ReadingBack { size, .. } = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return Comparison::Confirmed(Confirmed::default());
        };
        if end.last_record < self.last_record || end.last_entry < self.last_entry {
            return Comparison::Lost;
        }
        // The journal first: after its loss the rest does not matter.
        let written = end.last_record.0 - self.last_record.0;
        let own = self.records.iter().take(size.records);
        let is_same = end.records.iter().zip(own).all(|((_, there), own)| there == own);
        if written > size.records as u64 || written != end.records.len() as u64 || !is_same {
            return Comparison::OtherLeader;
        }
        let mut confirmed = Confirmed::default();
        let mut own = size.entries;
        for (id, head) in &end.entries {
            // A number that is missing was an entry of another leader, which is done.
            let is_own = own > 0
                && self.last_entry.next() == *id
                && self.entries.front().is_some_and(|entry| entry.encoded == *head);
            if is_own {
                own -= 1;
                confirmed.entries.extend(self.take_entry());
            } else {
                self.last_entry = *id;
                confirmed.entries.push((*id, StoredEntry::Foreign(head.clone())));
            }
        }
        if end.entries.len() < READ_BACK {
            self.last_entry = self.last_entry.max(end.last_entry);
        }
        self.take_records(end.records.len());
        if self.check == Check::Sent {
            (self.check, confirmed.is_checked) = (Check::None, true);
        }
        let is_refused = size != Size::default();
        let has_progress = !is_refused || !end.records.is_empty() || !confirmed.entries.is_empty();
        // A store that has nothing new and refuses the batch is not asked at once again.
        self.write_after = if has_progress { now } else { now + limits.store_retry };
        Comparison::Confirmed(confirmed)
    }

    /// Returns the time at which something is to be done.
    pub(crate) fn deadline(&self, limits: &QueueLimits) -> Option<Time> {
        match &self.phase {
            Phase::Writing { sent, .. } | Phase::ReadingBack { sent, .. } => {
                Some(*sent + limits.store_timeout)
            }
            Phase::Uncertain { retry_at, .. } => Some(*retry_at),
            Phase::Idle if !self.is_empty() => Some(self.write_after),
            Phase::Idle => None,
        }
    }

    /// Returns true if the command that is under way was not answered in time.
    pub(crate) fn is_overdue(&self, now: Time, limits: &QueueLimits) -> bool {
        match &self.phase {
            Phase::Writing { sent, .. } | Phase::ReadingBack { sent, .. } => {
                now >= *sent + limits.store_timeout
            }
            Phase::Idle | Phase::Uncertain { .. } => false,
        }
    }
}
