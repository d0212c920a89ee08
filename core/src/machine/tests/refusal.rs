//! L-7 to L-10: what an auth refusal means.

use super::driver::{Rig, send};
use crate::command::Command;
use crate::output::Phase;
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
    Refusal::Upgrade(""),
    Refusal::Upgrade("expired"),
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

/// Ends a served connection, so that the next dial is under way.
fn redial(rig: &mut Rig) {
    rig.lost();
    rig.next();
    rig.log();
}

/// A machine that was served, and whose next dial is under way.
fn dialing() -> Rig {
    let mut rig = Rig::up();
    redial(&mut rig);
    rig
}

/// What became of it.
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
fn l_07_before_the_first_handshake_a_refusal_is_an_ordinary_failure() {
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
    // Only 4401 and 401 are refusals.
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
fn l_08_expired_is_an_ordinary_loss() {
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
fn l_08_expired_does_not_use_up_the_mark() {
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
fn l_09_another_refusal_earns_one_dial_at_once_with_a_fresh_token() {
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
fn l_09_a_refusal_of_a_served_connection_counts_the_same() {
    let mut rig = Rig::up();
    rig.wait(5_000);
    rig.closed(4401, "revoked");
    rig.expect(&["disconnected 4401 revoked; again at once", "dial #2"]);
    // On the connection that is on trial, at any time.
    rig.connect();
    rig.wait(20_000);
    rig.closed(4401, "");
    rig.expect(&[
        "disconnected 4401 closed with code 4401; again never",
        "fatal relay_disabled retryable=false",
    ]);
}

#[test]
fn l_09_the_mark_survives_what_is_not_about_auth() {
    let mut rig = dialing();
    refuse(&mut rig, PLAIN[0]);
    // Network, status, dial time-out, handshake time-out, a bad descriptor, a loss during the handshake.
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

#[test]
fn l_09_a_completed_handshake_uses_the_mark_up() {
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
fn l_09_without_confirmation_or_credentials_the_first_refusal_counts() {
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
fn l_09_the_dial_at_once_waits_for_the_host_to_lift_its_hold() {
    let mut rig = Rig::up();
    rig.submit(Command::Hold(Duration::from_secs(20)));
    rig.log();
    rig.closed(4401, "");
    rig.expect(&["disconnected 4401 closed with code 4401; again later"]);
    rig.wait(19_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["dial #2"]);
    // The mark is set all the same.
    rig.dial_failed(Some(401), "");
    assert_eq!(verdict(&mut rig), "revoked");
}

#[test]
fn l_09_a_refusal_counts_while_we_close() {
    let mut rig = Rig::up();
    rig.submit(Command::GoDormant);
    rig.line(r#"{"type":"going_idle_ack"}"#);
    rig.log();
    rig.closed(4401, "");
    assert_eq!(verdict(&mut rig), "at once");
    rig.connect();
    rig.submit(Command::Disconnect);
    rig.log();
    // L-10 goes before L-14: the host must know that it will never be served again.
    rig.closed(4401, "");
    rig.expect(&[
        "disconnected 4401 closed with code 4401; again never",
        "r2 done",
        "fatal relay_disabled retryable=false",
    ]);
}

#[test]
fn l_10_fatal_comes_once_and_last_and_all_polls_are_none_after_it() {
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
    // Whatever comes now, nothing goes out.
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
