#![forbid(unsafe_code)]
#![allow(rustdoc::bare_urls)] // The comments of flags are help texts, where a URL is plain.
//! `relayline`: program for the gateway side of the relay protocol.

mod acp;
mod agent_output;
mod approvals;
mod boot;
mod bridge;
mod browser;
mod config_file;
mod conformance;
mod connector;
mod control;
mod demo;
mod dev;
mod doctor;
mod dumpable;
mod enroll;
mod env_file;
mod environment;
mod exec;
mod flags;
mod gateway;
#[cfg(unix)]
mod guard;
mod inspector;
mod local_gateway;
mod logging;
mod media_flags;
mod metrics;
mod network;
mod page_server;
mod printable;
mod provision;
mod queue;
mod random;
mod record;
mod replay;
mod restart;
mod run;
mod send;
mod signals;
mod simulate;
mod sleep;
mod status;
mod supervisor;
mod temporary_folder;
mod token;
mod token_command;
mod usage;
mod verify;
mod view;
#[cfg(feature = "jetstream")]
mod work;
mod workbench;

use crate::gateway::NetworkArguments;
use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::level_filters::LevelFilter;

/// Gateway side of the relay protocol: connects an agent to chat platforms through a connector.
///
/// The connector holds the sockets and secrets of Discord, Telegram, Slack and others. The gateway connects to it, and
/// serves an agent in any language.
#[derive(Debug, Parser)]
#[command(name = "relayline", version, propagate_version = true)]
#[command(after_help = "\
Examples:
  relayline demo          play a conversation on this machine
  relayline run --help    show the flags, examples and exit codes of a command

Exit codes: 0 done; 1 failed; 2 flags, environment or config file wrong; 3 relay disabled (revoked).")]
struct Program {
    #[command(flatten)]
    logging: logging::Arguments,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArguments),
    Dev(dev::DevArguments),
    Run(run::RunArguments),
    Send(send::SendArguments),
    Status(status::StatusArguments),
    #[cfg(any(feature = "jetstream", feature = "sqlite"))]
    Queue(queue::QueueCommand),
    #[cfg(feature = "jetstream")]
    Work(work::WorkArguments),
    Enroll(enroll::EnrollArguments),
    Provision(provision::ProvisionArguments),
    Policy(provision::PolicyArguments),
    Doctor(doctor::DoctorArguments),
    Connector(connector::ConnectorArgs),
    Record(record::RecordArguments),
    Replay(replay::Args),
    View(view::ViewArguments),
    Simulate(simulate::Args),
    Conformance(conformance::ConformanceArguments),
    Token(token::TokenArguments),
    Verify(verify::VerifyArguments),
}

impl Command {
    /// Returns the flags that name the configuration file, if the command has them.
    fn network(&mut self) -> Option<&mut NetworkArguments> {
        match self {
            Command::Run(arguments) => Some(&mut arguments.gateway.network),
            Command::Enroll(arguments) => Some(&mut arguments.network),
            Command::Provision(arguments) => Some(&mut arguments.gateway.network),
            Command::Policy(arguments) => Some(&mut arguments.gateway.network),
            Command::Doctor(arguments) => Some(&mut arguments.run.gateway.network),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    // This comes first: the command line and the environment hold secrets.
    let protection = dumpable::protect();
    #[cfg(unix)]
    if let Some(arguments) = guard::arguments() {
        return guard::run(&arguments);
    }
    if demo::is_acp_agent() {
        return demo::run_acp_agent();
    }
    if demo::is_durable_agent() {
        return demo::run_durable_agent();
    }
    let program = config_file::program();
    // These commands print their progress themselves.
    let prints_progress = matches!(program.command, Command::Demo(_) | Command::Doctor(_));
    let usual = if prints_progress { LevelFilter::WARN } else { LevelFilter::INFO };
    logging::start(&program.logging, usual);
    protection.log();
    signals::report_file_limits();
    match program.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        #[cfg(any(feature = "jetstream", feature = "sqlite"))]
        Command::Queue(arguments) => queue::run(&arguments),
        #[cfg(feature = "jetstream")]
        Command::Work(arguments) => work::run(&arguments),
        Command::Enroll(arguments) => enroll::run(&arguments),
        Command::Provision(arguments) => provision::provision(&arguments),
        Command::Policy(arguments) => provision::policy(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Connector(arguments) => connector::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::View(arguments) => view::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
    }
}

/// Returns the time in Unix seconds; 0 for a clock before 1970.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the time in Unix milliseconds; 0 for a clock before 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Prints the result of a command as one line on stdout. A closed stdout is not an error.
fn print(line: impl Display) -> ExitCode {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(1, format_args!("standard output: {error}")),
    }
}

/// Prints an error as one line on stderr, and returns the exit code.
fn fail(code: u8, message: impl Display) -> ExitCode {
    complain(message);
    ExitCode::from(code)
}

/// Prints a line on stderr. A closed stderr is ignored: it must not cause a panic.
fn complain(message: impl Display) {
    let _ = writeln!(io::stderr(), "relayline: {message}");
}
