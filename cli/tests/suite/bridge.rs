//! The bridge on stdio, against an embedded connector, on either runtime.

use crate::bridging::Bridge;
use crate::support::{Ended, Program, SOON, relayline};
use relayline_connector::chats::{Ids, discord, telegram};
use relayline_connector::{Act, ClosedBy, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::{Value, json};

on_both_runtimes! {
    l_3_connected_has_the_platforms_capabilities
    e_10_connected_says_that_authorization_is_upstream
    a_1_the_agent_acknowledges_only_buffered_messages
    a_1_auto_ack_acknowledges_deliveries_once_written
    a_2_a_refused_delivery_is_redelivered
    every_op_has_its_result
    an_op_without_an_id_has_no_result
    o_3_a_result_has_the_kind_of_failure
    o_4_requests_written_before_a_drop_are_ambiguous
    a_text_in_parts_is_sent_before_later_messages
    l_12_going_idle_is_confirmed_or_not
    l_13_going_dormant_holds_and_resumes
    l_16_an_interrupt_is_delivered
    w_5_an_overlong_line_is_a_dead_letter
    l_18_disconnected_says_code_and_reason
    a_bad_line_is_invalid_and_stops_nothing
    l_14_the_end_of_input_is_a_graceful_disconnect
    l_14_a_termination_signal_is_a_graceful_disconnect
    l_14_disconnect_has_a_result_and_the_end_follows
    l_10_fatal_is_the_last_line
    a_closed_stdout_ends_the_connector
}

fn l_3_connected_has_the_platforms_capabilities(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let url = connector.url();
    let mut command = relayline(["run", "--url", &url, "--runtime", runtime]);
    command.args(["--identity", "discord:1", "--identity", "telegram:2"]);
    let mut bridge = Bridge { program: Program::start(command), connector, ids: Ids::new([0; 32]) };
    // D-8: the first descriptor completes the handshake. Both may have arrived together.
    let first = bridge.next();
    let second = bridge.next();
    for line in [&first, &second] {
        assert_eq!(line["event"], "connected");
        assert_eq!(line["descriptor"]["platform"], "discord");
        assert_eq!(line["descriptors"]["discord"], line["descriptor"]);
    }
    assert_eq!(second["platforms"], json!(["discord", "telegram"]));
    assert_eq!(second["descriptors"]["telegram"]["len_unit"], "utf16");
    // D-2: normalized, with the wire's names.
    assert_eq!(second["descriptor"]["contract_version"], 1);
    assert!(second["descriptor"]["pii_safe"].is_boolean());
}

fn e_10_connected_says_that_authorization_is_upstream(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(Act::Close { code: 1013, reason: "busy".into() });
    assert_eq!(bridge.next()["event"], "disconnected");
    for _ in 0..2 {
        let line = bridge.next();
        let said = (&line["event"], &line["authorization_is_upstream"]);
        assert_eq!(said, (&json!("connected"), &json!(true)));
    }
}

fn a_1_the_agent_acknowledges_only_buffered_messages(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.deliver(&discord::guild_channel(), "live", false);
    let live = bridge.next();
    assert_eq!(
        (&live["event"], &live["delivery"], &live["buffered"]),
        (&json!("message"), &json!(1), &json!(false))
    );
    let room = discord::guild_channel();
    let key = format!("agent:main:discord:group:{}:{}", room.chat_id, room.person.id);
    assert_eq!(live["session_key"], key);
    assert_eq!(live["message"]["text"], "live");
    assert_eq!(live["message"]["source"]["user_name"], room.person.name);
    // A live delivery is accepted once its line is written. Acknowledging it is harmless, also twice.
    for _ in 0..2 {
        assert_eq!(bridge.ask(json!({"op": "ack", "delivery": 1})), json!({}));
    }

    bridge.deliver(&discord::guild_channel(), "kept", true);
    bridge.deliver(&discord::guild_channel(), "behind it", true);
    let kept = bridge.next();
    assert_eq!((&kept["delivery"], &kept["buffered"]), (&json!(2), &json!(true)));
    bridge.ask(json!({"op": "send", "chat_id": "1", "content": "not acked yet"}));
    assert_eq!(bridge.sees()["action"]["content"], "not acked yet");
    bridge.say(json!({"op": "ack", "delivery": 2}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // the next entry comes after the acknowledgement of the last.
    assert_eq!(bridge.next()["message"]["text"], "behind it");
    let error = bridge.ask(json!({"op": "ack", "delivery": 9}));
    assert_eq!(error, json!({"kind": "definite", "message": "there is no delivery 9 yet"}));
}

fn a_1_auto_ack_acknowledges_deliveries_once_written(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--auto-ack"]);
    for text in ["one", "two"] {
        bridge.deliver(&discord::dm(), text, true);
    }
    for text in ["one", "two"] {
        let line = bridge.next();
        assert_eq!((&line["message"]["text"], &line["buffered"]), (&json!(text), &json!(true)));
        assert_eq!(bridge.sees()["type"], "inbound_ack");
    }
}

fn a_2_a_refused_delivery_is_redelivered(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.deliver(&discord::dm(), "again", true);
    assert_eq!(bridge.next()["delivery"], 1);
    bridge.say(json!({"op": "refuse", "delivery": 1}));
    let disconnected = bridge.next();
    assert_eq!(disconnected["event"], "disconnected");
    assert!(disconnected["retry_in_ms"].is_u64(), "{disconnected}");
    let again = loop {
        let line = bridge.next();
        if line["event"] != "connected" {
            break line;
        }
    };
    assert_eq!((&again["delivery"], &again["message"]["text"]), (&json!(2), &json!("again")));
    bridge.say(json!({"op": "ack", "delivery": 2}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
}

fn every_op_has_its_result(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    // The op, its result (`*` is any text), and the action that the connector receives.
    let send = |extra: Value| {
        let mut op = json!({"op": "send", "chat_id": "7", "content": "hi"});
        op.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        op
    };
    let sent = |reply_to: Value, metadata: Value| json!({"op": "send", "chat_id": "7", "content": "hi", "reply_to": reply_to, "metadata": metadata});
    for (op, expected, action) in [
        (send(json!({})), json!({"message_id": "*"}), sent(json!(null), json!({}))),
        // W-8: ids may be numbers.
        (send(json!({"chat_id": 7, "reply_to": 5})), json!({"message_id": "*"}), sent(json!("5"), json!({}))),
        (
            send(json!({"metadata": {"thread_id": "t"}, "platform": "telegram"})),
            json!({"message_id": "*"}),
            sent(json!(null), json!({"thread_id": "t"})),
        ),
        (
            json!({"op": "typing", "chat_id": "7"}),
            json!({}),
            json!({"op": "typing", "chat_id": "7", "metadata": {}}),
        ),
        (
            json!({"op": "follow_up", "session_key": "k", "kind": "discord.interaction_token", "content": "x"}),
            json!({"message_id": "*"}),
            json!({"op": "follow_up", "session_key": "k", "kind": "discord.interaction_token", "content": "x", "metadata": {}}),
        ),
        (
            json!({"op": "get_chat_info", "chat_id": telegram::topic().chat_id}),
            json!({"name": "Команда 🚀", "type": "forum"}),
            json!({"op": "get_chat_info", "chat_id": telegram::topic().chat_id}),
        ),
    ] {
        let mut result = bridge.ask(op.clone());
        if expected["message_id"] == "*" {
            assert!(result["message_id"].is_string(), "{op}: {result}");
            result["message_id"] = json!("*");
        }
        assert_eq!(result, expected, "{op}");
        assert_eq!(bridge.sees()["action"], action, "{op}");
    }
    // An edit of a message that was sent.
    let sent = bridge.ask(send(json!({})));
    bridge.sees();
    let edit = json!({"op": "edit", "chat_id": "7", "message_id": sent["message_id"], "content": "better"});
    assert_eq!(bridge.ask(edit), json!({}));
    assert_eq!(bridge.sees()["action"]["content"], "better");
    // M-3: a platform that the gateway does not front.
    let error = bridge.ask(send(json!({"platform": "slack"})));
    assert_eq!(error, json!({"kind": "definite", "message": "relay does not front platform slack"}));
    // An interrupt to the connector.
    assert_eq!(bridge.ask(json!({"op": "interrupt", "session_key": "k"})), json!({}));
    assert_eq!(bridge.sees(), json!({"type": "interrupt", "session_key": "k", "reason": null}));
    // Ops that write no frame.
    let text = "x ".repeat(1500);
    let parts = bridge.ask(json!({"op": "split", "chat_id": "7", "content": text}));
    assert_eq!(parts.as_array().unwrap().len(), 2);
    assert!(parts[1].as_str().unwrap().ends_with(" (2/2)"));
    assert_eq!(bridge.ask(json!({"op": "capabilities", "chat_id": "7"}))["platform"], "discord");
    assert_eq!(bridge.ask(json!({"op": "hold", "ms": 1})), json!({}));
    // A long text in parts: the result has the last part's id, and all ids.
    let result =
        bridge.ask(json!({"op": "send", "chat_id": "7", "content": text, "split": true, "reply_to": "5"}));
    assert_eq!(result["message_ids"].as_array().unwrap().len(), 2);
    assert_eq!(result["message_id"], result["message_ids"][1]);
    let actions = [bridge.sees(), bridge.sees()].map(|mut frame| frame["action"].take());
    assert_eq!(json!([actions[0]["content"], actions[1]["content"]]), parts);
    assert_eq!((&actions[0]["reply_to"], &actions[1]["reply_to"]), (&json!("5"), &json!(null)));
    // Without splitting, the connector refuses the text.
    let error = bridge.ask(json!({"op": "send", "chat_id": "7", "content": text}));
    assert_eq!(error["kind"], "rejected");
}

fn an_op_without_an_id_has_no_result(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    for op in [
        json!({"op": "send", "chat_id": "7", "content": "one"}),
        json!({"op": "send", "chat_id": "7", "content": "two", "id": null}),
        json!({"op": "typing", "chat_id": "7"}),
        json!({"op": "ack", "delivery": 7}),
        json!({"op": "capabilities", "chat_id": "7"}),
        json!({"op": "split", "chat_id": "7", "content": "x"}),
        json!({"op": "hold"}),
        json!({"op": "resume"}),
    ] {
        bridge.say(op);
    }
    // The id of an op may be any value.
    bridge.say(json!({"op": "send", "chat_id": "7", "content": "three", "id": {"n": [1]}}));
    let line = bridge.next();
    assert_eq!((&line["event"], &line["id"]), (&json!("result"), &json!({"n": [1]})));
    for content in [json!("one"), json!("two"), json!(null), json!("three")] {
        assert_eq!(bridge.sees()["action"]["content"], content);
    }
}

fn o_3_a_result_has_the_kind_of_failure(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    for (answer, expected) in [
        (
            json!({"success": false, "error": "no such chat"}),
            json!({"kind": "rejected", "message": "no such chat"}),
        ),
        (
            json!({"success": false, "error": "quiet hours", "code": "egress_declined"}),
            json!({"kind": "declined", "message": "quiet hours", "code": "egress_declined"}),
        ),
        (
            json!({"success": false, "error": "timed out", "ambiguous": true}),
            json!({"kind": "ambiguous", "message": "timed out"}),
        ),
    ] {
        bridge.tell(Act::Answer { op: "send".into(), result: answer });
        assert_eq!(bridge.ask(json!({"op": "send", "chat_id": "7", "content": "x"})), expected);
        bridge.sees();
    }
    // O-9: the op is never written. The connector uses the new descriptor from the next handshake on.
    let mut descriptor = discord::platform().descriptor;
    descriptor.insert("supports_edit".into(), false.into());
    bridge.tell(Act::Descriptor { descriptor, platform: None });
    bridge.tell(Act::Close { code: 1012, reason: "restart".into() });
    assert_eq!(bridge.next()["event"], "disconnected");
    let connected = bridge.next();
    assert_eq!(
        (&connected["event"], &connected["descriptor"]["supports_edit"]),
        (&json!("connected"), &json!(false))
    );
    bridge.next();
    let error = bridge.ask(json!({"op": "edit", "chat_id": "7", "message_id": "1", "content": "x"}));
    assert_eq!(error, json!({"kind": "unsupported", "message": "discord does not offer `edit`"}));
    bridge.tell(Act::Answer { op: "send".into(), result: json!(null) });
    bridge.ask(json!({"op": "send", "chat_id": "7", "content": "the next frame"}));
    assert_eq!(bridge.sees()["action"]["content"], "the next frame");
}

fn o_4_requests_written_before_a_drop_are_ambiguous(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(Act::Delay { op: "send".into(), ms: 600_000 });
    for n in 0..20 {
        bridge.say(json!({"op": "send", "chat_id": "7", "content": "x", "id": n}));
        bridge.sees();
    }
    bridge.ask(json!({"op": "hold"}));
    bridge.tell(Act::Drop);
    // The results come before the notice of their cause.
    for _ in 0..20 {
        let line = bridge.next();
        assert_eq!((&line["event"], &line["error"]["kind"]), (&json!("result"), &json!("ambiguous")));
    }
    let line = bridge.next();
    assert_eq!((&line["event"], &line["code"]), (&json!("disconnected"), &json!(null)));
    assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    // O-8: no request is queued silently.
    let error = bridge.ask(json!({"op": "send", "chat_id": "7", "content": "x"}));
    assert_eq!(error, json!({"kind": "definite", "message": "the relay is not connected"}));
}

fn a_text_in_parts_is_sent_before_later_messages(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let lines: String = (0..20)
        .flat_map(|n| [(2 * n, true), (2 * n + 1, false)])
        .map(|(n, split)| {
            format!("{}\n", json!({"op": "send", "chat_id": "7", "content": n.to_string(), "split": split}))
        })
        .collect();
    bridge.program.write(lines.as_bytes());
    for n in 0..40 {
        assert_eq!(bridge.sees()["action"]["content"], n.to_string());
    }
}

fn l_12_going_idle_is_confirmed_or_not(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--set", "idle_timeout=50ms"]);
    bridge.tell(Act::IdleAck { on: false });
    assert_eq!(bridge.ask(json!({"op": "go_idle"})), json!({"confirmed": false}));
    bridge.tell(Act::IdleAck { on: true });
    assert_eq!(bridge.ask(json!({"op": "go_idle"})), json!({"confirmed": true}));
    // From now on the connector buffers.
    let event = discord::dm().message(&mut bridge.ids, Now::default(), "while idle");
    bridge.tell(Act::Inbound { event, buffered: None });
    bridge.say(json!({"op": "resume"}));
    assert_eq!(bridge.next()["event"], "disconnected");
    let message = loop {
        let line = bridge.next();
        if line["event"] == "message" {
            break line;
        }
        assert_eq!(line["event"], "connected");
    };
    assert_eq!((&message["message"]["text"], &message["buffered"]), (&json!("while idle"), &json!(true)));
}

fn l_13_going_dormant_holds_and_resumes(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    assert_eq!(bridge.ask(json!({"op": "hold", "ms": 60_000})), json!({}));
    assert_eq!(bridge.ask(json!({"op": "go_dormant"})), json!({"confirmed": true}));
    let disconnected = bridge.next();
    assert_eq!(disconnected["event"], "disconnected");
    assert!(disconnected["retry_in_ms"].as_u64().is_some_and(|ms| ms > 50_000), "{disconnected}");
    bridge.sees_goodbye();
    bridge.say(json!({"op": "resume"}));
    assert_eq!(bridge.next()["event"], "connected");
}

fn l_16_an_interrupt_is_delivered(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(Act::Interrupt { session_key: "agent:main:discord:dm:1".into(), chat_id: "1".into() });
    let expected = json!({"event": "interrupt", "session_key": "agent:main:discord:dm:1", "chat_id": "1"});
    assert_eq!(bridge.next(), expected);
}

fn w_5_an_overlong_line_is_a_dead_letter(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--set", "max_line_bytes=64KiB"]);
    bridge.tell(Act::Raw { text: format!("{}\n", "x".repeat(100_000)) });
    let line = bridge.next();
    assert_eq!((&line["event"], &line["buffer_id"]), (&json!("dead_letter"), &json!(null)));
    assert!(line["reason"].as_str().unwrap().contains("max_line_bytes"), "{line}");
    // an unusable entry is acknowledged and reported.
    bridge.tell(Act::Raw { text: "{\"type\":\"inbound\",\"event\":7,\"bufferId\":\"b9\"}\n".into() });
    let line = bridge.next();
    assert_eq!((&line["event"], &line["buffer_id"]), (&json!("dead_letter"), &json!("b9")));
    assert_eq!(bridge.sees(), json!({"type": "inbound_ack", "bufferId": "b9"}));
}

fn l_18_disconnected_says_code_and_reason(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(Act::Close { code: 1013, reason: "temporarily suspended".into() });
    let line = bridge.next();
    assert_eq!((&line["event"], &line["code"]), (&json!("disconnected"), &json!(1013)));
    assert_eq!(line["reason"], "temporarily suspended");
    assert!(line["retry_in_ms"].is_u64());
    assert_eq!(bridge.next()["event"], "connected");
}

fn a_bad_line_is_invalid_and_stops_nothing(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let long = "y".repeat(1000);
    for (line, expected) in [
        (b"hello".as_slice(), "it is not valid JSON: "),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"[1]", "it is not a JSON object: write {\"op\":\"send\","),
        (b"{}", "it has no `op`"),
        (b"{\"op\":7}", "invalid"),
        (b"{\"op\":\"resume\",\"id\":12345678901234567890123}", "`id` holds a number beyond 64 bits"),
        (b"{\"op\":\"resume\",\"id\":{\"a\":[-1e300]}}", "`id` holds a number beyond 64 bits"),
        (b"{\"op\":\"dance\"}", "unknown op `dance`"),
        (b"{\"op\":\"send\",\"content\":\"x\"}", "missing field `chat_id`"),
        (b"{\"op\":\"send\",\"chat_id\":null,\"content\":\"x\"}", "missing field `chat_id`"),
        (b"{\"op\":\"send\",\"chat_id\":1.5,\"content\":\"x\"}", "an id is a string or an integer"),
        (b"{\"op\":\"ack\",\"delivery\":-1}", "invalid value"),
        (long.as_bytes(), "it is not valid JSON: "),
    ] {
        bridge.program.write(&[line, b"\n"].concat());
        let said = bridge.next();
        assert_eq!(said["event"], "invalid", "{said}");
        assert!(said["message"].as_str().unwrap().contains(expected), "{said}");
        let shown = said["line"].as_str().unwrap();
        assert!(String::from_utf8_lossy(line).starts_with(shown) && shown.len() <= 200, "{said}");
    }
    // An op with an id gets a result instead.
    let error = bridge.ask(json!({"op": "dance"}));
    assert_eq!(error["kind"], "definite");
    assert!(error["message"].as_str().unwrap().contains("unknown op `dance`"), "{error}");
    // Blank lines, and lines in pieces.
    bridge.program.write(b"\n  \r\n{\"op\":\"capabilities\",");
    bridge.program.write(b"\"chat_id\":\"1\",\"id\":\"c\"}\r\n");
    assert_eq!(bridge.result("c")["platform"], "discord");
}

fn l_14_the_end_of_input_is_a_graceful_disconnect(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    // Ops before it are still answered.
    bridge.tell(Act::Delay { op: "send".into(), ms: 100 });
    bridge.say(json!({"op": "send", "chat_id": "7", "content": "the last word", "id": "s"}));
    bridge.program.close_stdin();
    assert!(bridge.result("s")["message_id"].is_string());
    assert_eq!(bridge.sees()["action"]["content"], "the last word");
    bridge.sees_goodbye();
    bridge.ends_well();
}

fn l_14_a_termination_signal_is_a_graceful_disconnect(runtime: &str) {
    let bridge = Bridge::start(runtime, &[]);
    bridge.program.terminate();
    bridge.sees_goodbye();
    bridge.ends_well();
}

fn l_14_disconnect_has_a_result_and_the_end_follows(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.say(json!({"op": "disconnect", "id": "bye"}));
    bridge.sees_goodbye();
    let Ended { code, stdout, .. } = bridge.program.ended();
    assert_eq!(code, Some(0));
    let bye = json!({"event": "result", "id": "bye", "ok": true, "result": {}});
    assert!(stdout.lines().any(|line| serde_json::from_str::<Value>(line).unwrap() == bye), "{stdout}");
}

fn l_10_fatal_is_the_last_line(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(Act::Delay { op: "send".into(), ms: 600_000 });
    for n in 0..20 {
        bridge.say(json!({"op": "send", "chat_id": "7", "content": "x", "id": n}));
        bridge.sees();
    }
    bridge.tell(Act::Revoke { on: true });
    let Ended { code, stdout, stderr } = bridge.program.ended();
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.lines().last().unwrap().starts_with("relayline: relay_disabled: "), "{stderr}");
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let results = lines.iter().filter(|line| line["error"]["kind"] == "ambiguous").count();
    assert_eq!(results, 20);
    let fatal = lines.last().unwrap();
    assert_eq!(
        (&fatal["event"], &fatal["code"], &fatal["retryable"]),
        (&json!("fatal"), &json!("relay_disabled"), &json!(false))
    );
    assert_eq!(lines.iter().filter(|line| line["event"] == "fatal").count(), 1);
}

fn a_closed_stdout_ends_the_connector(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.program.close_stdout();
    // The first of these closes our end of the pipe, and a later one finds it closed.
    let id = bridge.program.id();
    let ended = std::thread::scope(|scope| {
        let (mut program, connector, mut ids) = (bridge.program, &bridge.connector, bridge.ids);
        let waiter = scope.spawn(move || program.wait());
        while !waiter.is_finished() {
            let event = discord::dm().message(&mut ids, Now::default(), "anybody?");
            // This is refused once the gateway is gone.
            if connector.control(Act::Inbound { event, buffered: Some(false) }).is_err() {
                break;
            }
        }
        waiter.join().unwrap()
    });
    assert_eq!(ended, Some(0), "{id}");
    bridge
        .connector
        .wait_for(
            |saw| matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. }),
            SOON,
        )
        .unwrap();
}
