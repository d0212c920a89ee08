//! Writing a batch, and the barrier after a leader's first record.

use super::{
    Barrier, Bytes, Claim, Content, Engine, EntryId, Failure, Group, LARGE, PIECE, Place, RecordSeq,
    StoreFault, piece_group,
};
use crate::jetstream::messages::{entry, fits_header, record};
use crate::store::{Batch, NewEntry};

/// Entry whose large parts are stored.
struct Prepared {
    head: Content,
    body: Content,
}

impl Prepared {
    fn place(&self, sequence: u64) -> Place {
        Place { sequence, head: self.head.group().cloned(), body: self.body.group().cloned() }
    }
}

impl Engine {
    /// Writes a batch, part by part.
    pub(super) async fn write(&self, batch: Batch) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        self.ensure().await?;
        let is_other = !batch.records.is_empty() || !batch.entries.is_empty();
        if is_other && self.end(|end| end.last_entry()) != batch.after_entry {
            return Err(Failure::Conflict);
        }
        self.write_entries(batch.after_entry, batch.entries).await?;
        for (id, bytes) in &batch.pieces {
            self.put_parts(PIECE, &piece_group(*id), bytes).await?;
        }
        self.write_records(batch.after_record, batch.records).await?;
        self.write_barrier().await?;
        self.remove_entries(&batch.removed_entries).await?;
        if let Some(upto) = batch.removed_records.filter(|upto| upto.0 > 0) {
            self.remove_records(upto).await?;
        }
        for id in batch.removed_pieces {
            self.remove_group(PIECE, &piece_group(id)).await?;
        }
        Ok(())
    }

    async fn write_entries(&self, after: EntryId, entries: Vec<NewEntry>) -> Result<(), Failure> {
        if entries.is_empty() {
            return Ok(());
        }
        if self.state.borrow().claim == Claim::Lost {
            return Err(Failure::Conflict);
        }
        let mut prepared = Vec::with_capacity(entries.len());
        for entry in entries {
            prepared.push(self.prepare(entry).await?);
        }
        let last = self.end(|end| end.last_sequence);
        let messages =
            (1..).zip(&prepared).map(|(n, Prepared { head, body })| entry(after.0 + n, head, body)).collect();
        let (stored, result) = self.link.append(&self.names.entries(), last, messages).await;
        self.end(|end| {
            for (n, prepared) in (1..=stored).zip(&prepared) {
                end.entries.insert(EntryId(after.0 + n), prepared.place(last + n));
            }
            end.last_sequence = last + stored;
        });
        result
    }

    /// Stores what of an entry does not fit into its message.
    async fn prepare(&self, entry: NewEntry) -> Result<Prepared, Failure> {
        let NewEntry { head, body } = entry;
        let room = self.room();
        let head = match fits_header(&head) && head.len() <= room / 2 {
            true => Content::Here(head),
            false => self.put_large(&head).await?,
        };
        let taken = match &head {
            Content::Here(head) => head.len(),
            Content::Parts(_) => 0,
        };
        let body = match body.len() + taken <= room {
            true => Content::Here(body),
            false => self.put_large(&body).await?,
        };
        Ok(Prepared { head, body })
    }

    async fn put_large(&self, bytes: &[u8]) -> Result<Content, Failure> {
        let name = format!("{}.{}", self.link.token, self.link.next_id());
        self.put_parts(LARGE, &name, bytes).await.map(Content::Parts)
    }

    async fn write_records(&self, after: RecordSeq, records: Vec<Bytes>) -> Result<(), Failure> {
        let Some(first) = records.first() else { return Ok(()) };
        if matches!(self.state.borrow().claim, Claim::None | Claim::Tried { .. }) {
            let claim = Claim::Tried { place: after.next(), record: first.clone() };
            self.state.borrow_mut().claim = claim;
        }
        let mut contents = Vec::with_capacity(records.len());
        for (n, bytes) in (1..).zip(records) {
            let content = match bytes.len() <= self.room() {
                true => Content::Here(bytes),
                false => self.put_large(&bytes).await?,
            };
            if let Some(group) = content.group() {
                self.state.borrow_mut().large_records.insert(RecordSeq(after.0 + n), group.clone());
            }
            contents.push(content);
        }
        let messages = contents.iter().map(record).collect();
        let (stored, result) = self.link.append(&self.names.records(), after.0, messages).await;
        let mut state = self.state.borrow_mut();
        if let (true, Claim::Tried { place, .. }) = (stored > 0, &state.claim) {
            state.claim = Claim::Recorded { place: *place };
        }
        result
    }

    /// Writes the barrier of this store, if its first record is stored and the barrier is not.
    ///
    /// # Errors
    /// A conflict if entries were stored since the last reading.
    pub(super) async fn write_barrier(&self) -> Result<(), Failure> {
        let Claim::Recorded { place } = self.state.borrow().claim else { return Ok(()) };
        let known = self.end(|end| end.last_sequence);
        let stream = self.names.entry_stream();
        loop {
            // In this order: a barrier that comes in between changes the last sequence.
            let last = self.link.last_sequence(&stream).await?;
            let earlier = self.barrier().await?;
            let (sequence, earlier) =
                earlier.map_or((None, Barrier::default()), |(at, barrier)| (Some(at), barrier));
            if earlier.owner == self.link.token {
                // The confirmation of an earlier try did not come.
                self.state.borrow_mut().claim = Claim::Leads;
                return Err(Failure::Conflict);
            }
            if earlier.record > place.0 {
                self.state.borrow_mut().claim = Claim::Lost;
                return Err(Failure::Conflict);
            }
            let barrier =
                Barrier { count: earlier.count + 1, record: place.0, owner: self.link.token.clone() };
            match self.link.append(&self.names.barriers(), last, vec![barrier.message()]).await.1 {
                Err(Failure::Conflict) => continue,
                Err(failure) => return Err(failure),
                Ok(()) => {}
            }
            self.state.borrow_mut().claim = Claim::Leads;
            // Best effort: the last barrier counts.
            if let Some(sequence) = sequence {
                let _ = self.link.remove(&stream, &[sequence]).await;
            }
            if known != last {
                // Entries that came meanwhile are to be read back, from the known end.
                return Err(Failure::Conflict);
            }
            self.end(|end| {
                end.barrier = barrier;
                end.last_sequence = last + 1;
            });
            // Best effort: the next leader tries again.
            let _ = self.remove_strays().await;
            return Ok(());
        }
    }

    async fn remove_entries(&self, entries: &[EntryId]) -> Result<(), StoreFault> {
        let places: Vec<(EntryId, Place)> = self
            .end(|end| entries.iter().filter_map(|id| Some((*id, end.entries.get(id)?.clone()))).collect());
        if places.is_empty() {
            return Ok(());
        }
        let sequences: Vec<u64> = places.iter().map(|(_, place)| place.sequence).collect();
        self.link.remove(&self.names.entry_stream(), &sequences).await?;
        for (id, place) in places {
            for Group { name, .. } in place.head.iter().chain(&place.body) {
                self.remove_group(LARGE, name).await?;
            }
            self.end(|end| end.entries.remove(&id));
        }
        Ok(())
    }

    async fn remove_records(&self, upto: RecordSeq) -> Result<(), StoreFault> {
        self.link.remove_upto(&self.names.record_stream(), upto.0).await?;
        let kept = self.state.borrow_mut().large_records.split_off(&upto.next());
        let removed = std::mem::replace(&mut self.state.borrow_mut().large_records, kept);
        for group in removed.into_values() {
            self.remove_group(LARGE, &group.name).await?;
        }
        Ok(())
    }
}
