//! Tests of a gateway over TCP, over TLS and in memory, on any runtime. Each runtime's tests include this suite, and
//! their `Kit` says how to connect and how to wait.

/// Makes a test of each function over each kind of wire.
macro_rules! over_each_wire {
    ($($name:ident,)*) => {
        mod over_tcp { $(#[test] fn $name() { super::$name(super::Wire::Tcp); })* }
        mod over_tls { $(#[test] fn $name() { super::$name(super::Wire::Tls); })* }
        mod in_memory { $(#[test] fn $name() { super::$name(super::Wire::Memory); })* }
    };
}

mod api;
mod authority;
mod boot;
mod cancel;
mod clients;
mod connecting;
mod deliveries;
mod faults;
mod http;
mod load;
mod media;
mod metrics;
mod peer;
mod proxy;
mod pulling;
mod server;
mod stage;
mod tls;
mod tracing;
mod upgrade;
mod wiring;

pub(crate) use stage::{SOON, Stage, Wire, config, connect, frame};

use crate::Kit;
use async_tungstenite::tungstenite;
use futures_util::StreamExt;
use futures_util::stream::{FusedStream, FuturesUnordered};
use relayline_connector::chats::{discord, telegram};
use relayline_connector::{Act, ClosedBy, Observation};
use relayline_core::command::FailureKind;
use relayline_core::event::Event;
use relayline_core::output::{Notice, Phase};
use relayline_runtime::Incoming;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::TcpListener;

/// Returns the future unchanged. The compiler checks that a host may spawn it on any runtime.
pub(crate) fn may_move<F: Future + Send>(future: F) -> F {
    future
}

over_each_wire! {
    l_3_one_hello_per_identity_and_a_descriptor_for_each,
    o_11_parts_are_in_order_and_only_the_first_is_a_reply,
    a_1_a_buffered_delivery_is_acknowledged_once_accepted,
    m_7_a_stored_message_is_answered_where_it_came_from,
    a_2_a_refused_or_dropped_delivery_is_redelivered,
    o_4_written_requests_become_ambiguous_later_ones_definite,
    l_18_code_and_reason_of_a_close_reach_the_host,
    a_7_a_thousand_messages_in_each_direction_at_once,
    a_6_a_slow_host_gets_everything_in_order,
    l_16_an_interrupt_overtakes_queued_messages,
    a_6_a_host_without_an_inbox_still_gets_answers,
    l_14_disconnect_leaves_nothing_pending,
    l_14_dropping_everything_disconnects,
    clones_of_the_relay_work_from_many_threads,
    l_4_a_silent_connector_fails_the_dial,
    w_5_an_overlong_line_does_not_end_the_connection,
    w_1_frame_and_message_boundaries_are_independent,
    l_10_revoked_is_final_and_the_last_item,
}

fn l_3_one_hello_per_identity_and_a_descriptor_for_each(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let hellos = ["discord", "telegram"];
    for platform in hellos {
        let hello = stage.sees(|frame| frame["type"] == "hello");
        assert_eq!(hello["platform"], platform);
    }
    let descriptors = stage.relay.descriptors();
    let platforms: Vec<&str> = descriptors.iter().map(|one| one.platform.as_str()).collect();
    assert_eq!(platforms, hellos);
    assert_eq!(stage.relay.phase(), Phase::Connected);
}

fn o_11_parts_are_in_order_and_only_the_first_is_a_reply(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    let chat = telegram::topic();
    stage.deliver(&chat, "tell me", false);
    let delivery = stage.message();
    let text = "one two three\n".repeat(700);
    let last = stage.kit.block_on(delivery.reply(&text)).unwrap();
    delivery.ack();
    let mut parts = Vec::new();
    for n in 0..3 {
        let frame = stage.sees(|frame| frame["type"] == "outbound");
        let action = &frame["action"];
        assert_eq!(action["reply_to"].is_string(), n == 0, "{action}");
        assert_eq!(action["metadata"]["thread_id"], chat.thread_id.unwrap());
        parts.push(action["content"].as_str().unwrap().to_owned());
    }
    assert!(parts[0].ends_with(" (1/3)") && parts[2].ends_with(" (3/3)"));
    assert!(parts.iter().all(|part| part.encode_utf16().count() <= 4096));
    assert_eq!(parts.concat().matches("one two three").count(), 700);
    assert!(last.is_some());
}

/// nothing is acknowledged before the host settles it. A-8: then the next entry arrives.
fn a_1_a_buffered_delivery_is_acknowledged_once_accepted(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "first", true);
    stage.deliver(&discord::dm(), "second", true);
    let first = stage.message();
    assert!(first.is_buffered());
    stage.kit.block_on(stage.relay.send("1", "in between")).unwrap();
    let before = stage.sees(|frame| frame["type"] != "hello");
    assert_eq!(before["action"]["content"], "in between");
    first.ack();
    stage.sees(|frame| frame["type"] == "inbound_ack");
    let second = stage.message();
    assert_eq!(second.message().text, "second");
    second.ack();
}

/// A host that stores messages answers them later, perhaps in another process. A-4: it knows duplicates by a stable key.
fn m_7_a_stored_message_is_answered_where_it_came_from(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    let chat = telegram::topic();
    stage.deliver(&chat, "for later", true);
    let delivery = stage.message();
    let entry = stage.relay.buffer_id(delivery.id());
    assert!(entry.is_some() && delivery.message().stable_key(entry.as_deref()).is_some());
    let stored = delivery.message().to_stored();
    delivery.ack();
    assert_eq!(stage.relay.buffer_id(delivery.id()), None);
    let recalled = stage.relay.recall(Event::from_stored(&stored).unwrap());
    assert_eq!((recalled.text(), recalled.is_buffered()), ("for later", false));
    assert!(recalled.id() > delivery.id());
    stage.kit.block_on(recalled.reply("now")).unwrap();
    let frame = stage.sees(|frame| frame["type"] == "outbound");
    assert_eq!(frame["action"]["content"], "now");
    assert_eq!(frame["action"]["metadata"]["thread_id"], chat.thread_id.unwrap());
    assert_eq!(frame["action"]["reply_to"], *recalled.message().message_id.as_deref().unwrap());
    recalled.ack();
    drop(recalled);
    assert_eq!((stage.relay.stats().stray_settles, stage.relay.stats().acks), (0, 1));
}

fn a_2_a_refused_or_dropped_delivery_is_redelivered(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "take me", true);
    stage.message().refuse();
    let again = stage.message();
    drop(again);
    let last = stage.message();
    assert_eq!(last.message().text, "take me");
    last.ack();
    stage.sees(|frame| frame["type"] == "inbound_ack");
    assert_eq!(stage.relay.stats().handshakes, 3);
    assert_eq!(stage.relay.stats().acks, 1);
}

fn o_4_written_requests_become_ambiguous_later_ones_definite(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.connector.control(Act::Delay { op: "send".into(), ms: 600_000 }).unwrap();
    let answer = stage.submit("written");
    stage.sees_outbound("written");
    stage.kit.block_on(stage.relay.hold(std::time::Duration::from_secs(60))).unwrap();
    stage.connector.control(Act::Drop).unwrap();
    let failure = stage.kit.block_on(answer).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Ambiguous);
    stage.notice(|notice| matches!(notice, Notice::Disconnected { code: None, retry_in: Some(_), .. }));
    // O-8: no request is queued silently.
    let failure = stage.kit.block_on(stage.relay.send("1", "too late")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Definite);
    stage.connector.control(Act::Delay { op: "send".into(), ms: 0 }).unwrap();
    stage.kit.block_on(stage.relay.resume()).unwrap();
    stage.notice(|notice| matches!(notice, Notice::Connected { .. }));
    stage.kit.block_on(stage.relay.send("1", "again")).unwrap();
    stage.sees_outbound("again");
}

fn l_18_code_and_reason_of_a_close_reach_the_host(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.connector.control(Act::Close { code: 1013, reason: "temporarily suspended".into() }).unwrap();
    stage.notice(|notice| {
        matches!(notice, Notice::Disconnected { code: Some(1013), reason, .. } if reason == "temporarily suspended")
    });
    stage.notice(|notice| matches!(notice, Notice::Connected { .. }));
}

/// a thousand messages in each direction at the same time. Nothing is lost, nothing is repeated, and the order is
/// kept.
fn a_7_a_thousand_messages_in_each_direction_at_once(wire: Wire) {
    const COUNT: usize = 1000;
    let mut stage = Stage::new(wire, &[("host_queue", "16")]);
    let (kit, relay, inbox, connector) = (&stage.kit, &stage.relay, &mut stage.inbox, &stage.connector);
    let events: Vec<_> = (0..COUNT).map(|n| stage.ids.event(&discord::dm(), &format!("in {n}"))).collect();
    let (received, message_ids, contents) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for event in events {
                connector.control(Act::Inbound { event, buffered: Some(false) }).unwrap();
            }
        });
        let seen = scope.spawn(|| {
            let mut contents = Vec::new();
            while contents.len() < COUNT {
                let saw = connector.next_observation(SOON).expect("all that was sent");
                if let Some(content) = frame(&saw).and_then(|frame| frame["action"]["content"].as_str()) {
                    contents.push(content.to_owned());
                }
            }
            contents
        });
        let (received, message_ids) = kit.block_on(async {
            let mut sends: FuturesUnordered<_> =
                (0..COUNT).map(|n| relay.send("1", format!("out {n}"))).collect();
            let (mut received, mut message_ids) = (Vec::new(), BTreeSet::new());
            while received.len() < COUNT || message_ids.len() < COUNT {
                futures_util::select! {
                    sent = sends.select_next_some() => assert!(message_ids.insert(sent.unwrap().unwrap())),
                    incoming = inbox.select_next_some() => if let Incoming::Message(delivery) = incoming {
                        received.push(delivery.message().text.to_string());
                        delivery.ack();
                    },
                }
            }
            (received, message_ids)
        });
        (received, message_ids, seen.join().unwrap())
    });
    assert_eq!(received, (0..COUNT).map(|n| format!("in {n}")).collect::<Vec<_>>());
    assert_eq!(contents, (0..COUNT).map(|n| format!("out {n}")).collect::<Vec<_>>());
    assert_eq!(message_ids.len(), COUNT);
    assert_eq!((stage.relay.stats().delivered, stage.relay.stats().stray_results), (COUNT as u64, 0));
}

/// when the queue and the read-ahead are full, the connector's bytes wait, even in the middle of a message. When
/// the host makes room, all arrive.
fn a_6_a_slow_host_gets_everything_in_order(wire: Wire) {
    // With room for one event at a time, and with one event larger than the whole budget.
    for least in ["host_queue", "host_queue_bytes"] {
        a_slow_host_gets_everything_in_order(Stage::new(wire, &[(least, "1"), ("read_ahead_bytes", "1")]));
    }
}

fn a_slow_host_gets_everything_in_order(mut stage: Stage) {
    const COUNT: usize = 300;
    let frame =
        |n: usize| json!({"type": "inbound", "event": {"text": n.to_string(), "source": {"chat_id": "1"}}});
    for message in [0..COUNT / 2, COUNT / 2..COUNT] {
        let lines: String = message.map(|n| format!("{}\n", frame(n))).collect();
        stage.connector.control(Act::Raw { text: lines }).unwrap();
    }
    // Nothing is settled meanwhile: taking a delivery makes room by itself.
    let deliveries: Vec<_> = (0..COUNT).map(|_| stage.message()).collect();
    for (n, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.message().text, n.to_string());
        delivery.ack();
    }
    stage.kit.block_on(stage.relay.send("1", "done")).unwrap();
}

fn l_16_an_interrupt_overtakes_queued_messages(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "queued", false);
    let interrupt = Act::Interrupt { session_key: "agent:main:discord:dm:1".into(), chat_id: "1".into() };
    stage.connector.control(interrupt).unwrap();
    // Its answer arrives after both.
    stage.kit.block_on(stage.relay.send("1", "x")).unwrap();
    let first = stage.next_but_notices();
    assert!(
        matches!(&first, Incoming::Interrupt { session_key, .. } if session_key.ends_with("dm:1")),
        "{first:?}"
    );
    assert_eq!(stage.message().message().text, "queued");
}

/// A host that only sends: events must not block the answers after them.
fn a_6_a_host_without_an_inbox_still_gets_answers(wire: Wire) {
    let mut stage =
        Stage::new(wire, &[("read_ahead_bytes", "1"), ("host_queue", "2"), ("request_timeout", "5s")]);
    stage.deliver(&discord::dm(), "kept by the connector", true);
    stage.deliver(&discord::dm(), "lost", false);
    let Stage { kit, relay, inbox, connector, mut ids } = stage;
    // There is no more room, so nothing is read.
    deliveries::until("both wait", &relay, |relay| pulling::held(relay, "host_queue") == 2);
    drop(inbox);
    for n in 0..20 {
        let event = ids.event(&discord::dm(), &format!("lost {n}"));
        connector.control(Act::Inbound { event, buffered: Some(false) }).unwrap();
    }
    for content in ["one", "two", "still here"] {
        kit.block_on(relay.send("1", content)).unwrap();
    }
    let mut acks = 0;
    connector
        .wait_for(
            |saw| {
                acks += usize::from(frame(saw).is_some_and(|frame| frame["type"] == "inbound_ack"));
                frame(saw).is_some_and(|frame| frame["action"]["content"] == "still here")
            },
            SOON,
        )
        .unwrap();
    // The live events are lost, and counted.
    assert_eq!(relay.stats().refused, 21);
    // The buffered event is neither acknowledged nor fetched repeatedly.
    assert_eq!((acks, relay.stats().dials), (0, 1));
}

fn l_14_disconnect_leaves_nothing_pending(wire: Wire) {
    let stage = Stage::new(wire, &[("disconnect_budget", "300ms"), ("close_timeout", "100ms")]);
    stage.connector.control(Act::Delay { op: "send".into(), ms: 600_000 }).unwrap();
    let answer = stage.submit("never answered");
    stage.sees_outbound("never answered");
    let Stage { kit, relay, mut inbox, connector, .. } = stage;
    kit.block_on(relay.disconnect());
    assert_eq!(kit.block_on(answer).unwrap_err().kind, FailureKind::Ambiguous);
    connector.wait_for(|saw| frame(saw).is_some_and(|frame| frame["type"] == "going_idle"), SOON).unwrap();
    let closed = |saw: &Observation| {
        matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
    };
    connector.wait_for(closed, SOON).unwrap();
    // The stream ends with `None`: a `select!` that skips terminated streams must still see it.
    assert!(!inbox.is_terminated());
    let rest = kit.block_on((&mut inbox).collect::<Vec<_>>());
    assert!(inbox.is_terminated());
    assert!(matches!(rest.last(), Some(Incoming::Notice(Notice::Stopped))), "{rest:?}");
    assert_eq!(kit.block_on(relay.send("1", "late")).unwrap_err().kind, FailureKind::Definite);
    assert_eq!(relay.phase(), Phase::Stopped);
    // A second disconnect has nothing to do.
    kit.block_on(relay.disconnect());
}

/// When the host has dropped everything, the gateway disconnects as gracefully as on request (L-14).
fn l_14_dropping_everything_disconnects(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "the last duty", true);
    let delivery = stage.message();
    // The runtime stays alive.
    let Stage { kit: _kit, relay, inbox, connector, .. } = stage;
    drop((relay, inbox));
    // A delivery keeps the gateway alive until it is dropped.
    delivery.ack();
    drop(delivery);
    for expected in ["inbound_ack", "going_idle"] {
        let of_interest = |saw: &Observation| frame(saw).is_some_and(|frame| frame["type"] != "hello");
        let saw = connector.wait_for(of_interest, SOON).unwrap();
        assert_eq!(frame(&saw).unwrap()["type"], expected);
    }
    let closed = |saw: &Observation| {
        matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
    };
    connector.wait_for(closed, SOON).unwrap();
}

fn clones_of_the_relay_work_from_many_threads(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (relay, kit) = (stage.relay.clone(), &stage.kit);
            scope.spawn(move || {
                for n in 0..25 {
                    kit.block_on(relay.send("1", format!("{thread}:{n}"))).unwrap();
                }
            });
        }
    });
    drop(stage.submit("nobody waits"));
    let mut seen = BTreeSet::new();
    while seen.len() < 101 {
        let frame = stage.sees(|frame| frame["type"] == "outbound");
        assert!(seen.insert(frame["action"]["content"].as_str().unwrap().to_owned()));
    }
    assert!(seen.contains("nobody waits"));
}

fn l_4_a_silent_connector_fails_the_dial(wire: Wire) {
    let connector = Stage::connector(wire);
    connector.control(Act::Mute { on: true }).unwrap();
    let settings = [("handshake_timeout", "50ms"), ("close_timeout", "50ms")];
    let mut stage = Stage::dial(wire, connector, &settings);
    stage.notice(|notice| {
        matches!(notice, Notice::Disconnected { code: None | Some(1000), reason, retry_in: Some(_) }
            if reason == "no descriptor came in time")
    });
    stage.connector.control(Act::Mute { on: false }).unwrap();
    stage.notice(|notice| matches!(notice, Notice::Connected { .. }));
}

fn w_5_an_overlong_line_does_not_end_the_connection(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.connector.control(Act::Raw { text: format!("{}\n", "x".repeat(3 << 20)) }).unwrap();
    stage.notice(|notice| {
        matches!(notice, Notice::DeadLetter { reason, buffer_id: None, .. } if reason.contains("max_line_bytes"))
    });
    stage.kit.block_on(stage.relay.send("1", "alive")).unwrap();
    let stats = stage.relay.stats();
    assert_eq!((stats.overlong_lines, stats.dials), (1, 1));
}

/// W-1: message boundaries mean nothing. W-3, W-4: an invalid frame is counted and stops nothing.
fn w_1_frame_and_message_boundaries_are_independent(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    let event = |text: &str| json!({"type": "inbound", "event": {"text": text, "source": {"chat_id": "1"}}});
    let two = format!("\n \nnot json\n[1]\n{{\"type\":\"new\"}}\n{}\n{}", event("one"), event("two"));
    let (head, tail) = two.split_at(two.len() - 10);
    for text in [head, tail, "\n"] {
        stage.connector.control(Act::Raw { text: text.to_owned() }).unwrap();
    }
    for text in ["one", "two"] {
        assert_eq!(stage.message().message().text, text);
    }
    let stats = stage.relay.stats();
    assert_eq!((stats.malformed_lines, stats.unknown_frames), (2, 1));
}

fn l_10_revoked_is_final_and_the_last_item(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    stage.connector.control(Act::Delay { op: "send".into(), ms: 600_000 }).unwrap();
    let answer = stage.submit("in flight");
    stage.sees_outbound("in flight");
    let Stage { kit, relay, mut inbox, connector, .. } = stage;
    connector.control(Act::Revoke { on: true }).unwrap();
    assert_eq!(kit.block_on(answer).unwrap_err().kind, FailureKind::Ambiguous);
    let rest = kit.block_on((&mut inbox).collect::<Vec<_>>());
    assert!(
        matches!(rest.last(), Some(Incoming::Fatal(fatal)) if fatal.code == "relay_disabled"),
        "{rest:?}"
    );
    assert_eq!(kit.block_on(relay.send("1", "late")).unwrap_err().kind, FailureKind::Definite);
    assert_eq!(relay.phase(), Phase::Revoked);
}

#[test]
fn l_5_an_unanswered_dial_names_address_and_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let kit = Kit::new();
    let (_relay, mut inbox) = kit.connect(config(&format!("ws://{address}"), &[]));
    let first = kit.block_on(inbox.next());
    assert!(
        matches!(&first, Some(Incoming::Notice(Notice::Disconnected { code: None, reason, retry_in: Some(_) }))
            if reason.starts_with(&format!("{address}: ")) && reason.contains("refused")),
        "{first:?}"
    );
}

/// A peer that sends a close frame but keeps the TCP connection open must not delay the next dial.
#[test]
fn l_18_a_close_frame_ends_a_connection_whose_tcp_stays_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        let frame = tungstenite::protocol::CloseFrame { code: 1001.into(), reason: "going away".into() };
        socket.close(Some(frame.clone())).unwrap();
        // The gateway answers with its close frame and then closes its end.
        let mut answer = None;
        loop {
            match socket.read() {
                Ok(tungstenite::Message::Close(close)) => answer = close,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        assert_eq!(answer, Some(frame));
        // Now it dials again. The first stream was open all the time.
        let again = listener.accept().unwrap();
        drop((socket, again));
    });
    let kit = Kit::new();
    let (relay, mut inbox) = kit.connect(config(&url, &[]));
    let first = kit.block_on(inbox.next());
    assert!(
        matches!(&first, Some(Incoming::Notice(Notice::Disconnected { code: Some(1001), reason, .. })) if reason == "going away"),
        "{first:?}"
    );
    peer.join().unwrap();
    drop(relay);
}
