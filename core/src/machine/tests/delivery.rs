//! A-1 to A-5, A-7, A-8, L-16: deliveries, their acknowledgements, and their duplicates.

use super::driver::{Rig, buffered, inbound, send};
use crate::command::Command;
use crate::output::{Content, DeliveryId};

fn ack(entry: &str) -> String {
    format!(r#"> {{"type":"inbound_ack","bufferId":"{entry}"}}"#)
}

/// Ends the connection, and completes the next handshake.
fn reconnect(rig: &mut Rig) {
    rig.lost();
    rig.next();
    rig.connect();
}

#[test]
fn a_1_acknowledged_once_accepted_and_never_twice() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.line(&inbound("c", "2"));
    rig.expect(&["deliver 1 buffered c 1", "deliver 2 live c 2"]);
    let entries = |rig: &Rig| [1, 2].map(|id| rig.machine.buffer_id(DeliveryId(id)).map(str::to_owned));
    assert_eq!(entries(&rig), [Some("b1".to_owned()), None]);
    rig.wait(29_000);
    rig.expect(&[]);
    rig.taken(2);
    rig.expect(&[]);
    rig.taken(1);
    rig.expect(&[&ack("b1")]);
    assert_eq!(entries(&rig), [None, None]);
    // Settling again is harmless, and counted. So is settling an unknown delivery.
    rig.taken(1);
    rig.reject(1);
    rig.taken(2);
    rig.taken(77);
    rig.taken(0);
    rig.expect(&[]);
    assert_eq!((rig.machine.stats().stray_settles, rig.machine.stats().refused), (5, 0));
    assert_eq!(rig.machine.stats().acks, 1);
}

/// M-7: a reply by the delivery's number would have to carry the id.
#[test]
fn x_1_a_delivery_with_overlong_ids_cannot_be_named() {
    let mut rig = Rig::up();
    rig.line(&inbound("c", &"m".repeat(1024)));
    rig.line(&inbound("c", &"m".repeat(1025)));
    assert_eq!(rig.log().len(), 2);
    let chats = [1, 2, 3].map(|id| rig.machine.chat_of(DeliveryId(id)));
    assert_eq!(chats, [Some("c".to_owned()), None, None]);
    assert_eq!(rig.machine.stats().overlong_ids, 1);
    // An author with an overlong id is not remembered either.
    let author = "u".repeat(1025);
    rig.line(&format!(r#"{{"type":"inbound","event":{{"source":{{"chat_id":"c","user_id":"{author}"}}}}}}"#));
    assert_eq!((rig.machine.stats().overlong_ids, rig.machine.chat("c").unwrap().author.as_ref()), (2, None));
}

#[test]
fn x_2_frames_in_and_out_are_counted() {
    let mut rig = Rig::up();
    for n in 1..=2 {
        rig.line(&buffered("c", &n.to_string(), "b"));
        rig.taken(n);
    }
    rig.submit(send("c", "x"));
    let stats = rig.machine.stats();
    assert_eq!((stats.frames_in, stats.delivered, stats.acks), (3, 2, 2));
    // The hello counts, too.
    assert_eq!((stats.frames_out, stats.handshakes, stats.dials), (4, 1, 1));
    // The machine has dialed, opened its socket and completed the handshake.
    let taken = |rig: &Rig| rig.machine.transitions().map(|(_, count)| count).sum::<u64>();
    assert_eq!(taken(&rig), 3);
    rig.closed(4401, "");
    assert_eq!((rig.machine.stats().refusals, rig.machine.stats().dials, taken(&rig)), (1, 2, 4));
}

#[test]
fn a_1_an_event_without_ids_can_be_settled_too() {
    let mut rig = Rig::up();
    for _ in 0..2 {
        rig.line(r#"{"type":"inbound","event":{}}"#);
        rig.line(r#"{"type":"inbound","event":{},"bufferId":"b"}"#);
    }
    for delivery in 1..=4 {
        rig.taken(delivery);
    }
    assert_eq!(rig.machine.stats().stray_settles, 0);
    rig.taken(1);
    assert_eq!(rig.machine.stats().stray_settles, 1);
}

#[test]
fn a_2_a_refusal_redials_once_nothing_is_in_flight() {
    let mut rig = Rig::up();
    let request = rig.submit(send("c", "x"));
    rig.line(&buffered("c", "1", "b1"));
    rig.line(&buffered("c", "2", "b2"));
    rig.room = false;
    rig.line(&buffered("c", "3", "b3"));
    rig.log();
    rig.reject(1);
    rig.expect(&[]);
    rig.taken(2);
    rig.expect(&[&ack("b2")]);
    rig.answer(request, r#"{"success":true}"#);
    rig.expect(&["r1 sent -"]);
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 3 buffered c 3"]);
    rig.taken(3);
    rig.expect(&[&ack("b3"), "> close #1 1000 "]);
    rig.closed(1000, "");
    let why = "the host refused a buffered delivery: dialing again for it";
    rig.expect(&[&format!("disconnected 1000 {why}; again later")]);
    // The back-off keeps a host that always refuses from causing a tight loop.
    assert!(rig.until_deadline_us() >= 500_000);
    rig.next();
    rig.connect();
    rig.line(&buffered("c", "1", "b1"));
    rig.expect(&["deliver 4 buffered c 1"]);
    rig.taken(4);
    rig.expect(&[&ack("b1")]);
}

/// A buffered duplicate beyond those that may wait is dropped and not acknowledged (A-4). The connector's drain waits
/// for that acknowledgement, so the entry must be redelivered.
#[test]
fn a_2_a_dropped_buffered_duplicate_is_redelivered() {
    let mut rig = Rig::up();
    rig.room = false;
    for _ in 1..=9 {
        rig.line(&inbound("c", "1"));
    }
    rig.line(&buffered("c", "1", "b1"));
    assert_eq!(rig.machine.stats().waiters_dropped, 1);
    rig.expect(&["> close #1 1000 "]);
}

#[test]
fn a_2_a_refused_live_delivery_causes_no_dial() {
    let mut rig = Rig::up();
    rig.line(&inbound("c", "1"));
    rig.log();
    rig.reject(1);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().refused, 1);
}

#[test]
fn a_2_refused_after_its_connection_it_is_redelivered() {
    // Refused before the next dial, during it, and after it.
    for place in 0..3 {
        let mut rig = Rig::up();
        rig.line(&buffered("c", "1", "b1"));
        rig.lost();
        if place > 0 {
            rig.next();
        }
        if place > 1 {
            rig.connect();
        }
        rig.reject(1);
        rig.log();
        if place == 0 {
            rig.next();
        }
        if place < 2 {
            rig.connect();
        }
        rig.wait(1_000);
        rig.expect(&[]);
        rig.line(&buffered("c", "1", "b1"));
        rig.expect(&["deliver 2 buffered c 1"]);
    }
}

#[test]
fn a_3_an_undeliverable_entry_is_acknowledged_and_counted() {
    let mut rig = Rig::up();
    for (frame, expected) in [
        (r#"{"type":"future","bufferId":"b"}"#, vec![ack("b")]),
        (r#"{"type":"passthrough_forward","bufferId":"b","forward":{}}"#, vec![ack("b")]),
        (r#"{"type":"passthrough_forward","forward":{}}"#, vec![]),
        (
            r#"{"type":"inbound","bufferId":"b","event":[]}"#,
            vec![r#"dead letter Some("b"): an inbound frame had no `event` object"#.into(), ack("b")],
        ),
        (r#"{"type":"inbound","bufferId":"b"}"#, {
            vec![r#"dead letter Some("b"): an inbound frame had no `event` object"#.into(), ack("b")]
        }),
        (
            r#"{"type":"inbound","event":null}"#,
            vec!["dead letter None: an inbound frame had no `event` object".into()],
        ),
        // An entry of any type would block the drain.
        (r#"{"type":"interrupt_inbound","session_key":"","bufferId":"b"}"#, vec![ack("b")]),
        (r#"{"type":"interrupt_inbound","session_key":"k","bufferId":"b"}"#, {
            vec!["interrupt k ".into(), ack("b")]
        }),
        (r#"{"type":"outbound_result","requestId":"x","bufferId":"b"}"#, vec![ack("b")]),
        // An id that cannot be read cannot be acknowledged.
        (r#"{"type":"future","bufferId":""}"#, vec![]),
        (r#"{"type":"future","bufferId":{}}"#, vec![]),
        (r#"{"type":"future","bufferId":1.5}"#, vec![]),
        // If both sides acknowledged acknowledgements, they would never stop.
        (r#"{"type":"inbound_ack","bufferId":"b"}"#, vec![]),
    ] {
        rig.line(frame);
        assert_eq!(rig.log(), expected, "{frame}");
    }
    let stats = rig.machine.stats();
    assert_eq!(
        (stats.unknown_frames, stats.unwanted_forwards, stats.unusable_events, stats.keyless_interrupts),
        (5, 2, 3, 1)
    );
}

#[test]
fn a_4_an_accepted_duplicate_is_only_acknowledged() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.taken(1);
    rig.log();
    reconnect(&mut rig);
    rig.line(&buffered("c", "1", "b1"));
    rig.expect(&[&ack("b1")]);
    // A live delivery counts as accepted once the host has it. Its buffered duplicate is acknowledged.
    rig.line(&inbound("c", "2"));
    rig.line(&inbound("c", "2"));
    rig.line(&buffered("c", "2", "b2"));
    rig.expect(&["deliver 2 live c 2", &ack("b2")]);
    assert_eq!(rig.machine.stats().duplicates, 3);
    // This does not hold if the host refuses it.
    rig.reject(2);
    rig.line(&buffered("c", "2", "b2"));
    rig.expect(&["deliver 3 buffered c 2"]);
}

#[test]
fn a_4_which_deliveries_are_duplicates() {
    let event = |platform: &str, chat: &str, id: &str, more: &str| {
        format!(
            r#"{{"type":"inbound","event":{{{id}"source":{{"platform":"{platform}","chat_id":"{chat}"{more}}}}}}}"#
        )
    };
    let own = r#""message_id":"1","#;
    for (second, same) in [
        (event("discord", "c", own, ""), true),
        (event("discord", "c", r#""message_id":1,"#, ""), true),
        (event("discord", "c", own, r#","message_id":"9""#), true),
        // The source's id replaces a missing id of the event.
        (event("discord", "c", "", r#","message_id":"1""#), true),
        (event("telegram", "c", own, ""), false),
        (event("discord", "d", own, ""), false),
        (event("discord", "c", r#""message_id":"2","#, ""), false),
        // Without ids there are no duplicates.
        (event("discord", "c", "", ""), false),
        (event("discord", "c", r#""message_id":"","#, ""), false),
        // An edit is never a duplicate.
        (event("discord", "c", own, r#","message_is_edit":true"#), false),
        (event("discord", "c", own, r#","message_is_edit":false"#), true),
    ] {
        let mut rig = Rig::up();
        rig.line(&event("discord", "c", own, ""));
        rig.log();
        rig.line(&second);
        assert_eq!(rig.log().is_empty(), same, "{second}");
        // A delivery that duplicates nothing still has duplicates of its own, if it has ids and is not an edit.
        rig.line(&second);
        let edit = second.contains(":true");
        let ids = second.matches("message_id").count() > 0 && !second.contains(r#""message_id":"""#);
        assert_eq!(rig.log().is_empty(), ids && !edit, "{second}");
    }
}

#[test]
fn a_4_a_duplicate_waits_for_the_settlement() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    for n in 2..=9 {
        rig.line(&buffered("c", "1", &format!("b{n}")));
    }
    rig.expect(&["deliver 1 buffered c 1"]);
    // Eight duplicates wait. The ninth is dropped.
    rig.line(&buffered("c", "1", "b10"));
    assert_eq!(rig.machine.stats().waiters_dropped, 1);
    // The host refuses the delivery, and the newest duplicate takes its place.
    rig.reject(1);
    rig.expect(&["deliver 2 buffered c 1"]);
    rig.taken(2);
    let log = rig.log();
    assert_eq!(log[..2], [ack("b9"), ack("b2")]);
    assert!(!log.contains(&ack("b1")) && !log.contains(&ack("b10")), "{log:?}");
    // The refused entry must still be redelivered (A-2).
    assert_eq!(log[8..], ["> close #1 1000 "]);
}

#[test]
fn a_4_a_queued_delivery_is_in_flight() {
    let mut rig = Rig::up();
    rig.room = false;
    rig.line(&inbound("c", "1"));
    rig.line(&buffered("c", "1", "b1"));
    rig.expect(&[]);
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 1 live c 1", &ack("b1")]);
}

#[test]
fn a_5_acknowledged_on_its_own_connection_only() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.line(&buffered("c", "2", "b2"));
    rig.log();
    rig.lost();
    rig.log();
    // Settled between two connections.
    rig.taken(1);
    rig.expect(&[]);
    rig.next();
    rig.connect();
    // Settled on the next connection, where the entry has not been redelivered yet.
    rig.taken(2);
    rig.expect(&[]);
    // Settled after it was redelivered.
    rig.line(&buffered("c", "1", "b1"));
    rig.line(&buffered("c", "2", "b2"));
    rig.expect(&[&ack("b1"), &ack("b2")]);
    assert_eq!(rig.machine.stats().late_acks, 2, "X-2");
}

#[test]
fn a_5_a_delivery_is_acknowledged_where_it_came_again() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    reconnect(&mut rig);
    rig.line(&buffered("c", "1", "b1"));
    rig.expect(&[]);
    rig.taken(1);
    rig.expect(&[&ack("b1")]);
    assert_eq!((rig.machine.stats().acks, rig.machine.stats().delivered), (1, 1));
}

#[test]
fn a_5_an_unwritten_ack_is_dropped_with_its_connection() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.writable = false;
    rig.taken(1);
    rig.lost();
    rig.writable = true;
    rig.next();
    rig.log();
    rig.opened();
    rig.expect(&[r#"> {"type":"hello","platform":"discord","botId":"42"}"#]);
    assert_eq!(rig.machine.stats().late_acks, 1, "X-2");
}

#[test]
fn a_7_the_order_of_arrival_is_the_order_of_delivery() {
    let mut rig = Rig::up();
    rig.room = false;
    for n in 0..100 {
        rig.line(&if n % 3 == 0 {
            buffered("c", &n.to_string(), &n.to_string())
        } else {
            inbound("c", &n.to_string())
        });
    }
    rig.room = true;
    rig.drain();
    let ids: Vec<String> = rig.log().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(ids, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_8_an_ack_waits_only_for_the_host() {
    let mut rig = Rig::up();
    rig.submit(send("c", "unanswered"));
    rig.submit(Command::GoIdle);
    rig.line(&buffered("c", "1", "b1"));
    rig.log();
    rig.taken(1);
    rig.expect(&[&ack("b1")]);
}

#[test]
fn l_16_an_interrupt_overtakes_queued_messages() {
    let mut rig = Rig::up();
    rig.room = false;
    rig.line(&inbound("c", "1"));
    rig.line(r#"{"type":"interrupt_inbound","session_key":"agent:main:discord:dm:c","chat_id":7}"#);
    rig.expect(&["interrupt agent:main:discord:dm:c 7"]);
    for keyless in [
        r#"{"type":"interrupt_inbound","session_key":""}"#,
        r#"{"type":"interrupt_inbound","session_key":null,"chat_id":"c"}"#,
        r#"{"type":"interrupt_inbound"}"#,
    ] {
        rig.line(keyless);
    }
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().keyless_interrupts, 3);
}

/// Either setting turns this off, and an answer to a prompt never begins a thread.
#[test]
fn s_7_a_top_level_message_of_slack_begins_a_thread() {
    for (in_thread, sessions, expected) in
        [(true, true, Some("1.2")), (false, true, None), (true, false, None), (false, false, None)]
    {
        let mut rig = Rig::up_with(|config| {
            config.slack_reply_in_thread = in_thread;
            config.slack_thread_sessions = sessions;
        });
        rig.room = false;
        rig.line(
            r#"{"type":"inbound","event":{"text":"x","message_id":"1.2","source":{"platform":"slack","chat_id":"D1"}}}"#,
        );
        let delivery = rig.machine.poll_delivery(rig.now).unwrap();
        let Content::Message(event) = delivery.content else { panic!("no message") };
        assert_eq!(event.source.thread_id.as_deref(), expected, "{in_thread} {sessions}");
    }
}
