//! Prompts that are shown in another chat than the one that asks (I-7), and `--approval-chat` without `--acp`.

use crate::bridging::Bridge;
use crate::support::{Program, relayline};
use relayline_connector::chats::telegram;
use serde_json::{Value, json};

on_one_runtime! {
    i_7_another_chat_shows_a_prompt_and_its_answer_comes_back i_7_what_is_known_of_that_chat_is_kept,
    i_7_an_id_on_another_platform_is_another_chat i_7_a_prompt_for_a_foreign_platform_is_refused,
    i_7_the_same_as_text i_7_approvals_have_a_default_chat,
    i_8_only_approvers_answer_in_another_chat i_8_everybody_answers_in_the_own_chat,
    i_8_only_approvers_answer_with_a_queue,
}

/// Returns a prompt of chat 7 with these fields besides.
fn prompt(fields: Value) -> Value {
    let mut op = json!({"op": "prompt", "chat_id": "7", "content": "Deploy?", "options": [{"id": "y", "label": "Yes"}]});
    op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    op
}

/// Presses the button of the last prompt, which stays.
fn press(bridge: &Bridge, user_id: &str) {
    let press = json!({"do": "press", "option_id": "y", "user_id": user_id, "stays_open": true});
    bridge.tell(serde_json::from_value(press).unwrap());
}

fn i_7_another_chat_shows_a_prompt_and_its_answer_comes_back(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let to = json!({"platform": "telegram", "chat_id": -1009, "scope_id": "S1"});
    let asked = bridge.ask(prompt(json!({"to": to, "reply_to": "m1", "platform": "discord"})));
    let frame = bridge.sees();
    assert_eq!((&frame["platform"], &frame["botId"]), (&json!("telegram"), &json!("2")));
    let action = &frame["action"];
    assert_eq!((&action["chat_id"], &action["reply_to"]), (&json!("-1009"), &json!(null)), "{action}");
    assert_eq!(action["metadata"], json!({"scope_id": "S1", "guild_id": "S1"}));
    assert_eq!(action.get("to"), None);
    press(&bridge, "boss");
    let answer = bridge.next();
    assert_eq!(answer["event"], "prompt_answer", "{answer}");
    assert_eq!((&answer["prompt_id"], &answer["option_id"]), (&asked["prompt_id"], &json!("y")));
    let source = &answer["source"];
    assert_eq!((&source["chat_id"], &source["user_id"]), (&json!("-1009"), &json!("boss")), "{source}");
}

fn i_7_what_is_known_of_that_chat_is_kept(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    // Never seen: primed, so that later ops find it.
    let to = json!({"platform": "telegram", "chat_id": "-1009", "scope_id": "S1"});
    bridge.ask(prompt(json!({"to": to})));
    bridge.sees();
    let chat = bridge.ask(json!({"op": "chat", "chat_id": "-1009"}));
    assert_eq!(chat, json!({"known": true, "platform": "telegram", "scope_id": "S1"}));
    bridge.ask(json!({"op": "send", "chat_id": "-1009", "content": "done"}));
    assert_eq!(bridge.sees()["platform"], "telegram");
    // Seen: nothing of it is lost, and M-2 fills it in.
    let room = telegram::topic();
    bridge.deliver(&room, "hi", false);
    bridge.next();
    let before = bridge.ask(json!({"op": "chat", "chat_id": room.chat_id}));
    bridge.ask(prompt(json!({"to": {"platform": "telegram", "chat_id": room.chat_id}})));
    assert_eq!(bridge.sees()["action"]["metadata"]["user_id"], room.person.id);
    assert_eq!(bridge.ask(json!({"op": "chat", "chat_id": room.chat_id})), before);
}

/// M-1: ids of chats are unique within one platform only.
fn i_7_an_id_on_another_platform_is_another_chat(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let known =
        json!({"op": "prime", "chat_id": "9", "platform": "discord", "scope_id": "G", "user_id": "U"});
    assert_eq!(bridge.ask(known), json!({}));
    bridge.ask(prompt(json!({"to": {"platform": "telegram", "chat_id": "9"}})));
    let frame = bridge.sees();
    assert_eq!((&frame["platform"], &frame["action"]["metadata"]), (&json!("telegram"), &json!({})));
}

fn i_7_a_prompt_for_a_foreign_platform_is_refused(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let error = bridge.ask(prompt(json!({"to": {"platform": "slack", "chat_id": "C9"}})));
    assert_eq!(
        (&error["kind"], &error["message"]),
        (&json!("definite"), &json!("relay does not front platform slack"))
    );
    assert_eq!(bridge.ask(json!({"op": "chat", "chat_id": "C9"})), json!({"known": false}));
    let long = json!({"platform": "telegram", "chat_id": "9", "scope_id": "x".repeat(1025)});
    let error = bridge.ask(prompt(json!({"to": long})));
    assert_eq!(error["message"], "`scope_id` is 1025 bytes long: 1024 at most");
    let error = bridge.ask(prompt(json!({"to": {"platform": "telegram"}})));
    assert!(error["message"].as_str().unwrap().starts_with("`to`: missing field `chat_id`"), "{error}");
}

fn i_7_the_same_as_text(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let to = json!({"platform": "telegram", "chat_id": "-1009"});
    bridge.ask(prompt(json!({"to": to, "as_text": true, "reply_to": "m1"})));
    let frame = bridge.sees();
    let action = &frame["action"];
    assert_eq!((&frame["platform"], &action["op"]), (&json!("telegram"), &json!("send")));
    assert_eq!((&action["chat_id"], &action["content"]), (&json!("-1009"), &json!("Deploy?\n\n1. Yes")));
    assert_eq!(action["reply_to"], json!(null));
}

fn i_7_approvals_have_a_default_chat(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--approval-chat", "telegram:S1/-1009"]);
    for (fields, platform, chat_id) in [
        (json!({"prompt_kind": "approval"}), json!("telegram"), "-1009"),
        (json!({"prompt_kind": "approval", "as_text": true}), json!("telegram"), "-1009"),
        (
            json!({"prompt_kind": "approval", "to": {"platform": "discord", "chat_id": "5"}}),
            json!("discord"),
            "5",
        ),
        (json!({"prompt_kind": "choice"}), json!(null), "7"),
        (json!({}), json!(null), "7"),
    ] {
        bridge.ask(prompt(fields.clone()));
        let frame = bridge.sees();
        assert_eq!(
            (&frame["platform"], &frame["action"]["chat_id"]),
            (&platform, &json!(chat_id)),
            "{fields}"
        );
    }
}

fn i_8_only_approvers_answer_in_another_chat(runtime: &str) {
    let flags = ["--approval-chat", "telegram:S1/-1009", "--approver", "telegram:boss", "--approver", "amy"];
    let mut bridge = Bridge::start(runtime, &flags);
    let elsewhere = json!({"to": {"platform": "telegram", "chat_id": "-1010", "scope_id": "S1"}});
    for (fields, user) in [(json!({"prompt_kind": "approval"}), "boss"), (elsewhere, "amy")] {
        let asked = bridge.ask(prompt(fields));
        bridge.sees();
        press(&bridge, "eve");
        let refused = bridge.next();
        assert_eq!(
            (&refused["event"], &refused["prompt_id"], &refused["option_id"]),
            (&json!("unauthorized_answer"), &asked["prompt_id"], &json!("y")),
            "{refused}"
        );
        assert_eq!(refused["source"]["user_id"], "eve");
        // It is still open.
        press(&bridge, user);
        let answer = bridge.next();
        assert_eq!(
            (&answer["event"], &answer["prompt_id"], &answer["source"]["user_id"]),
            (&json!("prompt_answer"), &asked["prompt_id"], &json!(user)),
            "{answer}"
        );
    }
    let status = bridge.ask(json!({"op": "status"}));
    assert_eq!(status["counters"]["unauthorized_answers"], 2, "{status}");
}

fn i_8_only_approvers_answer_with_a_queue(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let queue = format!("sqlite:{}", folder.path().join("inbox.db").display());
    let mut bridge = Bridge::start(runtime, &["--queue", &queue, "--approver", "telegram:boss"]);
    let asked = bridge.ask(prompt(json!({"to": {"platform": "telegram", "chat_id": "-1010"}})));
    bridge.sees();
    press(&bridge, "eve");
    let refused = bridge.next();
    assert_eq!(
        (&refused["event"], &refused["source"]["user_id"]),
        (&json!("unauthorized_answer"), &json!("eve"))
    );
    press(&bridge, "boss");
    let answer = bridge.next();
    assert_eq!(
        (&answer["event"], &answer["prompt_id"]),
        (&json!("prompt_answer"), &asked["prompt_id"]),
        "{answer}"
    );
}

fn i_8_everybody_answers_in_the_own_chat(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--approver", "telegram:boss"]);
    bridge.ask(prompt(json!({"prompt_kind": "approval"})));
    bridge.sees();
    press(&bridge, "eve");
    assert_eq!(bridge.next()["event"], "prompt_answer");
}

#[test]
fn a_wrong_approval_chat_is_refused_with_2() {
    for (flags, words) in [
        (&["--approval-chat", "C9"][..], "write PLATFORM:CHAT, or PLATFORM:SCOPE/CHAT"),
        (&["--approval-chat", "discord:"], "write PLATFORM:CHAT"),
        (&["--approval-chat", "slack:C9"], "does not front the platform \"slack\", but discord"),
        (&["--approval-chat", "slack:C9", "--acp", "true"], "does not front the platform \"slack\""),
        (
            &["--approver", "slack:U1", "--acp", "true"],
            "--approver \"slack:U1\": this gateway does not front",
        ),
        (
            &[
                "--identity",
                "slack:2",
                "--approval-chat",
                "slack:C9",
                "--approver",
                "discord:U1",
                "--acp",
                "true",
            ],
            "--approver discord:U1: only users of the platform of --approval-chat",
        ),
        (&["--approver", "", "--acp", "true"], "write USER, or PLATFORM:USER"),
        (&["--approver", ""], "write USER, or PLATFORM:USER"),
        (
            &["--approver", "U1", "--prompts", "off"],
            "which must compare its author itself; remove one of them",
        ),
        (&["--approval-chat", "discord:1", "--approve", "deny", "--acp", "true"], "cannot be used with"),
    ] {
        let mut command = relayline(["run", "--url", "ws://127.0.0.1:1", "--identity", "discord:1"]);
        command.args(flags);
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(2), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
}
