//! Gateways, agents and connectors that are killed or stopped at random: nothing that was stored is lost, each second
//! sighting is marked, and sessions keep their order. With a queue on servers of NATS there are two gateways, and servers and
//! workers are among what is killed and stopped: no op and no settlement of a lost lease counts, and two gateways are never
//! connected.
//!
//! The connector buffers two thirds of the messages, and all of these are handled. The others are live, and the protocol
//! has no acknowledgement for them: one is lost only if it was not stored when something was killed or stopped. It is known
//! to be stored if an agent saw it, if the queue had it after a kill, or if the gateway acknowledged a message that came
//! after it on the same connection.
//!
//! At full size (`RELAYLINE_FULL`) there are 20,000 buffered messages of 200 sessions, and 200 kills and stops.

#![allow(clippy::print_stdout)] // Figures are printed.

mod accepted;
mod connector;
mod disturbances;
mod log;
mod processes;
mod world;

use super::jetstream::servers::program;
use crate::support::is_full;
use processes::{Place, Servers};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use world::World;

/// Maximum number of buffered messages that are written and not seen. The fewer wait, the sooner an acknowledgement shows
/// that the live ones before it are stored.
const UNSEEN: usize = 60;

/// Time between two writes of messages.
const INTERVAL: Duration = Duration::from_millis(20);

/// Number of buffered messages in a write, beside a live one.
const AT_ONCE: usize = 2;

/// Time that an agent works on a message, in milliseconds.
const WORK_MS: &str = "15";

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
    /// Maximum pause between two disturbances, in milliseconds.
    pause: usize,
    /// One of this many live messages must be known to be stored, since the run proves little otherwise.
    known: usize,
    /// Time within which everything is done.
    within: Duration,
}

impl Sizes {
    /// Returns the sizes of a run.
    fn of(place: &Place) -> Sizes {
        let is_file = matches!(place, Place::File);
        if is_full() {
            return Sizes {
                messages: 20_000,
                sessions: 200,
                kills: 200,
                longest: disturbances::STOPS_OF_40_S,
                pause: 2500,
                // On servers, what is live is lost while the gateway that leads is stopped or cut off.
                known: if is_file { 2 } else { 4 },
                within: Duration::from_secs(1800),
            };
        }
        Sizes {
            messages: 600,
            sessions: 20,
            kills: disturbances::kinds(place),
            longest: 0,
            pause: if is_file { 2500 } else { 700 },
            // Beside other tests fewer acknowledgements come back.
            known: 4,
            within: Duration::from_secs(300),
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

fn append_to(folder: &Path, name: &str) -> Stdio {
    fs::OpenOptions::new().append(true).create(true).open(folder.join(name)).unwrap().into()
}

/// Sends a signal. The process may have ended.
fn send(pid: u32, signal: &str) {
    let _ =
        Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Runs the disturbances, and waits until everything is handled.
fn run(place: Place) {
    let sizes = Sizes::of(&place);
    let Sizes { messages, kills, longest, within, .. } = sizes;
    let seed = std::env::var("RELAYLINE_QUEUE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(0x9E37_79B9_7F4A_7C15);
    println!("seed {seed}: RELAYLINE_QUEUE_SEED={seed} runs it again, but for the scheduling");
    let mut random = Random(seed);
    let mut world = World::new(sizes, place);
    let (began, mut long) = (Instant::now(), 0);
    for index in 0..kills {
        world.write_for(random.millis(300, sizes.pause));
        let disturbance = match index.checked_sub(kills - longest) {
            Some(last) => disturbances::longest(last),
            None => disturbances::choose(&world.place, index, &mut random),
        };
        long += usize::from(disturbance.is_long());
        if is_full() {
            println!("{:.1} s: {disturbance:?}", began.elapsed().as_secs_f32());
        }
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
    let (replies, displaced, ended) = (world.accepted.replies, world.accepted.displaced, world.ended);
    println!(
        "{buffered} buffered and {live} live messages, {kills} kills and stops ({long} stops longer than the time-outs, \
         {longest} of 40 s), {again} sightings again, {replies} replies, {stored} live ones known to be stored, {handled} \
         handled, {displaced} connections of stopped gateways displaced, {ended} processes ended by themselves, {:.1} s",
        began.elapsed().as_secs_f32()
    );
    assert!(stored * sizes.known > live, "{stored} of {live} live messages are known to be stored");
}

#[test]
fn nothing_stored_is_lost_by_kills() {
    run(Place::File);
}

/// The same with three servers, two gateways and two workers, all of them among what is killed and stopped.
#[test]
fn nothing_stored_on_servers_is_lost_by_kills() {
    let Some(program) = program() else { return };
    run(Place::Servers(Servers::start(&program)));
}
