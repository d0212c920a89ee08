//! Bugs of deliveries and acknowledgements.

use super::{Bug, bug, remove, set};
use crate::Hook::{Down, FromAgent, Message, ToAgent, Up};
use crate::proxy::ack;
use serde_json::json;

pub(super) const BUGS: &[Bug] = &[
    bug(
        "acks-at-once",
        &["a-ack-after-accept"],
        &["a-one-ack", "a-foreign-forward"],
        &[
            Down(|state, frame| {
                if !frame["bufferId"].is_null() && frame["type"] == "inbound" {
                    state.inject(&ack(&frame["bufferId"]));
                }
                vec![frame]
            }),
            Up(|_, frame| {
                if frame["type"] == "inbound_ack" && frame["bufferId"].to_string().contains("b-") {
                    vec![frame]
                } else if frame["type"] == "inbound_ack" {
                    Vec::new()
                } else {
                    vec![frame]
                }
            }),
        ],
    ),
    bug(
        "acks-live-messages",
        &["a-live-unacked"],
        &[],
        &[
            FromAgent(|state, line| {
                if line["op"] == "ack" && state.seen.contains("live") {
                    state.inject(&ack(&json!("live")));
                }
                vec![line]
            }),
            ToAgent(|state, line| {
                if line["event"] == "message" && line["buffered"] == false {
                    state.seen.insert("live".to_owned());
                }
                vec![line]
            }),
        ],
    ),
    bug(
        "forwards-are-never-acked",
        &["a-forward-acked"],
        &["a-foreign-forward"],
        &[
            Down(|state, frame| {
                if frame["type"] == "passthrough_forward" {
                    state.seen.insert(frame["bufferId"].to_string());
                }
                vec![frame]
            }),
            Up(|state, frame| {
                let is_forward =
                    frame["type"] == "inbound_ack" && state.seen.contains(&frame["bufferId"].to_string());
                if is_forward { Vec::new() } else { vec![frame] }
            }),
        ],
    ),
    bug(
        "refusals-are-acks",
        &["a-refused"],
        &[],
        &[FromAgent(|_, mut line| {
            if line["op"] == "refuse" {
                set(&mut line, "", "op", "ack");
            }
            vec![line]
        })],
    ),
    bug(
        "unknown-frames-block-the-drain",
        &["a-unknown-buffered"],
        &[],
        &[Down(|_, frame| {
            if frame["type"] == "novelty" && !frame["bufferId"].is_null() { Vec::new() } else { vec![frame] }
        })],
    ),
    bug(
        "foreign-forwards-block-the-drain",
        &["a-foreign-forward"],
        &[],
        &[Down(|_, frame| if frame["forward"]["platform"] == "twilio" { Vec::new() } else { vec![frame] })],
    ),
    bug(
        "unreadable-lines-block-the-drain",
        &["a-unreadable"],
        &["a-dead-letter"],
        &[Message(|_, _, payload| {
            let is_unreadable = String::from_utf8_lossy(&payload).contains("\"text\":tru}");
            Some(if is_unreadable { Vec::new() } else { payload })
        })],
    ),
    bug(
        "dead-letters-untold",
        &["a-dead-letter"],
        &["w-long-line-reported"],
        &[ToAgent(|_, line| if line["event"] == "dead_letter" { Vec::new() } else { vec![line] })],
    ),
    bug(
        "delivers-duplicates",
        &["a-duplicate"],
        &[],
        &[Down(|state, mut frame| {
            let id = frame["event"]["message_id"].to_string();
            if frame["bufferId"] == "b-2" && !state.seen.insert(id.clone()) {
                set(&mut frame, "/event", "message_id", format!("{id} again"));
            }
            state.seen.insert(id);
            vec![frame]
        })],
    ),
    bug(
        "edits-are-duplicates",
        &["a-edit"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "/event/source", "message_is_edit");
            vec![frame]
        })],
    ),
    bug(
        "acks-twice",
        &["a-one-ack"],
        &[],
        &[Up(
            |_, frame| {
                if frame["type"] == "inbound_ack" { vec![frame.clone(), frame] } else { vec![frame] }
            },
        )],
    ),
    bug(
        "swaps-messages",
        &["a-flood"],
        &[],
        &[ToAgent(|state, line| match line["message"]["text"] == "n1" {
            true => {
                state.kept.insert("held", line);
                Vec::new()
            }
            false => {
                let held = if line["message"]["text"] == "n2" { state.kept.remove("held") } else { None };
                [Some(line), held].into_iter().flatten().collect()
            }
        })],
    ),
    bug(
        "one-entry-a-connection",
        &["a-drain"],
        &[],
        &[ToAgent(|_, line| {
            let is_second = line["message"]["text"] == "two" && line["buffered"] == true;
            if is_second { Vec::new() } else { vec![line] }
        })],
    ),
    bug(
        "results-wait-for-messages",
        &["a-results-overtake"],
        &[],
        &[ToAgent(|state, line| {
            let waiting = state.seen.iter().filter(|seen| seen.starts_with("delivery ")).count();
            if line["event"] == "result" && waiting > 100 { Vec::new() } else { vec![line] }
        })],
    ),
];
