//! `relayline conformance`: judges gateways and connectors by scenarios, and reports.

mod connector;
mod files;
mod gateway;
mod output;
mod selection;

use crate::conformance::files::ReportArguments;
use crate::conformance::output::Printer;
use clap::{Args, Subcommand};
use relayline_harness::conformance::Baseline;
use relayline_harness::conformance::report::Report;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Judge a gateway or a connector by the rules of the protocol.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct ConformanceArguments {
    #[command(subcommand)]
    side: SideCommand,
}

#[derive(Debug, Subcommand)]
enum SideCommand {
    Gateway(gateway::GatewayArguments),
    Connector(connector::ConnectorArguments),
}

const AFTER_HELP: &str = "\
Examples:
  relayline conformance gateway -- ./my-gateway
  relayline conformance gateway --html report.html -- relayline run
  relayline conformance connector ws://127.0.0.1:8080 --gateway-id gw-1 --secret-file gateway.secret

Each scenario is a claim, the rules of PROTOCOL.md that it proves, and steps. Its verdict is pass, fail, warn (allowed, but
unkind) or skip (not run, with the reason).

Exit codes: 0 no scenario that must pass has failed; 1 one has failed, or a file could not be written; 2 wrong flags; 130
interrupted.";

/// Runs the command.
pub(crate) fn run(arguments: &ConformanceArguments) -> ExitCode {
    match &arguments.side {
        SideCommand::Gateway(arguments) => gateway::run(arguments),
        SideCommand::Connector(arguments) => connector::run(arguments),
    }
}

/// Prints the summary, writes the reports, and returns the exit code.
fn finish(
    report: &Report,
    baseline: &Baseline,
    printer: &Printer,
    reports: &ReportArguments,
    interrupted: &AtomicBool,
) -> ExitCode {
    printer.summary(report, baseline);
    let is_written = reports.write(report);
    let is_as_expected = baseline.differences(&report.results).is_empty();
    match (interrupted.load(Ordering::Relaxed), is_written && is_as_expected) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(1),
    }
}

/// Returns a flag that the first SIGINT sets, on Unix. The second one exits at once.
fn interrupted() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGINT;
        let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, interrupted.clone());
        let _ = signal_hook::flag::register(SIGINT, interrupted.clone());
    }
    interrupted
}
