//! Processes of the kill run, and the messages that are written and handled.

use super::accepted::Accepted;
use super::connector::Connector;
use super::log::AgentLog;
use super::processes::{Place, Process};
use super::{AT_ONCE, INTERVAL, Message, Sizes, UNSEEN};
use crate::support::{SOON, relayline};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Processes of the test.
pub(super) struct World {
    // The processes end before their folder and their servers.
    pub(super) gateways: Vec<Process>,
    pub(super) workers: Vec<Process>,
    pub(super) connector: Connector,
    pub(super) place: Place,
    folder: tempfile::TempDir,
    pub(super) log: AgentLog,
    pub(super) accepted: Accepted,
    /// Numbers of messages that were written to a connector.
    pub(super) buffered: usize,
    pub(super) live: usize,
    /// Number of buffered messages at which no more are written.
    pub(super) most: usize,
    /// Live messages that must be handled, besides those that were seen.
    pub(super) stored: BTreeSet<usize>,
    /// Number of gateways and workers that ended by themselves.
    pub(super) ended: usize,
    sizes: Sizes,
}

impl World {
    pub(super) fn new(sizes: Sizes, place: Place) -> World {
        let folder = tempfile::tempdir().unwrap();
        let log = AgentLog::new(&folder.path().join("log"), sizes.sessions);
        let connector = Connector::start(folder.path(), "127.0.0.1:0");
        let gateways = place.start_gateways(folder.path(), &connector.address);
        let workers = place.start_workers(folder.path());
        World {
            gateways,
            workers,
            connector,
            place,
            folder,
            log,
            accepted: Accepted::default(),
            buffered: 0,
            live: 0,
            most: usize::MAX,
            stored: BTreeSet::new(),
            ended: 0,
            sizes,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads what the connector and the agents have said.
    fn observe(&mut self) {
        self.connector.observe();
        self.take_observed();
        self.log.read();
    }

    fn take_observed(&mut self) {
        self.stored.extend(self.connector.take_stored());
        for (message, attempt) in self.connector.take_replies() {
            self.accepted.reply(message, attempt);
        }
        for pair in self.connector.take_pairs() {
            self.accepted.two_connections(&pair, &self.gateways);
        }
    }

    /// Writes messages for a time, as far as the connector's buffer has room.
    pub(super) fn write_for(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.observe();
            self.tend();
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

    /// Starts again what ended by itself: a gateway that lost the queue on servers does.
    fn tend(&mut self) {
        if matches!(self.place, Place::Servers(_)) {
            let processes = self.gateways.iter_mut().chain(&mut self.workers);
            self.ended += processes.filter_map(|process| process.tend().then_some(())).count();
        }
    }

    /// Returns the number of the gateway that leads. Of two gateways, it waits for the one that does.
    pub(super) fn leader(&mut self) -> usize {
        if self.gateways.len() > 1 {
            self.wait_for_leader();
        }
        self.last_leader()
    }

    pub(super) fn wait_for_leader(&mut self) {
        let until = Instant::now() + SOON;
        while !self.connector.is_connected() && Instant::now() < until {
            self.write_for(INTERVAL);
        }
    }

    /// Returns the number of the gateway that led last.
    fn last_leader(&self) -> usize {
        let last = self.connector.last_process();
        let is_it = |gateway: &Process| gateway.is_named(last);
        self.gateways.iter().position(is_it).unwrap_or(0)
    }

    /// Returns the number of the gateway that did not lead last.
    pub(super) fn standby(&self) -> usize {
        self.gateways.len() - 1 - self.last_leader()
    }

    pub(super) fn restart_connector(&mut self) {
        let lost = self.connector.kill();
        self.take_observed();
        self.connector.start_again(self.folder.path());
        // What was in its stdin is written again, in order. The queue knows what it has.
        self.connector.write(lost, self.sizes.sessions, false);
    }

    pub(super) fn restart_gateways(&mut self, numbers: &[usize], signal: &str) {
        for number in numbers {
            self.gateways[*number].end(signal);
        }
        self.stored.extend(self.live_in_queue());
        for number in numbers {
            self.gateways[*number].start_again();
        }
    }

    /// Returns the live messages that are in the queue.
    fn live_in_queue(&self) -> BTreeSet<usize> {
        let listed = self.queue(&["list", "--text"]);
        let texts = listed.iter().filter_map(|entry| Message::parse(entry["message"]["text"].as_str()?));
        texts.filter(|message| matches!(message, Message::Live(_))).map(Message::number).collect()
    }

    /// Returns the objects that a command of `relayline queue` prints.
    fn queue(&self, arguments: &[&str]) -> Vec<Value> {
        let url = self.place.url(self.folder.path());
        let mut command = relayline([&["queue"], arguments, &["--json", "--gateway-id", "gw-1"]].concat());
        let ran = command.args(["--queue", &url]).output().unwrap();
        // Before the first gateway has created it there is none.
        String::from_utf8_lossy(&ran.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the processes of the agents. Gateways and workers have their command in their own.
    pub(super) fn agents(&self) -> Vec<u32> {
        let command = format!("^[^ ]*/queue_agent {}", self.path("log").display());
        let ran = Command::new("pgrep").args(["-f", &command]).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Returns the messages that must be handled, and are not known to be.
    pub(super) fn missing(&self) -> Vec<Message> {
        let buffered = (0..self.buffered).map(Message::Buffered);
        let live = self.stored.iter().copied().map(Message::Live);
        let all: BTreeSet<Message> = buffered.chain(live).chain(self.log.seen()).collect();
        all.into_iter().filter(|message| !self.log.has_acknowledged(*message)).collect()
    }

    /// Returns true if everything is written, handled, and has left the queue.
    pub(super) fn is_done(&self) -> bool {
        let is_empty = |status: &[Value]| status.iter().any(|status| status["entries"] == 0);
        self.buffered >= self.most && self.missing().is_empty() && is_empty(&self.queue(&["status"]))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the logs are in {}", self.folder.path().display());
        }
    }
}
