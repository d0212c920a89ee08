//! Store in memory, for tests: it can fail, be full, lose answers, and be crashed in the middle of a batch.

use super::{Batch, FaultKind, Loaded, READ_BACK, ReadBack, Store, StoreAnswer, StoreCommand, StoreFault};
use crate::encoding::Bytes;
use crate::id::{CommandId, EntryId, PieceId, RecordSeq};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Durable content of a store in memory, without a queue of commands: each command is carried out at once.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    entries: BTreeMap<EntryId, (Bytes, Bytes)>,
    last_entry: EntryId,
    records: BTreeMap<RecordSeq, Bytes>,
    last_record: RecordSeq,
    pieces: BTreeMap<PieceId, Bytes>,
    /// Applies the parts of a batch one by one, like an engine without transactions.
    pub has_no_transactions: bool,
    /// Failure of each write, if any.
    pub write_fault: Option<FaultKind>,
    /// Failure of each read, if any.
    pub read_fault: Option<FaultKind>,
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk")
            .field("entries", &self.entries.len())
            .field("last_entry", &self.last_entry)
            .field("records", &self.records.len())
            .field("last_record", &self.last_record)
            .field("pieces", &self.pieces.len())
            .finish_non_exhaustive()
    }
}

/// Step of a batch that is applied as a whole.
enum Step<'b> {
    Entry(&'b Bytes, &'b Bytes),
    Piece(PieceId, &'b Bytes),
    Record(&'b Bytes),
    RemoveEntry(EntryId),
    RemoveRecords(RecordSeq),
    RemovePiece(PieceId),
}

/// Returns the steps of a batch in order.
fn steps(batch: &Batch) -> impl Iterator<Item = Step<'_>> {
    let entries = batch.entries.iter().map(|entry| Step::Entry(&entry.head, &entry.body));
    let pieces = batch.pieces.iter().map(|(id, bytes)| Step::Piece(*id, bytes));
    let records = batch.records.iter().map(Step::Record);
    let removed_entries = batch.removed_entries.iter().map(|id| Step::RemoveEntry(*id));
    let removed_records = batch.removed_records.iter().map(|upto| Step::RemoveRecords(*upto));
    let removed_pieces = batch.removed_pieces.iter().map(|id| Step::RemovePiece(*id));
    entries.chain(pieces).chain(records).chain(removed_entries).chain(removed_records).chain(removed_pieces)
}

impl MemoryDisk {
    /// Carries out a command.
    pub fn execute(&mut self, command: &StoreCommand) -> StoreAnswer {
        match command {
            StoreCommand::Load => self.reading(|disk| StoreAnswer::Loaded(Box::new(disk.load()))),
            StoreCommand::Write(batch) => self.write(batch, usize::MAX),
            StoreCommand::ReadBack { after_entry, after_record } => self
                .reading(|disk| StoreAnswer::ReadBack(Box::new(disk.read_back(*after_entry, *after_record)))),
            StoreCommand::ReadBody(id) => {
                self.reading(|disk| StoreAnswer::Body(disk.entries.get(id).map(|(_, body)| body.clone())))
            }
        }
    }

    fn reading(&self, read: impl FnOnce(&Self) -> StoreAnswer) -> StoreAnswer {
        match self.read_fault {
            Some(kind) => failed(kind),
            None => read(self),
        }
    }

    /// Writes the first `most` steps of a batch and then crashes. A store with transactions writes nothing unless `most`
    /// covers the whole batch.
    pub fn write(&mut self, batch: &Batch, most: usize) -> StoreAnswer {
        if let Some(kind) = self.write_fault {
            return failed(kind);
        }
        let crashed = || failed(FaultKind::Unavailable);
        let conflicts_at_records = self.last_record != batch.after_record;
        let conflicts_at_entries = self.last_entry != batch.after_entry
            && !(self.has_no_transactions && batch.entries.is_empty() && batch.records.is_empty());
        if conflicts_at_entries || (conflicts_at_records && !self.has_no_transactions) {
            return StoreAnswer::Conflict;
        }
        if !self.has_no_transactions && steps(batch).count() > most {
            return crashed();
        }
        for (done, step) in steps(batch).enumerate() {
            if done >= most {
                return crashed();
            }
            match step {
                Step::Entry(head, body) => {
                    self.last_entry = self.last_entry.next();
                    self.entries.insert(self.last_entry, (head.clone(), body.clone()));
                }
                Step::Piece(id, bytes) => {
                    self.pieces.insert(id, bytes.clone());
                }
                Step::Record(_) if conflicts_at_records => return StoreAnswer::Conflict,
                Step::Record(bytes) => {
                    self.last_record = self.last_record.next();
                    self.records.insert(self.last_record, bytes.clone());
                }
                Step::RemoveEntry(id) => {
                    self.entries.remove(&id);
                }
                Step::RemoveRecords(upto) => self.records = self.records.split_off(&upto.next()),
                Step::RemovePiece(id) => {
                    self.pieces.remove(&id);
                }
            }
        }
        StoreAnswer::Written
    }

    /// Returns the content without the bodies.
    pub fn load(&self) -> Loaded {
        let ReadBack { entries, last_entry, records, last_record } =
            self.end_of(EntryId(0), RecordSeq(0), usize::MAX);
        let pieces = self.pieces.iter().map(|(id, bytes)| (*id, bytes.clone())).collect();
        Loaded { entries, last_entry, records, last_record, pieces }
    }

    /// Returns the body of an entry, whatever the faults.
    pub fn body(&self, id: EntryId) -> Option<&Bytes> {
        self.entries.get(&id).map(|(_, body)| body)
    }

    /// Returns the end of the store, whatever the faults.
    pub fn read_back(&self, after_entry: EntryId, after_record: RecordSeq) -> ReadBack {
        self.end_of(after_entry, after_record, READ_BACK)
    }

    fn end_of(&self, after_entry: EntryId, after_record: RecordSeq, most: usize) -> ReadBack {
        let entries = self.entries.range(after_entry.next()..).take(most);
        let records = self.records.range(after_record.next()..).take(most);
        ReadBack {
            entries: entries.map(|(id, (head, _))| (*id, head.clone())).collect(),
            last_entry: self.last_entry,
            records: records.map(|(seq, bytes)| (*seq, bytes.clone())).collect(),
            last_record: self.last_record,
        }
    }

    /// Returns the number of steps of a batch, for [`write`](Self::write).
    pub fn steps(batch: &Batch) -> usize {
        steps(batch).count()
    }
}

fn failed(kind: FaultKind) -> StoreAnswer {
    let text = match kind {
        FaultKind::Full => "the store in memory is full",
        FaultKind::ReadOnly => "the store in memory is read-only",
        FaultKind::Damaged => "the store in memory is damaged",
        FaultKind::Unavailable => "the store in memory is down",
    };
    StoreAnswer::Failed(StoreFault { kind, text: text.to_owned() })
}

/// Store in memory. Clones share one content, as two gateways share one store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<MemoryDisk>>,
    answers: VecDeque<(CommandId, StoreAnswer)>,
    waker: Option<Waker>,
    /// Number of the next answers to lose. Their commands are carried out.
    pub lost_answers: usize,
}

impl MemoryStore {
    /// Returns the content, to set its faults or to look at it.
    pub fn disk(&self) -> MutexGuard<'_, MemoryDisk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the same content anew, as after a crash: nothing that was not answered is pending any more.
    #[must_use]
    pub fn reopen(&self) -> MemoryStore {
        MemoryStore { disk: Arc::clone(&self.disk), ..MemoryStore::default() }
    }
}

impl Store for MemoryStore {
    fn submit(&mut self, id: CommandId, command: StoreCommand) {
        let answer = self.disk().execute(&command);
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return;
        }
        self.answers.push_back((id, answer));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CommandId, StoreAnswer)> {
        match self.answers.pop_front() {
            Some(answer) => Poll::Ready(answer),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    #[test]
    fn it_fulfils_the_contract() {
        for has_no_transactions in [false, true] {
            contract::check(&mut || {
                let store = MemoryStore::default();
                store.disk().has_no_transactions = has_no_transactions;
                store
            });
        }
    }

    #[test]
    fn it_fulfils_the_contract_for_two_processes() {
        contract::check_two(&mut || {
            let store = MemoryStore::default();
            (store.reopen(), store)
        });
    }

    #[test]
    fn a_crash_keeps_a_part_only_without_transactions() {
        let batch = contract::batch(0, 0, &["a", "b"], &["r"]);
        for (has_no_transactions, kept) in [(false, 0), (true, 1)] {
            let mut disk = MemoryDisk { has_no_transactions, ..MemoryDisk::default() };
            assert!(matches!(disk.write(&batch, 1), StoreAnswer::Failed(_)));
            assert_eq!((disk.load().entries.len(), disk.load().records.len()), (kept, 0));
            assert_eq!(MemoryDisk::steps(&batch), 3);
        }
    }

    #[test]
    fn a_lost_answer_is_carried_out() {
        let mut store = MemoryStore { lost_answers: 1, ..MemoryStore::default() };
        store.submit(CommandId(1), StoreCommand::Write(Box::new(contract::batch(0, 0, &["a"], &[]))));
        assert_eq!(
            contract::answer(&mut store.reopen(), StoreCommand::ReadBody(EntryId(1))),
            contract::body("a")
        );
        assert!(store.poll_answer(&mut Context::from_waker(Waker::noop())).is_pending());
    }
}
