//! Commands of the store on the streams.
//!
//! The place of a record is its sequence in the stream of the journal. The number of an entry is its sequence less the
//! number of barriers before it.
//!
//! A leader's first record makes it the leader, and then it writes a barrier into the stream of entries. Entries of an
//! earlier leader that are still on their way expect the sequence before the barrier, and are not stored. Only the leader
//! with the later first record replaces the barrier of another one. A store writes entries with the count of its own
//! barrier alone, so an earlier leader cannot adopt a later barrier.

mod load;
mod write;

use super::error::Failure;
use super::link::{Link, Range, Stored};
use super::messages::{Barrier, Content, EntryMessage, Group, part, part_count};
use super::names::Names;
use crate::encoding::Bytes;
use crate::id::{EntryId, PieceId, RecordSeq};
use crate::store::{FaultKind, StoreAnswer, StoreCommand, StoreFault};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Kind of parts that belong to an entry or to a record.
const LARGE: &str = "part";
/// Kind of parts that belong to a snapshot.
const PIECE: &str = "piece";

/// Store of one queue on the servers.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) link: Link,
    pub(super) names: Names,
    state: RefCell<State>,
}

/// Content of the streams as far as this store knows it.
#[derive(Debug, Default)]
struct State {
    /// `None` before the first reading.
    end: Option<End>,
    claim: Claim,
    /// Parts of records that are too large for a message.
    large_records: BTreeMap<RecordSeq, Group>,
}

/// End of the stream of entries.
#[derive(Clone, Debug, Default)]
struct End {
    last_sequence: u64,
    barrier: Barrier,
    entries: BTreeMap<EntryId, Place>,
}

impl End {
    fn last_entry(&self) -> EntryId {
        EntryId(self.last_sequence.saturating_sub(self.barrier.count))
    }
}

/// Place of an entry.
#[derive(Clone, Debug)]
struct Place {
    sequence: u64,
    head: Option<Group>,
    body: Option<Group>,
}

/// Leadership of this store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Claim {
    /// It has written no record.
    #[default]
    None,
    /// Its first record is sent, and it is not known whether it was stored.
    Tried { place: RecordSeq, record: Bytes },
    /// Its first record is stored, and its barrier may not be.
    Recorded { place: RecordSeq },
    /// Its barrier is stored.
    Leads,
    /// Another leader has written a barrier since.
    Lost,
}

impl Engine {
    pub(super) fn new(link: Link, names: Names) -> Engine {
        Engine { link, names, state: RefCell::default() }
    }

    /// Carries out a command.
    pub(super) async fn execute(&self, command: StoreCommand) -> StoreAnswer {
        let answer = match command {
            StoreCommand::Load => {
                self.load().await.map(|loaded| StoreAnswer::Loaded(Box::new(loaded))).map_err(Failure::from)
            }
            StoreCommand::Write(batch) => self.write(*batch).await.map(|()| StoreAnswer::Written),
            StoreCommand::ReadBack { after_entry, after_record } => {
                let end = self.read_back(after_entry, after_record).await;
                end.map(|end| StoreAnswer::ReadBack(Box::new(end)))
            }
            StoreCommand::ReadBody(id) => self.body(id).await.map(StoreAnswer::Body).map_err(Failure::from),
        };
        match answer {
            Ok(answer) => answer,
            Err(Failure::Conflict) => StoreAnswer::Conflict,
            Err(Failure::Fault(fault)) => StoreAnswer::Failed(fault),
        }
    }

    /// Returns true if another leader has written a barrier after that of this store. The servers are asked.
    pub(super) async fn is_superseded(&self) -> Result<bool, StoreFault> {
        let barrier = self.barrier().await?.map(|(_, barrier)| barrier).unwrap_or_default();
        let mut state = self.state.borrow_mut();
        let is_superseded = match &state.claim {
            Claim::Leads => barrier.owner != self.link.token,
            Claim::Tried { place, .. } => barrier.record >= place.0,
            Claim::Recorded { place } => barrier.record > place.0,
            Claim::None => false,
            Claim::Lost => true,
        };
        if is_superseded {
            state.claim = Claim::Lost;
        }
        Ok(is_superseded)
    }

    /// Returns the last barrier and its sequence.
    async fn barrier(&self) -> Result<Option<(u64, Barrier)>, StoreFault> {
        let (stream, subject) = (self.names.entry_stream(), self.names.barriers());
        let Some(message) = self.link.last_of(&stream, &subject).await? else { return Ok(None) };
        match Barrier::decode(&message.payload) {
            Some(barrier) => Ok(Some((message.sequence, barrier))),
            None => Err(damaged(&stream, message.sequence)),
        }
    }

    /// Reads the bytes of something that may be in parts.
    async fn bytes(&self, content: Content, place: &str) -> Result<Bytes, StoreFault> {
        let group = match content {
            Content::Here(bytes) => return Ok(bytes),
            Content::Parts(group) => group,
        };
        let stream = self.names.keyed_stream();
        let mut bytes = Vec::new();
        for number in 0..group.count {
            let subject = self.names.part(LARGE, &group.name, Some(number));
            let Some(part) = self.link.last_of(&stream, &subject).await? else {
                let text = format!("part {number} of {place} is missing: restore the queue from a backup");
                return Err(StoreFault { kind: FaultKind::Damaged, text });
            };
            bytes.extend_from_slice(&part.payload);
        }
        Ok(bytes.into())
    }

    /// Writes bytes in parts that fit into messages.
    async fn put_parts(&self, kind: &str, name: &str, bytes: &[u8]) -> Result<Group, Failure> {
        let size = self.room();
        let count = bytes.len().div_ceil(size).max(1);
        let parts = (0..count).map(|number| {
            let chunk = bytes.chunks(size).nth(number).unwrap_or_default();
            (self.names.part(kind, name, Some(number)), part(chunk, count))
        });
        self.link.put(parts).await?;
        Ok(Group { name: name.to_owned(), count })
    }

    /// Returns the number of bytes that fit into a message besides its headers.
    fn room(&self) -> usize {
        let most = self.link.context.client().max_payload();
        most.saturating_sub(super::messages::HEADERS).max(1)
    }

    /// Removes the parts of a group.
    async fn remove_group(&self, kind: &str, name: &str) -> Result<(), StoreFault> {
        let subject = self.names.part(kind, name, None);
        self.link.remove_subject(&self.names.keyed_stream(), &subject).await
    }

    fn end<T>(&self, read: impl FnOnce(&mut End) -> T) -> T {
        read(self.state.borrow_mut().end.get_or_insert_default())
    }
}

/// Returns the group of a snapshot's piece.
fn piece_group(id: PieceId) -> String {
    format!("{}.{}", id.epoch, id.number)
}

fn damaged(stream: &str, sequence: u64) -> StoreFault {
    let text = format!(
        "message {sequence} of the stream {stream} is damaged, or a newer version wrote it: use that version, or restore \
         the stream from a backup"
    );
    StoreFault { kind: FaultKind::Damaged, text }
}
