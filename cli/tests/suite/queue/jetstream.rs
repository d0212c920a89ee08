//! `run --queue nats://…` on real servers: a gateway without an agent, a second one that takes over, servers and networks that
//! fail. Without a server these tests are skipped.

#[path = "../../../../queue/tests/jetstream/proxy.rs"]
#[allow(dead_code)] // The store's own tests use more of it.
pub(super) mod proxy;
#[path = "../../../../queue/tests/jetstream/servers.rs"]
pub(super) mod servers;

use super::{Agent, Stage, logged, queue_agent};
use crate::support::{Program, SOON};
use proxy::Proxy;
use relayline_connector::Observation;
use relayline_connector::chats::discord;
use servers::{Cluster, Server, program};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest time from the death of a leader to its successor's first dial: the key's time, a look for it, and some time for a
/// busy machine.
const TAKE_OVER: Duration = Duration::from_secs(40);

fn url(address: &str) -> String {
    format!("nats://{address}/relay")
}

/// Returns a stage whose queue is on a server.
fn stage(server: &Server) -> Stage {
    let mut stage = Stage::new("smol");
    stage.use_queue(url(&server.address()));
    stage
}

/// Returns the command of a gateway with an agent that handles messages and logs them.
fn with_agent(stage: &Stage, log: &str, flags: &[&str]) -> Command {
    let mut command = stage.command(flags);
    command.arg("--exec").args([queue_agent(), stage.path(log)]);
    command
}

/// Connections of gateways, as the connector sees them.
#[derive(Debug, Default)]
struct Connections {
    open: Vec<u64>,
    dials: usize,
}

impl Connections {
    /// Follows what the connector sees until `is_over`. There is never more than one connection.
    #[track_caller]
    fn follow(&mut self, stage: &Stage, within: Duration, mut is_over: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + within;
        while !is_over(self) {
            assert!(Instant::now() < until, "not in time: {self:?}");
            match stage.connector.next_observation(Duration::from_millis(50)) {
                Some(Observation::Dial { dial, status: None, .. }) => {
                    self.dials += 1;
                    self.open.push(dial);
                    assert_eq!(self.open.len(), 1, "two gateways are connected");
                }
                Some(Observation::Closed { dial, .. }) => self.open.retain(|open| *open != dial),
                _ => {}
            }
        }
    }
}

#[test]
fn a_gateway_without_an_agent_stores_what_arrives() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let mut stage = stage(&server);
    let mut gateway = Program::start(stage.command(&[]));
    stage.deliver(&discord::dm(), "for-workers");
    stage.deliver(&discord::dm(), "another");
    stage.sees("inbound_ack");
    stage.sees("inbound_ack");
    let status = stage.listed(&["status"]).remove(0);
    assert_eq!(
        (&status["in_use"], &status["entries"], &status["epoch"]),
        (&true.into(), &2.into(), &1.into())
    );
    assert!(status["leader"].as_str().unwrap().ends_with(&format!("/{}", gateway.id())), "{status}");
    assert_eq!(status["streams"].as_array().unwrap().len(), 3, "{status}");
    let list = stage.listed(&["list", "--text"]);
    assert_eq!((&list[0]["message"]["text"], &list[1]["id"]), (&"for-workers".into(), &2.into()));
    // The gateway carries requests out while it leads.
    assert_eq!(stage.queue(&["retry", "1"]).code, Some(0));
    let unknown = stage.queue(&["drop", "17"]);
    assert!(
        unknown.code == Some(1) && unknown.stderr.contains("there is no such entry"),
        "{}",
        unknown.stderr
    );
    assert_eq!(stage.queue(&["drop", "2"]).code, Some(0));
    gateway.close_stdin();
    gateway.terminate();
    let ended = gateway.ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    // Without a gateway the command carries them out itself.
    let status = stage.listed(&["status"]).remove(0);
    assert_eq!((&status["in_use"], &status["entries"]), (&false.into(), &1.into()));
    assert_eq!(stage.queue(&["retry", "1"]).code, Some(0));
    let agent = Program::start(with_agent(&stage, "log", &[]));
    assert_eq!(logged(&stage.path("log"), "done", 1).len(), 1);
    agent.terminate();
    assert_eq!(agent.ended().code, Some(0));
    assert!(stage.listed(&["list"]).is_empty());
}

/// One of three servers is killed, and then the gateway: the standby does what was not done, marked as handed out again.
#[test]
fn a_standby_takes_over_from_a_killed_gateway() {
    let Some(program) = program() else { return };
    let mut cluster = Cluster::start(&program, "");
    let mut stage = Stage::new("tokio");
    stage.use_queue(format!("{}?replicas=3", url(&cluster.addresses())));
    let first = Program::start(stage.command(&["--exec", "sleep", "1000"]));
    stage.sees("hello");
    let second = Program::start(stage.command(&[]));
    let refused = second.ended();
    assert!(
        refused.code == Some(1) && refused.stderr.contains("is in use by the gateway"),
        "{}",
        refused.stderr
    );
    let standby = Program::start(with_agent(&stage, "log", &["--standby"]));
    standby.logged("standby");
    stage.deliver(&discord::dm(), "hello");
    stage.sees("inbound_ack");
    // The first hand-out is in the journal.
    let is_out = || stage.listed(&["list"])[0]["state"] == "out";
    let until = Instant::now() + SOON;
    while !is_out() {
        assert!(Instant::now() < until, "it is not handed out");
    }
    cluster.servers[0].kill();
    stage.deliver(&discord::dm(), "without-a-server");
    stage.sees("inbound_ack");
    // The first gateway may have closed and dialed again while the servers elected a leader, so its dials are not counted.
    drop(first);
    // If the election took longer than the leader's key lives, the standby leads by now.
    if !standby.log().contains("connected platform=") {
        Connections::default().follow(&stage, TAKE_OVER, |seen| seen.dials == 1);
    }
    let seen = logged(&stage.path("log"), "seen", 2);
    // The second message may not have been handed out before.
    assert!(seen.contains(&"seen hello 2 true".to_owned()), "{seen:?}");
    logged(&stage.path("log"), "done", 2);
    standby.terminate();
    assert_eq!(standby.ended().code, Some(0));
}

#[test]
fn a_gateway_that_is_stopped_hands_over_at_once() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let stage = stage(&server);
    let first = Program::start(stage.command(&[]));
    stage.sees("hello");
    let standby = Program::start(stage.command(&["--standby"]));
    standby.logged("standby");
    let began = Instant::now();
    first.terminate();
    stage.sees("hello");
    // Without the notice it would be ten seconds.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(first.ended().code, Some(0));
    // One that waits ends at a signal.
    let third = Program::start(stage.command(&["--standby"]));
    third.logged("standby");
    third.terminate();
    assert_eq!(third.ended().code, Some(0));
    standby.terminate();
    assert_eq!(standby.ended().code, Some(0));
}

/// The network between the leader and the servers is cut. The leader closes its connection before the standby dials, and
/// ends once it can see that another one leads.
#[test]
fn a_leader_that_is_cut_off_closes_before_another_dials() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let proxy = Proxy::start(server.port);
    let mut stage = stage(&server);
    stage.use_queue(url(&format!("127.0.0.1:{}", proxy.port)));
    let first = Program::start(stage.command(&[]));
    let mut connections = Connections::default();
    connections.follow(&stage, SOON, |seen| seen.dials == 1);
    stage.use_queue(url(&server.address()));
    let standby = Program::start(with_agent(&stage, "log", &["--standby"]));
    standby.logged("standby");
    proxy.cut();
    connections.follow(&stage, TAKE_OVER, |seen| seen.open.is_empty());
    assert_eq!(connections.dials, 1);
    stage.deliver(&discord::dm(), "buffered");
    connections.follow(&stage, TAKE_OVER, |seen| seen.dials == 2);
    logged(&stage.path("log"), "done", 1);
    proxy.restore();
    let ended = first.ended();
    assert!(
        ended.code == Some(1) && ended.stderr.contains("another gateway has the queue"),
        "{}",
        ended.stderr
    );
    assert_eq!(connections.dials, 2, "the former leader did not dial again");
    standby.terminate();
    assert_eq!(standby.ended().code, Some(0));
}

#[test]
fn servers_that_are_down_let_the_connector_buffer() {
    let Some(program) = program() else { return };
    let mut server = Server::start(&program, "");
    let mut stage = stage(&server);
    let gateway = Program::start(with_agent(&stage, "log", &[]));
    stage.sees("hello");
    server.kill();
    stage.sees_within("going_idle", TAKE_OVER);
    gateway.logged("queue_paused");
    stage.deliver(&discord::dm(), "kept");
    server.resume();
    stage.sees_within("hello", TAKE_OVER);
    logged(&stage.path("log"), "done", 1);
    gateway.terminate();
    assert_eq!(gateway.ended().code, Some(0));
}

/// A gateway outside of the queue has the same id.
#[test]
fn a_displaced_leader_asks_the_servers_and_backs_off() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let stage = stage(&server);
    let gateway = Program::start(stage.command(&[]));
    stage.sees("hello");
    let connector = stage.connector.url();
    // Before the displacement: on a busy machine the test sees it late.
    let began = Instant::now();
    let other = Agent(Program::start(crate::support::relayline([
        "run",
        "--url",
        &connector,
        "--identity",
        "discord:1",
    ])));
    gateway.logged("queue_displaced");
    stage.sees("hello");
    drop(other);
    stage.sees_within("hello", TAKE_OVER);
    assert!(began.elapsed() > Duration::from_secs(5), "it backs off: {:?}", began.elapsed());
    gateway.terminate();
    assert_eq!(gateway.ended().code, Some(0));
}

#[test]
fn servers_that_cannot_be_used_are_explained() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "authorization { user: gateway, password: hunter2 }");
    let mut stage = stage(&server);
    let mut fails = |url: String, code: i32| {
        stage.use_queue(url);
        let ended = Program::start(stage.command(&[])).ended();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(!ended.stderr.contains("wrong"), "{}", ended.stderr);
        ended.stderr
    };
    let address = server.address();
    let refused = fails(format!("nats://gateway:wrong@{address}"), 1);
    assert!(refused.contains(&format!("{address} refuses the credentials")), "{refused}");
    let replicas = fails(format!("nats://gateway:hunter2@{address}/relay?replicas=3"), 1);
    assert!(replicas.contains("at most as many replicas as there are servers"), "{replicas}");
    let path = fails(format!("nats://gateway:wrong@{address}/a.b"), 2);
    assert!(path.contains("its path is the prefix"), "{path}");
    let url = format!("nats://gateway:hunter2@{address}");
    let mut doctor = Program::start(crate::support::relayline(["doctor", "--queue", &url]));
    doctor.close_stdin();
    let found = doctor.ended();
    for line in ["ok   queue: nats://", "warn queue: replicas=1", "sync_interval: always", "do not exist yet"]
    {
        assert!(found.stdout.contains(line), "{line}: {}", found.stdout);
    }
    assert!(!found.stdout.contains("hunter2") && !found.stderr.contains("hunter2"), "{found:?}");
}
