//! Health of the store: when to pause the gateway, and when to resume.

use super::{Dispatcher, Phase};
use crate::config::QueueLimits;
use crate::output::{Output, PauseReason};
use crate::store::Leadership;
use relayline_core::time::Time;
use std::time::Duration;

/// Health of the store and of the queue.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Time since which the store fails.
    failing_since: Option<Time>,
    /// Time since which the queue is full.
    full_since: Option<Time>,
    /// End of the time for which no other process leads; `None` for no end.
    leads_until: Option<Time>,
    is_paused: bool,
}

impl Health {
    pub(super) fn store_failed(&mut self, now: Time) {
        self.failing_since.get_or_insert(now);
    }

    pub(super) fn store_works(&mut self) {
        self.failing_since = None;
    }

    /// Returns true if the store fails.
    pub(super) fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }

    pub(super) fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    fn set_full(&mut self, now: Time, is_full: bool) {
        match is_full {
            true => _ = self.full_since.get_or_insert(now),
            false => self.full_since = None,
        }
    }

    /// Returns true if another process may lead.
    pub(super) fn is_uncertain(&self, now: Time) -> bool {
        self.leads_until.is_some_and(|until| until <= now)
    }

    /// Returns the time since which nothing can be acknowledged, and the reason. `waits_since` is the time since which a
    /// command is not confirmed.
    fn trouble(&self, waits_since: Option<Time>) -> Option<(Time, PauseReason)> {
        let down = self.failing_since.into_iter().chain(waits_since).min();
        let down = down.map(|since| (since, PauseReason::StoreDown));
        let full = self.full_since.map(|since| (since, PauseReason::Full));
        down.into_iter().chain(full).min_by_key(|(since, _)| *since)
    }

    /// Returns the time at which the gateway pauses.
    pub(super) fn deadline(&self, waits_since: Option<Time>, limits: &QueueLimits) -> Option<Time> {
        if self.is_paused {
            return None;
        }
        let patience = self.trouble(waits_since).map(|(since, _)| since + limits.store_patience);
        patience.into_iter().chain(self.leads_until).min()
    }
}

/// Returns true if two times differ by so little that a timer need not be set anew.
fn is_near(one: Time, other: Time) -> bool {
    one.max(other).since(one.min(other)) < Duration::from_millis(50)
}

impl Dispatcher {
    /// Handles what the store says about the right to lead. While another process may lead, nothing is handed out, and the
    /// gateway pauses at once. Once another one does, it is over.
    pub fn handle_leadership(&mut self, now: Time, leadership: Leadership) {
        let was_uncertain = self.health.is_uncertain(now);
        self.health.leads_until = match (leadership, self.health.leads_until) {
            (Leadership::Exclusive, _) => None,
            // Two clocks differ a little with each call.
            (Leadership::For(rest), Some(known)) if is_near(known, now + rest) => Some(known),
            (Leadership::For(rest), _) => Some(now + rest),
            (Leadership::Uncertain | Leadership::Lost, known) => {
                Some(known.map_or(now, |known| known.min(now)))
            }
        };
        if leadership == Leadership::Lost && !matches!(self.phase, Phase::Loading(_) | Phase::Ended) {
            self.end(Output::Lost);
        } else if was_uncertain != self.health.is_uncertain(now) {
            self.advance(now);
        }
    }

    /// Notes whether the queue is full. It has room again at nine tenths, so that it does not change with each entry.
    pub(super) fn check_full(&mut self) {
        let (pending, pending_bytes) = self.writer.pending_entries();
        let entries = self.ledger.len() + pending;
        let bytes = self.ledger.bytes().saturating_add(pending_bytes as u64);
        let tenths = if self.health.is_full() { 9 } else { 10 };
        let most_entries = self.limits.queue_entries.saturating_mul(tenths) / 10;
        let most_bytes = (self.limits.queue_bytes as u64).saturating_mul(tenths as u64) / 10;
        let is_full = entries >= most_entries.max(1) || bytes >= most_bytes.max(1);
        self.health.set_full(self.now, is_full);
    }

    /// Pauses the gateway after a time of trouble, and resumes it afterwards.
    pub(super) fn report_health(&mut self) {
        self.check_full();
        let is_over = |since: Time| self.now >= since + self.limits.store_patience;
        let trouble = self.health.trouble(self.writer.waits_since());
        let overdue = trouble.filter(|(since, _)| is_over(*since)).map(|(_, reason)| reason);
        // At once: the other one may be about to dial.
        let is_uncertain = self.health.is_uncertain(self.now);
        let overdue = if is_uncertain { Some(PauseReason::Unconfirmed) } else { overdue };
        if self.health.is_paused {
            // A command that is under way is no trouble while it is young.
            if overdue.is_none() && !self.health.is_failing() && !self.health.is_full() {
                self.health.is_paused = false;
                self.outputs.push_back(Output::Resume);
            }
        } else if let Some(reason) = overdue {
            self.health.is_paused = true;
            self.outputs.push_back(Output::Pause(reason));
        }
    }
}
