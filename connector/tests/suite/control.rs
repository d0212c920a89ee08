//! Instructions of a connector, as a script's author writes them.

use relayline_connector::{Act, Control, Webhook};
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn every_line_of_the_table_is_read() {
    let check = |line: &str, expected: Act| {
        assert_eq!(Control::parse(line), Ok(Control::from(expected)), "{line}");
    };
    let event = || object(json!({"text": "hi"}));
    check(r#"{"do":"inbound","event":{"text":"hi"}}"#, Act::Inbound { event: event(), buffered: None });
    check(
        r#"{"do":"inbound","event":{"text":"hi"},"buffered":true}"#,
        Act::Inbound { event: event(), buffered: Some(true) },
    );
    check(
        r#"{"do":"inbound","event":{"text":"hi"},"buffered":false}"#,
        Act::Inbound { event: event(), buffered: Some(false) },
    );
    check(
        r#"{"do":"inbound","event":{"text":"hi"},"buffered":null}"#,
        Act::Inbound { event: event(), buffered: None },
    );
    check(
        r#"{"do":"passthrough","forward":{"platform":"twilio"},"buffered":true}"#,
        Act::Passthrough { forward: object(json!({"platform": "twilio"})), buffered: Some(true) },
    );
    let interrupt = |chat_id: &str| Act::Interrupt { session_key: "k".into(), chat_id: chat_id.into() };
    check(r#"{"do":"interrupt","session_key":"k"}"#, interrupt(""));
    check(r#"{"do":"interrupt","session_key":"k","chat_id":"1"}"#, interrupt("1"));
    check(r#"{"do":"drop"}"#, Act::Drop);
    check(r#"{"do":"close"}"#, Act::Close { code: 1000, reason: String::new() });
    check(
        r#"{"do":"close","code":4429,"reason":"duplicate"}"#,
        Act::Close { code: 4429, reason: "duplicate".into() },
    );
    check(r#"{"do":"revoke"}"#, Act::Revoke { on: true });
    check(r#"{"do":"revoke","on":false}"#, Act::Revoke { on: false });
    check(r#"{"do":"expire"}"#, Act::Expire);
    check(r#"{"do":"mute"}"#, Act::Mute { on: true });
    check(r#"{"do":"mute","on":false}"#, Act::Mute { on: false });
    check(r#"{"do":"idle_ack","on":false}"#, Act::IdleAck { on: false });
    check(
        r#"{"do":"answer","op":"send","result":{"success":false}}"#,
        Act::Answer { op: "send".into(), result: json!({"success": false}) },
    );
    check(
        r#"{"do":"answer","op":"send","result":null}"#,
        Act::Answer { op: "send".into(), result: Value::Null },
    );
    check(r#"{"do":"delay","op":"edit","ms":250}"#, Act::Delay { op: "edit".into(), ms: 250 });
    check(
        r#"{"do":"descriptor","descriptor":{"platform":"discord"}}"#,
        Act::Descriptor { descriptor: object(json!({"platform": "discord"})), platform: None },
    );
    check(
        r#"{"do":"descriptor","platform":"discord","descriptor":{}}"#,
        Act::Descriptor { descriptor: Map::new(), platform: Some("discord".into()) },
    );
    check(r#"{"do":"raw","text":"{}\n"}"#, Act::Raw { text: "{}\n".into() });
    let token = |tenant: &str, ttl_s| Act::EnrollToken { token: "t".into(), tenant: tenant.into(), ttl_s };
    check(r#"{"do":"enroll_token","token":"t"}"#, token("default", None));
    check(r#"{"do":"enroll_token","token":"t","tenant":"acme","ttl_s":60}"#, token("acme", Some(60)));
    let rotate = |overlap_ms, secret: Option<&str>, delivery_key: Option<&str>| Act::Rotate {
        overlap_ms,
        secret: secret.map(Into::into),
        delivery_key: delivery_key.map(Into::into),
    };
    check(r#"{"do":"rotate"}"#, rotate(60_000, None, None));
    check(
        r#"{"do":"rotate","overlap_ms":0,"secret":"s","delivery_key":"k"}"#,
        rotate(0, Some("s"), Some("k")),
    );
    let message = Webhook::event(event());
    check(r#"{"do":"deliver","event":{"text":"hi"}}"#, Act::Deliver(message.clone()));
    check(
        r#"{"do":"deliver","event":{"text":"hi"},"url":"http://x","key":"k","skew_s":-301}"#,
        Act::Deliver(message.url("http://x").key("k").skew_s(-301)),
    );
    let interrupt = object(json!({"session_key": "k"}));
    check(r#"{"do":"deliver","interrupt":{"session_key":"k"}}"#, Act::Deliver(Webhook::interrupt(interrupt)));
    assert_eq!(Control::parse(r#"{"do":"drop","gateway":"gw"}"#), Ok(Act::Drop.on("gw")));
    assert_eq!(Control::parse(r#"{"do":"drop","gateway":null}"#), Ok(Act::Drop.into()));
}

#[test]
fn an_error_names_the_problem_of_a_line() {
    let check = |line: &str, expected: &str| {
        let error = Control::parse(line).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{line}: {error}");
    };
    check("drop", "not a JSON object, like {\"do\":\"drop\"}: expected value at column 1");
    check(
        "[]",
        "not a JSON object, like {\"do\":\"drop\"}: invalid type: sequence, expected a map at column ",
    );
    check(r#"{"event":{}}"#, "`do` is missing: it says what to do");
    check(r#"{"do":"dorp"}"#, "unknown `do` `dorp`, expected one of `inbound`, `passthrough`, `interrupt`");
    check(r#"{"do":7}"#, "invalid type: integer `7`, expected variant identifier");
    check(r#"{"do":"inbound"}"#, "missing field `event`");
    check(r#"{"do":"inbound","event":"hi"}"#, "invalid type: string \"hi\", expected a map");
    check(
        r#"{"do":"inbound","event":{},"bufered":true}"#,
        "unknown field `bufered`, expected `event` or `buffered`",
    );
    check(r#"{"do":"drop","gatway":"gw"}"#, "unknown field `gatway`");
    check(r#"{"do":"drop","gateway":7}"#, "`gateway` must be a gateway's id, not 7");
    check(r#"{"do":"close","code":70000}"#, "invalid value: integer `70000`, expected u16");
    check(r#"{"do":"idle_ack"}"#, "missing field `on`");
    check(r#"{"do":"idle_ack","on":"no"}"#, "invalid type: string \"no\", expected a boolean");
    check(r#"{"do":"answer","op":"send"}"#, "missing field `result`");
    check(r#"{"do":"delay","op":"send","ms":-1}"#, "invalid value: integer `-1`, expected u64");
    check(r#"{"do":"raw"}"#, "missing field `text`");
    check(r#"{"do":"enroll_token"}"#, "missing field `token`");
    // C-4: a number may be a secret, too.
    for line in [
        r#"{"do":"enroll_token","token":7}"#,
        r#"{"do":"rotate","secret":7}"#,
        r#"{"do":"rotate","delivery_key":" "}"#,
        r#"{"do":"deliver","event":{},"key":["7"]}"#,
    ] {
        check(line, "a token, secret or key must be a string that is not blank");
    }
    check(
        r#"{"do":"rotate","overlap":1}"#,
        "unknown field `overlap`, expected one of `overlap_ms`, `secret`",
    );
    check(r#"{"do":"deliver","evnt":{}}"#, "unknown field `evnt`, expected one of `event`, `interrupt`");
}
