//! Wake-ups of gateways that sleep, in virtual time.

use relayline_connector::{ConnId, ConnectorConfig, ConnectorMachine, Control, Transmit, Upgrade};
use relayline_control::http::Body;
use relayline_core::time::{Now, Time};
use serde_json::json;

const URL: &str = "http://127.0.0.1:8788/wake";

fn at(seconds: u64) -> Now {
    Now { mono: Time::from_millis(seconds * 1000), unix_s: 1_718_900_000 + seconds }
}

fn machine() -> ConnectorMachine {
    let config = ConnectorConfig::default().gateway("gw", "s1").gateway("other", "s2").wake_url("gw", URL);
    ConnectorMachine::new(config, [0; 32])
}

fn say(machine: &mut ConnectorMachine, now: Now, gateway: &str) {
    let event = json!({"text": "hi", "message_id": "m", "source": {"platform": "discord", "chat_id": "1"}});
    let line = json!({"do": "inbound", "gateway": gateway, "event": event});
    machine.control(now, Control::parse(&line.to_string()).unwrap()).unwrap();
}

/// Returns the URL of the next wake-up, and completes it.
fn woken(machine: &mut ConnectorMachine) -> Option<String> {
    let post = machine.poll_post()?;
    assert_eq!((post.request.method.as_str(), post.request.headers.len()), ("GET", 0));
    assert!(matches!(post.request.body, Body::Empty));
    machine.handle_posted(post.id, Ok((200, b"awake\n")));
    Some(post.request.url.to_string())
}

#[test]
fn a_gateway_that_sleeps_is_woken_once_until_it_does_not_come() {
    let mut machine = machine();
    say(&mut machine, at(0), "gw");
    say(&mut machine, at(1), "gw");
    assert_eq!((woken(&mut machine).as_deref(), woken(&mut machine)), (Some(URL), None));
    let saw = serde_json::to_value(machine.poll_observation().unwrap()).unwrap();
    assert_eq!(
        saw,
        json!({"saw": "http", "gateway": "gw", "by": "connector", "method": "GET", "path": "/wake", "status": 200})
    );
    assert_eq!(machine.deadline(), Some(at(30).mono));
    machine.handle_tick(at(29));
    assert_eq!(woken(&mut machine), None);
    machine.handle_tick(at(30));
    assert_eq!((woken(&mut machine).as_deref(), machine.deadline()), (Some(URL), Some(at(60).mono)));
}

#[test]
fn a_gateway_without_a_url_is_not_woken() {
    let mut machine = machine();
    say(&mut machine, at(0), "other");
    assert_eq!((woken(&mut machine), machine.deadline()), (None, None));
}

#[test]
fn a_gateway_that_connects_is_not_woken_again() {
    let mut machine =
        ConnectorMachine::new(ConnectorConfig::default().gateway("gw", "s1").wake_url("gw", URL), [0; 32]);
    say(&mut machine, at(0), "gw");
    assert_eq!(woken(&mut machine).as_deref(), Some(URL));
    let token = relayline_core::token::mint("gw", &"s1".into(), at(1).unix_s, 60);
    let conn = ConnId(7);
    let upgrade = machine.handle_upgrade(at(1), conn, "/relay", Some(&format!("Bearer {}", token.expose())));
    assert!(matches!(upgrade, Upgrade::Accept { .. }), "{upgrade:?}");
    machine.handle_bytes(at(1), conn, b"{\"type\":\"hello\",\"platform\":\"discord\",\"botId\":\"1\"}\n");
    let mut out = Vec::new();
    let frames = std::iter::from_fn(|| machine.poll_transmit(&mut out))
        .filter(|sent| matches!(sent, Transmit::Frame { .. }));
    assert_eq!(frames.count(), 2, "a descriptor and the entry");
    machine.handle_tick(at(2));
    assert_eq!(woken(&mut machine), None);
    // It sleeps again, and the next message wakes it at once.
    machine.handle_closed(at(3), conn, None, "");
    say(&mut machine, at(4), "gw");
    assert_eq!(woken(&mut machine).as_deref(), Some(URL));
}
