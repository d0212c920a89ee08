//! Reading: the whole content, its end, and bodies.

use super::{
    Bytes, Claim, Content, End, Engine, EntryId, EntryMessage, Failure, FaultKind, LARGE, PIECE, PieceId,
    Place, Range, RecordSeq, StoreFault, Stored, damaged, part_count,
};
use crate::config::QueueLimits;
use crate::jetstream::error::JetStreamError;
use crate::jetstream::messages::record_content;
use crate::ledger::Ledger;
use crate::store::{Loaded, READ_BACK, ReadBack};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of readings of a queue that changes meanwhile.
const READINGS: usize = 10;

/// Records, and the last sequence of their stream.
type Records = (Vec<(RecordSeq, Bytes)>, RecordSeq);

impl Engine {
    /// Reads everything but the bodies.
    pub(in crate::jetstream) async fn load(&self) -> Result<Loaded, StoreFault> {
        // The journal first: an entry that is removed meanwhile is one whose record was read. The pieces follow at once: the
        // next snapshot replaces those that the journal refers to.
        let (records, last_record) = self.records(RecordSeq(0), usize::MAX).await?;
        let pieces = self.pieces().await?;
        let (entries, end) = self.entries(0, usize::MAX).await?;
        let last_entry = end.last_entry();
        self.state.borrow_mut().end = Some(end);
        Ok(Loaded { entries, last_entry, records, last_record, pieces })
    }

    /// Reads the state of a queue that another process may change meanwhile. The streams are not read at one time, so something
    /// can be missing. It is damage only if no record was written meanwhile.
    pub(in crate::jetstream) async fn ledger(&self, limits: &QueueLimits) -> Result<Ledger, JetStreamError> {
        let stream = self.names.record_stream();
        for _ in 0..READINGS {
            let before = self.link.last_sequence(&stream).await?;
            let ledger = self.read_ledger(limits).await;
            let is_incomplete = matches!(
                ledger,
                Err(JetStreamError::Load(_)
                    | JetStreamError::Store(StoreFault { kind: FaultKind::Damaged, .. }))
            );
            if !is_incomplete || self.link.last_sequence(&stream).await? == before {
                return ledger;
            }
        }
        Err(JetStreamError::Busy)
    }

    async fn read_ledger(&self, limits: &QueueLimits) -> Result<Ledger, JetStreamError> {
        Ok(Ledger::read(limits, &self.load().await?)?)
    }

    /// Reads the content once, if it was not read yet.
    pub(super) async fn ensure(&self) -> Result<(), StoreFault> {
        if self.state.borrow().end.is_none() {
            self.load().await?;
        }
        Ok(())
    }

    /// Reads the heads and records after these.
    pub(super) async fn read_back(&self, entry: EntryId, record: RecordSeq) -> Result<ReadBack, Failure> {
        self.ensure().await?;
        let (records, last_record) = self.records(record, READ_BACK).await?;
        self.settle_claim(&records).await?;
        // Everything up to the known end is known.
        let from = self.end(|end| {
            let next = end.entries.range(entry.next()..).next();
            next.map_or(end.last_sequence + 1, |(_, place)| place.sequence)
        });
        let (entries, read) = self.entries(from, READ_BACK).await?;
        let last_entry = read.last_entry();
        let mut state = self.state.borrow_mut();
        if matches!(state.claim, Claim::Leads) && read.barrier.owner != self.link.token {
            // With the count of another's barrier this store would write after it.
            state.claim = Claim::Lost;
        }
        let end = state.end.get_or_insert_default();
        // After a part of the entries, the rest is not known yet.
        let last_read = read.entries.values().map(|place| place.sequence).max();
        end.last_sequence = match last_read {
            Some(sequence) if entries.len() == READ_BACK => sequence,
            _ => read.last_sequence,
        };
        end.barrier = read.barrier;
        end.entries.extend(read.entries);
        Ok(ReadBack { entries, last_entry, records, last_record })
    }

    /// Finds out whether the first record of this store is in the journal, and writes the barrier that was to follow.
    async fn settle_claim(&self, records: &[(RecordSeq, Bytes)]) -> Result<(), Failure> {
        let tried = match &self.state.borrow().claim {
            Claim::Tried { place, record } => {
                records.iter().find(|(seq, bytes)| seq == place && bytes == record)
            }
            _ => None,
        };
        if let Some((place, _)) = tried {
            self.state.borrow_mut().claim = Claim::Recorded { place: *place };
        }
        self.write_barrier().await
    }

    async fn records(&self, after: RecordSeq, most: usize) -> Result<Records, StoreFault> {
        let (stream, subject) = (self.names.record_stream(), self.names.records());
        let range =
            Range { stream: &stream, subject: &subject, from: after.0 + 1, most, is_headers_only: false };
        let (messages, last) = self.link.read(range).await?;
        let mut records = Vec::with_capacity(messages.len());
        for message in messages {
            let content = record_content(&message.headers, &message.payload);
            let content = content.ok_or_else(|| damaged(&stream, message.sequence))?;
            let seq = RecordSeq(message.sequence);
            if let Some(group) = content.group() {
                self.state.borrow_mut().large_records.insert(seq, group.clone());
            }
            records.push((seq, self.bytes(content, &format!("record {seq}")).await?));
        }
        Ok((records, RecordSeq(last)))
    }

    /// Reads the heads of the entries from a sequence, and the end of their stream.
    async fn entries(&self, from: u64, most: usize) -> Result<(Vec<(EntryId, Bytes)>, End), StoreFault> {
        let (stream, subject) = (self.names.entry_stream(), self.names.entries());
        let range = Range { stream: &stream, subject: &subject, from, most, is_headers_only: true };
        let mut barrier = self.barrier().await?;
        // A barrier that comes meanwhile would shift the last number.
        let (messages, last_sequence) = loop {
            let read = self.link.read(range).await?;
            let again = self.barrier().await?;
            if again == barrier {
                break read;
            }
            barrier = again;
        };
        let mut end = End { last_sequence, barrier: barrier.unwrap_or_default().1, entries: BTreeMap::new() };
        let mut heads = Vec::with_capacity(messages.len());
        for message in messages {
            let entry = EntryMessage::decode(&message.headers);
            let entry = entry.ok_or_else(|| damaged(&stream, message.sequence))?;
            let id = EntryId(entry.number);
            let head = entry.head.group().cloned();
            end.entries.insert(id, Place { sequence: message.sequence, head, body: entry.body });
            heads.push((id, self.bytes(entry.head, &format!("the head of entry {id}")).await?));
        }
        Ok((heads, end))
    }

    /// Reads the pieces of snapshots. One that has missing parts was never confirmed, and is left out.
    async fn pieces(&self) -> Result<Vec<(PieceId, Bytes)>, StoreFault> {
        let (stream, subject) = (self.names.keyed_stream(), self.names.parts(PIECE));
        let range =
            Range { stream: &stream, subject: &subject, from: 0, most: usize::MAX, is_headers_only: false };
        let (messages, _) = self.link.read(range).await?;
        let mut parts: BTreeMap<PieceId, BTreeMap<usize, Stored>> = BTreeMap::new();
        for message in messages {
            let (id, number) =
                piece_of(&message.subject).ok_or_else(|| damaged(&stream, message.sequence))?;
            parts.entry(id).or_default().insert(number, message);
        }
        let mut pieces = Vec::new();
        for (id, parts) in parts {
            let count = parts.values().next().and_then(|part| part_count(&part.headers));
            if count == Some(parts.len()) {
                let bytes: Vec<u8> = parts.values().flat_map(|part| part.payload.iter().copied()).collect();
                pieces.push((id, bytes.into()));
            }
        }
        Ok(pieces)
    }

    /// Reads the body of an entry; `None` if there is no such entry.
    pub(in crate::jetstream) async fn body(&self, id: EntryId) -> Result<Option<Bytes>, StoreFault> {
        self.ensure().await?;
        let Some(place) = self.end(|end| end.entries.get(&id).cloned()) else { return Ok(None) };
        if let Some(group) = place.body {
            return self.bytes(Content::Parts(group), &format!("the body of entry {id}")).await.map(Some);
        }
        let message = self.link.message(&self.names.entry_stream(), place.sequence).await?;
        Ok(message.map(|message| message.payload.as_ref().into()))
    }

    /// Removes parts of entries and records that earlier leaders did not complete. Nothing refers to them, and after the
    /// barrier nothing will.
    pub(super) async fn remove_strays(&self) -> Result<(), StoreFault> {
        let filter = self.names.parts(LARGE);
        let subjects = self.link.subjects(&self.names.keyed_stream(), &filter).await?;
        let mut strays: BTreeSet<String> =
            subjects.iter().filter_map(|subject| self.stray(subject)).collect();
        for name in self.names_in_use() {
            strays.remove(&name);
        }
        for name in strays {
            self.remove_group(LARGE, &name).await?;
        }
        Ok(())
    }

    /// Returns the name of the group of a part that an earlier leader has written.
    fn stray(&self, subject: &str) -> Option<String> {
        let mut tokens = subject.rsplit('.').skip(1);
        let (number, token) = (tokens.next()?, tokens.next()?);
        (token != self.link.token).then(|| format!("{token}.{number}"))
    }

    /// Returns the names of the groups that records and entries have.
    fn names_in_use(&self) -> Vec<String> {
        let state = self.state.borrow();
        let records = state.large_records.values();
        let entries = state.end.iter().flat_map(|end| end.entries.values());
        let entries = entries.flat_map(|place| place.head.iter().chain(&place.body));
        records.chain(entries).map(|group| group.name.clone()).collect()
    }
}

/// Returns the piece and the number of a part.
fn piece_of(subject: &str) -> Option<(PieceId, usize)> {
    let mut tokens = subject.rsplit('.');
    let part = tokens.next()?.parse().ok()?;
    let number = tokens.next()?.parse().ok()?;
    let epoch = tokens.next()?.parse().ok()?;
    Some((PieceId { epoch, number }, part))
}
