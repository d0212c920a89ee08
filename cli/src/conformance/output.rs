//! Lines of a run: one for each scenario, with color and progress on a terminal.

use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressStyle};
use relayline_harness::conformance::report::Report;
use relayline_harness::conformance::{Baseline, ScenarioResult, Verdict};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Printer of results. Lines go to stdout, or to stderr if stdout has a report.
pub(super) struct Printer {
    bar: ProgressBar,
    uses_stderr: bool,
}

impl Printer {
    /// Creates a printer for so many scenarios.
    pub(super) fn new(scenarios: usize, uses_stderr: bool) -> Printer {
        let bar = match io::stderr().is_terminal() {
            true => ProgressBar::new(scenarios as u64),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} scenarios, {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Printer { bar, uses_stderr }
    }

    /// Prints the line of a result.
    pub(super) fn result(&self, result: &ScenarioResult) {
        let color = match result.verdict {
            Verdict::Pass => "32",
            Verdict::Fail(_) => "31;1",
            Verdict::Warn(_) => "33",
            Verdict::Skip(_) => "2",
        };
        let scenario = &result.scenario;
        let (name, rules) = (&scenario.name, scenario.rules.join(" "));
        let verdict = result.verdict.name();
        let took = result.took.as_secs_f64();
        let mut line = format!("\x1b[{color}m{verdict}\x1b[0m  {name} ({rules}) {took:.1} s");
        if let Verdict::Skip(reason) = &result.verdict {
            line = format!("\x1b[{color}m{verdict}\x1b[0m  {name} ({rules}): {reason}");
        }
        if let Some(finding) = result.verdict.finding() {
            line = format!(
                "{line}\n      {}: {}\n      expected {}\n      {}",
                scenario.title, scenario.why, finding.expected, finding.came
            );
        }
        self.line(&line);
    }

    /// Prints the end of a run.
    pub(super) fn summary(&self, report: &Report, baseline: &Baseline) {
        self.bar.finish_and_clear();
        for result in baseline.differences(&report.results) {
            let name = &result.scenario.name;
            if !matches!(result.verdict, Verdict::Fail(_)) {
                self.line(&format!(
                    "{name} was expected to fail, and passes: remove it from --expected-failures"
                ));
            }
        }
        self.line(&report.summary().to_string());
    }

    fn line(&self, line: &str) {
        self.bar.suspend(|| {
            // A closed stdout or stderr is ignored: the exit code still says what the run has shown.
            let _ = match self.uses_stderr {
                true => print(AutoStream::new(io::stderr(), choice(io::stderr().is_terminal())), line),
                false => print(AutoStream::new(io::stdout(), choice(io::stdout().is_terminal())), line),
            };
        });
    }
}

fn print(mut stream: impl Write, line: &str) -> io::Result<()> {
    writeln!(stream, "{line}")?;
    stream.flush()
}

/// Returns the choice of colors: on terminals only, and not with `NO_COLOR`.
fn choice(is_terminal: bool) -> ColorChoice {
    let is_forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_terminal && !is_forbidden { ColorChoice::Always } else { ColorChoice::Never }
}
