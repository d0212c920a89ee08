//! Servers of NATS for tests: one, or a cluster of three, on free ports of this machine with folders of their own.

use relayline_queue::jetstream::JetStreamQueue;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Variable with the path of the server's program.
const PROGRAM: &str = "RELAYLINE_NATS_SERVER";

/// Oldest version that the queue accepts.
const OLDEST: (u64, u64) = (2, 12);

/// Maximum time for a server to answer.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Returns the server's program; `None`, with a message, if there is none that is new enough.
pub(crate) fn program() -> Option<PathBuf> {
    let found = std::env::var_os(PROGRAM).map(PathBuf::from).or_else(|| {
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join("nats-server")).find(|path| path.is_file())
    });
    let Some(program) = found else {
        eprintln!("skipped: there is no nats-server, neither in {PROGRAM} nor in PATH");
        return None;
    };
    let output = Command::new(&program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.trim().rsplit('v').next().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map_while(|part| part.parse::<u64>().ok());
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
        eprintln!("skipped: {} is older than 2.12: {}", program.display(), text.trim());
        return None;
    }
    Some(program)
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Running server.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    config: PathBuf,
    pub(crate) port: u16,
    pub(crate) child: Option<Child>,
    _folder: Option<tempfile::TempDir>,
}

impl Server {
    /// Starts a server alone. `config` is more of its configuration.
    pub(crate) fn start(program: &Path, config: &str) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::new(program, folder.path(), "one", free_port(), "", config);
        server._folder = Some(folder);
        server.resume();
        server
    }

    /// Prepares a server. `jetstream` is more of the block of this name.
    fn new(program: &Path, folder: &Path, name: &str, port: u16, jetstream: &str, more: &str) -> Server {
        let mut text = format!("listen: 127.0.0.1:{port}\nserver_name: {name}\n");
        if !more.contains("jetstream") {
            let store = folder.join(name);
            let store = store.display();
            writeln!(
                text,
                "jetstream {{ store_dir: {store:?}, max_mem: 64M, max_file: 4G, {jetstream} }}",
                store = store.to_string()
            )
            .unwrap();
        }
        text.push_str(more);
        let config = folder.join(format!("{name}.conf"));
        std::fs::write(&config, text).unwrap();
        Server { program: program.to_owned(), config, port, child: None, _folder: None }
    }

    fn spawn(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts it, or starts it again after [`kill`](Self::kill).
    pub(crate) fn resume(&mut self) {
        self.spawn();
        self.wait();
    }

    /// Waits until it answers.
    fn wait(&self) {
        let until = Instant::now() + START_WITHIN;
        while Instant::now() < until {
            if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                let mut line = String::new();
                if BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("INFO ") {
                    return;
                }
            }
            sleep(Duration::from_millis(20));
        }
        panic!("the server does not answer on port {}", self.port);
    }

    /// Kills it without a warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Returns host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Running cluster of three servers.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts the servers. `config` is more of the configuration of each.
    pub(crate) fn start(program: &Path, config: &str) -> Cluster {
        Cluster::with(program, "", config)
    }

    /// Starts the servers. `jetstream` is more of the block of this name in the configuration of each.
    pub(crate) fn with(program: &Path, jetstream: &str, config: &str) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
        let routes: Vec<String> =
            ports.iter().map(|(_, route)| format!("nats://127.0.0.1:{route}")).collect();
        let mut servers = Vec::new();
        for (n, (port, route)) in ports.iter().enumerate() {
            let cluster = format!(
                "cluster {{ name: test, listen: 127.0.0.1:{route}, routes: [{}], no_advertise: true }}\n{config}",
                routes.join(", ")
            );
            let name = format!("n{n}");
            servers.push(Server::new(program, folder.path(), &name, *port, jetstream, &cluster));
        }
        servers.iter_mut().for_each(Server::spawn);
        servers.iter().for_each(Server::wait);
        let cluster = Cluster { servers, _folder: folder };
        cluster.wait();
        cluster
    }

    /// Waits until it has elected its leader.
    fn wait(&self) {
        let url = format!("nats://{}/probe?replicas=3", self.addresses()).parse().unwrap();
        let until = Instant::now() + START_WITHIN;
        while let Err(error) =
            JetStreamQueue::connect(&url, "probe", "test").and_then(|queue| queue.prepare())
        {
            assert!(Instant::now() < until, "{error}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Returns hosts and ports, as in a URL.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> = self.servers.iter().map(Server::address).collect();
        addresses.join(",")
    }
}
