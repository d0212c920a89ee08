//! Time as plain numbers: they come from a file as well as from a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Monotonic microseconds since an origin that the host chooses (process start, say).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// The host's origin.
    pub const ZERO: Time = Time(0);
    /// The end of time, which sums saturate at: what is due then never comes, so that no timer stays due for ever.
    pub const NEVER: Time = Time(u64::MAX);

    /// A point `us` microseconds after the origin.
    pub const fn from_micros(us: u64) -> Self {
        Time(us)
    }

    /// A point `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Time(ms.saturating_mul(1000))
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the origin, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    /// Saturates at [`Time::NEVER`]: a deadline too far to count is never reached.
    fn add(self, by: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, by: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Time {
    /// Seconds with milliseconds, as traces print it: `12.345`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// The moment of an input: one monotonic clock for timers, the wall clock for tokens alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// The monotonic clock. Going backwards, jumping or standing still is harmless (L-15).
    pub mono: Time,
    /// Unix seconds; only tokens read it.
    pub unix_s: u64,
}

/// Returns a time-out as configured, one millisecond at least: a shorter one could leave a timer due after it has fired.
pub(crate) fn clamp_timeout(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// Writes a span in whole seconds, or in milliseconds where it is no multiple of one.
pub fn in_words(span: Duration) -> String {
    match span.subsec_nanos() {
        0 => format!("{} s", span.as_secs()),
        _ => format!("{} ms", span.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_15_arithmetic_never_overflows() {
        let end = Time::from_micros(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Time::ZERO - Duration::MAX, Time::ZERO);
        assert_eq!(Time::ZERO.since(end), Duration::ZERO);
        assert_eq!(Time::from_millis(12_345).to_string(), "12.345");
    }
}
