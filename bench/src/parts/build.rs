//! A build of the program from clean.

use crate::page::{Row, table};
use crate::{Result, cargo};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tempfile::TempDir;

/// Figures of the part.
#[derive(Serialize, Deserialize)]
pub(crate) struct BuildFigures {
    seconds: f64,
}

/// Number of processes of the compiler at a time.
const JOBS: u32 = 2;

/// Most time of the build, in seconds.
const MOST_SECONDS: f64 = 120.0;

/// Measures the part.
///
/// # Errors
/// The build fails, or would have to download a dependency: the download would count.
pub(crate) fn measure() -> Result<BuildFigures> {
    eprintln!("build: it takes some minutes");
    // Deleted when this is dropped.
    let target = TempDir::new()?;
    let mut build = cargo::command();
    build.args(["build", "--release", "--quiet", "--offline", "--jobs", &JOBS.to_string(), "--target-dir"]);
    let started = Instant::now();
    let status = build.arg(target.path()).status()?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err("the build fails: if a dependency is missing, run `cargo fetch`".into());
    }
    Ok(BuildFigures { seconds })
}

/// Returns the table of the part, as Markdown.
pub(crate) fn tables(BuildFigures { seconds }: &BuildFigures) -> String {
    table(&[Row {
        what: format!("`cargo build --release` from clean, {JOBS} jobs"),
        measured: format!("{seconds:.0} s"),
        target: format!("≤ {MOST_SECONDS} s"),
    }])
}
