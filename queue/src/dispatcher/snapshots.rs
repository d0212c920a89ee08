//! Snapshots: written in pieces between other things, and valid once a record says so.

use super::{Dispatcher, Gate};
use crate::id::{PieceId, RecordSeq};
use crate::ledger::Piece;
use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// Snapshots of this leader.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    epoch: u64,
    next_piece: u64,
    /// Records that are not in the last snapshot.
    records: u64,
    /// Pieces of the last snapshot.
    current: BTreeSet<PieceId>,
    /// Pieces with full blocks of keys, by the number of the block. They are written once.
    key_pieces: BTreeMap<u64, PieceId>,
    job: Option<Job>,
}

/// Snapshot that is being written.
#[derive(Debug)]
struct Job {
    upto: RecordSeq,
    state: Vec<PieceId>,
    keys: Vec<(PieceId, u64)>,
    /// Pieces that the store has not confirmed.
    unwritten: usize,
    /// True if the record that completes it is issued.
    is_recorded: bool,
}

/// Snapshot whose record is to be committed.
#[derive(Debug)]
pub(super) struct FinishedSnapshot {
    upto: RecordSeq,
    pieces: BTreeSet<PieceId>,
}

impl Snapshots {
    /// Continues after the snapshot of an earlier leader, and `records` records.
    pub(super) fn restore(
        &mut self,
        epoch: u64,
        records: u64,
        state: Vec<PieceId>,
        key_pieces: BTreeMap<u64, PieceId>,
    ) {
        let current = state.into_iter().chain(key_pieces.values().copied()).collect();
        *self = Snapshots { epoch, next_piece: 1, records, current, key_pieces, job: None };
    }

    pub(super) fn count_record(&mut self) {
        self.records += 1;
    }

    /// Returns true if none is being written.
    pub(super) fn is_idle(&self) -> bool {
        self.job.is_none()
    }

    /// Handles the confirmation of some pieces.
    pub(super) fn pieces_written(&mut self, number: usize) {
        if let Some(job) = &mut self.job {
            job.unwritten = job.unwritten.saturating_sub(number);
        }
    }

    fn new_piece(&mut self) -> PieceId {
        let id = PieceId { epoch: self.epoch, number: self.next_piece };
        self.next_piece += 1;
        id
    }
}

impl Dispatcher {
    /// Begins a snapshot after enough records, and issues its record once all pieces are written.
    pub(super) fn continue_snapshot(&mut self) {
        if self.is_leading()
            && !self.is_stopping
            && self.snapshots.job.is_none()
            && self.snapshots.records >= self.limits.snapshot_records as u64
        {
            self.begin_snapshot();
        }
        let Some(job) = self.snapshots.job.as_mut().filter(|job| job.unwritten == 0 && !job.is_recorded)
        else {
            return;
        };
        job.is_recorded = true;
        let (upto, state, keys) = (job.upto, job.state.clone(), job.keys.clone());
        let pieces = state.iter().copied().chain(keys.iter().map(|(id, _)| *id)).collect();
        let seq = self.record(&Record::Snapshot { upto, epoch: self.ledger.epoch(), state, keys });
        self.gates.push_back((seq, Gate::Snapshot(FinishedSnapshot { upto, pieces })));
    }

    /// Takes the state as it is now: with the effect of every record that was issued.
    fn begin_snapshot(&mut self) {
        let upto = self.ledger.last_record;
        let mut pieces = Vec::new();
        let mut state = Vec::new();
        for piece in self.ledger.state_pieces() {
            let id = self.snapshots.new_piece();
            pieces.push((id, piece.encode()));
            state.push(id);
        }
        let mut keys = Vec::new();
        let mut key_pieces = BTreeMap::new();
        for block in self.ledger.key_blocks() {
            let known = self.snapshots.key_pieces.get(&block.number).copied();
            let id = known.unwrap_or_else(|| {
                let id = self.snapshots.new_piece();
                pieces.push((id, Piece::of_keys(block.keys.iter()).encode()));
                id
            });
            if block.is_full {
                key_pieces.insert(block.number, id);
            }
            keys.push((id, block.age(self.now).as_secs()));
        }
        self.snapshots.key_pieces = key_pieces;
        self.snapshots.records = 0;
        self.snapshots.job = Some(Job { upto, state, keys, unwritten: pieces.len(), is_recorded: false });
        for (id, bytes) in pieces {
            self.writer.add_piece(id, bytes);
        }
    }

    /// Handles the commit of a snapshot: the records and the pieces before it leave.
    pub(super) fn snapshot_committed(&mut self, snapshot: FinishedSnapshot) {
        self.stats.snapshots += 1;
        self.snapshots.job = None;
        let old = std::mem::replace(&mut self.snapshots.current, snapshot.pieces);
        self.writer.remove_pieces(old.difference(&self.snapshots.current).copied());
        self.writer.remove_records(snapshot.upto);
    }
}
