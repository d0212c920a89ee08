//! Bugs in the reading of events, interactions, prompts and session keys.

use super::{Bug, bug, remove, set};
use crate::Hook::{Down, FromAgent, ToAgent};
use serde_json::{Value, json};

/// Replaces a part of a session key.
fn rekey(mut line: Value, from: &str, to: &str) -> Vec<Value> {
    if let Some(key) = line["session_key"].as_str().map(|key| key.replace(from, to)) {
        set(&mut line, "", "session_key", key);
    }
    vec![line]
}

pub(super) const BUGS: &[Bug] = &[
    bug(
        "loses-odd-events",
        &["e-wrong-types"],
        &[],
        &[Down(|_, frame| if frame["event"]["media_urls"].is_number() { Vec::new() } else { vec![frame] })],
    ),
    bug(
        "no-display-names",
        &["e-names"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "/event/source", "user_display_name");
            vec![frame]
        })],
    ),
    bug(
        "context-keeps-line-breaks",
        &["e-context-lines"],
        &[],
        &[ToAgent(|_, mut line| {
            if let Some(context) =
                line["message"]["context"].as_str().map(|text| text.replace("first boss", "first\nboss"))
            {
                set(&mut line, "/message", "context", context);
            }
            vec![line]
        })],
    ),
    bug(
        "media-by-position",
        &["e-media-by-url"],
        &[],
        &[ToAgent(|_, mut line| {
            if let Some(media) = line.pointer_mut("/message/media").and_then(Value::as_array_mut)
                && let [first, second] = media.as_mut_slice()
            {
                std::mem::swap(&mut first["kind"], &mut second["kind"]);
            }
            vec![line]
        })],
    ),
    bug(
        "authorization-untold",
        &["e-authorized-upstream"],
        &[],
        &[ToAgent(|_, mut line| {
            remove(&mut line, "", "authorization_is_upstream");
            vec![line]
        })],
    ),
    bug(
        "voice-is-audio",
        &["e-kinds"],
        &[],
        &[Down(|_, mut frame| {
            if frame["event"]["message_type"] == "voice" {
                set(&mut frame, "/event", "message_type", "audio");
            }
            vec![frame]
        })],
    ),
    bug(
        "believes-the-wire",
        &["e-relay-stamp"],
        &[],
        &[ToAgent(|_, mut line| {
            set(&mut line, "/message", "via_authenticated_relay", false);
            vec![line]
        })],
    ),
    bug(
        "no-slack-help",
        &["e-slack-command"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["message"]["text"] == "/help" {
                set(&mut line, "/message", "text", "");
            }
            vec![line]
        })],
    ),
    bug(
        "command-without-options",
        &["p-command"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["message"]["interaction"] == true {
                let text = line["message"]["text"]
                    .as_str()
                    .and_then(|text| text.split(' ').next())
                    .unwrap_or_default()
                    .to_owned();
                set(&mut line, "/message", "text", text);
            }
            vec![line]
        })],
    ),
    bug(
        "menu-without-choices",
        &["p-component"],
        &[],
        &[ToAgent(|_, mut line| {
            remove(&mut line, "/message", "values");
            vec![line]
        })],
    ),
    bug(
        "modal-is-empty",
        &["p-modal"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["message"]["text"].to_string().contains("name=") {
                set(&mut line, "/message", "text", "");
            }
            vec![line]
        })],
    ),
    bug(
        "autocompletion-is-a-command",
        &["p-ignored"],
        &[],
        &[ToAgent(|_, line| {
            let message = json!({"event": "message", "delivery": 9, "buffered": false, "session_key": "k",
            "message": {"text": "/ask", "source": {"message_id": "81"}}});
            if line["message"]["text"] == "real" { vec![message, line] } else { vec![line] }
        })],
    ),
    bug(
        "dies-at-bad-forwards",
        &["p-bad-body"],
        &[],
        &[Down(|state, frame| {
            if frame["type"] == "passthrough_forward" && frame["forward"]["bodyB64"] == "!!!" {
                state.cut();
            }
            vec![frame]
        })],
    ),
    bug(
        "threads-are-groups",
        &["p-thread"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["message"]["interaction"] == true {
                set(&mut line, "/message/source", "chat_type", "group");
            }
            vec![line]
        })],
    ),
    bug(
        "answers-are-messages",
        &["i-prompt"],
        &["i-once"],
        &[ToAgent(|_, mut line| {
            if line["event"] == "prompt_answer" {
                set(&mut line, "", "event", "message");
            }
            vec![line]
        })],
    ),
    bug(
        "answers-twice",
        &["i-once"],
        &[],
        &[ToAgent(|_, line| match line["event"] == "prompt_answer" {
            true => vec![line.clone(), line],
            false => vec![line],
        })],
    ),
    bug(
        "delivers-foreign-answers",
        &["i-foreign"],
        &[],
        &[Down(|_, mut frame| {
            if frame["event"]["prompt_response"]["prompt_id"] == "abcdef.01234567" {
                remove(&mut frame, "/event", "prompt_response");
                remove(&mut frame, "", "bufferId");
            }
            vec![frame]
        })],
    ),
    bug(
        "swallows-incomplete-answers",
        &["i-incomplete-answer"],
        &[],
        &[Down(|_, frame| {
            if frame["event"]["prompt_response"]["prompt_id"].is_number() { Vec::new() } else { vec![frame] }
        })],
    ),
    bug(
        "always-own-prompt-ids",
        &["i-own-id"],
        &[],
        &[FromAgent(|_, mut line| {
            if line["op"] == "prompt" {
                remove(&mut line, "", "prompt_id");
            }
            vec![line]
        })],
    ),
    bug(
        "asks-in-the-own-chat",
        &["i-elsewhere"],
        &[],
        &[FromAgent(|_, mut line| {
            if line["op"] == "prompt" {
                remove(&mut line, "", "to");
            }
            vec![line]
        })],
    ),
    bug(
        "prompts-are-never-gated",
        &["i-not-offered"],
        &[],
        &[Down(|_, mut frame| {
            if let Some(ops) = frame.pointer_mut("/descriptor/supported_ops").and_then(Value::as_array_mut) {
                ops.push("prompt".into());
            }
            vec![frame]
        })],
    ),
    bug("main-is-main", &["s-direct"], &[], &[ToAgent(|_, line| rekey(line, "main~", "main"))]),
    bug(
        "groups-share-a-session",
        &["s-group"],
        &[],
        &[ToAgent(|_, line| rekey(line, "group:c1:u1", "group:c1"))],
    ),
    bug(
        "no-auto-threads",
        &["s-auto-thread"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "/event/source", "prospective_thread_id");
            vec![frame]
        })],
    ),
    bug("workspaces-share-sessions", &["s-slack"], &[], &[ToAgent(|_, line| rekey(line, "T9:", ""))]),
    bug(
        "whatsapp-numbers-are-raw",
        &["s-whatsapp"],
        &[],
        &[ToAgent(|_, line| rekey(line, "whatsapp:dm:49151", "whatsapp:dm:+49151"))],
    ),
    bug(
        "no-raw-events",
        &["x-raw-events"],
        &["x-unknown-frames"],
        &[ToAgent(|_, mut line| {
            remove(&mut line, "", "raw");
            vec![line]
        })],
    ),
    bug(
        "error-frames-untold",
        &["x-error-frame"],
        &[],
        &[Down(|_, frame| if frame["type"] == "error" { Vec::new() } else { vec![frame] })],
    ),
    bug(
        "no-unknown-frames",
        &["x-unknown-frames"],
        &[],
        &[ToAgent(|_, line| if line["event"] == "frame" { Vec::new() } else { vec![line] })],
    ),
];
