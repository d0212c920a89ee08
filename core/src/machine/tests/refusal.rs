//! L-7 to L-10: the handling of auth refusals.

use super::driver::{EPOCH_S, Rig, send};
use crate::command::Command;
use crate::output::Phase;
use crate::upgrade;
use std::time::Duration;

/// The two forms of a refusal, and whether it says `expired`.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// At the upgrade, with this body.
    Upgrade(&'static str),
    /// A close with this reason.
    Close(&'static str),
}

const PLAIN: [Refusal; 7] = [
    Refusal::Upgrade(r#"{"error":"unauthorized"}"#),
    Refusal::Upgrade(r#"{"error":""}"#),
    Refusal::Upgrade(r#"{"error":"Expired"}"#),
    Refusal::Upgrade(r#"{"error":"revoked","reason":"expired"}"#),
    Refusal::Close(""),
    Refusal::Close("revoked"),
    Refusal::Close("expired "),
];

const EXPIRED: [Refusal; 4] = [
    Refusal::Upgrade(r#"{"error":"expired"}"#),
    Refusal::Upgrade(r#" {"error":"\u0065xpired","more":[1]} "#),
    // W-9: the last of duplicate keys wins.
    Refusal::Upgrade(r#"{"error":"x","error":"expired"}"#),
    Refusal::Close("expired"),
];

/// Refuses the dial that is under way, or the connection that it becomes.
fn refuse(rig: &mut Rig, refusal: Refusal) {
    match refusal {
        Refusal::Upgrade(body) => rig.dial_failed(Some(401), body),
        Refusal::Close(reason) => {
            rig.opened();
            rig.closed(4401, reason);
        }
    }
}

/// Ends a connection that is up, so that the next dial is under way.
fn redial(rig: &mut Rig) {
    rig.lost();
    rig.next();
    rig.log();
}

/// Returns a machine that was connected, and whose next dial is under way.
fn dialing() -> Rig {
    let mut rig = Rig::up();
    redial(&mut rig);
    rig
}

/// Returns the outcome of the refusal.
fn verdict(rig: &mut Rig) -> &'static str {
    let log = rig.log();
    let has = |text: &str| log.iter().any(|line| line.starts_with(text));
    match (has("dial "), has("fatal ")) {
        (true, false) => "at once",
        (false, true) => "revoked",
        (false, false) => "backoff",
        (true, true) => "both",
    }
}

#[test]
fn l_7_an_early_refusal_is_an_ordinary_failure() {
    for refusal in PLAIN.into_iter().chain(EXPIRED) {
        for confirm in [true, false] {
            let mut rig = Rig::with(|config| config.confirm_revocation = confirm);
            for _ in 0..5 {
                rig.log();
                refuse(&mut rig, refusal);
                assert_eq!(verdict(&mut rig), "backoff", "{refusal:?}");
                assert!(rig.until_deadline_us() >= 500_000);
                rig.next();
            }
        }
    }
    // Only 4401 and a verdict are refusals.
    let mut rig = dialing();
    for status in [400, 402, 403, 500, 503] {
        rig.dial_failed(Some(status), r#"{"error":"revoked"}"#);
        assert_eq!(verdict(&mut rig), "backoff", "{status}");
        rig.next();
        rig.log();
    }
    assert_eq!(rig.machine.stats().refusals, 0);
}

#[test]
fn l_8_expired_is_an_ordinary_loss() {
    for refusal in EXPIRED {
        for (confirm, credentials) in [(true, true), (false, true), (true, false)] {
            let mut rig = Rig::up_with(|config| {
                config.confirm_revocation = confirm;
                config.credentials = config.credentials.take().filter(|_| credentials);
            });
            redial(&mut rig);
            for _ in 0..4 {
                refuse(&mut rig, refusal);
                assert_eq!(verdict(&mut rig), "backoff", "{refusal:?}");
                assert!(rig.until_deadline_us() >= 500_000);
                rig.next();
                rig.log();
            }
        }
    }
}

#[test]
fn l_8_expired_does_not_end_the_suspicion() {
    for refusal in EXPIRED {
        let mut rig = dialing();
        refuse(&mut rig, PLAIN[0]);
        assert_eq!(verdict(&mut rig), "at once");
        refuse(&mut rig, refusal);
        assert_eq!(verdict(&mut rig), "backoff");
        rig.next();
        rig.log();
        refuse(&mut rig, PLAIN[0]);
        assert_eq!(verdict(&mut rig), "revoked", "{refusal:?}");
    }
}

#[test]
fn l_9_a_refusal_is_retried_once_with_a_fresh_token() {
    for first in PLAIN {
        for second in PLAIN {
            let mut rig = dialing();
            rig.wait(3_000);
            refuse(&mut rig, first);
            assert_eq!(verdict(&mut rig), "at once", "{first:?}");
            let tokens = &rig.tokens[rig.tokens.len() - 2..];
            assert!(tokens[1].is_some() && tokens[0] != tokens[1], "L-2: a token of its own");
            refuse(&mut rig, second);
            assert_eq!(verdict(&mut rig), "revoked", "{first:?}, {second:?}");
        }
    }
}

#[test]
fn l_9_a_refusal_after_the_handshake_counts_the_same() {
    let mut rig = Rig::up();
    rig.wait(5_000);
    rig.closed(4401, "revoked");
    rig.expect(&["disconnected 4401 revoked; again at once", "dial #2"]);
    // On the probe, at any time.
    rig.connect();
    rig.wait(20_000);
    rig.closed(4401, "");
    rig.expect(&[
        "disconnected 4401 closed with code 4401; again never",
        "fatal relay_disabled retryable=false",
    ]);
}

#[test]
fn l_9_the_suspicion_survives_other_failures() {
    let mut rig = dialing();
    refuse(&mut rig, PLAIN[0]);
    // A network error, a status, a dial time-out, a handshake time-out, a bad descriptor, and a loss during the
    // handshake.
    let ends: [fn(&mut Rig); 6] = [
        |rig| rig.dial_failed(None, ""),
        |rig| rig.dial_failed(Some(503), ""),
        |rig| rig.wait(15_000),
        |rig| {
            rig.opened();
            rig.wait(30_000);
            rig.lost();
        },
        |rig| {
            rig.opened();
            rig.line(r#"{"type":"descriptor","descriptor":{}}"#);
            rig.lost();
        },
        |rig| {
            rig.opened();
            rig.lost();
        },
    ];
    for end in ends {
        rig.log();
        end(&mut rig);
        assert_eq!(verdict(&mut rig), "backoff");
        rig.next();
    }
    rig.log();
    refuse(&mut rig, PLAIN[4]);
    assert_eq!(verdict(&mut rig), "revoked");
}

/// Returns answers of status 401 or 403 that are not the connector's verdict.
fn foreign() -> Vec<upgrade::Refusal<'static>> {
    let said = upgrade::Refusal::new(401, br#"{"error":"unauthorized"}"#);
    vec![
        upgrade::Refusal::new(401, b""),
        upgrade::Refusal::new(401, b"expired"),
        upgrade::Refusal::new(401, b"{\"message\":\"who are you?\"}"),
        upgrade::Refusal { is_whole: false, ..said },
        upgrade::Refusal { has_challenge: true, ..said },
        upgrade::Refusal { status: 403, ..said },
        upgrade::Refusal { has_challenge: true, ..upgrade::Refusal::new(401, br#"{"error":"expired"}"#) },
    ]
}

#[test]
fn l_9_a_foreign_refusal_is_never_final() {
    for refusal in foreign() {
        for (confirm, credentials) in [(true, true), (false, true), (true, false)] {
            let mut rig = Rig::up_with(|config| {
                config.confirm_revocation = confirm;
                config.credentials = config.credentials.take().filter(|_| credentials);
            });
            redial(&mut rig);
            for _ in 0..20 {
                rig.refused_by(refusal);
                assert_eq!(verdict(&mut rig), "backoff", "{refusal:?}");
                rig.next();
                rig.log();
            }
            assert_eq!((rig.machine.stats().credentials_refused, rig.machine.stats().refusals), (20, 0));
        }
    }
    let mut rig = dialing();
    rig.refused_by(foreign()[1]);
    rig.expect(&[
        "disconnected - credentials refused: the upgrade was answered 401 Unauthorized: expired; this is not the \
         connector's verdict: check the gateway's id and secret, and the proxy or load balancer in front of \
         the connector; again later",
    ]);
}

#[test]
fn l_9_the_suspicion_survives_a_foreign_refusal() {
    for refusal in foreign() {
        let mut rig = Rig::up();
        rig.closed(4401, "revoked");
        assert_eq!(verdict(&mut rig), "at once");
        for _ in 0..3 {
            rig.refused_by(refusal);
            assert_eq!(verdict(&mut rig), "backoff", "{refusal:?}");
            rig.next();
            rig.log();
        }
        refuse(&mut rig, PLAIN[0]);
        assert_eq!(verdict(&mut rig), "revoked", "{refusal:?}");
    }
}

/// The waits grow as in L-5, but up to five minutes.
#[test]
fn l_9_a_foreign_refusal_backs_off_up_to_five_minutes() {
    for most_s in [300_u64, 7] {
        let mut rig = Rig::with(|config| config.timing.backoff_refused_most = Duration::from_secs(most_s));
        for attempt in 1..14 {
            rig.refused_by(foreign()[0]);
            let longest = (1_000_000 << (attempt - 1)).min(most_s * 1_000_000);
            let wait = rig.until_deadline_us();
            assert!((longest / 2..=longest).contains(&wait), "{attempt}: {wait} of {longest}");
            rig.next();
        }
        // Other failures wait at most half a minute.
        rig.dial_failed(Some(503), "");
        assert!(rig.until_deadline_us() <= 30_000_000);
    }
}

#[test]
fn l_18_retry_after_is_honoured_up_to_five_minutes() {
    let waits = |retry_after: &str, status: u16, most: Option<u64>| {
        let mut rig = dialing();
        if let Some(most) = most {
            rig = Rig::with(|config| config.timing.retry_after_most = Duration::from_secs(most));
        }
        rig.refused_by(upgrade::Refusal {
            retry_after: Some(retry_after),
            ..upgrade::Refusal::new(status, br#"{"error":"busy"}"#)
        });
        rig.until_deadline_us()
    };
    for status in [409, 429, 503, 401, 403, 302] {
        let (asked, expected) = ("17", 17_000_000);
        // After the connector's verdict the next dial follows at once (L-9).
        let expected = if status == 401 { 15_000_000 } else { expected };
        assert_eq!(waits(asked, status, None), expected, "{status}");
    }
    // 90 s after the rig's clock.
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(EPOCH_S + 90));
    let wait = waits(&date, 503, Some(300));
    assert_eq!(wait, 90_000_000, "{date}");
    assert_eq!(waits("86400", 429, None), 300_000_000);
    assert_eq!(waits("99999999999999999999", 429, None), 300_000_000);
    assert_eq!(waits("86400", 429, Some(20)), 20_000_000);
    for (asked, status) in [("0", 429), ("soon", 429), ("Sun, 06 Nov 1994 08:49:37 GMT", 503)] {
        assert!((1_000_000..=2_000_000).contains(&waits(asked, status, None)), "{asked}");
    }
    // The next failure waits as usual.
    let mut rig = dialing();
    rig.refused_by(upgrade::Refusal { retry_after: Some("60"), ..upgrade::Refusal::new(429, b"") });
    rig.next();
    rig.dial_failed(None, "");
    assert!(rig.until_deadline_us() <= 4_000_000);
}

#[test]
fn l_9_a_completed_handshake_ends_the_suspicion() {
    let mut rig = dialing();
    refuse(&mut rig, PLAIN[0]);
    rig.connect();
    redial(&mut rig);
    // A refusal on a later connection starts over.
    refuse(&mut rig, PLAIN[0]);
    assert_eq!(verdict(&mut rig), "at once");
    refuse(&mut rig, PLAIN[0]);
    assert_eq!(verdict(&mut rig), "revoked");
}

#[test]
fn l_9_without_confirmation_the_first_refusal_is_final() {
    for refusal in PLAIN {
        let mut rig = Rig::up_with(|config| config.confirm_revocation = false);
        redial(&mut rig);
        refuse(&mut rig, refusal);
        assert_eq!(verdict(&mut rig), "revoked", "{refusal:?}");
        let mut rig = Rig::up_with(|config| config.credentials = None);
        assert_eq!(rig.tokens, [None], "L-2: unauthenticated");
        redial(&mut rig);
        refuse(&mut rig, refusal);
        assert_eq!(verdict(&mut rig), "revoked", "{refusal:?}");
    }
}

#[test]
fn l_9_the_dial_at_once_waits_for_the_host_to_lift_its_hold() {
    let mut rig = Rig::up();
    rig.submit(Command::Hold(Duration::from_secs(20)));
    rig.log();
    rig.closed(4401, "");
    rig.expect(&["disconnected 4401 closed with code 4401; again later"]);
    rig.wait(19_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["dial #2"]);
    // The suspicion is recorded all the same.
    refuse(&mut rig, PLAIN[0]);
    assert_eq!(verdict(&mut rig), "revoked");
}

#[test]
fn l_9_a_refusal_counts_while_we_close() {
    let mut rig = Rig::up();
    rig.submit(Command::GoDormant);
    rig.line(r#"{"type":"going_idle_ack"}"#);
    rig.log();
    rig.closed(4401, "");
    assert_eq!(verdict(&mut rig), "at once");
    rig.connect();
    rig.submit(Command::Disconnect);
    rig.log();
    // L-10 takes precedence over L-14: the host must know that no dial will succeed again.
    rig.closed(4401, "");
    rig.expect(&[
        "disconnected 4401 closed with code 4401; again never",
        "r2 done",
        "fatal relay_disabled retryable=false",
    ]);
}

#[test]
fn l_10_fatal_is_the_last_output() {
    let mut rig = Rig::up_with(|config| config.confirm_revocation = false);
    rig.room = false;
    rig.line(&super::driver::inbound("c", "1"));
    rig.line(&super::driver::buffered("c", "2", "b"));
    let conn = rig.conn();
    rig.submit(send("c", "written"));
    rig.writable = false;
    rig.submit(send("c", "unwritten"));
    rig.submit(Command::GoIdle);
    rig.log();
    rig.closed(4401, "revoked");
    rig.expect(&[
        "r2 definite: the connection was lost before it was written",
        "r1 ambiguous: the connection was lost before the answer came",
        "r3 idle confirmed=false",
        "disconnected 4401 revoked; again never",
        "fatal relay_disabled retryable=false",
    ]);
    assert!(crate::output::RELAY_DISABLED.message.contains("recreate the instance"));
    // No later input causes an output.
    (rig.room, rig.writable) = (true, true);
    rig.opened();
    rig.bytes_on(conn, super::driver::descriptor("discord", "").as_bytes());
    rig.closed(4401, "");
    rig.dial_failed(Some(401), "");
    rig.reject(1);
    let refused = rig.refused(send("c", "x"));
    assert_eq!(refused, "definite: the relay is disabled: this gateway was revoked");
    for command in [Command::Resume, Command::Hold(Duration::ZERO), Command::Disconnect, Command::GoIdle] {
        rig.refused(command);
    }
    rig.wait(24 * 3_600_000);
    rig.expect(&[]);
    assert_eq!((rig.machine.deadline(), rig.machine.wants_read()), (None, false));
    assert_eq!(rig.machine.phase(), Phase::Revoked);
    assert_eq!(rig.machine.stats().dropped_at_end, 2, "X-2");
}
