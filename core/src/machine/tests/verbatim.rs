//! X-4, X-5: the connector's own JSON, for a host that asks for it.

use super::driver::{Rig, descriptor};
use crate::output::Delivery;
use crate::signature;
use crate::webhook::{Body, WebhookRequest};
use data_encoding::BASE64;
use serde_json::json;

/// Creates a connected machine, which keeps the JSON of events if `raw_events` is set. The rig polls no deliveries.
fn rig(raw_events: bool) -> Rig {
    let mut rig = Rig::up_with(|config| {
        config.raw_events = raw_events;
        config.passthrough = true;
        config.delivery_keys = vec!["key".into()];
    });
    rig.room = false;
    rig
}

fn delivery(rig: &mut Rig) -> Delivery {
    rig.machine.poll_delivery(rig.now).unwrap()
}

/// The `event` is kept as received, after the repairs of W-7 and W-11.
#[test]
fn x_4_an_event_carries_the_json_it_came_as() {
    let event = r#"{ "text":"a\ud800", "size":NaN, "new":{"a":[1 , 2.50]}, "source":{"chat_id":-1001234} }"#;
    let kept = r#"{"text":"a\ufffd","size":null,"new":{"a":[1,2.50]},"source":{"chat_id":-1001234}}"#;
    let line = format!(r#"{{"type":"inbound","event":{event},"bufferId":"b1"}}"#);
    for (raw_events, expected) in [(true, Some(kept)), (false, None)] {
        let mut rig = rig(raw_events);
        rig.line(&line);
        let delivery = delivery(&mut rig);
        assert_eq!(delivery.content.raw(), expected);
    }
}

#[test]
fn x_4_a_forward_and_an_interaction_carry_theirs() {
    let body = json!({"type": 2, "id": "7", "channel_id": "c", "data": {"name": "ping"}});
    let body = BASE64.encode(body.to_string().as_bytes());
    for platform in ["twilio", "discord"] {
        let raw = format!(r#"{{"platform":"{platform}","region":"eu","bodyB64":"{body}"}}"#);
        let mut rig = rig(true);
        rig.line(&format!(r#"{{"type":"passthrough_forward","forward":{raw}}}"#));
        assert_eq!(delivery(&mut rig).content.raw(), Some(raw.as_str()), "{platform}");
    }
}

/// A body may span several lines. The copy is one line.
#[test]
fn x_4_h_6_a_signed_delivery_carries_its_event_on_one_line() {
    let mut rig = rig(true);
    let body = b"{\"type\":\"message\",\n \"event\":{\n  \"text\": \"hi\",\r\n  \"n\": -Infinity\n }}";
    let timestamp = rig.now.unix_s.to_string();
    let signature = signature::sign(body, &"key".into(), rig.now.unix_s);
    let request = WebhookRequest {
        method: "POST",
        path: "/",
        timestamp: Some(&timestamp),
        signature: Some(&signature),
        body: Body::Whole(body),
    };
    let _ = rig.machine.handle_webhook(rig.now, &request);
    assert_eq!(delivery(&mut rig).content.raw(), Some(r#"{"text":"hi","n":null}"#));
}

/// X-1: the copy's weight counts while it waits, and while the host has it.
#[test]
fn x_1_x_4_kept_json_counts_in_every_budget() {
    let padding = "x".repeat(50_000);
    let line = format!(r#"{{"type":"inbound","event":{{"text":"hi","new":"{padding}"}},"bufferId":"b1"}}"#);
    for (raw_events, expected) in [(true, true), (false, false)] {
        let mut rig = rig(raw_events);
        rig.line(&line);
        assert_eq!(rig.machine.usage().waiting_event_bytes > 50_000, expected);
        let delivery = delivery(&mut rig);
        assert_eq!(delivery.content.weight() > 50_000, expected);
        assert_eq!(rig.machine.usage().unsettled_bytes > 50_000, expected);
    }
    let mut rig = Rig::up_with(|config| {
        config.raw_events = true;
        config.limits.unsettled_bytes = 60_000;
    });
    for n in 0..4 {
        rig.line(
            &line
                .replace("b1", &format!("b{n}"))
                .replace("\"hi\"", &format!("\"hi\",\"message_id\":\"{n}\"")),
        );
    }
    assert_eq!((rig.machine.usage().unsettled_deliveries, rig.machine.usage().waiting_events), (2, 2));
}

#[test]
fn x_4_a_stale_answer_carries_its_event() {
    let mut rig = rig(true);
    let frame =
        r#"{"type":"inbound","event":{"x":1,"prompt_response":{"prompt_id":"P.ffffffff","option_id":"y"}}}"#;
    // This process never sent a prompt with this id.
    let prefix = rig.machine.prompts.next_id();
    let frame = frame.replace("P.", &prefix[..7]);
    let conn = rig.conn();
    rig.machine.handle_bytes(rig.now, conn, format!("{frame}\n").as_bytes());
    let Some(crate::output::Action::Notify(crate::output::Notice::StalePrompt { answer })) =
        rig.machine.poll_action()
    else {
        panic!("no notice");
    };
    assert!(answer.raw.is_some_and(|raw| raw.starts_with(r#"{"x":1,"#)));
}

#[test]
fn x_5_an_unknown_frame_reaches_a_host_that_asks() {
    let frames = [
        (
            r#"{"type":"presence", "who":["\udfff",Infinity]}"#,
            r#"frame presence {"type":"presence","who":["\ufffd",null]}"#,
        ),
        (r#"{"who":1,"type":"pre\u0073ence2"}"#, r#"frame presence2 {"who":1,"type":"pre\u0073ence2"}"#),
    ];
    let mut rig = Rig::up_with(|config| config.unknown_frames = true);
    for (line, expected) in frames {
        rig.line(line);
        rig.expect(&[expected]);
    }
    // Its entry does not block the drain (A-3).
    rig.line(r#"{"type":"presence","bufferId":"b1"}"#);
    let expected = r#"frame presence {"type":"presence","bufferId":"b1"}"#;
    rig.expect(&[expected, r#"> {"type":"inbound_ack","bufferId":"b1"}"#]);
    assert_eq!(rig.machine.stats().unknown_frames, 3);
    // An error is logged as always, and delivered.
    rig.line(r#"{"type":"error","error":"no","retry":7}"#);
    rig.expect(&["error no", r#"frame error {"type":"error","error":"no","retry":7}"#]);
    let mut rig = Rig::up();
    for (line, _) in frames {
        rig.line(line);
    }
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().unknown_frames, 2);
}

#[test]
fn x_5_an_unknown_frame_reaches_the_host_during_the_handshake() {
    let mut rig = Rig::with(|config| config.unknown_frames = true);
    rig.opened();
    rig.log();
    rig.line(r#"{"type":"motd","text":"welcome"}"#);
    rig.expect(&[r#"frame motd {"type":"motd","text":"welcome"}"#]);
}

/// X-1: frames that the driver has not taken stop the reading, as all actions do.
#[test]
fn x_1_x_5_unknown_frames_are_bounded_in_bytes() {
    let mut rig = Rig::up_with(|config| {
        config.unknown_frames = true;
        config.limits.read_ahead_bytes = 10_000;
    });
    let line = format!("{{\"type\":\"presence\",\"pad\":\"{}\"}}\n", "x".repeat(3000));
    let conn = rig.conn();
    let flood = line.repeat(20);
    let taken = rig.machine.handle_bytes(rig.now, conn, flood.as_bytes());
    assert_eq!(taken, 4 * line.len());
    assert!(rig.machine.usage().action_bytes >= 10_000);
}

/// D-10: an unknown field that changes is reported like any other.
#[test]
fn x_4_d_10_a_changed_unknown_field_is_named() {
    let mut rig = Rig::with(|_| ());
    rig.opened();
    rig.line(&descriptor("discord", r#","supports_polls":false"#));
    assert_eq!(rig.machine.descriptors()[0].unknown["supports_polls"], false);
    rig.lost();
    rig.next();
    rig.opened();
    rig.log();
    rig.line(&descriptor("discord", r#","supports_polls":true"#));
    rig.expect(&[r#"connected discord ["supports_polls"]"#]);
}
