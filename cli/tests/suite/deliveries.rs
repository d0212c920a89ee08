//! H-6: signed webhook requests reach the agent like messages, from a connector that signs them, on either runtime.

use crate::bridging::Bridge;
use crate::support::{Program, SOON, relayline};
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation, Webhook};
use serde_json::{Map, Value, json};
use std::net::TcpListener;

on_one_runtime! {
    h_6_a_signed_delivery_is_accepted_once_written h_6_a_port_that_is_taken_is_logged_and_stops_nothing,
}

/// Starts a connected gateway (discord) that accepts these keys on this address.
fn start(runtime: &str, listen: &str, keys: &str) -> Bridge {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = relayline(["run", "--runtime", runtime, "--platform", "discord", "--bot-id", "1"]);
    command.args(["--url", &connector.url(), "--inbound-listen", listen]);
    command.env("GATEWAY_RELAY_DELIVERY_KEY", keys);
    let mut bridge = Bridge { program: Program::start(command), connector, ids: Ids::new([0; 32]) };
    assert_eq!(bridge.next()["event"], "connected");
    bridge
}

/// Posts a webhook request. `answered` awaits its answer.
fn post(bridge: &Bridge, url: &str, key: &str, what: Webhook) {
    bridge.tell(Act::Deliver(what.url(url).key(key)));
}

#[track_caller]
fn answered(bridge: &Bridge) -> Option<u16> {
    match bridge.connector.wait_for(|saw| matches!(saw, Observation::Http { .. }), SOON) {
        Ok(Observation::Http { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn h_6_a_signed_delivery_is_accepted_once_written(runtime: &str) {
    let mut bridge = start(runtime, "127.0.0.1:0", "new-key, old-key");
    let url = format!("http://{}", bridge.program.logged("inbound_listening address="));
    let mut event = |text: &str| {
        let now = relayline_core::time::Now { unix_s: 1_718_900_000, ..Default::default() };
        Webhook::event(discord::dm().message(&mut bridge.ids, now, text))
    };
    let (first, refused, second) = (event("first"), event("refused"), event("second"));
    for (key, delivery, text) in [("new-key", first.clone(), "first"), ("old-key", second, "second")] {
        post(&bridge, &url, key, delivery);
        let line = bridge.next();
        assert_eq!((&line["event"], &line["buffered"]), (&json!("message"), &json!(false)), "{line}");
        assert_eq!(line["message"]["text"], text);
        assert_eq!(answered(&bridge), Some(200));
        // Acknowledging it is harmless.
        bridge.say(json!({"op": "ack", "delivery": line["delivery"]}));
    }
    // Wrong keys, old signatures and repetitions are rejected: the next line is the interrupt's.
    post(&bridge, &url, "another-key", refused.clone());
    assert_eq!(answered(&bridge), Some(401));
    post(&bridge, &url, "new-key", refused.skew_s(-302));
    assert_eq!(answered(&bridge), Some(401));
    post(&bridge, &url, "new-key", first);
    assert_eq!(answered(&bridge), Some(200), "A-4: it was taken");
    let interrupt = object(json!({"session_key": "agent:main:discord:dm:1", "chat_id": "1"}));
    post(&bridge, &url, "new-key", Webhook::interrupt(interrupt));
    assert_eq!(
        bridge.next(),
        json!({"event": "interrupt", "session_key": "agent:main:discord:dm:1", "chat_id": "1"})
    );
    assert_eq!(answered(&bridge), Some(200));
    let log = bridge.program.log();
    assert!(!log.contains("new-key") && !log.contains("old-key"), "C-4: {log}");
    bridge.program.close_stdin();
    bridge.ends_well();
}

fn h_6_a_port_that_is_taken_is_logged_and_stops_nothing(runtime: &str) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bridge = start(runtime, &taken.local_addr().unwrap().to_string(), "key");
    let why = bridge.program.logged("inbound_failed");
    assert!(why.contains("in use"), "{why}");
    let sent = bridge.ask(json!({"op": "send", "chat_id": "1", "content": "all is well"}));
    assert!(sent["message_id"].is_string(), "{sent}");
    bridge.program.close_stdin();
    bridge.ends_well();
}
