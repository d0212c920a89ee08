//! The bridge of `relayline run --exec` with an agent in Rust, beside a host of the library on the same runtime.

use super::median;
use crate::child::{Child, start_connector};
use crate::page::{Row, in_thousands, table, times};
use crate::{Result, cargo};
use relayline_bench::reports::{Throughput, WARM_UP};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Figures of the part: numbers per second, medians of the rounds.
#[derive(Serialize, Deserialize)]
pub(crate) struct BridgeFigures {
    events: Sides,
    ops: Sides,
}

#[derive(Serialize, Deserialize)]
struct Sides {
    /// Number per second through the bridge.
    bridge: f64,
    /// Number per second in a host of the library.
    library: f64,
}

impl Sides {
    fn of(rounds: &[(Throughput, Throughput)]) -> Sides {
        Sides {
            bridge: median(rounds, |(bridge, _)| bridge.per_second()),
            library: median(rounds, |(_, library)| library.per_second()),
        }
    }
}

/// Number of times that each process is measured. The processes take turns.
const ROUNDS: usize = 5;
const EVENTS: u64 = 200_000;
const OPS: u64 = 200_000;

/// Least factor of the library's numbers per second.
const LEAST: f64 = 0.5;

/// Programs of the part.
struct Programs {
    peer: PathBuf,
    relayline: PathBuf,
}

/// Measures the part.
///
/// # Errors
/// A process fails.
pub(crate) fn measure() -> Result<BridgeFigures> {
    let programs = Programs {
        peer: cargo::build("relayline-bench", "bench-peer", "release")?,
        relayline: cargo::build("relayline", "relayline", "release")?,
    };
    let (mut events, mut ops) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        eprintln!("bridge: round {round} of {ROUNDS}");
        events.push((programs.receive_by_agent()?, programs.receive_by_library()?));
        ops.push((programs.request_by_agent()?, programs.request_by_library()?));
    }
    Ok(BridgeFigures { events: Sides::of(&events), ops: Sides::of(&ops) })
}

impl Programs {
    fn receive_by_agent(&self) -> Result<Throughput> {
        let (_connector, port) = sender(&self.peer)?;
        self.run_agent(port, ["receive", &EVENTS.to_string()])
    }

    fn receive_by_library(&self) -> Result<Throughput> {
        let (_connector, port) = sender(&self.peer)?;
        let arguments = ["receive", "tokio", &port.to_string(), &EVENTS.to_string()];
        Child::start(Command::new(&self.peer).args(arguments))?.report()
    }

    fn request_by_agent(&self) -> Result<Throughput> {
        let (_connector, port) = start_connector(&self.peer, &["answer"])?;
        self.run_agent(port, ["request", &OPS.to_string()])
    }

    fn request_by_library(&self) -> Result<Throughput> {
        let (_connector, port) = start_connector(&self.peer, &["answer"])?;
        let arguments = ["pump", &port.to_string(), &OPS.to_string()];
        Child::start(Command::new(&self.peer).args(arguments))?.report()
    }

    /// Runs an agent by `relayline run --exec`. When its gateway is killed, its guard ends the agent.
    fn run_agent(&self, port: u16, arguments: [&str; 2]) -> Result<Throughput> {
        let url = format!("ws://127.0.0.1:{port}");
        let mut gateway = Command::new(&self.relayline);
        // The user's own gateway may be configured by the environment.
        gateway.env_clear().args(["run", "--quiet", "--runtime", "tokio", "--url", &url]);
        gateway.args(["--identity", "discord:1", "--exec"]).arg(&self.peer).arg("agent").args(arguments);
        Child::start_reporting_on_stderr(&mut gateway)?.report()
    }
}

/// Starts a connector that sends events.
fn sender(peer: &Path) -> Result<(Child, u16)> {
    start_connector(peer, &["send", &(WARM_UP + EVENTS).to_string()])
}

/// Returns the tables of the part, as Markdown: the ratios that have targets, and the figures that they are of.
pub(crate) fn tables(figures: &BridgeFigures) -> String {
    let kinds = [("events per second", &figures.events), ("ops per second", &figures.ops)];
    let rows = kinds.map(|(what, sides)| Row {
        what: format!("{what}, by `relayline run --exec` with an agent in Rust"),
        measured: format!("{} the library's on tokio", times(Some(sides.bridge / sides.library))),
        target: format!("≥ {LEAST} ×"),
    });
    let mut tables = table(&rows) + "\n| per second | bridge | library |\n|---|---|---|\n";
    for (what, Sides { bridge, library }) in [("events", &figures.events), ("ops", &figures.ops)] {
        let _ = writeln!(tables, "| {what} | {} | {} |", in_thousands(*bridge), in_thousands(*library));
    }
    tables
}
