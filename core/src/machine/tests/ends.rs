//! W-10, X-5, L-18: details in the reason of a lost connection or a failed handshake.

use super::driver::{Rig, descriptor};

#[test]
fn w_10_an_end_names_an_unterminated_line() {
    let mut rig = Rig::up();
    rig.bytes(br#"{"type":"inbound""#);
    rig.log();
    rig.lost();
    rig.expect(&["disconnected - reset by peer; 17 bytes without a newline are pending; again later"]);
    // Also before a close frame, and during the handshake.
    rig.next();
    rig.opened();
    rig.bytes(b"abc");
    rig.bytes(b"de");
    rig.log();
    rig.closed(1011, "");
    rig.expect(&[
        "disconnected 1011 closed with code 1011; 5 bytes without a newline are pending; again later",
    ]);
    // A terminated line is not pending, and nothing of it is left for the next connection.
    rig.next();
    rig.connect();
    rig.log();
    rig.lost();
    rig.expect(&["disconnected - reset by peer; again later"]);
}

#[test]
fn w_10_a_handshake_time_out_names_an_unterminated_line() {
    let mut rig = Rig::with(|_| {});
    rig.opened();
    let line = descriptor("discord", "");
    let line = line.trim_end();
    rig.bytes(line.as_bytes());
    rig.wait(30_000);
    rig.log();
    rig.lost();
    let pending = line.len();
    rig.expect(&[&format!(
        "disconnected - no descriptor came in time; {pending} bytes without a newline are pending; again later"
    )]);
}

#[test]
fn x_5_an_early_error_explains_the_failed_dial() {
    for (frame, text) in [
        (r#"{"type":"error","error":"no such platform"}"#, "no such platform"),
        (r#"{"type":"error","error":{"code":"E1","message":"bad bot"}}"#, "bad bot"),
        (r#"{"type":"error","message":"a\u0007b\n"}"#, "a\\u{7}b\\n"),
        (r#"{"type":"error","reason":"why"}"#, "why"),
        (r#"{"type":"error","code":7}"#, r#"{"type":"error","code":7}"#),
    ] {
        let mut rig = Rig::with(|_| {});
        rig.opened();
        rig.log();
        rig.line(frame);
        rig.expect(&[&format!("error {text}")]);
        rig.line(r#"{"type":"error","error":"the second"}"#);
        rig.log();
        rig.closed(1008, "policy");
        rig.expect(&[&format!("disconnected 1008 policy; the connector said: {text}; again later")]);
        assert_eq!((rig.machine.stats().error_frames, rig.machine.stats().unknown_frames), (2, 0));
    }
}

#[test]
fn x_5_an_error_after_the_handshake_is_only_reported() {
    let mut rig = Rig::with(|_| {});
    rig.opened();
    rig.line(r#"{"type":"error","error":"early"}"#);
    rig.line(&descriptor("discord", ""));
    rig.log();
    let long = "é".repeat(400);
    rig.line(&format!(r#"{{"type":"error","error":"{long}","bufferId":"b1"}}"#));
    let cut = "é".repeat(300);
    rig.expect(&[&format!("error {cut}…"), r#"> {"type":"inbound_ack","bufferId":"b1"}"#]);
    rig.lost();
    rig.expect(&["disconnected - reset by peer; again later"]);
}

/// Two gateways with one id displace each other.
#[test]
fn l_18_a_displaced_gateway_is_told_so() {
    for (code, reason, displaced) in [
        (4000, "replaced", true),
        (1000, "replaced", true),
        (1008, "duplicate session", false),
        (4429, "duplicate", false),
        (4000, "other", false),
        (1008, "policy", false),
        (4403, "revoked", false),
        (4409, "replaced", false),
    ] {
        let mut rig = Rig::up();
        rig.closed(code, reason);
        let which = if displaced { ": another gateway with the id \"gw-1\" is connected" } else { "" };
        rig.expect(&[&format!("disconnected {code} {reason}{which}; again later")]);
        assert!(rig.until_deadline_us() >= 500_000, "{code}");
        assert_eq!(rig.machine.stats().refusals, 0, "{code}");
    }
    // The back-off doubles, up to 30 s, with each connection that is displaced within a minute. A wait is drawn from its
    // upper half.
    let mut rig = Rig::up();
    for backoff_s in [1, 2, 4, 8, 16, 30, 30] {
        rig.closed(4000, "replaced");
        let wait_us = rig.until_deadline_us();
        assert!(
            (backoff_s * 500_000..=backoff_s * 1_000_000).contains(&wait_us),
            "{backoff_s} s: {wait_us} us"
        );
        rig.next();
        rig.connect();
    }
}
