//! A-6: back-pressure, from the host to the socket and back.

use super::driver::{Rig, buffered, inbound, send};

/// What one event of [`inbound`] weighs.
fn weight() -> usize {
    let frame = inbound("c", "1000");
    let event = &frame[frame.find(r#"{"text""#).unwrap()..frame.len() - 1];
    crate::event::Event::read(event).unwrap().weight()
}

#[test]
fn a_06_events_queue_up_while_all_else_gets_through() {
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
fn a_06_when_the_read_ahead_is_full_it_consumes_no_more_and_still_writes() {
    let mut rig = Rig::up_with(|config| config.limits.read_ahead_bytes = 10 * weight());
    rig.room = false;
    let stream: String = (1000..1100).map(|n| inbound("c", &n.to_string()) + "\n").collect();
    let stream = stream.as_bytes();
    let line = stream.len() / 100;
    let taken = rig.bytes(stream);
    assert_eq!(taken, 10 * line, "to the byte, and no further");
    assert!(!rig.machine.wants_read());
    assert_eq!(rig.bytes(&stream[taken..]), 0);
    // It writes: requests, acks, pings.
    rig.submit(send("c", "x"));
    assert_eq!(rig.log().len(), 1);
    rig.wait(30_000);
    assert_eq!(rig.log(), ["r1 ambiguous: no answer came in time", "> ping #1"]);
    // One that the host takes makes room for one.
    assert!(rig.machine.poll_delivery(rig.now).is_some());
    assert!(rig.machine.wants_read());
    assert_eq!(rig.bytes(&stream[taken..]), line);
    assert!(!rig.machine.wants_read());
    // And once it has room again, all come, in order, and none is lost.
    rig.room = true;
    let mut at = taken + line;
    rig.drain();
    while at < stream.len() {
        at += rig.bytes(&stream[at..]);
    }
    let ids: Vec<String> = rig.log().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(ids, (1001..1100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_06_duplicates_that_wait_count_too() {
    let mut rig = Rig::up_with(|config| config.limits.read_ahead_bytes = 4 * weight());
    rig.line(&buffered("c", "1", "b"));
    let mut waiting = 0;
    while rig.machine.wants_read() {
        rig.line(&buffered("c", "1", "b"));
        waiting += 1;
    }
    assert!((3..=5).contains(&waiting), "{waiting}");
    rig.taken(1);
    assert!(rig.machine.wants_read());
}

#[test]
fn a_06_what_the_host_holds_unsettled_is_bounded_by_the_memory_of_duplicates() {
    let mut rig = Rig::up_with(|config| config.limits.dedupe = 3);
    for n in 0..3 {
        rig.line(&buffered("c", &n.to_string(), "b"));
    }
    assert!(!rig.machine.wants_read(), "A-4: what is in flight never leaves");
    rig.log();
    rig.taken(1);
    assert!(rig.machine.wants_read());
    // Without ids, too.
    let mut rig = Rig::up_with(|config| config.limits.dedupe = 3);
    for _ in 0..5 {
        rig.line(r#"{"type":"inbound","event":{},"bufferId":"b"}"#);
    }
    assert_eq!(rig.log().len(), 3);
    rig.taken(2);
    assert_eq!(rig.log().len(), 2, "an ack, and the next");
}

#[test]
fn a_06_a_host_that_is_slow_with_actions_pauses_reading_too() {
    let mut rig = Rig::up();
    let interrupt = b"{\"type\":\"interrupt_inbound\",\"session_key\":\"k\"}\n".repeat(5000);
    let conn = rig.conn();
    let taken = rig.machine.handle_bytes(rig.now, conn, &interrupt);
    assert!(taken < interrupt.len() && !rig.machine.wants_read());
    rig.drain();
    assert!(rig.machine.wants_read());
    assert_eq!(rig.log().len(), 1024);
}
