//! Trace entries as JSON objects.

use super::{Entry, TraceEvent, timer_name};
use crate::command::{Failure, Reply};
use crate::event::Event;
use crate::output::Notice;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

impl Entry {
    /// Its line of JSON, without a newline.
    pub fn to_json(&self) -> String {
        // Nothing in an entry has keys that are no strings, so it cannot fail.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

impl Serialize for Entry {
    /// `t_us`, `what`, and what else there is to say.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("t_us", &self.at.as_micros())?;
        map.serialize_entry("what", self.event.name())?;
        match &self.event {
            TraceEvent::Submitted { call, answer } => {
                map.serialize_entry("call", call)?;
                match answer {
                    Ok(request) => map.serialize_entry("request", request)?,
                    Err(failure) => map.serialize_entry("error", &failure_value(failure))?,
                }
            }
            TraceEvent::Settled { delivery, taken } => {
                map.serialize_entry("delivery", delivery)?;
                map.serialize_entry("taken", taken)?;
            }
            TraceEvent::Request { method, path, bytes, answer } => {
                map.serialize_entry("method", method)?;
                map.serialize_entry("path", path)?;
                map.serialize_entry("bytes", bytes)?;
                match answer {
                    Ok(http) => map.serialize_entry("http", http)?,
                    Err(answer) => {
                        map.serialize_entry("status", &answer.status())?;
                        map.serialize_entry("why", &answer.to_string())?;
                    }
                }
            }
            TraceEvent::Responded { http, answer } => {
                map.serialize_entry("http", http)?;
                map.serialize_entry("status", &answer.status())?;
                map.serialize_entry("why", &answer.to_string())?;
            }
            TraceEvent::Timer(timer) => map.serialize_entry("timer", timer_name(*timer))?,
            TraceEvent::Dial { conn, authorized } => {
                map.serialize_entry("conn", conn)?;
                if *authorized {
                    map.serialize_entry("authorization", "<hidden>")?;
                }
            }
            TraceEvent::Opened { conn }
            | TraceEvent::Overlong { conn }
            | TraceEvent::Pong { conn }
            | TraceEvent::Drop { conn }
            | TraceEvent::Ping { conn } => map.serialize_entry("conn", conn)?,
            TraceEvent::Rejected { conn, status } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("status", status)?;
            }
            TraceEvent::Failed { conn, reason } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("reason", reason)?;
            }
            TraceEvent::Received { conn, line } | TraceEvent::Sent { conn, line } => {
                map.serialize_entry("conn", conn)?;
                // As it was written, the order of its fields included; what is no JSON stays a text.
                match serde_json::from_str::<&RawValue>(line) {
                    Ok(frame) => map.serialize_entry("frame", frame)?,
                    Err(_) => map.serialize_entry("line", line)?,
                }
            }
            TraceEvent::Closed { conn, code, reason } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
            }
            TraceEvent::Close { conn, code, reason } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
            }
            TraceEvent::Completed { request, result } => {
                map.serialize_entry("request", request)?;
                map.serialize_entry("ok", &result.is_ok())?;
                match result {
                    Ok(reply) => map.serialize_entry("result", &reply_value(reply))?,
                    Err(failure) => map.serialize_entry("error", &failure_value(failure))?,
                }
            }
            TraceEvent::Interrupt { session_key, chat_id } => {
                map.serialize_entry("session_key", session_key)?;
                map.serialize_entry("chat_id", chat_id)?;
            }
            TraceEvent::Notice(notice) => {
                for (name, value) in notice_fields(notice) {
                    map.serialize_entry(name, &value)?;
                }
            }
            TraceEvent::Message { delivery, buffered, session_key, message } => {
                map.serialize_entry("delivery", delivery)?;
                map.serialize_entry("buffered", buffered)?;
                map.serialize_entry("session_key", session_key)?;
                map.serialize_entry("message", message)?;
            }
            TraceEvent::PromptAnswer { delivery, buffered, session_key, answer } => {
                let (prompt_id, option_id) = chosen(answer);
                map.serialize_entry("delivery", delivery)?;
                map.serialize_entry("buffered", buffered)?;
                map.serialize_entry("session_key", session_key)?;
                map.serialize_entry("prompt_id", prompt_id)?;
                map.serialize_entry("option_id", option_id)?;
                map.serialize_entry("answer", answer)?;
            }
            TraceEvent::Forward { delivery, buffered, forward } => {
                map.serialize_entry("delivery", delivery)?;
                map.serialize_entry("buffered", buffered)?;
                map.serialize_entry("forward", forward)?;
            }
            TraceEvent::Fatal(fatal) => {
                map.serialize_entry("code", fatal.code)?;
                map.serialize_entry("message", fatal.message)?;
                map.serialize_entry("retryable", &fatal.retryable)?;
            }
            TraceEvent::Remark { fields, .. } => {
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
            }
        }
        map.end()
    }
}

fn notice_fields(notice: &Notice) -> Vec<(&'static str, Value)> {
    let ms = |span: &std::time::Duration| json!(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    match notice {
        Notice::Connected { descriptor, changed } => {
            vec![
                ("notice", json!("connected")),
                ("descriptor", json!(**descriptor)),
                ("changed", json!(changed)),
            ]
        }
        Notice::Platform { descriptor, changed } => {
            vec![
                ("notice", json!("platform")),
                ("descriptor", json!(**descriptor)),
                ("changed", json!(changed)),
            ]
        }
        Notice::Disconnected { code, reason, retry_in } => vec![
            ("notice", json!("disconnected")),
            ("code", json!(code)),
            ("reason", json!(reason)),
            ("retry_in_ms", json!(retry_in.as_ref().map(ms))),
        ],
        Notice::Dormant { retry_in } => vec![("notice", json!("dormant")), ("retry_in_ms", ms(retry_in))],
        Notice::Resumed => vec![("notice", json!("resumed"))],
        Notice::Stopped => vec![("notice", json!("stopped"))],
        Notice::ConnectorError { text } => vec![("notice", json!("connector_error")), ("text", json!(text))],
        Notice::UnknownFrame { kind, .. } => {
            vec![("notice", json!("unknown_frame")), ("type", json!(kind))]
        }
        Notice::DeadLetter { reason, buffer_id, line } => vec![
            ("notice", json!("dead_letter")),
            ("reason", json!(reason)),
            ("buffer_id", json!(buffer_id)),
            ("line", json!(line)),
        ],
        Notice::StalePrompt { answer } => {
            let (prompt_id, option_id) = chosen(answer);
            vec![
                ("notice", json!("stale_prompt")),
                ("prompt_id", json!(prompt_id)),
                ("option_id", json!(option_id)),
                ("answer", json!(answer)),
            ]
        }
    }
}

pub(super) fn reply_value(reply: &Reply) -> Value {
    match reply {
        Reply::Done => json!({}),
        Reply::Sent { message_id, thread_id, auto_thread_name } => {
            let mut sent = json!({"message_id": message_id});
            for (name, text) in [("thread_id", thread_id), ("auto_thread_name", auto_thread_name)] {
                if let Some(text) = text {
                    sent[name] = text.as_str().into();
                }
            }
            sent
        }
        Reply::ChatInfo { name, chat_type } => json!({"name": name, "type": chat_type}),
        Reply::Streamed { message_ids, auto_thread: None } => json!({"message_ids": message_ids}),
        Reply::Streamed { message_ids, auto_thread: Some(thread) } => {
            json!({"message_ids": message_ids, "thread_id": thread.id, "auto_thread_name": thread.name})
        }
        Reply::Raw { result } => Value::Object(result.clone()),
        Reply::Idle { confirmed } => json!({"confirmed": confirmed}),
        Reply::Prompted { prompt_id, message_id } => {
            json!({"prompt_id": prompt_id, "message_id": message_id})
        }
        Reply::Thread { thread_id } => json!({"thread_id": thread_id}),
    }
}

fn failure_value(failure: &Failure) -> Value {
    let mut value = json!({"kind": failure.kind.name(), "message": failure.message});
    if let Some(code) = &failure.code {
        value["code"] = json!(code);
    }
    value
}

/// Returns the ids of the prompt and of the chosen option; empty if the event is not an answer.
pub(super) fn chosen(answer: &Event) -> (&str, &str) {
    answer.prompt_response.as_ref().map_or(("", ""), |response| (&response.prompt_id, &response.option_id))
}
