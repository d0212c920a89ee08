//! X-1, X-2: nothing grows without bound, and every drop is counted.

use super::driver::{Rig, buffered, inbound, send};
use crate::command::Command;
use std::time::Duration;

#[test]
fn x_1_acks_that_cannot_be_written_stop_the_reading() {
    // Bounded by their number,
    let mut rig = Rig::up_with(|config| config.limits.dedupe = 10);
    rig.writable = false;
    let frames = b"{\"type\":\"future\",\"bufferId\":\"b\"}\n".repeat(100);
    assert_eq!(rig.bytes(&frames), frames.len() / 10);
    assert!(!rig.machine.wants_read());
    rig.writable = true;
    rig.drain();
    assert!(rig.machine.wants_read());
    // and by their bytes: an entry's id may be as long as a line.
    let mut rig = Rig::up_with(|config| config.limits.write_queue_bytes = 10_000);
    rig.writable = false;
    let frame = format!("{{\"type\":\"future\",\"bufferId\":\"{}\"}}\n", "b".repeat(1000));
    let frames = frame.repeat(100);
    assert_eq!(rig.bytes(frames.as_bytes()), frame.len() * 10);
    rig.writable = true;
    rig.drain();
    assert!(rig.machine.wants_read());
}

#[test]
fn x_1_unsettled_deliveries_are_bounded_in_bytes() {
    // Bounded by the bytes of the entries' ids, and of the texts.
    for (id, text) in [(1000, 0), (1, 1000)] {
        let mut rig = Rig::up_with(|config| config.limits.unsettled_bytes = 20_000);
        for n in 0..100 {
            let entry = format!("{n}{}", "b".repeat(id));
            let event = format!(r#"{{"text":"{}","message_id":"{n}"}}"#, "x".repeat(text));
            rig.line(&format!(r#"{{"type":"inbound","bufferId":"{entry}","event":{event}}}"#));
        }
        let handed = rig.log().len();
        let bytes = rig.machine.usage().unsettled_bytes;
        assert!((20_000..23_000).contains(&bytes), "{bytes} bytes: what went over it last is all there is");
        assert!(handed < 20, "{handed}: the rest waits in the read-ahead");
        assert_eq!(rig.machine.usage().waiting_events, 100 - handed);
        rig.taken(1);
        assert_eq!(rig.log().len(), 2, "an ack, and the next");
        for n in 2..=100 {
            rig.taken(n);
        }
        assert_eq!((rig.machine.usage().unsettled_bytes, rig.machine.stats().acks), (0, 100));
    }
}

#[test]
fn x_1_one_oversized_delivery_is_handed_out_alone() {
    let mut rig = Rig::up_with(|config| config.limits.unsettled_bytes = 1);
    for n in 0..2 {
        rig.line(&buffered("c", &n.to_string(), &"b".repeat(5000)));
    }
    assert_eq!(rig.log().len(), 1);
    // Nobody waits for a live delivery, so it blocks nothing.
    rig.taken(1);
    assert_eq!(rig.log().len(), 2, "an ack, and the next");
}

#[test]
fn x_1_timed_out_unwritten_requests_leave_nothing() {
    let mut rig = Rig::up_with(|config| config.limits.write_queue_bytes = 10_000);
    rig.writable = false;
    let mut accepted = 0;
    for _ in 0..20 {
        for _ in 0..100 {
            accepted += u64::from(rig.machine.submit(rig.now, send("c", "x")).is_ok());
        }
        rig.wait(28_000);
        rig.line("");
        rig.wait(2_000);
    }
    assert_eq!(rig.log().iter().filter(|line| line.contains("definite")).count() as u64, accepted);
    rig.writable = true;
    rig.drain();
    assert_eq!(rig.log(), [""; 0], "not a byte of it is written");
    rig.submit(send("c", "x"));
}

#[test]
fn x_1_a_host_that_polls_no_results_is_refused() {
    let mut rig = Rig::up_with(|config| config.limits.max_in_flight = 10);
    let accepted =
        (0..100_000).filter(|_| rig.machine.submit(rig.now, Command::Hold(Duration::ZERO)).is_ok()).count();
    assert!(accepted < 2000, "{accepted}");
    rig.drain();
    rig.submit(Command::Hold(Duration::ZERO));
    assert_eq!(rig.log().len(), accepted + 1);
}

#[test]
fn x_1_an_oversized_message_leaves_no_large_buffer() {
    let mut rig = Rig::up_with(|config| config.limits.write_queue_bytes = 10_000);
    rig.refused(send("c", &"x".repeat(1 << 20)));
    assert!(rig.machine.outbox.capacity() <= 20_000, "{}", rig.machine.outbox.capacity());
}

#[test]
fn x_1_limits_of_zero_do_not_block_the_machine() {
    let mut rig = Rig::up_with(|config| {
        let limits = &mut config.limits;
        for limit in [
            &mut limits.read_ahead_bytes,
            &mut limits.host_queue,
            &mut limits.host_queue_bytes,
            &mut limits.dedupe,
            &mut limits.chats,
            &mut limits.write_queue_bytes,
            &mut limits.max_in_flight,
        ] {
            *limit = 0;
        }
    });
    rig.line(&inbound("c", "1"));
    rig.line(&buffered("c", "2", "b"));
    rig.taken(2);
    rig.expect(&[
        "deliver 1 live c 1",
        "deliver 2 buffered c 2",
        r#"> {"type":"inbound_ack","bufferId":"b"}"#,
    ]);
    rig.refused(send("c", "x"));
    assert!(rig.machine.wants_read());
}

#[test]
fn x_2_every_counter_has_a_name() {
    let rig = Rig::new();
    let names: Vec<&str> = rig.machine.stats().iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"moot_acks") && names.len() > 20);
    assert_eq!(rig.machine.stats().iter().map(|(_, count)| count).sum::<u64>(), 1, "one dial");
}

/// O-6: a host that has a queue of its own can tell which commands to retry.
#[test]
fn o_6_lack_of_room_is_a_distinct_failure() {
    let mut rig = Rig::up_with(|config| {
        config.limits.max_in_flight = 2;
        config.limits.write_queue_bytes = 2048;
    });
    rig.writable = false;
    let wants_room = |rig: &mut Rig, content: &str| {
        let now = rig.now;
        let refused = rig.machine.submit(now, send("c", content)).unwrap_err();
        (refused.is_backpressure(), refused.failure().message.clone())
    };
    // This command would not fit into an empty queue.
    for bytes in [2000, 4000] {
        assert!(!wants_room(&mut rig, &"x".repeat(bytes)).0, "{bytes}");
    }
    rig.submit(send("c", &"x".repeat(1200)));
    let (for_room, why) = wants_room(&mut rig, &"x".repeat(1200));
    assert!(for_room && why.contains("write_queue_bytes"), "{why}");
    assert!(rig.machine.has_room());
    rig.submit(send("c", "x"));
    let (for_room, why) = wants_room(&mut rig, "x");
    assert!(for_room && why.contains("max_in_flight") && !rig.machine.has_room(), "{why}");
    rig.lost();
    assert!(!wants_room(&mut rig, "x").0);
}
