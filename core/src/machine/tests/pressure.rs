//! A-6: back-pressure, from the host to the socket and back.

use super::driver::{Rig, buffered, descriptor, inbound, send};
use crate::usage::Usage;

/// Returns the weight of one event of [`inbound`].
fn weight() -> usize {
    let frame = inbound("c", "1000");
    let event = &frame[frame.find(r#"{"text""#).unwrap()..frame.len() - 1];
    crate::event::Event::read(event).unwrap().weight()
}

#[test]
fn a_6_events_queue_up_while_all_else_gets_through() {
    let mut rig = Rig::up();
    rig.room = false;
    let request = rig.submit(send("c", "x"));
    rig.submit(crate::command::Command::GoIdle);
    rig.log();
    for n in 0..500 {
        rig.line(&inbound("c", &n.to_string()));
    }
    rig.answer(request, r#"{"success":true,"message_id":"m"}"#);
    rig.line(r#"{"type":"interrupt_inbound","session_key":"k"}"#);
    rig.line(r#"{"type":"going_idle_ack"}"#);
    rig.expect(&["r1 sent m", "interrupt k ", "r2 idle confirmed=true"]);
    assert!(rig.machine.wants_read());
}

#[test]
fn a_6_with_a_full_read_ahead_it_only_writes() {
    let mut rig = Rig::up_with(|config| {
        config.limits.read_ahead_bytes = 10 * weight();
        config.limits.host_queue = 1;
    });
    rig.room = false;
    let stream: String = (1000..1100).map(|n| inbound("c", &n.to_string()) + "\n").collect();
    let stream = stream.as_bytes();
    let line = stream.len() / 100;
    let taken = rig.bytes(stream);
    assert_eq!(taken, 10 * line, "to the byte, and no further");
    assert!(!rig.machine.wants_read());
    assert_eq!(rig.bytes(&stream[taken..]), 0);
    // Requests, acknowledgements and pings are written.
    rig.submit(send("c", "x"));
    assert_eq!(rig.log().len(), 1);
    rig.wait(30_000);
    assert_eq!(rig.log(), ["r1 ambiguous: no answer came in time", "> ping #1"]);
    // Each event that the host takes makes room for another.
    assert!(rig.machine.poll_delivery(rig.now).is_some());
    assert!(rig.machine.wants_read());
    assert_eq!(rig.bytes(&stream[taken..]), line);
    assert!(!rig.machine.wants_read());
    // Once there is room again, all arrive in order, and none is lost.
    rig.room = true;
    let mut at = taken + line;
    rig.drain();
    while at < stream.len() {
        at += rig.bytes(&stream[at..]);
    }
    let ids: Vec<String> = rig.log().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(ids, (1001..1100).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// The queue is bounded by `host_queue` and by `host_queue_bytes`. Events within `read_ahead_bytes` are read in any case,
/// since a result may come after them.
#[test]
fn a_6_a_full_queue_and_read_ahead_stop_the_reading() {
    for (host_queue, host_queue_events, read_ahead_events, expected) in [
        (1, 100, 10, 10),
        (20, 100, 10, 20),
        (100, 15, 10, 15),
        (20, 15, 30, 30),
        (20, 100, 1, 20),
        (1, 1, 1, 1),
    ] {
        let mut rig = Rig::up_with(|config| {
            config.limits.host_queue = host_queue;
            config.limits.host_queue_bytes = host_queue_events * weight();
            config.limits.read_ahead_bytes = read_ahead_events * weight();
        });
        rig.room = false;
        let stream: String = (1000..1100).map(|n| inbound("c", &n.to_string()) + "\n").collect();
        let taken = rig.bytes(stream.as_bytes());
        let usage = rig.machine.usage();
        assert_eq!(
            (taken / (stream.len() / 100), usage.host_queue, usage.host_queue_bytes),
            (expected, expected, expected * weight()),
            "{host_queue} events, of {host_queue_events} {read_ahead_events}"
        );
        assert!(!rig.machine.wants_read() && rig.machine.has_delivery());
        assert!(rig.machine.poll_delivery(rig.now).is_some() && rig.machine.wants_read());
    }
}

/// Unsettled deliveries use the queue's room, but not the read-ahead.
#[test]
fn a_6_queued_and_unsettled_deliveries_share_a_budget() {
    let mut rig = Rig::up_with(|config| {
        config.limits.unsettled_bytes = 1;
        // An entry's id is a byte here.
        config.limits.host_queue_bytes = 6 * (weight() + 1);
        config.limits.read_ahead_bytes = 2 * weight();
    });
    let stream: String = (1000..1100).map(|n| buffered("c", &n.to_string(), "b") + "\n").collect();
    let line = stream.len() / 100;
    assert_eq!(rig.bytes(&stream.as_bytes()[..line]), line);
    assert_eq!(rig.bytes(&stream.as_bytes()[line..]), 5 * line, "one is with the host");
    assert!(!rig.machine.wants_read() && !rig.machine.has_delivery());
    rig.taken(1);
    assert_eq!((rig.machine.usage().host_queue, rig.machine.wants_read()), (4, true));
}

/// A live delivery is accepted when it leaves the machine, and no sooner. Its duplicates wait with it.
#[test]
fn a_4_a_queued_live_delivery_is_not_accepted() {
    let mut rig = Rig::up();
    rig.room = false;
    rig.line(&inbound("c", "1"));
    rig.line(&buffered("c", "1", "b"));
    rig.expect(&[]);
    assert!(!rig.machine.has_output());
    assert!(rig.machine.poll_delivery(rig.now).is_some());
    // The poll accepted the delivery, so its duplicate's acknowledgement is due: the driver must wake the writing loop.
    assert!(rig.machine.has_output());
    rig.drain();
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"b"}"#]);
    assert!(!rig.machine.has_output() && !rig.machine.has_delivery());
}

#[test]
fn a_6_duplicates_that_wait_count_too() {
    let mut rig = Rig::up_with(|config| {
        config.limits.read_ahead_bytes = 4 * weight();
        config.limits.host_queue_bytes = 1;
    });
    rig.line(&buffered("c", "1", "b"));
    let mut waiting = 0;
    while rig.machine.wants_read() && waiting < 10 {
        rig.line(&buffered("c", "1", "b"));
        waiting += 1;
    }
    assert!((3..=5).contains(&waiting), "{waiting}");
    rig.taken(1);
    assert!(rig.machine.wants_read());
}

#[test]
fn a_6_unsettled_deliveries_are_bounded_by_dedupe() {
    let mut rig = Rig::up_with(|config| config.limits.dedupe = 3);
    for n in 0..3 {
        rig.line(&buffered("c", &n.to_string(), "b"));
    }
    assert!(!rig.machine.wants_read(), "A-4: what is in flight never leaves");
    rig.log();
    rig.taken(1);
    assert!(rig.machine.wants_read());
    // This also holds without ids.
    let mut rig = Rig::up_with(|config| config.limits.dedupe = 3);
    for _ in 0..5 {
        rig.line(r#"{"type":"inbound","event":{},"bufferId":"b"}"#);
    }
    assert_eq!(rig.log().len(), 3);
    rig.taken(2);
    assert_eq!(rig.log().len(), 2, "an ack, and the next");
}

#[test]
fn a_6_a_host_that_is_slow_with_actions_pauses_reading_too() {
    let mut rig = Rig::up();
    let interrupt = b"{\"type\":\"interrupt_inbound\",\"session_key\":\"k\"}\n".repeat(5000);
    let conn = rig.conn();
    let taken = rig.machine.handle_bytes(rig.now, conn, &interrupt);
    assert!(taken < interrupt.len() && !rig.machine.wants_read());
    rig.drain();
    assert!(rig.machine.wants_read());
    assert_eq!(rig.log().len(), 1024);
}

/// X-1: the driver must take actions at once. A driver that does not gets nothing more from the peer.
#[test]
fn x_1_a_driver_that_polls_no_actions_gets_no_more() {
    let mut rig = Rig::up_with(|config| config.limits.read_ahead_bytes = 3000);
    let long = "k".repeat(1000);
    let stream = format!("{{\"type\":\"interrupt_inbound\",\"session_key\":\"{long}\"}}\n").repeat(9);
    let (conn, line) = (rig.conn(), stream.len() / 9);
    assert_eq!(rig.machine.handle_bytes(rig.now, conn, stream.as_bytes()), 3 * line);
    let usage = rig.machine.usage();
    assert!(usage.actions == 3 && (3000..4000).contains(&usage.action_bytes), "{usage:?}");
    assert!(!rig.machine.wants_read());
    rig.drain();
    assert_eq!((rig.machine.usage().action_bytes, rig.log().len()), (0, 3));
    assert!(rig.machine.wants_read());
    assert_eq!(rig.bytes(&stream.as_bytes()[3 * line..]), 3 * line);
}

/// X-1: each number counts what its name says. The simulation checks their bounds at every step.
#[test]
fn x_1_usage_counts_every_queue() {
    let mut rig = Rig::up();
    (rig.room, rig.writable) = (false, false);
    assert_eq!(rig.machine.usage(), Usage::default());
    rig.line(&buffered("a", "1001", "e1"));
    rig.line(&buffered("a", "1001", "e2"));
    rig.line(&inbound("b", "1002"));
    let id = rig.submit(send("a", "x"));
    let frame = format!(
        r#"{{"type":"outbound","requestId":"{}","action":{{"op":"send","chat_id":"a","content":"x","reply_to":null,"metadata":{{}}}},"platform":"discord","botId":"42"}}"#,
        rig.machine.wire_id(id)
    ) + "\n";
    rig.bytes(b"{\"type\":");
    let usage = rig.machine.usage();
    assert_eq!(usage.waiting_event_bytes, 3 * weight() + "e1".len() + "e2".len());
    let expected = Usage {
        unfinished_line_bytes: 8,
        waiting_events: 3,
        remembered_deliveries: 2,
        requests: 1,
        chats: 2,
        waiting_event_bytes: usage.waiting_event_bytes,
        host_queue: 2,
        host_queue_bytes: 2 * weight() + "e1".len(),
        unwritten_bytes: frame.len(),
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    (rig.room, rig.writable) = (true, true);
    rig.drain();
    assert_eq!(rig.machine.usage().unsettled_deliveries, 1);
    rig.writable = false;
    rig.taken(1);
    // The duplicate's entry also needs an acknowledgement.
    let usage = rig.machine.usage();
    assert_eq!((usage.unwritten_acks, usage.waiting_events, usage.waiting_event_bytes), (2, 0, 0));
    assert_eq!((usage.unsettled_deliveries, usage.unwritten_bytes, usage.requests), (0, 0, 1));
    rig.lost();
    // "discord", the chat and the message, twice.
    let left = Usage {
        remembered_deliveries: 2,
        chats: 2,
        reply_targets: 2,
        reply_target_bytes: 24,
        ..Usage::default()
    };
    assert_eq!(rig.machine.usage(), left);
}

/// L-4, A-6: a full read-ahead blocks events, but no handshake. Whatever is left of earlier connections, the descriptor
/// is read. Events before it have as much room of their own (L-17).
#[test]
fn l_4_a_6_a_full_read_ahead_blocks_no_handshake() {
    for dedupe in [false, true] {
        let mut rig = Rig::up_with(|config| match dedupe {
            true => config.limits.dedupe = 3,
            false => {
                config.limits.read_ahead_bytes = 3 * weight();
                config.limits.host_queue = 3;
            }
        });
        rig.room = false;
        for n in 1000..1003 {
            rig.line(&inbound("c", &n.to_string()));
        }
        assert!(!rig.machine.wants_read());
        rig.lost();
        rig.next();
        rig.opened();
        rig.log();
        let line = |n: usize| inbound("c", &n.to_string()) + "\n";
        let early = line(1003) + &line(1004);
        assert_eq!(rig.bytes(early.as_bytes()), early.len());
        rig.line(&descriptor("discord", ""));
        rig.expect(&["connected discord []"]);
        // Once connected, it reads no event until the host has taken some. Requests are still written.
        assert!(!rig.machine.wants_read());
        rig.submit(send("c", "x"));
        assert_eq!(rig.log().len(), 1);
        rig.room = true;
        rig.drain();
        let order: Vec<String> = (1000..1005).map(|n| format!("deliver {} live c {n}", n - 999)).collect();
        assert_eq!(rig.log(), order);
        assert!(rig.machine.wants_read());

        // Before its own handshake, a connection may deliver this much and no more.
        let mut rig = Rig::with(|config| match dedupe {
            true => config.limits.dedupe = 3,
            false => config.limits.read_ahead_bytes = 3 * weight(),
        });
        rig.opened();
        let flood: String = (1000..1010).map(line).collect();
        assert_eq!(rig.bytes(flood.as_bytes()), flood.len() / 10 * 3);
        assert!(rig.machine.usage().early_event_bytes >= if dedupe { 1 } else { 3 * weight() });
        // The next connection has the same budget again.
        rig.lost();
        assert_eq!(rig.machine.usage().early_event_bytes, 0);
        rig.next();
        rig.opened();
        assert_eq!(rig.bytes(flood.as_bytes()), flood.len() / 10 * 3);
    }
}

/// L-17: duplicates use the budget, too.
#[test]
fn l_17_early_duplicates_count_towards_the_early_budget() {
    let mut rig = Rig::with(|config| config.limits.read_ahead_bytes = 3 * weight());
    rig.opened();
    let copies = (inbound("c", "1000") + "\n").repeat(6);
    assert_eq!(rig.bytes(copies.as_bytes()), copies.len() / 2);
}

/// A-5, A-4: a buffered duplicate of a connection that is over is dropped: its entry is redelivered. Such duplicates do
/// not pile up, and their number never ends a connection.
#[test]
fn a_5_duplicates_of_ended_connections_are_dropped() {
    let mut rig = Rig::up();
    let big = buffered("c", "1", "a").replace("\"hi\"", &format!("\"{}\"", "x".repeat(900_000)));
    rig.line(&big);
    rig.log();
    for _ in 0..10 {
        rig.lost();
        rig.next();
        rig.connect();
        rig.line(&big);
        rig.expect(&[]);
        assert!(rig.machine.wants_read() && rig.machine.usage().waiting_events == 1);
    }
    assert_eq!((rig.machine.stats().waiters_dropped, rig.machine.stats().late_acks), (0, 9));
    rig.taken(1);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"a"}"#]);
}
