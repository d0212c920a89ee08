//! Time of the next dial: the back-off, the delays that a refused upgrade asks for, and the host's hold (L-5, L-13).

use crate::config::Timing;
use crate::hash::Seed;
use crate::time::{Time, clamp_timeout};
use std::time::Duration;

/// The host's hold on dials.
#[derive(Clone, Copy, Debug)]
struct Hold {
    began: Time,
    until: Time,
}

/// Schedule of dials. It outlives connections.
#[derive(Debug)]
pub(crate) struct Redial {
    /// Time of the next dial, the hold apart.
    due: Time,
    /// Failed attempts since the back-off started over (L-5).
    attempts: u32,
    /// Shortest wait before the next dial, as the last refused upgrade asked for it (L-18).
    retry_after: Duration,
    hold: Option<Hold>,
}

impl Redial {
    pub(crate) fn new(now: Time) -> Self {
        Redial { due: now, attempts: 0, retry_after: Duration::ZERO, hold: None }
    }

    /// Returns the time of the next dial, the hold included.
    pub(crate) fn due(&self) -> Time {
        self.hold.map_or(self.due, |hold| self.due.max(hold.until))
    }

    /// Sets the time of the next dial.
    pub(crate) fn schedule(&mut self, due: Time) {
        self.due = due;
    }

    /// Counts a failed attempt and schedules the next dial: after a uniform draw from [d/2, d] (L-5), but no sooner than
    /// the refused upgrade asked for (L-18).
    pub(crate) fn back_off(&mut self, now: Time, seed: &mut Seed, timing: &Timing, most: Duration) {
        self.attempts = self.attempts.saturating_add(1);
        let doublings = self.attempts.saturating_sub(1).min(31);
        let longest = clamp_timeout(timing.backoff_first.saturating_mul(1 << doublings).min(most));
        let us = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(seed.draw_between(us.div_ceil(2), us));
        self.due = now + wait.max(self.retry_after);
    }

    /// Starts the back-off over.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Notes how long a refused upgrade asks to wait.
    pub(crate) fn retry_after(&mut self, wait: Duration) {
        self.retry_after = wait;
    }

    /// Begins a dial: what held the last one says nothing about the next.
    pub(crate) fn begin(&mut self) {
        self.hold = None;
        self.retry_after = Duration::ZERO;
    }

    /// Holds dials for `span` from now. Held again and again it is one hold, which lasts `hold_most` in all (L-13).
    /// `is_waiting` says that a dial waits for its time: a hold that ran out meanwhile goes on.
    pub(crate) fn hold(&mut self, now: Time, span: Duration, is_waiting: bool, timing: &Timing) {
        let running = self.hold.filter(|hold| hold.until > now || is_waiting);
        let began = running.map_or(now, |hold| hold.began);
        self.hold = Some(Hold { began, until: (now + span).min(began + timing.hold_most) });
    }

    /// Lifts the hold.
    pub(crate) fn lift_hold(&mut self) {
        self.hold = None;
    }

    /// Returns whether the host holds dials now.
    pub(crate) fn is_held(&self, now: Time) -> bool {
        self.hold.is_some_and(|hold| hold.until > now)
    }
}
