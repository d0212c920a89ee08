//! What goes into a machine and comes out of it, one entry per thing: as a line of text for people, and as a JSON
//! object for programs. Replays, logs at trace level and snapshots all show these.
//!
//! Neither form ever holds a bearer token (C-4). Request ids are shown as their counters, so that a trace says nothing
//! of the seed and stays the same when only the seed differs (O-1). Everything else is shown as it is: events and
//! frames hold what people wrote, which a log should not hold unless somebody asked for it.
//!
//! Nothing here looks at a machine or changes it: who drives one makes an entry of each input before it is handed in,
//! and of each output after it was taken.

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
use crate::webhook::{Body, Received, WebhookRequest, WebhookResponse};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// One thing that happened to a machine, or that it did. It displays as a line of text, without a newline, and
/// serialises as a JSON object that begins with `t_us` and `what`.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, by the host's clock.
    pub at: Time,
    /// What.
    pub what: Happened,
}

/// What happened. Sockets are numbered by the machine's dials.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// The host asked for something.
    Submitted {
        /// What, by the name that the host knows it under.
        call: Cow<'static, str>,
        /// The counter of the request that it became, or why it was refused on the spot.
        answer: Result<u64, Failure>,
    },
    /// The host said what became of a delivery.
    Settled {
        /// The delivery's number.
        delivery: u64,
        /// Whether it was taken; refused otherwise.
        taken: bool,
    },
    /// An HTTP request came (H-6).
    Request {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
        /// Its body, in bytes; none where it was cut off.
        bytes: Option<usize>,
        /// The number under which it waits for its answer, or the answer.
        answer: Result<u64, WebhookResponse>,
    },
    /// An HTTP request that waited is answered (H-6).
    Responded {
        /// The number under which it waited.
        http: u64,
        /// The answer.
        answer: WebhookResponse,
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
    /// The dial came to nothing before it was answered.
    Failed {
        /// Which dial.
        conn: u32,
        /// Why.
        reason: String,
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
    /// A message without bytes of a line: the connector answers a ping, say.
    Pong {
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
    /// The host is handed the answer to a prompt (I-4).
    PromptAnswer {
        /// The delivery's number.
        delivery: u64,
        /// Whether it waits for its acknowledgement.
        buffered: bool,
        /// The session key of who answered.
        session_key: String,
        /// The event that is the answer.
        answer: Box<Event>,
    },
    /// The host is handed a platform's request as it is (P-2).
    Forward {
        /// The delivery's number.
        delivery: u64,
        /// Whether it waits for its acknowledgement.
        buffered: bool,
        /// The request.
        forward: Box<Forward>,
    },
    /// It is over for good (L-10).
    Fatal(Fatal),
    /// Something that is not the machine's, between what is: whoever drives it has his say.
    Remark {
        /// The second word of the text, `what` in the JSON.
        name: &'static str,
        /// The rest of the text.
        text: String,
        /// The other fields of the JSON.
        fields: Map<String, Value>,
    },
}

/// # Inputs
///
/// The connector's bytes are [`Lines`]' to show, as the lines that they complete.
impl Entry {
    /// The host asked for `call`, and this came of it at once.
    pub fn submitted(
        at: Time,
        call: impl Into<Cow<'static, str>>,
        answer: &Result<RequestId, NotAccepted>,
    ) -> Entry {
        let answer = match answer {
            Ok(id) => Ok(id.number()),
            Err(refused) => Err(refused.failure().clone()),
        };
        Entry { at, what: Happened::Submitted { call: call.into(), answer } }
    }

    /// The host settled a delivery.
    pub fn settled(at: Time, delivery: DeliveryId, outcome: Outcome) -> Entry {
        let taken = match outcome {
            Outcome::Taken => true,
            Outcome::Refused => false,
        };
        Entry { at, what: Happened::Settled { delivery: delivery.number(), taken } }
    }

    /// An HTTP request came, and this came of it at once. Its signature is left out: with it the same could be sent
    /// again.
    pub fn request(at: Time, request: &WebhookRequest<'_>, received: &Received) -> Entry {
        let bytes = match request.body {
            Body::Whole(body) => Some(body.len()),
            Body::TooLong | Body::TooSlow | Body::NoRoom => None,
        };
        let answer = match received {
            Received::Waits(id) => Ok(id.number()),
            Received::Answered(answer) => Err(answer.clone()),
        };
        let (method, path) = (request.method.to_owned(), request.path.to_owned());
        Entry { at, what: Happened::Request { method, path, bytes, answer } }
    }

    /// A timer is due.
    pub fn timer(at: Time, timer: Timer) -> Entry {
        Entry { at, what: Happened::Timer(timer) }
    }

    /// Something happened to a dial or its socket.
    pub fn io(at: Time, event: &IoEvent<'_>) -> Entry {
        let what = match *event {
            IoEvent::Opened { conn } => Happened::Opened { conn: conn.number() },
            IoEvent::DialFailed { conn, failure: DialFailure::Refused(refusal) } => {
                Happened::Rejected { conn: conn.number(), status: refusal.status }
            }
            IoEvent::DialFailed { conn, failure: DialFailure::Unanswered(reason) } => {
                Happened::Failed { conn: conn.number(), reason: reason.to_owned() }
            }
            IoEvent::Closed { conn, code, reason } => {
                Happened::Closed { conn: conn.number(), code, reason: reason.to_owned() }
            }
            IoEvent::Alive { conn } => Happened::Pong { conn: conn.number() },
        };
        Entry { at, what }
    }
}

/// # Outputs
impl Entry {
    /// The machine has something done. The token of a dial is left out (C-4).
    pub fn action(at: Time, action: &Action) -> Entry {
        let what = match action {
            Action::Dial { conn, token } => {
                Happened::Dial { conn: conn.number(), authorized: token.is_some() }
            }
            Action::Drop { conn } => Happened::Drop { conn: conn.number() },
            Action::Complete { id, result } => {
                Happened::Completed { request: id.number(), result: result.clone() }
            }
            Action::Interrupt { session_key, chat_id } => {
                Happened::Interrupt { session_key: session_key.clone(), chat_id: chat_id.clone() }
            }
            Action::Respond { id, answer } => {
                Happened::Responded { http: id.number(), answer: answer.clone() }
            }
            Action::Notify(notice) => Happened::Notice(notice.clone()),
            Action::Fatal(fatal) => Happened::Fatal(fatal.clone()),
        };
        Entry { at, what }
    }

    /// The machine hands something to the host; `sessions` is how the host's configuration counts sessions (S).
    pub fn delivery(at: Time, delivery: &Delivery, sessions: SessionKeyOptions) -> Entry {
        let (number, buffered) = (delivery.id.number(), delivery.buffered);
        let key = |event: &Event| session_key(&event.source, sessions, event.source.profile.as_deref());
        let what = match &delivery.content {
            Content::Message(message) => Happened::Message {
                delivery: number,
                buffered,
                session_key: key(message),
                message: message.clone(),
            },
            Content::PromptAnswer(answer) => Happened::PromptAnswer {
                delivery: number,
                buffered,
                session_key: key(answer),
                answer: answer.clone(),
            },
            Content::Forward(forward) => {
                Happened::Forward { delivery: number, buffered, forward: Box::new(forward.clone()) }
            }
        };
        Entry { at, what }
    }

    /// The machine writes; `frame` is what it put into the buffer, for a [`Transmit::Frame`].
    pub fn transmit(at: Time, transmit: &Transmit, frame: &[u8], ids: &Ids) -> Entry {
        match *transmit {
            Transmit::Frame { conn } => Entry::sent(at, conn, frame, ids),
            Transmit::Ping { conn } => Entry { at, what: Happened::Ping { conn: conn.number() } },
            Transmit::Close { conn, code, reason } => {
                Entry { at, what: Happened::Close { conn: conn.number(), code, reason } }
            }
        }
    }

    /// The machine writes this frame.
    pub fn sent(at: Time, conn: Conn, frame: &[u8], ids: &Ids) -> Entry {
        let line = ids.shown(String::from_utf8_lossy(frame).trim_end());
        Entry { at, what: Happened::Sent { conn: conn.number(), line } }
    }
}

impl Happened {
    /// Its name: the second word of the text, `what` in the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Happened::Submitted { .. } => "host",
            Happened::Settled { .. } => "settled",
            Happened::Request { .. } => "request",
            Happened::Responded { .. } => "responded",
            Happened::Timer(_) => "timer",
            Happened::Dial { .. } => "dial",
            Happened::Opened { .. } => "opened",
            Happened::Rejected { .. } => "rejected",
            Happened::Failed { .. } => "failed",
            Happened::Received { .. } => "received",
            Happened::Overlong { .. } => "overlong",
            Happened::Pong { .. } => "pong",
            Happened::Closed { .. } => "closed",
            Happened::Drop { .. } => "drop",
            Happened::Sent { .. } => "sent",
            Happened::Ping { .. } => "ping",
            Happened::Close { .. } => "close",
            Happened::Completed { .. } => "completed",
            Happened::Interrupt { .. } => "interrupt",
            Happened::Notice(_) => "notice",
            Happened::Message { .. } => "message",
            Happened::PromptAnswer { .. } => "answer",
            Happened::Forward { .. } => "forward",
            Happened::Fatal(_) => "fatal",
            Happened::Remark { name, .. } => name,
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
