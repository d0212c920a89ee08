//! O, O-9: the frame and the result of every op, and its refusal if it is not offered.

use super::driver::{Rig, descriptor};
use crate::command::*;
use crate::op::*;
use serde_json::{Value, json};
use std::time::Duration;

const ALL: &str = r#","supported_ops":["send","edit","delete","typing","follow_up","send_media","prompt","react","thread_create","thread_rename","draft","task_card"],"supports_draft_streaming":true"#;

/// Creates a machine on a platform that offers everything.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", ALL));
    rig.log();
    rig
}

/// Checks the frame of `command`, and its outcome when the connector answers `result`.
#[track_caller]
fn check(command: Command, action: Value, result: &str, reply: &str) {
    let mut rig = rig();
    let id = rig.submit(command);
    let log = rig.log();
    let frame: Value = serde_json::from_str(&log[0][2..]).unwrap();
    assert_eq!(frame["action"], action);
    rig.answer(id, result);
    rig.expect(&[&format!("r1 {reply}")]);
}

#[test]
fn o_every_op_with_its_fields_and_its_result() {
    let done = r#"{"success":true}"#;
    let sent = r#"{"success":true,"message_id":"9"}"#;
    check(
        Command::from(DeleteMessage::new("c", "m")),
        json!({"op": "delete", "chat_id": "c", "message_id": "m", "metadata": {}}),
        done,
        "done",
    );
    check(
        Command::from(
            SendMedia::new("c", MediaKind::Voice, "https://x/v.ogg").caption("hi").filename("v.ogg"),
        ),
        json!({"op": "send_media", "chat_id": "c", "media_kind": "voice", "source_url": "https://x/v.ogg",
            "content": "hi", "filename": "v.ogg", "reply_to": null, "metadata": {}}),
        sent,
        "sent 9",
    );
    check(
        Command::from(React::new("c", "m", "👍")),
        json!({"op": "react", "chat_id": "c", "message_id": "m", "emoji": "👍", "remove": false, "metadata": {}}),
        done,
        "done",
    );
    check(
        Command::from(ThreadCreate::new("c").name("  ")),
        json!({"op": "thread_create", "chat_id": "c", "thread_name": "handoff", "metadata": {}}),
        r#"{"success":true,"thread_id":"t"}"#,
        "thread t",
    );
    check(
        Command::from(ThreadCreate::new("c").name(format!(" {} ", "é".repeat(101))).message_id("m")),
        json!({"op": "thread_create", "chat_id": "c", "thread_name": "é".repeat(100), "message_id": "m", "metadata": {}}),
        sent,
        "thread 9",
    );
    check(
        Command::from(ThreadRename::new("t", "new").chat_id("c").only_if_current_name("old")),
        json!({"op": "thread_rename", "chat_id": "c", "message_id": "t", "thread_name": "new",
            "only_if_current_name": "old", "metadata": {}}),
        done,
        "done",
    );
    check(
        Command::from(Draft::new("c", 7, "so far").last(true)),
        json!({"op": "draft", "chat_id": "c", "draft_id": 7, "content": "so far", "final": true, "metadata": {}}),
        sent,
        "sent 9",
    );
}

#[test]
fn o_a_prompt_goes_out_with_an_id_of_its_own() {
    let mut rig = rig();
    let option = PromptOption::new("yes", "Yes").style("primary");
    let prompt =
        Prompt::new("c", "Deploy?", [option]).kind(PromptKind::Approval).timeout(Duration::from_secs(60));
    let id = rig.submit(Command::Op(Op::Prompt(prompt)));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    let prompt_id = frame["action"]["prompt_id"].as_str().unwrap().to_owned();
    assert_eq!(
        frame["action"],
        json!({"op": "prompt", "chat_id": "c", "prompt_kind": "approval", "prompt_id": prompt_id,
            "content": "Deploy?", "options": [{"id": "yes", "label": "Yes", "style": "primary"}],
            "timeout_s": 60, "reply_to": null, "metadata": {}})
    );
    rig.answer(id, r#"{"success":true,"message_id":"9"}"#);
    rig.expect(&[&format!("r1 prompted {prompt_id} 9")]);
}

#[test]
fn i_1_a_prompt_with_bad_options_is_refused() {
    let mut rig = rig();
    let option = |id: &str| PromptOption::new(id, "");
    for (options, problem) in [
        (
            vec![option("a b")],
            "definite: \"a b\" is not an option id: write 1 to 32 of A-Z, a-z, 0-9, `_`, `.` and `-`",
        ),
        (vec![option("a"), option("a")], "definite: two options have the id \"a\""),
    ] {
        let refused = rig.refused(Command::from(Prompt::new("c", "", options)));
        assert_eq!(refused, problem);
    }
}

#[test]
fn o_9_an_op_that_is_not_offered_is_unsupported() {
    let commands = || {
        [
            Command::from(DeleteMessage::new("", "")),
            Command::from(SendMedia::new("", MediaKind::Document, "")),
            Command::from(Prompt::new("", "", [])),
            Command::from(React::new("", "", "")),
            Command::from(ThreadCreate::new("")),
            Command::from(ThreadRename::new("", "")),
            Command::from(Draft::new("", 0, "")),
            Command::from(TaskCard::new([])),
            Command::from(TaskCardStop::new()),
        ]
    };
    // The legacy set contains none of them (D-6).
    let mut rig = Rig::up();
    for command in commands() {
        let refused = rig.refused(command);
        assert!(refused.starts_with("unsupported: ") && refused.contains("does not offer `"), "{refused}");
    }
    assert!(rig.log().is_empty());
    // A draft needs both the name and the flag.
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["draft"],"supports_draft_streaming":false"#));
    assert!(rig.refused(Command::from(Draft::new("", 0, ""))).starts_with("unsupported"));
}

#[test]
fn m_5_thread_operations_take_the_scope_of_the_parent_chat() {
    let mut rig = rig();
    for source in
        [r#"{"chat_id":"p","scope_id":"S"}"#, r#"{"chat_id":"c","parent_chat_id":"p","scope_id":"other"}"#]
    {
        rig.line(&format!(r#"{{"type":"inbound","event":{{"source":{source}}}}}"#));
    }
    rig.log();
    let scope = |rig: &mut Rig, command: Command| {
        rig.submit(command);
        let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
        frame["action"]["metadata"]["scope_id"].clone()
    };
    let create = Command::from(ThreadCreate::new("c"));
    assert_eq!(scope(&mut rig, create), json!("S"));
    let rename = Command::from(ThreadRename::new("", "n").chat_id("c"));
    assert_eq!(scope(&mut rig, rename), json!("S"));
    let delete = Command::from(DeleteMessage::new("c", ""));
    assert_eq!(scope(&mut rig, delete), json!("other"));
}

#[test]
fn m_6_the_host_can_prime_and_read_the_memory() {
    let mut rig = rig();
    let chat =
        crate::chats::Chat { platform: "discord".into(), scope: Some("S".into()), ..Default::default() };
    assert_eq!(rig.machine.prime("c", chat.clone()), Ok(()));
    assert_eq!(rig.machine.chat("c"), Some(&chat));
    rig.submit(Command::from(DeleteMessage::new("c", "")));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    assert_eq!(frame["action"]["metadata"], json!({"scope_id": "S", "guild_id": "S"}));
    assert_eq!(frame["platform"], json!("discord"));
}

/// A host checks an op before work for it, such as an upload.
#[test]
fn o_8_o_9_an_op_can_be_checked_before_it_is_submitted() {
    let react = Op::React(React::new("c", "", ""));
    let mut machine = Rig::new();
    let why = |rig: &Rig, op: &Op| rig.machine.check(op).map_err(|failure| failure.message);
    assert_eq!(why(&machine, &react), Err("the relay is not connected".into()));
    machine.connect();
    assert_eq!(why(&machine, &react), Err("discord does not offer `react`".into()));
    assert_eq!(why(&rig(), &react), Ok(()));
    let elsewhere = Op::React(React::new("c", "", "").platform("irc"));
    assert_eq!(why(&rig(), &elsewhere), Err("relay does not front platform irc".into()));
}

#[test]
fn x_2_each_refusal_of_a_command_is_counted() {
    let mut rig = rig();
    let chat = crate::chats::Chat { scope: Some("s".repeat(2000).into()), ..Default::default() };
    let failure = rig.machine.prime("c", chat).unwrap_err();
    assert_eq!((failure.kind, rig.machine.chat("c")), (FailureKind::Definite, None));
    assert_eq!(rig.machine.stats().not_accepted, 1);
    // A bridge refuses some commands itself.
    rig.machine.count_refused();
    rig.refused(Command::from(ThreadRename::new("", "")));
    assert_eq!(rig.machine.stats().not_accepted, 3);
}

#[test]
fn o_a_thread_is_not_renamed_to_an_empty_name() {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supported_ops":["thread_rename"]"#));
    rig.log();
    for name in ["", " \n "] {
        let rename = Command::from(ThreadRename::new("", name));
        assert_eq!(rig.refused(rename), "definite: a thread cannot be renamed to nothing");
    }
    rig.expect(&[]);
}

/// Returns a task card with these fields.
fn card(card_id: Option<&str>, reply_to: Option<&str>, metadata: Value) -> TaskCard {
    let metadata = metadata.as_object().cloned().unwrap_or_default();
    let (card_id, reply_to) = (card_id.map(str::to_owned), reply_to.map(str::to_owned));
    TaskCard { card_id, reply_to, ..TaskCard::new(chunks()).chat_id("c").metadata(metadata) }
}

/// Returns the end of the same card.
fn end_of(card: &TaskCard) -> TaskCardStop {
    let TaskCard { chat_id, delivery, card_id, reply_to, metadata, platform, .. } = card.clone();
    TaskCardStop { chat_id, delivery, card_id, reply_to, metadata, platform }
}

fn chunks() -> Vec<Metadata> {
    json!([{"id": "1", "title": "map", "status": "in_progress"}])
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|chunk| chunk.as_object().cloned())
        .collect()
}

#[test]
fn o_16_a_task_card_belongs_to_a_message() {
    for (named, card_id, metadata) in [
        (card(Some("own"), Some("m"), json!({})), "own", json!({})),
        (card(None, Some("m"), json!({"message_id": "n"})), "turn:m", json!({"message_id": "n"})),
        (card(Some(""), None, json!({"message_id": "n"})), "turn:n", json!({"message_id": "n"})),
        (card(None, None, json!({"reply_to_message_id": 7})), "turn:7", json!({"reply_to_message_id": 7})),
        (card(None, None, json!({})), "turn:root", json!({})),
    ] {
        let stop = Command::from(end_of(&named));
        check(
            Command::from(named),
            json!({"op": "task_card", "chat_id": "c", "card_id": card_id, "chunks": chunks(), "metadata": metadata}),
            r#"{"success":true,"message_id":"9"}"#,
            "sent 9",
        );
        check(
            stop,
            json!({"op": "task_card_stop", "chat_id": "c", "card_id": card_id, "metadata": metadata}),
            r#"{"success":true}"#,
            "done",
        );
    }
}

#[test]
fn o_16_a_card_of_a_delivery_follows_it() {
    let mut rig = Rig::with(|config| config.identities[0].platform = "slack".into());
    rig.opened();
    rig.line(&descriptor("slack", r#","supported_ops":["task_card"]"#));
    rig.line(
        r#"{"type":"inbound","event":{"message_id":"7.1","source":{"platform":"slack","chat_id":"C","scope_id":"T","thread_id":"5.0","user_id":"U"}}}"#,
    );
    rig.log();
    let named = |delivery: u64, chat_id: &str| {
        TaskCard::new(chunks()).delivery(crate::output::DeliveryId(delivery)).chat_id(chat_id)
    };
    let place = json!({"thread_id": "5.0", "scope_id": "T", "guild_id": "T", "user_id": "U"});
    for chat_id in ["", "C"] {
        let start = Command::from(named(1, chat_id));
        let stop = Command::from(end_of(&named(1, chat_id)));
        for (command, op) in [(start, "task_card"), (stop, "task_card_stop")] {
            rig.submit(command);
            let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
            let action = &frame["action"];
            assert_eq!(
                (&action["op"], &action["chat_id"], &action["card_id"]),
                (&json!(op), &json!("C"), &json!("turn:7.1"))
            );
            assert_eq!((&action["metadata"], &frame["platform"]), (&place, &json!("slack")));
        }
    }
    // Another chat is refused, and so is an unknown delivery.
    let other = Command::from(named(1, "D"));
    assert_eq!(rig.refused(other), "definite: delivery 1 is of chat C, not of D: leave out the chat");
    let unknown = Command::from(end_of(&named(9, "")));
    assert!(rig.refused(unknown).starts_with("definite: delivery 9 cannot be answered"));
    // Slack's connectors read the card's thread from its older field.
    let mut own = card(None, Some("6.0"), json!({}));
    own.chat_id = "C".into();
    rig.submit(Command::from(own));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    let expected = json!({"thread_ts": "6.0", "scope_id": "T", "guild_id": "T", "user_id": "U"});
    assert_eq!(frame["action"]["metadata"], expected);
}

#[test]
fn o_16_x_1_a_card_is_bounded() {
    let mut rig = Rig::with(|config| config.limits.write_queue_bytes = 1000);
    let long = card(Some(&"x".repeat(1025)), None, json!({}));
    let refused = rig.refused(Command::from(end_of(&long)));
    assert_eq!(refused, "definite: `card_id` is 1025 bytes long: 1024 at most");
    let many = TaskCard::new(vec![Metadata::new(); 501]);
    assert!(
        rig.refused(Command::Op(Op::TaskCard(many)))
            .starts_with("definite: it does not fit into the write queue")
    );
}

#[test]
fn o_17_a_thread_is_renamed_under_one_guard() {
    let rename = |chat_id: &str, name: &str, connector_created: bool, current: Option<&str>| {
        let rename = ThreadRename::new("t", name).chat_id(chat_id);
        Command::from(ThreadRename {
            only_if_current_name: current.map(str::to_owned),
            ..rename.only_if_connector_created(connector_created)
        })
    };
    let named = |chat_id: &str, name: &str| json!({"op": "thread_rename", "chat_id": chat_id, "message_id": "t", "thread_name": name, "metadata": {}});
    let with = |mut action: Value, field: &str, value: Value| {
        action[field] = value;
        action
    };
    let done = r#"{"success":true}"#;
    let created = with(named("c", "The capital of France"), "only_if_connector_created", json!(true));
    check(rename("c", " The  capital\nof\t\u{a0}France ", true, None), created.clone(), done, "done");
    check(rename("c", "The capital of France", true, Some("old")), created, done, "done");
    // Without a named chat, the chat is the thread itself.
    let current = with(named("t", "Paris"), "only_if_current_name", json!("France"));
    check(rename("", "Paris", false, Some("France")), current, done, "done");
    // The name is cut after the white space has collapsed, and not within a character.
    let long = format!("{}  é {}", "é".repeat(98), "x".repeat(300));
    check(rename("c", &long, false, None), named("c", &format!("{} é", "é".repeat(98))), done, "done");
    check(rename("c", &"n".repeat(5000), false, None), named("c", &"n".repeat(100)), done, "done");
    check(
        rename("c", &"a b\n".repeat(500), false, None),
        named("c", "a b ".repeat(25).trim_end()),
        done,
        "done",
    );
}

#[test]
fn o_18_an_auto_thread_is_reported_and_remembered() {
    let mut rig = rig();
    let send = |chat: &str| Command::from(SendMessage::new(chat, ""));
    let thread = |rig: &Rig, chat: &str| {
        let chat = rig.machine.chat(chat).cloned().unwrap_or_default();
        (chat.auto_thread_id, chat.auto_thread_name)
    };
    let some = |id: &str, name: &str| (Some(id.into()), Some(name.into()));
    rig.line(r#"{"type":"inbound","event":{"source":{"platform":"discord","chat_id":"c","scope_id":"S"}}}"#);
    rig.log();
    for (chat, result, told, remembered) in [
        ("c", r#"{"success":true,"message_id":"9","thread_id":"t1"}"#, "sent 9 t1", (None, None)),
        (
            "c",
            r#"{"success":true,"message_id":"9","thread_id":"t1","auto_thread_name":"capital?"}"#,
            "sent 9 t1 capital?",
            some("t1", "capital?"),
        ),
        (
            "c",
            r#"{"success":true,"thread_id":7,"auto_thread_name":"next"}"#,
            "sent - 7 next",
            some("7", "next"),
        ),
        // Fields that an answer lacks clear nothing.
        ("c", r#"{"success":true,"message_id":"9"}"#, "sent 9", some("7", "next")),
        // A chat in which nobody was seen.
        (
            "d",
            r#"{"success":true,"thread_id":"u","auto_thread_name":"new"}"#,
            "sent - u new",
            some("u", "new"),
        ),
    ] {
        let id = rig.submit(send(chat));
        rig.log();
        rig.answer(id, result);
        rig.expect(&[&format!("r{} {told}", id.number())]);
        assert_eq!(thread(&rig, chat), remembered, "{result}");
    }
    // The other remembered fields stay.
    assert_eq!(rig.machine.chat("c").and_then(|chat| chat.scope.clone()).as_deref(), Some("S"));
}

#[test]
fn o_18_x_1_remembered_threads_are_bounded() {
    let mut rig = Rig::with(|config| config.limits.chats = 2);
    rig.connect();
    let result = |name: &str| format!(r#"{{"success":true,"thread_id":"t","auto_thread_name":"{name}"}}"#);
    for chat in ["a", "b", "c"] {
        let id = rig.submit(Command::from(SendMessage::new(chat, "")));
        rig.log();
        rig.answer(id, &result(&"n".repeat(5000)));
    }
    assert_eq!((rig.machine.chat("a"), rig.machine.usage().chats), (None, 2));
    let name = rig.machine.chat("c").and_then(|chat| chat.auto_thread_name.clone());
    assert_eq!((name.map(|name| name.len()), rig.machine.stats().cut_texts), (Some(1024), 3));
}

#[test]
fn o_5_a_connector_without_get_chat_info_is_not_asked() {
    let mut rig = rig();
    let info = || GetChatInfo::new("x1");
    rig.submit(info().into());
    rig.expect(&["r1 chat x1 dm"]);
    rig.submit(info().platform("discord").into());
    rig.expect(&["r2 chat x1 dm"]);
    assert_eq!(
        rig.refused(info().platform("matrix").into()),
        "definite: relay does not front platform matrix"
    );
    rig.lost();
    rig.log();
    assert_eq!(rig.refused(info().into()), "definite: the relay is not connected");
    // A connector that names the op is asked, and so is one that names no ops.
    for ops in [r#","supported_ops":["get_chat_info"]"#, r#","supported_ops":[]"#] {
        let mut rig = Rig::new();
        rig.opened();
        rig.line(&descriptor("discord", ops));
        rig.log();
        rig.submit(info().into());
        assert!(rig.log()[0].contains("get_chat_info"), "{ops}");
    }
}

#[test]
fn o_18_a_streamed_reply_reports_its_thread_too() {
    let mut rig = rig();
    let stream = StreamReply::new("s", "hi").chat_id("c").last(true);
    let id = rig.submit(Command::Stream(stream));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    let wire_id = frame["requestId"].as_str().unwrap().trim_start_matches('r').parse().unwrap();
    rig.answer(
        RequestId(wire_id),
        r#"{"success":true,"message_id":"9","thread_id":"t","auto_thread_name":"n"}"#,
    );
    rig.expect(&[&format!("r{} streamed [\"9\"] t n", id.number())]);
    assert_eq!(rig.machine.chat("c").and_then(|chat| chat.auto_thread_id.as_deref()), Some("t"));
}

/// Returns the frame of a raw action in a chat with a memory.
fn raw(rig: &mut Rig, action: Value, platform: Option<&str>, bare: bool) -> (RequestId, Value) {
    let action = action.as_object().cloned().unwrap_or_default();
    let id = rig.submit(Command::from(Raw { action, platform: platform.map(str::to_owned), bare }));
    (id, serde_json::from_str(&rig.log()[0][2..]).unwrap())
}

#[test]
fn x_3_a_raw_action_is_written_with_its_tags() {
    let mut rig = Rig::up();
    rig.line(r#"{"type":"inbound","event":{"source":{"platform":"discord","chat_id":"7","scope_id":"S"}}}"#);
    rig.log();
    let scope = json!({"scope_id": "S", "guild_id": "S"});
    let poll = |more: Value| {
        let mut action = json!({"op": "poll", "z": [1], "chat_id": "7", "a": null});
        for (name, value) in more.as_object().into_iter().flatten() {
            action[name] = value.clone();
        }
        action
    };
    for (action, platform, bare, expected, tag) in [
        (poll(json!({})), None, false, poll(json!({"metadata": scope})), Some("discord")),
        (
            poll(json!({"chat_id": 7})),
            None,
            false,
            poll(json!({"chat_id": 7, "metadata": scope})),
            Some("discord"),
        ),
        (
            poll(json!({"metadata": {"x": 1, "scope_id": "own"}})),
            None,
            false,
            poll(json!({"metadata": {"x": 1, "scope_id": "own", "guild_id": "own"}})),
            Some("discord"),
        ),
        (poll(json!({"metadata": "odd"})), None, false, poll(json!({"metadata": "odd"})), Some("discord")),
        (poll(json!({})), None, true, poll(json!({})), None),
        (poll(json!({})), Some("discord"), true, poll(json!({})), Some("discord")),
        (json!({"op": "x", "chat_id": "unseen"}), None, false, json!({"op": "x", "chat_id": "unseen"}), None),
        (json!({"op": "x"}), None, false, json!({"op": "x"}), None),
        (json!({"op": "x"}), Some("discord"), false, json!({"op": "x"}), Some("discord")),
    ] {
        let (_, frame) = raw(&mut rig, action, platform, bare);
        assert_eq!(frame["action"], expected);
        assert_eq!(frame.get("platform").and_then(Value::as_str), tag, "{expected}");
    }
    let other = Raw::new(Default::default()).platform("matrix");
    assert_eq!(rig.refused(Command::Op(Op::Raw(other))), "definite: relay does not front platform matrix");
}

#[test]
fn x_3_a_raw_action_gives_the_whole_result_back() {
    let mut rig = Rig::up();
    for (result, told) in [
        (
            r#"{"success":true,"message_id":7,"votes":{"a":[1]}}"#,
            r#"raw {"message_id":7,"success":true,"votes":{"a":[1]}}"#,
        ),
        (r#"{"success":false,"error":"no","code":"E"}"#, "rejected: no"),
        (r#"{"success":false,"code":"egress_declined","error":"no"}"#, "declined: no"),
        (r#"{"success":false,"ambiguous":true,"error":"lost"}"#, "ambiguous: lost"),
        (r#"{"name":"n"}"#, "rejected: the connector gave no reason"),
        ("[]", "rejected: the connector's result is not an object"),
    ] {
        let (id, _) = raw(&mut rig, json!({"op": "poll"}), None, false);
        rig.answer(id, result);
        rig.expect(&[&format!("r{} {told}", id.number())]);
    }
}
