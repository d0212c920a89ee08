//! Behaviours of connectors, tested with `relayline run` over real sockets on both runtimes.
//!
//! No test sleeps: each step waits for its own effect, up to a time limit.

use crate::side_car::proxy::Proxy;
use crate::side_car::{ID, SECRET, SideCar};
use crate::support::SOON;
use relayline_connector::{Act, ConnectorConfig, Duplicates, EmbeddedConnector, Observation, UpgradeRefusal};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

on_one_runtime! {
    l_8_an_expired_token_is_an_ordinary_loss l_9_l_10_refused_twice_is_revoked,
    l_9_the_401_of_a_proxy_is_never_final l_9_refused_once_and_then_accepted_it_continues,
    l_9_a_refusal_on_the_accepted_connection_is_final l_18_a_displaced_older_session_backs_off,
    l_18_a_refused_newer_session_backs_off l_18_every_other_close_is_reported_as_ordinary,
    l_4_a_silent_peer_causes_a_dial_time_out l_4_a_mute_connector_causes_a_handshake_time_out,
    l_11_a_half_open_connection_is_detected w_5_an_overlong_line_is_only_a_dead_letter,
    a_2_a_8_a_drain_with_a_refused_entry_loses_nothing,
}

fn connector() -> EmbeddedConnector {
    connector_with(Duplicates::default())
}

fn connector_with(duplicates: Duplicates) -> EmbeddedConnector {
    let config = ConnectorConfig::default().duplicates(duplicates).gateway(ID, SECRET);
    EmbeddedConnector::start(config, "127.0.0.1:0").unwrap()
}

fn connector_refusing_by(upgrade_refusal: UpgradeRefusal) -> EmbeddedConnector {
    let config = ConnectorConfig::default().upgrade_refusal(upgrade_refusal).gateway(ID, SECRET);
    EmbeddedConnector::start(config, "127.0.0.1:0").unwrap()
}

fn event(text: &str) -> Map<String, Value> {
    let source = json!({"platform": "discord", "chat_id": "c1", "user_id": "u1"});
    let event = json!({"text": text, "message_id": text, "source": source});
    event.as_object().unwrap().clone()
}

fn deliver(connector: &EmbeddedConnector, text: &str) {
    connector.control(Act::Inbound { event: event(text), buffered: None }).unwrap();
}

/// Returns the statuses and errors of the dials since the last call.
fn dials(connector: &EmbeddedConnector) -> Vec<(Option<u16>, Option<&'static str>)> {
    let saws = std::iter::from_fn(|| connector.next_observation(Duration::ZERO));
    let dial =
        |saw| if let Observation::Dial { status, error, .. } = saw { Some((status, error)) } else { None };
    saws.filter_map(dial).collect()
}

/// Asserts that a message gets through, as the next line for the host.
#[track_caller]
fn alive(connector: &EmbeddedConnector, gateway: &mut SideCar, text: &str) {
    deliver(connector, text);
    assert_eq!(gateway.message().1, text);
}

/// Asserts the wait of a back-off, for this attempt, counted from 1, with the first wait `first` (L-5).
#[track_caller]
fn backs_off(retry_in_ms: Option<u64>, first: u64, attempt: u32) {
    let most = first << (attempt - 1);
    let wait = retry_in_ms.expect("it dials again");
    // The line has whole milliseconds.
    assert!(
        (most / 2..=most).contains(&wait),
        "attempt {attempt} waits {wait} ms, not {} to {most}",
        most / 2
    );
}

fn refuse_once() -> Act {
    Act::Close { code: 4401, reason: "unauthorized".to_owned() }
}

fn l_8_an_expired_token_is_an_ordinary_loss(runtime: &str) {
    for how in [UpgradeRefusal::Close, UpgradeRefusal::Http] {
        expires(runtime, how);
    }
}

/// Returns the status of a refused upgrade.
fn status_of(how: UpgradeRefusal) -> Option<u16> {
    (how == UpgradeRefusal::Http).then_some(401)
}

fn expires(runtime: &str, how: UpgradeRefusal) {
    let connector = connector_refusing_by(how);
    let mut gateway = SideCar::start(runtime, &connector.url(), &["backoff_first=40ms", "backoff_most=10s"]);
    gateway.event("connected");
    // Several times: this never adds up to a revocation.
    for attempt in 1..=3 {
        connector.control(Act::Expire).unwrap();
        let (code, reason, retry_in_ms) = gateway.disconnected();
        assert_eq!((code, reason.as_str()), (Some(4401), "expired"));
        backs_off(retry_in_ms, 40, attempt);
        gateway.event("connected");
    }
    // Also at the upgrade. This needs a drop before it, so that there is no connection to close.
    connector.control(Act::Drop).unwrap();
    connector.control(Act::Expire).unwrap();
    let (code, _, retry_in_ms) = gateway.disconnected();
    assert_eq!(code, None);
    backs_off(retry_in_ms, 40, 4);
    let (code, reason, retry_in_ms) = gateway.disconnected();
    match how {
        UpgradeRefusal::Close => assert_eq!((code, reason.as_str()), (Some(4401), "expired")),
        UpgradeRefusal::Http => assert!(code.is_none() && reason.contains("401"), "{code:?} {reason}"),
    }
    backs_off(retry_in_ms, 40, 5);
    gateway.event("connected");
    alive(&connector, &mut gateway, "still there");
    let (accepted, refused) = ((None, None), (status_of(how), Some("expired")));
    assert_eq!(dials(&connector), [accepted, accepted, accepted, accepted, refused, accepted]);
}

fn l_9_l_10_refused_twice_is_revoked(runtime: &str) {
    for how in [UpgradeRefusal::Close, UpgradeRefusal::Http] {
        is_revoked(runtime, how);
    }
}

fn is_revoked(runtime: &str, how: UpgradeRefusal) {
    let connector = connector_refusing_by(how);
    let mut gateway = SideCar::start(runtime, &connector.url(), &["backoff_first=10s", "backoff_most=10s"]);
    gateway.event("connected");
    connector.control(Act::Delay { op: "send".to_owned(), ms: 3_600_000 }).unwrap();
    gateway.op(json!({"op": "send", "id": 1, "chat_id": "c1", "content": "unanswered"}));
    let sent =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "outbound");
    connector.wait_for(sent, SOON).unwrap();

    connector.control(Act::Revoke { on: true }).unwrap();
    let mut heard = vec![gateway.next(), gateway.next()];
    heard.sort_by_key(|event| event["event"].to_string());
    let [disconnected, result] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(
        (&disconnected["code"], &disconnected["reason"]),
        (&json!(4401), &json!("unauthorized")),
        "{disconnected}"
    );
    assert_eq!(disconnected["retry_in_ms"], 0, "the one immediate re-dial");
    // O-4: the request was written, so its outcome is unknown.
    assert_eq!((&result["id"], &result["error"]["kind"]), (&json!(1), &json!("ambiguous")), "{result}");

    let (code, reason, retry_in_ms) = gateway.disconnected();
    assert_eq!(retry_in_ms, None);
    match how {
        UpgradeRefusal::Close => assert_eq!((code, reason.as_str()), (Some(4401), "revoked")),
        UpgradeRefusal::Http => assert!(code.is_none() && reason.contains("401"), "{code:?} {reason}"),
    }
    let fatal = gateway.event("fatal");
    assert_eq!((&fatal["code"], &fatal["retryable"]), (&json!("relay_disabled"), &json!(false)));
    assert!(fatal["message"].as_str().unwrap().contains("recreate"), "{fatal}");
    assert_eq!(gateway.exit_code(), Some(3));
    // The program is gone: what was dialed until now is all there ever was.
    let error = if how == UpgradeRefusal::Http { "unauthorized" } else { "revoked" };
    assert_eq!(dials(&connector), [(status_of(how), Some(error))], "the first was seen above");
}

/// Only the connector's own verdict leads to exit code 3: a proxy's 401 between two verdicts changes nothing.
fn l_9_the_401_of_a_proxy_is_never_final(runtime: &str) {
    let connector = connector();
    let proxy = Proxy::start(connector.local_addr());
    let mut gateway = SideCar::start(runtime, &proxy.url(), &[]);
    gateway.event("connected");
    let answer = |head: &str, body: &str| {
        format!("HTTP/1.1 401 Unauthorized\r\n{head}content-length: {}\r\n\r\n{body}", body.len())
    };
    let verdict = r#"{"error":"unauthorized"}"#;
    proxy.answer([
        answer("", ""),
        answer("", "<h1>Who are you?</h1>"),
        answer("www-authenticate: Basic realm=\"x\"\r\n", verdict),
        answer("", verdict).replace("content-length: 24", "content-length: 99"),
        answer("", verdict).replacen("401 Unauthorized", "403 Forbidden", 1),
    ]);
    connector.control(refuse_once()).unwrap();
    assert_eq!(gateway.disconnected().0, Some(4401));
    for status in ["401", "401", "401", "401", "403"] {
        let (code, reason, retry_in_ms) = gateway.disconnected();
        let start = format!("credentials refused: the upgrade was answered {status} ");
        assert!(code.is_none() && reason.starts_with(&start) && retry_in_ms.is_some(), "{reason}");
    }
    gateway.event("connected");
    alive(&connector, &mut gateway, "still there");
    // That connection was a probe. On the next one a refusal is the first one again.
    connector.control(Act::Drop).unwrap();
    gateway.disconnected();
    gateway.event("connected");
    // The same 401, but from the connector.
    proxy.answer([answer("", verdict)]);
    connector.control(refuse_once()).unwrap();
    assert_eq!(gateway.disconnected().0, Some(4401));
    gateway.disconnected();
    gateway.event("fatal");
    assert_eq!(gateway.exit_code(), Some(3));
}

fn l_9_refused_once_and_then_accepted_it_continues(runtime: &str) {
    let connector = connector();
    let mut gateway = SideCar::start(runtime, &connector.url(), &[]);
    gateway.event("connected");
    // Each refusal is retried at once, as long as an ordinary connection is between them.
    for round in 0..3 {
        connector.control(refuse_once()).unwrap();
        let (code, reason, retry_in_ms) = gateway.disconnected();
        assert_eq!((code, reason.as_str(), retry_in_ms), (Some(4401), "unauthorized", Some(0)), "{round}");
        gateway.event("connected");
        alive(&connector, &mut gateway, &format!("round {round}"));
        connector.control(Act::Drop).unwrap();
        assert_eq!(gateway.disconnected().0, None);
        gateway.event("connected");
    }
}

fn l_9_a_refusal_on_the_accepted_connection_is_final(runtime: &str) {
    let connector = connector();
    let mut gateway = SideCar::start(runtime, &connector.url(), &[]);
    gateway.event("connected");
    connector.control(refuse_once()).unwrap();
    assert_eq!(gateway.disconnected().2, Some(0));
    gateway.event("connected");
    alive(&connector, &mut gateway, "on trial");
    connector.control(refuse_once()).unwrap();
    assert_eq!(gateway.disconnected(), (Some(4401), "unauthorized".to_owned(), None));
    assert_eq!(gateway.event("fatal")["code"], "relay_disabled");
    assert_eq!(gateway.exit_code(), Some(3));
}

fn l_18_a_displaced_older_session_backs_off(runtime: &str) {
    let connector = connector_with(Duplicates::Replace);
    let mut older = SideCar::start(runtime, &connector.url(), &["backoff_first=200ms", "backoff_most=10s"]);
    older.event("connected");
    let mut newer = SideCar::start(runtime, &connector.url(), &["backoff_first=10s", "backoff_most=10s"]);
    newer.event("connected");
    let (code, reason, retry_in_ms) = older.disconnected();
    assert_eq!((code, reason.as_str()), (Some(1008), "duplicate session"));
    backs_off(retry_in_ms, 200, 1);
    // It comes back and displaces the other.
    older.event("connected");
    let (code, reason, retry_in_ms) = newer.disconnected();
    assert_eq!((code, reason.as_str()), (Some(1008), "duplicate session"));
    backs_off(retry_in_ms, 10_000, 1);
    alive(&connector, &mut older, "to the one that is connected");
}

fn l_18_a_refused_newer_session_backs_off(runtime: &str) {
    let connector = connector_with(Duplicates::Refuse);
    let mut older = SideCar::start(runtime, &connector.url(), &[]);
    older.event("connected");
    let mut newer = SideCar::start(runtime, &connector.url(), &["backoff_first=20ms", "backoff_most=10s"]);
    // L-5: a connector that accepts and closes does not cause a tight loop.
    for attempt in 1..=4 {
        let (code, reason, retry_in_ms) = newer.disconnected();
        assert_eq!((code, reason.as_str()), (Some(1008), "duplicate session"));
        backs_off(retry_in_ms, 20, attempt);
    }
    alive(&connector, &mut older, "undisturbed");
    older.op(json!({"op": "disconnect"}));
    assert_eq!(older.disconnected(), (Some(1000), "the agent asked to disconnect".to_owned(), None));
    assert_eq!(older.exit_code(), Some(0));
    // The slot is free. The gateway may have been refused once more by then.
    newer.connected_through("duplicate session");
    alive(&connector, &mut newer, "its turn");
}

fn l_18_every_other_close_is_reported_as_ordinary(runtime: &str) {
    let connector = connector();
    let mut gateway = SideCar::start(runtime, &connector.url(), &["backoff_first=4ms", "backoff_most=10s"]);
    gateway.event("connected");
    for (attempt, (code, reason)) in (1..).zip([
        (1013, "temporarily suspended"),
        (1000, "bye"),
        (1001, "going away"),
        (1008, "duplicate session"),
        (1009, "too large"),
        (1011, "ping timeout"),
        (4429, "duplicate"),
    ]) {
        connector.control(Act::Close { code, reason: reason.to_owned() }).unwrap();
        let (told, why, retry_in_ms) = gateway.disconnected();
        assert_eq!((told, why.as_str()), (Some(code.into()), reason));
        backs_off(retry_in_ms, 4, attempt);
        gateway.event("connected");
    }
    alive(&connector, &mut gateway, "after all that");
}

fn l_4_a_silent_peer_causes_a_dial_time_out(runtime: &str) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let mut gateway = SideCar::start(runtime, &url, &["dial_timeout=300ms", "handshake_timeout=1h"]);
    for _ in 0..2 {
        let (mut peer, _) = silent.accept().unwrap();
        let (code, reason, retry_in_ms) = gateway.disconnected();
        assert_eq!(code, None);
        assert!(reason.contains("no complete answer within 300 ms"), "{reason}");
        assert!(retry_in_ms.is_some());
        // L-6: the failed dial is dropped; it sent only the request.
        peer.set_read_timeout(Some(SOON)).unwrap();
        let mut request = String::new();
        peer.read_to_string(&mut request).unwrap();
        assert!(request.starts_with("GET /relay HTTP/1.1\r\n") && request.ends_with("\r\n\r\n"), "{request}");
    }
}

fn l_4_a_mute_connector_causes_a_handshake_time_out(runtime: &str) {
    let connector = connector();
    connector.control(Act::Mute { on: true }).unwrap();
    let settings = ["handshake_timeout=100ms", "close_timeout=100ms", "dial_timeout=1h"];
    let mut gateway = SideCar::start(runtime, &connector.url(), &settings);
    for _ in 0..2 {
        let (_, reason, retry_in_ms) = gateway.disconnected();
        assert_eq!(reason, "no descriptor came in time");
        assert!(retry_in_ms.is_some());
    }
    connector.control(Act::Mute { on: false }).unwrap();
    // The dial that is under way may be the unanswered one.
    gateway.connected_through("no descriptor came in time");
    alive(&connector, &mut gateway, "it speaks");
}

fn l_11_a_half_open_connection_is_detected(runtime: &str) {
    let connector = connector();
    let proxy = Proxy::start(connector.local_addr());
    let settings = ["ping_interval=250ms", "ping_timeout=500ms"];
    let mut gateway = SideCar::start(runtime, &proxy.url(), &settings);
    gateway.event("connected");
    alive(&connector, &mut gateway, "before");
    proxy.go_quiet();
    let (code, reason, retry_in_ms) = gateway.disconnected();
    assert_eq!(code, None);
    assert!(reason.contains("nothing was received"), "{reason}");
    assert!(retry_in_ms.is_some());
    gateway.event("connected");
    alive(&connector, &mut gateway, "after");
}

fn w_5_an_overlong_line_is_only_a_dead_letter(runtime: &str) {
    let connector = connector();
    let mut gateway = SideCar::start(runtime, &connector.url(), &[]);
    gateway.event("connected");
    let line = json!({"type": "inbound", "event": {"text": "x".repeat(3 << 20)}});
    connector.control(Act::Raw { text: format!("{line}\n") }).unwrap();
    let dead = gateway.event("dead_letter");
    assert!(dead["reason"].as_str().unwrap().contains("max_line_bytes"), "{dead}");
    assert_eq!(dead["buffer_id"], Value::Null);
    // Reported once, and the connection stays up.
    alive(&connector, &mut gateway, "short");
}

fn a_2_a_8_a_drain_with_a_refused_entry_loses_nothing(runtime: &str) {
    let connector = connector();
    let mut gateway =
        SideCar::start(runtime, &connector.url(), &["backoff_first=100ms", "backoff_most=100ms"]);
    gateway.event("connected");
    connector.control(Act::Drop).unwrap();
    let texts = ["one", "two", "three", "four"];
    for text in texts {
        deliver(&connector, text);
    }
    assert_eq!(gateway.disconnected().0, None);
    gateway.event("connected");

    let (delivery, text) = gateway.message();
    assert_eq!(text, "one");
    gateway.settle("ack", delivery);
    let (delivery, text) = gateway.message();
    assert_eq!(text, "two");
    gateway.settle("refuse", delivery);
    // It ends the connection, and is redelivered on the next one, before the entries after it.
    let (_, _, retry_in_ms) = gateway.disconnected();
    assert!(retry_in_ms.is_some_and(|wait| (50..=100).contains(&wait)), "{retry_in_ms:?}");
    gateway.event("connected");
    for expected in &texts[1..] {
        let (delivery, text) = gateway.message();
        assert_eq!(text, *expected);
        gateway.settle("ack", delivery);
    }
    // A-1, A-5: one acknowledgement each, in order, and none on the wrong connection.
    let mut acks = Vec::new();
    while acks.len() < texts.len() {
        let saw = connector.wait_for(|saw| matches!(saw, Observation::Frame { .. }), SOON).unwrap();
        if let Observation::Frame { frame, dial, .. } = saw
            && frame["type"] == "inbound_ack"
        {
            acks.push((dial, frame["bufferId"].to_string()));
        }
    }
    let dials: Vec<u64> = acks.iter().map(|(dial, _)| *dial).collect();
    assert_eq!(dials, [2, 3, 3, 3]);
    acks.dedup_by_key(|(_, entry)| entry.clone());
    assert_eq!(acks.len(), texts.len(), "{acks:?}");
    assert_eq!(connector.stats().stray_acks, 0);
    // Nothing is repeated: the next line is the next message.
    alive(&connector, &mut gateway, "five");
}
