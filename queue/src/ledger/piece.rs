//! Pieces of a snapshot: state of entries and the like, and keys of settled entries.

use super::{EntryState, Ledger};
use crate::encoding::{Bytes, DecodeError, decode, encode};
use crate::id::{DedupeKey, EntryId, PieceId};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// Bytes after which a piece of the state ends.
const PIECE_BYTES: usize = 64 << 10;

/// Piece of a snapshot.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Piece {
    /// Part of the state.
    State(StatePiece),
    /// Keys of settled entries, in base64.
    Keys(String),
}

const KINDS: [&str; 2] = ["state", "keys"];

/// Part of the state. Entries that were never handed out have none.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StatePiece {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) entries: Vec<EntryPiece>,
    /// Entries that agents of workers have, and the workers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) leased: Vec<(EntryId, Box<str>)>,
    /// Entries that are done and may still be in the store.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unremoved: Vec<EntryId>,
    /// Sessions that get one entry at a time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cautious: Vec<Box<str>>,
    /// Host memory: key, value, last entry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) memory: Vec<(Box<str>, Box<str>, EntryId)>,
}

/// State of an entry: number, attempts, charges, state, last error.
pub(super) type EntryPiece = (EntryId, u32, u32, StateName, Option<Box<str>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateName {
    Waiting,
    Out,
    Dead,
}

impl From<EntryState> for StateName {
    fn from(state: EntryState) -> Self {
        match state {
            EntryState::Waiting => StateName::Waiting,
            EntryState::Out => StateName::Out,
            EntryState::Dead => StateName::Dead,
        }
    }
}

impl From<StateName> for EntryState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Waiting => EntryState::Waiting,
            StateName::Out => EntryState::Out,
            StateName::Dead => EntryState::Dead,
        }
    }
}

impl Piece {
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }

    pub(super) fn decode(id: PieceId, bytes: &[u8]) -> Result<Piece, DecodeError> {
        decode(&place(id), bytes, &KINDS)
    }

    /// Makes a piece of keys.
    pub(crate) fn of_keys<'k>(keys: impl Iterator<Item = &'k DedupeKey>) -> Piece {
        let bytes: Vec<u8> = keys.flat_map(|key| key.0).collect();
        Piece::Keys(BASE64.encode(&bytes))
    }

    /// Reads a piece of keys.
    pub(super) fn read_keys(id: PieceId, text: &str) -> Result<Vec<DedupeKey>, DecodeError> {
        let damaged = |why: &str| DecodeError::Damaged { place: place(id), why: why.to_owned() };
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| damaged("the keys are not base64"))?;
        let (keys, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(damaged("the last key is not 16 bytes"));
        }
        Ok(keys.iter().map(|key| DedupeKey(*key)).collect())
    }
}

/// Returns the place of a piece in error messages.
pub(super) fn place(id: PieceId) -> String {
    format!("piece {}-{} of the snapshot", id.epoch, id.number)
}

/// Collects items of the state into pieces of bounded size.
#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    growing: StatePiece,
    bytes: usize,
}

impl Pieces {
    fn add(&mut self, bytes: usize, add: impl FnOnce(&mut StatePiece)) {
        add(&mut self.growing);
        self.bytes += bytes;
        if self.bytes >= PIECE_BYTES {
            self.end();
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.bytes) > 0 {
            self.done.push(Piece::State(std::mem::take(&mut self.growing)));
        }
    }
}

impl Ledger {
    /// Returns the state in pieces, without the keys of settled entries.
    pub(crate) fn state_pieces(&mut self) -> Vec<Piece> {
        self.tidy();
        let mut pieces = Pieces::default();
        for id in &self.changed {
            let Some(entry) = self.entries.get(id) else { continue };
            let error = entry.error.clone();
            let bytes = 24 + error.as_ref().map_or(0, |error| error.len());
            let piece_of = (*id, entry.attempts, entry.charges, entry.state.into(), error);
            pieces.add(bytes, |piece| piece.entries.push(piece_of));
            // Restored after the entries: it may be in a later piece.
            if let Some(worker) = &entry.worker {
                pieces.add(16 + worker.len(), |piece| piece.leased.push((*id, (&**worker).into())));
            }
        }
        for id in &self.unremoved {
            pieces.add(12, |piece| piece.unremoved.push(*id));
        }
        for session in &self.cautious {
            pieces.add(4 + session.len(), |piece| piece.cautious.push((&**session).into()));
        }
        for (key, value, after) in self.memory.in_order() {
            let item = (key.into(), value.into(), after);
            pieces.add(16 + key.len() + value.len(), |piece| piece.memory.push(item));
        }
        pieces.end();
        pieces.done
    }

    /// Returns the blocks of keys of settled entries, oldest first.
    pub(crate) fn key_blocks(&self) -> impl Iterator<Item = &super::Block> {
        self.settled.blocks().filter(|block| !block.keys.is_empty())
    }
}
