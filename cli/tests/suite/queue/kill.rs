//! Gateways, agents and connectors that are killed or stopped at random: nothing that was stored is lost, each second
//! sighting is marked, and sessions keep their order.
//!
//! The connector buffers two thirds of the messages, and all of these are handled. The others are live, and the protocol
//! has no acknowledgement for them: one is lost only if it was not stored when something was killed or stopped. It is known
//! to be stored if an agent saw it, if the queue had it after a kill, or if the gateway acknowledged a message that came
//! after it on the same connection.
//!
//! At full size (`RELAYLINE_FULL`) there are 20,000 buffered messages of 200 sessions, and 200 kills and stops.

mod connector;
mod log;

use super::queue_agent;
use crate::support::{SOON, is_full, relayline};
use connector::Connector;
use log::AgentLog;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Maximum number of buffered messages that are written and not seen. The fewer wait, the sooner an acknowledgement shows
/// that the live ones before it are stored.
const UNSEEN: usize = 60;

/// Time between two writes of messages.
const INTERVAL: Duration = Duration::from_millis(20);

/// Number of buffered messages in a write, beside a live one.
const AT_ONCE: usize = 2;

/// Time that an agent works on a message, in milliseconds.
const WORK_MS: &str = "15";

/// Duration of a long stop: longer than each time-out of the gateway.
const LONG_STOP: Duration = Duration::from_secs(3);

/// Time-outs of the gateway, each of them shorter than a long stop, and limits under which much happens in a short time.
const LIMITS: [&str; 22] = [
    "ping_interval=500ms",
    "ping_timeout=500ms",
    "dial_timeout=1s",
    "handshake_timeout=1s",
    "request_timeout=1s",
    "close_timeout=500ms",
    "idle_timeout=500ms",
    "disconnect_idle_timeout=500ms",
    "disconnect_budget=1s",
    "store_timeout=1s",
    "store_retry=20ms",
    "store_patience=1s",
    "agent_read_timeout=1s",
    "backoff_first=10ms",
    "backoff_most=100ms",
    "redeliver_after=5ms",
    "redeliver_after_most=50ms",
    "agent_restart_first=10ms",
    "agent_restart_most=50ms",
    "agent_deaths=1000",
    "max_attempts=1000",
    "snapshot_records=500",
];

#[derive(Clone, Copy)]
struct Sizes {
    /// Minimum number of buffered messages.
    messages: usize,
    sessions: usize,
    kills: usize,
    /// Number of stops of 40 s.
    longest: usize,
    /// Time within which everything is done.
    within: Duration,
}

impl Sizes {
    fn get() -> Sizes {
        let (long, short) = (Duration::from_secs(1800), Duration::from_secs(180));
        match is_full() {
            true => Sizes { messages: 20_000, sessions: 200, kills: 200, longest: 3, within: long },
            false => Sizes { messages: 600, sessions: 20, kills: KINDS, longest: 0, within: short },
        }
    }
}

/// Message of a user. Its text is its only name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Message {
    Buffered(usize),
    Live(usize),
}

impl Message {
    fn number(self) -> usize {
        match self {
            Message::Buffered(number) | Message::Live(number) => number,
        }
    }

    fn text(self) -> String {
        match self {
            Message::Buffered(number) => format!("buffered-{number}"),
            Message::Live(number) => format!("live-{number}"),
        }
    }

    fn parse(text: &str) -> Option<Message> {
        let (kind, number) = text.split_once('-')?;
        let number = number.parse().ok()?;
        match kind {
            "buffered" => Some(Message::Buffered(number)),
            "live" => Some(Message::Live(number)),
            _ => None,
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

    fn millis(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to - from)) as u64)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Connector,
    Gateway,
    Agents,
}

const TARGETS: [Target; 3] = [Target::Connector, Target::Gateway, Target::Agents];

/// Thing that happens to the processes.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    KillConnector,
    KillGateway,
    /// It is killed while nothing can be stored.
    KillWriter,
    /// A planned end.
    EndGateway,
    KillAgent,
    KillAll,
    Stop(Target, Duration),
}

/// Number of kinds of disturbances.
const KINDS: usize = 13;

impl Disturbance {
    /// Returns a disturbance. The first ones are one of each kind.
    fn choose(index: usize, random: &mut Random) -> Disturbance {
        let short = random.millis(100, 1000);
        let kind = if index < KINDS { index } else { random.below(KINDS + 3) };
        match kind {
            0 => Disturbance::Stop(Target::Gateway, LONG_STOP),
            1 => Disturbance::KillAll,
            2 => Disturbance::Stop(Target::Connector, LONG_STOP),
            3 => Disturbance::KillAgent,
            4 => Disturbance::Stop(Target::Agents, LONG_STOP),
            5 => Disturbance::EndGateway,
            6 => Disturbance::Stop(Target::Gateway, short),
            7 => Disturbance::Stop(Target::Connector, short),
            8 => Disturbance::Stop(Target::Agents, short),
            9 | 13 => Disturbance::KillConnector,
            10 | 14 => Disturbance::KillGateway,
            11 => Disturbance::KillWriter,
            _ => Disturbance::KillAgent,
        }
    }
}

/// Processes of the test.
struct World {
    folder: tempfile::TempDir,
    connector: Connector,
    gateway: Child,
    log: AgentLog,
    /// Numbers of messages that were written to a connector.
    buffered: usize,
    live: usize,
    /// Number of buffered messages at which no more are written.
    most: usize,
    /// Live messages that must be handled, besides those that were seen.
    stored: BTreeSet<usize>,
    sizes: Sizes,
}

impl World {
    fn new(sizes: Sizes) -> World {
        let folder = tempfile::tempdir().unwrap();
        let log = AgentLog::new(&folder.path().join("log"), sizes.sessions);
        let connector = Connector::start(folder.path(), "127.0.0.1:0");
        let gateway = start_gateway(folder.path(), &connector.address);
        let (most, stored) = (usize::MAX, BTreeSet::new());
        World { folder, connector, gateway, log, buffered: 0, live: 0, most, stored, sizes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads what the connector and the agents have said.
    fn observe(&mut self) {
        self.connector.observe();
        self.stored.extend(self.connector.take_stored());
        self.log.read();
    }

    /// Writes messages for a time, as far as the connector's buffer has room.
    fn write_for(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.observe();
            let sessions = self.sizes.sessions;
            let room = (self.log.buffered + UNSEEN).saturating_sub(self.buffered);
            let most = self.most.min(self.buffered + room.min(AT_ONCE));
            // Only what follows a live message can show that it is stored.
            if self.connector.is_connected() && most > self.buffered {
                self.connector.write([Message::Live(self.live)], sessions, true);
                self.live += 1;
            }
            let buffered = (self.buffered..most).map(Message::Buffered);
            self.connector.write(buffered, sessions, true);
            self.buffered = self.buffered.max(most);
            std::thread::sleep(INTERVAL);
        }
    }

    fn restart_connector(&mut self) {
        let lost = self.connector.kill();
        self.stored.extend(self.connector.take_stored());
        let address = self.connector.address.clone();
        self.connector = Connector::start(self.folder.path(), &address);
        // What was in its stdin is written again, in order. The queue knows what it has.
        self.connector.write(lost, self.sizes.sessions, false);
    }

    fn restart_gateway(&mut self, signal: &str) {
        send(self.gateway.id(), signal);
        self.gateway.wait().unwrap();
        self.stored.extend(self.live_in_queue());
        self.gateway = start_gateway(self.folder.path(), &self.connector.address);
    }

    /// Returns the live messages that are in the queue of no gateway.
    fn live_in_queue(&self) -> BTreeSet<usize> {
        let listed = self.queue(&["list", "--text"]);
        let texts = listed.iter().filter_map(|entry| Message::parse(entry["message"]["text"].as_str()?));
        texts.filter(|message| matches!(message, Message::Live(_))).map(Message::number).collect()
    }

    /// Returns the objects that a command of `relayline queue` prints.
    fn queue(&self, arguments: &[&str]) -> Vec<Value> {
        let mut command = relayline([&["queue"], arguments, &["--json", "--queue"]].concat());
        let ran = command.arg(format!("sqlite:{}", self.path("inbox.db").display())).output().unwrap();
        // Before the first gateway has created it there is none.
        String::from_utf8_lossy(&ran.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the processes of the agents. The gateway has their command in its own.
    fn agents(&self) -> Vec<u32> {
        let command = format!("^[^ ]*/queue_agent {}", self.path("log").display());
        let ran = Command::new("pgrep").args(["-f", &command]).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn disturb(&mut self, random: &mut Random, disturbance: Disturbance) {
        match disturbance {
            Disturbance::KillConnector => self.restart_connector(),
            Disturbance::KillGateway => self.restart_gateway("KILL"),
            Disturbance::KillWriter => {
                let until = Instant::now() + SOON;
                while !self.connector.is_connected() && Instant::now() < until {
                    self.write_for(INTERVAL);
                }
                let writer = rusqlite::Connection::open(self.path("inbox.db")).unwrap();
                writer.busy_timeout(SOON).unwrap();
                writer.execute_batch("BEGIN IMMEDIATE").unwrap();
                self.write_for(random.millis(300, 600));
                send(self.gateway.id(), "KILL");
                drop(writer);
                self.restart_gateway("KILL");
            }
            Disturbance::EndGateway => self.restart_gateway("TERM"),
            Disturbance::KillAgent => {
                let agents = self.agents();
                if !agents.is_empty() {
                    send(agents[random.below(agents.len())], "KILL");
                }
            }
            Disturbance::KillAll => {
                self.agents().into_iter().for_each(|agent| send(agent, "KILL"));
                send(self.gateway.id(), "KILL");
                self.restart_connector();
                self.restart_gateway("KILL");
            }
            Disturbance::Stop(target, span) => self.stop(target, span),
        }
    }

    fn stop(&mut self, target: Target, span: Duration) {
        let stopped = match target {
            Target::Connector => vec![self.connector.id()],
            Target::Gateway => vec![self.gateway.id()],
            Target::Agents => self.agents(),
        };
        stopped.iter().for_each(|pid| send(*pid, "STOP"));
        match target {
            // It does not read: its stdin would be full soon.
            Target::Connector => std::thread::sleep(span),
            Target::Gateway | Target::Agents => self.write_for(span),
        }
        stopped.iter().for_each(|pid| send(*pid, "CONT"));
    }

    /// Returns the messages that must be handled, and are not known to be.
    fn missing(&self) -> Vec<Message> {
        let buffered = (0..self.buffered).map(Message::Buffered);
        let live = self.stored.iter().copied().map(Message::Live);
        let all: BTreeSet<Message> = buffered.chain(live).chain(self.log.seen()).collect();
        all.into_iter().filter(|message| !self.log.has_acknowledged(*message)).collect()
    }

    /// Returns true if everything is written, handled, and has left the queue.
    fn is_done(&self) -> bool {
        let is_empty = |status: &[Value]| status.iter().any(|status| status["entries"] == 0);
        self.buffered >= self.most && self.missing().is_empty() && is_empty(&self.queue(&["status"]))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = (self.gateway.kill(), self.gateway.wait());
    }
}

fn start_gateway(folder: &Path, connector: &str) -> Child {
    let (url, queue) = (format!("ws://{connector}"), format!("sqlite:{}", folder.join("inbox.db").display()));
    let mut command = relayline(["run", "--url", &url, "--gateway-id", "gw-1", "--platform", "discord"]);
    command.args(["--queue", &queue]).args(LIMITS.iter().flat_map(|limit| ["--set", limit]));
    command
        .args(["--standby", "--jobs", "3", "--exec"])
        .arg(queue_agent())
        .arg(folder.join("log"))
        .arg(WORK_MS);
    command.env("GATEWAY_RELAY_SECRET", "s3cret").stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(append_to(folder, "gateway.log")).spawn().unwrap()
}

fn append_to(folder: &Path, name: &str) -> Stdio {
    fs::OpenOptions::new().append(true).create(true).open(folder.join(name)).unwrap().into()
}

/// Sends a signal. The process may have ended.
fn send(pid: u32, signal: &str) {
    let _ =
        Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn nothing_stored_is_lost_by_kills() {
    let sizes = Sizes::get();
    let Sizes { messages, kills, longest, within, .. } = sizes;
    let seed = std::env::var("RELAYLINE_QUEUE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(0x9E37_79B9_7F4A_7C15);
    println!("seed {seed}: RELAYLINE_QUEUE_SEED={seed} runs it again, but for the scheduling");
    let mut random = Random(seed);
    let mut world = World::new(sizes);
    let (began, mut long) = (Instant::now(), 0);
    for index in 0..kills {
        world.write_for(random.millis(300, 2500));
        let disturbance = match index.checked_sub(kills - longest) {
            Some(last) => Disturbance::Stop(TARGETS[last], Duration::from_secs(40)),
            None => Disturbance::choose(index, &mut random),
        };
        long += usize::from(matches!(disturbance, Disturbance::Stop(_, LONG_STOP)));
        world.disturb(&mut random, disturbance);
    }
    // The rest is written, and handled in peace.
    world.most = world.buffered.max(messages);
    while !world.is_done() {
        if began.elapsed() > within {
            let missing = world.missing();
            let gateway = fs::read_to_string(world.path("gateway.log")).unwrap_or_default();
            let tail: Vec<&str> = gateway.lines().rev().take(30).collect();
            let first = &missing[..missing.len().min(20)];
            panic!("{} messages are missing: {first:?}\n{tail:#?}", missing.len());
        }
        world.write_for(Duration::from_millis(500));
    }
    let handled = (0..world.live).filter(|number| world.log.has_seen(Message::Live(*number))).count();
    let (buffered, live, stored, again) = (world.buffered, world.live, world.stored.len(), world.log.again);
    println!(
        "{buffered} buffered and {live} live messages, {kills} kills and stops ({long} stops longer than the time-outs, \
         {longest} of 40 s), {again} sightings again, {stored} live ones known to be stored, {handled} handled, {:.1} s",
        began.elapsed().as_secs_f32()
    );
    // Else it proves little.
    assert!(stored * 2 > live, "{stored} of {live} live messages are known to be stored");
}
