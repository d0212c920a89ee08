//! Gateways, agents and connectors that are killed or stopped at random: nothing that was stored is lost, each second
//! sighting is marked, and sessions keep their order.
//!
//! At full size (`RELAYLINE_FULL`) there are 20,000 messages of 200 sessions, and 200 kills.

use super::queue_agent;
use crate::support::{is_full, relayline};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Maximum number of messages that are written and not seen: the connector's buffer has room for them.
const UNSEEN: usize = 500;

#[derive(Clone, Copy)]
struct Sizes {
    messages: usize,
    sessions: usize,
    kills: usize,
    /// Time within which everything is done.
    within: Duration,
}

impl Sizes {
    fn get() -> Sizes {
        match is_full() {
            true => Sizes { messages: 20_000, sessions: 200, kills: 200, within: Duration::from_secs(1200) },
            false => Sizes { messages: 400, sessions: 20, kills: 8, within: Duration::from_secs(120) },
        }
    }
}

/// Random numbers of a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Connector, with the messages that it has not confirmed.
struct Connector {
    process: Child,
    /// Messages on their way into its buffer, in order.
    unconfirmed: VecDeque<usize>,
    /// Number of messages that are in its buffer on the disk, by its own lines.
    buffered: Arc<AtomicUsize>,
    reader: Option<JoinHandle<()>>,
}

impl Connector {
    fn start(folder: &Path, address: &str) -> Connector {
        let state = folder.join("connector.json");
        let mut command = relayline([
            "connector",
            "--listen",
            address,
            "--platform",
            "discord",
            "--gateway",
            "gw-1=s3cret",
        ]);
        command.arg("--state").arg(state).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(log(folder, "connector.log")).spawn().unwrap();
        let (stdout, buffered) = (process.stdout.take().unwrap(), Arc::<AtomicUsize>::default());
        let counted = buffered.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.starts_with(r#"{"saw":"buffered""#) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Connector { process, unconfirmed: VecDeque::new(), buffered, reader: Some(reader) }
    }

    /// Forgets the messages that are in the buffer.
    fn confirm(&mut self) {
        let count = self.buffered.swap(0, Ordering::Relaxed);
        self.unconfirmed.drain(..count);
    }

    /// Kills the process. Returns the messages that may not be in its buffer.
    fn kill(&mut self) -> Vec<usize> {
        let _ = self.process.kill();
        self.process.wait().unwrap();
        // What it has said before counts.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.confirm();
        self.unconfirmed.drain(..).collect()
    }

    /// Writes messages. An error means that it was killed.
    fn write(&mut self, numbers: impl Iterator<Item = usize>, sessions: usize) {
        let stdin = self.process.stdin.as_mut().unwrap();
        for number in numbers {
            self.unconfirmed.push_back(number);
            let chat = number % sessions;
            let event = json!({
                "text": number.to_string(), "message_type": "text", "message_id": format!("m{number}"),
                "source": {"platform": "discord", "chat_id": format!("c{chat}"), "chat_type": "dm", "user_id": "u"},
            });
            let line = json!({"do": "inbound", "event": event, "buffered": true, "gateway": "gw-1"});
            if writeln!(stdin, "{line}").is_err() {
                return;
            }
        }
        let _ = stdin.flush();
    }
}

/// Processes of the test.
struct World {
    folder: tempfile::TempDir,
    address: String,
    connector: Connector,
    gateway: Child,
    /// Number of messages that were written to a connector.
    written: usize,
    sizes: Sizes,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_gateway(folder: &Path, address: &str) -> Child {
        let (url, queue) =
            (format!("ws://{address}"), format!("sqlite:{}", folder.join("inbox.db").display()));
        let mut command = relayline([
            "run",
            "--url",
            &url,
            "--gateway-id",
            "gw-1",
            "--platform",
            "discord",
            "--queue",
            &queue,
        ]);
        for limit in [
            "backoff_first=10ms",
            "backoff_most=100ms",
            "redeliver_after=5ms",
            "redeliver_after_most=50ms",
            "agent_restart_first=10ms",
            "agent_restart_most=50ms",
            "agent_deaths=1000",
            "max_attempts=1000",
            "snapshot_records=500",
            "ping_interval=500ms",
            "ping_timeout=500ms",
        ] {
            command.args(["--set", limit]);
        }
        command
            .args(["--standby", "--jobs", "3", "--exec"])
            .arg(queue_agent())
            .arg(folder.join("log"))
            .arg("1");
        command.env("GATEWAY_RELAY_SECRET", "s3cret").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log(folder, "gateway.log")).spawn().unwrap()
    }

    fn new(sizes: Sizes) -> World {
        let folder = tempfile::tempdir().unwrap();
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let connector = Connector::start(folder.path(), &address);
        let gateway = World::start_gateway(folder.path(), &address);
        World { folder, address, connector, gateway, written: 0, sizes }
    }

    /// Writes the next messages for a time, as far as the connector's buffer has room.
    fn write_for(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.connector.confirm();
            let most = self.sizes.messages.min(self.seen().len() + UNSEEN);
            let numbers = self.written..self.written.max(most);
            self.written = numbers.end;
            self.connector.write(numbers, self.sizes.sessions);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn restart_connector(&mut self) {
        let lost = self.connector.kill();
        self.connector = Connector::start(self.folder.path(), &self.address);
        // What was in its stdin is written again, in order. The queue knows what it has.
        self.connector.write(lost.into_iter(), self.sizes.sessions);
    }

    fn restart_gateway(&mut self, signal: &str) {
        send(self.gateway.id(), signal);
        self.gateway.wait().unwrap();
        self.gateway = World::start_gateway(self.folder.path(), &self.address);
    }

    /// Returns the processes of the agents. The gateway has their command in its own.
    fn agents(&self) -> Vec<u32> {
        let command = format!("^[^ ]*/queue_agent {}", self.path("log").display());
        let ran = Command::new("pgrep").args(["-f", &command]).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn disturb(&mut self, random: &mut Random) {
        match random.below(8) {
            0 | 1 => self.restart_connector(),
            2 | 3 => self.restart_gateway("KILL"),
            4 => self.restart_gateway("TERM"),
            5 => {
                let agents = self.agents();
                if !agents.is_empty() {
                    send(agents[random.below(agents.len())], "KILL");
                }
            }
            6 => {
                let (connector, gateway) = (self.connector.process.id(), self.gateway.id());
                let stopped = if random.below(2) == 0 { connector } else { gateway };
                send(stopped, "STOP");
                std::thread::sleep(Duration::from_millis(100 + random.below(900) as u64));
                send(stopped, "CONT");
            }
            _ => {
                // All at once.
                for agent in self.agents() {
                    send(agent, "KILL");
                }
                send(self.gateway.id(), "KILL");
                self.restart_connector();
                self.restart_gateway("KILL");
            }
        }
    }

    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Returns the messages of the lines that begin so.
    fn messages(&self, begin: &str) -> BTreeSet<usize> {
        let log = self.log();
        let rest = log.iter().filter_map(|line| line.strip_prefix(begin));
        rest.filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect()
    }

    fn seen(&self) -> BTreeSet<usize> {
        self.messages("seen ")
    }

    fn done(&self) -> BTreeSet<usize> {
        self.messages("done ")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = (self.gateway.kill(), self.connector.process.kill());
        let _ = (self.gateway.wait(), self.connector.process.wait());
    }
}

fn log(folder: &Path, name: &str) -> Stdio {
    fs::OpenOptions::new().append(true).create(true).open(folder.join(name)).unwrap().into()
}

/// Sends a signal. The process may have ended.
fn send(pid: u32, signal: &str) {
    let _ =
        Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Checks the order of sightings and their marks.
fn check(log: &[String], sessions: usize) -> usize {
    let mut attempts: BTreeMap<usize, u32> = BTreeMap::new();
    let mut first_of_session: BTreeMap<usize, usize> = BTreeMap::new();
    let mut done = BTreeSet::new();
    let mut again = 0;
    for line in log {
        let words: Vec<&str> = line.split(' ').collect();
        let number: usize = words[1].parse().unwrap();
        if words[0] == "done" {
            done.insert(number);
            continue;
        }
        let (attempt, is_marked): (u32, bool) = (words[2].parse().unwrap(), words[3] == "true");
        assert!(!done.contains(&number), "message {number} is done and comes again");
        assert_eq!(is_marked, attempt > 1, "{line}");
        match attempts.insert(number, attempt) {
            Some(last) => {
                again += 1;
                assert!(attempt > last, "{line} after attempt {last}");
            }
            None => {
                let last = first_of_session.insert(number % sessions, number);
                assert!(
                    last.is_none_or(|last| last < number),
                    "{line} after message {last:?} of its session"
                );
            }
        }
    }
    again
}

#[test]
fn nothing_stored_is_lost_by_kills() {
    let sizes = Sizes::get();
    let Sizes { messages, sessions, kills, within } = sizes;
    let seed = std::env::var("RELAYLINE_QUEUE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(0x9E37_79B9_7F4A_7C15);
    println!("seed {seed}: RELAYLINE_QUEUE_SEED={seed} runs it again, but for the scheduling");
    let mut random = Random(seed);
    let mut world = World::new(sizes);
    let began = Instant::now();
    for _ in 0..kills {
        world.write_for(Duration::from_millis(100 + random.below(500) as u64));
        world.disturb(&mut random);
    }
    let mut looked = Instant::now();
    while world.done().len() < messages {
        if began.elapsed() > within {
            let done = world.done();
            let missing: Vec<usize> = (0..messages).filter(|number| !done.contains(number)).collect();
            let gateway = fs::read_to_string(world.path("gateway.log")).unwrap_or_default();
            let tail: Vec<&str> = gateway.lines().rev().take(30).collect();
            panic!(
                "{} of {messages} are not done: {:?}\n{tail:#?}",
                missing.len(),
                &missing[..missing.len().min(20)]
            );
        }
        // An ack whose result was lost with the agent: the message is done, and does not come again.
        if looked.elapsed() > Duration::from_secs(2) {
            looked = Instant::now();
            if is_settled(&world) {
                break;
            }
        }
        world.write_for(Duration::from_millis(50));
    }
    let log = world.log();
    let again = check(&log, sessions);
    assert_eq!(world.seen().len(), messages, "each message reaches an agent");
    println!(
        "{messages} messages, {kills} kills, {again} sightings again, {:.1} s",
        began.elapsed().as_secs_f32()
    );
}

/// Returns true if every message was seen and the queue is empty: the rest is done, and nobody was left to hear of it.
fn is_settled(world: &World) -> bool {
    let queue = format!("sqlite:{}", world.path("inbox.db").display());
    let ran = relayline(["queue", "status", "--json", "--queue", &queue]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    world.seen().len() == world.sizes.messages && status["entries"] == 0
}
