//! Webhook requests that the connector signs, in virtual time.

use relayline_connector::{
    Act, ConnectorConfig, ConnectorMachine, Control, ControlError, HttpBody, HttpHead, Limits, Webhook,
};
use relayline_control::http::{Body, Request};
use relayline_core::secret::Secret;
use relayline_core::signature::{SignatureError, verify};
use relayline_core::time::Now;
use serde_json::{Map, Value, json};

const KEY: &str = "hunter2-key";

fn now() -> Now {
    Now { unix_s: 1_718_900_000, ..Now::default() }
}

fn machine() -> ConnectorMachine {
    let config = ConnectorConfig::default()
        .gateway("gw", "s1")
        .delivery_key("gw", KEY)
        .gateway("keyless", "s2")
        .identity("access", "default");
    let mut limits = Limits::default();
    limits.webhooks = 3;
    ConnectorMachine::new(config.limits(limits), [0; 32])
}

/// Provisions a platform. Returns the issued delivery key, which replaces the earlier one (H-4).
fn provision(machine: &mut ConnectorMachine, platform: &str, endpoint: &str) -> String {
    let head = HttpHead {
        method: "POST",
        path: "/relay/provision",
        authorization: Some("Bearer access"),
        content_type: None,
        media_filename: None,
    };
    let body = json!({
        "gatewayId": "gw", "platform": platform, "botId": "", "gatewayEndpoint": endpoint, "routeKeys": [],
    });
    let answer = machine.handle_http(now(), &head, HttpBody::Whole(body.to_string().into()));
    assert_eq!(answer.status, 200);
    let issued: Value = serde_json::from_slice(&answer.body).unwrap();
    issued["deliveryKey"].as_str().unwrap().to_owned()
}

fn tell(machine: &mut ConnectorMachine, line: &str) -> Result<(), ControlError> {
    machine.control(now(), Control::parse(line)?)
}

fn saw(machine: &mut ConnectorMachine) -> Value {
    serde_json::to_value(machine.poll_observation().unwrap()).unwrap()
}

/// Verifies a request as a gateway with this key would.
fn verified(request: &Request, key: &str) -> Result<(), SignatureError> {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let Body::Bytes(body) = &request.body else { panic!("a body") };
    let (timestamp, signature) = (header("x-relay-timestamp"), header("x-relay-signature"));
    verify(body, timestamp, signature, &[Secret::from(key)], now().unix_s)
}

#[test]
fn c_3_a_webhook_is_signed_and_posted_to_the_endpoint() {
    let mut machine = machine();
    provision(&mut machine, "discord", "http://gw.example:9/in/");
    let key = provision(&mut machine, "slack", "https://slack.example");
    while machine.poll_observation().is_some() {}
    let discord = json!({"text": "hi", "source": {"platform": "discord"}});
    for (line, url, path, body) in [
        (
            json!({"do": "deliver", "gateway": "gw", "event": discord}),
            "http://gw.example:9/in/",
            "/in/",
            json!({"type": "message", "event": discord}),
        ),
        (
            json!({"do": "deliver", "gateway": "gw", "event": {"text": "hi"}}),
            "https://slack.example/",
            "/",
            json!({"type": "message", "event": {"text": "hi"}}),
        ),
        (
            json!({"do": "deliver", "gateway": "gw", "interrupt": {"session_key": "k"}}),
            "https://slack.example/interrupt",
            "/interrupt",
            json!({"type": "interrupt", "session_key": "k"}),
        ),
        (
            json!({"do": "deliver", "gateway": "gw", "interrupt": {"session_key": "k"}, "url": "http://x/y/?z=1"}),
            "http://x/y/interrupt?z=1",
            "/y/interrupt",
            json!({"type": "interrupt", "session_key": "k"}),
        ),
    ] {
        tell(&mut machine, &line.to_string()).unwrap();
        let post = machine.poll_post().unwrap();
        assert_eq!(post.request.url, url);
        assert_eq!(verified(&post.request, &key), Ok(()));
        let Body::Bytes(bytes) = &post.request.body else { panic!("a body") };
        assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), body);
        assert!(!format!("{post:?} {machine:?}").contains(&key));
        machine.handle_posted(post.id, Ok((200, br#"{"ok":true}"#)));
        let expected = json!({
            "saw": "http", "gateway": "gw", "by": "connector", "method": "POST", "path": path, "status": 200,
            "request": body, "answer": {"ok": true},
        });
        assert_eq!(saw(&mut machine), expected);
    }
}

#[test]
fn c_3_a_webhook_is_signed_with_the_newest_or_a_given_key() {
    let mut machine = machine();
    let mut check = |more: Value, key: &str, expected: Result<(), SignatureError>| {
        let mut line = json!({"do": "deliver", "gateway": "gw", "event": {}, "url": "http://x"});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tell(&mut machine, &line.to_string()).unwrap();
        let post = machine.poll_post().unwrap();
        assert_eq!(verified(&post.request, key), expected, "{line}");
        machine.handle_posted(post.id, Err("refused"));
        let rotate = Control::parse(r#"{"do":"rotate","gateway":"gw","delivery_key":"newer"}"#).unwrap();
        machine.control(now(), rotate).unwrap();
    };
    check(json!({}), KEY, Ok(()));
    check(json!({}), "newer", Ok(()));
    check(json!({"key": "other"}), "newer", Err(SignatureError::Mismatch));
    check(json!({"skew_s": 300}), "newer", Ok(()));
    check(json!({"skew_s": -301}), "newer", Err(SignatureError::Stale));
    let overlap = Act::Rotate { overlap_ms: 0, secret: None, delivery_key: None };
    machine.control(now(), overlap.on("keyless")).unwrap();
    tell(&mut machine, r#"{"do":"deliver","gateway":"keyless","event":{},"url":"http://x"}"#).unwrap();
    assert_eq!(
        verified(&machine.poll_post().unwrap().request, "newer"),
        Err(SignatureError::Mismatch),
        "drawn"
    );
}

#[test]
fn a_7_each_gateways_deliveries_keep_their_order() {
    let mut machine = machine();
    let deliver = |id: &str, text: &str| {
        let event = Map::from_iter([("text".to_owned(), text.into())]);
        Act::Deliver(Webhook::event(event).url("http://x").key("k")).on(id)
    };
    for (id, text) in [("gw", "one"), ("gw", "two"), ("keyless", "three")] {
        machine.control(now(), deliver(id, text)).unwrap();
    }
    assert_eq!(machine.control(now(), deliver("gw", "four")), Err(ControlError::TooManyWebhooks(3)));
    let next = |machine: &mut ConnectorMachine| machine.poll_post().map(|post| post.id);
    assert_eq!([next(&mut machine), next(&mut machine), next(&mut machine)], [Some(1), Some(3), None]);
    machine.handle_posted(3, Ok((200, b"")));
    assert_eq!(next(&mut machine), None, "the other's answer frees nothing");
    machine.handle_posted(1, Err("no connection"));
    assert_eq!((next(&mut machine), next(&mut machine)), (Some(2), None));
    // Unknown requests and requests that were answered already change nothing.
    machine.handle_posted(1, Ok((200, b"")));
    machine.handle_posted(9, Ok((200, b"")));
    assert_eq!(
        (saw(&mut machine)["status"].clone(), saw(&mut machine)["error"].clone()),
        (json!(200), json!("no connection"))
    );
    assert!(machine.poll_observation().is_none());
    // A crash drops pending requests.
    assert_eq!(machine.restart().poll_post(), None);
}

#[test]
fn c_4_the_outcome_of_a_webhook_shows_no_key() {
    let mut machine = machine();
    let parrot = format!(r#"{{"error":"your key is {KEY}"}}"#);
    for (outcome, status, error, answer) in [
        (Ok((401, parrot.as_bytes())), json!(401), json!("your key is <hidden>"), true),
        (Ok((200, b"<html>".as_slice())), json!(200), Value::Null, false),
        (Ok((503, b"\xff".as_slice())), json!(503), Value::Null, false),
        (Err("no connection"), Value::Null, json!("no connection"), false),
    ] {
        tell(&mut machine, r#"{"do":"deliver","gateway":"gw","event":{},"url":"http://x"}"#).unwrap();
        let post = machine.poll_post().unwrap();
        machine.handle_posted(post.id, outcome);
        let saw = saw(&mut machine);
        assert_eq!(
            (&saw["status"], &saw["error"], saw.get("answer").is_some()),
            (&status, &error, answer),
            "{saw}"
        );
    }
}

#[test]
fn a_webhook_that_cannot_be_posted_has_advice() {
    let mut machine = machine();
    for (line, expected) in [
        (r#"{"do":"deliver","event":{}}"#, r#"which gateway? Add "gateway": one of `gw`, `keyless`"#),
        (
            r#"{"do":"deliver","gateway":"gw","event":{}}"#,
            r#"`gw` has given no endpoint: add "url", or let it provision with a gatewayEndpoint"#,
        ),
        (
            r#"{"do":"deliver","gateway":"keyless","event":{},"url":"http://x"}"#,
            r#"there is no delivery key for `keyless`: give it one at the start, rotate its credentials, or add "key""#,
        ),
        (
            r#"{"do":"deliver","gateway":"gw","event":{},"url":"http://me:pw@x"}"#,
            "`url` must be an http or https URL, without user-info",
        ),
        (
            r#"{"do":"deliver","gateway":"gw"}"#,
            r#"`deliver` wants an "event" or an "interrupt", one of them"#,
        ),
        (
            r#"{"do":"deliver","gateway":"gw","event":{},"interrupt":{}}"#,
            r#"`deliver` wants an "event" or an "interrupt", one of them"#,
        ),
        (
            r#"{"do":"enroll_token","gateway":"gw","token":"t"}"#,
            r#"`enroll_token` is about no gateway: leave out "gateway""#,
        ),
    ] {
        assert_eq!(tell(&mut machine, line).unwrap_err().to_string(), expected, "{line}");
    }
    assert_eq!(machine.poll_post(), None);
}
