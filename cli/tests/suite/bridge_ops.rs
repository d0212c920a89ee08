//! Ops and lines for conversations with buttons, threads and forwards, on either runtime.

use crate::bridging::Bridge;
use crate::support::{Program, SOON, relayline};
use data_encoding::BASE64;
use relayline_connector::chats::{discord, slack, telegram};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::{Map, Value, json};

on_one_runtime! {
    every_further_op_has_its_result w_8_ids_may_be_numbers_and_null_is_absent,
    o_9_an_op_that_is_not_offered_is_unsupported o_errors_of_an_op_are_definite,
    o_16_a_task_card_goes_out_and_is_ended o_18_an_auto_thread_is_in_the_result,
    x_3_a_raw_action_is_written_unchanged x_6_a_hello_carries_extra_fields,
    i_3_i_4_an_answer_is_delivered_with_its_user i_3_an_answer_without_an_open_prompt_is_stale_or_silent,
    i_3_a_refused_answer_is_redelivered i_5_without_buttons_a_prompt_is_text,
    i_5_after_a_decline_the_prompt_can_be_sent_again p_2_a_raw_forward_is_acknowledged_by_the_agent,
    p_2_an_unwanted_forward_is_acknowledged_and_not_shown p_8_a_slash_command_is_answered_with_a_follow_up,
    m_6_sent_messages_carry_the_primed_memory m_5_a_primed_thread_takes_its_parents_scope,
    e_11_slacks_one_command_is_rewritten_by_the_flags o_10_a_streamed_answer_uses_edits_or_segments,
}

/// Returns fields in the form of the connector's instructions.
fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Returns the event of a user who chose an option in this chat.
fn chosen(bridge: &mut Bridge, prompt_id: &str, option_id: &str) -> Map<String, Value> {
    let text = format!("/{option_id}");
    let now = Now { unix_s: 1_718_900_000, ..Now::default() };
    let mut event = discord::guild_channel().message(&mut bridge.ids, now, &text);
    let response = json!({"prompt_id": prompt_id, "option_id": option_id, "label": "Yes"});
    event.insert("prompt_response".to_owned(), response);
    event
}

/// Sends a prompt to the guild's channel. Returns the prompt's id.
#[track_caller]
fn prompt(bridge: &mut Bridge) -> String {
    let result = bridge.ask(json!({
        "op": "prompt", "chat_id": discord::guild_channel().chat_id, "content": "Deploy?",
        "options": [{"id": "y", "label": "Yes"}, {"id": "n", "label": "No"}],
    }));
    let shown = bridge.sees();
    assert_eq!(shown["action"]["prompt_id"], result["prompt_id"]);
    result["prompt_id"].as_str().unwrap().to_owned()
}

/// Starts a bridge with a further platform.
#[track_caller]
fn start_with(runtime: &str, platform: &str, flags: &[&str]) -> Bridge {
    let identity = format!("{platform}:9");
    let mut bridge = Bridge::start(runtime, &[&["--identity", identity.as_str()], flags].concat());
    assert_eq!(bridge.next()["platforms"][2], platform);
    bridge
}

fn every_further_op_has_its_result(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let own = json!({"scope_id": "S", "guild_id": "S"});
    // The op, its result (`*` is any text), and the action that the connector receives.
    for (op, expected, action) in [
        (
            json!({"op": "delete", "chat_id": "7", "message_id": "8", "metadata": null}),
            json!({}),
            json!({"op": "delete", "chat_id": "7", "message_id": "8", "metadata": {}}),
        ),
        (
            json!({"op": "send_media", "chat_id": "7", "media_kind": "image", "source_url": "https://x/a.png"}),
            json!({"message_id": "*"}),
            json!({"op": "send_media", "chat_id": "7", "media_kind": "image", "source_url": "https://x/a.png",
                "content": "", "reply_to": null, "metadata": {}}),
        ),
        (
            json!({"op": "send_media", "chat_id": "7", "media_kind": "document", "source_url": "https://x/a",
                "content": "the plan", "filename": "plan.pdf", "reply_to": "5", "metadata": {"scope_id": "S"}}),
            json!({"message_id": "*"}),
            json!({"op": "send_media", "chat_id": "7", "media_kind": "document", "source_url": "https://x/a",
                "content": "the plan", "filename": "plan.pdf", "reply_to": "5", "metadata": own}),
        ),
        (
            json!({"op": "prompt", "chat_id": "7", "prompt_kind": "approval", "content": "Deploy?",
                "options": [{"id": "y", "label": "Yes", "style": "danger"}, {"id": "n", "label": "No"}],
                "timeout_s": 60, "reply_to": "5"}),
            json!({"message_id": "*", "prompt_id": "*"}),
            json!({"op": "prompt", "chat_id": "7", "prompt_kind": "approval", "prompt_id": "*", "content": "Deploy?",
                "options": [{"id": "y", "label": "Yes", "style": "danger"}, {"id": "n", "label": "No"}],
                "timeout_s": 60, "reply_to": "5", "metadata": {}}),
        ),
        (
            json!({"op": "react", "chat_id": "7", "message_id": "8", "emoji": "👍"}),
            json!({}),
            json!({"op": "react", "chat_id": "7", "message_id": "8", "emoji": "👍", "remove": false, "metadata": {}}),
        ),
        (
            json!({"op": "react", "chat_id": "7", "message_id": "8", "emoji": "👍", "remove": true}),
            json!({}),
            json!({"op": "react", "chat_id": "7", "message_id": "8", "emoji": "👍", "remove": true, "metadata": {}}),
        ),
        (
            json!({"op": "thread_create", "chat_id": "7"}),
            json!({"thread_id": "*"}),
            json!({"op": "thread_create", "chat_id": "7", "thread_name": "handoff", "metadata": {}}),
        ),
        (
            json!({"op": "thread_create", "chat_id": "7", "thread_name": format!("  {}", "é".repeat(200)),
                "message_id": "8"}),
            json!({"thread_id": "*"}),
            json!({"op": "thread_create", "chat_id": "7", "thread_name": "é".repeat(100), "message_id": "8",
                "metadata": {}}),
        ),
        (
            json!({"op": "thread_rename", "chat_id": "7", "message_id": "8", "thread_name": " plan ",
                "only_if_current_name": "handoff"}),
            json!({}),
            json!({"op": "thread_rename", "chat_id": "7", "message_id": "8", "thread_name": "plan",
                "only_if_current_name": "handoff", "metadata": {}}),
        ),
        (
            json!({"op": "thread_rename", "message_id": "8", "thread_name": "the  plan",
                "only_if_connector_created": true, "only_if_current_name": "handoff"}),
            json!({}),
            json!({"op": "thread_rename", "chat_id": "8", "message_id": "8", "thread_name": "the plan",
                "only_if_connector_created": true, "metadata": {}}),
        ),
        (
            json!({"op": "draft", "chat_id": "7", "platform": "telegram", "draft_id": 3, "content": "so f"}),
            json!({"message_id": "*"}),
            json!({"op": "draft", "chat_id": "7", "draft_id": 3, "content": "so f", "final": false, "metadata": {}}),
        ),
        (
            json!({"op": "draft", "chat_id": "7", "platform": "telegram", "draft_id": 3, "content": "so far",
                "final": true}),
            json!({"message_id": "*"}),
            json!({"op": "draft", "chat_id": "7", "draft_id": 3, "content": "so far", "final": true, "metadata": {}}),
        ),
    ] {
        let mut result = bridge.ask(op.clone());
        let mut frame = bridge.sees();
        if op["op"] == "prompt" {
            assert_eq!(frame["action"]["prompt_id"], result["prompt_id"], "{op}");
            frame["action"]["prompt_id"] = json!("*");
        }
        for name in ["message_id", "thread_id", "prompt_id"] {
            if expected[name] == "*" {
                assert!(result[name].as_str().is_some_and(|id| !id.is_empty()), "{op}: {result}");
                result[name] = json!("*");
            }
        }
        assert_eq!(result, expected, "{op}");
        assert_eq!(frame["action"], action, "{op}");
        // M-3: an op for an unknown chat has no tag, unless the op names a platform.
        assert_eq!(frame.get("platform"), op.get("platform"), "{op}");
    }
}

fn w_8_ids_may_be_numbers_and_null_is_absent(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    // More digits than any machine integer has.
    let long = "123456789012345678901234567890";
    let line = format!(r#"{{"op":"delete","id":1,"chat_id":-{long},"message_id":{long},"platform":null}}"#);
    bridge.program.write(format!("{line}\n").as_bytes());
    let result = bridge.next();
    assert_eq!((&result["id"], &result["ok"]), (&json!(1), &json!(true)), "{result}");
    let action = bridge.sees()["action"].take();
    assert_eq!((&action["chat_id"], &action["message_id"]), (&json!(format!("-{long}")), &json!(long)));

    // A field that may be absent may be null, in every op.
    for op in [
        json!({"op": "send", "chat_id": 7, "content": "x", "split": null, "reply_to": null}),
        json!({"op": "edit", "chat_id": 7, "message_id": 8, "content": "x", "metadata": null}),
        json!({"op": "typing", "chat_id": 7, "content": null}),
        json!({"op": "send_media", "chat_id": 7, "media_kind": "voice", "source_url": "https://x/u", "content": null,
            "filename": null, "reply_to": null}),
        json!({"op": "prompt", "chat_id": 7, "prompt_kind": null, "content": "?", "options": [{"id": "a", "label": "A",
            "style": null}], "timeout_s": null, "as_text": null}),
        json!({"op": "react", "chat_id": 7, "message_id": 8, "emoji": "👍", "remove": null}),
        json!({"op": "thread_create", "chat_id": 7, "thread_name": null, "message_id": null}),
        json!({"op": "thread_rename", "chat_id": 7, "message_id": 8, "thread_name": "x",
            "only_if_current_name": null}),
        json!({"op": "draft", "chat_id": 7, "platform": "telegram", "draft_id": 1, "content": "x", "final": null}),
    ] {
        let mut op = op;
        op["id"] = json!("null");
        bridge.say(op.clone());
        let line = bridge.next();
        // The connector does not know message 8, and refuses the edit itself.
        let is_edit = op["op"] == "edit" && line["error"]["kind"] == "rejected";
        assert!(line["ok"] == true || is_edit, "{op}: {line}");
        assert_eq!(bridge.sees()["action"]["chat_id"], "7", "{op}");
    }
}

fn o_16_a_task_card_goes_out_and_is_ended(runtime: &str) {
    let mut bridge = start_with(runtime, "slack", &[]);
    let chunks = json!([{"id": "a", "title": "map", "status": "in_progress"}]);
    bridge.tell(Act::Inbound {
        event: fields(json!({"text": "hi", "message_id": "5.1",
            "source": {"platform": "slack", "chat_id": "C", "scope_id": "T", "thread_id": "5.0"}})),
        buffered: None,
    });
    let delivery = bridge.next()["delivery"].take();
    for (op, card_id, metadata) in [
        (json!({"chat_id": "7", "platform": "slack", "reply_to": 5}), "turn:5", json!({"thread_ts": "5"})),
        (json!({"chat_id": 7, "platform": "slack", "card_id": "own"}), "own", json!({})),
        (
            json!({"delivery": delivery}),
            "turn:5.1",
            json!({"thread_id": "5.0", "scope_id": "T", "guild_id": "T"}),
        ),
    ] {
        let (mut card, mut stop) = (op.clone(), op);
        card["op"] = json!("task_card");
        card["chunks"] = chunks.clone();
        stop["op"] = json!("task_card_stop");
        assert_eq!(bridge.ask(card), json!({}));
        let action = bridge.sees()["action"].take();
        assert_eq!((&action["op"], &action["card_id"]), (&json!("task_card"), &json!(card_id)));
        assert_eq!((&action["chunks"], &action["metadata"]), (&chunks, &metadata));
        assert_eq!(bridge.ask(stop), json!({}));
        let action = bridge.sees()["action"].take();
        assert_eq!((&action["op"], &action["card_id"]), (&json!("task_card_stop"), &json!(card_id)));
        assert_eq!(action.get("chunks"), None);
    }
}

fn o_18_an_auto_thread_is_in_the_result(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let result =
        json!({"success": true, "message_id": "9", "thread_id": "t", "auto_thread_name": "capital?"});
    bridge.tell(Act::Answer { op: "send".into(), result });
    let told = json!({"message_id": "9", "thread_id": "t", "auto_thread_name": "capital?"});
    assert_eq!(bridge.ask(json!({"op": "send", "chat_id": "7", "content": "x"})), told);
    let mut streamed = told;
    streamed["message_ids"] = json!(["9"]);
    let stream = json!({"op": "stream", "stream": "s", "chat_id": "7", "text": "x", "final": true});
    assert_eq!(bridge.ask(stream), streamed);
    // O-5: no `success` is needed.
    bridge.tell(Act::Answer { op: "get_chat_info".into(), result: json!({"name": "general"}) });
    let info = bridge.ask(json!({"op": "get_chat_info", "chat_id": "7"}));
    assert_eq!(info, json!({"name": "general", "type": "dm"}));
}

fn x_3_a_raw_action_is_written_unchanged(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let result = json!({"success": true, "votes": {"a": [1, null]}, "message_id": 9});
    bridge.tell(Act::Answer { op: "poll".into(), result: result.clone() });
    bridge.ask(json!({"op": "prime", "chat_id": "7", "platform": "telegram", "scope_id": "S"}));
    let action = json!({"op": "poll", "chat_id": "7", "options": ["x", {"y": null}]});
    let mut tagged = action.clone();
    tagged["metadata"] = json!({"scope_id": "S", "guild_id": "S"});
    for (more, written, platform) in [
        (json!({}), &tagged, json!("telegram")),
        (json!({"platform": "discord", "bare": null}), &tagged, json!("discord")),
        (json!({"bare": true}), &action, json!(null)),
    ] {
        let mut op = more;
        op["op"] = json!("raw");
        op["action"] = action.clone();
        assert_eq!(bridge.ask(op), result);
        let frame = bridge.sees();
        assert_eq!((&frame["action"], &frame["platform"]), (written, &platform));
    }
    let failed = json!({"success": false, "error": "closed", "code": "E1"});
    bridge.tell(Act::Answer { op: "poll".into(), result: failed });
    let error = bridge.ask(json!({"op": "raw", "action": action}));
    assert_eq!(error, json!({"kind": "rejected", "message": "closed", "code": "E1"}));
    let error = bridge.ask(json!({"op": "raw", "action": {}, "metadata": {}}));
    let expected = "unknown field `metadata`: `raw` takes `action`, `platform`, `bare`";
    assert_eq!(error, json!({"kind": "definite", "message": expected}));
}

fn x_6_a_hello_carries_extra_fields(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("commands.json");
    let commands = json!([{"name": "ask", "description": "Ask", "options": [{"type": 3, "name": "q"}]}]);
    std::fs::write(&file, commands.to_string()).unwrap();
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = relayline(["run", "--url", &connector.url(), "--runtime", runtime]);
    command.args(["--identity", "discord:1", "--identity", "telegram:2"]);
    command
        .args(["--hello-extra", r#"{"agent":{"v":[1]},"platform":"x"}"#])
        .arg("--command-manifest")
        .arg(&file);
    let program = Program::start(command);
    let mut hellos = Vec::new();
    while hellos.len() < 2 {
        let wanted =
            |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
        match connector.wait_for(wanted, SOON) {
            Ok(Observation::Frame { frame, .. }) => hellos.push(frame),
            other => panic!("{other:?}"),
        }
    }
    let agent = json!({"v": [1]});
    let discord = json!({"type": "hello", "platform": "discord", "botId": "1", "command_manifest": commands, "agent": agent});
    let telegram = json!({"type": "hello", "platform": "telegram", "botId": "2", "agent": agent});
    assert_eq!(hellos, [discord, telegram]);
    drop(program);
}

fn o_9_an_op_that_is_not_offered_is_unsupported(runtime: &str) {
    // A platform that names no ops has the legacy set (D-6).
    let mut bridge = start_with(runtime, "matrix", &[]);
    for op in [
        json!({"op": "delete", "message_id": "8"}),
        json!({"op": "send_media", "media_kind": "image", "source_url": "https://x/u"}),
        json!({"op": "prompt", "content": "?", "options": [{"id": "a", "label": "A"}]}),
        json!({"op": "react", "message_id": "8", "emoji": "👍"}),
        json!({"op": "thread_create"}),
        json!({"op": "thread_rename", "message_id": "8", "thread_name": "x"}),
        json!({"op": "task_card", "chunks": []}),
        json!({"op": "task_card_stop"}),
        json!({"op": "draft", "draft_id": 1, "content": "x"}),
    ] {
        let mut named = op.clone();
        named["platform"] = json!("matrix");
        named["chat_id"] = json!("7");
        let name = op["op"].as_str().unwrap();
        let expected = format!("matrix does not offer `{name}`");
        assert_eq!(bridge.ask(named), json!({"kind": "unsupported", "message": expected}));
        // D-9: this also holds for a chat that was last seen there.
        bridge.ask(json!({"op": "prime", "chat_id": "m", "platform": "matrix"}));
        let mut seen = op;
        seen["chat_id"] = json!("m");
        assert_eq!(bridge.ask(seen)["message"], expected.as_str());
    }
    bridge.ask(json!({"op": "send", "chat_id": "7", "content": "the next frame"}));
    assert_eq!(bridge.sees()["action"]["content"], "the next frame");
}

fn o_errors_of_an_op_are_definite(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let options = |ids: [&str; 2]| json!(ids.map(|id| json!({"id": id, "label": "L"})));
    let prompt = |options: Value| json!({"op": "prompt", "chat_id": "7", "content": "?", "options": options});
    for (op, expected) in [
        (prompt(options(["a", "a"])), "two options have the id"),
        (prompt(options(["a", "b c"])), "is not an option id"),
        (prompt(json!([{"label": "L"}])), "missing field `id`"),
        (prompt(json!(7)), "invalid type"),
        (json!({"op": "prompt", "chat_id": "7", "content": "?"}), "missing field `options`"),
        (
            json!({"op": "send_media", "chat_id": "7", "media_kind": "smell", "source_url": "https://x/u"}),
            "unknown variant `smell`",
        ),
        (json!({"op": "draft", "chat_id": "7", "draft_id": "x", "content": "x"}), "invalid type"),
        (json!({"op": "prime", "chat_id": "7"}), "missing field `platform`"),
        (json!({"op": "thread_rename", "chat_id": "7", "message_id": "8"}), "missing field `thread_name`"),
        (json!({"op": "task_card", "chunks": []}), "missing field `chat_id`, or `delivery` in its place"),
        (json!({"op": "task_card", "chat_id": "7", "chunks": ["a"]}), "invalid type"),
        (json!({"op": "task_card_stop", "delivery": 99}), "delivery 99 cannot be answered"),
    ] {
        let error = bridge.ask(op.clone());
        assert_eq!(error["kind"], "definite", "{op}: {error}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{op}: {error}");
    }
}

fn i_3_i_4_an_answer_is_delivered_with_its_user(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let prompt_id = prompt(&mut bridge);
    let event = chosen(&mut bridge, &prompt_id, "y");
    bridge.tell(Act::Inbound { event, buffered: Some(true) });
    let answer = bridge.next();
    let room = discord::guild_channel();
    assert_eq!(answer["event"], "prompt_answer", "{answer}");
    assert_eq!((&answer["delivery"], &answer["buffered"]), (&json!(1), &json!(true)));
    assert_eq!((&answer["prompt_id"], &answer["option_id"]), (&json!(prompt_id), &json!("y")));
    assert_eq!(answer["source"]["user_id"], room.person.id);
    assert_eq!(answer["source"]["user_name"], room.person.name);
    assert_eq!(answer["source"]["chat_id"], room.chat_id);
    // A-1: the agent acknowledges it.
    bridge.ask(json!({"op": "react", "chat_id": "7", "message_id": "8", "emoji": "👍"}));
    assert_eq!(bridge.sees()["action"]["op"], "react");
    assert_eq!(bridge.ask(json!({"op": "ack", "delivery": 1})), json!({}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // It was answered once: a second answer is silent, and its entry is acknowledged (A-3).
    let event = chosen(&mut bridge, &prompt_id, "n");
    bridge.tell(Act::Inbound { event, buffered: Some(true) });
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    bridge.deliver(&room, "goes on", false);
    assert_eq!(bridge.next()["message"]["text"], "goes on");
}

fn i_3_an_answer_without_an_open_prompt_is_stale_or_silent(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let prompt_id = prompt(&mut bridge);
    let prefix = prompt_id.split_once('.').unwrap().0;
    // An id of this process that is unknown.
    let unknown = format!("{prefix}.00009999");
    let event = chosen(&mut bridge, &unknown, "y");
    bridge.tell(Act::Inbound { event, buffered: Some(true) });
    let stale = bridge.next();
    let room = discord::guild_channel();
    assert_eq!(stale["event"], "stale_prompt", "{stale}");
    assert_eq!((&stale["prompt_id"], &stale["option_id"]), (&json!(unknown), &json!("y")));
    assert_eq!(stale["source"]["user_id"], room.person.id);
    assert_eq!(stale.get("delivery"), None);
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // An id of another process.
    let foreign = if prefix == "000000" { "000001" } else { "000000" };
    let event = chosen(&mut bridge, &format!("{foreign}.00000000"), "y");
    bridge.tell(Act::Inbound { event, buffered: Some(true) });
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // A prompt that was never open: the connector refused it.
    bridge.tell(Act::Answer { op: "prompt".into(), result: json!({"success": false, "error": "no"}) });
    let asked =
        json!({"op": "prompt", "chat_id": "7", "content": "?", "options": [{"id": "a", "label": "A"}]});
    assert_eq!(bridge.ask(asked)["kind"], "rejected");
    let refused = bridge.sees()["action"]["prompt_id"].as_str().unwrap().to_owned();
    let event = chosen(&mut bridge, &refused, "a");
    bridge.tell(Act::Inbound { event, buffered: Some(false) });
    assert_eq!(bridge.next()["event"], "stale_prompt");
}

fn i_3_a_refused_answer_is_redelivered(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let prompt_id = prompt(&mut bridge);
    let event = chosen(&mut bridge, &prompt_id, "y");
    bridge.tell(Act::Inbound { event, buffered: Some(true) });
    assert_eq!(bridge.next()["delivery"], 1);
    bridge.say(json!({"op": "refuse", "delivery": 1}));
    assert_eq!(bridge.next()["event"], "disconnected");
    let again = loop {
        let line = bridge.next();
        if line["event"] != "connected" {
            break line;
        }
    };
    assert_eq!((&again["event"], &again["delivery"]), (&json!("prompt_answer"), &json!(2)), "{again}");
    assert_eq!(again["prompt_id"], prompt_id.as_str());
    bridge.say(json!({"op": "ack", "delivery": 2}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
}

fn i_5_without_buttons_a_prompt_is_text(runtime: &str) {
    let mut bridge = start_with(runtime, "matrix", &[]);
    let mut op = json!({"op": "prompt", "chat_id": "7", "platform": "matrix", "content": "Deploy?", "reply_to": 5,
        "options": [{"id": "y", "label": "Yes"}, {"id": "n", "label": "No"}]});
    assert_eq!(bridge.ask(op.clone())["kind"], "unsupported");
    op["as_text"] = json!(true);
    let result = bridge.ask(op.clone());
    assert!(result["message_id"].is_string(), "{result}");
    let frame = bridge.sees();
    assert_eq!(frame["platform"], "matrix");
    assert_eq!(
        frame["action"],
        json!({"op": "send", "chat_id": "7", "content": "Deploy?\n\n1. Yes\n2. No", "reply_to": "5", "metadata": {}})
    );
    // This also works on a platform with buttons: the agent has asked for it.
    op["platform"] = json!("discord");
    bridge.ask(op.clone());
    assert_eq!(bridge.sees()["action"]["op"], "send");
    // The same rules apply to a prompt in either form (I-1).
    op["options"][1]["id"] = json!("y");
    let error = bridge.ask(op);
    assert_eq!(error["kind"], "definite", "{error}");
    assert!(error["message"].as_str().unwrap().contains("two options have the id"), "{error}");
}

fn i_5_after_a_decline_the_prompt_can_be_sent_again(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let declined = json!({"success": false, "error": "quiet hours", "code": "egress_declined"});
    bridge.tell(Act::Answer { op: "prompt".into(), result: declined });
    let op = json!({"op": "prompt", "chat_id": "7", "content": "?", "options": [{"id": "a", "label": "A"}]});
    let error = bridge.ask(op);
    assert_eq!(error, json!({"kind": "declined", "message": "quiet hours", "code": "egress_declined"}));
    assert_eq!(bridge.sees()["action"]["op"], "prompt");
    // O-7: there is no fallback.
    bridge.ask(json!({"op": "typing", "chat_id": "7"}));
    assert_eq!(bridge.sees()["action"]["op"], "typing");
}

fn raw_forward(body: &str) -> Map<String, Value> {
    fields(json!({
        "platform": "twilio", "botId": "t1", "method": "POST", "path": "/hook?x=1",
        "headers": [["B", "2"], ["a", "1"], ["B", "3"]], "bodyB64": body,
    }))
}

fn p_2_a_raw_forward_is_acknowledged_by_the_agent(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--passthrough"]);
    bridge.tell(Act::Passthrough { forward: raw_forward("aGk"), buffered: Some(true) });
    let line = bridge.next();
    // P-1: headers keep their order; the body is padded, whatever was received.
    let forward = json!({
        "platform": "twilio", "botId": "t1", "method": "POST", "path": "/hook?x=1",
        "headers": [["B", "2"], ["a", "1"], ["B", "3"]], "bodyB64": "aGk=",
    });
    assert_eq!(line, json!({"event": "passthrough", "delivery": 1, "buffered": true, "forward": forward}));
    // The next frame is not an acknowledgement.
    bridge.ask(json!({"op": "typing", "chat_id": "7"}));
    assert_eq!(bridge.sees()["type"], "outbound");
    assert_eq!(bridge.ask(json!({"op": "ack", "delivery": 1})), json!({}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // A live forward is accepted once its line is written, and is never acknowledged.
    bridge.tell(Act::Passthrough { forward: raw_forward("!!"), buffered: Some(false) });
    let live = bridge.next();
    assert_eq!((&live["delivery"], &live["buffered"]), (&json!(2), &json!(false)));
    assert_eq!(live["forward"]["bodyB64"], "");
    assert_eq!(bridge.ask(json!({"op": "ack", "delivery": 2})), json!({}));
    // A refused forward is redelivered (A-2).
    bridge.tell(Act::Passthrough { forward: raw_forward("eW8="), buffered: Some(true) });
    assert_eq!(bridge.next()["delivery"], 3);
    bridge.say(json!({"op": "refuse", "delivery": 3}));
    assert_eq!(bridge.next()["event"], "disconnected");
    let again = loop {
        let line = bridge.next();
        if line["event"] != "connected" {
            break line;
        }
    };
    assert_eq!((&again["event"], &again["delivery"]), (&json!("passthrough"), &json!(4)));
    assert_eq!(again["forward"]["bodyB64"], "eW8=");
}

fn p_2_an_unwanted_forward_is_acknowledged_and_not_shown(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.tell(Act::Passthrough { forward: raw_forward("aGk="), buffered: Some(true) });
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    bridge.deliver(&discord::dm(), "the next line", false);
    assert_eq!(bridge.next()["message"]["text"], "the next line");
}

/// Returns `/status verbose` in the guild's channel, as Discord sends it.
fn slash_command() -> Map<String, Value> {
    let room = discord::guild_channel();
    let body = json!({
        "id": "1300000000000000001", "type": 2, "channel_id": room.chat_id, "guild_id": room.scope_id,
        "member": {"user": {"id": "7", "username": "ada"}},
        "data": {"name": "status", "options": [{"name": "how", "type": 3, "value": "verbose"}]},
    });
    let body = BASE64.encode(body.to_string().as_bytes());
    fields(
        json!({"platform": "discord", "botId": "1", "method": "POST", "path": "/i", "headers": [], "bodyB64": body}),
    )
}

fn p_8_a_slash_command_is_answered_with_a_follow_up(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--passthrough"]);
    bridge.tell(Act::Passthrough { forward: slash_command(), buffered: Some(true) });
    let line = bridge.next();
    assert_eq!((&line["event"], &line["buffered"]), (&json!("message"), &json!(true)), "{line}");
    let message = &line["message"];
    assert_eq!(message["text"], "/status verbose");
    assert_eq!(message["message_type"], "command");
    assert_eq!(message["interaction"], true);
    assert_eq!(message["source"]["platform"], "discord");
    assert_eq!(message["source"]["scope_id"], "987654321098765432");
    // P-7: it has the same session as a message there.
    let key = format!("agent:main:discord:group:{}:7", discord::guild_channel().chat_id);
    assert_eq!(line["session_key"], key);
    let result = bridge
        .ask(json!({"op": "follow_up", "session_key": key, "kind": "discord.interaction_token",
        "content": "all is well"}));
    assert!(result["message_id"].is_string(), "{result}");
    let frame = bridge.sees();
    assert_eq!(
        frame["action"],
        json!({"op": "follow_up", "session_key": key, "kind": "discord.interaction_token", "content": "all is well",
            "metadata": {}})
    );
    // M-4: tagged by the platform of its kind.
    assert_eq!((&frame["platform"], &frame["botId"]), (&json!("discord"), &json!("1")));
    // The agent still has to acknowledge the entry.
    bridge.say(json!({"op": "ack", "delivery": 1}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // An ordinary message is not an interaction.
    bridge.deliver(&discord::guild_channel(), "hi", false);
    assert_eq!(bridge.next()["message"].get("interaction"), None);
}

fn m_6_sent_messages_carry_the_primed_memory(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let prime = json!({"op": "prime", "chat_id": -42, "platform": "telegram", "scope_id": 77, "user_id": "u",
        "profile": "coder"});
    assert_eq!(bridge.ask(prime), json!({}));
    bridge.ask(json!({"op": "send", "chat_id": "-42", "content": "back again"}));
    let frame = bridge.sees();
    // M-2, M-3: the frame has the primed memory and the platform's tag.
    assert_eq!(
        frame["action"]["metadata"],
        json!({"scope_id": "77", "guild_id": "77", "user_id": "u", "profile": "coder"})
    );
    assert_eq!((&frame["platform"], &frame["botId"]), (&json!("telegram"), &json!("2")));
    // D-9: the limit is Telegram's.
    assert_eq!(bridge.ask(json!({"op": "capabilities", "chat_id": "-42"}))["platform"], "telegram");
    let parts = bridge.ask(json!({"op": "split", "chat_id": "-42", "content": "😀".repeat(2049)}));
    assert_eq!(parts.as_array().unwrap().len(), 2);
    // The caller's own metadata is not replaced.
    let own = json!({"op": "send", "chat_id": "-42", "content": "x", "metadata": {"guild_id": "own", "user_id": ""}});
    bridge.ask(own);
    assert_eq!(
        bridge.sees()["action"]["metadata"],
        json!({"guild_id": "own", "scope_id": "own", "user_id": "u", "profile": "coder"})
    );
    // A later event replaces the primed memory (M-1).
    bridge.deliver(&telegram::supergroup(), "hi", false);
    bridge.next();
    let chat_id = telegram::supergroup().chat_id;
    bridge.ask(json!({"op": "send", "chat_id": chat_id, "content": "x"}));
    assert_eq!(bridge.sees()["action"]["metadata"], json!({"user_id": telegram::supergroup().person.id}));
}

fn m_5_a_primed_thread_takes_its_parents_scope(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.ask(json!({"op": "prime", "chat_id": "parent", "platform": "discord", "scope_id": "S"}));
    let rename =
        json!({"op": "thread_rename", "chat_id": "parent", "message_id": "t", "thread_name": "plan"});
    bridge.ask(rename);
    let frame = bridge.sees();
    assert_eq!(frame["action"]["metadata"], json!({"scope_id": "S", "guild_id": "S"}));
    assert_eq!(frame["platform"], "discord");
    bridge.ask(json!({"op": "prime", "chat_id": "t", "platform": "discord", "parent_chat_id": "parent"}));
    bridge.ask(json!({"op": "thread_create", "chat_id": "t", "thread_name": "deeper"}));
    assert_eq!(bridge.sees()["action"]["metadata"], json!({"scope_id": "S", "guild_id": "S"}));
}

fn e_11_slacks_one_command_is_rewritten_by_the_flags(runtime: &str) {
    let flags = ["--slack-subcommand", "ask=/ask", "--slack-subcommand", "hi=hello there"];
    let mut bridge = start_with(runtime, "slack", &flags);
    for (text, expected, kind) in [
        ("/hermes ask why so?", "/ask why so?", "command"),
        ("/hermes hi you", "hello there you", "text"),
        ("/hermes", "/help", "command"),
        ("/hermes unknown word", "unknown word", "text"),
    ] {
        bridge.deliver(&slack::channel(), text, false);
        let line = bridge.next();
        let message = &line["message"];
        assert_eq!((&message["text"], &message["message_type"]), (&json!(expected), &json!(kind)), "{text}");
    }
}

fn o_10_a_streamed_answer_uses_edits_or_segments(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let room = discord::guild_channel();
    // Discord has edits: the first state is sent as a message, the last as its edit.
    bridge.say(json!({"op": "stream", "stream": "s1", "chat_id": room.chat_id, "text": "Let me"}));
    let first = bridge.sees();
    assert_eq!((&first["action"]["op"], &first["action"]["content"]), (&json!("send"), &json!("Let me")));
    let result = bridge.ask(
        json!({"op": "stream", "stream": "s1", "chat_id": room.chat_id, "text": "Let me think.", "final": true}),
    );
    let last = bridge.sees();
    assert_eq!(
        (&last["action"]["op"], &last["action"]["content"]),
        (&json!("edit"), &json!("Let me think."))
    );
    assert_eq!(last["action"]["message_id"], result["message_id"]);
    assert_eq!(result["message_ids"], json!([result["message_id"]]));

    // The descriptor of a platform without edits.
    let descriptor = json!({"contract_version": 1, "platform": "sms", "label": "SMS", "max_message_length": 160,
        "supports_draft_streaming": false, "supports_edit": false, "supports_threads": false,
        "markdown_dialect": "", "len_unit": "chars"});
    let act = Act::Descriptor { descriptor: fields(descriptor), platform: None };
    let mut bridge = start_with(runtime, "sms", &[]);
    bridge.tell(act);
    bridge.tell(Act::Drop);
    assert_eq!(bridge.next()["event"], "disconnected");
    let connected: Vec<Value> = (0..3).map(|_| bridge.next()).collect();
    assert_eq!(connected[2]["descriptors"]["sms"]["supports_edit"], false);
    let at = |text: &str, segment: bool, last: bool| {
        json!({"op": "stream", "stream": "s2", "chat_id": "+1", "platform": "sms", "text": text,
            "segment": segment, "final": last})
    };
    bridge.say(at("One", false, false));
    bridge.say(at("One.", true, false));
    assert_eq!(bridge.sees()["action"]["content"], "One.");
    let result = bridge.ask(at("One. Two.", false, true));
    assert_eq!(bridge.sees()["action"]["content"], "Two.");
    assert_eq!(result["message_ids"].as_array().map(Vec::len), Some(2));
}
