//! Clock of the queue's task: the only place that reads one.

use crate::clock;
use relayline_core::time::Time;
use std::time::Duration;

/// Clock that began when the queue was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Duration);

impl Clock {
    pub(super) fn new() -> Clock {
        Clock(clock::elapsed())
    }

    pub(super) fn now(self) -> Time {
        Time::ZERO + clock::elapsed().saturating_sub(self.0)
    }
}
