//! Flags of reports, and the files that they name.

use crate::complain;
use clap::Args;
use relayline_harness::conformance::report::{Report, html, junit, markdown};
use relayline_harness::conformance::{Baseline, Side, scenarios};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Flags of reports.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
pub(super) struct ReportArguments {
    /// Write the report as JSON. - is stdout, which then has nothing else.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write the report as Markdown, as for $GITHUB_STEP_SUMMARY.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// Write the report as one HTML page, with the recording of each failed scenario.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write what was tested, and all versions, as JSON; to stdout by default.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    manifest: Option<PathBuf>,

    /// File with the names of scenarios that are expected to fail, one a line.
    ///
    /// They do not count as failures. If one of them passes, the run fails, so that the list stays true.
    #[arg(long, value_name = "FILE")]
    expected_failures: Option<PathBuf>,
}

impl ReportArguments {
    /// Returns true if stdout has a report, so that the lines of scenarios go to stderr.
    pub(super) fn takes_stdout(&self) -> bool {
        let all = [&self.json, &self.junit, &self.markdown, &self.html, &self.manifest];
        all.into_iter().flatten().any(|path| is_stdout(path))
    }

    /// Reads the expected failures.
    ///
    /// # Errors
    /// The file cannot be read, or names a scenario that does not exist.
    pub(super) fn baseline(&self, side: Side) -> Result<Baseline, String> {
        let Some(path) = &self.expected_failures else { return Ok(Baseline::default()) };
        let fail = |error: String| format!("--expected-failures {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
        let all = scenarios(side).map_err(|error| error.to_string())?;
        Baseline::parse(&text, &super::selection::names(&all)).map_err(|error| fail(error.to_string()))
    }

    /// Writes the requested files. Returns false if one could not be written.
    pub(super) fn write(&self, report: &Report) -> bool {
        let files = [
            ("json", &self.json, (|report| format!("{:#}\n", report.to_json())) as fn(&Report) -> String),
            ("junit", &self.junit, junit),
            ("markdown", &self.markdown, markdown),
            ("html", &self.html, html),
            ("manifest", &self.manifest, |report| format!("{:#}\n", manifest(report))),
        ];
        let mut is_written = true;
        for (flag, path, content) in files {
            let Some(path) = path else { continue };
            if let Err(error) = write(path, &content(report)) {
                complain(format_args!("--{flag} {}: cannot be written: {error}", path.display()));
                is_written = false;
            }
        }
        is_written
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if !is_stdout(path) {
        return std::fs::write(path, text);
    }
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Returns what was tested, and all versions.
fn manifest(report: &Report) -> Value {
    let scenarios: Vec<Value> = report
        .results
        .iter()
        .map(|result| {
            let scenario = &result.scenario;
            json!({
                "name": scenario.name,
                "rules": scenario.rules,
                "level": scenario.level.name(),
                "verdict": result.verdict.name(),
            })
        })
        .collect();
    json!({
        "manifest": 1,
        "contract_version": 1,
        "relayline": env!("CARGO_PKG_VERSION"),
        "side": report.side.name(),
        "subject": report.subject,
        "version": report.version,
        "platform": format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        "scenarios": scenarios,
    })
}
