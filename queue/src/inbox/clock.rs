//! Clock of the queue's task: the only place that reads one.

use relayline_core::time::Time;

/// Clock that began when the queue was opened.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::disallowed_types, reason = "the dispatcher has no clock, and its host has this one")]
pub(super) struct Clock(std::time::Instant);

impl Clock {
    #[allow(clippy::disallowed_methods, clippy::disallowed_types)]
    pub(super) fn new() -> Clock {
        Clock(std::time::Instant::now())
    }

    pub(super) fn now(self) -> Time {
        Time::ZERO + self.0.elapsed()
    }
}
