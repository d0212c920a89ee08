//! Bugs of the wire and of descriptors.

use super::{Bug, bug, remove, set};
use crate::Hook::{Down, Message, Request, ToAgent, Up, UpText};
use serde_json::Value;

fn text(payload: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

/// Cuts the connection at a message of which a line is so.
fn cut_at(payload: Vec<u8>, is_bad: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let has_bad = text(&payload).split_inclusive('\n').any(|line| is_bad(line.trim_end_matches('\n')));
    (!has_bad).then_some(payload)
}

fn drop_if(payload: Vec<u8>, is_bad: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    Some(if is_bad(&text(&payload)) { Vec::new() } else { payload })
}

fn json(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

pub(super) const BUGS: &[Bug] = &[
    bug(
        "no-token",
        &["handshake"],
        &[],
        &[Request(|_, head| {
            let lines =
                head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("authorization"));
            lines.collect::<Vec<_>>().join("\r\n")
        })],
    ),
    bug(
        "one-frame-a-message",
        &["w-frame-in-pieces"],
        &["w-pending-tail"],
        &[Message(|_, _, payload| drop_if(payload, |text| !text.ends_with('\n') || text.starts_with('}')))],
    ),
    bug(
        "first-frame-of-a-message",
        &["w-frame-in-pieces"],
        &["a-flood", "w-blank-lines"],
        &[Message(|_, _, payload| {
            let end = payload.iter().position(|byte| *byte == b'\n').map_or(payload.len(), |at| at + 1);
            Some(payload[..end].to_vec())
        })],
    ),
    bug(
        "no-binary",
        &["w-binary-messages"],
        &[],
        &[Message(|_, opcode, payload| Some(if opcode == 2 { Vec::new() } else { payload }))],
    ),
    bug(
        "dies-at-blank-lines",
        &["w-blank-lines"],
        &[],
        &[Message(|_, _, payload| cut_at(payload, |line| line.trim().is_empty()))],
    ),
    bug(
        "dies-at-non-objects",
        &["w-bad-lines"],
        &[],
        &[Message(|_, _, payload| {
            cut_at(payload, |line| json(line).is_some_and(|value| !value.is_object()))
        })],
    ),
    bug(
        "dies-at-bad-utf-8",
        &["w-bad-lines"],
        &[],
        &[Message(|_, _, payload| std::str::from_utf8(&payload).is_ok().then_some(payload))],
    ),
    bug(
        "dies-at-unknown-types",
        &["w-unknown-types"],
        &["x-unknown-frames"],
        &[Message(|_, _, payload| {
            cut_at(payload, |line| {
                json(line).is_some_and(|value| value["type"] == "novelty" && value["bufferId"].is_null())
            })
        })],
    ),
    bug(
        "dies-at-hello",
        &["w-unknown-types"],
        &[],
        &[Message(|_, _, payload| {
            cut_at(payload, |line| json(line).is_some_and(|value| value["type"] == "hello"))
        })],
    ),
    bug(
        "dies-at-long-lines",
        &["w-long-line"],
        &[],
        &[Message(|_, _, payload| (payload.len() < 1_500_000).then_some(payload))],
    ),
    bug(
        "long-lines-unreported",
        &["w-long-line-reported"],
        &[],
        &[ToAgent(|_, line| {
            let is_report =
                line["event"] == "dead_letter" && line["reason"].to_string().contains("max_line_bytes");
            if is_report { Vec::new() } else { vec![line] }
        })],
    ),
    bug("two-newlines", &["w-one-frame-per-message"], &[], &[UpText(|text| text + "\n")]),
    bug("spaces", &["w-compact"], &[], &[UpText(|text| text.replacen("\":", "\": ", 1))]),
    bug(
        "drops-surrogates",
        &["w-odd-text"],
        &[],
        &[Message(|_, _, payload| drop_if(payload, |text| text.contains("\\ud800")))],
    ),
    bug(
        "rounds-ids",
        &["w-integer-ids"],
        &[],
        &[Message(|_, _, payload| {
            Some(text(&payload).replace("-1001234567890123456789", "-1001234567890123456768").into_bytes())
        })],
    ),
    bug(
        "first-key-wins",
        &["w-duplicate-keys"],
        &[],
        &[Message(|_, _, payload| {
            Some(
                text(&payload)
                    .replace("\"text\":\"first\",\"text\":\"last\"", "\"text\":\"first\"")
                    .into_bytes(),
            )
        })],
    ),
    bug(
        "dies-at-depth",
        &["w-deep-nesting"],
        &[],
        &[Message(|_, _, payload| (!text(&payload).contains(&"[".repeat(1000))).then_some(payload))],
    ),
    bug(
        "tail-untold",
        &["w-pending-tail"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["reason"].to_string().contains("newline") {
                set(&mut line, "", "reason", "connection closed");
            }
            vec![line]
        })],
    ),
    bug(
        "drops-nan",
        &["w-nan"],
        &[],
        &[Message(|_, _, payload| drop_if(payload, |text| text.contains("NaN,")))],
    ),
    bug(
        "guesses-the-unit",
        &["d-missing-field"],
        &[],
        &[Down(|_, mut frame| {
            if frame["type"] == "descriptor"
                && frame["descriptor"].get("label").is_some()
                && frame["descriptor"].get("len_unit").is_none()
            {
                set(&mut frame, "/descriptor", "len_unit", "chars");
            }
            vec![frame]
        })],
    ),
    bug(
        "no-default-emoji",
        &["d-defaults"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["descriptor"]["emoji"] == "🔌" {
                remove(&mut line, "/descriptor", "emoji");
            }
            vec![line]
        })],
    ),
    bug(
        "only-plain-numbers",
        &["d-length-spellings"],
        &[],
        &[Down(|_, mut frame| {
            if frame["descriptor"]["max_message_length"].is_string() {
                set(&mut frame, "/descriptor", "max_message_length", 4096);
            }
            vec![frame]
        })],
    ),
    bug(
        "negative-limit",
        &["d-length-nonsense"],
        &[],
        &[Down(|_, mut frame| {
            if frame["descriptor"]["max_message_length"].as_i64().is_some_and(|limit| limit < 0) {
                set(&mut frame, "/descriptor", "max_message_length", 5);
            }
            vec![frame]
        })],
    ),
    bug(
        "counts-chars",
        &["d-utf16"],
        &["d-two-platforms"],
        &[Down(|_, mut frame| {
            if frame["descriptor"]["len_unit"] == "utf16" {
                set(&mut frame, "/descriptor", "len_unit", "chars");
            }
            vec![frame]
        })],
    ),
    bug(
        "asks-no-descriptor",
        &["d-offered-ops"],
        &[],
        &[Down(|_, mut frame| {
            if let Some(ops) = frame.pointer_mut("/descriptor/supported_ops").and_then(Value::as_array_mut) {
                ops.push("react".into());
            }
            vec![frame]
        })],
    ),
    bug(
        "no-legacy-ops",
        &["d-legacy-ops"],
        &[],
        &[Down(|_, mut frame| {
            if frame["type"] == "descriptor" && frame["descriptor"]["supported_ops"].is_null() {
                set(&mut frame, "/descriptor", "supports_edit", false);
            }
            vec![frame]
        })],
    ),
    bug(
        "refuses-newer-versions",
        &["d-newer-version"],
        &[],
        &[Down(|_, mut frame| {
            if frame["descriptor"]["contract_version"] == 2 {
                set(&mut frame, "/descriptor", "contract_version", 0);
            }
            vec![frame]
        })],
    ),
    bug(
        "takes-any-version",
        &["d-version-zero"],
        &[],
        &[Down(|_, mut frame| {
            if frame["descriptor"]["contract_version"] == 0 {
                set(&mut frame, "/descriptor", "contract_version", 1);
            }
            vec![frame]
        })],
    ),
    bug(
        "one-descriptor-for-all",
        &["d-two-platforms"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["id"] == "t" && line["result"]["platform"] == "telegram" {
                set(&mut line, "/result", "platform", "discord");
            }
            vec![line]
        })],
    ),
    bug(
        "keeps-the-first-descriptor",
        &["d-renegotiated"],
        &[],
        &[ToAgent(|state, mut line| {
            if line["event"] == "connected" {
                let first =
                    state.kept.entry("descriptor").or_insert_with(|| line["descriptor"].clone()).clone();
                set(&mut line, "", "descriptor", first);
            }
            vec![line]
        })],
    ),
    bug(
        "hides-descriptor-fields",
        &["x-descriptor-fields"],
        &[],
        &[ToAgent(|_, mut line| {
            remove(&mut line, "/descriptor", "novel_limit");
            vec![line]
        })],
    ),
    bug(
        "no-null-reply-to",
        &["o-request"],
        &[],
        &[Up(|_, mut frame| {
            if frame["action"]["reply_to"].is_null() {
                remove(&mut frame, "/action", "reply_to");
            }
            vec![frame]
        })],
    ),
];
