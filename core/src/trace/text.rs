//! Trace entries as lines of text.

use super::json::{chosen, reply_value};
use super::{Entry, TraceEvent, timer_name};
use crate::output::Notice;
use std::fmt;

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A peer's words may hold anything: they stay on their line, and out of the terminal's control.
        let what = printable(self.event.to_string());
        write!(f, "{:>9} {:<10}{what}", self.at.to_string(), self.event.name())
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceEvent::Submitted { call, answer } => match answer {
                Ok(request) => write!(f, "{call} -> request {request}"),
                Err(failure) => write!(f, "{call} -> {}: {failure}", failure.kind.name()),
            },
            TraceEvent::Settled { delivery, taken } => {
                write!(f, "delivery {delivery} {}", if *taken { "taken" } else { "refused" })
            }
            TraceEvent::Request { method, path, bytes, answer } => {
                write!(f, "{method} {path} ")?;
                match bytes {
                    Some(bytes) => write!(f, "{bytes} bytes -> ")?,
                    None => f.write_str("-> ")?,
                }
                match answer {
                    Ok(http) => write!(f, "waits as {http}"),
                    Err(answer) => write!(f, "{} {answer}", answer.status()),
                }
            }
            TraceEvent::Responded { http, answer } => write!(f, "{http} with {} {answer}", answer.status()),
            TraceEvent::Timer(timer) => f.write_str(timer_name(*timer)),
            TraceEvent::Dial { conn, authorized } => {
                write!(f, "#{conn}{}", if *authorized { " authorization: Bearer <hidden>" } else { "" })
            }
            TraceEvent::Opened { conn }
            | TraceEvent::Overlong { conn }
            | TraceEvent::Pong { conn }
            | TraceEvent::Drop { conn }
            | TraceEvent::Ping { conn } => write!(f, "#{conn}"),
            TraceEvent::Rejected { conn, status } => write!(f, "#{conn} HTTP {status}"),
            TraceEvent::Failed { conn, reason } => write!(f, "#{conn} {reason}"),
            TraceEvent::Received { conn, line } | TraceEvent::Sent { conn, line } => {
                write!(f, "#{conn} {line}")
            }
            TraceEvent::Closed { conn, code, reason } => match code {
                Some(code) => write!(f, "#{conn} {code} {reason:?}"),
                None => write!(f, "#{conn} without a close code: {reason}"),
            },
            TraceEvent::Close { conn, code, reason } => write!(f, "#{conn} {code} {reason:?}"),
            TraceEvent::Completed { request, result } => match result {
                Ok(reply) => write!(f, "request {request} ok {}", reply_value(reply)),
                Err(failure) => write!(f, "request {request} {}: {failure}", failure.kind.name()),
            },
            TraceEvent::Interrupt { session_key, chat_id } => write!(f, "{session_key} in chat {chat_id:?}"),
            TraceEvent::Notice(notice) => write_notice(f, notice),
            TraceEvent::Message { delivery, buffered, session_key, message: event }
            | TraceEvent::PromptAnswer { delivery, buffered, session_key, answer: event } => {
                let buffered = if *buffered { " buffered" } else { "" };
                let event = serde_json::to_string(event).map_err(|_| fmt::Error)?;
                write!(f, "delivery {delivery}{buffered} {session_key} {event}")
            }
            TraceEvent::Forward { delivery, buffered, forward } => {
                let buffered = if *buffered { " buffered" } else { "" };
                let forward = serde_json::to_string(forward).map_err(|_| fmt::Error)?;
                write!(f, "delivery {delivery}{buffered} {forward}")
            }
            TraceEvent::Fatal(fatal) => write!(f, "{fatal}"),
            TraceEvent::Remark { text, .. } => f.write_str(text),
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
        Notice::ConnectorError { text } => write!(f, "the connector reports an error: {text}"),
        Notice::UnknownFrame { kind, .. } => write!(f, "a frame of the unknown type {kind:?}"),
        Notice::DeadLetter { reason, buffer_id, .. } => {
            write!(f, "dead letter: {reason}")?;
            buffer_id.iter().try_for_each(|id| write!(f, " (buffer entry {id:?})"))
        }
        Notice::StalePrompt { answer } => {
            let (prompt_id, option_id) = chosen(answer);
            write!(f, "stale prompt {prompt_id}, option {option_id}")
        }
    }
}

/// Returns a text that is safe for one line of a terminal: control characters are escaped as in JSON.
pub fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut clean, c| {
        if c.is_control() {
            clean.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            clean.push(c);
        }
        clean
    })
}
