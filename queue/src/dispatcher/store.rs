//! Answers of the store.

use super::{Dispatcher, Gate, Phase};
use crate::id::CommandId;
use crate::output::{Output, QueueError};
use crate::store::{FaultKind, StoreAnswer, StoreFault};
use crate::writer::{Comparison, Confirmed};
use relayline_core::time::Time;

impl Dispatcher {
    /// Handles an answer of the store. An answer that is no longer awaited is ignored, and counted.
    pub fn handle_answer(&mut self, now: Time, id: CommandId, answer: StoreAnswer) {
        self.now = self.now.max(now);
        self.answered(id, answer);
        if self.unhandled.is_none() {
            self.advance(now);
        }
    }

    /// Reads the end of the journal: another leader may have written to it. [`Output::StillLeading`] follows, or
    /// [`Output::Lost`]. Call it if the connector says that another gateway uses the same id.
    pub fn check_lead(&mut self, now: Time) {
        if self.is_leading() {
            self.writer.check_end();
        }
        self.advance(now);
    }

    fn answered(&mut self, id: CommandId, answer: StoreAnswer) {
        if let Phase::Loading(loading) = &mut self.phase {
            if !loading.awaits(id) {
                self.stats.late_answers += 1;
                return;
            }
            loading.retry(self.now + self.limits.store_retry);
            match answer {
                StoreAnswer::Loaded(loaded) => self.loaded(&loaded),
                other => self.report_fault(other),
            }
        } else if self.writer.awaits(id) && !self.has_ended() {
            self.write_answered(answer);
        } else if let Some(entry) = self.reads.end(id) {
            match answer {
                StoreAnswer::Body(Some(body)) => {
                    if let Some(agent) = self.hand_outs.body_read(entry, body) {
                        self.deliver(agent);
                    }
                }
                StoreAnswer::Body(None) if self.hand_outs.wants_body(entry) => self.body_missing(entry),
                StoreAnswer::Body(None) => {}
                other => {
                    self.reads.retry(self.now + self.limits.store_retry, entry);
                    self.report_fault(other);
                }
            }
        } else {
            self.stats.late_answers += 1;
        }
    }

    fn write_answered(&mut self, answer: StoreAnswer) {
        match answer {
            StoreAnswer::Written => {
                self.stats.writes += 1;
                self.health.store_works();
                let confirmed = self.writer.written();
                // The store need not wait for the handling of this batch. One that is not full gets what follows from it.
                if self.writer.has_full_batch(&self.limits) {
                    self.write();
                    self.unhandled = Some(confirmed);
                } else {
                    self.confirmed(confirmed);
                }
            }
            StoreAnswer::ReadBack(end) => {
                self.stats.read_backs += 1;
                match self.writer.read_back(self.now, &end, &self.limits) {
                    Comparison::Confirmed(confirmed) => self.confirmed(confirmed),
                    Comparison::OtherLeader => self.end(Output::Lost),
                    Comparison::Lost => self.fail(QueueError::RecordsLost),
                }
                if self.writer.is_done() {
                    self.health.store_works();
                }
            }
            StoreAnswer::Conflict => {
                self.stats.store_faults += 1;
                self.writer.doubt(self.now, &self.limits);
            }
            other => {
                self.health.store_failed(self.now);
                self.writer.doubt(self.now, &self.limits);
                self.report_fault(other);
            }
        }
    }

    fn report_fault(&mut self, answer: StoreAnswer) {
        self.stats.store_faults += 1;
        let fault = match answer {
            StoreAnswer::Failed(fault) => fault,
            other => {
                let text = format!("the store gave an answer of another kind than its command: {other:?}");
                StoreFault { kind: FaultKind::Unavailable, text }
            }
        };
        self.outputs.push_back(Output::StoreFailed(fault));
    }

    /// Handles commands that the store has not answered in time: their outcome is unknown.
    pub(super) fn check_overdue(&mut self) {
        let mut overdue = 0;
        match &mut self.phase {
            Phase::Loading(loading) if loading.is_overdue(self.now, &self.limits) => {
                loading.retry(self.now);
                overdue += 1;
            }
            Phase::Loading(_) | Phase::Ended => {}
            Phase::Claiming | Phase::Leading | Phase::Releasing => {
                if self.writer.is_overdue(self.now, &self.limits) {
                    self.health.store_failed(self.now);
                    self.writer.doubt(self.now, &self.limits);
                    overdue += 1;
                }
                while let Some(entry) = self.reads.take_overdue(self.now, &self.limits) {
                    self.reads.retry(self.now, entry);
                    overdue += 1;
                }
            }
        }
        self.stats.store_timeouts += overdue;
    }

    /// Handles what the store has confirmed: entries can be handed out, and what waits for records goes on.
    pub(super) fn confirmed(&mut self, confirmed: Confirmed) {
        for (id, entry) in confirmed.entries {
            self.entry_stored(id, entry);
        }
        for entry in confirmed.removed_entries {
            self.ledger.removed(entry);
        }
        self.snapshots.pieces_written(confirmed.pieces);
        if confirmed.is_checked && self.is_leading() {
            self.outputs.push_back(Output::StillLeading);
        }
        let last = self.writer.last_record();
        while !self.has_ended() && self.gates.front().is_some_and(|(seq, _)| *seq <= last) {
            let Some((seq, gate)) = self.gates.pop_front() else { return };
            match gate {
                Gate::Epoch => self.begin_leading(),
                Gate::HandOut(entry) => {
                    if let Some(agent) = self.hand_outs.committed(entry, seq) {
                        self.deliver(agent);
                    }
                }
                Gate::Output(output) => self.outputs.push_back(output),
                Gate::Snapshot(snapshot) => self.snapshot_committed(snapshot),
                Gate::Released => self.end(Output::Released),
            }
        }
    }

    /// Returns the time up to which the dispatcher has handled inputs.
    pub fn now(&self) -> Time {
        self.now
    }
}
