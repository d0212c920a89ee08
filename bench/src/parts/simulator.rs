//! The simulator of `relayline simulate`: its events per second of processor time.

use super::median;
use crate::child::Child;
use crate::page::{Row, in_thousands, table};
use crate::{Result, cargo};
use serde::{Deserialize, Serialize};
use std::process::Command;

/// Figures of the part: medians of the rounds.
#[derive(Serialize, Deserialize)]
pub(crate) struct SimulatorFigures {
    /// Number of events per second on one core.
    per_second: f64,
}

const ROUNDS: usize = 3;
/// Seeds of a round: each is a run under each of five profiles.
const SEEDS: &str = "0..100";

/// Least number of events per second on one core.
const LEAST_PER_SECOND: f64 = 400_000.0;

/// Summary of the simulator, with the fields that this part needs.
#[derive(Deserialize)]
struct Summary {
    events: u64,
}

/// Measures the part.
///
/// # Errors
/// An invariant fails, or the system is not Linux.
pub(crate) fn measure() -> Result<SimulatorFigures> {
    let relayline = cargo::build("relayline", "relayline", "release")?;
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        eprintln!("simulator: round {round} of {ROUNDS}");
        let mut command = Command::new(&relayline);
        let mut simulator =
            Child::start(command.args(["simulate", "--seeds", SEEDS, "--jobs", "1", "--json"]))?;
        let Summary { events } = simulator.report()?;
        rounds.push(events as f64 / simulator.finish()?.as_secs_f64());
    }
    Ok(SimulatorFigures { per_second: median(&rounds, |per_second| *per_second) })
}

/// Returns the table of the part, as Markdown.
pub(crate) fn tables(SimulatorFigures { per_second }: &SimulatorFigures) -> String {
    table(&[Row {
        what: "events per second and core by `relayline simulate`".to_owned(),
        measured: in_thousands(*per_second),
        target: format!("≥ {}", in_thousands(LEAST_PER_SECOND)),
    }])
}
