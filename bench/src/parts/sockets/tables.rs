//! Tables of the sockets.

use super::{EventFigures, RoundTripFigures, SocketFigures};
use crate::page::{Row, in_thousands, table, times};
use std::fmt::Write as _;

/// Targets of a runtime, as factors of the hand-written loop's figures.
struct Target {
    runtime: &'static str,
    most_cpu: f64,
    least_per_second: f64,
}

const TARGETS: [Target; 2] = [
    Target { runtime: "tokio", most_cpu: 0.85, least_per_second: 1.2 },
    Target { runtime: "smol", most_cpu: 1.0, least_per_second: 1.0 },
];

/// Targets of round trips, as factors of a bare WebSocket's times.
const MOST_P50: f64 = 1.1;
const MOST_P99: f64 = 1.3;

/// Names of processes in the results, and in the tables of figures.
const EVENTS: [(&str, &str); 5] = [
    ("tokio", "relayline on tokio"),
    ("smol", "relayline on smol"),
    ("hand-written", "hand-written loop on tokio"),
    ("bare", "async-tungstenite on tokio, nothing parsed"),
    ("python", "Python: `websockets` and `json`"),
];
const ROUND_TRIPS: [(&str, &str); 4] = [
    ("tokio", "relayline on tokio"),
    ("bare-tokio", "async-tungstenite on tokio"),
    ("smol", "relayline on smol"),
    ("bare-smol", "async-tungstenite on smol"),
];

/// Returns the tables of the part, as Markdown: the ratios that have targets, and the figures that they are of.
pub(crate) fn tables(figures: &SocketFigures) -> String {
    let mut rows = Vec::new();
    for Target { runtime, most_cpu, .. } in &TARGETS {
        let factor = event_ratio(figures, runtime, |figures| figures.cpu_ns);
        rows.push(Row {
            what: format!("CPU per event, socket to host, one connection, on {runtime}"),
            measured: format!("{} the hand-written loop's", times(factor)),
            target: format!("≤ {most_cpu:?} ×"),
        });
    }
    for Target { runtime, least_per_second, .. } in &TARGETS {
        let factor = event_ratio(figures, runtime, |figures| figures.per_second);
        rows.push(Row {
            what: format!("events per second, the same, on {runtime}"),
            measured: format!("{} the hand-written loop's", times(factor)),
            target: format!("≥ {least_per_second:?} ×"),
        });
    }
    for Target { runtime, .. } in &TARGETS {
        let p50 = times(round_trip_ratio(figures, runtime, |figures| figures.p50_ns));
        let p99 = times(round_trip_ratio(figures, runtime, |figures| figures.p99_ns));
        rows.push(Row {
            what: format!("round trip p50, p99 on {runtime}"),
            measured: format!("{p50}, {p99} a bare WebSocket's on {runtime}"),
            target: format!("≤ {MOST_P50} ×, ≤ {MOST_P99} ×"),
        });
    }
    let mut tables = table(&rows);
    tables += "\n| events, socket to host | CPU per event | events per second |\n|---|---|---|\n";
    for (name, what) in EVENTS {
        if let Some(EventFigures { cpu_ns, per_second }) = figures.events.get(name) {
            let _ = writeln!(tables, "| {what} | {:.2} µs | {} |", cpu_ns / 1e3, in_thousands(*per_second));
        }
    }
    tables += "\n| round trip | p50 | p99 |\n|---|---|---|\n";
    for (name, what) in ROUND_TRIPS {
        if let Some(RoundTripFigures { p50_ns, p99_ns }) = figures.round_trips.get(name) {
            let _ = writeln!(tables, "| {what} | {:.0} µs | {:.0} µs |", p50_ns / 1e3, p99_ns / 1e3);
        }
    }
    tables
}

fn event_ratio(figures: &SocketFigures, runtime: &str, figure: fn(&EventFigures) -> f64) -> Option<f64> {
    Some(figure(figures.events.get(runtime)?) / figure(figures.events.get("hand-written")?))
}

fn round_trip_ratio(
    figures: &SocketFigures,
    runtime: &str,
    figure: fn(&RoundTripFigures) -> f64,
) -> Option<f64> {
    let bare = figures.round_trips.get(&format!("bare-{runtime}"))?;
    Some(figure(figures.round_trips.get(runtime)?) / figure(bare))
}
