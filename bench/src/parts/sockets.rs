//! Gateways over a socket, beside hand-written ones: each gateway in a process, its connector in another.

mod tables;

pub(crate) use tables::tables;

use super::median;
use crate::child::{Child, start_connector};
use crate::{Result, cargo, root};
use relayline_bench::reports::{RoundTrips, Throughput, WARM_UP};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Figures of the part: medians of the rounds.
#[derive(Serialize, Deserialize)]
pub(crate) struct SocketFigures {
    /// Events from the socket to the host, by the receiver.
    events: BTreeMap<String, EventFigures>,
    /// A request and its result, by the requester.
    round_trips: BTreeMap<String, RoundTripFigures>,
}

#[derive(Serialize, Deserialize)]
struct EventFigures {
    /// Time of all threads of the receiver on a processor, per event, in nanoseconds.
    cpu_ns: f64,
    per_second: f64,
}

#[derive(Serialize, Deserialize)]
struct RoundTripFigures {
    p50_ns: f64,
    p99_ns: f64,
}

/// Number of times that each process is measured. The processes take turns, so that a disturbance of the computer falls
/// on all of them.
const ROUNDS: usize = 5;

/// Receivers and their numbers of events. Python gets fewer, since it takes longer.
const RECEIVERS: [(&str, u64); 5] =
    [("hand-written", 500_000), ("tokio", 500_000), ("smol", 500_000), ("bare", 500_000), (PYTHON, 50_000)];
const PYTHON: &str = "python";

const REQUESTERS: [&str; 4] = ["bare-tokio", "tokio", "bare-smol", "smol"];
const REQUESTS: u64 = 20_000;

/// Measures the part.
///
/// # Errors
/// A process fails, or the system has no clock of a process.
pub(crate) fn measure() -> Result<SocketFigures> {
    let peer = cargo::build("relayline-bench", "bench-peer", "release")?;
    let has_websockets = has_websockets();
    if !has_websockets {
        println!("the package websockets of Python is not installed: Python is not measured");
    }
    let mut events: BTreeMap<&str, Vec<Throughput>> = BTreeMap::new();
    let mut round_trips: BTreeMap<&str, Vec<RoundTrips>> = BTreeMap::new();
    for round in 1..=ROUNDS {
        eprintln!("sockets: round {round} of {ROUNDS}");
        for (receiver, count) in RECEIVERS {
            if receiver != PYTHON || has_websockets {
                events.entry(receiver).or_default().push(receive(&peer, receiver, count)?);
            }
        }
        for requester in REQUESTERS {
            round_trips.entry(requester).or_default().push(request(&peer, requester)?);
        }
    }
    let events = events.into_iter().map(|(receiver, rounds)| {
        let figures = EventFigures {
            cpu_ns: median(&rounds, |round| round.cpu_ns as f64 / round.count as f64),
            per_second: median(&rounds, Throughput::per_second),
        };
        (receiver.to_owned(), figures)
    });
    let round_trips = round_trips.into_iter().map(|(requester, rounds)| {
        let figures = RoundTripFigures {
            p50_ns: median(&rounds, |round| round.p50_ns as f64),
            p99_ns: median(&rounds, |round| round.p99_ns as f64),
        };
        (requester.to_owned(), figures)
    });
    Ok(SocketFigures { events: events.collect(), round_trips: round_trips.collect() })
}

/// Lets a receiver receive events from a connector.
fn receive(peer: &Path, receiver: &str, count: u64) -> Result<Throughput> {
    let (_connector, port) = start_connector(peer, &["send", &(WARM_UP + count).to_string()])?;
    let (port, count) = (port.to_string(), count.to_string());
    let mut gateway = if receiver == PYTHON {
        let mut python = Command::new("python3");
        python.arg(root().join("bench/peers/receive.py")).args([&port, &WARM_UP.to_string(), &count]);
        Child::start(&mut python)?
    } else {
        Child::start(Command::new(peer).args(["receive", receiver, &port, &count]))?
    };
    gateway.report()
}

/// Lets a requester send requests to a connector.
fn request(peer: &Path, requester: &str) -> Result<RoundTrips> {
    let (_connector, port) = start_connector(peer, &["answer"])?;
    let arguments = ["request", requester, &port.to_string(), &REQUESTS.to_string()];
    Child::start(Command::new(peer).args(arguments))?.report()
}

/// Returns true if Python has the package that its receiver needs.
fn has_websockets() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import websockets.asyncio.client"]).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}
