//! Health of the store: when to pause the gateway, and when to resume.

use super::Dispatcher;
use crate::config::QueueLimits;
use crate::output::{Output, PauseReason};
use relayline_core::time::Time;

/// Health of the store and of the queue.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Time since which the store fails.
    failing_since: Option<Time>,
    /// Time since which the queue is full.
    full_since: Option<Time>,
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
        let (since, _) = self.trouble(waits_since).filter(|_| !self.is_paused)?;
        Some(since + limits.store_patience)
    }
}

impl Dispatcher {
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
        let overdue = trouble.filter(|(since, _)| is_over(*since));
        if self.health.is_paused {
            // A command that is under way is no trouble while it is young.
            if overdue.is_none() && !self.health.is_failing() && !self.health.is_full() {
                self.health.is_paused = false;
                self.outputs.push_back(Output::Resume);
            }
        } else if let Some((_, reason)) = overdue {
            self.health.is_paused = true;
            self.outputs.push_back(Output::Pause(reason));
        }
    }
}
