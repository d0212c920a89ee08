//! L-14: a disconnect stays within its budget, and leaves nothing pending.

use super::driver::{Rig, buffered, inbound, send};
use crate::command::Command;
use crate::output::{Phase, Timer};
use std::time::Duration;

const ACK: &str = r#"{"type":"going_idle_ack"}"#;
const GOING: &str = r#"> {"type":"going_idle"}"#;
const CLOSE: &str = "> close #1 1000 ";
const GONE: &str = "disconnected 1000 disconnected by the host; again never";

#[test]
fn l_14_with_nothing_pending_it_goes_idle_and_closes() {
    let mut rig = Rig::up();
    rig.submit(Command::Disconnect);
    rig.expect(&[GOING]);
    rig.line(ACK);
    rig.expect(&[CLOSE]);
    rig.closed(1000, "");
    rig.expect(&[GONE, "r1 done", "stopped"]);
    assert_eq!((rig.machine.phase(), rig.machine.deadline()), (Phase::Stopped, None));
    for command in [send("c", "x"), Command::Resume, Command::Disconnect] {
        assert_eq!(rig.refused(command), "definite: the relay is disconnected");
    }
    rig.expect(&[]);
}

#[test]
fn l_14_going_idle_is_tried_for_two_seconds() {
    let mut rig = Rig::up();
    rig.submit(Command::Disconnect);
    rig.wait(1_999);
    rig.expect(&[GOING]);
    rig.wait(1);
    rig.expect(&[CLOSE]);
}

#[test]
fn l_14_an_earlier_idle_request_has_two_seconds_left() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.submit(Command::Disconnect);
    rig.expect(&[GOING]);
    rig.wait(2_000);
    rig.expect(&["r1 idle confirmed=false", CLOSE]);
}

/// The connector receives `going_idle` once, with or without a confirmation.
#[test]
fn l_14_going_idle_is_not_written_again() {
    for confirmed in [true, false] {
        let mut rig = Rig::up();
        rig.submit(Command::GoIdle);
        if confirmed {
            rig.line(ACK);
        } else {
            rig.wait(10_000);
        }
        rig.log();
        rig.submit(Command::Disconnect);
        rig.expect(&[CLOSE]);
    }
    // A `going_idle` that was never written does not count.
    let mut rig = Rig::up();
    rig.writable = false;
    rig.submit(Command::GoIdle);
    rig.wait(10_000);
    rig.log();
    rig.writable = true;
    rig.submit(Command::Disconnect);
    rig.expect(&[GOING]);
}

#[test]
fn l_14_it_closes_a_second_before_the_budget_ends() {
    let mut rig = Rig::up();
    rig.submit(send("c", "a"));
    let late = rig.submit(send("c", "b"));
    let unanswered = rig.submit(send("c", "c"));
    rig.submit(Command::Disconnect);
    rig.line(ACK);
    rig.log();
    rig.wait(3_999);
    rig.answer(late, r#"{"success":true,"message_id":"m"}"#);
    rig.expect(&["r2 sent m"]);
    assert_eq!(rig.machine.deadline().map(|(_, timer)| timer), Some(Timer::Disconnect));
    rig.wait(1);
    rig.expect(&[CLOSE]);
    // The answer may still arrive while the close is under way.
    rig.answer(unanswered, r#"{"success":true}"#);
    rig.expect(&["r3 sent -"]);
    rig.wait(999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&[
        "drop #1",
        "r1 ambiguous: the connection was lost before the answer came",
        "disconnected - disconnected by the host; again never",
        "r4 done",
        "stopped",
    ]);
}

#[test]
fn l_14_it_closes_at_once_after_the_last_answer() {
    let mut rig = Rig::up();
    let request = rig.submit(send("c", "a"));
    rig.submit(Command::Disconnect);
    rig.line(ACK);
    rig.log();
    rig.answer(request, r#"{"success":true}"#);
    rig.expect(&["r1 sent -", CLOSE]);
}

#[test]
fn l_14_unwritten_fails_as_definite_and_acks_are_written() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.submit(send("c", "written"));
    rig.writable = false;
    rig.submit(send("c", "unwritten"));
    rig.taken(1);
    rig.submit(Command::Disconnect);
    rig.log();
    rig.wait(2_000);
    rig.expect(&[]);
    rig.wait(2_000);
    rig.expect(&["r2 definite: the connection is being closed"]);
    rig.writable = true;
    rig.drain();
    // Nothing is written after the close frame (RFC 6455, 5.5.1), and only acknowledgements before it.
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"b1"}"#, CLOSE]);
    rig.wait(1_000);
    let log = rig.log();
    assert_eq!(log[1], "r1 ambiguous: the connection was lost before the answer came");
    assert_eq!(log[3..], ["r3 done", "stopped"]);
}

#[test]
fn l_14_it_closes_at_once_after_the_last_frame() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.submit(Command::Disconnect);
    (rig.writable, rig.room) = (false, false);
    rig.taken(1);
    rig.line(ACK);
    rig.log();
    rig.writable = true;
    // Without an input or a timer: writing alone suffices.
    rig.drain();
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"b1"}"#, CLOSE]);
}

#[test]
fn l_14_requests_are_refused_and_it_cannot_be_undone() {
    let mut rig = Rig::up();
    rig.submit(send("c", "a"));
    rig.submit(Command::Disconnect);
    rig.log();
    for round in 0..2 {
        for command in [
            send("c", "x"),
            Command::GoIdle,
            Command::GoDormant,
            Command::Resume,
            Command::Hold(Duration::ZERO),
        ] {
            assert_eq!(rig.refused(command), "definite: the connection is being closed");
        }
        if round == 0 {
            rig.expect(&[]);
            rig.wait(4_000);
            rig.expect(&[CLOSE]);
        }
    }
    rig.closed(1000, "");
    assert_eq!(rig.log().last().map(String::as_str), Some("stopped"));
}

#[test]
fn l_14_two_disconnects_both_complete() {
    let mut rig = Rig::up();
    rig.submit(Command::Disconnect);
    rig.wait(1_000);
    rig.submit(Command::Disconnect);
    rig.wait(1_000);
    rig.expect(&[GOING, CLOSE]);
    rig.closed(1000, "");
    rig.expect(&[GONE, "r1 done", "r2 done", "stopped"]);
}

#[test]
fn l_14_it_works_in_every_state() {
    type Place = (fn(&mut Rig), &'static [&'static str]);
    let places: [Place; 5] = [
        (|_| (), &["drop #1", "disconnected - disconnected by the host; again never", "r1 done", "stopped"]),
        (|rig| rig.dial_failed(None, ""), &["r1 done", "stopped"]),
        (
            Rig::opened,
            &[CLOSE, "drop #1", "disconnected - disconnected by the host; again never", "r1 done", "stopped"],
        ),
        (
            |rig| {
                rig.opened();
                rig.line(r#"{"type":"descriptor"}"#);
            },
            &["drop #1", "disconnected - the descriptor is not an object; again never", "r1 done", "stopped"],
        ),
        (
            |rig| {
                rig.connect();
                rig.lost();
                rig.next();
            },
            &["drop #2", "disconnected - disconnected by the host; again never", "r1 done", "stopped"],
        ),
    ];
    for (place, expected) in places {
        let mut rig = Rig::new();
        place(&mut rig);
        rig.log();
        rig.submit(Command::Disconnect);
        rig.wait(5_000);
        rig.expect(expected);
        assert_eq!(rig.machine.deadline(), None);
    }
}

#[test]
fn l_14_any_end_of_the_connection_meanwhile_is_final() {
    type End = (fn(&mut Rig), &'static str);
    let ends: [End; 4] = [
        (Rig::lost, "disconnected - reset by peer; again never"),
        (|rig| rig.closed(1013, "suspended"), "disconnected 1013 suspended; again never"),
        (|rig| rig.closed(4401, "expired"), "disconnected 4401 expired; again never"),
        (|rig| rig.closed(4401, ""), "disconnected 4401 closed with code 4401; again never"),
    ];
    for (end, expected) in ends {
        let mut rig = Rig::up();
        rig.submit(Command::Disconnect);
        rig.log();
        end(&mut rig);
        rig.expect(&[expected, "r1 done", "stopped"]);
    }
    // While our own close is under way, a 4401 replaces its reason, and any other close keeps it.
    for (code, reason, expected) in [(4401, "revoked", "revoked"), (1000, "", "disconnected by the host")] {
        let mut rig = Rig::up();
        rig.submit(Command::Disconnect);
        rig.line(ACK);
        assert_eq!(rig.log().last().map(String::as_str), Some(CLOSE));
        rig.closed(code, reason);
        rig.expect(&[&format!("disconnected {code} {expected}; again never"), "r1 done", "stopped"]);
    }
}

#[test]
fn l_14_read_events_can_still_be_delivered() {
    let mut rig = Rig::up();
    rig.room = false;
    rig.line(&inbound("c", "1"));
    rig.submit(Command::Disconnect);
    rig.wait(5_000);
    rig.log();
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 1 live c 1"]);
}

#[test]
fn l_14_a_budget_of_zero_works() {
    let mut rig = Rig::up_with(|config| {
        config.timing.disconnect_budget = Duration::ZERO;
        config.timing.close_timeout = Duration::ZERO;
    });
    rig.submit(send("c", "a"));
    rig.submit(Command::Disconnect);
    rig.wait(10);
    assert_eq!(rig.log().last().map(String::as_str), Some("stopped"));
}
