//! O-1 to O-8: the outcomes of requests.

use super::driver::{Rig, inbound, send};
use crate::command::Command;
use crate::config::Identity;
use crate::op::{FollowUp, GetChatInfo, Interrupt, Op, Raw, Typing};

const DOWN: &str = "definite: the relay is not connected";

fn typing(chat: &str) -> Command {
    Command::from(Typing::new(chat))
}

fn interrupt(key: &str) -> Command {
    Command::Interrupt(Interrupt::new(key).reason("why"))
}

#[test]
fn o_1_ids_are_32_hex_digits_and_never_repeat() {
    let ids = |seed| {
        let mut rig = Rig::seeded(seed, |_| ());
        rig.connect();
        (0..3)
            .map(|_| {
                let id = rig.submit(send("c", "x"));
                rig.machine.wire_id(id)
            })
            .collect::<Vec<_>>()
    };
    let (one, two) = (ids(1), ids(2));
    for (at, id) in one.iter().enumerate() {
        assert!(id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        assert_eq!(id[..16], one[0][..16], "the first half is the machine's");
        assert_eq!(id[16..], format!("{:016x}", at + 1), "the second a counter");
    }
    assert_ne!(one[0][..16], two[0][..16], "another seed, another prefix: no repetition after a restart");
    assert_eq!(one, ids(1));
}

#[test]
fn o_1_results_come_in_any_order_and_others_are_counted() {
    let mut rig = Rig::up();
    let (a, b) = (rig.submit(send("c", "a")), rig.submit(send("c", "b")));
    rig.log();
    // Another machine counts in the same way.
    let foreign = format!("{}{}", "0".repeat(16), &rig.machine.wire_id(a)[16..]);
    rig.line(&format!(r#"{{"type":"outbound_result","requestId":"{foreign}","result":{{"success":true}}}}"#));
    rig.expect(&[]);
    rig.answer(b, r#"{"success":true,"message_id":"mb"}"#);
    rig.answer(a, r#"{"success":true,"message_id":"ma"}"#);
    rig.expect(&["r2 sent mb", "r1 sent ma"]);
    // Ids that are repeated, unknown, of another machine, of another form, or missing.
    rig.answer(a, r#"{"success":true}"#);
    let id = rig.machine.wire_id(a);
    for raw in [
        format!("\"{}\"", "0".repeat(32)),
        format!("\"{}ff\"", &id[..30]),
        format!("\"{}\"", id.to_uppercase()),
        format!("\" {}\"", &id[1..]),
        format!("\"{}é\"", &id[..30]),
        "7".into(),
        "null".into(),
        "{}".into(),
        "\"\\ud800\"".into(),
    ] {
        rig.line(&format!(r#"{{"type":"outbound_result","requestId":{raw},"result":{{"success":true}}}}"#));
    }
    rig.line(r#"{"type":"outbound_result"}"#);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().stray_results, 12);
}

#[test]
fn o_2_an_absent_result_is_a_failure() {
    let mut rig = Rig::up();
    let id = rig.submit(send("c", "a"));
    let wire_id = rig.machine.wire_id(id);
    rig.log();
    rig.line(&format!(r#"{{"type":"outbound_result","requestId":"{wire_id}"}}"#));
    rig.expect(&["r1 rejected: the connector gave no reason"]);
}

#[test]
fn o_3_kinds_of_failure_are_distinguished() {
    for (result, expected) in [
        (r#"{"success":false,"error":"no such chat"}"#, "r1 rejected: no such chat"),
        (r#"{"success":false,"error":"lost","ambiguous":true}"#, "r1 ambiguous: lost"),
        (r#"{"success":false,"code":"egress_declined","error":"no"}"#, "r1 declined: no"),
        ("[]", "r1 rejected: the connector's result is not an object"),
        ("null", "r1 rejected: the connector's result is not an object"),
    ] {
        let mut rig = Rig::up();
        let id = rig.submit(send("c", "a"));
        rig.log();
        rig.answer(id, result);
        rig.expect(&[expected]);
        // It is never resent without the host.
        rig.lost();
        rig.next();
        rig.connect();
        rig.wait(20_000);
        assert!(rig.log().iter().all(|line| !line.contains("outbound")));
    }
}

#[test]
fn o_3_written_means_handed_out_by_poll_transmit() {
    let mut rig = Rig::up();
    rig.submit(send("c", "a"));
    rig.writable = false;
    rig.submit(send("c", "b"));
    rig.submit(send("c", "c"));
    rig.log();
    // The socket accepts two, but never the third. The order is that of submission.
    let mut out = Vec::new();
    assert!(rig.machine.poll_transmit(rig.now, &mut out).is_some());
    assert!(String::from_utf8_lossy(&out).contains(r#""content":"b""#));
    rig.lost();
    rig.expect(&[
        "r3 definite: the connection was lost before it was written",
        "r1 ambiguous: the connection was lost before the answer came",
        "r2 ambiguous: the connection was lost before the answer came",
        "disconnected - reset by peer; again later",
    ]);
    // Nothing is queued across connections (O-8).
    rig.next();
    rig.writable = true;
    rig.opened();
    let log = rig.log();
    assert_eq!(log.len(), 2, "a dial and a hello: {log:?}");
}

#[test]
fn o_3_an_unwritten_request_cannot_be_answered() {
    let mut rig = Rig::up();
    rig.writable = false;
    let id = rig.submit(send("c", "a"));
    rig.answer(id, r#"{"success":true}"#);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().stray_results, 1);
}

#[test]
fn o_4_the_answer_has_30_s_from_submission() {
    let mut rig = Rig::up();
    let id = rig.submit(send("c", "written"));
    rig.log();
    rig.wait(5_000);
    rig.writable = false;
    rig.submit(send("c", "unwritten"));
    rig.wait(24_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["r1 ambiguous: no answer came in time"]);
    rig.wait(4_999);
    rig.expect(&[]);
    rig.wait(1);
    rig.expect(&["r2 definite: it could not be written in time"]);
    // A request that failed as definite must not be written any more. Its late answer is counted.
    rig.writable = true;
    rig.line("");
    rig.expect(&[]);
    rig.answer(id, r#"{"success":true}"#);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().stray_results, 1);
}

#[test]
fn o_4_written_late_it_still_has_30_s_from_submission() {
    let mut rig = Rig::up();
    rig.writable = false;
    rig.submit(send("c", "a"));
    rig.wait(29_000);
    rig.writable = true;
    rig.drain();
    rig.log();
    rig.wait(1_000);
    assert_eq!(rig.log()[0], "r1 ambiguous: no answer came in time");
}

#[test]
fn o_5_chat_info() {
    let mut rig = Rig::up();
    let id = rig.submit(Command::from(GetChatInfo::new("c")));
    rig.expect(&[r#"> {"type":"outbound","requestId":"r1","action":{"op":"get_chat_info","chat_id":"c"}}"#]);
    rig.answer(id, r#"{"success":true,"chat_info":{"type":"group"}}"#);
    rig.expect(&["r1 chat c group"]);
}

#[test]
fn o_6_requests_beyond_max_in_flight_are_handed_back() {
    let mut rig = Rig::up_with(|config| config.limits.max_in_flight = 2);
    let full = "definite: 2 requests wait for their answer, as many as `max_in_flight` allows";
    let first = rig.submit(send("c", "a"));
    rig.submit(send("c", "b"));
    // `refused` asserts that the same command is returned.
    assert_eq!(rig.refused(send("c", "c")), full);
    assert_eq!(rig.refused(interrupt("k")), full);
    assert_eq!(rig.machine.stats().not_accepted, 2);
    rig.answer(first, r#"{"success":true}"#);
    rig.submit(send("c", "c"));
    // Idle requests and disconnects are bounded alike.
    for command in [Command::GoIdle, Command::Disconnect] {
        rig.submit(command.clone());
        rig.submit(command.clone());
        let why = rig.refused(command);
        assert!(why.starts_with("definite: "), "{why}");
    }
}

#[test]
fn o_6_a_frame_beyond_the_write_queue_is_refused() {
    let mut rig = Rig::up_with(|config| config.limits.write_queue_bytes = 1000);
    let full =
        "definite: it does not fit into the write queue, which `write_queue_bytes` bounds at 1000 bytes";
    assert_eq!(rig.refused(send("c", &"x".repeat(1000))), full);
    rig.writable = false;
    for _ in 0..3 {
        rig.submit(send("c", &"x".repeat(150)));
    }
    assert_eq!(rig.refused(send("c", &"x".repeat(300))), full);
    rig.log();
    // The accepted frame is complete.
    rig.writable = true;
    rig.drain();
    let log = rig.log();
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|line| line.contains(&"x".repeat(150)) && line.ends_with('}')), "{log:?}");
    rig.submit(send("c", &"x".repeat(300)));
}

#[test]
fn o_7_a_decline_is_reported_verbatim() {
    let mut rig = Rig::up();
    let id = rig.submit(send("c", "a"));
    rig.log();
    rig.answer(id, r#"{"success":false,"error":"Egress Declined: Not\u0021 there"}"#);
    rig.expect(&["r1 declined: Egress Declined: Not! there"]);
}

#[test]
fn o_8_nothing_is_accepted_while_the_connection_is_down() {
    let mut rig = Rig::new();
    let all = [
        send("c", "x"),
        interrupt("k"),
        Command::from(FollowUp::new("", "", "")),
        Command::from(Raw::new(serde_json::Map::new())),
        Command::GoIdle,
    ];
    let refused = |rig: &mut Rig| {
        for command in &all {
            assert_eq!(rig.refused(command.clone()), DOWN);
        }
    };
    refused(&mut rig);
    rig.opened();
    refused(&mut rig);
    rig.lost();
    refused(&mut rig);
    rig.next();
    rig.connect();
    rig.submit(send("c", "x"));
    assert_eq!(rig.log().len(), 1);
}

#[test]
fn o_typing_is_never_an_error_to_the_host() {
    let mut rig = Rig::new();
    rig.log();
    rig.submit(typing("c"));
    rig.expect(&["r1 done"]);
    rig.connect();
    // A sign with a bad answer, without an answer, lost, and unwritten.
    let id = rig.submit(typing("c"));
    rig.log();
    rig.answer(id, r#"{"success":false,"error":"no"}"#);
    rig.expect(&["r2 done"]);
    rig.submit(typing("c"));
    rig.log();
    rig.line("");
    rig.wait(29_000);
    rig.line("");
    rig.wait(1_000);
    rig.expect(&["r3 done"]);
    rig.submit(typing("c"));
    rig.writable = false;
    rig.submit(typing("c"));
    rig.log();
    rig.lost();
    rig.expect(&["r5 done", "r4 done", "disconnected - reset by peer; again later"]);
    // This includes signs at a limit, and for a platform that is not fronted.
    let mut rig = Rig::up_with(|config| config.limits.max_in_flight = 1);
    rig.submit(Command::from(Typing::new("").platform("matrix")));
    rig.submit(send("c", "x"));
    rig.log();
    rig.submit(typing("c"));
    rig.expect(&["r3 done"]);
    assert_eq!(rig.machine.stats().typing_dropped, 2, "X-2");
}

#[test]
fn o_interrupts_are_done_once_written() {
    let mut rig = Rig::up();
    rig.submit(interrupt("agent:main"));
    rig.expect(&[r#"> {"type":"interrupt","session_key":"agent:main","reason":"why"}"#, "r1 done"]);
    rig.writable = false;
    rig.submit(interrupt("k"));
    rig.lost();
    assert_eq!(rig.log()[0], "r2 definite: the connection was lost before it was written");
}

#[test]
fn m_3_m_4_each_command_has_its_identity() {
    let mut rig = Rig::with(|config| {
        config.identities.push(Identity::new("slack", ""));
    });
    rig.connect();
    for (chat, platform) in [("d", "discord"), ("s", "slack"), ("m", "matrix"), ("r", "relay")] {
        rig.line(&inbound(chat, "1").replace("discord", platform));
    }
    rig.log();
    let named = |chat: &str, platform: &str| Command::from(GetChatInfo::new(chat).platform(platform));
    let seen = |chat: &str| Command::from(GetChatInfo::new(chat));
    // M-4: by the part before the first dot.
    let follow_up = |kind: &str| Command::from(FollowUp::new("", kind, ""));
    let (discord, slack) = (r#","platform":"discord","botId":"42"}"#, r#","platform":"slack"}"#);
    for (command, tag) in [
        (seen("d"), discord),
        (seen("s"), slack),
        (seen("m"), "}}"),
        (seen("r"), "}}"),
        (seen("unseen"), "}}"),
        (named("s", "discord"), discord),
        (named("unseen", "slack"), slack),
        (follow_up("discord.interaction_token"), discord),
        (follow_up("slack."), slack),
        (follow_up("discord"), "}}"),
        (follow_up("matrix.token"), "}}"),
        (follow_up(".discord"), "}}"),
    ] {
        rig.submit(command.clone());
        let log = rig.log();
        assert!(log[0].ends_with(tag) && (tag != "}}" || !log[0].contains(r#""platform":"#)), "{log:?}");
    }
    assert_eq!(rig.refused(named("d", "matrix")), "definite: relay does not front platform matrix");
    assert_eq!(rig.refused(named("d", "relay")), "definite: relay does not front platform relay");
}

#[test]
fn a_raw_action_is_written_unchanged() {
    let mut rig = Rig::up();
    rig.line(&inbound("d", "1"));
    rig.log();
    let action = serde_json::json!({"op": "send", "chat_id": "d", "z": [1], "a": null});
    let bare = Raw::new(action.as_object().cloned().unwrap()).bare(true);
    rig.submit(Command::Op(Op::Raw(bare)));
    let log = rig.log();
    let frame: serde_json::Value = serde_json::from_str(&log[0][2..]).unwrap();
    assert_eq!((&frame["action"], frame.get("platform")), (&action, None));
}
