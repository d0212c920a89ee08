//! The program as it is packaged: its size, and the time that it takes to start.

use super::median;
use crate::page::{Row, table};
use crate::{Result, cargo};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Figures of the part.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProgramFigures {
    /// Size of the file, in MiB.
    mib: f64,
    /// Median time of `--version`, in milliseconds.
    start_ms: f64,
    /// Minimum time of `--version`, in milliseconds.
    fastest_start_ms: f64,
}

/// Profile of packages.
const PROFILE: &str = "dist";
/// Number of times that the program is started.
const STARTS: usize = 50;

/// Most size of the file, in MiB.
const MOST_MIB: f64 = 8.0;
/// Most median time of `--version`, in milliseconds.
const MOST_START_MS: f64 = 5.0;

/// Measures the part.
///
/// # Errors
/// The program cannot be built or started.
pub(crate) fn measure() -> Result<ProgramFigures> {
    let relayline = cargo::build("relayline", "relayline", PROFILE)?;
    let mib = fs::metadata(&relayline)?.len() as f64 / f64::from(1 << 20);
    let starts: Vec<Duration> = (0..STARTS).map(|_| start(&relayline)).collect::<Result<_>>()?;
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1e3;
    let fastest_start_ms = starts.iter().map(milliseconds).fold(f64::INFINITY, f64::min);
    Ok(ProgramFigures { mib, start_ms: median(&starts, milliseconds), fastest_start_ms })
}

/// Runs `--version`. Returns the time from the request to start it until its end is known.
fn start(relayline: &Path) -> Result<Duration> {
    let started = Instant::now();
    let status = Command::new(relayline).arg("--version").stdout(Stdio::null()).status()?;
    let time = started.elapsed();
    if !status.success() {
        return Err(format!("{} --version: {status}", relayline.display()).into());
    }
    Ok(time)
}

/// Returns the table of the part, as Markdown.
pub(crate) fn tables(ProgramFigures { mib, start_ms, fastest_start_ms }: &ProgramFigures) -> String {
    table(&[
        Row {
            what: format!("`relayline`, stripped, with `--profile {PROFILE}`"),
            measured: format!("{mib:.1} MiB"),
            target: format!("≤ {MOST_MIB} MiB"),
        },
        Row {
            what: "`relayline --version`".to_owned(),
            measured: format!("{start_ms:.1} ms (fastest {fastest_start_ms:.1} ms)"),
            target: format!("≤ {MOST_START_MS} ms"),
        },
    ])
}
