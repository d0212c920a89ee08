//! The parts of a connector's machine that outlive its process.

use crate::bench::{A, B, Bench};
use relayline_connector::{Act, ConnectorConfig, ConnectorMachine, Upgrade};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::token;
use serde_json::{Value, json};

/// Ends the process, and starts the next one this many seconds later.
fn restart(bench: &Bench, config: ConnectorConfig, seconds: u64) -> Bench {
    let state = bench.machine.durable_state(bench.now);
    // Each process has a clock of its own.
    let now = Now { mono: Time::from_millis(7), unix_s: bench.now.unix_s + seconds };
    let machine = ConnectorMachine::restore(config, [1; 32], now, &state).unwrap();
    Bench { machine, now, ids: bench.ids.clone() }
}

fn durable(config: ConnectorConfig) -> Bench {
    let bench = Bench::new(config.clone());
    restart(
        &Bench {
            machine: ConnectorMachine::restore(config.clone(), [0; 32], bench.now, b"").unwrap(),
            ..bench
        },
        config,
        0,
    )
}

fn known() -> ConnectorConfig {
    ConnectorConfig::default().gateway("gw", "s3cret")
}

/// Returns true if the gateway is admitted with this secret.
fn is_good(bench: &mut Bench, secret: &str) -> bool {
    let token = token::mint("gw", &Secret::from(secret), bench.now.unix_s, 300);
    let header = format!("Bearer {}", token.expose());
    let upgrade = bench.machine.handle_upgrade(bench.now, B, "/relay", Some(&header));
    let is_good = matches!(upgrade, Upgrade::Accept { .. }) && !bench.machine.is_over(B);
    bench.machine.handle_closed(bench.now, B, None, "");
    is_good
}

#[test]
fn a_1_entries_keep_their_ids_and_their_order() {
    let mut bench = durable(known());
    for text in ["one", "two", "three"] {
        bench.inject(text);
    }
    let forward = json!({"platform": "twilio", "bodyB64": "aGk="}).as_object().unwrap().clone();
    bench.does(Act::Passthrough { forward, buffered: Some(true) });
    let buffered: Vec<Value> = bench.saws().iter().map(|saw| saw["buffer_id"].clone()).collect();
    let mut bench = restart(&bench, known(), 1);
    assert_eq!(
        bench.saws(),
        [json!({"saw": "restored", "gateway": "gw", "buffered": 4, "revoked": false, "idle": false})]
    );
    bench.dial(A);
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    let mut ids: Vec<Value> = Vec::new();
    for kind in ["inbound", "inbound", "inbound", "passthrough_forward"] {
        let frame = bench.written().pop().unwrap().1;
        assert_eq!(frame["type"], kind);
        ids.push(frame["bufferId"].clone());
        bench.ack(A, &frame["bufferId"]);
    }
    assert_eq!(ids, buffered);
    // If the clock goes back, no id is assigned twice.
    let mut bench = restart(&bench, known(), 0);
    bench.now.unix_s -= 3600;
    bench.inject("four");
    assert!(!buffered.contains(&bench.saws()[0]["buffer_id"]));
}

#[test]
fn every_change_of_the_durable_state_is_noticed() {
    let mut bench = durable(known());
    bench.machine.take_durable_change();
    let mut kept = bench.machine.durable_state(bench.now);
    let mut check = |bench: &mut Bench, what: &str, changes: bool| {
        let state = bench.machine.durable_state(bench.now);
        assert_eq!(state != kept, changes, "{what}");
        assert_eq!(bench.machine.take_durable_change(), changes, "{what}");
        kept = state;
    };
    bench.connect(A);
    check(&mut bench, "a handshake", false);
    bench.inject("live");
    bench.request(A, "r", json!({"op": "typing", "chat_id": "1"}));
    check(&mut bench, "what goes straight through", false);
    let event = bench.event("one");
    bench.does(Act::Inbound { event, buffered: Some(true) });
    check(&mut bench, "an entry", true);
    let id = bench.written().pop().unwrap().1["bufferId"].clone();
    bench.ack(A, &json!("another"));
    check(&mut bench, "a stray ack", false);
    bench.ack(A, &id);
    check(&mut bench, "an ack", true);
    bench.says(A, json!({"type": "going_idle"}));
    check(&mut bench, "idleness", true);
    bench.connect(A);
    check(&mut bench, "the end of idleness", true);
    bench.does(Act::Revoke { on: true });
    check(&mut bench, "a revocation", true);
    bench.does(Act::EnrollToken { token: "t".into(), tenant: "default".into(), ttl_s: None });
    check(&mut bench, "a token", true);
    bench.does(Act::Rotate { overlap_ms: 1000, secret: None, delivery_key: None });
    bench.does(Act::Rotate { overlap_ms: 1000, secret: None, delivery_key: None });
    check(&mut bench, "a rotation", true);
    bench.passes(1000);
    check(&mut bench, "the end of an overlap", true);
}

#[test]
fn c_2_an_overlap_continues_and_flags_stay_valid() {
    let bare = || ConnectorConfig::default().identity("access", "t");
    let mut bench = durable(known());
    for (secret, overlap_ms) in [("first", 0), ("second", 60_000)] {
        bench.does(Act::Rotate { overlap_ms, secret: Some(secret.into()), delivery_key: Some("k".into()) });
    }
    for (seconds, first) in [(59, true), (61, false)] {
        let mut later = restart(&bench, bare(), seconds);
        assert_eq!(is_good(&mut later, "first"), first, "{seconds}");
        assert!(is_good(&mut later, "second") && !is_good(&mut later, "s3cret"));
        later.passes(61_000);
        assert!(!is_good(&mut later, "first") && is_good(&mut later, "second"));
    }
    // A configured secret is valid as long as it is configured.
    let mut later = restart(&bench, known(), 600);
    assert!(is_good(&mut later, "s3cret") && is_good(&mut later, "second"));
    // The configured secret is not in the state at all.
    let state = bench.machine.durable_state(bench.now);
    assert!(!String::from_utf8_lossy(&state).contains("s3cret"));
}
