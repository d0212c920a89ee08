//! L-11: pings, silence, and pauses of the silence timer.

use super::driver::{Rig, inbound, send};
use crate::machine::IoEvent;

#[test]
fn l_11_silence_causes_a_ping_and_then_the_end() {
    let mut rig = Rig::up();
    rig.wait(29_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["> ping #1"]);
    // There is one ping, however long the answer takes.
    rig.wait(59_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["drop #1", "disconnected - nothing was received for too long; again later"]);
}

#[test]
fn l_11_everything_received_counts() {
    type Sign = fn(&mut Rig);
    let signs: [Sign; 4] = [
        |rig| {
            let conn = rig.conn();
            rig.io(IoEvent::Alive { conn });
        },
        |rig| {
            rig.bytes(b"");
        },
        |rig| {
            rig.bytes(b"half a li");
        },
        |rig| rig.line("no json"),
    ];
    for sign in signs {
        let mut rig = Rig::up();
        for _ in 0..5 {
            rig.wait(29_000);
            sign(&mut rig);
        }
        rig.expect(&[]);
        rig.wait(30_000);
        rig.expect(&["> ping #1"]);
        rig.wait(59_000);
        sign(&mut rig);
        rig.wait(29_000);
        rig.expect(&[]);
    }
}

#[test]
fn l_11_our_own_frames_are_not_a_sign_of_life() {
    let mut rig = Rig::up();
    for _ in 0..2 {
        rig.wait(10_000);
        rig.submit(send("c", "x"));
    }
    rig.log();
    rig.wait(10_000);
    rig.expect(&["> ping #1"]);
}

#[test]
fn l_11_a_ping_of_a_former_socket_is_not_written_to_the_next() {
    let mut rig = Rig::up();
    rig.writable = false;
    rig.wait(30_000);
    rig.lost();
    rig.next();
    rig.log();
    rig.writable = true;
    rig.opened();
    rig.expect(&[r#"> {"type":"hello","platform":"discord","botId":"42"}"#]);
}

/// A ping that waits for its socket is of no use once something was received.
#[test]
fn l_11_no_ping_is_written_after_a_sign_of_life() {
    let mut rig = Rig::up();
    rig.writable = false;
    rig.wait(30_000);
    rig.bytes(b"half a li");
    rig.writable = true;
    rig.drain();
    rig.expect(&[]);
    rig.wait(30_000);
    rig.expect(&["> ping #1"]);
}

#[test]
fn l_11_a_blocked_socket_is_lost_too() {
    let mut rig = Rig::up();
    rig.writable = false;
    rig.wait(90_000);
    rig.expect(&["drop #1", "disconnected - nothing was received for too long; again later"]);
}

#[test]
fn l_11_a_6_the_silence_timer_pauses_with_the_reading() {
    let mut rig = Rig::up_with(|config| {
        config.limits.read_ahead_bytes = 1;
        config.limits.host_queue = 1;
    });
    rig.room = false;
    rig.wait(29_000);
    rig.line(&inbound("c", "1"));
    assert!(!rig.machine.wants_read());
    // Pings continue, so that middleboxes and the peer see activity. The gateway itself causes the silence.
    rig.wait(24 * 3_600_000);
    let log = rig.log();
    assert!(log.iter().all(|line| line == "> ping #1") && log.len() == 2 * 60 * 24, "{}", log.len());
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 1 live c 1"]);
    // From here on the silence counts again, from zero.
    rig.wait(29_999);
    rig.expect(&[]);
    rig.wait(1 + 60_000);
    rig.expect(&["> ping #1", "drop #1", "disconnected - nothing was received for too long; again later"]);
}
