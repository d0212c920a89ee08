//! `relayline conformance gateway`: plays a connector and an agent against a gateway program.

use super::files::ReportArguments;
use super::output::Printer;
use super::selection::{self, SelectionArguments};
use super::{finish, interrupted};
use crate::{fail, print};
use clap::Args;
use relayline_harness::conformance::report::Report;
use relayline_harness::conformance::{GatewayTarget, RunControl, Side, Timings, run_gateway};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Judge a gateway program that speaks the bridge.
///
/// Each scenario starts a process of the program, and plays its connector on a port of this machine and its agent on the
/// program's stdin and stdout (docs/agents.md has the lines).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline conformance gateway -- relayline run
  relayline conformance gateway --quick --html report.html -- ./my-gateway --verbose
  relayline conformance gateway --timings timings.toml --expected-failures known.txt -- python3 gateway.py

The program finds its settings in the environment: GATEWAY_RELAY_URL, GATEWAY_RELAY_ID, GATEWAY_RELAY_SECRET,
GATEWAY_RELAY_PLATFORMS (a comma list), GATEWAY_RELAY_BOT_IDS ({\"discord\":{\"botId\":\"1001\"}}). Its other variables are
those of this process, without any GATEWAY_RELAY_ that is set there.

A program whose --version prints `relayline ` first gets --set NAME=VALUE after its arguments, so that time-outs pass
quickly. For any other program, and with --timings, nothing is appended: scenarios wait for its time-outs, which are those of
PROTOCOL.md unless the file says otherwise, as in `request_timeout = \"5s\"`. Names: dial_timeout, handshake_timeout,
request_timeout, backoff_first, backoff_most, ping_interval, ping_timeout, idle_timeout, dormant_delay, disconnect_budget,
typing_interval.

Exit codes: 0 no scenario that must pass has failed, except the expected ones; 1 one has failed, or an expected failure has
passed, or a file could not be written; 2 wrong flags; 130 interrupted, after printing the results so far.")]
pub(super) struct GatewayArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    reports: ReportArguments,

    /// Number of scenarios at a time; four for each processor by default, sixteen at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,

    /// TOML file with the program's time-outs. Nothing is appended to its arguments then.
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,

    /// Program to test, with its arguments.
    #[arg(last = true, value_name = "CMD", required_unless_present = "list")]
    command: Vec<String>,
}

/// Time in which the program must print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the command.
pub(super) fn run(arguments: &GatewayArguments) -> ExitCode {
    let scenarios = match arguments.selection.scenarios(Side::Gateway) {
        Ok(scenarios) => scenarios,
        Err(message) => return fail(2, message),
    };
    if arguments.selection.list {
        return print(selection::list(&scenarios).trim_end());
    }
    let baseline = match arguments.reports.baseline(Side::Gateway) {
        Ok(baseline) => baseline,
        Err(message) => return fail(2, message),
    };
    let timings = match timings(arguments) {
        Ok(timings) => timings,
        Err(message) => return fail(2, message),
    };
    let version = match version(&arguments.command) {
        Ok(version) => version,
        Err(message) => return fail(1, message),
    };
    let takes_set =
        timings.is_none() && version.as_deref().is_some_and(|line| line.starts_with("relayline "));
    let target =
        GatewayTarget { command: arguments.command.clone(), takes_set, timings: timings.unwrap_or_default() };
    let printer = Printer::new(scenarios.len(), arguments.reports.takes_stdout());
    let interrupted = interrupted();
    let progress = |result: &_| printer.result(result);
    let control = RunControl { jobs: jobs(arguments.jobs), progress: &progress, is_stopped: &interrupted };
    let results = run_gateway(scenarios, &target, &control);
    let report = Report::new(Side::Gateway, arguments.command.join(" "), version, results);
    finish(&report, &baseline, &printer, &arguments.reports, &interrupted)
}

fn jobs(given: Option<u16>) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    given.map_or((4 * processors).min(16), usize::from)
}

/// Reads the file of `--timings`.
fn timings(arguments: &GatewayArguments) -> Result<Option<Timings>, String> {
    let Some(path) = &arguments.timings else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("--timings {}: cannot be read: {error}", path.display()))?;
    let timings = Timings::parse(&text);
    timings.map(Some).map_err(|error| format!("--timings {}: {error}", path.display()))
}

/// Returns the first line that the program prints for `--version`; `None` if it prints none in time.
fn version(command: &[String]) -> Result<Option<String>, String> {
    let Some(program) = command.first() else { return Ok(None) };
    let child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("{program} cannot be started: {error}"))?;
    let stdout = child.stdout.take();
    // The thread ends with the program.
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.map(|stdout| stdout.take(4096).read_to_end(&mut text));
        String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned())
    });
    let until = Instant::now() + VERSION_TIMEOUT;
    while Instant::now() < until && !reader.is_finished() {
        thread::sleep(Duration::from_millis(10));
    }
    // Fails if it has ended.
    let _ = child.kill();
    let _ = child.wait();
    let line = if reader.is_finished() { reader.join().ok().flatten() } else { None };
    Ok(line.filter(|line| !line.is_empty()))
}
