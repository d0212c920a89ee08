//! Keep-alive of one socket: when to ping it, and when its silence means that it is lost (L-11).

use crate::config::Timing;
use crate::output::Timer;
use crate::time::{Time, clamp_timeout};

/// Clock of a socket's silence.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    /// Last sign of life, or the time from which silence counts.
    heard: Time,
    /// Time of the ping after which nothing was received.
    pinged: Option<Time>,
    wants_ping: bool,
}

impl KeepAlive {
    pub(crate) fn new(now: Time) -> Self {
        KeepAlive { heard: now, pinged: None, wants_ping: false }
    }

    /// Counts silence from now, and forgets an unwritten ping. Called when something was received, when the socket is
    /// new, and when the driver did not read.
    pub(crate) fn restart(&mut self, now: Time) {
        *self = KeepAlive::new(now);
    }

    /// Returns when to ping, or when the silence after a ping has lasted too long.
    pub(crate) fn deadline(&self, timing: &Timing) -> (Time, Timer) {
        match self.pinged {
            Some(pinged) => (pinged + clamp_timeout(timing.ping_timeout), Timer::Silence),
            None => (self.heard + clamp_timeout(timing.ping_interval), Timer::Ping),
        }
    }

    /// Asks for a ping. While nothing is read, a missing answer would say nothing: then silence counts from now.
    pub(crate) fn ping(&mut self, now: Time, is_reading: bool) {
        if is_reading {
            self.pinged = Some(now);
        } else {
            self.restart(now);
        }
        self.wants_ping = true;
    }

    pub(crate) fn wants_ping(&self) -> bool {
        self.wants_ping
    }

    /// Returns whether a ping is to be written, once.
    pub(crate) fn take_ping(&mut self) -> bool {
        std::mem::take(&mut self.wants_ping)
    }
}
