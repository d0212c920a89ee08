//! Bugs of requests, their metadata, and replies.

use super::{Bug, bug, op, remove, set};
use crate::Hook::{Down, FromAgent, ToAgent, Up};
use serde_json::{Value, json};

pub(super) const BUGS: &[Bug] = &[
    bug(
        "matches-results-by-order",
        &["o-any-order"],
        &[],
        &[Down(|state, mut frame| {
            if frame["type"] == "outbound_result"
                && let Some((oldest, _)) = state.pending.first().cloned()
            {
                state.pending.remove(0);
                set(&mut frame, "", "requestId", oldest);
            }
            vec![frame]
        })],
    ),
    bug(
        "truth-is-success",
        &["o-only-true-is-success"],
        &[],
        &[Down(|_, mut frame| {
            if matches!(&frame["result"]["success"], Value::String(_) | Value::Number(_)) {
                set(&mut frame, "/result", "success", true);
            }
            vec![frame]
        })],
    ),
    bug(
        "no-codes",
        &["o-rejected"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["error"]["kind"] == "rejected" {
                remove(&mut line, "/error", "code");
            }
            vec![line]
        })],
    ),
    bug(
        "resends-after-a-loss",
        &["o-lost-connection"],
        &[],
        &[
            Up(|state, frame| {
                if frame["type"] == "outbound" {
                    state.kept.insert("last", frame.clone());
                }
                let again =
                    state.kept.get("last").filter(|_| frame["type"] == "hello" && state.dials > 1).cloned();
                [Some(frame), again].into_iter().flatten().collect()
            }),
            Down(|state, frame| {
                if frame["type"] == "outbound_result" {
                    state.kept.remove("last");
                }
                vec![frame]
            }),
        ],
    ),
    bug(
        "loss-is-definite",
        &["o-lost-connection"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["error"]["kind"] == "ambiguous"
                && line["error"]["message"].to_string().contains("connection")
            {
                set(&mut line, "/error", "kind", "definite");
            }
            vec![line]
        })],
    ),
    bug(
        "waits-for-ever",
        &["o-timeout"],
        &[],
        &[ToAgent(|_, line| {
            let is_timeout = line["error"]["message"].to_string().contains("no answer came in time");
            if is_timeout { Vec::new() } else { vec![line] }
        })],
    ),
    bug(
        "declines-are-rejections",
        &["o-declined"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["error"]["kind"] == "declined" {
                set(&mut line, "/error", "kind", "rejected");
            }
            vec![line]
        })],
    ),
    bug(
        "declined-drafts-are-sent",
        &["o-stream-declined"],
        &[],
        &[Down(|state, frame| {
            let id = frame["requestId"].as_str().unwrap_or_default();
            let asked =
                state.pending.iter().find(|(pending, _)| pending == id).map(|(_, frame)| frame.clone());
            if frame["result"]["code"] == "egress_declined"
                && let Some(mut asked) = asked
                && op(&asked) == "draft"
            {
                set(&mut asked, "/action", "op", "send");
                set(&mut asked, "", "requestId", "f".repeat(32));
                state.inject(&asked);
            }
            vec![frame]
        })],
    ),
    bug(
        "queues-while-offline",
        &["o-offline"],
        &[],
        &[FromAgent(|state, line| {
            if line["op"] == "send" && !state.is_connected() {
                state.kept.insert("queued", line);
                return Vec::new();
            }
            vec![line]
        })],
    ),
    bug(
        "no-flat-chat-info",
        &["o-chat-info"],
        &[],
        &[Down(|_, mut frame| {
            if frame["result"]["chat_info"].is_null() && frame["result"]["success"].is_null() {
                remove(&mut frame, "/result", "name");
            }
            vec![frame]
        })],
    ),
    bug(
        "edits-anyway",
        &["o-stream-without-edits"],
        &[],
        &[
            Down(|state, frame| {
                if frame["type"] == "descriptor" {
                    state.kept.insert("edits", frame["descriptor"]["supports_edit"].clone());
                }
                vec![frame]
            }),
            Up(|state, frame| {
                let mut edit = frame.clone();
                set(&mut edit, "/action", "op", "edit");
                set(&mut edit, "", "requestId", "e".repeat(32));
                let is_wrong = op(&frame) == "send" && state.kept.get("edits") == Some(&Value::Bool(false));
                if is_wrong { vec![frame, edit] } else { vec![frame] }
            }),
        ],
    ),
    bug(
        "seals-on-telegram",
        &["o-final-answer"],
        &[],
        &[Up(|state, mut frame| {
            if op(&frame) == "draft" {
                state.kept.insert("draft", frame["action"]["draft_id"].clone());
            } else if op(&frame) == "send"
                && frame["platform"] == "telegram"
                && let Some(id) = state.kept.get("draft")
            {
                let id = id.clone();
                set(&mut frame, "/action", "op", "draft");
                set(&mut frame, "/action", "draft_id", id);
                set(&mut frame, "/action", "final", true);
            }
            vec![frame]
        })],
    ),
    bug(
        "never-seals",
        &["o-seal"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "draft" && frame["action"]["final"] == true {
                set(&mut frame, "/action", "op", "send");
            }
            vec![frame]
        })],
    ),
    bug(
        "rejected-seal-is-lost",
        &["o-seal-rejected"],
        &[],
        &[Up(|state, frame| {
            if op(&frame) == "draft" && frame["action"]["final"] == true {
                state.kept.insert("sealed", true.into());
            }
            if op(&frame) == "send" && state.kept.contains_key("sealed") { Vec::new() } else { vec![frame] }
        })],
    ),
    bug(
        "unsure-seal-is-sent",
        &["o-seal-ambiguous"],
        &[],
        &[Up(|state, mut frame| {
            if op(&frame) == "draft"
                && frame["action"]["final"] == true
                && state.kept.insert("sealed", true.into()).is_some()
            {
                set(&mut frame, "/action", "op", "send");
            }
            vec![frame]
        })],
    ),
    bug(
        "drafts-after-a-rejection",
        &["o-draft-rejected"],
        &[],
        &[
            Up(|state, mut frame| {
                if op(&frame) == "draft" {
                    state.kept.insert("draft", frame["action"]["draft_id"].clone());
                } else if op(&frame) == "send" && state.kept.contains_key("rejected") {
                    let id = state.kept.get("draft").cloned().unwrap_or_default();
                    set(&mut frame, "/action", "op", "draft");
                    set(&mut frame, "/action", "draft_id", id);
                }
                vec![frame]
            }),
            Down(|state, frame| {
                if frame["result"]["error"] == "not here" {
                    state.kept.insert("rejected", true.into());
                }
                vec![frame]
            }),
        ],
    ),
    bug(
        "cards-of-the-chat",
        &["o-task-card"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "task_card" {
                set(&mut frame, "/action", "card_id", "turn:root");
            }
            vec![frame]
        })],
    ),
    bug(
        "auto-threads-untold",
        &["o-auto-thread"],
        &[],
        &[ToAgent(|_, mut line| {
            remove(&mut line, "/result", "auto_thread_name");
            vec![line]
        })],
    ),
    bug(
        "no-reactions",
        &["o-turn"],
        &[],
        &[Up(|_, frame| {
            if op(&frame) == "react" && frame["action"]["emoji"] == "👀" { Vec::new() } else { vec![frame] }
        })],
    ),
    bug(
        "both-guards",
        &["o-thread-rename"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "thread_rename" {
                set(&mut frame, "/action", "only_if_current_name", "old");
            }
            vec![frame]
        })],
    ),
    bug(
        "scope-is-cleared",
        &["m-scope"],
        &[],
        &[
            Down(|state, frame| {
                if frame["type"] == "inbound" {
                    let source = &frame["event"]["source"];
                    let has_scope = source.get("scope_id").or(source.get("guild_id")).is_some();
                    state.kept.insert("scoped", has_scope.into());
                }
                vec![frame]
            }),
            Up(|state, mut frame| {
                if state.kept.get("scoped") == Some(&Value::Bool(false)) {
                    remove(&mut frame, "/action/metadata", "scope_id");
                }
                vec![frame]
            }),
        ],
    ),
    bug(
        "only-the-newer-scope-name",
        &["m-scope"],
        &["m-caller-wins", "m-prime"],
        &[Up(|_, mut frame| {
            remove(&mut frame, "/action/metadata", "guild_id");
            vec![frame]
        })],
    ),
    bug(
        "memory-wins",
        &["m-caller-wins"],
        &[],
        &[FromAgent(|_, mut line| {
            remove(&mut line, "/metadata", "scope_id");
            vec![line]
        })],
    ),
    bug(
        "guesses-the-scope",
        &["m-unknown-chat"],
        &[],
        &[Up(|_, mut frame| {
            if frame["action"]["chat_id"] == "never-seen" {
                set(&mut frame, "/action/metadata", "scope_id", "g1");
            }
            vec![frame]
        })],
    ),
    bug(
        "no-bot-id",
        &["m-platform-tag"],
        &[],
        &[Up(|_, mut frame| {
            if frame["type"] == "outbound" {
                remove(&mut frame, "", "botId");
            }
            vec![frame]
        })],
    ),
    bug(
        "takes-foreign-platforms",
        &["m-foreign-platform"],
        &[],
        &[FromAgent(|_, mut line| {
            if line["platform"] == "matrix" {
                remove(&mut line, "", "platform");
            }
            vec![line]
        })],
    ),
    bug(
        "follow-up-without-profile",
        &["m-follow-up"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "follow_up" {
                remove(&mut frame, "/action/metadata", "profile");
            }
            vec![frame]
        })],
    ),
    bug(
        "threads-without-scope",
        &["m-thread-parent"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "thread_rename" {
                remove(&mut frame, "/action/metadata", "scope_id");
            }
            vec![frame]
        })],
    ),
    bug(
        "prime-does-nothing",
        &["m-prime"],
        &[],
        &[FromAgent(|_, mut line| {
            if line["op"] == "prime" {
                set(&mut line, "", "chat_id", "another");
            }
            vec![line]
        })],
    ),
    bug(
        "answers-never-notify",
        &["m-notify"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "send" {
                remove(&mut frame, "/action/metadata", "notify");
            }
            vec![frame]
        })],
    ),
    bug(
        "interim-messages-notify",
        &["m-notify"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "send" {
                set(&mut frame, "/action/metadata", "notify", true);
            }
            vec![frame]
        })],
    ),
    bug(
        "slack-without-anchors",
        &["m-slack-anchor"],
        &[],
        &[Up(|_, mut frame| {
            if op(&frame) == "send" {
                remove(&mut frame, "/action/metadata", "thread_id");
            }
            vec![frame]
        })],
    ),
    bug(
        "drops-metadata",
        &["m-own-metadata"],
        &[],
        &[Up(|_, mut frame| {
            remove(&mut frame, "/action/metadata", "format_hints");
            vec![frame]
        })],
    ),
    bug(
        "raw-results-are-typed",
        &["x-raw-op"],
        &[],
        &[ToAgent(|_, mut line| {
            remove(&mut line, "/result", "novel");
            vec![line]
        })],
    ),
    bug(
        "ignores-unknown-fields",
        &["x-unknown-field"],
        &[],
        &[FromAgent(|_, mut line| {
            remove(&mut line, "", "repyl_to");
            vec![line]
        })],
    ),
    bug(
        "bad-lines-untold",
        &["x-bad-agent-lines"],
        &[],
        &[ToAgent(|_, line| if line["event"] == "invalid" { Vec::new() } else { vec![line] })],
    ),
    bug(
        "drops-bursts",
        &["x-many-requests"],
        &[],
        &[FromAgent(|state, line| {
            let sent = state.kept.entry("sent").or_insert_with(|| json!(0));
            *sent = json!(sent.as_u64().unwrap_or(0) + 1);
            if sent.as_u64() > Some(50) { Vec::new() } else { vec![line] }
        })],
    ),
];
