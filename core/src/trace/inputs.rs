//! Trace entries of a machine's inputs: commands and settlements of the host, webhook requests, timers, and events of
//! the socket. The connector's bytes are in [`Lines`](super::Lines).

use super::Entry;
use crate::command::{NotAccepted, RequestId};
use crate::machine::{DialFailure, IoEvent};
use crate::output::{DeliveryId, Outcome, Timer};
use crate::time::Time;
use crate::webhook::{Body, WebhookOutcome, WebhookRequest};

/// # Inputs
///
/// [`Lines`](super::Lines) makes the entries of the connector's bytes, one for each complete line.
impl Entry {
    /// Creates the entry of a submitted command and its immediate result. `call` is the command's name in the host's
    /// API.
    pub fn submitted(at: Time, call: &str, result: &Result<RequestId, NotAccepted>) -> Entry {
        match result {
            Ok(id) => Entry::remark(at, "host", format!("{call} -> request {}", id.number()))
                .with("call", call)
                .with("request", id.number()),
            Err(refused) => {
                let failure = refused.failure();
                Entry::remark(at, "host", format!("{call} -> {}: {failure}", failure.kind.name()))
                    .with("call", call)
                    .with_failure(failure)
            }
        }
    }

    /// Creates the entry of a settlement.
    pub fn settled(at: Time, delivery: DeliveryId, outcome: Outcome) -> Entry {
        let outcome_text = match outcome {
            Outcome::Accepted => "taken",
            Outcome::Refused => "refused",
        };
        Entry::remark(at, "settled", format!("delivery {} {outcome_text}", delivery.number()))
            .with("delivery", delivery.number())
            .with("taken", outcome == Outcome::Accepted)
    }

    /// Creates the entry of a webhook request and its immediate outcome. The signature is left out, so that the
    /// request cannot be replayed from a trace.
    pub fn request(at: Time, request: &WebhookRequest<'_>, outcome: &WebhookOutcome) -> Entry {
        let (method, path) = (request.method, request.path);
        let bytes = match request.body {
            Body::Whole(body) => Some(body.len()),
            Body::TooLong | Body::TooSlow | Body::NoRoom => None,
        };
        let size = bytes.map_or(String::new(), |bytes| format!("{bytes} bytes "));
        let outcome_text = match outcome {
            WebhookOutcome::Pending(id) => format!("waits as {}", id.number()),
            WebhookOutcome::Responded(response) => format!("{} {response}", response.status()),
        };
        let entry = Entry::remark(at, "request", format!("{method} {path} {size}-> {outcome_text}"))
            .with("method", method)
            .with("path", path)
            .with("bytes", bytes);
        match outcome {
            WebhookOutcome::Pending(id) => entry.with("http", id.number()),
            WebhookOutcome::Responded(response) => entry.with_response(response),
        }
    }

    /// Creates the entry of a timer that fires.
    pub fn timer(at: Time, timer: Timer) -> Entry {
        let name = match timer {
            Timer::Redial => "redial",
            Timer::Dial => "dial",
            Timer::Handshake => "handshake",
            Timer::Close => "close",
            Timer::Ping => "ping",
            Timer::Silence => "silence",
            Timer::Request => "request",
            Timer::Stream => "stream",
            Timer::Turn => "turn",
            Timer::Idle => "idle",
            Timer::Disconnect => "disconnect",
            Timer::Webhook => "delivery",
        };
        Entry::remark(at, "timer", name).with("timer", name)
    }

    /// Creates the entry of an event of a dial or its socket.
    pub fn io(at: Time, event: &IoEvent<'_>) -> Entry {
        match *event {
            IoEvent::Opened { conn } => Entry::socket(at, "opened", conn, ""),
            IoEvent::DialFailed { conn, failure: DialFailure::Refused(refusal) } => {
                Entry::socket(at, "rejected", conn, &format!(" HTTP {}", refusal.status))
                    .with("status", refusal.status)
            }
            IoEvent::DialFailed { conn, failure: DialFailure::Unanswered(reason) } => {
                Entry::socket(at, "failed", conn, &format!(" {reason}")).with("reason", reason)
            }
            IoEvent::Closed { conn, code, reason } => {
                let text = match code {
                    Some(code) => format!(" {code} {reason:?}"),
                    None => format!(" without a close code: {reason}"),
                };
                Entry::socket(at, "closed", conn, &text).with("code", code).with("reason", reason)
            }
            // The entry of a ping has this name, too: the machine does not distinguish them.
            IoEvent::Alive { conn } => Entry::socket(at, "pong", conn, ""),
        }
    }
}
