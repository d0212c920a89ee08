//! L-11: pings, silence, and when the clock for it rests.

use super::driver::{Rig, inbound, send};
use crate::machine::IoEvent;

#[test]
fn l_11_a_ping_after_the_interval_and_the_end_after_the_time_out() {
    let mut rig = Rig::up();
    rig.wait(29_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["> ping #1"]);
    // One ping, however long the answer takes.
    rig.wait(59_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["drop #1", "disconnected - nothing was received for too long; again later"]);
}

#[test]
fn l_11_whatever_is_received_counts() {
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
fn l_11_what_we_write_is_no_sign_of_life() {
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

/// A ping that waits for its socket is of no use any more once something has come.
#[test]
fn l_11_no_ping_is_written_behind_what_was_heard() {
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
fn l_11_a_socket_that_takes_nothing_is_lost_too() {
    let mut rig = Rig::up();
    rig.writable = false;
    rig.wait(90_000);
    rig.expect(&["drop #1", "disconnected - nothing was received for too long; again later"]);
}

#[test]
fn l_11_a_06_the_clock_rests_while_reading_is_paused() {
    let mut rig = Rig::up_with(|config| {
        config.limits.read_ahead_bytes = 1;
        config.limits.host_queue = 1;
    });
    rig.room = false;
    rig.wait(29_000);
    rig.line(&inbound("c", "1"));
    assert!(!rig.machine.wants_read());
    // It goes on pinging, so that middleboxes and the peer see life; but the silence is its own doing.
    rig.wait(24 * 3_600_000);
    let log = rig.log();
    assert!(log.iter().all(|line| line == "> ping #1") && log.len() == 2 * 60 * 24, "{}", log.len());
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 1 live c 1"]);
    // From here on it counts again, all of it.
    rig.wait(29_999);
    rig.expect(&[]);
    rig.wait(1 + 60_000);
    rig.expect(&["> ping #1", "drop #1", "disconnected - nothing was received for too long; again later"]);
}
