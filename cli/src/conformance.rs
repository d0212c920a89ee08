//! `relayline conformance`: judges gateways and connectors by scenarios, and reports.

mod files;
mod gateway;
mod output;
mod selection;

use clap::{Args, Subcommand};
use std::process::ExitCode;

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
}

const AFTER_HELP: &str = "\
Examples:
  relayline conformance gateway -- ./my-gateway
  relayline conformance gateway --html report.html -- relayline run

Each scenario is a claim, the rules of PROTOCOL.md that it proves, and steps. Its verdict is pass, fail, warn (allowed, but
unkind) or skip (not run, with the reason).

Exit codes: 0 no scenario that must pass has failed; 1 one has failed, or a file could not be written; 2 wrong flags; 130
interrupted.";

/// Runs the command.
pub(crate) fn run(arguments: &ConformanceArguments) -> ExitCode {
    match &arguments.side {
        SideCommand::Gateway(arguments) => gateway::run(arguments),
    }
}
