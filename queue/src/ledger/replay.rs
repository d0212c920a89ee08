//! Loading: the state from the snapshot, the journal and the heads of the entries.

use super::piece::{Piece, StatePiece, place};
use super::{EntryState, Ledger};
use crate::config::QueueLimits;
use crate::encoding::DecodeError;
use crate::head::{EntryHead, MemoryItem};
use crate::id::{EntryId, PieceId, RecordSeq};
use crate::record::Record;
use crate::store::Loaded;
use relayline_core::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// Error returned when the content of a store cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A part cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A part is missing.
    #[error("{0} is missing: restore the queue from a backup, or move it away")]
    Missing(String),
}

/// A snapshot that is complete.
struct Snapshot {
    upto: RecordSeq,
    epoch: u64,
    state: Vec<PieceId>,
    keys: Vec<(PieceId, u64)>,
}

/// State that was loaded, and the pieces of its snapshot.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) ledger: Ledger,
    /// Pieces with blocks of keys, by the number of the block.
    pub(crate) key_pieces: BTreeMap<u64, PieceId>,
    /// Pieces of the state.
    pub(crate) state_pieces: Vec<PieceId>,
    /// Last record that the snapshot contains.
    pub(crate) upto: RecordSeq,
    /// Pieces that belong to no complete snapshot.
    pub(crate) stray_pieces: Vec<PieceId>,
    /// Entries that are done and still in the store.
    pub(crate) unremoved: Vec<EntryId>,
}

impl Ledger {
    /// Reads the content of a store, for instance to list the entries.
    ///
    /// # Errors
    /// A part is missing, is damaged, or was written by a newer version.
    pub fn read(limits: &QueueLimits, loaded: &Loaded) -> Result<Ledger, LoadError> {
        Ledger::replay(limits, "", Time::ZERO, loaded).map(|replayed| replayed.ledger)
    }

    /// Reads the content of a store.
    pub(crate) fn replay(
        limits: &QueueLimits,
        seed: &str,
        now: Time,
        loaded: &Loaded,
    ) -> Result<Replayed, LoadError> {
        let mut records = Vec::with_capacity(loaded.records.len());
        let mut snapshot = None;
        for (seq, bytes) in &loaded.records {
            let record = Record::decode(*seq, bytes)?;
            if let Record::Snapshot { upto, epoch, state, keys } = &record {
                let (state, keys) = (state.clone(), keys.clone());
                snapshot = Some(Snapshot { upto: *upto, epoch: *epoch, state, keys });
            }
            records.push((*seq, record));
        }
        let mut ledger = Ledger::new(limits, seed);
        let mut pieces: BTreeMap<_, _> = loaded.pieces.iter().map(|(id, bytes)| (*id, bytes)).collect();
        let mut states = Vec::new();
        let mut key_pieces = BTreeMap::new();
        let (mut upto, mut state_pieces) = (RecordSeq(0), Vec::new());
        if let Some(snapshot) = snapshot {
            let mut take = |id: PieceId| {
                let bytes = pieces.remove(&id).ok_or_else(|| LoadError::Missing(place(id)))?;
                Ok::<_, LoadError>(Piece::decode(id, bytes)?)
            };
            for id in &snapshot.state {
                match take(*id)? {
                    Piece::State(state) => states.push(state),
                    Piece::Keys(_) => return Err(wrong_kind(*id)),
                }
            }
            for (id, age) in &snapshot.keys {
                let Piece::Keys(text) = take(*id)? else { return Err(wrong_kind(*id)) };
                let keys = Piece::read_keys(*id, &text)?;
                key_pieces.insert(ledger.settled.restore(now, Duration::from_secs(*age), keys), *id);
            }
            (ledger.epoch, upto, state_pieces) = (snapshot.epoch, snapshot.upto, snapshot.state);
        }
        // Before the entries are added: what is done is not added.
        for state in &states {
            ledger.unremoved.extend(&state.unremoved);
        }
        for (id, bytes) in &loaded.entries {
            ledger.add(*id, EntryHead::decode(*id, bytes)?);
        }
        for state in states {
            ledger.restore(state);
        }
        ledger.last_record = upto;
        for (seq, record) in &records {
            if *seq <= upto {
                continue;
            }
            if *seq != ledger.last_record.next() {
                return Err(missing(ledger.last_record.next()));
            }
            ledger.apply(now, record);
        }
        if ledger.last_record != loaded.last_record {
            return Err(missing(ledger.last_record.next()));
        }
        let present: Vec<EntryId> = loaded.entries.iter().map(|(id, _)| *id).collect();
        ledger.unremoved.retain(|id| present.binary_search(id).is_ok());
        let unremoved = ledger.unremoved.iter().copied().collect();
        let stray_pieces = pieces.into_keys().collect();
        Ok(Replayed { ledger, key_pieces, state_pieces, upto, stray_pieces, unremoved })
    }

    /// Restores a part of the state. The entries must have been added.
    fn restore(&mut self, state: StatePiece) {
        for (id, attempts, charges, state, error) in state.entries {
            let state = EntryState::from(state);
            if state == EntryState::Dead && self.entries.contains_key(&id) {
                self.dead.insert(id);
            }
            self.change(id, |entry| {
                (entry.attempts, entry.charges, entry.state, entry.error) = (attempts, charges, state, error);
            });
        }
        for (id, worker) in state.leased {
            self.change(id, |entry| entry.worker = Some((&*worker).into()));
        }
        self.cautious.extend(state.cautious.into_iter().map(Into::into));
        for (key, value, after) in state.memory {
            self.memory.set(MemoryItem { key, value }, after);
        }
    }
}

fn missing(seq: RecordSeq) -> LoadError {
    LoadError::Missing(format!("record {seq} of the journal"))
}

fn wrong_kind(id: PieceId) -> LoadError {
    DecodeError::Damaged { place: place(id), why: "it is of another kind than the snapshot says".to_owned() }
        .into()
}
