//! Reading the store, and beginning to lead.

use super::{Dispatcher, Gate, Phase};
use crate::config::QueueLimits;
use crate::id::{CommandId, EntryId};
use crate::ledger::{EntryState, Ledger};
use crate::output::Output;
use crate::record::Record;
use crate::store::{Loaded, StoreCommand};
use crate::writer::Writer;
use relayline_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Error of entries that were out when the last gateway ended without handing over.
const GATEWAY_CRASHED: &str = "the gateway ended while an agent had the entry";

/// State of the reading.
#[derive(Debug)]
pub(super) struct Loading {
    /// Command that is under way, and its time.
    command: Option<(CommandId, Time)>,
    retry_at: Time,
}

impl Loading {
    pub(super) fn new(now: Time) -> Loading {
        Loading { command: None, retry_at: now }
    }

    pub(super) fn awaits(&self, id: CommandId) -> bool {
        self.command.is_some_and(|(command, _)| command == id)
    }

    pub(super) fn retry(&mut self, at: Time) {
        *self = Loading::new(at);
    }

    pub(super) fn deadline(&self, limits: &QueueLimits) -> Option<Time> {
        Some(self.command.map_or(self.retry_at, |(_, sent)| sent + limits.store_timeout))
    }

    pub(super) fn is_overdue(&self, now: Time, limits: &QueueLimits) -> bool {
        self.command.is_some_and(|(_, sent)| now >= sent + limits.store_timeout)
    }
}

impl Dispatcher {
    /// Asks for the content of the store, when its time has come.
    pub(super) fn load(&mut self) {
        if self.is_stopping {
            // Nothing was written, so there is nothing to hand over.
            self.end(Output::Released);
            return;
        }
        let Phase::Loading(Loading { command: None, retry_at }) = self.phase else { return };
        if self.now >= retry_at {
            let id = self.command(StoreCommand::Load);
            self.phase = Phase::Loading(Loading { command: Some((id, self.now)), retry_at });
        }
    }

    /// Handles the content of the store: writes the epoch.
    pub(super) fn loaded(&mut self, loaded: &Loaded) {
        let replayed = match Ledger::replay(&self.limits, &self.leader, self.now, loaded) {
            Ok(replayed) => replayed,
            Err(error) => {
                self.fail(error);
                return;
            }
        };
        self.ledger = replayed.ledger;
        self.writer = Writer::new(loaded.last_entry, loaded.last_record);
        self.phase = Phase::Claiming;
        let epoch = self.ledger.epoch() + 1;
        let seq = self.record(&Record::Epoch { epoch, leader: self.leader.clone() });
        self.gates.push_back((seq, Gate::Epoch));
        for entry in replayed.unremoved {
            self.writer.remove_entry(seq, entry);
        }
        self.writer.remove_pieces(replayed.stray_pieces);
        let since = self.ledger.last_record.0.saturating_sub(replayed.upto.0);
        self.snapshots.restore(epoch, since, replayed.state_pieces, replayed.key_pieces);
    }

    /// Begins to lead: the epoch is committed.
    pub(super) fn begin_leading(&mut self) {
        if !matches!(self.phase, Phase::Claiming) {
            return;
        }
        self.phase = Phase::Leading;
        self.outputs.push_back(Output::Leading { epoch: self.ledger.epoch() });
        self.end_earlier_hand_outs();
        self.bound_dead_letters();
        let waiting = self.ledger.entries().filter(|(_, entry)| entry.state == EntryState::Waiting);
        let waiting: Vec<(EntryId, u32)> = waiting.map(|(id, entry)| (id, entry.charges)).collect();
        for (id, charges) in waiting {
            // The time that the entry has waited is not known: clocks of two processes are not compared.
            let retry_at = if charges == 0 { Time::ZERO } else { self.now + self.limits.back_off(charges) };
            self.add_waiting(id, retry_at);
        }
    }

    /// Ends the hand-outs of a leader that crashed: the oldest of each session is charged. A leader that hands over leaves
    /// those to workers only, which claim them.
    fn end_earlier_hand_outs(&mut self) {
        let mut out: BTreeMap<Arc<str>, Vec<EntryId>> = BTreeMap::new();
        let mut leased: BTreeMap<Arc<str>, BTreeSet<EntryId>> = BTreeMap::new();
        for (id, entry) in self.ledger.entries().filter(|(_, entry)| entry.state == EntryState::Out) {
            let session = Arc::clone(&entry.session);
            match entry.worker {
                None => out.entry(session).or_default().push(id),
                Some(_) => _ = leased.entry(session).or_default().insert(id),
            }
        }
        for entries in out.into_values() {
            self.record_crash(&entries, GATEWAY_CRASHED);
        }
        for (session, entries) in leased {
            self.await_claims(&session, entries);
        }
    }
}
