//! Gateways and workers of the kill run, and where their queue is.

use super::super::jetstream::proxy::Proxy;
use super::super::jetstream::servers::Cluster;
use super::super::queue_agent;
use super::{LIMITS, WORK_MS, append_to, send};
use crate::support::relayline;
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Times of a worker's lease. A long stop is longer.
const LEASE: &str = "lease=2s";
const WORKER_LIMITS: [&str; 3] = ["worker_heartbeat=300ms", "worker_patience=1600ms", "worker_retry=200ms"];

/// Minimum time from a start of a process to the next one, if it has ended by itself.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// Place of the queue.
pub(super) enum Place {
    /// A file: one gateway that runs agents.
    File,
    /// Servers of NATS: two gateways, of which one leads, and workers that run the agents.
    Servers(Servers),
}

/// Servers of NATS, and for each gateway proxies to them, which can cut it off.
pub(super) struct Servers {
    pub(super) cluster: Cluster,
    proxies: [Vec<Proxy>; 2],
}

impl Servers {
    pub(super) fn start(program: &Path) -> Servers {
        // A confirmation follows the disk, since all of them are killed at once.
        let cluster = Cluster::with(program, "sync_interval: always", "");
        let proxies =
            [0, 1].map(|_| cluster.servers.iter().map(|server| Proxy::start(server.port)).collect());
        Servers { cluster, proxies }
    }

    /// Returns the proxies of a gateway.
    pub(super) fn of(&self, gateway: usize) -> &[Proxy] {
        &self.proxies[gateway]
    }
}

impl Place {
    /// Returns the URL of the queue.
    pub(super) fn url(&self, folder: &Path) -> String {
        match self {
            Place::File => format!("sqlite:{}", folder.join("inbox.db").display()),
            Place::Servers(servers) => on_servers(&servers.cluster.addresses()),
        }
    }

    /// Starts the gateways for a connector.
    pub(super) fn start_gateways(&self, folder: &Path, connector: &str) -> Vec<Process> {
        let urls = match self {
            Place::File => vec![self.url(folder)],
            Place::Servers(servers) => servers.proxies.iter().map(|proxies| through(proxies)).collect(),
        };
        let runs_agents = matches!(self, Place::File);
        let gateway = |(number, queue): (usize, String)| {
            let (folder, connector) = (folder.to_owned(), connector.to_owned());
            let command = move |name: &str| gateway(&folder, &connector, &queue, name, runs_agents);
            Process::start(&format!("gateway-{number}"), command)
        };
        urls.into_iter().enumerate().map(gateway).collect()
    }

    /// Starts the workers.
    pub(super) fn start_workers(&self, folder: &Path) -> Vec<Process> {
        let number = if matches!(self, Place::File) { 0 } else { 2 };
        let worker = |number: usize| {
            let (folder, queue) = (folder.to_owned(), self.url(folder));
            Process::start(&format!("worker-{number}"), move |_| worker(&folder, &queue))
        };
        (0..number).map(worker).collect()
    }
}

fn on_servers(addresses: &str) -> String {
    format!("nats://{addresses}/relay?replicas=3")
}

fn through(proxies: &[Proxy]) -> String {
    let addresses: Vec<String> = proxies.iter().map(|proxy| format!("127.0.0.1:{}", proxy.port)).collect();
    on_servers(&addresses.join(","))
}

/// Returns the command of a gateway that says its name to the connector.
fn gateway(folder: &Path, connector: &str, queue: &str, name: &str, runs_agents: bool) -> Command {
    let url = format!("ws://{connector}");
    let mut command = relayline(["run", "--url", &url, "--gateway-id", "gw-1", "--platform", "discord"]);
    command.args(["--queue", queue, "--standby", "--hello-extra", &json!({"process": name}).to_string()]);
    command.args(LIMITS.iter().flat_map(|limit| ["--set", limit]));
    if runs_agents {
        command.args(["--jobs", "3"]);
        with_agent(&mut command, folder);
    } else {
        command.args(["--set", LEASE]);
    }
    command.env("GATEWAY_RELAY_SECRET", "s3cret").stderr(append_to(folder, "gateway.log"));
    command
}

fn worker(folder: &Path, queue: &str) -> Command {
    let mut command = relayline(["work", "--queue", queue, "--gateway-id", "gw-1", "--jobs", "2"]);
    let limits = LIMITS.iter().filter(|limit| limit.starts_with("agent_"));
    command.args(limits.chain(&WORKER_LIMITS).flat_map(|limit| ["--set", limit]));
    with_agent(&mut command, folder);
    command.stderr(append_to(folder, "worker.log"));
    command
}

fn with_agent(command: &mut Command, folder: &Path) {
    command.arg("--exec").arg(queue_agent()).arg(folder.join("log")).arg(WORK_MS);
}

/// Process that is started again when it has ended.
pub(super) struct Process {
    kind: String,
    /// Returns the command of a process of a name.
    command: Box<dyn Fn(&str) -> Command>,
    child: Child,
    starts: usize,
    started: Instant,
    is_stopped: bool,
    /// Time at which it went on after a stop.
    resumed: Option<Instant>,
}

impl Process {
    fn start(kind: &str, command: impl Fn(&str) -> Command + 'static) -> Process {
        let child = spawn(&command, kind, 0);
        Process {
            kind: kind.to_owned(),
            command: Box::new(command),
            child,
            starts: 0,
            started: Instant::now(),
            is_stopped: false,
            resumed: None,
        }
    }

    /// Returns its name, which no other process has.
    pub(super) fn name(&self) -> String {
        name(&self.kind, self.starts)
    }

    /// Returns true if this is the name of one of its processes.
    pub(super) fn is_named(&self, name: &str) -> bool {
        name.split_once('.').is_some_and(|(kind, _)| kind == self.kind)
    }

    pub(super) fn signal(&self, signal: &str) {
        send(self.child.id(), signal);
    }

    /// Stops it, or lets it go on.
    pub(super) fn set_stopped(&mut self, is_stopped: bool) {
        self.signal(if is_stopped { "STOP" } else { "CONT" });
        self.is_stopped = is_stopped;
        self.resumed = (!is_stopped).then(Instant::now);
    }

    /// Returns true if it is stopped, or was until this time ago.
    pub(super) fn was_stopped(&self, ago: Duration) -> bool {
        self.is_stopped || self.resumed.is_some_and(|resumed| resumed.elapsed() < ago)
    }

    /// Ends it by a signal, and waits for its end.
    pub(super) fn end(&mut self, signal: &str) {
        self.signal(signal);
        self.child.wait().unwrap();
    }

    /// Starts it again after its end.
    pub(super) fn start_again(&mut self) {
        self.starts += 1;
        self.child = spawn(&self.command, &self.kind, self.starts);
        self.started = Instant::now();
        (self.is_stopped, self.resumed) = (false, None);
    }

    /// Starts it again if it has ended by itself, as a supervisor does. Returns true if it had ended. A gateway or a worker
    /// ends so with 1.
    pub(super) fn tend(&mut self) -> bool {
        if self.started.elapsed() < RESTART_AFTER {
            return false;
        }
        let Some(status) = self.child.try_wait().unwrap() else { return false };
        assert_eq!(status.code(), Some(1), "{} has ended: {status}", self.name());
        self.start_again();
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn name(kind: &str, starts: usize) -> String {
    format!("{kind}.{starts}")
}

fn spawn(command: &dyn Fn(&str) -> Command, kind: &str, starts: usize) -> Child {
    command(&name(kind, starts)).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}
