//! `relayline work`: agents on this machine, for the gateway that has a queue on servers of NATS.

mod files;
mod host;
mod job;
mod monitor;

use crate::bridge::AgentSettings;
use crate::exec::{AgentStderr, Current};
use crate::fail;
use crate::media_flags::MediaArguments;
use crate::metrics::MetricsArguments;
use crate::queue::{DEFAULT_ID, QueueLocation, jobs, worker_name};
use crate::restart::{Restart, RestartLimits, Restarts};
use crate::run::watch_signals;
use crate::signals::Shutdown;
use crate::supervisor::Supervisor;
use clap::Args;
use host::{Host, HostEvent};
use monitor::WorkerMonitor;
use relayline_control::settings::set_limit;
use relayline_core::limits::NamedLimits;
use relayline_queue::clock;
use relayline_queue::fleet::worker::{Worker, WorkerLimits};
use relayline_queue::jetstream::FleetBus;
use relayline_runtime::serve_host_metrics;
use relayline_smol::Smol;
use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const AFTER_HELP: &str = "\
Examples:
  relayline work --queue nats://127.0.0.1/relay --exec ./agent.py
  relayline work --queue 'nats://a,b,c/relay' --gateway-id gw-1 --jobs 8 --exec ./agent.py
  relayline work --queue nats://127.0.0.1/relay --metrics 127.0.0.1:9464 --exec ./agent.py

The agents speak the bridge, as with run --queue: see relayline run --help. The gateway that leads gives each session to one
of the agents of all workers. When the gateway changes, the agents go on with what they have: ops that are under way end
ambiguous, later ones fail as definite until there is a gateway, and acknowledgements wait for it. An agent of a worker that
cannot reach its gateway for worker_patience (25 s) fails all ops; after 30 s its sessions go to others, and it is started
anew when the worker is back.

With --metrics the page has counters and gauges of this worker, relayline_worker_…: docs/fleet.md describes them.

Paths of upload, download and send_media, and media[].path, are of this machine: the files pass through the gateway. Files of
messages are in a temporary folder until their message is settled. disconnect is refused: end the agent instead.

Signals: SIGTERM, SIGINT and SIGHUP close the agents' stdin, and give what they have not settled to others, uncharged. A
second signal exits at once.

Exit codes: 0 done; 1 an agent failed, the servers cannot be reached, or the address of --metrics cannot be used; 2 flags or
environment wrong.";

/// Maximum time for the agents to end by themselves once their stdin is closed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Run agents for a gateway on another machine, from its queue on servers of NATS.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct WorkArguments {
    /// The queue, as in nats://a,b,c/relay.
    #[arg(long, value_name = "URL", value_parser = QueueLocation::parse)]
    queue: QueueLocation,

    /// Id of the gateway.
    #[arg(long, value_name = "ID", env = "GATEWAY_RELAY_ID")]
    gateway_id: Option<String>,

    /// Number of agent processes.
    #[arg(long, value_name = "N", value_parser = jobs, default_value_t = 1)]
    jobs: usize,

    /// Restart an agent when it ends, or only when it fails.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Restart::OnFailure)]
    restart: Restart,

    #[command(flatten)]
    metrics: MetricsArguments,

    #[command(flatten)]
    media: MediaArguments,

    /// Limit or time-out of this worker, as in worker_patience=10s. Repeatable.
    ///
    /// Those of docs/settings.md whose names begin with worker_ or agent_.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Program to run as the agent, with its arguments. It must be the last flag.
    #[arg(long, value_name = "CMD", num_args = 1.., required = true, allow_hyphen_values = true)]
    exec: Vec<String>,
}

pub(crate) fn run(arguments: &WorkArguments) -> ExitCode {
    start(arguments).unwrap_or_else(|code| code)
}

/// Runs the agents to their end. Returns the exit code.
fn start(arguments: &WorkArguments) -> Result<ExitCode, ExitCode> {
    let QueueLocation::Servers(url) = &arguments.queue else {
        let what = "workers need a queue on servers, as in --queue nats://a,b,c/relay: one in a file is for one machine, as \
                    in run --queue --jobs";
        return Err(fail(2, what));
    };
    let (limits, settings) = arguments.limits().map_err(|error| fail(2, format_args!("--set {error}")))?;
    let folder = arguments.media.folder()?;
    let metrics = arguments.metrics.open().map_err(|error| fail(1, error))?;
    let (shutdown, current) = watch_signals()?;
    let (events, incoming) = channel();
    let name = worker_name().map_err(|error| fail(1, error))?;
    let id = arguments.gateway_id.as_deref().unwrap_or(DEFAULT_ID);
    let frames = events.clone();
    let bus = FleetBus::worker(url, id, &name, move |frame| {
        // It fails once the worker has ended.
        let _ = frames.send(HostEvent::Frame(frame.to_vec()));
    });
    let bus = bus.map_err(|error| fail(1, format_args!("{}: {error}", arguments.queue)))?;
    tracing::info!(worker = name, gateway_id = id, queue = %arguments.queue, jobs = arguments.jobs, "worker");
    let worker = Worker::new(limits, &name, clock::now());
    let monitor = WorkerMonitor::new(worker, arguments.jobs, bus.connection().clone());
    if let Some(listener) = metrics {
        serve_metrics(listener, &monitor)
            .map_err(|error| fail(1, format_args!("the metrics page cannot be served: {error}")))?;
    }
    let mut supervisors = Vec::new();
    for number in 0..arguments.jobs {
        let restarts = Restarts::new(arguments.restart, RestartLimits::of(&settings));
        let (stderr, current) = (AgentStderr::Inherited, current.for_job(number));
        let started = Supervisor::start(&arguments.exec, stderr, restarts, current.clone(), shutdown.clone());
        let program = arguments.exec.first().map_or("", String::as_str);
        let (supervisor, agents) =
            started.map_err(|error| fail(1, format_args!("--exec {program}: {error}")))?;
        job::start(number, agents, current, events.clone())
            .map_err(|error| fail(1, format_args!("a thread cannot be started: {error}")))?;
        supervisors.push(supervisor);
    }
    let (files, files_thread) = files::start(folder, events.clone())
        .map_err(|error| fail(1, format_args!("the folder for files of messages: {error}")))?;
    watch_shutdown(&shutdown, &current, events)
        .map_err(|error| fail(1, format_args!("a thread cannot be started: {error}")))?;
    Host::new(id, bus, files, monitor).run(&incoming);
    // It removes its files.
    let _ = files_thread.join();
    // All of them: each prints its failure.
    let successes: Vec<bool> = supervisors.into_iter().map(Supervisor::finish).collect();
    Ok(if successes.iter().all(|succeeded| *succeeded) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Serves the metrics page on `listener` until the program ends.
fn serve_metrics(listener: TcpListener, monitor: &WorkerMonitor) -> io::Result<()> {
    let monitor = monitor.clone();
    serve_host_metrics(&Smol, listener, move || monitor.metrics(), pending())
}

/// Returns the names of the metrics page, without `relayline_`.
#[cfg(test)]
pub(crate) fn metric_names() -> impl Iterator<Item = String> {
    monitor::names()
}

/// Passes the request to stop on, and kills agents that do not end.
fn watch_shutdown(shutdown: &Shutdown, current: &Current, events: Sender<HostEvent>) -> io::Result<()> {
    let (shutdown, current) = (shutdown.clone(), current.clone());
    let watch = move || {
        let reason = smol::block_on(shutdown.triggered());
        if events.send(HostEvent::Stop(reason)).is_ok() {
            std::thread::sleep(END_WITHIN);
            current.kill_all();
        }
    };
    std::thread::Builder::new().name("shutdown".to_owned()).spawn(watch).map(drop)
}

impl WorkArguments {
    fn limits(&self) -> Result<(WorkerLimits, AgentSettings), String> {
        let (mut worker, mut agent) = (WorkerLimits::default(), AgentSettings::default());
        for text in &self.set {
            let Some((name, value)) = text.split_once('=') else {
                return Err(format!("{text}: write NAME=VALUE, as in worker_patience=10s"));
            };
            let mut all: [&mut dyn NamedLimits; 2] = [&mut worker, &mut agent];
            set_limit(&mut all, name.trim(), value.trim()).map_err(|error| format!("{text}: {error}"))?;
        }
        Ok((worker, agent))
    }
}
