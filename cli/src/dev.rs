//! `relayline dev`: a connector, a gateway, an agent and the workbench in one command, for authors of agents.

mod agent_process;
mod gateway_loop;
mod settings;
mod watcher;

use crate::acp::AcpArguments;
use crate::gateway::RuntimeName;
use crate::local_gateway::LocalGateway;
use crate::media_flags::MediaArguments;
use crate::page_server::page_address;
use crate::workbench::{WorkbenchParts, WorkbenchServer};
use crate::{fail, run};
use agent_process::AgentProcess;
use clap::{ArgGroup, Args};
use gateway_loop::GatewayLoop;
use relayline_connector::chats::Platform;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use watcher::Watcher;

/// Develop an agent: run it with a connector, a gateway and a page of chats to type in.
///
/// The page has a Discord, a Telegram and a Slack with users, threads, buttons, slash commands and files, and the faults
/// that a connector can have. The agent starts again when its files change.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline dev --exec ./agent.py                        type to the agent; it starts again when a .py file changes
  relayline dev --open --exec node agent.mjs             open the page in the browser
  relayline dev --watch src --exec cargo run -q          watch a folder
  relayline dev --acp -- claude-agent-acp                an agent that speaks the Agent Client Protocol
  relayline dev --command-manifest commands.json --exec ./agent.py

The URL on stdout has a token that lets one browser in. The page is for this machine only.

The agent is run as by relayline run. It starts again when a watched file changes, and at the button of the page. One that
ends by itself is started again only then; the page shows the last lines of its stderr. Messages wait for it meanwhile.

Watched are by default the files among the agent's command that exist, and those in their folders that end alike. Folders
named .git, node_modules, __pycache__, target, dist and build, and those that begin with a dot, are left out.

The gateway pings every 5 s and waits 10 s for an answer, instead of 30 s and 60 s, so that a lost connection shows soon.

Exit codes: 0 done; 1 the agent cannot be started, or a port or a file cannot be used; 2 wrong flags.")]
#[command(group = ArgGroup::new("child").args(["exec", "acp"]).required(true))]
pub(crate) struct DevArguments {
    /// Address of the page.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = page_address)]
    listen: SocketAddr,

    /// Open the page in the browser.
    #[arg(long)]
    open: bool,

    /// File or folder that is watched, in place of the default. Repeatable.
    #[arg(long, value_name = "PATH", conflicts_with = "no_watch")]
    watch: Vec<PathBuf>,

    /// Watch no files.
    #[arg(long)]
    no_watch: bool,

    /// Acknowledge buffered deliveries once their line is written to the agent.
    #[arg(long)]
    auto_ack: bool,

    /// Deliver platform requests that are not messages, as passthrough lines.
    #[arg(long)]
    passthrough: bool,

    /// File with the commands to declare to Discord: a JSON list of objects.
    #[arg(long, value_name = "FILE")]
    command_manifest: Option<PathBuf>,

    #[command(flatten)]
    media: MediaArguments,

    /// Limit or time-out, as of relayline run. Repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Async runtime that does the socket work.
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio, value_name = "NAME")]
    runtime: RuntimeName,

    /// Program to run as the agent, with its arguments. It must be the last flag.
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,

    #[command(flatten)]
    acp: AcpArguments,
}

/// Id of the gateway.
const GATEWAY: &str = "gw-dev";
/// Interval of pings, and the time to wait for an answer: somebody watches.
const PINGS: [&str; 2] = ["ping_interval=5s", "ping_timeout=10s"];

impl DevArguments {
    /// Returns the limits that differ from their defaults, the most important last.
    fn limits(&self) -> Vec<String> {
        let own = PINGS.map(str::to_owned).into_iter();
        own.chain(self.set.iter().cloned()).chain(self.acp.limits()).collect()
    }
}

pub(crate) fn run(arguments: &DevArguments) -> ExitCode {
    start(arguments).unwrap_or_else(|code| code)
}

/// Starts everything, and runs it to its end.
///
/// # Errors
/// It was not started: the exit code, after the error was printed.
fn start(arguments: &DevArguments) -> Result<ExitCode, ExitCode> {
    let command = if arguments.acp.is_given() { arguments.acp.command() } else { arguments.exec.as_slice() };
    let [program, ..] = command else {
        return Err(fail(2, "--acp: name the agent's program, as in --acp -- claude-agent-acp"));
    };
    let manifest = arguments.command_manifest.as_deref().map(run::manifest).transpose();
    let manifest: Option<Vec<Value>> = manifest.map_err(|error| fail(2, error))?;
    let media = arguments.media.folder()?;
    let watcher = match arguments.no_watch {
        true => Watcher::nothing(),
        false => Watcher::of(&arguments.watch, command).map_err(|error| fail(2, error))?,
    };
    let (shutdown, current) = run::watch_signals()?;
    let LocalGateway { connector, mut config } =
        LocalGateway::start(arguments.runtime, GATEWAY, Platform::fakes(), true)
            .map_err(|error| fail(1, error))?;
    let limits = settings::apply(&mut config, &arguments.limits()).map_err(|error| fail(2, error))?;
    config.machine.passthrough = arguments.passthrough;
    let (process, agents, control) = AgentProcess::new(command.to_vec(), current.clone());
    let (restart, agent) = (control.clone(), control.clone());
    let restart = Box::new(move || restart.restart("the button of the page"));
    let server = WorkbenchServer::start(WorkbenchParts {
        listen: arguments.listen,
        flag: "--listen",
        runtime: arguments.runtime,
        connector: Arc::new(connector),
        gateway: GATEWAY,
        restart: Some(restart),
    });
    let server = server.map_err(|(code, error)| fail(code, error))?;
    let page = server.page().clone();
    page.set_agent(|agent| {
        agent.program.clone_from(program);
        agent.watched = watcher.shown();
        agent.can_restart = true;
    });
    let process = process.start(page.clone()).map_err(|error| fail(1, format_args!("{program}: {error}")))?;
    let watching = watcher.start(move |path| control.restart(&format!("{} changed", path.display())));
    let watching = watching.map_err(|error| fail(1, error))?;
    server.print_url(arguments.open)?;
    let gateway = GatewayLoop {
        runtime: arguments.runtime,
        config,
        limits,
        manifest,
        media,
        acp: &arguments.acp,
        media_dir: arguments.media.dir(),
        auto_ack: arguments.auto_ack,
        current,
        shutdown,
        page,
        agent,
    };
    let code = gateway.run(agents);
    drop(watching);
    process.finish();
    drop(server);
    Ok(code)
}
