//! Gateways, agents and connectors that are killed or stopped at random: nothing that was stored is lost, each second
//! sighting is marked, and sessions keep their order.
//!
//! At full size (`RELAYLINE_FULL`) there are 20,000 messages of 200 sessions, and 200 kills.

use super::queue_agent;
use crate::support::{is_full, relayline};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Number of messages that are written again after a kill of the connector: more than those on their way to it.
const REWRITTEN: usize = 400;

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

/// Processes of the test.
struct World {
    folder: tempfile::TempDir,
    address: String,
    connector: Child,
    gateway: Child,
    /// Number of messages that were written to the connector.
    written: usize,
    sizes: Sizes,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_connector(folder: &Path, address: &str) -> Child {
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
        command.arg("--state").arg(state).stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(log(folder, "connector.log")).spawn().unwrap()
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
        let connector = World::start_connector(folder.path(), &address);
        let gateway = World::start_gateway(folder.path(), &address);
        World { folder, address, connector, gateway, written: 0, sizes }
    }

    /// Writes messages to the connector. An error means that it was killed.
    fn write(&mut self, numbers: std::ops::Range<usize>) {
        let Some(stdin) = &mut self.connector.stdin else { return };
        for number in numbers {
            let chat = number % self.sizes.sessions;
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

    fn write_more(&mut self, count: usize) {
        let end = (self.written + count).min(self.sizes.messages);
        let numbers = self.written..end;
        self.written = end;
        self.write(numbers);
    }

    fn restart_connector(&mut self) {
        self.connector.kill().unwrap();
        self.connector.wait().unwrap();
        self.connector = World::start_connector(self.folder.path(), &self.address);
        // What was in its stdin is lost, and in order: it is written again. The queue knows what it has.
        self.write(self.written.saturating_sub(REWRITTEN)..self.written);
    }

    fn restart_gateway(&mut self, signal: &str) {
        send(self.gateway.id(), signal);
        self.gateway.wait().unwrap();
        self.gateway = World::start_gateway(self.folder.path(), &self.address);
    }

    /// Returns the processes of the agents.
    fn agents(&self) -> Vec<u32> {
        let log = self.path("log");
        let ran =
            Command::new("pgrep").args(["-f", &format!("queue_agent {}", log.display())]).output().unwrap();
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
                let (connector, gateway) = (self.connector.id(), self.gateway.id());
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

    fn done(&self) -> BTreeSet<usize> {
        let log = self.log();
        let done = log.iter().filter_map(|line| line.strip_prefix("done "));
        done.map(|number| number.parse().unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = (self.gateway.kill(), self.connector.kill());
        let _ = (self.gateway.wait(), self.connector.wait());
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
    let (messages, sessions, kills, within) = (sizes.messages, sizes.sessions, sizes.kills, sizes.within);
    let seed = std::env::var("RELAYLINE_QUEUE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(0x9E37_79B9_7F4A_7C15);
    println!("seed {seed}: RELAYLINE_QUEUE_SEED={seed} runs it again, but for the scheduling");
    let mut random = Random(seed);
    let mut world = World::new(sizes);
    let began = Instant::now();
    for _ in 0..kills {
        world.write_more(messages.div_ceil(kills));
        std::thread::sleep(Duration::from_millis(100 + random.below(500) as u64));
        world.disturb(&mut random);
    }
    world.write_more(messages);
    let mut rewritten = Instant::now();
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
        if rewritten.elapsed() > Duration::from_secs(2) {
            rewritten = Instant::now();
            if is_settled(&world) {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = world.log();
    let again = check(&log, sessions);
    let seen: BTreeSet<&str> =
        log.iter().filter_map(|line| line.strip_prefix("seen ")?.split(' ').next()).collect();
    assert_eq!(seen.len(), messages, "each message reaches an agent");
    println!(
        "{messages} messages, {kills} kills, {again} sightings again, {:.1} s",
        began.elapsed().as_secs_f32()
    );
}

/// Returns true if every message was seen and the queue is empty: the rest is done, and nobody was left to hear of it.
fn is_settled(world: &World) -> bool {
    let log = world.log();
    let seen: BTreeSet<&str> =
        log.iter().filter_map(|line| line.strip_prefix("seen ")?.split(' ').next()).collect();
    let queue = format!("sqlite:{}", world.path("inbox.db").display());
    let ran = relayline(["queue", "status", "--json", "--queue", &queue]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    seen.len() == world.sizes.messages && status["entries"] == 0
}
