//! Assignment of the recorded gateway's requests to calls of its host. The cause is the last call that has begun, has
//! not ended, and leads to such a request. A call with the same content is preferred.

use super::session::{Dial, Frame};
use crate::recording::{LineContent, RecordedLine, Recording};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Origin of a recorded request.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameCause {
    /// Number of the request in the recording.
    pub(crate) number: usize,
    /// Position of the call that caused it, if there is one.
    pub(crate) call: Option<usize>,
    /// Number of earlier requests of that call.
    pub(crate) nth: usize,
    /// First result of the connector, and the position of its line.
    pub(crate) result: Option<(usize, Value)>,
}

/// Finds the causes of all requests.
pub(super) fn find(recording: &Recording, dials: &mut [Dial]) {
    let mut results = Vec::new();
    for dial in dials.iter() {
        let mut of_dial: BTreeMap<String, (usize, Value)> = BTreeMap::new();
        for frame in dial.heard.iter().filter(|frame| frame.kind() == "outbound_result") {
            let id = frame.value["requestId"].to_string();
            of_dial.entry(id).or_insert_with(|| (frame.line, frame.value["result"].clone()));
        }
        results.push(of_dial);
    }
    let mut led_to: BTreeMap<usize, usize> = BTreeMap::new();
    let asked = dials
        .iter_mut()
        .enumerate()
        .flat_map(|(dial, it)| it.wrote.iter_mut().map(move |frame| (dial, frame)));
    let mut asked: Vec<(usize, &mut Frame)> = asked.filter(|(_, frame)| frame.kind() == "outbound").collect();
    for (number, (dial, frame)) in asked.iter_mut().enumerate() {
        let result = results[*dial].remove(&frame.value["requestId"].to_string());
        frame.cause = Some(FrameCause { number, call: None, nth: 0, result });
    }
    asked.sort_by_key(|(_, frame)| frame.line);
    let mut calls =
        recording.lines.iter().enumerate().filter_map(|(at, line)| CallingLine::read(at, line)).peekable();
    let mut running: Vec<CallingLine<'_>> = Vec::new();
    for (_, frame) in asked {
        let t_ms = recording.lines.get(frame.line).map_or(0, |line| line.t_ms);
        while let Some(called) = calls.next_if(|called| called.at < frame.line) {
            running.push(called);
        }
        running.retain(|called| called.done_ms.is_none_or(|done| done >= t_ms));
        let action = &frame.value["action"];
        let fitting = || running.iter().rev().filter(|called| writes(called.call, called.args, action));
        let same = fitting().find(|called| called.args.get("content") == action.get("content"));
        let call = same.or_else(|| fitting().next()).map(|called| called.at);
        if let Some((cause, call)) = frame.cause.as_mut().zip(call) {
            let count = led_to.entry(call).or_default();
            (cause.call, cause.nth) = (Some(call), *count);
            *count += 1;
        }
    }
}

/// A call of the host.
struct CallingLine<'a> {
    at: usize,
    call: &'a str,
    args: &'a Map<String, Value>,
    done_ms: Option<u64>,
}

impl<'a> CallingLine<'a> {
    fn read(at: usize, line: &'a RecordedLine) -> Option<Self> {
        match &line.what {
            LineContent::HostCall { call, args, done_ms, .. } => {
                Some(CallingLine { at, call, args, done_ms: *done_ms })
            }
            _ => None,
        }
    }
}

/// Returns true if a call can lead to such an action.
fn writes(call: &str, args: &Map<String, Value>, action: &Value) -> bool {
    let op = action["op"].as_str().unwrap_or_default();
    let is_same = |name: &str, other: &str| args.get(name).is_some_and(|value| *value == action[other]);
    match call {
        "send" => is_same("chat_id", "chat_id") && (op == "send" || op == "draft" && action["final"] == true),
        "send_draft" => is_same("chat_id", "chat_id") && op == "draft" && action["final"] == false,
        "abandon_open_draft" => is_same("chat_id", "chat_id") && op == "draft" && action["final"] == true,
        "edit_message" => {
            op == "edit" && is_same("chat_id", "chat_id") && is_same("message_id", "message_id")
        }
        "send_typing" | "stop_typing" => op == "typing" && is_same("chat_id", "chat_id"),
        "on_processing_start" | "on_processing_complete" => op == "react" && is_same("chat_id", "chat_id"),
        "send_follow_up" => op == "follow_up" && is_same("session_key", "session_key"),
        "send_outbound" => args.get("action") == Some(action),
        "get_chat_info" => op == "get_chat_info" && is_same("chat_id", "chat_id"),
        "delete_message" => {
            op == "delete" && is_same("chat_id", "chat_id") && is_same("message_id", "message_id")
        }
        "create_handoff_thread" => op == "thread_create" && is_same("parent_chat_id", "chat_id"),
        "rename_thread" => op == "thread_rename" && is_same("thread_id", "message_id"),
        "send_native_task_card_progress" => op == "task_card" && is_same("chat_id", "chat_id"),
        "stop_native_task_card_progress" => op == "task_card_stop" && is_same("chat_id", "chat_id"),
        "send_exec_approval" | "send_slash_confirm" | "send_clarify" => {
            op == "prompt" && is_same("chat_id", "chat_id")
        }
        "send_image" | "send_image_file" | "send_voice" | "send_video" | "send_document" => {
            op == "send_media" && is_same("chat_id", "chat_id")
        }
        _ => false,
    }
}
