//! Points in time as plain numbers, from a clock or from a file.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Monotonic time in microseconds since an origin that the host chooses, for instance its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// Origin of the host's clock.
    pub const ZERO: Time = Time(0);
    /// Maximum time, at which sums saturate. A deadline at this time never expires.
    pub const NEVER: Time = Time(u64::MAX);

    /// Creates a time `us` microseconds after the origin.
    pub const fn from_micros(us: u64) -> Self {
        Time(us)
    }

    /// Creates a time `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Time(ms.saturating_mul(1000))
    }

    /// Returns the microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the milliseconds since the origin, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the time elapsed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    /// Adds a duration, saturating at [`Time::NEVER`].
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
    /// Writes seconds with milliseconds, as in `12.345`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// Time of an input: a monotonic clock for timers, and the wall clock for tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic time. Going backwards, jumping or stopping is harmless.
    pub mono: Time,
    /// Wall clock in Unix seconds, used for tokens.
    pub unix_s: u64,
}

/// Returns a configured time-out, raised to one millisecond: a shorter one could leave a timer due after it has
/// fired.
pub(crate) fn clamp_timeout(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// Formats a duration in seconds, or in milliseconds if it is not a multiple of a second.
pub fn format_span(span: Duration) -> String {
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
        assert_eq!(Time::from_millis(5) - Duration::from_millis(2), Time::from_millis(3));
        assert_eq!(Time::from_millis(12_345).to_string(), "12.345");
    }

    #[test]
    fn a_duration_is_shown_in_its_exact_unit() {
        for (ms, shown) in [(0, "0 s"), (30_000, "30 s"), (1500, "1500 ms")] {
            assert_eq!(format_span(Duration::from_millis(ms)), shown);
        }
    }
}
