//! L-5, L-6, L-15, L-18: the times of dials, and that there is never more than one.

use super::driver::{EPOCH_S, Rig, descriptor};
use crate::machine::{DialFailure, IoEvent};
use crate::output::{Conn, Phase, Timer};
use crate::secret::Secret;
use crate::time::Time;
use crate::token;
use crate::upgrade::Refusal;
use std::collections::BTreeSet;

/// Fails the dial that is under way. Returns the wait that follows, in microseconds.
fn fail(rig: &mut Rig) -> u64 {
    rig.dial_failed(None, "");
    assert_eq!(rig.machine.phase(), Phase::Waiting);
    let wait = rig.until_deadline_us();
    rig.next();
    wait
}

#[test]
fn l_5_attempt_n_waits_a_draw_from_the_upper_half_of_its_step() {
    let mut seen = vec![BTreeSet::new(); 8];
    for seed in 0..64 {
        let mut rig = Rig::seeded(seed, |_| ());
        for (attempt, seen) in seen.iter_mut().enumerate() {
            let wait = fail(&mut rig);
            let longest = (1_000_000 << attempt).min(30_000_000);
            assert!((longest / 2..=longest).contains(&wait), "attempt {}: {wait} µs", attempt + 1);
            seen.insert(wait);
        }
    }
    for (attempt, seen) in seen.iter().enumerate() {
        let longest: u64 = (1_000_000 << attempt).min(30_000_000);
        // The draws cover the whole range, and differ for every seed.
        assert!(seen.len() > 60, "attempt {}", attempt + 1);
        assert!(*seen.first().unwrap() < longest * 6 / 10 && *seen.last().unwrap() > longest * 9 / 10);
    }
}

#[test]
fn l_5_the_thousandth_attempt_waits_no_longer_than_the_cap() {
    let mut rig = Rig::new();
    for _ in 0..1000 {
        assert!(fail(&mut rig) <= 30_000_000);
    }
}

#[test]
fn l_5_the_same_seed_draws_the_same_waits() {
    let waits = |seed| {
        let mut rig = Rig::seeded(seed, |_| ());
        (0..5).map(|_| fail(&mut rig)).collect::<Vec<_>>()
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}

#[test]
fn l_5_only_a_handshake_that_held_for_60_s_starts_over() {
    for (held_ms, longest) in [(0, 8_000_000), (59_999, 8_000_000), (60_000, 1_000_000), (90_000, 1_000_000)]
    {
        let mut rig = Rig::new();
        for _ in 0..3 {
            fail(&mut rig);
        }
        rig.connect();
        // The connector sends something now and then, so that silence does not end the connection.
        for _ in 0..held_ms / 20_000 {
            rig.wait(20_000);
            rig.line("");
        }
        rig.wait(held_ms % 20_000);
        rig.lost();
        let wait = rig.until_deadline_us();
        assert!((longest / 2..=longest).contains(&wait), "held for {held_ms} ms: {wait} µs");
    }
}

#[test]
fn l_5_a_connector_that_accepts_and_drops_gets_no_tight_loop() {
    let mut rig = Rig::new();
    for attempt in 0..8 {
        rig.connect();
        rig.lost();
        let longest: u64 = (1_000_000 << attempt).min(30_000_000);
        assert!(rig.until_deadline_us() >= longest / 2, "attempt {}", attempt + 1);
        rig.next();
    }
}

#[test]
fn l_5_an_upgrade_without_a_handshake_counts_as_a_failed_dial() {
    let mut rig = Rig::new();
    fail(&mut rig);
    rig.opened();
    rig.wait(29_000);
    rig.lost();
    assert!((1_000_000..=2_000_000).contains(&rig.until_deadline_us()));
}

#[test]
fn l_6_inputs_of_an_older_socket_are_ignored() {
    let mut rig = Rig::up();
    let old = rig.conn();
    rig.lost();
    rig.expect(&["disconnected - reset by peer; again later"]);
    // After its end, and before the next dial.
    assert_eq!(rig.bytes_on(old, b"{\"type\":\"going_idle_ack\"}\n"), 26);
    rig.io(IoEvent::Closed { conn: old, code: Some(4401), reason: "" });
    rig.io(IoEvent::DialFailed {
        conn: old,
        failure: DialFailure::Refused(Refusal::new(401, br#"{"error":"revoked"}"#)),
    });
    rig.io(IoEvent::Opened { conn: old });
    rig.expect(&[]);
    rig.next();
    rig.expect(&["dial #2"]);
    // While the next dial is under way, and once it is connected.
    for _ in 0..2 {
        rig.bytes_on(old, descriptor("discord", "").as_bytes());
        rig.io(IoEvent::Closed { conn: old, code: Some(4401), reason: "" });
        rig.io(IoEvent::DialFailed { conn: old, failure: DialFailure::Unanswered("") });
        rig.io(IoEvent::Opened { conn: old });
        rig.io(IoEvent::Alive { conn: old });
        rig.io(IoEvent::Closed { conn: Conn(99), code: None, reason: "" });
        rig.expect(&[]);
        if rig.machine.phase() == Phase::Dialing {
            rig.connect();
        }
    }
    assert_eq!(rig.machine.phase(), Phase::Connected);
    assert_eq!(rig.machine.stats().stale_inputs, 16);
}

#[test]
fn l_6_a_partial_line_ends_with_its_socket() {
    let mut rig = Rig::up();
    rig.bytes(b"{\"type\":\"desc");
    rig.lost();
    rig.next();
    rig.connect();
    assert_eq!(rig.machine.phase(), Phase::Connected, "W-2: the tail was dropped");
    assert_eq!(rig.machine.stats().malformed_lines, 0);
}

#[test]
fn l_6_one_dial_at_a_time() {
    let mut rig = Rig::new();
    rig.expect(&["dial #1"]);
    rig.wait(14_999);
    rig.expect(&[]);
    // L-4: the old socket is dropped before the next dial begins.
    rig.wait(1);
    rig.expect(&["drop #1", "disconnected - the dial took too long; again later"]);
    rig.wait(1_000);
    rig.expect(&["dial #2"]);
    rig.io(IoEvent::Opened { conn: Conn(1) });
    rig.expect(&[]);
    assert_eq!(rig.machine.phase(), Phase::Dialing);
}

#[test]
fn l_15_a_clock_that_stops_or_goes_back_is_harmless() {
    let mut rig = Rig::new();
    rig.jump_to(5_000);
    rig.lost();
    let (due, timer) = rig.machine.deadline().unwrap();
    assert_eq!(timer, Timer::Redial);
    rig.log();
    // A time in the past: nothing is due, and nothing is forgotten.
    rig.jump_to(0);
    rig.expect(&[]);
    assert_eq!(rig.machine.deadline(), Some((due, timer)));
    for _ in 0..10 {
        rig.tick();
    }
    rig.expect(&[]);
    rig.jump_to(6_000);
    rig.expect(&["dial #2"]);
    // The new dial's time-out counts from the latest time ever seen.
    rig.jump_to(1_000);
    assert_eq!(rig.machine.deadline(), Some((Time::from_millis(21_000), Timer::Dial)));
    // So does the wait after it: a wait that began in the past would end too soon.
    rig.dial_failed(None, "");
    let (due, _) = rig.machine.deadline().unwrap();
    assert!(due >= Time::from_millis(7_000), "the second attempt waits a second at least: {due}");
}

#[test]
fn l_15_after_a_long_sleep_due_timers_fire_once() {
    let mut rig = Rig::up();
    let request = rig.submit(super::driver::send("c", "x"));
    rig.log();
    rig.jump_to(6 * 3_600_000);
    rig.expect(&[&format!("r{} ambiguous: no answer came in time", request.number()), "> ping #1"]);
    rig.tick();
    rig.expect(&[]);
    rig.wait(60_000);
    rig.expect(&["drop #1", "disconnected - nothing was received for too long; again later"]);
    rig.next();
    rig.expect(&["dial #2"]);
    let token = rig.tokens[1].clone().unwrap();
    let secrets = [Secret::new("hunter2")];
    assert_eq!(token::verify(&token, &secrets, rig.now.unix_s + 300).as_deref(), Some("gw-1"));
    assert_eq!(token::verify(&token, &secrets, rig.now.unix_s + 301), None);
    assert_eq!(token::verify(rig.tokens[0].as_deref().unwrap(), &secrets, EPOCH_S + 301), None);
}

#[test]
fn l_15_the_end_of_time_is_no_tight_loop() {
    for at in [u64::MAX, u64::MAX - 1, u64::MAX - 20_000_000] {
        let mut rig = Rig::new();
        rig.now.mono = Time::from_micros(at);
        rig.tick();
        rig.connect();
        // It may have been too late to connect.
        let submitted = rig.machine.submit(rig.now, super::driver::send("c", "x"));
        assert_eq!(submitted.is_ok(), rig.machine.phase() == Phase::Connected);
        rig.tick();
        rig.lost();
        rig.tick();
        let deadline = rig.machine.deadline();
        assert!(deadline.is_none_or(|(due, _)| due > rig.now.mono), "{deadline:?}");
    }
}

#[test]
fn l_18_every_other_close_is_an_ordinary_loss() {
    for (code, reason) in [
        (1000, ""),
        (1001, "going away"),
        (1008, "duplicate session"),
        (1009, "too large"),
        (1011, "ping timeout"),
        (1013, "temporarily suspended"),
        (4429, "duplicate"),
        (4400, "expired"),
        (4403, "revoked"),
        (4409, "conflict"),
    ] {
        let mut rig = Rig::up();
        // Twice, since a refusal would show by the second time at the latest.
        for _ in 0..2 {
            rig.closed(code, reason);
            let shown = if reason.is_empty() { "closed with code 1000" } else { reason };
            rig.expect(&[&format!("disconnected {code} {shown}; again later")]);
            assert!(rig.until_deadline_us() >= 500_000, "L-5");
            rig.next();
            rig.connect();
        }
        assert_eq!(rig.machine.stats().refusals, 0);
    }
}
