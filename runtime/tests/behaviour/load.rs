//! Load tests with counts: nothing is lost, nothing is repeated, every future resolves.

use super::peer::{Link, Peer, inbound_line, result_line};
use super::stage::opener;
use super::{SOON, Stage, Wire, config, connect, frame};
use crate::Kit;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, stream};
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ConnectorConfig};
use relayline_core::command::FailureKind;
use relayline_core::config::Credentials;
use relayline_core::op::Op;
use relayline_core::output::Notice;
use relayline_core::secret::Secret;
use relayline_core::time::Now;
use relayline_runtime::{Inbox, Incoming, Relay};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

over_each_wire! {
    a_7_ten_thousand_messages_in_each_direction_at_once,
    a_peer_that_reads_only_after_writing_is_served,
    o_4_a_flood_does_not_delay_a_timer,
    l_14_a_disconnect_under_load_leaves_nothing_pending,
    a_hundred_hosts_in_one_process_do_not_mix,
}

/// Reads requests and passes their ids on to be answered. Returns their contents at the end of the connection.
fn read_all(mut wire: Link, requests: Sender<String>) -> Vec<String> {
    let mut contents = Vec::new();
    while let Some((id, content)) = wire.request() {
        contents.push(content);
        // The answering thread may have ended before the reading one.
        let _ = requests.send(id);
    }
    contents
}

/// Writes `count` live messages, a few at a time, and answers requests in between. Continues to answer until there are
/// no more.
fn write_all(mut wire: Link, count: usize, requests: &Receiver<String>) {
    for n in (0..count).step_by(20) {
        let said: String = (n..n + 20).map(|n| inbound_line(&n.to_string())).collect();
        let answers: String = requests.try_iter().map(|id| result_line(&id)).collect();
        wire.say_lines(said + &answers);
    }
    for first in requests {
        let rest: String = requests.try_iter().map(|id| result_line(&id)).collect();
        wire.say_lines(result_line(&first) + &rest);
    }
}

/// Takes `count` messages. Returns their texts.
async fn take(inbox: &mut Inbox, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        if let Incoming::Message(delivery) = inbox.select_next_some().await {
            texts.push(delivery.message().text.to_string());
            delivery.ack();
        }
    }
    texts
}

/// ten thousand messages in each direction at the same time, in order.
fn a_7_ten_thousand_messages_in_each_direction_at_once(wire: Wire) {
    const COUNT: usize = 10_000;
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let (relay, mut inbox) = peer.connect(&kit, &[("host_queue", "64")]);
    let (texts, ids, contents) = std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let (reader, writer) = peer.accept().split();
            let (sender, requests) = channel();
            std::thread::scope(|scope| {
                let seen = scope.spawn(move || read_all(reader, sender));
                write_all(writer, COUNT, &requests);
                seen.join().unwrap()
            })
        });
        let (texts, ids) = kit.block_on(async {
            while !matches!(inbox.next().await, Some(Incoming::Notice(Notice::Platform { .. }))) {}
            let sends = stream::iter((0..COUNT).map(|n| relay.send("1", n.to_string())));
            let ids = sends.buffer_unordered(500).map(|id| id.unwrap().unwrap()).collect::<BTreeSet<_>>();
            futures_util::join!(take(&mut inbox, COUNT), ids)
        });
        kit.block_on(relay.disconnect());
        (texts, ids, seen.join().unwrap())
    });
    let expected: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    assert!(texts == expected, "what came in: {} of {COUNT}", texts.len());
    assert!(contents == expected, "what went out: {} of {COUNT}", contents.len());
    assert_eq!(ids.len(), COUNT, "each has an answer of its own");
    let stats = relay.stats();
    assert_eq!((stats.delivered, stats.duplicates, stats.stray_results), (COUNT as u64, 0, 0));
}

/// The peer reads nothing until it has written everything. A gateway that stopped reading while it cannot write would
/// wait for ever.
fn a_peer_that_reads_only_after_writing_is_served(wire: Wire) {
    const COUNT: usize = 800;
    const SENDS: usize = 200;
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let (relay, mut inbox) = peer.connect(&kit, &[("write_queue_bytes", "16777216")]);
    let large = "x".repeat(64 << 10);
    std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut wire = peer.accept();
            let filler = "y".repeat(16 << 10);
            for n in 0..COUNT {
                wire.say_lines(inbound_line(&format!("{n} {filler}")));
            }
            for _ in 0..SENDS {
                let (id, content) = wire.request().expect("all that was asked");
                assert_eq!(content.len(), 64 << 10);
                wire.say_lines(result_line(&id));
            }
            wire
        });
        kit.block_on(async {
            while !matches!(inbox.next().await, Some(Incoming::Notice(Notice::Platform { .. }))) {}
            let sends: FuturesUnordered<_> = (0..SENDS).map(|_| relay.send("1", large.clone())).collect();
            let sent = sends.map(Result::unwrap).count();
            let (taken, sent) = futures_util::join!(take(&mut inbox, COUNT), sent);
            assert_eq!((taken.len(), sent), (COUNT, SENDS));
        });
        drop(seen.join().unwrap());
    });
}

/// Timers fire however much arrives: a request without an answer fails in time (O-4) while the peer sends without a
/// pause. Its frames need no host, so the loop never rests.
fn o_4_a_flood_does_not_delay_a_timer(wire: Wire) {
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let (relay, mut inbox) = peer.connect(&kit, &[("request_timeout", "200ms")]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut wire = peer.accept();
            let noise = "{\"type\":\"noise\"}\n".repeat(50_000);
            // It ends when the timer has fired, or when the test has given up.
            let until = Instant::now() + SOON;
            while !over.load(Ordering::SeqCst) && Instant::now() < until {
                wire.say_lines(noise.clone());
            }
            wire
        });
        let failure = kit.block_on(async {
            while !matches!(inbox.next().await, Some(Incoming::Notice(Notice::Platform { .. }))) {}
            while relay.stats().unknown_frames == 0 {
                std::thread::yield_now();
            }
            relay.send("1", "does anybody hear me?").await.unwrap_err()
        });
        over.store(true, Ordering::SeqCst);
        assert_eq!(failure.kind, FailureKind::Ambiguous);
        drop(flood.join().unwrap());
    });
}

/// L-14: a disconnect under load, from a peer that answers nothing and keeps sending. All pending requests complete,
/// and the stream ends.
fn l_14_a_disconnect_under_load_leaves_nothing_pending(wire: Wire) {
    const COUNT: usize = 1000;
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let settings = [("disconnect_budget", "300ms"), ("close_timeout", "100ms")];
    let (relay, mut inbox) = peer.connect(&kit, &settings);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut wire = peer.accept();
            let mut n = 0;
            // Until the gateway is gone.
            while wire.0.send(inbound_line(&n.to_string()).into()).is_ok() {
                n += 1;
            }
        });
        kit.block_on(async {
            while !matches!(inbox.next().await, Some(Incoming::Notice(Notice::Platform { .. }))) {}
            let answers: Vec<_> = (0..COUNT).map(|_| relay.submit(send())).collect();
            let answers: FuturesUnordered<_> = answers.into_iter().map(Result::unwrap).collect();
            let ended = answers.map(|answer| answer.unwrap_err().kind).collect::<Vec<_>>();
            // The stream ends by itself. Deliveries that were queued by then are still handed out.
            let rest = inbox.by_ref().collect::<Vec<_>>();
            let ((), kinds, rest) = futures_util::join!(relay.disconnect(), ended, rest);
            assert_eq!(kinds.len(), COUNT);
            let told = |kind: &FailureKind| matches!(kind, FailureKind::Definite | FailureKind::Ambiguous);
            assert!(kinds.iter().all(told));
            let stopped = rest.iter().filter(|one| matches!(one, Incoming::Notice(Notice::Stopped)));
            assert_eq!(stopped.count(), 1);
        });
    });
}

fn send() -> relayline_core::command::Command {
    let send = relayline_core::op::SendMessage::new("1", "x");
    relayline_core::command::Command::Op(Op::Send(send))
}

/// A hundred gateways in one process each have a conversation of their own.
fn a_hundred_hosts_in_one_process_do_not_mix(wire: Wire) {
    const COUNT: usize = 100;
    let name = |n: usize| format!("gw-{n}");
    let accounts = (0..COUNT).fold(ConnectorConfig::default(), |accounts, n| {
        accounts.gateway(&name(n), Secret::new(format!("secret of {n}")))
    });
    let connector = Stage::connector_of(wire, accounts);
    let kit = Kit::new();
    let hosts: Vec<(Relay, Inbox)> = (0..COUNT)
        .map(|n| {
            let mut config = config(&connector.url(), &[]);
            let secret = Secret::new(format!("secret of {n}"));
            config.machine.credentials = Some(Credentials::new(name(n), secret));
            connect(&kit, wire, config, opener(&connector))
        })
        .collect();
    let converse = |n: usize, (relay, mut inbox): (Relay, Inbox)| {
        let (connector, name) = (&connector, name(n));
        async move {
            while !matches!(inbox.next().await, Some(Incoming::Notice(Notice::Platform { .. }))) {}
            let now = Now { unix_s: 1_718_900_000, ..Now::default() };
            let event = discord::dm().message(&mut Ids::new([0; 32]), now, &format!("for {name}"));
            connector.control(Act::Inbound { event, buffered: Some(true) }.on(&name)).unwrap();
            loop {
                if let Incoming::Message(delivery) = inbox.select_next_some().await {
                    assert_eq!(delivery.message().text, format!("for {name}"));
                    delivery.reply(&format!("from {name}")).await.unwrap();
                    delivery.ack();
                    break;
                }
            }
            relay.disconnect().await;
            inbox.collect::<Vec<_>>().await.len()
        }
    };
    kit.block_on(async {
        let all: FuturesUnordered<_> =
            hosts.into_iter().enumerate().map(|(n, host)| converse(n, host)).collect();
        assert_eq!(all.collect::<Vec<_>>().await.len(), COUNT);
    });
    let (mut replies, mut acks) = (BTreeSet::new(), 0);
    while replies.len() < COUNT || acks < COUNT {
        let saw = connector.next_observation(SOON).expect("every host's reply and ack");
        let Some(frame) = frame(&saw) else { continue };
        acks += usize::from(frame["type"] == "inbound_ack");
        if let Some(content) = frame["action"]["content"].as_str() {
            let gateway = serde_json::to_value(&saw).unwrap()["gateway"].as_str().unwrap().to_owned();
            assert_eq!(content, format!("from {gateway}"));
            assert!(replies.insert(gateway), "it replied twice");
        }
    }
    assert_eq!(acks, COUNT);
}
