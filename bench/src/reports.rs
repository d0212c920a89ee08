//! Reports of the processes that are measured: each prints one, as a line of JSON.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Number of events or ops before a gateway starts to measure its throughput. Events fill the memories of messages and of
/// chats meanwhile.
pub const WARM_UP: u64 = 10_000;

/// Number of round trips before a gateway starts to measure.
pub const WARM_UP_ROUND_TRIPS: u64 = 2000;

/// Number of requests that a host keeps in flight while the throughput of requests is measured.
pub const WINDOW: usize = 64;

/// Number of events that each of many gateways gets before it is idle.
pub const TRAFFIC_EVENTS: u64 = 20;

/// Time for which many gateways are idle: twice the interval of their pings.
pub const IDLE_SPAN: Duration = Duration::from_secs(60);

/// Report of a connector that waits for gateways.
#[derive(Serialize, Deserialize, Debug)]
pub struct Listening {
    /// Port on this computer.
    pub port: u16,
    /// Certificate of the port in PEM form, if it speaks TLS.
    pub certificate: Option<String>,
}

/// Report of a gateway that has received events, or of a host that has got the results of its ops.
#[derive(Serialize, Deserialize, Debug)]
pub struct Throughput {
    /// Number of events or ops that were measured.
    pub count: u64,
    /// Time from the first to the last of them, in nanoseconds.
    pub wall_ns: u64,
    /// Time of all threads of the reporting process on a processor meanwhile, in nanoseconds.
    pub cpu_ns: u64,
}

impl Throughput {
    /// Returns the number per second.
    pub fn per_second(&self) -> f64 {
        self.count as f64 / (self.wall_ns as f64 / 1e9)
    }
}

/// Report of a gateway that has sent requests, each after the result of the one before.
#[derive(Serialize, Deserialize, Debug)]
pub struct RoundTrips {
    /// Median time from the request to its result, in nanoseconds.
    pub p50_ns: u64,
    /// Time that 1 % of the round trips exceed, in nanoseconds.
    pub p99_ns: u64,
}

/// Report of a process with many gateways.
#[derive(Serialize, Deserialize, Debug)]
pub struct Idle {
    /// Resident memory before the first connection, in KiB.
    pub before_kib: u64,
    /// Resident memory after the traffic of all gateways, in KiB.
    pub after_kib: u64,
    /// Time of all threads on a processor while all gateways are idle, as a part of one core.
    pub cores: f64,
}

/// Report of a connector that all its gateways have left.
#[derive(Serialize, Deserialize, Debug)]
pub struct Served {
    /// Number of pings of all gateways.
    pub pings: u64,
}
