//! P-2: the handling of forwards.

use super::driver::Rig;
use data_encoding::BASE64;
use serde_json::{Value, json};

fn forward(platform: &str, body: &Value, entry: Option<&str>) -> String {
    let body = BASE64.encode(body.to_string().as_bytes());
    let mut frame = json!({"type": "passthrough_forward",
        "forward": {"platform": platform, "method": "POST", "path": "/hook", "bodyB64": body}});
    if let Some(entry) = entry {
        frame["bufferId"] = entry.into();
    }
    frame.to_string()
}

fn command() -> Value {
    json!({"type": 2, "id": "77", "channel_id": "c", "data": {"name": "ping"}, "user": {"id": "u"}})
}

#[test]
fn p_2_a_discord_interaction_becomes_a_message() {
    let mut rig = Rig::up();
    rig.line(&forward("discord", &command(), None));
    rig.expect(&["deliver 1 live c 77"]);
    // The chat is remembered like any other (M-1).
    assert_eq!(rig.machine.chat("c").map(|chat| chat.platform.as_str()), Some("discord"));
}

#[test]
fn a_1_a_buffered_forward_is_acknowledged_once_accepted() {
    let mut rig = Rig::up();
    rig.line(&forward("discord", &command(), Some("e1")));
    rig.expect(&["deliver 1 buffered c 77"]);
    rig.taken(1);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    // The entry identifies it as a duplicate (A-4).
    rig.line(&forward("discord", &command(), Some("e1")));
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
}

#[test]
fn p_2_p_6_other_interactions_are_acknowledged() {
    let mut rig = Rig::up();
    for (entry, body) in [("e1", json!({"type": 1})), ("e2", json!([1])), ("e3", json!({"type": 4}))] {
        rig.line(&forward("discord", &body, Some(entry)));
        rig.expect(&[&format!(r#"> {{"type":"inbound_ack","bufferId":"{entry}"}}"#)]);
    }
    assert_eq!(rig.machine.stats().silent_interactions, 3);
    rig.line(r#"{"type":"passthrough_forward","forward":{"platform":"discord","bodyB64":"!!"}}"#);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().undecodable_bodies, 1);
}

#[test]
fn p_2_other_platforms_go_to_hosts_that_ask() {
    let body = json!("From=1");
    let mut rig = Rig::up();
    rig.line(&forward("twilio", &body, Some("e1")));
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
    assert_eq!(rig.machine.stats().unwanted_forwards, 1);

    let mut rig = Rig::up_with(|config| config.passthrough = true);
    rig.line(&forward("twilio", &body, Some("e1")));
    rig.expect(&["deliver 1 buffered forward twilio /hook"]);
    rig.taken(1);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"e1"}"#]);
}

/// A-3: an unusable forward is handled like an `inbound` frame without an event.
#[test]
fn a_3_an_unusable_forward_is_a_dead_letter() {
    for passthrough in [true, false] {
        let mut rig = Rig::up_with(|config| config.passthrough = passthrough);
        for forward in [r#","forward":"nonsense""#, r#","forward":null"#, r#","forward":[]"#, ""] {
            rig.line(&format!(r#"{{"type":"passthrough_forward"{forward},"bufferId":"b"}}"#));
            rig.expect(&[
                r#"dead letter Some("b"): a passthrough_forward frame had no `forward` object"#,
                r#"> {"type":"inbound_ack","bufferId":"b"}"#,
            ]);
        }
        assert_eq!((rig.machine.stats().unusable_events, rig.machine.stats().unwanted_forwards), (4, 0));
    }
}
