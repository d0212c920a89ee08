//! Recorded sessions: version 1 of the project's own format, which `harness/recordings/README.md` describes line by line.
//!
//! One line is one thing that happened. What a reader does not know (a field, a whole kind of line) is kept and
//! written again: a newer recorder's file passes through older tools unharmed.

pub(crate) mod parts;
mod read;
mod write;

pub use read::RecordingError;

use relayline_core::secret::Secret;
use relayline_core::upgrade::Refusal;
use serde_json::{Map, Value};
use std::time::Duration;

/// The version of the format that is read and written.
pub const VERSION: u64 = 1;

/// One recorded session.
#[derive(Clone, PartialEq, Debug)]
pub struct Recording {
    /// The file it came from, as the caller named it: messages point into it.
    pub file: String,
    /// The first line.
    pub header: Header,
    /// All others, in the order of time.
    pub lines: Vec<RecordedLine>,
}

impl Recording {
    /// The session's name: its file's, without folders and ending.
    pub fn name(&self) -> &str {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file);
        name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".har")).unwrap_or(name)
    }
}

/// The first line: what was recorded, and how the gateway was set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Header {
    /// What the session is about, in a line.
    pub title: String,
    /// What was recorded: which gateway, which version.
    pub recorded_from: String,
    /// A remark; may be empty.
    pub note: String,
    /// The gateway's settings, as far as they were known.
    pub gateway: Gateway,
    /// Fields beyond these, as they came.
    pub rest: Map<String, Value>,
}

/// The gateway's settings; what a recorder could not know is absent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Gateway {
    /// What the recorded host talked to: `adapter` or `transport`; absent when only the wire was recorded.
    pub layer: Option<String>,
    /// The platform of its first identity.
    pub platform: Option<String>,
    /// The bot's id there; may be empty.
    pub bot_id: Option<String>,
    /// Platform and bot id of each identity, where one socket fronts several.
    pub identities: Vec<(String, String)>,
    /// How long a dial, and then its handshake, may take.
    pub connect_timeout: Option<Duration>,
    /// How long the answer to a request is awaited.
    pub outbound_timeout: Option<Duration>,
    /// The gateway's id, when its dials were authenticated.
    pub gateway_id: Option<String>,
    /// The secret it shared with the connector. It is written to the file in the clear, so a real session's must
    /// never be put here: without it dials are replayed all the same, and their tokens are not compared (C-4).
    pub upgrade_secret: Option<Secret>,
    /// The time at which the clock was fixed, in unix seconds.
    pub clock_unix_s: Option<u64>,
    /// Whether the gateway dialled again after a loss.
    pub reconnect: Option<bool>,
    /// Its first wait before a re-dial.
    pub reconnect_backoff: Option<Duration>,
    /// Its longest.
    pub reconnect_max_backoff: Option<Duration>,
    /// Settings beyond these, as they came.
    pub rest: Map<String, Value>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordedLine {
    /// Where it stands in its file, counted from 1; the header is line 1.
    pub number: usize,
    /// When, in milliseconds since the start; never less than the line before.
    pub t_ms: u64,
    /// What.
    pub what: LineContent,
    /// Fields beyond those, as they came.
    pub rest: Map<String, Value>,
}

/// The name under which a message's line says which dial it is of, where it is not the newest one's.
pub(crate) const DIAL: &str = "dial";
/// HTTP answer that refused an upgrade, as far as it decides what follows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// Body, where it was recorded: a 401 may say `expired` in it (L-8).
    pub body: Option<String>,
    /// Whether the body did not come whole.
    pub is_cut: bool,
    /// Whether the answer had a `WWW-Authenticate` header.
    pub has_challenge: bool,
    /// Value of `Retry-After`.
    pub retry_after: Option<String>,
    /// Value of `Location`.
    pub location: Option<String>,
}

impl Rejection {
    /// Creates a rejection with a whole body.
    pub fn new(status: u16, body: Option<String>) -> Rejection {
        Rejection { status, body, ..Rejection::default() }
    }

    /// Returns the same as the core judges it.
    pub fn refusal(&self) -> Refusal<'_> {
        Refusal {
            status: self.status,
            body: self.body.as_deref().unwrap_or_default().as_bytes(),
            is_whole: !self.is_cut,
            has_challenge: self.has_challenge,
            retry_after: self.retry_after.as_deref(),
            location: self.location.as_deref(),
        }
    }
}

/// The kind of line that stands where lines were lost.
pub(crate) const GAP: &str = "gap";
/// The name under which a `connect` line says which gateway it is of, where a file holds several.
pub(crate) const GATEWAY_ID: &str = "gateway_id";

impl RecordedLine {
    /// The number of the dial that it names; `None` where it is the newest one's, or no socket's at all.
    pub fn dial(&self) -> Option<u32> {
        match &self.what {
            LineContent::Connect { dial, .. }
            | LineContent::Reject { dial, .. }
            | LineContent::Close { dial, .. }
            | LineContent::Drop { dial, .. } => *dial,
            LineContent::Gateway(_) | LineContent::Connector(_) => {
                self.rest.get(DIAL).and_then(Value::as_u64).and_then(|dial| u32::try_from(dial).ok())
            }
            LineContent::HostCall { .. }
            | LineContent::HostEvent { .. }
            | LineContent::Note(_)
            | LineContent::Other(_) => None,
        }
    }

    /// How many lines the recorder lost here (its disk was full, for instance), where this line says so.
    pub fn gap(&self) -> Option<u64> {
        match &self.what {
            LineContent::Other(dir) if dir == GAP => {
                Some(self.rest.get("lines").and_then(Value::as_u64).unwrap_or(0))
            }
            LineContent::Connect { .. }
            | LineContent::Reject { .. }
            | LineContent::Gateway(_)
            | LineContent::Connector(_)
            | LineContent::Close { .. }
            | LineContent::Drop { .. }
            | LineContent::HostCall { .. }
            | LineContent::HostEvent { .. }
            | LineContent::Note(_)
            | LineContent::Other(_) => None,
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum LineContent {
    /// The WebSocket upgrade arrived.
    Connect {
        /// The path that was asked for.
        url_path: String,
        /// Which dial it was, counted from 1, in a session with several.
        dial: Option<u32>,
        /// The `Authorization` header, if there was one.
        authorization: Option<Secret>,
        /// Other headers.
        headers: Map<String, Value>,
        /// The fixed clock had been moved to this time, in unix seconds.
        clock_unix_s: Option<u64>,
    },
    /// The upgrade was answered with this status instead of 101.
    Reject {
        /// Which dial; the newest by default.
        dial: Option<u32>,
        /// The answer.
        answer: Rejection,
    },
    /// One WebSocket message of the gateway.
    Gateway(Data),
    /// One WebSocket message of the connector: several frames, or a part of one (W-1).
    Connector(Data),
    /// The socket was closed.
    Close {
        /// By whom.
        by: Side,
        /// Which dial; the newest by default.
        dial: Option<u32>,
        /// The close code; absent when none came.
        code: Option<u16>,
        /// The reason; may be empty.
        reason: String,
    },
    /// The TCP connection was cut, without a close frame.
    Drop {
        /// By whom.
        by: Side,
        /// Which dial; the newest by default.
        dial: Option<u32>,
    },
    /// The host called the gateway. The line stands where the call started.
    HostCall {
        /// The call's name.
        call: String,
        /// Its arguments.
        args: Map<String, Value>,
        /// How it ended.
        ended: CallOutcome,
        /// When, in milliseconds since the start.
        done_ms: Option<u64>,
    },
    /// The host observed something.
    HostEvent {
        /// What sort of thing: `message`, `interrupt`, `passthrough`, `descriptor`, `fatal`, `log`, or a newer one.
        kind: String,
        /// What exactly.
        event: Value,
        /// The session key of a message; `Null` when none could be built, absent for other kinds.
        session_key: Option<Value>,
    },
    /// A remark.
    Note(String),
    /// A kind of line that this version does not know; all its fields are in [`Line::rest`].
    Other(String),
}

/// The payload of one WebSocket message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// Of a text message.
    Text(String),
    /// Of a binary message, which is the same byte stream (W-1).
    Binary(Vec<u8>),
}

impl LineContent {
    /// The host's call and its arguments, where it is one.
    pub fn host_call(&self) -> Option<(&str, &Map<String, Value>)> {
        if let LineContent::HostCall { call, args, .. } = self { Some((call, args)) } else { None }
    }

    /// What the host observed and the session key beside it, where it is something of that `kind`.
    pub fn host_event(&self, wanted: &str) -> Option<(&Value, Option<&Value>)> {
        let LineContent::HostEvent { kind, event, session_key } = self else { return None };
        (kind == wanted).then_some((event, session_key.as_ref()))
    }
}

impl Data {
    /// The bytes, whichever it was.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::Text(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }
}

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The gateway.
    Gateway,
    /// The connector.
    Connector,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Gateway => "gateway",
            Side::Connector => "connector",
        }
    }
}

/// How a host's call ended.
#[derive(Clone, PartialEq, Debug)]
pub enum CallOutcome {
    /// It returned this.
    Result(Value),
    /// It failed with an exception.
    Raised {
        /// Its type.
        kind: String,
        /// Its message.
        message: String,
    },
    /// Nobody wrote it down.
    Unknown,
}
