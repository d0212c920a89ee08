//! What happened in a replay, one entry per thing: as a line of text for people, and as a line of JSON for programs.
//!
//! Neither ever holds a bearer token (C-4). Request ids are shown as their counter, so that a trace says nothing of
//! the seed (O-1).

use super::diff::printable;
use relayline_core::command::{Failure, Reply};
use relayline_core::event::Event;
use relayline_core::output::{Fatal, Notice, Timer};
use relayline_core::time::Time;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt;

/// One thing that happened, in or to the machine.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, in virtual time: the recording's own, as long as that need not wait for the machine.
    pub at: Time,
    /// What.
    pub what: Happened,
}

/// What happened. Sockets are numbered by the machine's dials.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// The host called.
    Host {
        /// The recorded call, or what a recorded frame implies.
        call: String,
        /// What came of it at once.
        answer: Answer,
    },
    /// The host said what became of a delivery.
    Settled {
        /// The delivery's number.
        delivery: u64,
        /// Whether it was taken; refused otherwise.
        taken: bool,
    },
    /// A timer of the machine was due.
    Timer(Timer),
    /// The machine dials.
    Dial {
        /// Which dial.
        conn: u32,
        /// Whether it carries a bearer token.
        authorized: bool,
    },
    /// The upgrade is done.
    Opened {
        /// Which dial.
        conn: u32,
    },
    /// The upgrade was refused.
    Rejected {
        /// Which dial.
        conn: u32,
        /// With this HTTP status.
        status: u16,
    },
    /// The connector's line is complete.
    Received {
        /// On which socket.
        conn: u32,
        /// The line.
        line: String,
    },
    /// The connector's line goes over the limit (W-5).
    Overlong {
        /// On which socket.
        conn: u32,
    },
    /// The socket ended.
    Closed {
        /// Which.
        conn: u32,
        /// The connector's close code, or its answer to ours.
        code: Option<u16>,
        /// The reason; may be empty.
        reason: String,
    },
    /// The connector answers a ping: recordings hold no pongs, so it is taken to have done so.
    Pong {
        /// On which socket.
        conn: u32,
    },
    /// The machine lets go of a dial or socket.
    Drop {
        /// Which.
        conn: u32,
    },
    /// The machine writes a frame.
    Sent {
        /// On which socket.
        conn: u32,
        /// The frame.
        line: String,
    },
    /// The machine pings.
    Ping {
        /// On which socket.
        conn: u32,
    },
    /// The machine closes.
    Close {
        /// Which socket.
        conn: u32,
        /// With this code.
        code: u16,
        /// For this reason; may be empty.
        reason: &'static str,
    },
    /// A request has completed.
    Completed {
        /// Its counter.
        request: u64,
        /// How.
        result: Result<Reply, Failure>,
    },
    /// The connector stops a turn (L-16).
    Interrupt {
        /// The session.
        session_key: String,
        /// The chat; may be empty.
        chat_id: String,
    },
    /// The host is told something.
    Notice(Notice),
    /// The host is handed a message.
    Message {
        /// The delivery's number.
        delivery: u64,
        /// Whether it waits for its acknowledgement.
        buffered: bool,
        /// The message's session key.
        session_key: String,
        /// The message.
        message: Box<Event>,
    },
    /// It is over for good (L-10).
    Fatal(Fatal),
    /// Something that this version of the trace has no form for.
    Other(String),
}

/// What came of a call at once.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Nothing: the machine does by itself what was asked.
    Nothing,
    /// It became this request.
    Request(u64),
    /// It was refused on the spot.
    Refused(Failure),
    /// What a look found.
    Value(Value),
    /// This version does not know such a call.
    Unknown,
}

impl Happened {
    /// Its name: the second word of the text, `what` in the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Happened::Host { .. } => "host",
            Happened::Settled { .. } => "settled",
            Happened::Timer(_) => "timer",
            Happened::Dial { .. } => "dial",
            Happened::Opened { .. } => "opened",
            Happened::Rejected { .. } => "rejected",
            Happened::Received { .. } => "received",
            Happened::Overlong { .. } => "overlong",
            Happened::Closed { .. } => "closed",
            Happened::Pong { .. } => "pong",
            Happened::Drop { .. } => "drop",
            Happened::Sent { .. } => "sent",
            Happened::Ping { .. } => "ping",
            Happened::Close { .. } => "close",
            Happened::Completed { .. } => "completed",
            Happened::Interrupt { .. } => "interrupt",
            Happened::Notice(_) => "notice",
            Happened::Message { .. } => "message",
            Happened::Fatal(_) => "fatal",
            Happened::Other(_) => "other",
        }
    }
}

impl Entry {
    /// Its line of JSON, without a newline: `session` first, then what serializing it gives.
    pub fn to_json(&self, session: &str) -> String {
        let entry = serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned());
        format!("{{\"session\":{},{}", json!(session), &entry[1..])
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A peer's words may hold anything: they stay on their line, and out of the terminal's control.
        let what = printable(self.what.to_string());
        write!(f, "{:>9} {:<10}{what}", self.at.to_string(), self.what.name())
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Host { call, answer } => match answer {
                Answer::Nothing => write!(f, "{call}"),
                Answer::Request(request) => write!(f, "{call} -> request {request}"),
                Answer::Refused(failure) => write!(f, "{call} -> {}: {failure}", failure.kind.name()),
                Answer::Value(value) => write!(f, "{call} -> {value}"),
                Answer::Unknown => write!(f, "{call} (not known, skipped)"),
            },
            Happened::Settled { delivery, taken } => {
                write!(f, "delivery {delivery} {}", if *taken { "taken" } else { "refused" })
            }
            Happened::Timer(timer) => f.write_str(timer_name(*timer)),
            Happened::Dial { conn, authorized } => {
                write!(f, "#{conn}{}", if *authorized { " authorization: Bearer <hidden>" } else { "" })
            }
            Happened::Opened { conn }
            | Happened::Overlong { conn }
            | Happened::Pong { conn }
            | Happened::Drop { conn }
            | Happened::Ping { conn } => write!(f, "#{conn}"),
            Happened::Rejected { conn, status } => write!(f, "#{conn} HTTP {status}"),
            Happened::Received { conn, line } | Happened::Sent { conn, line } => write!(f, "#{conn} {line}"),
            Happened::Closed { conn, code, reason } => match code {
                Some(code) => write!(f, "#{conn} {code} {reason:?}"),
                None => write!(f, "#{conn} without a close frame: {reason}"),
            },
            Happened::Close { conn, code, reason } => write!(f, "#{conn} {code} {reason:?}"),
            Happened::Completed { request, result } => match result {
                Ok(reply) => write!(f, "request {request} ok {}", reply_value(reply)),
                Err(failure) => write!(f, "request {request} {}: {failure}", failure.kind.name()),
            },
            Happened::Interrupt { session_key, chat_id } => write!(f, "{session_key} in chat {chat_id:?}"),
            Happened::Notice(notice) => write_notice(f, notice),
            Happened::Message { delivery, buffered, session_key, message } => {
                let buffered = if *buffered { " buffered" } else { "" };
                let message = serde_json::to_string(message).map_err(|_| fmt::Error)?;
                write!(f, "delivery {delivery}{buffered} {session_key} {message}")
            }
            Happened::Fatal(fatal) => write!(f, "{fatal}"),
            Happened::Other(text) => f.write_str(text),
        }
    }
}

fn write_notice(f: &mut fmt::Formatter<'_>, notice: &Notice) -> fmt::Result {
    match notice {
        Notice::Connected { descriptor, changed } | Notice::Platform { descriptor, changed } => {
            let what = if matches!(notice, Notice::Connected { .. }) { "connected" } else { "platform" };
            write!(f, "{what} {}", descriptor.platform)?;
            if changed.is_empty() { Ok(()) } else { write!(f, ", changed: {}", changed.join(", ")) }
        }
        Notice::Disconnected { code, reason, retry_in } => {
            write!(f, "disconnected")?;
            if let Some(code) = code {
                write!(f, " {code}")?;
            }
            write!(f, ": {reason}; ")?;
            match retry_in {
                Some(retry_in) => write!(f, "dials again in {} ms", retry_in.as_millis()),
                None => write!(f, "does not dial again"),
            }
        }
        Notice::Dormant { retry_in } => write!(f, "dormant, dials again in {} ms", retry_in.as_millis()),
        Notice::Resumed => f.write_str("resumed"),
        Notice::Stopped => f.write_str("stopped"),
        Notice::DeadLetter { reason, buffer_id } => {
            write!(f, "dead letter: {reason}")?;
            buffer_id.iter().try_for_each(|id| write!(f, " (buffer entry {id:?})"))
        }
        other => write!(f, "{other:?}"),
    }
}

impl Serialize for Entry {
    /// `t_us`, `what`, and what else there is to say.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("t_us", &self.at.as_micros())?;
        map.serialize_entry("what", self.what.name())?;
        match &self.what {
            Happened::Host { call, answer } => {
                map.serialize_entry("call", call)?;
                match answer {
                    Answer::Nothing => {}
                    Answer::Request(request) => map.serialize_entry("request", request)?,
                    Answer::Refused(failure) => map.serialize_entry("error", &failure_value(failure))?,
                    Answer::Value(value) => map.serialize_entry("result", value)?,
                    Answer::Unknown => map.serialize_entry("known", &false)?,
                }
            }
            Happened::Settled { delivery, taken } => {
                map.serialize_entry("delivery", delivery)?;
                map.serialize_entry("taken", taken)?;
            }
            Happened::Timer(timer) => map.serialize_entry("timer", timer_name(*timer))?,
            Happened::Dial { conn, authorized } => {
                map.serialize_entry("conn", conn)?;
                if *authorized {
                    map.serialize_entry("authorization", "<hidden>")?;
                }
            }
            Happened::Opened { conn }
            | Happened::Overlong { conn }
            | Happened::Pong { conn }
            | Happened::Drop { conn }
            | Happened::Ping { conn } => map.serialize_entry("conn", conn)?,
            Happened::Rejected { conn, status } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("status", status)?;
            }
            Happened::Received { conn, line } | Happened::Sent { conn, line } => {
                map.serialize_entry("conn", conn)?;
                // As it was written, the order of its fields included; what is no JSON stays a text.
                match serde_json::from_str::<&RawValue>(line) {
                    Ok(frame) => map.serialize_entry("frame", frame)?,
                    Err(_) => map.serialize_entry("line", line)?,
                }
            }
            Happened::Closed { conn, code, reason } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
            }
            Happened::Close { conn, code, reason } => {
                map.serialize_entry("conn", conn)?;
                map.serialize_entry("code", code)?;
                map.serialize_entry("reason", reason)?;
            }
            Happened::Completed { request, result } => {
                map.serialize_entry("request", request)?;
                map.serialize_entry("ok", &result.is_ok())?;
                match result {
                    Ok(reply) => map.serialize_entry("result", &reply_value(reply))?,
                    Err(failure) => map.serialize_entry("error", &failure_value(failure))?,
                }
            }
            Happened::Interrupt { session_key, chat_id } => {
                map.serialize_entry("session_key", session_key)?;
                map.serialize_entry("chat_id", chat_id)?;
            }
            Happened::Notice(notice) => {
                for (name, value) in notice_fields(notice) {
                    map.serialize_entry(name, &value)?;
                }
            }
            Happened::Message { delivery, buffered, session_key, message } => {
                map.serialize_entry("delivery", delivery)?;
                map.serialize_entry("buffered", buffered)?;
                map.serialize_entry("session_key", session_key)?;
                map.serialize_entry("message", message)?;
            }
            Happened::Fatal(fatal) => {
                map.serialize_entry("code", fatal.code)?;
                map.serialize_entry("message", fatal.message)?;
                map.serialize_entry("retryable", &fatal.retryable)?;
            }
            Happened::Other(text) => map.serialize_entry("text", text)?,
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
        Notice::DeadLetter { reason, buffer_id } => {
            vec![("notice", json!("dead_letter")), ("reason", json!(reason)), ("buffer_id", json!(buffer_id))]
        }
        other => vec![("notice", json!("other")), ("text", json!(format!("{other:?}")))],
    }
}

fn reply_value(reply: &Reply) -> Value {
    match reply {
        Reply::Done => json!({}),
        Reply::Sent { message_id } => json!({"message_id": message_id}),
        Reply::ChatInfo { name, chat_type } => json!({"name": name, "type": chat_type}),
        Reply::Idle { confirmed } => json!({"confirmed": confirmed}),
        Reply::Streamed { message_ids } => json!({"message_ids": message_ids}),
        other => json!(format!("{other:?}")),
    }
}

fn failure_value(failure: &Failure) -> Value {
    let mut value = json!({"kind": failure.kind.name(), "message": failure.message});
    if let Some(code) = &failure.code {
        value["code"] = json!(code);
    }
    value
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Redial => "redial",
        Timer::Dial => "dial",
        Timer::Handshake => "handshake",
        Timer::Close => "close",
        Timer::Ping => "ping",
        Timer::Silence => "silence",
        Timer::Request => "request",
        Timer::Stream => "stream",
        Timer::Idle => "idle",
        Timer::Disconnect => "disconnect",
    }
}
