//! `relayline run`: a gateway as a side-car, with the bridge on stdio or on a child's.

use crate::bridge::{self, Agent, Cause, End, MediaFolder, OneAgent, Options};
use crate::exec::Current;
use crate::gateway::GatewayArguments;
use crate::restart::{Pace, Restart, Restarts};
use crate::signals::{self, Shutdown};
use crate::supervisor::Supervisor;
use crate::{boot, fail};
use clap::Args;
use relayline_core::json;
use relayline_runtime::files;
use serde_json::{Map, Value};
use std::io::{self, BufRead};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Returns the help below the flags.
fn after_help() -> String {
    AFTER_HELP.replace("{ops}", &wrapped(bridge::op_names()))
}

/// Lists names in lines of at most 120 characters.
fn wrapped(names: impl Iterator<Item = &'static str>) -> String {
    let mut lines = vec![String::new()];
    for name in names {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(name),
            Some(line) if line.len() + name.len() + 3 <= 120 => *line += &format!(", {name}"),
            Some(_) | None => lines.push(name.to_owned()),
        }
    }
    lines.join(",\n") + "."
}

const AFTER_HELP: &str = "\
Examples:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ID=gw-1 GATEWAY_RELAY_SECRET=... \\
    relayline run --platform discord --bot-id 1 --exec ./agent.py
  relayline run --url ws://127.0.0.1:8080 --identity discord:1 --identity telegram:2

The agent reads events, one JSON object a line with `event` first: connected, disconnected, message, interrupt,
prompt_answer, stale_prompt, passthrough, frame, result, dead_letter, invalid, fatal. It writes ops, one JSON object a line:
{ops}
An op with an `id` gets a `result`. The end of its output is a graceful disconnect.

SIGTERM, SIGINT and SIGHUP (unless it is ignored, as under nohup) end the gateway gracefully, a second one at once. The
agent of --exec is in a process group of its own, and no process of that group outlives the agent or the gateway, even
one that is killed: after the end of its stdin come SIGTERM (2 s) and SIGKILL (5 s). What calls setsid or setpgid, or
runs as another user, escapes: it sees the end of its stdin, and must end by itself.
With --restart the gateway stays connected, and starts an agent that has died again: after 0.5 s, then twice as long
each time, up to 30 s. Ten deaths within a minute of running end it with 1.
The gateway's memory and environment are closed to the agent; RELAYLINE_DEBUGGABLE=1 opens them, for debuggers.

An op never fails for want of room: it waits in order (--set waiting_ops, waiting_op_bytes), and beyond that nothing is
read. ack, refuse, interrupt and disconnect overtake. Events wait for the agent (agent_events, agent_event_bytes), and
results apart from them (agent_result_bytes). It is warned of an agent that has not read for agent_read_warning; where
that many results wait and it reads nothing for agent_read_timeout, the program ends with 1.

Before it dials it asks the connector for a secret, where none is set and there is an access token to show (--provision),
and tells it the policies that are set. What fails of that is in the log, and does not stop it; but a connector that knows
the gateway already and issues no secret ends it, since every dial would be refused.

Exit codes: 0 done, or the relay is switched off (--enabled false), 1 the agent failed, or writes and does not read, or
no secret was issued, 2 flags, environment or configuration file wrong, or stdin at its end and no --exec, 3 relay
disabled (revoked).";

/// Run a gateway for an agent in any language: JSON lines on stdin and stdout
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) gateway: GatewayArguments,

    /// Acknowledge buffered deliveries too once their line is written to the agent
    #[arg(long)]
    auto_ack: bool,

    /// Hand on platform requests that become no message, as passthrough lines
    #[arg(long)]
    passthrough: bool,

    /// Further fields of the hello, as a JSON object; its own fields are never replaced
    #[arg(long, value_name = "JSON", value_parser = object)]
    hello_extra: Option<Map<String, Value>>,

    /// File with the commands to declare to Discord: a JSON list of objects
    #[arg(long, value_name = "FILE")]
    command_manifest: Option<PathBuf>,

    /// Meaning of a word after Slack's /hermes, as in ask=/ask
    #[arg(long, value_name = "WORD=TEXT", value_parser = subcommand)]
    slack_subcommand: Vec<(String, String)>,

    /// Address on which to serve counters and the fill of each queue, as GET /metrics in the Prometheus text format
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,

    /// Folder at which the paths of the ops upload, download and send_media begin; the working folder by default. Links are
    /// followed, and a path that leads out of it is refused
    #[arg(long, value_name = "DIR")]
    media_dir: Option<PathBuf>,

    /// Let the agent upload and download files outside of the media folder, too
    #[arg(long)]
    media_anywhere: bool,

    /// Run this program as the agent, on its stdin and stdout; everything after it goes to it
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,

    /// Start the agent of --exec again when it has ended, or only when it has failed; the gateway stays connected
    #[arg(long, value_enum, default_value_t = Restart::Never, value_name = "WHEN", requires = "exec")]
    restart: Restart,
}

pub(crate) fn run(arguments: &RunArguments) -> ExitCode {
    let runtime = arguments.gateway.network.runtime;
    let (resolved, settings) = match arguments.gateway.resolve_for_agent() {
        Ok(resolved) => resolved,
        Err(error) => return error.end(),
    };
    let manifest = match arguments.command_manifest.as_deref().map(manifest).transpose() {
        Ok(manifest) => manifest,
        Err(error) => return fail(2, error),
    };
    if arguments.exec.is_empty() && stdin_has_ended() {
        let what = "stdin is at its end, so no agent is there to serve: start one with --exec CMD, or connect stdin \
                    and stdout to one";
        return fail(2, what);
    }
    let media = match MediaFolder::find(arguments.media_dir.as_deref(), arguments.media_anywhere) {
        Ok(media) => media,
        Err(error) => {
            let folder = arguments.media_dir.as_deref().unwrap_or(Path::new("."));
            return fail(2, format_args!("--media-dir {}: {error}; name a folder", folder.display()));
        }
    };
    // It was asked for, so it is there, or nothing is.
    let metrics = match arguments.metrics.as_deref().map(open).transpose() {
        Ok(metrics) => metrics,
        Err(error) => return fail(1, error),
    };
    let mut config = match boot::ready(runtime, resolved) {
        Ok(config) => config,
        Err(error) => return fail(1, error),
    };
    config.machine.passthrough = arguments.passthrough;
    config.machine.command_manifest = manifest;
    config.machine.hello_extra = arguments.hello_extra.clone().unwrap_or_default();
    config.machine.slack_subcommands = arguments.slack_subcommand.iter().cloned().collect();
    let options = Options { auto_ack: arguments.auto_ack, metrics, settings, media };
    let shutdown = Shutdown::new();
    let current = Current::default();
    let killed = current.clone();
    if let Err(error) = signals::watch(shutdown.clone(), move || {
        killed.kill();
        bridge::remove_drafts();
    }) {
        return fail(1, format_args!("signals cannot be watched: {error}"));
    }
    let Some(program) = arguments.exec.first() else {
        let agent = Agent { from: Box::new(io::stdin()), to: Box::new(io::stdout()), replaceable: false };
        let ended = bridge::run(runtime, config, &mut OneAgent(Some(agent)), options, &shutdown);
        return end(ended.map(|end| (end, true)));
    };
    let restarts = Restarts::new(arguments.restart, Pace::of(&options.settings));
    let (supervisor, mut agents) =
        match Supervisor::start(&arguments.exec, restarts, current, shutdown.clone()) {
            Ok(started) => started,
            Err(error) => return fail(1, format_args!("--exec {program}: {error}")),
        };
    let ended = bridge::run(runtime, config, &mut agents, options, &shutdown);
    // The agent's input is closed by now: one that reads to the end ends.
    drop(agents);
    let succeeded = supervisor.finish();
    end(ended.map(|end| (end, succeeded)))
}

fn end(ended: io::Result<(End, bool)>) -> ExitCode {
    match ended {
        Ok((End::Disabled(fatal), _)) => fail(3, fatal),
        Ok((End::Disconnected(cause @ Cause::DoesNotRead), _)) => fail(1, cause.text()),
        Ok((End::Disconnected(_), true)) => ExitCode::SUCCESS,
        Ok((End::Disconnected(_), false)) => ExitCode::from(1),
        Err(error) => fail(1, error),
    }
}

/// Time to wait for the end of stdin: a shell may not have closed it yet.
#[cfg(unix)]
const STDIN_WAIT: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Tells whether stdin is at its end. What was read of it is kept for its reader.
#[cfg(unix)]
fn stdin_has_ended() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let speaks = poll(&mut fds, Some(&STDIN_WAIT)).is_ok_and(|ready| ready > 0);
    // An error is for who reads it to tell.
    speaks && io::stdin().lock().fill_buf().is_ok_and(<[u8]>::is_empty)
}

#[cfg(not(unix))]
fn stdin_has_ended() -> bool {
    false
}

/// Opens the port of the metrics page.
fn open(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        format!("--metrics {address}: {error}; name an address of this machine and a free port, as in 127.0.0.1:9464")
    })
}

/// Reads the commands to declare.
fn manifest(path: &Path) -> Result<Vec<Value>, String> {
    let wrong = |what: &str| format!("--command-manifest {}: {what}", path.display());
    let contents = files::read(path).map_err(|error| wrong(&error.to_string()))?;
    let text = contents.text().map_err(|error| wrong(&error.to_string()))?;
    match json::parse(text) {
        Ok(Value::Array(commands)) if commands.iter().all(Value::is_object) => Ok(commands),
        Ok(_) => {
            Err(wrong("it is not a list of objects: write [{\"name\": \"ask\", \"description\": …}, …]"))
        }
        Err(error) => Err(wrong(&format!("it is not valid JSON: {error}"))),
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match json::parse(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is not a JSON object: write {\"name\": value, …}".to_owned()),
        Err(error) => Err(format!("it is not valid JSON: {error}")),
    }
}

fn subcommand(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((word, meaning)) if !word.is_empty() && !meaning.is_empty() => {
            Ok((word.to_owned(), meaning.to_owned()))
        }
        Some(_) | None => Err("write WORD=TEXT, as in ask=/ask".to_owned()),
    }
}
