//! Traces of a machine's inputs and outputs. Each entry is a line of text for people, or a JSON object for programs.
//! Replays, logs at trace level and snapshots show these.
//!
//! No entry contains a bearer token. Request ids are shown as their counters, so that traces do not depend on the
//! seed. Everything else is shown unchanged: events and frames contain users' texts, so log traces only on request.
//!
//! The driver of a machine creates an entry before each input and after each output.

mod json;
mod lines;
#[cfg(test)]
mod tests;
mod text;

pub use lines::{Ids, Lines};
pub use text::printable;

use crate::command::{Failure, NotAccepted, Reply, RequestId};
use crate::event::Event;
use crate::machine::{DialFailure, IoEvent};
use crate::output::{Action, Conn, Content, Delivery, DeliveryId, Fatal, Notice, Outcome, Timer, Transmit};
use crate::passthrough::Forward;
use crate::session_key::{SessionKeyOptions, session_key};
use crate::time::Time;
use crate::webhook::{Body, WebhookOutcome, WebhookRequest, WebhookResponse};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Input or output of a machine. Displays as a line of text without a newline, and serialises as a JSON object that
/// begins with `t_us` and `what`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Time by the host's clock.
    pub at: Time,
    /// Input or output.
    pub event: TraceEvent,
}

/// Input or output of a machine. Sockets are numbered by dial.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TraceEvent {
    /// The host submitted a command.
    Submitted {
        /// Name of the command in the host's API.
        call: Cow<'static, str>,
        /// Counter of the request, or the failure if the command was refused.
        answer: Result<u64, Failure>,
    },
    /// The host settled a delivery.
    Settled {
        /// Number of the delivery.
        delivery: u64,
        /// True if the host accepted the delivery, false if it refused.
        taken: bool,
    },
    /// A webhook request arrived.
    Request {
        /// HTTP method.
        method: String,
        /// Path of the request.
        path: String,
        /// Length of the body in bytes; `None` if the body is incomplete.
        bytes: Option<usize>,
        /// Number of the pending request, or the immediate response.
        answer: Result<u64, WebhookResponse>,
    },
    /// A pending webhook request was answered.
    Responded {
        /// Number of the request.
        http: u64,
        /// Response to the request.
        answer: WebhookResponse,
    },
    /// A timer of the machine fired.
    Timer(Timer),
    /// The machine dials.
    Dial {
        /// Number of the dial.
        conn: u32,
        /// True if the dial carries a bearer token.
        authorized: bool,
    },
    /// The upgrade completed.
    Opened {
        /// Number of the dial.
        conn: u32,
    },
    /// The upgrade was refused.
    Rejected {
        /// Number of the dial.
        conn: u32,
        /// HTTP status of the refusal.
        status: u16,
    },
    /// The dial failed without an answer.
    Failed {
        /// Number of the dial.
        conn: u32,
        /// Reason of the failure.
        reason: String,
    },
    /// A line of the connector is complete.
    Received {
        /// Number of the socket.
        conn: u32,
        /// Text of the line.
        line: String,
    },
    /// A line of the connector exceeds the limit.
    Overlong {
        /// Number of the socket.
        conn: u32,
    },
    /// A WebSocket message without content, for instance a pong.
    Pong {
        /// Number of the socket.
        conn: u32,
    },
    /// The socket closed.
    Closed {
        /// Number of the socket.
        conn: u32,
        /// Close code of the connector, if it sent one.
        code: Option<u16>,
        /// Close reason; may be empty.
        reason: String,
    },
    /// The machine drops a dial or socket.
    Drop {
        /// Number of the socket.
        conn: u32,
    },
    /// The machine writes a frame.
    Sent {
        /// Number of the socket.
        conn: u32,
        /// Text of the frame.
        line: String,
    },
    /// The machine writes a ping.
    Ping {
        /// Number of the socket.
        conn: u32,
    },
    /// The machine writes a close frame.
    Close {
        /// Number of the socket.
        conn: u32,
        /// Close code.
        code: u16,
        /// Close reason; may be empty.
        reason: &'static str,
    },
    /// A request completed.
    Completed {
        /// Counter of the request.
        request: u64,
        /// Result of the request.
        result: Result<Reply, Failure>,
    },
    /// The connector interrupts a turn.
    Interrupt {
        /// Key of the session.
        session_key: String,
        /// Id of the chat; may be empty.
        chat_id: String,
    },
    /// The host is notified.
    Notice(Notice),
    /// A message is delivered to the host.
    Message {
        /// Number of the delivery.
        delivery: u64,
        /// True if the delivery came from the connector's buffer.
        buffered: bool,
        /// Session key of the message.
        session_key: String,
        /// Event of the message.
        message: Box<Event>,
    },
    /// An answer to a prompt is delivered to the host.
    PromptAnswer {
        /// Number of the delivery.
        delivery: u64,
        /// True if the delivery came from the connector's buffer.
        buffered: bool,
        /// Session key of the user who answered.
        session_key: String,
        /// Event of the answer.
        answer: Box<Event>,
    },
    /// A forward is delivered to the host.
    Forward {
        /// Number of the delivery.
        delivery: u64,
        /// True if the delivery came from the connector's buffer.
        buffered: bool,
        /// The forward.
        forward: Box<Forward>,
    },
    /// The relay ended for good.
    Fatal(Fatal),
    /// A remark of the driver.
    Remark {
        /// Second word of the text; `what` in the JSON.
        name: &'static str,
        /// Remaining text.
        text: String,
        /// Other fields of the JSON.
        fields: Map<String, Value>,
    },
}

/// # Inputs
///
/// The connector's bytes are shown by [`Lines`], as complete lines.
impl Entry {
    /// Creates the entry of a submitted command and its immediate result.
    pub fn submitted(
        at: Time,
        call: impl Into<Cow<'static, str>>,
        answer: &Result<RequestId, NotAccepted>,
    ) -> Entry {
        let answer = match answer {
            Ok(id) => Ok(id.number()),
            Err(refused) => Err(refused.failure().clone()),
        };
        Entry { at, event: TraceEvent::Submitted { call: call.into(), answer } }
    }

    /// Creates the entry of a settlement.
    pub fn settled(at: Time, delivery: DeliveryId, outcome: Outcome) -> Entry {
        let taken = match outcome {
            Outcome::Accepted => true,
            Outcome::Refused => false,
        };
        Entry { at, event: TraceEvent::Settled { delivery: delivery.number(), taken } }
    }

    /// Creates the entry of a webhook request and its immediate outcome. The signature is left out, so that the
    /// request cannot be replayed from a trace.
    pub fn request(at: Time, request: &WebhookRequest<'_>, outcome: &WebhookOutcome) -> Entry {
        let bytes = match request.body {
            Body::Whole(body) => Some(body.len()),
            Body::TooLong | Body::TooSlow | Body::NoRoom => None,
        };
        let answer = match outcome {
            WebhookOutcome::Pending(id) => Ok(id.number()),
            WebhookOutcome::Responded(answer) => Err(answer.clone()),
        };
        let (method, path) = (request.method.to_owned(), request.path.to_owned());
        Entry { at, event: TraceEvent::Request { method, path, bytes, answer } }
    }

    /// Creates the entry of a timer that fires.
    pub fn timer(at: Time, timer: Timer) -> Entry {
        Entry { at, event: TraceEvent::Timer(timer) }
    }

    /// Creates the entry of an event of a dial or its socket.
    pub fn io(at: Time, event: &IoEvent<'_>) -> Entry {
        let event = match *event {
            IoEvent::Opened { conn } => TraceEvent::Opened { conn: conn.number() },
            IoEvent::DialFailed { conn, failure: DialFailure::Refused(refusal) } => {
                TraceEvent::Rejected { conn: conn.number(), status: refusal.status }
            }
            IoEvent::DialFailed { conn, failure: DialFailure::Unanswered(reason) } => {
                TraceEvent::Failed { conn: conn.number(), reason: reason.to_owned() }
            }
            IoEvent::Closed { conn, code, reason } => {
                TraceEvent::Closed { conn: conn.number(), code, reason: reason.to_owned() }
            }
            IoEvent::Alive { conn } => TraceEvent::Pong { conn: conn.number() },
        };
        Entry { at, event }
    }
}

/// # Outputs
impl Entry {
    /// Creates the entry of an action. A dial's token is left out.
    pub fn action(at: Time, action: &Action) -> Entry {
        let event = match action {
            Action::Dial { conn, token } => {
                TraceEvent::Dial { conn: conn.number(), authorized: token.is_some() }
            }
            Action::Drop { conn } => TraceEvent::Drop { conn: conn.number() },
            Action::Complete { id, result } => {
                TraceEvent::Completed { request: id.number(), result: result.clone() }
            }
            Action::Interrupt { session_key, chat_id } => {
                TraceEvent::Interrupt { session_key: session_key.clone(), chat_id: chat_id.clone() }
            }
            Action::Respond { id, answer } => {
                TraceEvent::Responded { http: id.number(), answer: answer.clone() }
            }
            Action::Notify(notice) => TraceEvent::Notice(notice.clone()),
            Action::Fatal(fatal) => TraceEvent::Fatal(fatal.clone()),
        };
        Entry { at, event }
    }

    /// Creates the entry of a delivery. `sessions` are the host's options for session keys.
    pub fn delivery(at: Time, delivery: &Delivery, sessions: SessionKeyOptions) -> Entry {
        let (number, buffered) = (delivery.id.number(), delivery.buffered);
        let key = |event: &Event| session_key(&event.source, sessions, event.source.profile.as_deref());
        let event = match &delivery.content {
            Content::Message(message) => TraceEvent::Message {
                delivery: number,
                buffered,
                session_key: key(message),
                message: message.clone(),
            },
            Content::PromptAnswer(answer) => TraceEvent::PromptAnswer {
                delivery: number,
                buffered,
                session_key: key(answer),
                answer: answer.clone(),
            },
            Content::Forward(forward) => {
                TraceEvent::Forward { delivery: number, buffered, forward: Box::new(forward.clone()) }
            }
        };
        Entry { at, event }
    }

    /// Creates the entry of a transmit. `frame` is the buffer that the machine filled for a [`Transmit::Frame`].
    pub fn transmit(at: Time, transmit: &Transmit, frame: &[u8], ids: &Ids) -> Entry {
        match *transmit {
            Transmit::Frame { conn } => Entry::sent(at, conn, frame, ids),
            Transmit::Ping { conn } => Entry { at, event: TraceEvent::Ping { conn: conn.number() } },
            Transmit::Close { conn, code, reason } => {
                Entry { at, event: TraceEvent::Close { conn: conn.number(), code, reason } }
            }
        }
    }

    /// Creates the entry of a frame that is written.
    pub fn sent(at: Time, conn: Conn, frame: &[u8], ids: &Ids) -> Entry {
        let line = ids.shown(String::from_utf8_lossy(frame).trim_end());
        Entry { at, event: TraceEvent::Sent { conn: conn.number(), line } }
    }
}

impl TraceEvent {
    /// Returns the name of the event: the second word of the text, and `what` in the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            TraceEvent::Submitted { .. } => "host",
            TraceEvent::Settled { .. } => "settled",
            TraceEvent::Request { .. } => "request",
            TraceEvent::Responded { .. } => "responded",
            TraceEvent::Timer(_) => "timer",
            TraceEvent::Dial { .. } => "dial",
            TraceEvent::Opened { .. } => "opened",
            TraceEvent::Rejected { .. } => "rejected",
            TraceEvent::Failed { .. } => "failed",
            TraceEvent::Received { .. } => "received",
            TraceEvent::Overlong { .. } => "overlong",
            TraceEvent::Pong { .. } => "pong",
            TraceEvent::Closed { .. } => "closed",
            TraceEvent::Drop { .. } => "drop",
            TraceEvent::Sent { .. } => "sent",
            TraceEvent::Ping { .. } => "ping",
            TraceEvent::Close { .. } => "close",
            TraceEvent::Completed { .. } => "completed",
            TraceEvent::Interrupt { .. } => "interrupt",
            TraceEvent::Notice(_) => "notice",
            TraceEvent::Message { .. } => "message",
            TraceEvent::PromptAnswer { .. } => "answer",
            TraceEvent::Forward { .. } => "forward",
            TraceEvent::Fatal(_) => "fatal",
            TraceEvent::Remark { name, .. } => name,
        }
    }
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
        Timer::Turn => "turn",
        Timer::Idle => "idle",
        Timer::Disconnect => "disconnect",
        Timer::Webhook => "delivery",
    }
}
