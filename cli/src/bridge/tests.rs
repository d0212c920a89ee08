//! Several agents, one after another, over one connection.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

use super::*;
use crate::approvals::PromptPolicy;
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_control::url::DialUrl;
use relayline_core::config::Identity;
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, pipe};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// Agents that the test provides. `None` ends the gateway.
struct TestAgents {
    agents: Receiver<Option<Agent>>,
    ends: Sender<Option<AgentEnd>>,
}

impl Agents for TestAgents {
    async fn next(&mut self, last: Option<AgentEnd>) -> io::Result<Option<Agent>> {
        self.ends.send(last).unwrap();
        Ok(self.agents.recv_timeout(SOON).unwrap())
    }
}

/// An agent controlled by the test.
struct TestAgent {
    reads: BufReader<PipeReader>,
    writes: PipeWriter,
}

fn agent() -> (Agent, TestAgent) {
    let ((from, writes), (reads, to)) = (pipe().unwrap(), pipe().unwrap());
    let agent = Agent { from: Box::new(from), to: Box::new(to), errors: None, is_replaceable: true };
    (agent, TestAgent { reads: BufReader::new(reads), writes })
}

fn options() -> Options {
    Options {
        auto_ack: false,
        facilities: Facilities::default(),
        settings: AgentSettings::default(),
        kind: AgentKind::Exec,
        media: MediaFolder::find(None, false).unwrap(),
        prompts: PromptPolicy::default(),
    }
}

impl TestAgent {
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.reads.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.writes, "{line}").unwrap();
    }
}

/// unsettled deliveries of a dead agent are refused and delivered to the next one, which first gets a `connected`
/// line. Ops of the dead agent are still carried out.
#[test]
fn a_2_a_dead_agents_deliveries_go_to_the_next() {
    for runtime in [RuntimeName::Tokio, RuntimeName::Smol] {
        let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
        let identity = Identity::new("discord", "1");
        let mut config = GatewayConfig::new(DialUrl::parse(&connector.url()).unwrap(), identity);
        config.set("backoff_first", "10ms").unwrap();
        config.set("max_in_flight", "1").unwrap();
        let ((hand_over, agents), (ends, ended)) = (channel(), channel());
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let gateway = std::thread::spawn(move || {
            run(runtime, config, &mut TestAgents { agents, ends }, options(), &shutdown)
        });
        assert_eq!(ended.recv_timeout(SOON), Ok(None));
        let (first, mut hand) = agent();
        hand_over.send(Some(first)).unwrap();
        assert_eq!(hand.next()["event"], "connected");
        let event = discord::dm().message(&mut Ids::new([0; 32]), Now::default(), "keep me");
        connector.control(Act::Inbound { event, buffered: Some(true) }).unwrap();
        assert_eq!(hand.next()["message"]["text"], "keep me");
        // More ops than there is room for: all of them are still sent.
        connector.control(Act::Delay { op: "send".into(), ms: 5 }).unwrap();
        for n in 0..10 {
            hand.say(&json!({"op": "send", "chat_id": "7", "content": n.to_string()}));
        }
        drop(hand);
        assert!(matches!(ended.recv_timeout(SOON), Ok(Some(_))));
        for n in 0..10 {
            let text = n.to_string();
            let sent = |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == *text);
            connector.wait_for(sent, SOON).unwrap();
        }

        let (second, mut hand) = agent();
        hand_over.send(Some(second)).unwrap();
        let again = loop {
            let line = hand.next();
            if line["event"] == "message" {
                break line;
            }
            assert!(["connected", "disconnected"].contains(&line["event"].as_str().unwrap()), "{line}");
        };
        assert_eq!((&again["message"]["text"], &again["buffered"]), (&json!("keep me"), &json!(true)));
        hand.say(&json!({"op": "ack", "delivery": again["delivery"]}));
        let acked = |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "inbound_ack");
        connector.wait_for(acked, SOON).unwrap();
        stop.trigger("SIGTERM");
        let end = gateway.join().unwrap().unwrap();
        assert!(matches!(end, End::Disconnected(Cause::Stopped("SIGTERM"))), "{end:?}");
    }
}

/// Without an agent, and with none coming soon, the gateway still ends.
#[test]
fn l_14_a_stop_request_between_agents_ends_the_gateway() {
    struct Never(Sender<()>);
    impl Agents for Never {
        async fn next(&mut self, _: Option<AgentEnd>) -> io::Result<Option<Agent>> {
            self.0.send(()).unwrap();
            std::future::pending().await
        }
    }
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let identity = Identity::new("discord", "1");
    let config = GatewayConfig::new(DialUrl::parse(&connector.url()).unwrap(), identity);
    let (shutdown, (waits, waiting)) = (Shutdown::new(), channel());
    let stop = shutdown.clone();
    let gateway =
        std::thread::spawn(move || run(RuntimeName::Tokio, config, &mut Never(waits), options(), &shutdown));
    waiting.recv_timeout(SOON).unwrap();
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, SOON).unwrap();
    stop.trigger("SIGINT");
    let end = gateway.join().unwrap().unwrap();
    assert!(matches!(end, End::Disconnected(Cause::Stopped("SIGINT"))), "{end:?}");
}
