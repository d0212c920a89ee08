//! Trace entries of a machine's outputs.

use super::{Entry, Ids};
use crate::command::{Failure, Reply, RequestId};
use crate::descriptor::Descriptor;
use crate::event::Event;
use crate::output::{Action, Conn, Content, Delivery, Notice, Transmit};
use crate::session_key::{SessionKeyOptions, session_key};
use crate::time::Time;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

/// # Outputs
impl Entry {
    /// Creates the entry of an action. A dial's token is left out.
    pub fn action(at: Time, action: &Action) -> Entry {
        match action {
            Action::Dial { conn, token: None } => Entry::socket(at, "dial", *conn, ""),
            Action::Dial { conn, token: Some(_) } => {
                Entry::socket(at, "dial", *conn, " authorization: Bearer <hidden>")
                    .with("authorization", "<hidden>")
            }
            Action::Drop { conn } => Entry::socket(at, "drop", *conn, ""),
            Action::Complete { id, result } => completed(at, *id, result),
            Action::Interrupt { session_key, chat_id } => {
                Entry::remark(at, "interrupt", format!("{session_key} in chat {chat_id:?}"))
                    .with("session_key", session_key)
                    .with("chat_id", chat_id)
            }
            Action::Respond { id, answer } => {
                let text = format!("{} with {} {answer}", id.number(), answer.status());
                Entry::remark(at, "responded", text).with("http", id.number()).with_response(answer)
            }
            Action::Notify(notice) => notified(at, notice),
            Action::Fatal(fatal) => Entry::remark(at, "fatal", fatal.to_string())
                .with("code", fatal.code)
                .with("message", fatal.message)
                .with("retryable", fatal.retryable),
        }
    }

    /// Creates the entry of a delivery. `sessions` are the options that determine the shown session key.
    pub fn delivery(at: Time, delivery: &Delivery, sessions: SessionKeyOptions) -> Entry {
        let number = delivery.id.number();
        let buffered = if delivery.buffered { " buffered" } else { "" };
        let entry = |name, text: String| {
            Entry::remark(at, name, format!("delivery {number}{buffered} {text}"))
                .with("delivery", number)
                .with("buffered", delivery.buffered)
        };
        let of_event = |name, event: &Event| {
            let key = session_key(&event.source, sessions, event.source.profile.as_deref());
            entry(name, format!("{key} {}", json_text(event))).with("session_key", key)
        };
        match &delivery.content {
            Content::Message(message) => of_event("message", message).with("message", message),
            Content::PromptAnswer(answer) => {
                let (prompt_id, option_id) = chosen(answer);
                of_event("answer", answer)
                    .with("prompt_id", prompt_id)
                    .with("option_id", option_id)
                    .with("answer", answer)
            }
            Content::Forward(forward) => entry("forward", json_text(forward)).with("forward", forward),
        }
    }

    /// Creates the entry of a transmit. `frame` is the buffer that the machine filled for a [`Transmit::Frame`].
    pub fn transmit(at: Time, transmit: &Transmit, frame: &[u8], ids: &Ids) -> Entry {
        match *transmit {
            Transmit::Frame { conn } => {
                Entry::line(at, "sent", conn, &ids.shown(String::from_utf8_lossy(frame).trim_end()))
            }
            Transmit::Ping { conn } => Entry::socket(at, "ping", conn, ""),
            Transmit::Close { conn, code, reason } => {
                Entry::socket(at, "close", conn, &format!(" {code} {reason:?}"))
                    .with("code", code)
                    .with("reason", reason)
            }
        }
    }

    /// Creates an entry about a socket.
    pub(super) fn socket(at: Time, name: &'static str, conn: Conn, text: &str) -> Entry {
        Entry::remark(at, name, format!("{conn}{text}")).with("conn", conn.number())
    }

    /// Creates the entry of a line that was received or sent. Valid JSON keeps its order of fields.
    pub(super) fn line(at: Time, name: &'static str, conn: Conn, line: &str) -> Entry {
        let entry = Entry::socket(at, name, conn, &format!(" {line}"));
        match serde_json::from_str::<&serde_json::value::RawValue>(line) {
            Ok(frame) => entry.with("frame", frame),
            Err(_) => entry.with("line", line),
        }
    }
}

/// Creates the entry of the result of a request.
fn completed(at: Time, id: RequestId, result: &Result<Reply, Failure>) -> Entry {
    let number = id.number();
    let entry = |text: String| {
        Entry::remark(at, "completed", format!("request {number} {text}"))
            .with("request", number)
            .with("ok", result.is_ok())
    };
    match result {
        Ok(reply) => {
            let reply = reply_value(reply);
            entry(format!("ok {reply}")).with("result", reply)
        }
        Err(failure) => entry(format!("{}: {failure}", failure.kind.name())).with_failure(failure),
    }
}

/// Creates the entry of a notice.
fn notified(at: Time, notice: &Notice) -> Entry {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let entry = |kind, text: String| Entry::remark(at, "notice", text).with("notice", kind);
    let plain = |kind: &'static str| entry(kind, kind.to_owned());
    let descriptor = |kind, descriptor: &Descriptor, changed: &[Cow<'static, str>]| {
        let mut text = format!("{kind} {}", descriptor.platform);
        if !changed.is_empty() {
            text = format!("{text}, changed: {}", changed.join(", "));
        }
        entry(kind, text).with("descriptor", json!(descriptor)).with("changed", changed)
    };
    let of_answer = |kind, what: &str, answer: &Event| {
        let (prompt_id, option_id) = chosen(answer);
        entry(kind, format!("{what} {prompt_id}, option {option_id}"))
            .with("prompt_id", prompt_id)
            .with("option_id", option_id)
            .with("answer", json!(answer))
    };
    match notice {
        Notice::Connected { descriptor: default, changed } => descriptor("connected", default, changed),
        Notice::Platform { descriptor: further, changed } => descriptor("platform", further, changed),
        Notice::Disconnected { code, reason, retry_in } => {
            let code_text = code.map_or(String::new(), |code| format!(" {code}"));
            let retry = match retry_in {
                Some(retry_in) => format!("dials again in {} ms", ms(*retry_in)),
                None => "does not dial again".to_owned(),
            };
            entry("disconnected", format!("disconnected{code_text}: {reason}; {retry}"))
                .with("code", code)
                .with("reason", reason)
                .with("retry_in_ms", retry_in.map(ms))
        }
        Notice::Dormant { retry_in } => {
            let dials = retry_in.map_or_else(
                || "dials when resumed".to_owned(),
                |span| format!("dials again in {} ms", ms(span)),
            );
            entry("dormant", format!("dormant, {dials}")).with("retry_in_ms", retry_in.map(ms))
        }
        Notice::Resumed => plain("resumed"),
        Notice::Stopped => plain("stopped"),
        Notice::ConnectorError { text } => {
            entry("connector_error", format!("the connector reports an error: {text}")).with("text", text)
        }
        Notice::UnknownFrame { kind, .. } => {
            entry("unknown_frame", format!("a frame of the unknown type {kind:?}")).with("type", kind)
        }
        Notice::DeadLetter { reason, buffer_id, line } => {
            let buffer = buffer_id.as_ref().map_or(String::new(), |id| format!(" (buffer entry {id:?})"));
            entry("dead_letter", format!("dead letter: {reason}{buffer}"))
                .with("reason", reason)
                .with("buffer_id", buffer_id)
                .with("line", line)
        }
        Notice::StalePrompt { answer } => of_answer("stale_prompt", "stale prompt", answer),
        Notice::UnauthorizedAnswer { answer } => {
            of_answer("unauthorized_answer", "unauthorized answer", answer)
        }
    }
}

/// Returns the JSON of a result.
fn reply_value(reply: &Reply) -> Value {
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

/// Returns the JSON of an event or a forward. Serialization cannot fail, since all keys are strings.
fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns the ids of the prompt and of the chosen option; empty if the event is not an answer.
fn chosen(answer: &Event) -> (&str, &str) {
    answer.prompt_response.as_ref().map_or(("", ""), |response| (&response.prompt_id, &response.option_id))
}
