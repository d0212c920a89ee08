//! Gateways that use one id: the one that has the queue backs off and keeps it, and one that lost it does not dial again.

use super::{Agent, Stage};
use crate::support::{Program, relayline};
use relayline_connector::chats::discord;
use relayline_connector::{Act, ConnectorConfig, Duplicates, Like, Observation};
use serde_json::json;
use std::process::Command;
use std::time::Duration;

on_one_runtime! {
    a_displaced_gateway_keeps_its_queue a_gateway_that_lost_its_queue_does_not_dial,
}

fn config() -> ConnectorConfig {
    ConnectorConfig::default().duplicates(Duplicates::Replace).gateway("gw-1", "s3cret")
}

/// Starts a gateway with the id of all, and with this back-off.
fn start(mut command: Command, back_off: &str) -> Agent {
    command.env("GATEWAY_RELAY_ID", "gw-1").env("GATEWAY_RELAY_SECRET", "s3cret");
    for name in ["backoff_first", "backoff_most"] {
        command.args(["--set", &format!("{name}={back_off}")]);
    }
    let mut agent = Agent(Program::start(command));
    agent.event("connected");
    agent
}

/// Asserts that the gateway backs off, and says why.
#[track_caller]
fn backs_off(agent: &mut Agent, code: u16, first_ms: u64) {
    let line = agent.event("disconnected");
    let wait = line["retry_in_ms"].as_u64().unwrap();
    assert!(line["code"] == code && (first_ms / 2..=first_ms).contains(&wait), "{line}");
    let logged = agent.0.logged("queue_displaced");
    assert!(logged.contains(&code.to_string()) && logged.contains("a gateway outside of it"), "{logged}");
}

fn a_displaced_gateway_keeps_its_queue(runtime: &str) {
    for (config, code) in [(config(), 1008), (config().like(Like::Displacing), 4000), (config(), 4429)] {
        let mut stage = Stage::with(runtime, config);
        let mut agent = start(stage.command(&[]), "1s");
        stage.deliver(&discord::dm(), "first");
        let (delivery, ..) = agent.message();
        let other = (code != 4429).then(|| {
            let url = stage.connector.url();
            // It has no queue. Once it is displaced in turn, it does not come back.
            start(relayline(["run", "--url", &url, "--identity", "discord:1"]), "1h")
        });
        if other.is_none() {
            stage.connector.control(Act::Close { code, reason: "duplicate".to_owned() }).unwrap();
        }
        backs_off(&mut agent, code, 1000);
        // It has the queue still: what is settled meanwhile is settled.
        agent.does(json!({"op": "ack", "delivery": delivery}));
        assert!(stage.listed(&["list"]).is_empty());
        agent.event("connected");
        stage.deliver(&discord::dm(), "second");
        assert_eq!(agent.message().3, "second", "{code}");
    }
}

/// Somebody removed the lock, so that two gateways have one file. The journal says which of them leads.
fn a_gateway_that_lost_its_queue_does_not_dial(runtime: &str) {
    let mut stage = Stage::with(runtime, config());
    let older = start(stage.command(&[]), "200ms");
    std::fs::remove_file(stage.path("inbox.db.lock")).unwrap();
    let mut newer = start(stage.command(&[]), "200ms");
    let ended = older.0.ended();
    assert!(ended.code == Some(1) && ended.stderr.contains("queue_lost"), "{}", ended.stderr);
    assert!(ended.stdout.contains("1008"), "{}", ended.stdout);
    assert!(!ended.stderr.contains("queue_displaced"), "{}", ended.stderr);
    stage.deliver(&discord::dm(), "hi");
    assert_eq!(newer.message().3, "hi");
    // Each has dialed once.
    let saws = std::iter::from_fn(|| stage.connector.next_observation(Duration::ZERO));
    let dials: Vec<Observation> = saws.filter(|saw| matches!(saw, Observation::Dial { .. })).collect();
    assert_eq!(dials.len(), 2, "{dials:?}");
}
