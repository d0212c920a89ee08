//! The machine alone: time by divan, instructions by valgrind, allocations.
#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.

mod counts;
mod divan;
mod plot;

use crate::page::{Row, table, times};
use crate::{Figures, Result, cargo, root};
use relayline_bench::machine::Load;
use relayline_bench::workloads::NAMES;
use serde::{Deserialize, Serialize};

/// Figures of the part.
#[derive(Serialize, Deserialize)]
pub(crate) struct MachineFigures {
    /// Median time of a call, in nanoseconds, by the name of a bench, or by its name and argument: `chats/10`.
    time_ns: Figures,
    /// Instructions of a call; empty where valgrind is not installed.
    instructions: Figures,
    /// Allocations of a call.
    allocations: Figures,
}

/// Measures the part, and draws the plot of the page.
pub(crate) fn measure() -> Result<MachineFigures> {
    let time_ns = divan::run();
    let allocations = NAMES.iter().map(|name| ((*name).to_owned(), counts::allocations(name))).collect();
    // After divan: to run it, cargo replaces the programs of this package by such with other features of dependencies.
    let peer = cargo::build("relayline-bench", "bench-peer", "release")?;
    let instructions = NAMES
        .iter()
        .map_while(|name| Some(((*name).to_owned(), counts::instructions(&peer, name)?)))
        .collect::<Figures>();
    if instructions.is_empty() {
        println!("valgrind is not installed: instructions are not counted");
    }
    std::fs::write(root().join("docs/performance.svg"), plot::cost_by_size(&time_ns))?;
    Ok(MachineFigures { time_ns, instructions, allocations })
}

/// Row of the table that is a ratio of two figures.
struct Ratio {
    what: &'static str,
    ours: &'static str,
    theirs: &'static str,
    /// Name of the other side.
    than: &'static str,
    target: f64,
}

const RATIOS: [Ratio; 2] = [
    Ratio {
        what: "an event, from its bytes to the host, accepted",
        ours: "event",
        theirs: "serde_owned",
        than: "parsing the frame into owned structs",
        target: 0.9,
    },
    Ratio {
        what: "a message, submitted and written, and its result",
        ours: "request",
        theirs: "serde_writer",
        than: "`serde_json::to_writer` of the frame",
        target: 2.0,
    },
];

/// Most allocations of a call that are allowed.
const ALLOCATIONS: [(&str, &str, f64); 3] = [
    ("an event with a text of over 24 bytes", "event", 2.0),
    ("the same as an entry of the connector's buffer, with its acknowledgement", "buffered_event", 3.0),
    ("a message and its result", "request", 1.0),
];

/// Greatest factor from the cost at the smallest size to that at the largest.
const MOST_GROWTH: f64 = 1.15;

/// Returns the table of the part, as Markdown. A figure that the latest run did not have is a dash.
pub(crate) fn tables(figures: &MachineFigures) -> String {
    let mut rows = Vec::new();
    for Ratio { what, ours, theirs, than, target } in RATIOS {
        let time = times(ratio(&figures.time_ns, ours, theirs));
        let instructions = ratio(&figures.instructions, ours, theirs)
            .map_or_else(String::new, |ratio| format!(" ({ratio:.2} × its instructions)"));
        rows.push(Row {
            what: what.to_owned(),
            measured: format!("{time} the time of {than}{instructions}"),
            target: format!("≤ {target} ×"),
        });
    }
    for (what, name, most) in ALLOCATIONS {
        rows.push(Row {
            what: format!("allocations: {what}"),
            measured: figures
                .allocations
                .get(name)
                .map_or_else(|| "–".to_owned(), |count| format!("{count:.2}")),
            target: format!("≤ {most}"),
        });
    }
    for load in Load::ALL {
        let growth = ratio(&figures.time_ns, &format!("{load}/100000"), &format!("{load}/10"));
        rows.push(Row {
            what: format!("an event, with 100,000 {load} instead of 10"),
            measured: times(growth),
            target: format!("≤ {MOST_GROWTH} ×"),
        });
    }
    table(&rows)
}

fn ratio(figures: &Figures, ours: &str, theirs: &str) -> Option<f64> {
    Some(figures.get(ours)? / figures.get(theirs)?)
}
