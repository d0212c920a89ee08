//! `relayline run` against each connector that `relayline connector --like` imitates, over real sockets: the gateway's
//! reactions, by the rules.

use crate::connector_program::Connector;
use crate::side_car::{ID, SECRET, SideCar};
use crate::support::Program;
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_one_runtime! {
    l_18_strict_closes_and_the_gateway_reconnects l_18_strict_with_two_identities_causes_no_tight_loop,
    l_12_l_14_silent_stays_live_and_disconnects_in_time a_7_a_8_flood_is_accepted_and_acknowledged_in_any_order,
    l_18_displaced_gateways_back_off_and_name_their_id o_4_x_5_errors_leave_requests_ambiguous_and_are_logged,
    o_2_o_5_lenient_fails_all_requests_but_chat_info l_7_l_9_a_revoked_gateway_ends_by_close_or_by_401,
    i_3_i_4_a_press_answers_the_prompt_of_the_agent,
}

fn like(name: &str) -> Connector {
    Connector::start(&["--like", name, "--gateway", &format!("{ID}={SECRET}")])
}

fn event(text: &str) -> Value {
    let source = json!({"platform": "discord", "chat_id": "c1", "chat_type": "group", "user_id": "u1"});
    json!({"text": text, "message_id": text, "source": source})
}

fn say(connector: &mut Connector, text: &str) {
    connector.tell(json!({"do": "inbound", "event": event(text)}));
}

/// Asserts that a message gets through, as the next line for the host.
#[track_caller]
fn alive(connector: &mut Connector, gateway: &mut SideCar, text: &str) {
    say(connector, text);
    assert_eq!(gateway.message().1, text);
}

/// Returns the result of an op, which must be the next line.
#[track_caller]
fn ask(gateway: &mut SideCar, mut op: Value) -> Value {
    op["id"] = json!("ask");
    gateway.op(op);
    gateway.event("result")
}

/// L-18: each close is an ordinary loss with a back-off, and the session continues after it.
fn l_18_strict_closes_and_the_gateway_reconnects(runtime: &str) {
    let mut connector = like("strict");
    let mut gateway = SideCar::start(runtime, &connector.url, &[]);
    gateway.event("connected");
    alive(&mut connector, &mut gateway, "one hello is fine");
    gateway.op(json!({"op": "interrupt", "session_key": "k"}));
    let (code, reason, retry_in_ms) = gateway.disconnected();
    assert_eq!((code, reason.as_str()), (Some(1003), "unexpected interrupt"));
    assert!(retry_in_ms.is_some());
    gateway.event("connected");
    alive(&mut connector, &mut gateway, "served again");
    // L-12: idleness is not confirmed, and the connection is gone.
    gateway.op(json!({"op": "go_idle", "id": "idle"}));
    let mut heard = [gateway.next(), gateway.next()];
    heard.sort_by_key(|event| event["event"].to_string());
    let [disconnected, result] = heard;
    assert_eq!(disconnected["code"], 1003, "{disconnected}");
    assert_ne!(result["result"]["confirmed"], true, "{result}");
    gateway.event("connected");
    alive(&mut connector, &mut gateway, "and again");
    // L-14: the disconnect asks for idleness, the connection is closed, and the program still succeeds.
    gateway.op(json!({"op": "disconnect"}));
    let (_, _, retry_in_ms) = gateway.disconnected();
    assert_eq!(retry_in_ms, None);
    assert_eq!(gateway.exit_code(), Some(0));
    connector.sees(json!({"saw": "closed", "code": 1003, "reason": "unexpected going_idle"}));
}

/// L-3: a gateway with two identities sends two hellos at every dial.
fn l_18_strict_with_two_identities_causes_no_tight_loop(runtime: &str) {
    let mut connector = like("strict");
    let settings = ["backoff_first=40ms", "backoff_most=10s"];
    let mut gateway = SideCar::start_as(runtime, &connector.url, &settings, &["discord:1", "telegram:2"]);
    let mut attempt = 0;
    while attempt < 3 {
        // The first descriptor, which completes the handshake (D-8), may arrive before the close.
        let event = gateway.next();
        if event["event"] == "connected" {
            continue;
        }
        attempt += 1;
        assert_eq!(
            (&event["code"], &event["reason"]),
            (&json!(1003), &json!("unexpected second hello")),
            "{event}"
        );
        let most = 40 << (attempt - 1);
        let wait = event["retry_in_ms"].as_u64().unwrap();
        assert!((most / 2..=most).contains(&wait), "attempt {attempt} waits {wait} ms");
    }
    connector.sees(json!({"saw": "dial", "dial": 3}));
}

fn l_12_l_14_silent_stays_live_and_disconnects_in_time(runtime: &str) {
    let mut connector = like("silent");
    let mut gateway =
        SideCar::start(runtime, &connector.url, &["idle_timeout=200ms", "disconnect_idle_timeout=200ms"]);
    gateway.event("connected");
    for op in ["go_idle", "go_dormant"] {
        let result = ask(&mut gateway, json!({"op": op}));
        assert_eq!(result["result"], json!({"confirmed": false}), "{result}");
        alive(&mut connector, &mut gateway, op);
    }
    assert!(connector.frame("going_idle").is_object());
    gateway.op(json!({"op": "disconnect"}));
    assert_eq!(gateway.disconnected(), (Some(1000), "the agent asked to disconnect".to_owned(), None));
    assert_eq!(gateway.exit_code(), Some(0));
    connector.sees(json!({"saw": "closed", "code": 1000, "by": "gateway"}));
}

/// everything is delivered in order and once. Each entry is acknowledged when the agent settles it, and not
/// before.
fn a_7_a_8_flood_is_accepted_and_acknowledged_in_any_order(runtime: &str) {
    const ENTRIES: usize = 120;
    let mut connector = like("flood");
    for n in 0..ENTRIES {
        connector.tell(json!({"do": "inbound", "event": event(&n.to_string()), "buffered": true}));
    }
    let mut gateway = SideCar::start(runtime, &connector.url, &[]);
    gateway.event("connected");
    let mut held = Vec::new();
    for n in 0..100 {
        let (delivery, text) = gateway.message();
        assert_eq!(text, n.to_string());
        held.push(delivery);
    }
    // The agent acknowledges the last one first. The connector then sends further entries, and they are delivered after
    // these.
    for delivery in held.into_iter().rev() {
        gateway.settle("ack", delivery);
    }
    for n in 100..ENTRIES {
        let (delivery, text) = gateway.message();
        assert_eq!(text, n.to_string());
        gateway.settle("ack", delivery);
    }
    // one acknowledgement per entry, in the order of settlement.
    let acks: Vec<[u64; 2]> = (0..ENTRIES)
        .map(|_| {
            let ack = connector.frame("inbound_ack");
            let (time, number) = ack["bufferId"].as_str().unwrap().split_once('-').unwrap();
            [time, number].map(|part| part.parse().unwrap())
        })
        .collect();
    assert_eq!(acks.iter().collect::<BTreeSet<_>>().len(), ENTRIES, "{acks:?}");
    assert!(acks[..100].is_sorted_by(|before, after| before > after), "{acks:?}");
    alive(&mut connector, &mut gateway, "nothing is left, and nothing comes twice");
}

fn l_18_displaced_gateways_back_off_and_name_their_id(runtime: &str) {
    let mut connector = like("displacing");
    let mut older = SideCar::start(runtime, &connector.url, &["backoff_first=10s", "backoff_most=10s"]);
    older.event("connected");
    alive(&mut connector, &mut older, "the only one");
    let mut newer = SideCar::start(runtime, &connector.url, &["backoff_first=10s", "backoff_most=10s"]);
    newer.event("connected");
    let (code, reason, retry_in_ms) = older.disconnected();
    assert_eq!(code, Some(4000));
    assert!(reason.starts_with("replaced") && reason.contains(ID), "{reason}");
    // The gateways do not displace each other in a loop: this one waits for a while.
    assert!(retry_in_ms.is_some_and(|wait| wait >= 5000), "{retry_in_ms:?}");
    alive(&mut connector, &mut newer, "its turn");
}

/// O-4: no result will arrive, so the outcome of the request is unknown. It is not sent again (O-3).
fn o_4_x_5_errors_leave_requests_ambiguous_and_are_logged(runtime: &str) {
    let mut connector = like("errors");
    let mut gateway = SideCar::start(runtime, &connector.url, &["request_timeout=300ms"]);
    gateway.event("connected");
    let send = json!({"op": "send", "chat_id": "c1", "content": "unanswered"});
    let result = ask(&mut gateway, send);
    assert_eq!((&result["ok"], &result["error"]["kind"]), (&json!(false), &json!("ambiguous")), "{result}");
    let logged = gateway.logged("internal error");
    assert!(logged.contains("WARN"), "{logged}");
    alive(&mut connector, &mut gateway, "the connection is none the worse");
    let result = ask(&mut gateway, json!({"op": "raw", "action": {"op": "dance", "chat_id": "c1"}}));
    assert_eq!(result["error"]["kind"], "ambiguous", "{result}");
    gateway.logged("unknown op `dance`");
    let outbound = json!({"saw": "frame", "frame": {"type": "outbound"}});
    let ops = [connector.sees(outbound.clone()), connector.sees(outbound)];
    assert_eq!(
        ops.map(|saw| saw["frame"]["action"]["op"].clone()),
        [json!("send"), json!("dance")],
        "once each"
    );
}

/// O-2: only `success: true` is success, so each request is rejected although the message may have been sent. O-5: chat
/// info needs no `success`.
fn o_2_o_5_lenient_fails_all_requests_but_chat_info(runtime: &str) {
    let connector = like("lenient");
    let mut gateway = SideCar::start(runtime, &connector.url, &[]);
    gateway.event("connected");
    let result = ask(&mut gateway, json!({"op": "send", "chat_id": "c1", "content": "there, perhaps"}));
    assert_eq!((&result["ok"], &result["error"]["kind"]), (&json!(false), &json!("rejected")), "{result}");
    let result =
        ask(&mut gateway, json!({"op": "edit", "chat_id": "c1", "message_id": "none", "content": "x"}));
    assert_eq!(
        (&result["error"]["kind"], &result["error"]["message"]),
        (&json!("rejected"), &json!("message not found")),
        "{result}"
    );
    let result = ask(&mut gateway, json!({"op": "get_chat_info", "chat_id": "c1"}));
    assert_eq!(result["result"], json!({"name": "c1", "type": "dm"}), "{result}");
}

/// L-9: the program ends with 3 after the second refusal, by a close or by a 401.
fn l_7_l_9_a_revoked_gateway_ends_by_close_or_by_401(runtime: &str) {
    for (how, first) in [("close", Some(4401)), ("http", None)] {
        let mut connector = Connector::start(&["--refuse", how, "--gateway", &format!("{ID}={SECRET}")]);
        // L-7: before any handshake a refusal is an ordinary failure.
        connector.tell(json!({"do": "expire"}));
        let mut gateway = SideCar::start(runtime, &connector.url, &[]);
        assert_eq!(gateway.disconnected().0, first, "{how}");
        gateway.event("connected");
        connector.tell(json!({"do": "revoke"}));
        assert_eq!(gateway.disconnected(), (Some(4401), "unauthorized".to_owned(), Some(0)));
        let (code, reason, retry_in_ms) = gateway.disconnected();
        assert_eq!((code, retry_in_ms), (first, None), "{how}: {reason}");
        assert_eq!(gateway.event("fatal")["code"], "relay_disabled");
        assert_eq!(gateway.exit_code(), Some(3), "{how}");
    }
}

fn i_3_i_4_a_press_answers_the_prompt_of_the_agent(runtime: &str) {
    let mut connector = Connector::start(&["--gateway", &format!("{ID}={SECRET}")]);
    let identities = ["discord:1", "telegram:2", "slack:3"];
    let mut gateway = SideCar::start_as(runtime, &connector.url, &[], &identities);
    for _ in identities {
        gateway.event("connected");
    }
    connector.tell(json!({"do": "press", "option_id": "yes"}));
    connector.program.logged("no prompt is open");
    for (platform, chat_type, scope) in
        [("discord", "group", Some("g1")), ("telegram", "group", None), ("slack", "dm", Some("T9"))]
    {
        let mut event = event("deploy?");
        event["message_id"] = json!(format!("m-{platform}"));
        event["source"] = json!({"platform": platform, "chat_id": "c1", "chat_type": chat_type, "user_id": "u1",
            "user_name": "ada", "thread_id": (platform == "slack").then_some("17.1")});
        if let Some(scope) = scope {
            event["source"]["scope_id"] = scope.into();
        }
        connector.tell(json!({"do": "inbound", "event": event}));
        let asked_by = gateway.event("message");
        let options = json!([{"id": "yes", "label": "Yes!"}, {"id": "no", "label": "No"}]);
        let metadata = if platform == "slack" { json!({"thread_id": "17.1"}) } else { json!({}) };
        let asked = ask(
            &mut gateway,
            json!({"op": "prompt", "chat_id": "c1", "content": "?", "options": options,
            "platform": platform, "metadata": metadata}),
        );
        let prompt_id = asked["result"]["prompt_id"].clone();
        assert!(prompt_id.is_string(), "{asked}");
        connector.tell(json!({"do": "press", "option_id": 2}));
        let answer = gateway.event("prompt_answer");
        assert_eq!((&answer["prompt_id"], &answer["option_id"]), (&prompt_id, &json!("no")), "{answer}");
        // I-4: the user of the prompt's chat has answered, in the same place.
        for field in ["platform", "chat_id", "chat_type", "user_id", "user_name", "thread_id", "scope_id"] {
            let before = &asked_by["message"]["source"][field];
            assert_eq!(&answer["source"][field], before, "{platform} {field}: {answer}");
        }
        // I-2: it can be answered once.
        connector.tell(json!({"do": "press", "option_id": 1, "prompt_id": prompt_id}));
        let prompt_id = prompt_id.as_str().unwrap();
        connector.program.logged(&format!("no prompt is open with prompt_id `{prompt_id}`"));
    }
}

#[test]
fn an_unknown_connector_to_imitate_is_refused() {
    let ended = Program::start(crate::support::relayline(["connector", "--like", "nice"])).ended();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("strict, silent, flood, displacing, errors, lenient"), "{ended:?}");
}

/// an entry that the agent does not settle is reported by the connector after ten seconds.
#[test]
fn a_8_an_unsettled_entry_is_reported() {
    let mut connector = Connector::start(&["--gateway", &format!("{ID}={SECRET}")]);
    connector.tell(json!({"do": "inbound", "event": event("held"), "buffered": true}));
    let mut gateway = SideCar::start("tokio", &connector.url, &[]);
    gateway.event("connected");
    let (delivery, _) = gateway.message();
    let unacked = connector.sees(json!({"saw": "unacked"}));
    assert_eq!((&unacked["gateway"], &unacked["type"]), (&json!(ID), &json!("inbound")), "{unacked}");
    assert!(unacked["for_ms"].as_u64().is_some_and(|ms| ms >= 10_000), "{unacked}");
    gateway.settle("ack", delivery);
    assert_eq!(connector.frame("inbound_ack")["bufferId"], unacked["buffer_id"]);
}
