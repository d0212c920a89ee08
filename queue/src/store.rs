//! Store of the queue: its commands and answers, the same for every engine.
//!
//! A store holds **entries** (a head and a body each), the **journal** (records in order) and **pieces** of snapshots. A
//! command has an id, and its answer comes later with the same id. The dispatcher has one [`Write`](StoreCommand::Write)
//! under way at a time.
//!
//! # Contract
//!
//! - A write is a compare-and-set: it is applied only if the last entry and the last record are those that the batch
//!   names. Otherwise the answer is [`Conflict`](StoreAnswer::Conflict).
//! - The parts of a batch are applied in the order of the fields of [`Batch`]. An engine that has no transactions may
//!   apply a part of them, in this order, before it fails. It need not compare the last record of a batch that
//!   has no records, and the last entry of one that has neither entries nor records.
//! - [`Written`](StoreAnswer::Written) means that everything is durable. Every other answer, and the lack of one, means
//!   that the outcome is unknown: the dispatcher reads back before it writes again.
//! - Numbers of entries and places of records have no gaps, and are never used again, also after the last one is removed.
//! - Removing something that is not there, and writing a piece again, succeed.
//! - Once the first record of a new leader is written, nothing of an earlier leader is, even if it is on its way.
//! - [`ReadBack`](StoreCommand::ReadBack) returns no more than [`READ_BACK`] entries and records.
//!
//! The functions of `contract` (feature `testing`) check all this.

#[cfg(any(test, feature = "testing"))]
pub mod contract;
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
pub(crate) mod events;
pub mod memory;
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
pub(crate) mod request_text;

use crate::encoding::Bytes;
use crate::id::{CommandId, EntryId, PieceId, RecordSeq, RequestId};
use crate::output::{OperatorRequest, RequestRefused};
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;

/// Maximum number of entries, and of records, that are read back at once.
pub const READ_BACK: usize = 1024;

/// Engine that stores the queue.
pub trait Store {
    /// Accepts a command. Its answer follows from [`poll_answer`](Self::poll_answer).
    fn submit(&mut self, id: CommandId, command: StoreCommand);

    /// Returns the next answer, or arranges that the task is woken for it.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CommandId, StoreAnswer)>;

    /// Returns the next request that an operator has left in the store. A task that waits for an answer is woken for
    /// requests, too.
    fn take_request(&mut self) -> Option<(RequestId, OperatorRequest)> {
        None
    }

    /// Stores the result of such a request for its sender.
    fn finish_request(&mut self, _id: RequestId, _result: Result<(), RequestRefused>) {}

    /// Returns whether this process may lead. A task that waits for an answer is woken when this changes, but not at the
    /// end of a [`Leadership::For`].
    fn leadership(&self) -> Leadership {
        Leadership::Exclusive
    }

    /// Asks the store whether another process leads. Until the answer the leadership is
    /// [uncertain](Leadership::Uncertain).
    fn check_leadership(&mut self) {}
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn submit(&mut self, id: CommandId, command: StoreCommand) {
        (**self).submit(id, command);
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CommandId, StoreAnswer)> {
        (**self).poll_answer(cx)
    }

    fn take_request(&mut self) -> Option<(RequestId, OperatorRequest)> {
        (**self).take_request()
    }

    fn finish_request(&mut self, id: RequestId, result: Result<(), RequestRefused>) {
        (**self).finish_request(id, result);
    }

    fn leadership(&self) -> Leadership {
        (**self).leadership()
    }

    fn check_leadership(&mut self) {
        (**self).check_leadership();
    }
}

/// Right of this process to lead, as far as its store knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Leadership {
    /// No other process can lead.
    Exclusive,
    /// No other process leads for this time.
    For(Duration),
    /// Another process may lead.
    Uncertain,
    /// Another process leads.
    Lost,
}

/// Command for the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreCommand {
    /// Return everything but the bodies.
    Load,
    /// Write a batch.
    Write(Box<Batch>),
    /// Return the heads and the records after these.
    ReadBack {
        /// Last entry that is known.
        after_entry: EntryId,
        /// Last record that is known.
        after_record: RecordSeq,
    },
    /// Return the body of an entry.
    ReadBody(EntryId),
}

/// Things to write at once.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// Last entry that must be in the store before the batch.
    pub after_entry: EntryId,
    /// Last record that must be in the journal before the batch.
    pub after_record: RecordSeq,
    /// New entries. Their numbers follow `after_entry`.
    pub entries: Vec<NewEntry>,
    /// Pieces of a snapshot to write.
    pub pieces: Vec<(PieceId, Bytes)>,
    /// New records. Their places follow `after_record`.
    pub records: Vec<Bytes>,
    /// Entries to remove.
    pub removed_entries: Vec<EntryId>,
    /// Last of the records to remove; `None` for none.
    pub removed_records: Option<RecordSeq>,
    /// Pieces to remove.
    pub removed_pieces: Vec<PieceId>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("after_entry", &self.after_entry)
            .field("after_record", &self.after_record)
            .field("entries", &self.entries)
            .field("pieces", &self.pieces.len())
            .field("records", &self.records.len())
            .field("removed_entries", &self.removed_entries)
            .field("removed_records", &self.removed_records)
            .field("removed_pieces", &self.removed_pieces)
            .finish()
    }
}

impl Batch {
    /// Returns true if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.pieces.is_empty()
            && self.records.is_empty()
            && self.removed_entries.is_empty()
            && self.removed_records.is_none()
            && self.removed_pieces.is_empty()
    }
}

/// Entry to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEntry {
    /// Encoded [`EntryHead`](crate::head::EntryHead).
    pub head: Bytes,
    /// Body, which only the host interprets.
    pub body: Bytes,
}

/// Answer of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreAnswer {
    /// The content of the store.
    Loaded(Box<Loaded>),
    /// The batch is durable.
    Written,
    /// The last entry or the last record is another.
    Conflict,
    /// The end of the entries and of the journal.
    ReadBack(Box<ReadBack>),
    /// The body of the entry; `None` if there is no such entry.
    Body(Option<Bytes>),
    /// The command failed. A part of it may have been applied.
    Failed(StoreFault),
}

/// Content of a store without the bodies.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Numbers and encoded heads of the entries, in order.
    pub entries: Vec<(EntryId, Bytes)>,
    /// Last entry that was ever stored.
    pub last_entry: EntryId,
    /// The journal, in order.
    pub records: Vec<(RecordSeq, Bytes)>,
    /// Last record that was ever written.
    pub last_record: RecordSeq,
    /// Pieces of snapshots, in order of their ids.
    pub pieces: Vec<(PieceId, Bytes)>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("entries", &self.entries.len())
            .field("last_entry", &self.last_entry)
            .field("records", &self.records.len())
            .field("last_record", &self.last_record)
            .field("pieces", &self.pieces.len())
            .finish()
    }
}

/// End of the entries and of the journal.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ReadBack {
    /// Numbers and encoded heads of the entries, in order.
    pub entries: Vec<(EntryId, Bytes)>,
    /// Last entry that was ever stored.
    pub last_entry: EntryId,
    /// Records, in order.
    pub records: Vec<(RecordSeq, Bytes)>,
    /// Last record that was ever written.
    pub last_record: RecordSeq,
}

impl fmt::Debug for ReadBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBack")
            .field("entries", &self.entries.len())
            .field("last_entry", &self.last_entry)
            .field("records", &self.records.len())
            .field("last_record", &self.last_record)
            .finish()
    }
}

/// Failure of the store.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{text}")]
pub struct StoreFault {
    /// Kind of the failure.
    pub kind: FaultKind,
    /// Description for people: what failed, where, and what to do.
    pub text: String,
}

/// Kind of a failure of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// The disk is full.
    Full,
    /// The store is read-only.
    ReadOnly,
    /// The store is damaged.
    Damaged,
    /// The store cannot be reached, or the operating system reports an error.
    Unavailable,
}
