//! Approvals: `--approval-chat` and `--approver`.

use super::Acp;
use serde_json::{Value, json};

on_one_runtime! {
    people_of_the_approval_chat_answer_for_another_chat i_4_only_approvers_answer_there,
    i_4_an_approver_answers_by_text_in_a_group i_5_a_platform_without_buttons_is_asked_by_text,
}

/// Delivers a message of a user in a group.
fn say(acp: &mut Acp, platform: &str, chat_id: &str, user_id: &str, text: &str) {
    let source =
        json!({ "platform": platform, "chat_id": chat_id, "chat_type": "group", "user_id": user_id });
    acp.say_with(text, json!({ "source": source }));
}

fn prompt(acp: &Acp) -> Value {
    acp.actions_until(|action| action["op"] == "prompt").pop().unwrap()
}

fn awaited(acp: &Acp) {
    let awaited = "This needs an approval, which is awaited elsewhere.";
    let line = acp.actions_until(|action| action["content"] == awaited).pop().unwrap();
    assert_eq!((&line["chat_id"], &line["metadata"]["notify"]), (&json!("c1"), &json!(null)), "{line}");
}

fn people_of_the_approval_chat_answer_for_another_chat(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--approval-chat", "slack:T1/C9"], &[]);
    say(&mut acp, "discord", "c1", "u1", "ask Run ls");
    let asked = prompt(&acp);
    assert_eq!((&asked["chat_id"], &asked["prompt_kind"]), (&json!("C9"), &json!("approval")));
    assert_eq!(asked["metadata"]["scope_id"], "T1");
    assert_eq!(asked["content"], "For u1 in c1 on discord:\n🔐 Run ls");
    awaited(&acp);
    acp.press("Allow", "u7");
    assert_eq!(acp.last_text(), "<allow it>");
}

fn i_4_only_approvers_answer_there(runtime: &str) {
    let flags = ["--approval-chat", "slack:T1/C9", "--approver", "slack:boss"];
    let mut acp = Acp::start(runtime, &flags, &[]);
    say(&mut acp, "discord", "c1", "u1", "ask Run ls");
    prompt(&acp);
    awaited(&acp);
    // The author of the turn, and others.
    acp.press_in_vain("Allow", "u1");
    acp.actions_until(|action| {
        action["content"].as_str().is_some_and(|text| text.starts_with("Only people who were asked"))
    });
    acp.press("Reject", "boss");
    assert_eq!(acp.last_text(), "<reject it>");
}

fn i_4_an_approver_answers_by_text_in_a_group(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--approver", "discord:boss"], &[]);
    say(&mut acp, "discord", "c1", "u1", "ask Run ls");
    prompt(&acp);
    say(&mut acp, "discord", "c1", "boss", "1");
    assert_eq!(acp.last_text(), "<allow it>");
}

fn i_5_a_platform_without_buttons_is_asked_by_text(runtime: &str) {
    let flags = ["--identity", "sms:3", "--approval-chat", "sms:+15550199"];
    let mut acp = Acp::start(runtime, &flags, &[]);
    say(&mut acp, "discord", "c1", "u1", "ask Run ls");
    let asked = acp.actions_until(|action| action["chat_id"] == "+15550199").pop().unwrap();
    let text = "For u1 in c1 on discord:\n🔐 Run ls\n\n1. Allow\n2. Reject\nAnswer with a number.";
    assert_eq!((&asked["op"], &asked["content"]), (&json!("send"), &json!(text)));
    awaited(&acp);
    say(&mut acp, "sms", "+15550199", "+15550199", "1");
    assert_eq!(acp.last_text(), "<allow it>");
}
