//! The connector's own JSON for the agent (X-4, X-5), and prompts that the agent manages itself (I-6).

use crate::bridging::Bridge;
use crate::support::{Program, SOON, relayline};
use data_encoding::BASE64;
use relayline_connector::chats::discord;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use serde_json::{Value, json};

on_one_runtime! {
    x_4_events_and_forwards_carry_the_json_they_came_as x_4_with_the_flag_off_no_json_is_kept,
    x_4_descriptors_show_their_unknown_fields x_5_unknown_frames_are_lines_or_are_counted,
    x_5_an_error_is_logged_and_explains_the_failed_dial i_6_an_agent_may_choose_its_own_ids,
    i_6_with_prompts_off_answers_are_messages p_9_all_parts_of_an_interaction_reach_the_agent,
}

fn write(bridge: &Bridge, frame: &str) {
    bridge.tell(Act::Raw { text: format!("{frame}\n") });
}

fn interaction(body: &Value) -> Act {
    let body = BASE64.encode(body.to_string().as_bytes());
    let forward = json!({"platform": "discord", "botId": "1", "bodyB64": body});
    Act::Passthrough { forward: forward.as_object().unwrap().clone(), buffered: Some(false) }
}

fn x_4_events_and_forwards_carry_the_json_they_came_as(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--raw-events", "--passthrough"]);
    write(
        &bridge,
        r#"{"type":"inbound","event":{"text":"a\ud800","new": {"b":[NaN, 1.50]},"source":{"chat_id":7}},"bufferId":"b1"}"#,
    );
    let line = bridge.next();
    let raw = json!({"text": "a\u{fffd}", "new": {"b": [null, 1.5]}, "source": {"chat_id": 7}});
    assert_eq!((&line["event"], &line["message"]["text"]), (&json!("message"), &json!("a\u{fffd}")));
    assert_eq!(line["raw"], raw);
    write(&bridge, r#"{"type":"passthrough_forward","forward":{"platform":"twilio","region":"eu"}}"#);
    let line = bridge.next();
    assert_eq!(line["event"], "passthrough", "{line}");
    assert_eq!(line["raw"], json!({"platform": "twilio", "region": "eu"}));
    // The `raw` of an interaction is its forward.
    bridge.tell(interaction(&json!({"type": 2, "id": "9", "channel_id": "c", "data": {"name": "ping"}})));
    let line = bridge.next();
    assert_eq!((&line["event"], &line["raw"]["botId"]), (&json!("message"), &json!("1")), "{line}");
    // An answer to a prompt carries its JSON, too.
    let press = json!({"new": 1, "message_id": "77", "source": {"chat_id": "7", "platform": "discord"},
        "prompt_response": {"prompt_id": "order-7", "option_id": "y"}});
    let op = json!({"op": "prompt", "prompt_id": "order-7", "chat_id": "7", "content": "?", "platform": "discord",
        "options": [{"id": "y", "label": "Yes"}]});
    bridge.ask(op);
    write(&bridge, &json!({"type": "inbound", "event": press}).to_string());
    let line = bridge.next();
    assert_eq!((&line["event"], &line["raw"]), (&json!("prompt_answer"), &press), "{line}");
}

fn x_4_with_the_flag_off_no_json_is_kept(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--raw-events=false"]);
    bridge.deliver(&discord::guild_channel(), "hi", false);
    assert_eq!(bridge.next().get("raw"), None);
}

fn x_4_descriptors_show_their_unknown_fields(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let descriptor = json!({"contract_version": 1, "platform": "discord", "label": "D", "max_message_length": 160,
        "supports_draft_streaming": false, "supports_edit": false, "supports_threads": false,
        "markdown_dialect": "", "len_unit": "chars", "supports_polls": {"most": 10}});
    let act = Act::Descriptor { descriptor: descriptor.as_object().unwrap().clone(), platform: None };
    bridge.tell(act);
    bridge.tell(Act::Drop);
    assert_eq!(bridge.next()["event"], "disconnected");
    let connected = bridge.next();
    assert_eq!(connected["descriptor"]["supports_polls"], json!({"most": 10}), "{connected}");
    assert_eq!(connected["descriptors"]["discord"]["supports_polls"], json!({"most": 10}));
    bridge.next();
    let shown = bridge.ask(json!({"op": "capabilities", "chat_id": "7"}));
    assert_eq!(shown["supports_polls"], json!({"most": 10}));
}

fn x_5_unknown_frames_are_lines_or_are_counted(runtime: &str) {
    let frame = r#"{"type":"presence","who":["\udfff",-Infinity],"bufferId":"b1"}"#;
    let mut bridge = Bridge::start(runtime, &["--unknown-frames"]);
    write(&bridge, frame);
    let raw = json!({"type": "presence", "who": ["\u{fffd}", null], "bufferId": "b1"});
    assert_eq!(bridge.next(), json!({"event": "frame", "type": "presence", "raw": raw}));
    // A-3: it does not block the drain.
    assert_eq!(bridge.sees(), json!({"type": "inbound_ack", "bufferId": "b1"}));
    let mut bridge = Bridge::start(runtime, &["-v"]);
    write(&bridge, frame);
    bridge.program.logged("unknown_frames");
    bridge.deliver(&discord::guild_channel(), "hi", false);
    assert_eq!(bridge.next()["event"], "message");
}

fn x_5_an_error_is_logged_and_explains_the_failed_dial(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    connector.control(Act::Mute { on: true }).unwrap();
    let mut command = relayline(["run", "--url", &connector.url(), "--runtime", runtime]);
    command.args(["--platform", "discord", "--set", "backoff_first=20ms"]);
    let mut program = Program::start(command);
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, SOON).unwrap();
    let long = format!("no such\u{7} bot {}", "x".repeat(400));
    let shown = format!("no such\\u{{7}} bot {}…", "x".repeat(300 - "no such. bot ".len()));
    let frame = json!({"type": "error", "error": long});
    connector.control(Act::Raw { text: format!("{frame}\n") }).unwrap();
    // Only a frame that was read before the close can explain it.
    let logged = program.logged("connector_error");
    // The log escapes the backslashes of a field.
    assert!(logged.contains(&shown.replace('\\', "\\\\")), "{logged}");
    assert!(program.log().lines().any(|line| line.contains("WARN") && line.contains("connector_error")));
    connector.control(Act::Close { code: 1008, reason: "policy".into() }).unwrap();
    let line: Value = serde_json::from_str(&program.line().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["code"]), (&json!("disconnected"), &json!(1008)));
    assert_eq!(line["reason"], format!("policy; the connector said: {shown}"));
}

fn i_6_an_agent_may_choose_its_own_ids(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let room = discord::guild_channel();
    let ask = |id: Value| {
        json!({"op": "prompt", "prompt_id": id, "chat_id": room.chat_id, "content": "Deploy?",
            "options": [{"id": "y", "label": "Yes"}]})
    };
    assert_eq!(bridge.ask(ask(json!("order-7")))["prompt_id"], "order-7");
    assert_eq!(bridge.sees()["action"]["prompt_id"], "order-7");
    let error = bridge.ask(ask(json!("order-7")));
    let message = "a prompt with the id \"order-7\" is open: choose another, or wait for its answer";
    assert_eq!(error, json!({"kind": "definite", "message": message}));
    let error = bridge.ask(ask(json!("a:b")));
    assert_eq!(error["kind"], "definite", "{error}");
    assert_eq!(bridge.ask(ask(json!(8)))["prompt_id"], "8");
    assert_ne!(bridge.ask(ask(Value::Null))["prompt_id"], Value::Null);
}

fn i_6_with_prompts_off_answers_are_messages(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--prompts", "off"]);
    let room = discord::guild_channel();
    let response =
        json!({"prompt_id": "order-7", "option_id": "y", "label": "Yes", "prompt_message_id": "m1"});
    let event = json!({"text": "/y", "message_id": "70", "prompt_response": response,
        "source": {"platform": "discord", "chat_id": room.chat_id, "user_id": "ann"}});
    bridge.tell(Act::Inbound { event: event.as_object().unwrap().clone(), buffered: Some(true) });
    let line = bridge.next();
    assert_eq!(
        (&line["event"], &line["message"]["prompt_response"]),
        (&json!("message"), &response),
        "{line}"
    );
    // Nothing is acknowledged automatically.
    bridge.ask(json!({"op": "typing", "chat_id": room.chat_id}));
    assert_eq!(bridge.sees()["action"]["op"], "typing");
    bridge.ask(json!({"op": "ack", "delivery": line["delivery"]}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
}

fn p_9_all_parts_of_an_interaction_reach_the_agent(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(interaction(&json!({"type": 3, "id": "1", "channel_id": "c", "data": {"custom_id": "size", "values": ["s", "m"]}})));
    assert_eq!(bridge.next()["message"]["values"], json!(["s", "m"]));
    let message = json!({"content": "long", "author": {"id": "1", "username": "ada"},
        "attachments": [{"url": "https://cdn.example/a", "content_type": "image/png", "size": 3}]});
    let data =
        json!({"name": "Sum", "type": 3, "target_id": "900", "resolved": {"messages": {"900": message}}});
    bridge.tell(interaction(&json!({"type": 2, "id": "2", "channel_id": "c", "data": data})));
    let message = bridge.next()["message"].take();
    assert_eq!(message["target"], json!({"kind": "message", "id": "900"}));
    assert_eq!(message["reply_to"], json!({"text": "long", "author": "ada", "is_own": true}));
    assert_eq!(message["media"][0]["url"], "https://cdn.example/a");
}
