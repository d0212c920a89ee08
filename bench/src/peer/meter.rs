//! Measurement of a process by itself: time, and time on a processor.

use crate::Result;
use relayline_bench::process::cpu_time;
use relayline_bench::reports::{RoundTrips, Throughput, WARM_UP, WARM_UP_ROUND_TRIPS};
use std::time::{Duration, Instant};

/// Counts events or ops, and measures those after the warm-up.
pub(crate) struct ThroughputMeter {
    seen: u64,
    count: u64,
    started: Option<(Instant, Duration)>,
}

impl ThroughputMeter {
    /// Creates a meter that measures `count` events or ops.
    pub(crate) fn new(count: u64) -> ThroughputMeter {
        ThroughputMeter { seen: 0, count, started: None }
    }

    /// Counts one. Returns the report after the last one.
    ///
    /// # Errors
    /// The system has no clock of a process.
    pub(crate) fn count(&mut self) -> Result<Option<Throughput>> {
        self.seen += 1;
        if self.seen == WARM_UP {
            self.started = Some((Instant::now(), cpu_time()?));
        }
        let Some((started, cpu)) = self.started else { return Ok(None) };
        if self.seen < WARM_UP + self.count {
            return Ok(None);
        }
        let (wall, cpu) = (started.elapsed(), cpu_time()? - cpu);
        Ok(Some(Throughput { count: self.count, wall_ns: nanoseconds(wall), cpu_ns: nanoseconds(cpu) }))
    }
}

/// Measures round trips after the warm-up.
pub(crate) struct RoundTripMeter {
    seen: u64,
    times: Vec<Duration>,
}

impl RoundTripMeter {
    pub(crate) fn new() -> RoundTripMeter {
        RoundTripMeter { seen: 0, times: Vec::new() }
    }

    /// Counts a round trip that has begun at `started` and ends now.
    pub(crate) fn count(&mut self, started: Instant) {
        self.seen += 1;
        if self.seen > WARM_UP_ROUND_TRIPS {
            self.times.push(started.elapsed());
        }
    }

    /// Returns the report.
    ///
    /// # Errors
    /// No round trip was measured.
    pub(crate) fn report(mut self) -> Result<RoundTrips> {
        self.times.sort_unstable();
        let quantile = |percent: usize| {
            let time =
                self.times.get(self.times.len() * percent / 100).ok_or("no round trip was measured")?;
            Ok::<_, &str>(nanoseconds(*time))
        };
        Ok(RoundTrips { p50_ns: quantile(50)?, p99_ns: quantile(99)? })
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
