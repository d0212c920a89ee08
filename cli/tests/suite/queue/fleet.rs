//! `relayline work` on a real server: agents on other machines than their gateway. Without a server these tests are skipped.

mod metrics;

use super::jetstream::servers::{Server, program};
use super::{Stage, logged, queue_agent};
use crate::support::{Program, SOON, is_full, relayline};
use relayline_connector::chats::{Room, discord};
use relayline_connector::{ConnectorConfig, Observation};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// A connector, a server with the queue, and workers.
pub(super) struct Fleet {
    pub(super) stage: Stage,
    _server: Server,
    pub(super) url: String,
}

impl Fleet {
    /// `None` without a server's program.
    fn new(runtime: &str) -> Option<Fleet> {
        Fleet::with(runtime, ConnectorConfig::default())
    }

    pub(super) fn with(runtime: &str, config: ConnectorConfig) -> Option<Fleet> {
        let server = Server::start(&program()?, "");
        let url = format!("nats://{}/relay", server.address());
        let mut stage = Stage::with(runtime, config);
        stage.use_queue(url.clone());
        Some(Fleet { stage, _server: server, url })
    }

    /// Starts a gateway without an agent.
    fn gateway(&self, flags: &[&str]) -> Program {
        Program::start(self.stage.command(flags))
    }

    /// Starts a worker whose agent takes `work` milliseconds for a message.
    fn worker(&self, log: &str, work: u64, flags: &[&str]) -> Program {
        Program::start(self.worker_command(log, work, flags))
    }

    fn worker_command(&self, log: &str, work: u64, flags: &[&str]) -> Command {
        let mut command = relayline(["work", "--queue", &self.url]);
        command.args(flags).arg("--exec").arg(queue_agent()).arg(self.stage.path(log)).arg(work.to_string());
        command
    }

    fn deliver(&mut self, chat: &str, text: &str) {
        self.stage.deliver(&room(chat), text);
    }

    /// Returns the lines of a log that begin so, once there are this many.
    fn logged(&self, log: &str, begin: &str, count: usize) -> Vec<String> {
        logged(&self.stage.path(log), begin, count)
    }

    fn status(&self) -> Value {
        self.stage.listed(&["status"]).remove(0)
    }

    /// Waits until the queue is empty.
    #[track_caller]
    fn is_done(&self) {
        let until = Instant::now() + SOON;
        while self.status()["entries"] != 0 {
            assert!(Instant::now() < until, "{}", self.status());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn room(chat: &str) -> Room {
    let mut room = discord::dm();
    room.chat_id = chat.to_owned().leak();
    room
}

/// Without the connector's URL `doctor` disturbs no gateway, and the queue is still that of the gateway's id.
#[test]
fn doctor_examines_the_queue_of_an_id_without_a_url() {
    let config = ConnectorConfig::default().gateway("gw-1", "SECRET");
    let Some(fleet) = Fleet::with("tokio", config) else { return };
    let mut command = fleet.stage.command(&["--gateway-id", "gw-1"]);
    command.env("GATEWAY_RELAY_SECRET", "SECRET");
    let gateway = Program::start(command);
    gateway.logged("connected");
    let mut command = relayline(["doctor", "--queue", &fleet.url, "--gateway-id", "gw-1"]);
    command.env("GATEWAY_RELAY_SECRET", "SECRET");
    let mut doctor = Program::start(command);
    doctor.close_stdin();
    let found = doctor.ended();
    for line in ["ok   queue: 0 entries", "no URL, so only the queue was checked"] {
        assert!(found.stdout.contains(line), "{line}: {found:?}");
    }
}

#[test]
fn sessions_are_spread_over_workers() {
    let Some(mut fleet) = Fleet::new("tokio") else { return };
    let gateway = fleet.gateway(&[]);
    let workers = [fleet.worker("a", 0, &["--jobs", "2"]), fleet.worker("b", 0, &[])];
    for worker in &workers {
        worker.logged("gateway_found");
    }
    gateway.logged("worker_joined");
    let status = fleet.status();
    assert!(status["workers"].is_array(), "{status}");
    let agents: u64 =
        status["workers"].as_array().unwrap().iter().map(|worker| worker["agents"].as_u64().unwrap()).sum();
    assert_eq!(agents, 3, "{status}");
    for chat in 0..9 {
        fleet.deliver(&format!("c{chat}"), &format!("m{chat}"));
    }
    let all = |fleet: &Fleet| {
        let done = ["a", "b"].map(|log| std::fs::read_to_string(fleet.stage.path(log)).unwrap_or_default());
        done.concat().lines().filter(|line| line.starts_with("done")).count()
    };
    let until = Instant::now() + SOON;
    while all(&fleet) < 9 {
        assert!(Instant::now() < until, "{} are done", all(&fleet));
        std::thread::sleep(Duration::from_millis(20));
    }
    fleet.is_done();
    for log in ["a", "b"] {
        let seen = fleet.logged(log, "seen", 1);
        assert!(seen.iter().all(|line| line.ends_with(" 1 false")), "{seen:?}");
    }
    for program in workers.into_iter().chain([gateway]) {
        program.terminate();
        let ended = program.ended();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    }
}

#[test]
fn a_worker_says_that_no_gateway_has_its_id() {
    let Some(fleet) = Fleet::new("tokio") else { return };
    let gateway = fleet.gateway(&[]);
    gateway.logged("connected");
    let worker = fleet.worker("log", 0, &["--gateway-id", "gw-typo"]);
    let line = worker.logged("gateway_not_found");
    assert!(line.contains("gw-typo") && line.contains("check --gateway-id"), "{line}");
    worker.terminate();
    assert_eq!(worker.ended().code, Some(0));
}

/// The agent is in the middle of its turns: it goes on, and acknowledges to the next gateway.
#[test]
fn a_change_of_the_gateway_is_no_redelivery() {
    let Some(mut fleet) = Fleet::new("smol") else { return };
    let first = fleet.gateway(&[]);
    first.logged("connected");
    let worker = fleet.worker("log", 1500, &[]);
    worker.logged("gateway_found");
    let standby = fleet.gateway(&["--standby"]);
    standby.logged("standby");
    fleet.deliver("a", "one");
    fleet.logged("log", "seen one", 1);
    // By a planned end, and then by a crash.
    first.terminate();
    assert_eq!(first.ended().code, Some(0));
    fleet.logged("log", "done one", 1);
    let third = fleet.gateway(&["--standby"]);
    third.logged("standby");
    fleet.deliver("a", "two");
    fleet.logged("log", "seen two", 1);
    drop(standby);
    fleet.logged("log", "done two", 1);
    fleet.is_done();
    let seen = fleet.logged("log", "seen", 2);
    assert_eq!(seen, ["seen one 1 false", "seen two 1 false"], "{}", worker.log());
    assert_eq!(fleet.status()["epoch"], 3);
    drop((worker, third));
}

/// Agents that are busy go on, and what they acknowledge while no gateway leads is settled with the next one.
#[test]
fn hand_overs_end_no_agent() {
    const MESSAGES: usize = 120;
    let Some(mut fleet) = Fleet::new("tokio") else { return };
    let mut gateways = vec![fleet.gateway(&[])];
    gateways[0].logged("connected");
    let worker = fleet.worker("log", 20, &["--jobs", "2"]);
    worker.logged("gateway_found");
    for message in 0..MESSAGES {
        if message % 30 == 10 {
            let standby = fleet.gateway(&["--standby"]);
            standby.logged("standby");
            gateways.push(standby);
        }
        fleet.deliver(&format!("c{}", message % 20), &format!("m{message}"));
        std::thread::sleep(Duration::from_millis(10));
        if message % 30 == 20 {
            let first = gateways.remove(0);
            first.terminate();
            assert_eq!(first.ended().code, Some(0));
        }
    }
    fleet.logged("log", "done", MESSAGES);
    fleet.is_done();
    let seen = fleet.logged("log", "seen", MESSAGES);
    assert!(seen.len() == MESSAGES && seen.iter().all(|line| line.ends_with(" 1 false")), "{seen:?}");
    assert!(!worker.log().contains("agent_ended"), "{}", worker.log());
}

#[test]
fn what_a_killed_worker_had_goes_to_others() {
    let Some(mut fleet) = Fleet::new("tokio") else { return };
    let gateway = fleet.gateway(&["--set", "lease=2s"]);
    gateway.logged("connected");
    let worker = fleet.worker("a", 60_000, &[]);
    worker.logged("gateway_found");
    fleet.deliver("a", "one");
    fleet.logged("a", "seen one 1 false", 1);
    drop(worker);
    let other = fleet.worker("b", 0, &["--set", "worker_heartbeat=300ms"]);
    fleet.logged("b", "seen one 2 true", 1);
    fleet.logged("b", "done one", 1);
    gateway.logged("lease_lost");
    // A planned end charges nobody, and does not wait for the lease.
    other.terminate();
    assert_eq!(other.ended().code, Some(0));
    let worker = fleet.worker("c", 60_000, &["--set", "worker_heartbeat=300ms"]);
    worker.logged("gateway_found");
    fleet.deliver("b", "two");
    fleet.logged("c", "seen two 1 false", 1);
    worker.terminate();
    assert_eq!(worker.ended().code, Some(0));
    let last = fleet.worker("d", 0, &["--set", "worker_heartbeat=300ms"]);
    fleet.logged("d", "seen two 2 true", 1);
    fleet.is_done();
    drop((gateway, last));
}

/// A worker that was stopped for longer than its lease: others have what its agent had, so that agent ends.
#[cfg(unix)]
#[test]
fn the_agent_of_a_lost_lease_ends() {
    let Some(mut fleet) = Fleet::new("smol") else { return };
    let gateway = fleet.gateway(&["--set", "lease=1s"]);
    gateway.logged("connected");
    let fast = ["--set", "worker_heartbeat=200ms", "--set", "worker_patience=800ms"];
    let worker = fleet.worker("a", 60_000, &fast);
    worker.logged("gateway_found");
    fleet.deliver("a", "one");
    fleet.logged("a", "seen one 1 false", 1);
    worker.signal("STOP");
    gateway.logged("lease_lost");
    let other = fleet.worker("b", 0, &fast);
    fleet.logged("b", "done one", 1);
    worker.signal("CONT");
    worker.logged("others have got what the agent had");
    // Its next agent works.
    drop(other);
    fleet.deliver("c", "three");
    fleet.logged("a", "seen three", 1);
    drop((gateway, worker));
}

#[test]
fn wrong_flags_of_a_worker_are_explained() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let in_use = format!("relayline: --metrics {taken}: ");
    for (flags, code, why) in [
        (vec!["--queue", "sqlite:inbox.db", "--exec", "true"], 2, "workers need a queue on servers"),
        (vec!["--queue", "nats://127.0.0.1:1/relay", "--exec", "true"], 1, "cannot connect to 127.0.0.1:1"),
        (vec!["--queue", "nats://a/b", "--set", "worker_patience", "--exec", "true"], 2, "write NAME=VALUE"),
        (vec!["--queue", "nats://a/b", "--set", "worker_patience=x", "--exec", "true"], 2, "is not a time"),
        (vec!["--queue", "nats://a/b", "--set", "lease=1s", "--exec", "true"], 2, "no such setting"),
        (vec!["--queue", "nats://a/b", "--metrics", "nowhere", "--exec", "true"], 1, "--metrics nowhere: "),
        (vec!["--queue", "nats://a/b", "--metrics", &taken, "--exec", "true"], 1, &in_use),
        (vec!["--queue", "nats://a/b"], 2, "--exec"),
    ] {
        let ended = Program::start(relayline([vec!["work"], flags.clone()].concat())).ended();
        assert_eq!(ended.code, Some(code), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(why), "{flags:?}: {}", ended.stderr);
    }
}

/// Those of `docs/fleet.md`: the flags are right, and the servers are missing.
#[test]
fn the_commands_of_the_compose_file_are_accepted() {
    let page = include_str!("../../../../docs/fleet.md");
    let login = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(login.path(), "user:password\n").unwrap();
    let commands: Vec<&str> = page.split("  command: >\n").skip(1).collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        let (text, _) = command.split_once("\n  secrets:").unwrap();
        let arguments: Vec<String> = text
            .split_whitespace()
            .map(|word| word.trim_matches('"'))
            .map(|word| word.replace("nats-1,nats-2,nats-3", "127.0.0.1:1"))
            .map(|word| match word.split_once("login=") {
                Some((url, _)) => format!("{url}login={}", login.path().display()),
                None => word,
            })
            .collect();
        let mut command = relayline(&arguments);
        command.env("GATEWAY_RELAY_URL", "wss://connector.example").env("GATEWAY_RELAY_ID", "gateway-1");
        command.env("GATEWAY_RELAY_SECRET", "s3cret");
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("cannot connect to 127.0.0.1:1"), "{}", ended.stderr);
    }
}

#[test]
fn an_op_of_a_worker_that_cannot_work_is_refused() {
    let Some(mut fleet) = Fleet::new("tokio") else { return };
    let gateway = fleet.gateway(&[]);
    gateway.logged("connected");
    let results = fleet.stage.path("results");
    // Ops before a gateway leads fail.
    let script = r#"
        read -r connected
        echo '{"op":"disconnect","id":"d"}'
        echo 'no op'
        echo '{"op":"status","id":"s"}'
        while read -r line; do echo "$line" >> "$0"; done"#;
    let mut command = relayline(["work", "--queue", &fleet.url, "--exec", "sh", "-c", script]);
    command.arg(&results);
    let worker = Program::start(command);
    let d = logged(&results, r#"{"event":"result","id":"d""#, 1).remove(0);
    assert!(d.contains("definite") && d.contains("end the agent instead"), "{d}");
    logged(&results, r#"{"event":"invalid""#, 1);
    let s = logged(&results, r#"{"event":"result","id":"s""#, 1).remove(0);
    assert!(s.contains(r#""ok":true"#), "{s}");
    fleet.deliver("a", "still served");
    logged(&results, r#"{"event":"message""#, 1);
    let is_closed = |saw: &Observation| matches!(saw, Observation::Closed { .. });
    assert!(fleet.stage.connector.wait_for(is_closed, Duration::from_millis(300)).is_err());
    drop((gateway, worker));
}

/// Prints how much faster 2 and 4 workers are than one, whose agents take 50 ms for a message. At full size only: it
/// measures.
#[test]
fn workers_share_the_work() {
    if !is_full() {
        eprintln!("skipped: RELAYLINE_FULL=1 runs it");
        return;
    }
    const MESSAGES: usize = 400;
    let Some(mut fleet) = Fleet::new("tokio") else { return };
    let gateway = fleet.gateway(&[]);
    gateway.logged("connected");
    let mut alone = None;
    for number in [1, 2, 4] {
        let log = format!("log{number}");
        let workers: Vec<Program> = (0..number).map(|_| fleet.worker(&log, 50, &[])).collect();
        for worker in &workers {
            worker.logged("gateway_found");
        }
        // Before anything is handed out, so that each worker has as many sessions.
        std::thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        for message in 0..MESSAGES {
            fleet.deliver(&format!("{number}-{}", message % 40), &format!("m{message}"));
        }
        let until = Instant::now() + Duration::from_secs(120);
        let done = || {
            let log = std::fs::read_to_string(fleet.stage.path(&log)).unwrap_or_default();
            log.lines().filter(|line| line.starts_with("done")).count()
        };
        while done() < MESSAGES {
            assert!(Instant::now() < until, "{} of {MESSAGES}", done());
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = began.elapsed().as_secs_f64();
        let times = alone.get_or_insert(took);
        println!("{number} workers: {MESSAGES} messages in {took:.2} s, {:.2} times one", *times / took);
        for worker in workers {
            worker.terminate();
            assert_eq!(worker.ended().code, Some(0));
        }
    }
}
