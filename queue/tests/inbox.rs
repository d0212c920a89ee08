//! Gateways with a queue in a file, and an embedded connector.
#![cfg(all(feature = "inbox", feature = "sqlite"))]
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

use futures_util::StreamExt;
use relayline_connector::chats::{Ids, Room, discord};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation, ServerConfig};
use relayline_core::config::Identity;
use relayline_core::time::Now;
use relayline_queue::id::EntryId;
use relayline_queue::inbox::{
    DurableDelivery, DurableInbox, DurableIncoming, DurableQueue, OpenedQueue, QueueEnd, QueueOptions,
};
use relayline_queue::output::{AgentEnd, OperatorRequest};
use relayline_queue::sqlite::{QueueLock, SqliteStore};
use relayline_runtime::control::config::GatewayConfig;
use relayline_runtime::control::url::DialUrl;
use relayline_runtime::{CurrentRuntime, start_prepared};
use relayline_tokio::Tokio;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(30);

struct Stage {
    connector: Arc<EmbeddedConnector>,
    ids: Ids,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let config = ServerConfig::from(ConnectorConfig::default());
        let connector = Arc::new(EmbeddedConnector::start(config, "127.0.0.1:0").unwrap());
        Stage { connector, ids: Ids::new([0; 32]), folder: tempfile::tempdir().unwrap() }
    }

    async fn gateway(&self) -> DurableQueue {
        let path = self.folder.path().join("inbox.db");
        let mut options = QueueOptions::default().gateway_id("gw-1").media(self.folder.path().join("media"));
        options.limits.redeliver_after = Duration::from_millis(1);
        options.limits.max_attempts = 3;
        let store = SqliteStore::open(QueueLock::acquire(&path).unwrap()).unwrap();
        let opened = OpenedQueue::open::<Tokio>(store, options).await.unwrap();
        let url = DialUrl::parse(&self.connector.url()).unwrap();
        let mut config = GatewayConfig::new(url, Identity::new("discord", ""));
        config.set("backoff_first", "10ms").unwrap();
        opened.configure(&mut config);
        let runtime = Tokio::current().unwrap();
        let (relay, inbox) = start_prepared(runtime.clone(), config, opened.preparation()).unwrap();
        relay.connected().await.unwrap();
        opened.serve(runtime, relay, inbox)
    }

    fn deliver(&mut self, room: &Room, text: &str, buffered: bool) {
        let event = room.message(&mut self.ids, Now { unix_s: 1_718_900_000, ..Now::default() }, text);
        self.inbound(event, buffered);
    }

    fn inbound(&self, event: Map<String, Value>, buffered: bool) {
        self.connector.control(Act::Inbound { event, buffered: Some(buffered) }).unwrap();
    }

    fn sees(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let frame = |saw: &Observation| match saw {
            Observation::Frame { frame, .. } if wanted(frame) => Some(frame.clone()),
            _ => None,
        };
        let saw = self.connector.wait_for(|saw| frame(saw).is_some(), SOON);
        frame(&saw.unwrap_or_else(|missed| panic!("{missed}"))).unwrap()
    }
}

async fn next(inbox: &mut DurableInbox) -> DurableIncoming {
    loop {
        match tokio::time::timeout(SOON, inbox.next()).await.unwrap().expect("the stream goes on") {
            DurableIncoming::Notice(_) => {}
            other => return other,
        }
    }
}

async fn message(inbox: &mut DurableInbox) -> DurableDelivery {
    match next(inbox).await {
        DurableIncoming::Message(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

/// Waits until agents have a number of entries.
async fn out(queue: &DurableQueue, number: usize) {
    let reached = async {
        while queue.status().unwrap().usage.out != number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, reached).await.expect("they are handed out");
}

fn run<F: Future>(test: F) -> F::Output {
    relayline_tokio::block_on(test).unwrap()
}

#[test]
fn a_message_is_acknowledged_and_outlives_its_gateway() {
    run(async {
        let mut stage = Stage::new();
        let queue = stage.gateway().await;
        stage.deliver(&discord::dm(), "first", true);
        stage.deliver(&discord::dm(), "live", false);
        // There is no agent yet, and the entry is stored.
        stage.sees(|frame| frame["type"] == "inbound_ack");
        let mut inbox = queue.agent("a").unwrap();
        assert!(queue.agent("a").is_err());
        let first = message(&mut inbox).await;
        assert_eq!((first.text(), first.attempt(), first.is_redelivered()), ("first", 1, false));
        let live = message(&mut inbox).await;
        assert_eq!(live.text(), "live");
        live.ack().await.unwrap();
        // What the agent has not settled goes to the next gateway.
        std::mem::forget(first);
        drop(inbox);
        assert_eq!(queue.shut_down().await, QueueEnd::Released);
        assert_eq!(queue.status(), None);
        let queue = stage.gateway().await;
        let mut inbox = queue.agent("a").unwrap();
        let again = message(&mut inbox).await;
        assert_eq!((again.text(), again.attempt(), again.is_redelivered()), ("first", 2, true));
        let chat_id = again.message().chat_id().to_owned();
        again.message().reply("done").await.unwrap();
        again.ack().await.unwrap();
        assert_eq!(queue.status().unwrap().usage.entries, 0);
        let sent = stage.sees(|frame| frame["action"]["content"] == "done");
        assert_eq!(sent["action"]["chat_id"], chat_id);
        assert_eq!(queue.shut_down().await, QueueEnd::Released);
    });
}

#[test]
fn what_an_agent_has_not_polled_was_never_handed_out() {
    run(async {
        let mut stage = Stage::new();
        let queue = stage.gateway().await;
        let mut inbox = queue.agent("a").unwrap();
        ["first", "second", "third"].into_iter().for_each(|text| stage.deliver(&discord::dm(), text, true));
        out(&queue, 3).await;
        let first = message(&mut inbox).await;
        // The agent crashes: what it had is charged, and nothing else.
        std::mem::forget(first);
        inbox.end(&AgentEnd::Crashed("signal 9".to_owned()));
        let mut inbox = queue.agent("b").unwrap();
        let seen = async |inbox: &mut DurableInbox| {
            let seen = message(inbox).await;
            let text = (seen.text().to_owned(), seen.attempt());
            std::mem::forget(seen);
            text
        };
        assert_eq!(seen(&mut inbox).await, ("first".to_owned(), 2));
        out(&queue, 3).await;
        assert_eq!(seen(&mut inbox).await, ("second".to_owned(), 1));
        assert_eq!(queue.shut_down().await, QueueEnd::Released);
        drop(inbox);
        let queue = stage.gateway().await;
        let mut inbox = queue.agent("c").unwrap();
        for expected in [("first", 3), ("second", 2), ("third", 1)] {
            assert_eq!(seen(&mut inbox).await, (expected.0.to_owned(), expected.1));
        }
        drop(inbox);
        assert_eq!(queue.shut_down().await, QueueEnd::Released);
    });
}

#[test]
fn a_refused_message_comes_again_and_then_is_dead() {
    run(async {
        let mut stage = Stage::new();
        let queue = stage.gateway().await;
        let mut inbox = queue.agent("a").unwrap();
        stage.deliver(&discord::dm(), "hard", true);
        for attempt in 1..4 {
            let delivery = message(&mut inbox).await;
            assert_eq!(delivery.attempt(), attempt);
            match attempt {
                1 => delivery.refuse("not now").await.unwrap(),
                // Dropping it refuses it, too.
                2 => drop(delivery),
                _ => delivery.turn().0.failed("too hard").await.unwrap(),
            }
        }
        assert_eq!(queue.status().unwrap().usage.dead_letters, 1);
        assert!(queue.request(OperatorRequest::Retry(EntryId(9))).await.is_err());
        queue.request(OperatorRequest::Retry(EntryId(1))).await.unwrap();
        let delivery = message(&mut inbox).await;
        assert_eq!(delivery.attempt(), 4);
        delivery.turn().0.done().await.unwrap();
        assert_eq!(queue.status().unwrap().usage.entries, 0);
    });
}

/// M-6, M-2: a restarted gateway answers into the right server.
#[test]
fn m_2_chat_memory_survives_a_restart() {
    run(async {
        let mut stage = Stage::new();
        let queue = stage.gateway().await;
        stage.deliver(&discord::guild_channel(), "hi", true);
        let mut inbox = queue.agent("a").unwrap();
        let delivery = message(&mut inbox).await;
        let chat_id = delivery.message().chat_id().to_owned();
        let chat = queue.relay().chat(&chat_id).unwrap();
        assert!(chat.scope.is_some());
        delivery.ack().await.unwrap();
        queue.shut_down().await;
        let queue = stage.gateway().await;
        assert_eq!(queue.relay().chat(&chat_id), Some(chat.clone()));
        queue.relay().send(&*chat_id, "proactive").await.unwrap();
        let sent = stage.sees(|frame| frame["action"]["content"] == "proactive");
        assert_eq!(sent["action"]["metadata"]["scope_id"], chat.scope.as_deref().unwrap());
    });
}

fn answer(prompt_id: &str) -> Map<String, Value> {
    let event = json!({
        "text": "Yes", "message_type": "text", "source": {"platform": "discord", "chat_id": "77", "user_id": "u"},
        "prompt_response": {"prompt_id": prompt_id, "option_id": "yes"},
    });
    event.as_object().unwrap().clone()
}

/// I-3: the answer belongs to the session that asked, also after a restart.
#[test]
fn i_3_an_answer_after_a_restart_reaches_its_session() {
    run(async {
        let mut stage = Stage::new();
        let queue = stage.gateway().await;
        stage.deliver(&discord::dm(), "may I?", true);
        let mut inbox = queue.agent("a").unwrap();
        let delivery = message(&mut inbox).await;
        let session = delivery.session_key().to_owned();
        let asked = delivery.prompt("Sure?").option("yes", "Yes").await.unwrap();
        delivery.ack().await.unwrap();
        queue.shut_down().await;
        let queue = stage.gateway().await;
        let mut inbox = queue.agent("a").unwrap();
        for _ in 0..2 {
            // The second press of the button says nothing.
            stage.inbound(answer(&asked.prompt_id), true);
        }
        stage.inbound(answer("ffffff.00000001"), true);
        stage.inbound(answer(&format!("{}.ffffffff", asked.prompt_id.split_once('.').unwrap().0)), true);
        let DurableIncoming::PromptAnswer(chosen) = next(&mut inbox).await else { panic!() };
        assert_eq!(chosen.session_key(), session);
        assert_eq!(chosen.event().prompt_response.as_ref().unwrap().option_id, "yes");
        chosen.ack().await.unwrap();
        // All of them are acknowledged, like the message before: none blocks the drain.
        for _ in 0..5 {
            stage.sees(|frame| frame["type"] == "inbound_ack");
        }
        let stats = queue.status().unwrap().inbox;
        assert_eq!((stats.late_answers, stats.foreign_answers, stats.stale_answers), (1, 1, 1));
    });
}

#[test]
fn sessions_are_spread_and_an_interrupt_goes_to_its_agent() {
    run(async {
        let mut stage = Stage::new();
        let queue = stage.gateway().await;
        let (mut one, mut two) = (queue.agent("1").unwrap(), queue.agent("2").unwrap());
        stage.deliver(&discord::dm(), "a", true);
        stage.deliver(&discord::guild_channel(), "b", true);
        let (a, b) = (message(&mut one).await, message(&mut two).await);
        assert_eq!((a.text(), b.text()), ("a", "b"));
        let session = b.session_key().to_owned();
        stage
            .connector
            .control(Act::Interrupt { session_key: session.clone(), chat_id: "7".into() })
            .unwrap();
        let DurableIncoming::Interrupt { session_key, .. } = next(&mut two).await else { panic!() };
        assert_eq!(session_key, session);
        // The agent crashes: the other one gets its session.
        std::mem::forget(b);
        two.end(&AgentEnd::Crashed("killed".to_owned()));
        let again = message(&mut one).await;
        assert_eq!((again.text(), again.attempt()), ("b", 2));
    });
}

#[test]
fn a_queue_of_another_gateway_is_refused() {
    run(async {
        let stage = Stage::new();
        stage.gateway().await.shut_down().await;
        let lock = QueueLock::acquire(&stage.folder.path().join("inbox.db")).unwrap();
        let options = QueueOptions::default().gateway_id("gw-2");
        let opened = OpenedQueue::open::<Tokio>(SqliteStore::open(lock).unwrap(), options).await;
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(r#"belongs to the gateway "gw-1""#), "{error}");
        assert!(Path::exists(&stage.folder.path().join("media")));
    });
}
