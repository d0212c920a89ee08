//! Monotonic clock of a process. It goes on while the machine is suspended, so that a lease ends then, too.

use relayline_core::time::Time;
use std::time::Duration;

/// Clock that goes on while the machine is suspended. Elsewhere the monotonic one does.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// Returns the time since some moment in the past. It is the same moment for the whole life of the process.
#[cfg(unix)]
pub(crate) fn elapsed() -> Duration {
    let time = rustix::time::clock_gettime(CLOCK);
    // Both are never negative for these clocks.
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0))
}

/// Returns the time since some moment in the past. It is the same moment for the whole life of the process.
#[cfg(not(unix))]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the hosts of the machines have this clock"
)]
pub(crate) fn elapsed() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Returns the time since some moment in the past. It is the same moment for the whole life of the process.
pub fn now() -> Time {
    Time::ZERO + elapsed()
}
