//! Idle gateways, many in one process: the memory and the processor time of each.

use crate::child::Child;
use crate::page::{Row, table};
use crate::{Result, cargo};
use relayline_bench::reports::{Idle, Listening, Served};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::Command;

/// Figures of the part.
#[derive(Serialize, Deserialize)]
pub(crate) struct IdleFigures {
    plain: CrowdFigures,
    tls: CrowdFigures,
}

#[derive(Serialize, Deserialize)]
struct CrowdFigures {
    /// Resident memory of a gateway, in KiB.
    resident_kib: f64,
    /// Time of all gateways on a processor, as a part of one core.
    cores: f64,
}

/// Number of gateways in the process.
const GATEWAYS: u64 = 2000;

/// Most resident memory of a gateway, in KiB.
const MOST_PLAIN_KIB: f64 = 16.0;
const MOST_TLS_KIB: f64 = 26.0;
/// Most time of all gateways on a processor, as a part of one core.
const MOST_CORES: f64 = 0.0005;

/// Measures the part.
///
/// # Errors
/// A process fails, or the system is not Linux.
pub(crate) fn measure() -> Result<IdleFigures> {
    let peer = cargo::build("relayline-bench", "bench-peer", "release")?;
    Ok(IdleFigures { plain: crowd(&peer, "plain")?, tls: crowd(&peer, "tls")? })
}

/// Measures a process with many gateways.
fn crowd(peer: &Path, transport: &str) -> Result<CrowdFigures> {
    eprintln!("idle: {GATEWAYS} gateways, {transport}");
    let count = GATEWAYS.to_string();
    let mut connector = Child::start(Command::new(peer).args(["serve", transport, &count]))?;
    let Listening { port, certificate } = connector.report()?;
    let mut gateways = Command::new(peer);
    gateways.args(["idle", &port.to_string(), &count]).args(certificate);
    let mut gateways = Child::start(&mut gateways)?;
    let Idle { before_kib, after_kib, cores } = gateways.report()?;
    drop(gateways);
    let Served { pings } = connector.report()?;
    if pings < GATEWAYS {
        return Err(format!("{GATEWAYS} gateways have sent {pings} pings only").into());
    }
    Ok(CrowdFigures { resident_kib: after_kib.saturating_sub(before_kib) as f64 / GATEWAYS as f64, cores })
}

/// Returns the table of the part, as Markdown.
pub(crate) fn tables(IdleFigures { plain, tls }: &IdleFigures) -> String {
    let percent = |cores: f64| format!("{:.3} %", cores * 100.0);
    table(&[
        Row {
            what: "resident memory of an idle gateway, plain, over TLS".to_owned(),
            measured: format!("{:.1} KiB, {:.1} KiB", plain.resident_kib, tls.resident_kib),
            target: format!("≤ {MOST_PLAIN_KIB} KiB, ≤ {MOST_TLS_KIB} KiB"),
        },
        Row {
            what: "CPU of 2,000 idle gateways with their pings, plain, over TLS".to_owned(),
            measured: format!("{} of a core, {}", percent(plain.cores), percent(tls.cores)),
            target: format!("≤ {:.2} %", MOST_CORES * 100.0),
        },
    ])
}
