//! The table of results, and the page that has it.

use crate::Measured;
use relayline_bench::machine::Load;
use std::fmt::Write as _;
use std::path::Path;

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

/// Returns the table, as Markdown.
pub(crate) fn table(measured: &Measured) -> String {
    let mut table = "| what | measured | target |\n|---|---|---|\n".to_owned();
    for Ratio { what, ours, theirs, than, target } in RATIOS {
        let time = measured.time[ours] / measured.time[theirs];
        let instructions = match (measured.instructions.get(ours), measured.instructions.get(theirs)) {
            (Some(ours), Some(theirs)) => format!(" ({:.2} × its instructions)", ours / theirs),
            _ => String::new(),
        };
        let _ = writeln!(table, "| {what} | {time:.2} × the time of {than}{instructions} | ≤ {target} × |");
    }
    for (what, name, most) in ALLOCATIONS {
        let _ = writeln!(table, "| allocations: {what} | {:.2} | ≤ {most} |", measured.allocations[name]);
    }
    for load in Load::ALL {
        let at = |count: u32| measured.time[&format!("{load}/{count}")];
        let growth = at(100_000) / at(10);
        let _ = writeln!(
            table,
            "| an event, with 100,000 {load} instead of 10 | {growth:.2} × | ≤ {MOST_GROWTH} × |"
        );
    }
    table
}

/// Begin and end of the generated part of the page.
const MARKERS: (&str, &str) = ("<!-- table: cargo bench-all -->\n", "<!-- end of the table -->\n");

/// Replaces the table of the page.
pub(crate) fn write(path: &Path, table: &str) {
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(MARKERS.0).expect("the page marks the place of its table");
    let (_, after) = rest.split_once(MARKERS.1).expect("the page marks the end of its table");
    std::fs::write(path, format!("{before}{}{table}{}{after}", MARKERS.0, MARKERS.1)).unwrap();
}
