//! `relayline queue`: what waits in a queue, what failed, and again.

#[cfg(feature = "jetstream")]
use super::fleet::members;
use super::list::{Entry, Summary, WorkerSummary};
use super::location::QueueLocation;
use super::operate::operate;
use super::reader::QueueReader;
use crate::{complain, fail};
use clap::{Args, Subcommand};
use relayline_queue::id::EntryId;
use relayline_queue::inbox::{entry_json, gateway_of};
use relayline_queue::ledger::{EntryState, Ledger};
use relayline_queue::output::OperatorRequest;
use std::process::ExitCode;

macro_rules! exit_codes {
    () => {
        "Exit codes: 0 done; 1 no such entry, or the queue cannot be used; 2 flags or environment wrong."
    };
}

/// Writes the end of the help of an action.
macro_rules! example {
    ($command:literal) => {
        concat!("Example:\n  ", $command, "\n\n", exit_codes!())
    };
}

const AFTER_HELP: &str = concat!(
    "\
Examples:
  relayline queue status --queue sqlite:inbox.db
  relayline queue dead --queue sqlite:inbox.db --text
  relayline queue retry 17 --queue sqlite:inbox.db
  relayline queue status --queue nats://a,b,c/relay --gateway-id gateway-1

Each command works while a gateway has the queue, and while none has it.

",
    exit_codes!()
);

/// Show the durable queue of a gateway, and retry or drop what failed.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct QueueCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how much waits, is handed out, and is dead.
    #[command(after_help = example!("relayline queue status --queue sqlite:inbox.db --json"))]
    Status(Target),
    /// List the entries, oldest first.
    #[command(after_help = example!("relayline queue list --queue sqlite:inbox.db"))]
    List(ListArguments),
    /// List the dead letters, oldest first, with their last errors.
    #[command(after_help = example!("relayline queue dead --queue sqlite:inbox.db --text"))]
    Dead(ListArguments),
    /// Hand an entry out again, and forget its failures: a dead letter, or one that waits.
    #[command(after_help = example!("relayline queue retry 17 --queue sqlite:inbox.db"))]
    Retry(EntryArguments),
    /// Remove an entry. It is not handed out again.
    #[command(after_help = example!("relayline queue drop 17 --queue sqlite:inbox.db"))]
    Drop(EntryArguments),
}

/// Queue that a command is about.
#[derive(Debug, Args)]
struct Target {
    /// The queue, as in sqlite:inbox.db or nats://a,b,c/relay.
    #[arg(long, value_name = "URL", value_parser = QueueLocation::parse)]
    queue: QueueLocation,

    /// Id of the gateway.
    #[arg(long, value_name = "ID", env = "GATEWAY_RELAY_ID")]
    gateway_id: Option<String>,

    /// Print JSON: one object on a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    target: Target,

    /// Show the messages, too: what people said.
    #[arg(long)]
    text: bool,
}

#[derive(Debug, Args)]
struct EntryArguments {
    /// Number of the entry, as list and dead show it.
    #[arg(value_name = "ID")]
    entry: u64,

    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(command: &QueueCommand) -> ExitCode {
    match &command.action {
        Action::Status(target) => ended(target, status(target)),
        Action::List(arguments) => ended(&arguments.target, list(arguments, |_| true)),
        Action::Dead(arguments) => {
            ended(&arguments.target, list(arguments, |state| state == EntryState::Dead))
        }
        Action::Retry(arguments) => {
            request(arguments, OperatorRequest::Retry, "waits to be handed out again")
        }
        Action::Drop(arguments) => request(arguments, OperatorRequest::Drop, "is removed"),
    }
}

/// Prints lines, or the error.
fn ended(target: &Target, lines: Result<Vec<String>, String>) -> ExitCode {
    match lines {
        Ok(lines) if lines.is_empty() => ExitCode::SUCCESS,
        Ok(lines) => crate::print(lines.join("\n")),
        Err(error) => fail(1, format_args!("{}: {error}", target.queue)),
    }
}

/// Opens the queue of a target, and reads it.
fn open(target: &Target) -> Result<(QueueReader, Ledger), String> {
    let reader = QueueReader::open(&target.queue, target.gateway_id.as_deref())?;
    let ledger = reader.ledger()?;
    if let (Some(found), Some(wanted)) = (gateway_of(&ledger), &target.gateway_id)
        && found != wanted
    {
        let why = format!("it belongs to the gateway {found:?}, and not to {wanted:?}");
        return Err(format!("{why}: check --gateway-id and GATEWAY_RELAY_ID"));
    }
    Ok((reader, ledger))
}

fn status(target: &Target) -> Result<Vec<String>, String> {
    let (reader, ledger) = open(target)?;
    let (streams, owner) = (reader.streams()?, reader.owner()?);
    #[cfg(feature = "jetstream")]
    let members =
        if owner.is_some() { members(&target.queue, target.gateway_id.as_deref()) } else { Vec::new() };
    #[cfg(not(feature = "jetstream"))]
    let members = Vec::new();
    let workers = members.into_iter().map(|member| WorkerSummary::new(&ledger, member)).collect();
    let summary = Summary::new(target.queue.to_string(), &ledger, owner, workers, streams);
    Ok(if target.json { vec![summary.json()] } else { summary.text() })
}

fn list(arguments: &ListArguments, is_shown: fn(EntryState) -> bool) -> Result<Vec<String>, String> {
    let ListArguments { target, text } = arguments;
    let (reader, ledger) = open(target)?;
    let mut lines = Vec::new();
    for (id, entry) in ledger.entries().filter(|(_, entry)| is_shown(entry.state)) {
        let body = if *text { reader.body(id)? } else { None };
        let message = body.and_then(|body| entry_json(id, &body));
        let entry = Entry::new(id, entry, message);
        lines.push(if target.json { entry.json() } else { entry.text() });
    }
    Ok(lines)
}

/// Carries out a request, and prints its outcome.
fn request(arguments: &EntryArguments, request: fn(EntryId) -> OperatorRequest, outcome: &str) -> ExitCode {
    let EntryArguments { entry, target } = arguments;
    // Before anything is changed.
    let done = open(target)
        .and_then(|_| operate(&target.queue, target.gateway_id.as_deref(), request(EntryId(*entry))));
    match done {
        Ok(()) if target.json => crate::print(format_args!(r#"{{"id":{entry},"ok":true}}"#)),
        Ok(()) => {
            complain(format_args!("entry {entry} {outcome}"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(1, format_args!("entry {entry}: {error}")),
    }
}
