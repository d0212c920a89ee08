//! The connector's machine in virtual time.

use crate::bench::{A, B, Bench, close};
use proptest::prelude::*;
use relayline_connector::chats::telegram;
use relayline_connector::{
    Act, ConnId, ConnectorConfig, ConnectorMachine, Control, ControlError, Duplicates, Limits, Observation,
    Transmit, Upgrade, UpgradeRefusal,
};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::token;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Ways to refuse an upgrade.
const REFUSALS: [UpgradeRefusal; 2] = [UpgradeRefusal::Close, UpgradeRefusal::Http];

/// Returns the answer to a refused upgrade, and the frames that are written.
fn refused(how: UpgradeRefusal, gateway: &str, conn: ConnId, error: &str) -> (Upgrade, Vec<(ConnId, Value)>) {
    match how {
        UpgradeRefusal::Close => {
            (Upgrade::Accept { gateway: gateway.into() }, vec![(conn, close(4401, error))])
        }
        UpgradeRefusal::Http => {
            (Upgrade::Refuse { status: 401, body: json!({"error": error}).to_string() }, Vec::new())
        }
    }
}

fn accepted() -> (Upgrade, Vec<(ConnId, Value)>) {
    (Upgrade::Accept { gateway: "gw".into() }, Vec::new())
}

#[test]
fn d_8_each_hello_gets_the_descriptor_of_its_platform() {
    let mut bench = Bench::new(ConnectorConfig::default());
    bench.dial(A);
    let hellos = ["discord", "telegram", "slack", "matrix"]
        .map(|name| format!("{}\n", json!({"type": "hello", "platform": name, "botId": ""})));
    bench.inject("while you were away");
    // All hellos in one message: the descriptors come first, then the buffer.
    bench.machine.handle_bytes(bench.now, A, hellos.concat().as_bytes());
    let seen = bench.written();
    let brief = |frame: &Value| {
        (
            frame["descriptor"]["platform"].clone(),
            frame["descriptor"]["max_message_length"].clone(),
            frame["type"].clone(),
        )
    };
    assert_eq!(
        seen.iter().map(|(_, frame)| brief(frame)).collect::<Vec<_>>(),
        [
            (json!("discord"), json!(2000), json!("descriptor")),
            (json!("telegram"), json!(4096), json!("descriptor")),
            (json!("slack"), json!(40000), json!("descriptor")),
            (json!("matrix"), json!(4096), json!("descriptor")),
            (Value::Null, Value::Null, json!("inbound")),
        ]
    );
    // D-4: a tagged request is checked against its own platform, an untagged one against that of the first hello.
    let mut check = |platform: Option<&str>, length: usize, success: bool| {
        let action = json!({"op": "send", "chat_id": "1", "content": "a".repeat(length)});
        let mut frame = json!({"type": "outbound", "requestId": "r", "action": action});
        if let Some(platform) = platform {
            frame["platform"] = platform.into();
        }
        bench.says(A, frame);
        assert_eq!(bench.written()[0].1["result"]["success"], success, "{platform:?} {length}");
    };
    check(None, 2001, false);
    check(Some("telegram"), 2001, true);
    check(Some("telegram"), 4097, false);
    check(Some("slack"), 40000, true);
}

#[test]
fn a_8_the_buffer_drains_one_entry_at_a_time() {
    let mut bench = Bench::new(ConnectorConfig::default());
    for text in ["one", "two", "three"] {
        bench.inject(text);
    }
    bench.dial(A);
    assert_eq!(bench.written(), [], "nothing before the hello");
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    let id = |n: u64| json!(format!("1718900000000-{n}"));
    let first = bench.delivered();
    assert_eq!(first[1..], [(json!("one"), id(0))]);
    // Neither time, nor an ack of another connection, nor a second handshake releases the next entry.
    bench.passes(60_000);
    bench.ack(A, &id(1));
    bench.says(A, json!({"type": "hello", "platform": "telegram", "botId": ""}));
    assert_eq!(bench.delivered().len(), 1, "the descriptor alone");
    bench.ack(A, &id(0));
    assert_eq!(bench.delivered(), [(json!("two"), id(1))]);
    bench.ack(A, &id(0));
    assert_eq!(bench.delivered(), []);
    bench.ack(A, &id(1));
    bench.ack(A, &id(2));
    assert_eq!(bench.delivered(), [(json!("three"), id(2))]);
    assert_eq!(bench.machine.buffered("").count(), 0);
    assert_eq!(bench.machine.stats().stray_acks, 2);
}

#[test]
fn a_2_an_unacknowledged_entry_is_sent_first_next_time() {
    let mut bench = Bench::new(ConnectorConfig::default());
    bench.inject("one");
    bench.inject("two");
    let hello = json!({"type": "hello", "platform": "discord", "botId": ""});
    bench.dial(A);
    bench.says(A, hello.clone());
    let first = bench.delivered()[1].clone();
    bench.machine.handle_closed(bench.now, A, Some(1000), "");
    bench.inject("three");
    bench.dial(B);
    bench.says(B, hello.clone());
    assert_eq!(bench.delivered()[1], first);
    // This also holds after a crash of the connector: the buffer is durable.
    let mut bench = Bench { machine: bench.machine.restart(), ..bench };
    assert_eq!(bench.saws(), [] as [Value; 0]);
    // A-5: an ack on another connection than the entry's has no effect.
    bench.dial(A);
    bench.ack(A, &first.1);
    bench.says(A, hello);
    assert_eq!(bench.delivered()[1], first);
    bench.ack(A, &first.1);
    assert_eq!(bench.delivered()[0].0, "two");
    // Ids from before the crash are not reused.
    let ids: Vec<_> = bench.machine.buffered("").map(|entry| entry.buffer_id().to_owned()).collect();
    assert_eq!(ids, ["1718900000000-1", "1718900000000-2"]);
}

#[test]
fn a_7_a_message_does_not_overtake_its_chats_entries() {
    let mut bench = Bench::live();
    let event = bench.event("through the buffer");
    bench.does(Act::Inbound { event, buffered: Some(true) });
    bench.inject("behind it");
    let elsewhere = telegram::dm().message(&mut bench.ids, bench.now, "elsewhere");
    bench.does(Act::Inbound { event: elsewhere, buffered: None });
    let event = bench.event("live, whatever waits");
    bench.does(Act::Inbound { event, buffered: Some(false) });
    let id = json!("1718900000000-0");
    assert_eq!(
        bench.delivered(),
        [
            (json!("through the buffer"), id.clone()),
            (json!("elsewhere"), Value::Null),
            (json!("live, whatever waits"), Value::Null),
        ]
    );
    bench.ack(A, &id);
    assert_eq!(bench.delivered(), [(json!("behind it"), json!("1718900000000-1"))]);
}

#[test]
fn l_12_an_idle_connection_gets_nothing_until_a_handshake() {
    let mut bench = Bench::live();
    bench.says(A, json!({"type": "going_idle"}));
    assert_eq!(bench.written(), [(A, json!({"type": "going_idle_ack"}))]);
    bench.inject("while idle");
    assert_eq!(bench.written(), []);
    // Requests are still answered.
    bench.request(A, "r", json!({"op": "typing", "chat_id": "1"}));
    assert_eq!(
        bench.written(),
        [(A, json!({"type": "outbound_result", "requestId": "r", "result": {"success": true}}))]
    );
    bench.dial(B);
    bench.says(B, json!({"type": "hello", "platform": "discord", "botId": ""}));
    let seen = bench.written();
    assert_eq!(seen[0], (A, close(1008, "duplicate session")));
    assert_eq!(seen[2].1["event"]["text"], "while idle");
    assert_eq!(seen[2].1["bufferId"], "1718900000000-0");
}

#[test]
fn l_12_an_idle_connection_may_ack_but_the_drain_pauses() {
    let mut bench = Bench::live();
    for text in ["one", "two"] {
        let event = bench.event(text);
        bench.does(Act::Inbound { event, buffered: Some(true) });
    }
    bench.says(A, json!({"type": "going_idle"}));
    bench.ack(A, &json!("1718900000000-0"));
    let seen = bench.written();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(bench.machine.buffered("").count(), 1);
}

#[test]
fn l_12_a_withheld_idle_ack_leaves_the_connection_live() {
    let mut bench = Bench::live();
    bench.does(Act::IdleAck { on: false });
    bench.says(A, json!({"type": "going_idle"}));
    bench.inject("still served");
    assert_eq!(bench.delivered(), [(json!("still served"), Value::Null)]);
}

#[test]
fn c_2_which_dials_are_admitted() {
    for how in REFUSALS {
        let mut bench = Bench::refusing_by(how);
        let secret = Secret::from("s3cret");
        let now = bench.now;
        let mut check = |path: &str, token: Option<Secret>, expected: (Upgrade, Vec<(ConnId, Value)>)| {
            let header = token.map(|token| format!("Bearer {}", token.expose()));
            let upgrade = bench.machine.handle_upgrade(now, A, path, header.as_deref());
            assert_eq!((upgrade, bench.written()), expected, "{path} {how:?}");
        };
        let unix_s = now.unix_s;
        check("/relay", Some(token::mint("gw", &secret, unix_s, 300)), accepted());
        let expired = token::mint("gw", &secret, unix_s - 301, 300);
        check("/relay", Some(expired), refused(how, "gw", A, "expired"));
        let unauthorized = || refused(how, "", A, "unauthorized");
        check("/relay", Some(token::mint("gw", &Secret::from("wrong"), unix_s, 300)), unauthorized());
        check("/relay", Some(token::mint("other", &secret, unix_s, 300)), unauthorized());
        check("/relay", None, unauthorized());
        let not_found = Upgrade::Refuse { status: 404, body: json!({"error": "not found"}).to_string() };
        check("/", Some(token::mint("gw", &secret, unix_s, 300)), (not_found, Vec::new()));
        let brief: Vec<_> = bench.saws().into_iter().filter(|saw| saw["saw"] == "dial").collect();
        let mut expired =
            json!({"saw": "dial", "gateway": "gw", "dial": 2, "authenticated": false, "error": "expired"});
        if how == UpgradeRefusal::Http {
            expired["status"] = 401.into();
        }
        assert_eq!(
            brief[..2],
            [json!({"saw": "dial", "gateway": "gw", "dial": 1, "authenticated": true}), expired]
        );
        assert!(!format!("{:?}", bench.machine).contains("s3cret"), "C-4");
    }
}

/// L-7: the connection is closed before its frames are read, and the existing connection is not affected.
#[test]
fn l_7_a_refused_upgrade_affects_no_other_connection() {
    let mut bench = Bench::with_gateway();
    bench.connect(A);
    bench.inject("one");
    bench.written();
    bench.saws();
    let stale = token::mint("gw", &Secret::from("s3cret"), bench.now.unix_s - 301, 300);
    let header = format!("Bearer {}", stale.expose());
    bench.machine.handle_upgrade(bench.now, B, "/relay", Some(&header));
    // Its hello arrives after the close frame was sent.
    bench.says(B, json!({"type": "hello", "platform": "discord", "botId": ""}));
    assert_eq!(bench.written(), [(B, close(4401, "expired"))]);
    let closed = json!({"saw": "closed", "gateway": "gw", "dial": 2, "code": 4401, "reason": "expired", "by": "connector"});
    assert_eq!(bench.saws()[1..], [closed]);
    bench.machine.handle_closed(bench.now, B, Some(4401), "");
    assert_eq!(bench.saws(), [] as [Value; 0], "said once");
    bench.inject("two");
    let seen = bench.written();
    assert_eq!((seen.len(), seen[0].0), (1, A), "{seen:?}");
    // X-1: it takes a slot like any other connection.
    let mut limits = Limits::default();
    limits.connections = 1;
    let mut bench = Bench::new(ConnectorConfig::default().limits(limits).gateway("gw", "s3cret"));
    assert!(matches!(bench.machine.handle_upgrade(bench.now, A, "/relay", None), Upgrade::Accept { .. }));
    assert!(matches!(bench.dial(B), Upgrade::Refuse { status: 503, .. }));
    bench.written();
    bench.machine.handle_closed(bench.now, A, Some(4401), "");
    assert!(matches!(bench.dial(B), Upgrade::Accept { .. }));
}

#[test]
fn l_9_a_revoked_gateway_is_closed_and_refused() {
    for (how, error) in REFUSALS.into_iter().zip(["revoked", "unauthorized"]) {
        let mut bench = Bench::refusing_by(how);
        bench.connect(A);
        bench.does(Act::Revoke { on: true });
        assert_eq!(bench.written(), [(A, close(4401, "unauthorized"))]);
        assert_eq!(bench.dials(B), refused(how, "gw", B, error));
        bench.does(Act::Revoke { on: true });
        assert_eq!(bench.dials(B), refused(how, "gw", B, error));
        bench.does(Act::Revoke { on: false });
        assert_eq!(bench.dials(B), accepted());
    }
}

#[test]
fn l_8_expire_works_once() {
    for how in REFUSALS {
        let mut bench = Bench::refusing_by(how);
        bench.connect(A);
        bench.does(Act::Expire);
        assert_eq!(bench.written(), [(A, close(4401, "expired"))]);
        assert_eq!(bench.dials(B), accepted());
        bench.machine.handle_closed(bench.now, B, None, "");
        // Without a connection, the next dial is refused.
        bench.does(Act::Expire);
        assert_eq!(bench.dials(B), refused(how, "gw", B, "expired"));
        assert_eq!(bench.dials(B), accepted());
    }
}

#[test]
fn l_18_of_two_connections_of_one_gateway_one_stays() {
    let check = |duplicates: Duplicates, closed: ConnId, stays: ConnId| {
        let mut bench = Bench::new(ConnectorConfig::default().duplicates(duplicates));
        bench.connect(A);
        bench.dial(B);
        assert_eq!(bench.written(), [(closed, close(1008, "duplicate session"))], "{duplicates:?}");
        // Later frames of the closed connection are ignored, and its end changes nothing.
        bench.request(closed, "r", json!({"op": "typing", "chat_id": "1"}));
        bench.machine.handle_closed(bench.now, closed, Some(1008), "duplicate session");
        bench.says(stays, json!({"type": "hello", "platform": "discord", "botId": ""}));
        bench.inject("hi");
        let conns: Vec<ConnId> = bench.written().into_iter().map(|(conn, _)| conn).collect();
        assert_eq!(conns, [stays, stays], "{duplicates:?}");
    };
    check(Duplicates::Replace, A, B);
    check(Duplicates::Refuse, B, A);
}

#[test]
fn drop_and_close_come_after_earlier_frames() {
    for (act, end) in [
        (Act::Drop, json!("drop")),
        (Act::Close { code: 4429, reason: "duplicate".into() }, close(4429, "duplicate")),
    ] {
        let mut bench = Bench::live();
        bench.saws();
        bench.inject("last words");
        bench.does(act);
        // From here on the gateway is disconnected.
        bench.inject("too late");
        let seen = bench.written();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(seen[0].1["event"]["text"], "last words");
        assert_eq!(seen[1], (A, end.clone()));
        assert_eq!(bench.machine.buffered("").count(), 1);
        bench.machine.handle_closed(bench.now, A, None, "");
        let (code, reason) = if end == "drop" { (Value::Null, "") } else { (json!(4429), "duplicate") };
        let closed = json!({"saw": "closed", "gateway": "", "dial": 1, "code": code, "reason": reason, "by": "connector"});
        assert_eq!(bench.saws(), [closed], "said once");
        let error = bench.machine.control(bench.now, Act::Drop).unwrap_err();
        assert_eq!(error.to_string(), "the gateway is not connected: expect its dial first");
    }
}

#[test]
fn the_side_that_ended_a_connection_is_observed() {
    let check = |code: Option<u16>, by: &str| {
        let mut bench = Bench::live();
        bench.saws();
        bench.machine.handle_closed(bench.now, A, code, "bye");
        let closed =
            json!({"saw": "closed", "gateway": "", "dial": 1, "code": code, "reason": "bye", "by": by});
        assert_eq!(bench.saws(), [closed]);
        assert_eq!(bench.machine.connections(), 0);
    };
    check(Some(1000), "gateway");
    check(None, "peer lost");
}

#[test]
fn l_4_a_mute_connector_sends_nothing() {
    let mut bench = Bench::new(ConnectorConfig::default());
    bench.does(Act::Mute { on: true });
    assert!(matches!(bench.dial(A), Upgrade::Accept { .. }));
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    bench.request(A, "r", json!({"op": "typing", "chat_id": "1"}));
    bench.inject("buffered");
    assert_eq!(bench.written(), []);
    // Frames are still read.
    assert_eq!(bench.saws().len(), 3);
    bench.does(Act::Mute { on: false });
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    assert_eq!(bench.delivered()[1].0, "buffered");
    // Silence begins in the middle of a session. When it ends, waiting deliveries are sent.
    let mut bench = Bench::live();
    bench.does(Act::Mute { on: true });
    bench.inject("in the silence");
    assert_eq!(bench.written(), []);
    bench.does(Act::Mute { on: false });
    assert_eq!(bench.delivered()[0].0, "in the silence");
}

#[test]
fn o_4_a_delayed_result_is_overtaken_by_others() {
    let mut bench = Bench::live();
    bench.does(Act::Delay { op: "typing".into(), ms: 300 });
    bench.request(A, "late", json!({"op": "typing", "chat_id": "1"}));
    bench.passes(100);
    bench.request(A, "later", json!({"op": "typing", "chat_id": "1"}));
    bench.request(A, "now", json!({"op": "get_chat_info", "chat_id": "1"}));
    let ids = |bench: &mut Bench| -> Vec<Value> {
        bench.written().iter().map(|(_, frame)| frame["requestId"].clone()).collect()
    };
    assert_eq!(ids(&mut bench), ["now"]);
    assert_eq!(bench.machine.deadline(), Some(Time::from_millis(300)));
    bench.passes(199);
    assert_eq!(ids(&mut bench), [] as [Value; 0]);
    bench.passes(1);
    assert_eq!(ids(&mut bench), ["late"]);
    // L-15: after a jump of the clock a due result is sent once, and the deadline is gone.
    bench.passes(86_400_000);
    assert_eq!(ids(&mut bench), ["later"]);
    assert_eq!(bench.machine.deadline(), None);
    bench.does(Act::Delay { op: "typing".into(), ms: 0 });
    bench.request(A, "at once", json!({"op": "typing", "chat_id": "1"}));
    assert_eq!(ids(&mut bench), ["at once"]);
    // A delayed result is dropped with its connection.
    bench.does(Act::Delay { op: "typing".into(), ms: u64::MAX });
    bench.request(A, "never", json!({"op": "typing", "chat_id": "1"}));
    bench.machine.handle_closed(bench.now, A, None, "");
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn o_7_a_result_can_be_scripted() {
    let mut bench = Bench::live();
    let send = json!({"op": "send", "chat_id": "1", "content": "x"});
    let mut check = |result: Value, expected: Value| {
        bench.does(Act::Answer { op: "send".into(), result });
        bench.request(A, "r", send.clone());
        assert_eq!(bench.written()[0].1["result"], expected);
    };
    let declined = json!({"success": false, "code": "egress_declined", "error": "egress declined: no"});
    check(declined.clone(), declined);
    check(json!("no object"), json!("no object"));
    check(json!({"success": true, "message_id": "m1"}), json!({"success": true, "message_id": "m1"}));
    bench.does(Act::Answer { op: "send".into(), result: Value::Null });
    bench.request(A, "r", send);
    assert_eq!(bench.written()[0].1["result"]["message_id"], "1253382186598400000");
    // A message that a scripted result names can be edited.
    bench.request(A, "r", json!({"op": "edit", "chat_id": "1", "message_id": "m1", "content": "y"}));
    assert_eq!(bench.written()[0].1["result"], json!({"success": true}));
}

#[test]
fn d_10_a_descriptor_counts_from_the_next_hello() {
    let mut bench = Bench::live();
    let shorter = json!({"contract_version": 1, "platform": "discord", "max_message_length": 5});
    bench.does(Act::Descriptor { descriptor: shorter.as_object().unwrap().clone(), platform: None });
    assert_eq!(bench.written(), []);
    let send = json!({"op": "send", "chat_id": "1", "content": "longer than five"});
    bench.request(A, "r", send.clone());
    assert_eq!(bench.written()[0].1["result"]["success"], true);
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    assert_eq!(bench.written(), [(A, json!({"type": "descriptor", "descriptor": shorter}))]);
    bench.request(A, "r", send);
    assert_eq!(bench.written()[0].1["result"]["error"], "the text has 16 characters, the limit is 5");
    let unnamed = Act::Descriptor { descriptor: Map::new(), platform: None };
    assert_eq!(bench.machine.control(bench.now, unnamed), Err(ControlError::WhichPlatform));
    bench.does(Act::Descriptor { descriptor: Map::new(), platform: Some("discord".into()) });
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    assert_eq!(bench.written(), [(A, json!({"type": "descriptor", "descriptor": {}}))]);
}

#[test]
fn interrupts_forwards_and_raw_texts_are_sent_as_given() {
    let mut bench = Bench::live();
    bench.does(Act::Interrupt { session_key: "k".into(), chat_id: "1".into() });
    assert_eq!(
        bench.written(),
        [(A, json!({"type": "interrupt_inbound", "session_key": "k", "chat_id": "1"}))]
    );
    let forward = json!({"platform": "discord", "bodyB64": "e30="}).as_object().unwrap().clone();
    bench.does(Act::Passthrough { forward: forward.clone(), buffered: None });
    bench.does(Act::Passthrough { forward: forward.clone(), buffered: Some(true) });
    let frame = |id: Option<&str>| match id {
        None => json!({"type": "passthrough_forward", "forward": forward}),
        Some(id) => json!({"type": "passthrough_forward", "forward": forward, "bufferId": id}),
    };
    assert_eq!(bench.written(), [(A, frame(None)), (A, frame(Some("1718900000000-0")))]);
    bench.does(Act::Raw { text: "half a li".into() });
    let mut out = Vec::new();
    assert_eq!(bench.machine.poll_transmit(&mut out), Some(Transmit::Frame { conn: A }));
    assert_eq!(out, b"half a li");
}

#[test]
fn an_instruction_names_its_gateway() {
    let config = ConnectorConfig::default().gateway("a", "1").gateway("b", "2");
    let mut bench = Bench::new(config);
    let event = bench.event("to whom?");
    let inbound = Act::Inbound { event, buffered: None };
    let now = bench.now;
    let mut check = |control: Control, expected: &str| {
        let error = bench.machine.control(now, control).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(inbound.clone().into(), "which gateway? Add \"gateway\": one of `a`, `b`");
    check(inbound.clone().on("c"), "there is no gateway `c`: this connector knows `a`, `b`");
    check(Act::Drop.into(), "any gateway is not connected: expect its dial first");
    let live = Act::Inbound { event: Map::new(), buffered: Some(false) };
    check(
        live.on("a"),
        "`a` is not connected: expect its dial first, or leave out \"buffered\": it then waits for the gateway",
    );
    check(
        Act::Close { code: 1005, reason: String::new() }.into(),
        "1005 cannot be sent as a close code: take 1000-1003, 1007-1014 or 3000-4999",
    );
    check(
        Act::Close { code: 4401, reason: "x".repeat(124) }.into(),
        "the reason has 124 bytes, a close frame has room for 123",
    );
    bench.machine.control(now, inbound.on("b")).unwrap();
    assert_eq!(bench.machine.buffered("a").count(), 0);
    assert_eq!(bench.machine.buffered("b").count(), 1);
}

#[test]
fn w_3_to_w_5_an_invalid_frame_is_counted_and_skipped() {
    let mut limits = Limits::default();
    limits.max_line_bytes = 100;
    let mut bench = Bench::new(ConnectorConfig::default().limits(limits));
    bench.dial(A);
    let noise = format!("\r\n{{\n[]\n{{\"type\":\"inbound\"}}\n{}\n", "x".repeat(101));
    bench.machine.handle_bytes(bench.now, A, noise.as_bytes());
    let stats = bench.machine.stats();
    assert_eq!((stats.malformed, stats.unknown, stats.too_long), (2, 1, 1));
    // W-1: a frame in pieces.
    for byte in b"{\"type\":\"hello\",\"platform\":\"slack\"}\n" {
        bench.machine.handle_bytes(bench.now, A, &[*byte]);
    }
    assert_eq!(bench.written()[0].1["descriptor"]["platform"], "slack");
}

#[test]
fn x_1_everything_is_bounded() {
    let mut limits = Limits::default();
    limits.buffer_entries = 2;
    limits.write_bytes = 4000;
    limits.connections = 1;
    limits.delayed_results = 1;
    limits.observations = 3;
    let mut bench = Bench::new(ConnectorConfig::default().limits(limits));
    bench.inject("one");
    bench.inject("two");
    let event = bench.event("three");
    let full = bench.machine.control(bench.now, Act::Inbound { event, buffered: None }).unwrap_err();
    assert!(matches!(full, ControlError::BufferFull { entries: 2, .. }), "{full}");
    assert!(matches!(bench.dial(A), Upgrade::Accept { .. }));
    assert!(matches!(bench.dial(B), Upgrade::Refuse { status: 503, .. }));
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    bench.written();
    bench.does(Act::Delay { op: "typing".into(), ms: 1000 });
    bench.request(A, "1", json!({"op": "typing", "chat_id": "1"}));
    bench.request(A, "2", json!({"op": "typing", "chat_id": "1"}));
    assert_eq!(bench.written()[0].1["requestId"], "2");
    // A gateway that never reads is cut off, and this is observed.
    for _ in 0..100 {
        bench.request(A, "3", json!({"op": "get_chat_info", "chat_id": "1"}));
    }
    assert_eq!(bench.written(), [(A, json!("drop"))]);
    assert_eq!(bench.saws().len(), 3);
    let stats = bench.machine.stats();
    assert_eq!((stats.cut_slow, stats.not_delayed), (1, 1));
    assert!(stats.lost_observations > 0);
}

/// Input of a gateway, or of any other client of the port.
#[derive(Clone, Debug)]
enum MachineInput {
    Upgrade(u32),
    Bytes(u32, Vec<u8>),
    Frame(u32, String),
    Closed(u32),
    Tick(u64),
    Control(usize),
    Poll,
}

const FRAMES: [&str; 12] = [
    r#"{"type":"hello","platform":"discord"}"#,
    r#"{"type":"hello","platform":""}"#,
    r#"{"type":"going_idle"}"#,
    r#"{"type":"inbound_ack","bufferId":"1718900000000-0"}"#,
    r#"{"type":"inbound_ack","bufferId":"1718900000000-1"}"#,
    r#"{"type":"outbound","requestId":"","action":null}"#,
    r#"{"type":"outbound","requestId":"1"}"#,
    r#"{"type":"outbound","requestId":"2","action":{"op":"draft","chat_id":"1","content":"","draft_id":-1}}"#,
    r#"{"type":"outbound","requestId":"3","platform":"telegram","action":{"op":"draft","chat_id":"1","content":"","draft_id":9}}"#,
    r#"{"type":"outbound","requestId":"4","action":{"op":"send","chat_id":"1","content":"x"}}"#,
    r#"{"type":"outbound","requestId":"5","action":{"op":[]}}"#,
    r#"{"type":"interrupt","session_key":"","reason":null}"#,
];

const CONTROLS: [&str; 13] = [
    r#"{"do":"inbound","event":{"text":"x"}}"#,
    r#"{"do":"inbound","event":{"source":[]},"buffered":true}"#,
    r#"{"do":"inbound","event":{},"buffered":false}"#,
    r#"{"do":"passthrough","forward":{}}"#,
    r#"{"do":"drop"}"#,
    r#"{"do":"close"}"#,
    r#"{"do":"revoke"}"#,
    r#"{"do":"revoke","on":false}"#,
    r#"{"do":"expire"}"#,
    r#"{"do":"mute"}"#,
    r#"{"do":"mute","on":false}"#,
    r#"{"do":"delay","op":"send","ms":18446744073709551615}"#,
    r#"{"do":"answer","op":"send","result":[]}"#,
];

fn input() -> impl Strategy<Value = MachineInput> {
    let conn = 0u32..4;
    prop_oneof![
        conn.clone().prop_map(MachineInput::Upgrade),
        (conn.clone(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(conn, bytes)| MachineInput::Bytes(conn, bytes)),
        (conn.clone(), ".{0,40}").prop_map(|(conn, text)| MachineInput::Frame(conn, text)),
        (conn.clone(), prop::sample::select(FRAMES.to_vec()))
            .prop_map(|(conn, frame)| MachineInput::Frame(conn, frame.into())),
        conn.prop_map(MachineInput::Closed),
        any::<u64>().prop_map(MachineInput::Tick),
        (0..CONTROLS.len()).prop_map(MachineInput::Control),
        Just(MachineInput::Poll),
    ]
}

/// Plays the inputs. Returns all outputs.
fn play(inputs: &[MachineInput]) -> Vec<String> {
    let mut limits = Limits::default();
    limits.max_line_bytes = 200;
    limits.buffer_entries = 8;
    limits.write_bytes = 2000;
    limits.observations = 16;
    let mut machine = ConnectorMachine::new(ConnectorConfig::default().limits(limits), [7; 32]);
    let mut now = Now { mono: Time::ZERO, unix_s: 1_718_900_000 };
    let mut seen = Vec::new();
    let mut out = Vec::new();
    // Numbers of buffered deliveries and acks on each connection.
    let mut delivered = BTreeMap::<ConnId, [u32; 2]>::new();
    for input in inputs {
        match input {
            MachineInput::Upgrade(conn) => {
                delivered.remove(&ConnId(*conn));
                machine.handle_upgrade(now, ConnId(*conn), "/relay", None);
            }
            MachineInput::Bytes(conn, bytes) => machine.handle_bytes(now, ConnId(*conn), bytes),
            MachineInput::Frame(conn, frame) => {
                if frame.contains("inbound_ack") {
                    delivered.entry(ConnId(*conn)).or_default()[1] += 1;
                }
                machine.handle_bytes(now, ConnId(*conn), format!("{frame}\n").as_bytes());
            }
            MachineInput::Closed(conn) => machine.handle_closed(now, ConnId(*conn), None, ""),
            MachineInput::Tick(us) => {
                now = Now { mono: Time::from_micros(*us), unix_s: us / 1_000_000 };
                machine.handle_tick(now);
                assert!(machine.deadline().is_none_or(|due| due > now.mono));
            }
            MachineInput::Control(n) => {
                seen.push(format!("{:?}", machine.control(now, Control::parse(CONTROLS[*n]).unwrap())))
            }
            MachineInput::Poll => {
                while let Some(transmit) = machine.poll_transmit(&mut out) {
                    let text = String::from_utf8_lossy(&out);
                    if let Transmit::Frame { conn } = transmit
                        && text.contains("\"bufferId\"")
                    {
                        let [entries, acks] = delivered.entry(conn).or_default();
                        *entries += 1;
                        assert!(*entries <= *acks + 1, "A-8: {text}");
                    }
                    seen.push(format!("{transmit:?} {text}"));
                }
                seen.extend(
                    std::iter::from_fn(|| machine.poll_observation())
                        .map(|saw: Observation| format!("{saw:?}")),
                );
            }
        }
        assert!(machine.connections() <= 4);
        assert!(machine.buffered("").count() <= 8);
    }
    seen
}

proptest! {
    /// W-3, L-15: no input makes it panic, and the same inputs give the same outputs.
    #[test]
    fn w_3_arbitrary_inputs_never_panic_and_repeat_exactly(inputs in prop::collection::vec(input(), 0..60)) {
        prop_assert_eq!(play(&inputs), play(&inputs));
    }
}
