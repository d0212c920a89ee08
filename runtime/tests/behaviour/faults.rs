//! Faults of the network and of the host: the connection continues or is restored, and nothing is lost.

use super::peer::{Link, Peer, buffered, inbound};
use super::stage::{HALF_DEAD, opener};
use super::{SOON, Stage, Wire, config, connect};
use crate::Kit;
use async_tungstenite::tungstenite::{Message, Utf8Bytes};
use futures_util::StreamExt;
use relayline_connector::chats::discord;
use relayline_connector::{Act, ClosedBy, ConnectorConfig, EmbeddedConnector, Observation, UpgradeRefusal};
use relayline_core::command::FailureKind;
use relayline_core::config::Credentials;
use relayline_core::op::SendMessage;
use relayline_core::output::{Notice, Phase};
use relayline_core::secret::Secret;
use relayline_runtime::{Delivery, Inbox, Incoming};
use serde_json::json;
use std::io::Write;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};

over_each_wire! {
    w_2_a_frame_cut_by_a_broken_connection_is_dropped,
    l_11_a_half_open_connection_is_detected,
    l_11_pings_are_answered_while_the_host_is_blocked,
    a_6_a_slow_host_gets_events_from_before_the_socket_broke,
    w_1_a_message_of_many_lines_is_read_completely,
    a_2_a_host_that_panics_in_a_task_loses_nothing,
    l_13_dormant_and_resumed_loses_nothing,
    l_12_without_a_confirmation_nothing_changes,
}

/// Returns the next message. Skips notices.
#[track_caller]
fn message(kit: &Kit, inbox: &mut Inbox) -> Delivery {
    loop {
        match kit.block_on(inbox.next()).expect("the stream goes on") {
            Incoming::Message(delivery) => return delivery,
            Incoming::Notice(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Returns the reason of the next disconnect.
#[track_caller]
fn disconnected(kit: &Kit, inbox: &mut Inbox) -> String {
    loop {
        match kit.block_on(inbox.next()).expect("the stream goes on") {
            Incoming::Notice(Notice::Disconnected { reason, .. }) => return reason,
            Incoming::Notice(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// W-2: a frame that was incomplete when its connection broke was never received. The cut is inside the head of a
/// WebSocket frame, inside its payload, or inside a line between two frames.
fn w_2_a_frame_cut_by_a_broken_connection_is_dropped(wire: Wire) {
    let line = format!("{}\n", buffered("cut", "b-1"));
    let frame = |payload: &[u8]| {
        // A text message under 64 KiB, as a server encodes it.
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0x81, 126], &length[..], payload].concat()
    };
    let whole = frame(line.as_bytes());
    let half_a_line = frame(&line.as_bytes()[..line.len() / 2]);
    for said in [&whole[..1], &whole[..3], &whole[..20], &whole[..whole.len() - 1], &half_a_line] {
        let peer = Peer::listen(wire);
        let kit = Kit::new();
        let (relay, mut inbox) = peer.connect(&kit, &[]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut wire = peer.accept();
                wire.0.get_mut().write_all(said).unwrap();
                wire.0.get_mut().shutdown(Shutdown::Both).unwrap();
                let mut wire = peer.accept();
                wire.say(&buffered("whole", "b-2"));
                let ack = wire.frame().unwrap();
                assert_eq!((&ack["type"], &ack["bufferId"]), (&json!("inbound_ack"), &json!("b-2")));
            });
            let delivery = message(&kit, &mut inbox);
            assert_eq!(delivery.message().text, "whole", "cut after {} bytes", said.len());
            delivery.ack();
        });
        let stats = relay.stats();
        assert_eq!((stats.delivered, stats.malformed_lines, stats.handshakes), (1, 0, 2));
    }
}

/// L-11: a peer that is gone without a word is found out by its silence, and dialed again.
fn l_11_a_half_open_connection_is_detected(wire: Wire) {
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let settings = [("ping_interval", "40ms"), ("ping_timeout", "40ms"), ("close_timeout", "40ms")];
    let (relay, mut inbox) = peer.connect(&kit, &settings);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // It reads nothing more, so it answers no ping. The socket stays open.
            let silent = peer.accept();
            let mut wire = peer.accept();
            wire.say(&inbound("back"));
            // Pings are answered until the test has seen the frame.
            assert_eq!(wire.frame().unwrap()["action"]["content"], "seen");
            drop(silent);
        });
        assert_eq!(disconnected(&kit, &mut inbox), "nothing was received for too long");
        assert_eq!(message(&kit, &mut inbox).message().text, "back");
        drop(relay.submit(SendMessage::new("1", "seen")));
    });
}

/// L-11, A-6: a host that takes nothing and blocks its thread does not delay the answers to the peer's pings and to
/// requests of other threads.
fn l_11_pings_are_answered_while_the_host_is_blocked(wire: Wire) {
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let (relay, mut inbox) = peer.connect(&kit, &[("host_queue", "2")]);
    let answered = std::thread::spawn(move || {
        let mut wire = peer.accept();
        for n in 0..20 {
            wire.say(&inbound(&n.to_string()));
        }
        for n in 0..3 {
            let payload = format!("ping {n}");
            wire.0.send(Message::Ping(payload.clone().into())).unwrap();
            loop {
                match wire.0.read().unwrap() {
                    Message::Pong(pong) if pong == payload => break,
                    Message::Pong(_) | Message::Text(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        wire
    });
    // The host's thread is blocked until all of them are answered.
    let mut wire = answered.join().unwrap();
    for n in 0..20 {
        let delivery = message(&kit, &mut inbox);
        assert_eq!(delivery.message().text, n.to_string());
        delivery.ack();
    }
    let answers = std::thread::spawn(move || {
        let request = wire.frame().unwrap();
        wire.answer(&request);
        wire
    });
    kit.block_on(relay.send("1", "awake again")).unwrap();
    drop(answers.join().unwrap());
}

/// if a socket breaks while the host takes nothing, this is detected when the host takes something. Everything
/// received before is delivered, and a request meanwhile times out as usual (O-4).
fn a_6_a_slow_host_gets_events_from_before_the_socket_broke(wire: Wire) {
    const COUNT: usize = 50;
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let settings = [("host_queue", "1"), ("read_ahead_bytes", "1"), ("request_timeout", "200ms")];
    let (relay, mut inbox) = peer.connect(&kit, &settings);
    let gone = std::thread::spawn(move || {
        let mut wire = peer.accept();
        for n in 0..COUNT {
            wire.say(&inbound(&n.to_string()));
        }
        drop(wire);
        peer
    });
    let _peer = gone.join().unwrap();
    let failure = kit.block_on(relay.send("1", "into the void")).unwrap_err();
    assert!(matches!(failure.kind, FailureKind::Definite | FailureKind::Ambiguous), "{failure:?}");
    for n in 0..COUNT {
        let delivery = message(&kit, &mut inbox);
        assert_eq!(delivery.message().text, n.to_string());
        delivery.ack();
    }
    assert!(!disconnected(&kit, &mut inbox).is_empty());
}

/// a panic in the host's task refuses the deliveries that it held. Everything else continues.
fn a_2_a_host_that_panics_in_a_task_loses_nothing(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "too much for me", true);
    let delivery = stage.message();
    let relay = stage.relay.clone();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        stage.kit.block_on(async move {
            let _held = (&delivery, delivery.stream());
            relay.send("1", "about to fail").await.unwrap();
            panic!("the host's own fault");
        })
    }));
    assert!(panicked.is_err());
    let again = stage.message();
    assert_eq!(again.message().text, "too much for me");
    again.ack();
    stage.kit.block_on(stage.relay.send("1", "still here")).unwrap();
    stage.sees(|frame| frame["type"] == "inbound_ack");
}

/// L-13: a dormant gateway is confirmed, closed and held. Events meanwhile are buffered, and delivered after the
/// resume.
fn l_13_dormant_and_resumed_loses_nothing(wire: Wire) {
    let mut stage = Stage::new(wire, &[("dormant_delay", "60s")]);
    assert!(stage.kit.block_on(stage.relay.go_dormant()).unwrap());
    stage.notice(|notice| matches!(notice, Notice::Dormant { .. }));
    let closed = |saw: &Observation| {
        matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
    };
    stage.connector.wait_for(closed, SOON).unwrap();
    assert_eq!(stage.relay.phase(), Phase::Waiting);
    assert_eq!(stage.kit.block_on(stage.relay.send("1", "x")).unwrap_err().kind, FailureKind::Definite);
    stage.deliver(&discord::dm(), "while you slept", true);
    stage.kit.block_on(stage.relay.resume()).unwrap();
    stage.notice(|notice| matches!(notice, Notice::Resumed));
    let delivery = stage.message();
    assert_eq!(delivery.message().text, "while you slept");
    delivery.ack();
    stage.sees(|frame| frame["type"] == "inbound_ack");
}

/// L-12: if the connector does not confirm, nothing changes. This includes going dormant.
fn l_12_without_a_confirmation_nothing_changes(wire: Wire) {
    let mut stage = Stage::new(wire, &[("idle_timeout", "50ms")]);
    stage.connector.control(Act::IdleAck { on: false }).unwrap();
    assert!(!stage.kit.block_on(stage.relay.go_idle()).unwrap());
    assert!(!stage.kit.block_on(stage.relay.go_dormant()).unwrap());
    assert_eq!(stage.relay.phase(), Phase::Connected);
    stage.deliver(&discord::dm(), "live", false);
    stage.message().ack();
}

/// L-4: an address that does not answer does not fail the dial if the host has another address.
#[test]
fn l_4_a_dead_address_does_not_fail_the_dial() {
    let (connector, kit) = (Stage::connector(Wire::Memory), Kit::new());
    let config = config(&format!("ws://{HALF_DEAD}"), &[("dial_timeout", "60s")]);
    let (relay, mut inbox) = connect(&kit, Wire::Memory, config, opener(&connector));
    let first = kit.block_on(inbox.next());
    assert!(matches!(first, Some(Incoming::Notice(Notice::Connected { .. }))), "{first:?}");
    assert_eq!(relay.stats().dials, 1);
}

/// L-7, L-8: before the first handshake a refusal is an ordinary failure, and an expired token always is. Each is
/// reported, and the next dial succeeds.
#[test]
fn l_7_refusals_without_a_revocation_are_survived() {
    let told = refused_by(UpgradeRefusal::Http);
    assert!(told.contains("401") && told.contains("secret"), "{told}");
    assert_eq!(refused_by(UpgradeRefusal::Close), "revoked");
}

/// Returns the reported reason of the refused upgrade.
fn refused_by(upgrade_refusal: UpgradeRefusal) -> String {
    let accounts = ConnectorConfig::default().upgrade_refusal(upgrade_refusal);
    let accounts = accounts.gateway("gw-1", Secret::new("s3cret".to_owned()));
    let connector = EmbeddedConnector::start(accounts, "127.0.0.1:0").unwrap();
    connector.control(Act::Revoke { on: true }).unwrap();
    let mut config = config(&connector.url(), &[]);
    config.machine.credentials = Some(Credentials::new("gw-1", "s3cret"));
    let kit = Kit::new();
    let (relay, mut inbox) = kit.connect(config);
    let reason = disconnected(&kit, &mut inbox);
    connector.control(Act::Revoke { on: false }).unwrap();
    while !matches!(kit.block_on(inbox.next()), Some(Incoming::Notice(Notice::Connected { .. }))) {}
    connector.control(Act::Expire).unwrap();
    assert_eq!(disconnected(&kit, &mut inbox), "expired");
    while !matches!(kit.block_on(inbox.next()), Some(Incoming::Notice(Notice::Connected { .. }))) {}
    assert!(relay.stats().refusals >= 2);
    assert_eq!(relay.phase(), Phase::Connected);
    reason
}

/// W-1: a message of several megabytes is read in pieces. Requests and timers are served in between.
fn w_1_a_message_of_many_lines_is_read_completely(wire: Wire) {
    const COUNT: usize = 2000;
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let (_relay, mut inbox) = peer.connect(&kit, &[]);
    let wire = std::thread::spawn(move || -> Link {
        let mut wire = peer.accept();
        let lines: String = (0..COUNT).map(|n| format!("{}\n", inbound(&n.to_string()))).collect();
        assert!(lines.len() > 128 << 10, "more than one piece");
        wire.0.send(Message::Text(Utf8Bytes::from(lines))).unwrap();
        wire
    });
    for n in 0..COUNT {
        let delivery = message(&kit, &mut inbox);
        assert_eq!(delivery.message().text, n.to_string());
        delivery.ack();
    }
    drop(wire.join().unwrap());
}
