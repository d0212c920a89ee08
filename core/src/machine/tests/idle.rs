//! L-12, L-13: idle, dormant and held connections, and resuming.

use super::driver::{Rig, inbound, send};
use crate::command::Command;
use crate::output::Phase;
use std::time::Duration;

const ACK: &str = r#"{"type":"going_idle_ack"}"#;
const GOING: &str = r#"> {"type":"going_idle"}"#;

#[test]
fn l_12_once_idle_inbound_is_still_delivered() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.expect(&[GOING]);
    rig.line(&inbound("c", "1"));
    rig.expect(&["deliver 1 live c 1"]);
    rig.wait(9_999);
    rig.line(ACK);
    rig.expect(&["r1 idle confirmed=true"]);
    assert_eq!(rig.machine.phase(), Phase::Idle);
    rig.submit(send("c", "x"));
    assert_eq!(rig.log().len(), 1);
}

#[test]
fn l_12_without_a_confirmation_nothing_changes() {
    let mut rig = Rig::up();
    rig.submit(Command::GoDormant);
    rig.wait(9_999);
    rig.expect(&[GOING]);
    rig.wait(1);
    rig.expect(&["r1 idle confirmed=false"]);
    assert_eq!(rig.machine.phase(), Phase::Connected);
    // A late confirmation is counted as stray. It completes no request, and does not lead to dormancy.
    rig.line(ACK);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().stray_idle_acks, 1, "X-2");
}

/// A connector that confirms too late still buffers: without this nothing would ever be delivered again.
#[test]
fn l_12_after_a_late_confirmation_the_host_can_resume() {
    let mut rig = Rig::up();
    rig.line(ACK);
    assert_eq!(rig.machine.phase(), Phase::Connected, "nobody had asked");
    rig.submit(Command::GoIdle);
    rig.wait(10_000);
    rig.line(ACK);
    assert_eq!(rig.machine.phase(), Phase::Idle);
    rig.log();
    rig.submit(Command::Resume);
    rig.expect(&["resumed", "r2 done", "> close #1 1000 resume"]);
    rig.lost();
    assert_eq!(rig.log().last().map(String::as_str), Some("dial #2"));
}

#[test]
fn l_12_an_unwritten_going_idle_is_withdrawn_in_time() {
    let mut rig = Rig::up();
    rig.writable = false;
    rig.submit(Command::GoIdle);
    rig.wait(10_000);
    rig.expect(&["r1 idle confirmed=false"]);
    // Otherwise the connector would buffer events, and the host would not know it.
    rig.writable = true;
    rig.drain();
    rig.expect(&[]);
}

#[test]
fn l_12_two_requests_write_one_going_idle() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.wait(4_000);
    rig.submit(Command::GoIdle);
    rig.expect(&[GOING]);
    rig.line(ACK);
    rig.expect(&["r1 idle confirmed=true", "r2 idle confirmed=true"]);
    rig.line(ACK);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().stray_idle_acks, 1);
}

/// If it is idle already, the connector is not asked again.
#[test]
fn l_12_an_idle_gateway_does_not_ask_again() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.line(ACK);
    rig.log();
    rig.submit(Command::GoIdle);
    rig.expect(&["r2 idle confirmed=true"]);
    rig.submit(Command::GoDormant);
    rig.expect(&["r3 idle confirmed=true", "> close #1 1000 dormant"]);
}

/// A late confirmation answers a repeated `going_idle` that is not written yet.
#[test]
fn l_12_a_late_confirmation_withdraws_going_idle() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.wait(10_000);
    rig.log();
    rig.writable = false;
    rig.submit(Command::GoIdle);
    rig.line(ACK);
    rig.expect(&["r2 idle confirmed=true"]);
    rig.writable = true;
    rig.drain();
    rig.expect(&[]);
}

#[test]
fn l_12_o_08_going_idle_needs_a_connection() {
    let mut rig = Rig::new();
    assert_eq!(rig.refused(Command::GoIdle), "definite: the relay is not connected");
    rig.connect();
    rig.submit(Command::GoIdle);
    rig.log();
    rig.lost();
    rig.expect(&["r1 idle confirmed=false", "disconnected - reset by peer; again later"]);
    assert_eq!(rig.refused(Command::GoDormant), "definite: the relay is not connected");
    // The next handshake resumes.
    rig.next();
    rig.connect();
    assert_eq!(rig.machine.phase(), Phase::Connected);
    rig.line(ACK);
    assert_eq!(rig.machine.phase(), Phase::Connected);
}

#[test]
fn l_12_resume_dials_again_at_once() {
    for confirmed in [true, false] {
        let mut rig = Rig::up();
        rig.submit(Command::GoIdle);
        if confirmed {
            rig.line(ACK);
        }
        rig.log();
        rig.submit(Command::Resume);
        // The close completes a request that still waits: its confirmation would mean nothing.
        let waiting: &[&str] = if confirmed { &[] } else { &["r1 idle confirmed=false"] };
        rig.expect(&[&["resumed"], waiting, &["r2 done", "> close #1 1000 resume"]].concat());
        rig.log();
        rig.closed(1000, "");
        let log = rig.log();
        assert_eq!(log[log.len() - 2..], ["disconnected 1000 resumed by the host; again at once", "dial #2"]);
    }
    // If nothing is idle, there is nothing to resume.
    let mut rig = Rig::up();
    rig.submit(Command::Resume);
    rig.expect(&["r1 done"]);
}

/// It does not matter whether our close frame could be written before the socket was lost.
#[test]
fn l_12_a_resume_dials_once_the_socket_is_lost() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.line(ACK);
    rig.writable = false;
    rig.log();
    rig.submit(Command::Resume);
    rig.expect(&["resumed", "r2 done"]);
    rig.lost();
    rig.expect(&["disconnected - resumed by the host; again at once", "dial #2"]);
}

#[test]
fn l_12_a_resume_without_an_answer_dials_after_a_second() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.line(ACK);
    rig.submit(Command::Resume);
    rig.log();
    rig.wait(1_000);
    rig.expect(&["drop #1", "disconnected - resumed by the host; again at once", "dial #2"]);
}

#[test]
fn l_13_dormancy_needs_confirmation_and_lasts_a_second() {
    let mut rig = Rig::up();
    rig.submit(Command::GoDormant);
    rig.expect(&[GOING]);
    rig.line(ACK);
    rig.expect(&["r1 idle confirmed=true", "> close #1 1000 dormant"]);
    rig.closed(1000, "bye");
    rig.expect(&["disconnected 1000 dormant; again later", "dormant 1s"]);
    rig.wait(999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["dial #2"]);
    // This was no failure, so the back-off did not grow (L-5).
    rig.connect();
    rig.lost();
    assert!(rig.until_deadline_us() <= 1_000_000);
}

#[test]
fn l_13_the_host_holds_dials_for_at_most_a_minute() {
    for (holds, dial_after_ms) in [
        (&[10_000][..], 10_000),
        (&[600_000], 60_000),
        // Repeated holds count as one hold.
        (&[30_000, 30_000, 30_000, 30_000, 600_000], 60_000),
        // A shorter hold replaces a longer one. The dormant delay remains.
        (&[30_000, 500], 1_000),
    ] {
        let mut rig = Rig::up();
        rig.submit(Command::GoDormant);
        rig.line(ACK);
        rig.closed(1000, "");
        let began = rig.now.mono;
        for span in holds {
            rig.submit(Command::Hold(Duration::from_millis(*span)));
            // Spreads repeated holds over most of the minute.
            if holds.len() > 2 {
                rig.wait(11_000);
            }
        }
        rig.log();
        rig.next();
        rig.expect(&["dial #2"]);
        assert_eq!(rig.now.mono.since(began).as_millis(), dial_after_ms, "{holds:?}");
    }
}

/// A gateway that sleeps dials when it is woken, however late that is.
#[test]
fn l_13_a_hold_without_a_bound_ends_with_a_resume() {
    let mut rig = Rig::up_with(|config| config.timing.hold_most = Duration::MAX);
    rig.submit(Command::Hold(Duration::MAX));
    rig.submit(Command::GoDormant);
    rig.line(ACK);
    rig.log();
    rig.closed(1000, "");
    rig.expect(&["disconnected 1000 dormant; again never", "dormant until resumed"]);
    assert_eq!(rig.machine.deadline(), None);
    rig.jump_to(1 << 40);
    rig.expect(&[]);
    rig.submit(Command::Resume);
    let log = rig.log();
    assert!(log.iter().any(|line| line == "dial #2"), "{log:?}");
}

/// A host that falls asleep must know of work that came meanwhile.
#[test]
fn only_work_is_an_activity() {
    let mut rig = Rig::up();
    let began = rig.machine.last_activity();
    for command in [Command::Hold(Duration::from_secs(1)), Command::GoIdle, Command::Resume] {
        rig.wait(10);
        rig.submit(command);
        assert_eq!(rig.machine.last_activity(), began);
    }
    let mut rig = Rig::up();
    rig.wait(10);
    rig.line(&inbound("1", "m1"));
    rig.drain();
    let received = rig.machine.last_activity();
    assert_eq!(received, rig.now.mono);
    rig.wait(10);
    let id = rig.submit(send("1", "hi"));
    assert_eq!(rig.machine.last_activity(), rig.now.mono);
    rig.wait(10);
    rig.answer(id, r#"{"success":true}"#);
    assert_eq!(rig.machine.last_activity(), rig.now.mono);
}

#[test]
fn l_13_a_hold_after_a_resume_holds_the_next_dial() {
    for (echoed, told) in [
        (true, &["disconnected 1000 resumed by the host; again later"][..]),
        (false, &["drop #1", "disconnected - resumed by the host; again later"]),
    ] {
        let mut rig = Rig::up();
        rig.submit(Command::GoIdle);
        rig.line(ACK);
        rig.submit(Command::Resume);
        rig.submit(Command::Hold(Duration::from_secs(20)));
        let began = rig.now.mono;
        rig.log();
        if echoed {
            rig.closed(1000, "");
        } else {
            rig.wait(1_000);
        }
        rig.expect(told);
        rig.next();
        rig.expect(&["dial #2"]);
        assert_eq!(rig.now.mono.since(began).as_secs(), 20, "echoed: {echoed}");
    }
}

#[test]
fn l_13_an_expired_hold_does_not_shorten_the_next() {
    let mut rig = Rig::up();
    rig.submit(Command::Hold(Duration::from_secs(10)));
    for _ in 0..10 {
        rig.wait(25_000);
        rig.line("");
    }
    rig.submit(Command::Hold(Duration::from_secs(50)));
    rig.lost();
    assert_eq!(rig.until_deadline_us(), 50_000_000);
    // A hold that keeps a dial waiting is prolonged to a minute at most.
    rig.wait(49_999);
    rig.submit(Command::Hold(Duration::from_secs(50)));
    assert_eq!(rig.until_deadline_us(), 10_001_000);
}

/// A host may end its hold while the connection is up.
#[test]
fn l_13_a_resume_of_an_open_connection_ends_the_hold() {
    let mut rig = Rig::up();
    rig.submit(Command::Hold(Duration::from_secs(60)));
    rig.submit(Command::Resume);
    rig.lost();
    assert!(rig.until_deadline_us() <= 1_000_000);
    // The dial after a close is not held either.
    rig.next();
    rig.connect();
    rig.submit(Command::GoDormant);
    rig.line(ACK);
    rig.submit(Command::Hold(Duration::from_secs(60)));
    rig.submit(Command::Resume);
    rig.log();
    rig.closed(1000, "");
    rig.expect(&["disconnected 1000 dormant; again at once", "dial #3"]);
}

/// A hold during a hold replaces its end, which remains within a minute of its start. A hold after the end of a hold is a
/// new one.
#[test]
fn l_13_a_hold_is_counted_from_its_start() {
    for (pause, until) in [(40, 20), (49, 11), (50, 50), (51, 50)] {
        let mut rig = Rig::up_with(|config| config.timing.ping_interval = Duration::from_secs(3600));
        rig.submit(Command::Hold(Duration::from_secs(50)));
        rig.wait(pause * 1000);
        rig.submit(Command::Hold(Duration::from_secs(50)));
        rig.lost();
        assert_eq!(rig.until_deadline_us(), until * 1_000_000, "{pause} s");
    }
}

#[test]
fn l_13_resume_lifts_the_hold_and_dials_at_once() {
    let mut rig = Rig::up();
    rig.submit(Command::GoDormant);
    rig.line(ACK);
    rig.closed(1000, "");
    rig.submit(Command::Hold(Duration::from_secs(60)));
    rig.log();
    rig.submit(Command::Resume);
    rig.expect(&["resumed", "dial #2", "r3 done"]);
    // The hold is gone for good.
    rig.dial_failed(None, "");
    assert!(rig.until_deadline_us() <= 1_000_000);
    // A resume also ends the back-off.
    rig.log();
    rig.submit(Command::Resume);
    rig.expect(&["resumed", "dial #3", "r4 done"]);
}

#[test]
fn l_13_a_resume_overtakes_the_dormant_close() {
    let mut rig = Rig::up();
    rig.submit(Command::GoDormant);
    rig.line(ACK);
    rig.submit(Command::Resume);
    rig.log();
    rig.closed(1000, "");
    rig.expect(&["disconnected 1000 dormant; again at once", "dial #2"]);
    // A confirmation that has not arrived yet does not lead to dormancy.
    rig.connect();
    rig.submit(Command::GoDormant);
    rig.submit(Command::Resume);
    rig.line(ACK);
    rig.log();
    rig.closed(1000, "");
    rig.expect(&["disconnected 1000 resumed by the host; again at once", "dial #3"]);
}

/// Each request waits for the confirmation as long as any other.
#[test]
fn l_12_a_later_request_times_out_later() {
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.wait(9_000);
    rig.submit(Command::GoDormant);
    rig.expect(&[GOING]);
    rig.wait(2_000);
    rig.expect(&["r1 idle confirmed=false"]);
    rig.line(ACK);
    assert_eq!(rig.log()[0], "r2 idle confirmed=true");
    // A disconnect does not wait for the confirmation of another request (L-14).
    let mut rig = Rig::up();
    rig.submit(Command::GoIdle);
    rig.wait(1_000);
    rig.submit(Command::Disconnect);
    rig.log();
    rig.wait(2_000);
    rig.expect(&["r1 idle confirmed=false", "> close #1 1000 "]);
}

/// A-2: fetching a refused entry again would end an idleness that the host has not ended.
#[test]
fn l_12_a_02_an_idle_gateway_fetches_no_refused_entry() {
    let mut rig = Rig::up();
    rig.line(&super::driver::buffered("c", "1", "a"));
    rig.submit(Command::GoIdle);
    rig.line(ACK);
    rig.log();
    rig.reject(1);
    rig.expect(&[]);
    rig.submit(Command::Resume);
    assert!(rig.log().contains(&"> close #1 1000 resume".to_owned()));
}
