//! Recorded sessions in version 1 of the project's format. `harness/recordings/README.md` describes each kind of line.
//!
//! Each line is one event. Fields and kinds of lines that a reader does not know are kept and written again, so that a
//! newer recorder's file passes through older tools unchanged.

pub(crate) mod parts;
mod read;
mod write;

pub use read::RecordingError;

use relayline_core::secret::Secret;
use relayline_core::upgrade::Refusal;
use serde_json::{Map, Value};
use std::time::Duration;

/// Version of the format that is read and written.
pub const VERSION: u64 = 1;

/// A recorded session.
#[derive(Clone, PartialEq, Debug)]
pub struct Recording {
    /// Name of the file as the caller gave it. Error messages contain it.
    pub file: String,
    /// The first line.
    pub header: Header,
    /// All other lines, ordered by time.
    pub lines: Vec<RecordedLine>,
}

impl Recording {
    /// Returns the session's name: the file name without folders and extension.
    pub fn name(&self) -> &str {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file);
        name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".har")).unwrap_or(name)
    }
}

/// The first line: source of the recording, and settings of the gateway.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Header {
    /// Subject of the session, in one line.
    pub title: String,
    /// Source of the recording: the gateway and its version.
    pub recorded_from: String,
    /// A note; may be empty.
    pub note: String,
    /// Settings of the gateway, as far as they are known.
    pub gateway: Gateway,
    /// Further fields, unchanged.
    pub rest: Map<String, Value>,
}

/// Settings of the gateway. Unknown ones are absent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Gateway {
    /// Interface that the recorded host used: `adapter` or `transport`. Absent if only the wire was recorded.
    pub layer: Option<String>,
    /// Platform of its first identity.
    pub platform: Option<String>,
    /// Bot id on that platform; may be empty.
    pub bot_id: Option<String>,
    /// Platform and bot id of each identity, if one socket fronts several.
    pub identities: Vec<(String, String)>,
    /// Timeout of a dial, and then of its handshake.
    pub connect_timeout: Option<Duration>,
    /// Timeout of a request.
    pub outbound_timeout: Option<Duration>,
    /// Id of the gateway, if its dials were authenticated.
    pub gateway_id: Option<String>,
    /// Secret that it shared with the connector. It is written to the file in plain text, so never set the secret of a
    /// real session. Without it dials are replayed, and their tokens are not compared.
    pub upgrade_secret: Option<Secret>,
    /// Time at which the clock was fixed, in Unix seconds.
    pub clock_unix_s: Option<u64>,
    /// True if the gateway dialed again after a lost connection.
    pub reconnect: Option<bool>,
    /// First wait before a further dial.
    pub reconnect_backoff: Option<Duration>,
    /// Longest wait before a further dial.
    pub reconnect_max_backoff: Option<Duration>,
    /// Further settings, unchanged.
    pub rest: Map<String, Value>,
}

/// A line of a recording.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordedLine {
    /// Number of the line in its file, counted from 1. The header is line 1.
    pub number: usize,
    /// Time in milliseconds since the start, never less than that of the line before.
    pub t_ms: u64,
    /// Content of the line.
    pub what: LineContent,
    /// Further fields, unchanged.
    pub rest: Map<String, Value>,
}

/// Field of a message's line with the number of its dial. Absent for the newest dial.
pub(crate) const DIAL: &str = "dial";
/// HTTP response that refused an upgrade, as far as the gateway's behavior depends on it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rejection {
    /// HTTP status.
    pub status: u16,
    /// Body, if it was recorded. The body of a 401 may contain `expired`.
    pub body: Option<String>,
    /// True if the body is not complete.
    pub is_cut: bool,
    /// True if the response has a `WWW-Authenticate` header.
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

    /// Returns the rejection in the form that the core evaluates.
    pub fn refusal(&self) -> Refusal<'_> {
        let mut refusal = Refusal::new(self.status, self.body.as_deref().unwrap_or_default().as_bytes());
        (refusal.is_whole, refusal.has_challenge) = (!self.is_cut, self.has_challenge);
        refusal.retry_after = self.retry_after.as_deref();
        refusal.location = self.location.as_deref();
        refusal
    }
}

/// Kind of the line that stands in place of lost lines.
pub(crate) const GAP: &str = "gap";
/// Field of a `connect` line with the id of its gateway, in a file with several gateways.
pub(crate) const GATEWAY_ID: &str = "gateway_id";

impl RecordedLine {
    /// Returns the number of the dial that the line names; `None` for the newest dial, and for lines without a dial.
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

    /// Returns the number of lines that the recorder lost here, for example because its disk was full. `None` if the
    /// line is not a gap.
    pub fn gap(&self) -> Option<u64> {
        let LineContent::Other(kind) = &self.what else {
            return None;
        };
        (kind == GAP).then(|| self.rest.get("lines").and_then(Value::as_u64).unwrap_or(0))
    }
}

/// Content of a recorded line.
#[derive(Clone, PartialEq, Debug)]
pub enum LineContent {
    /// A WebSocket upgrade request.
    Connect {
        /// Requested path.
        url_path: String,
        /// Number of the dial, counted from 1, in a session with several.
        dial: Option<u32>,
        /// The `Authorization` header, if present.
        authorization: Option<Secret>,
        /// Other headers.
        headers: Map<String, Value>,
        /// Time to which the fixed clock was moved, in Unix seconds.
        clock_unix_s: Option<u64>,
    },
    /// A response to the upgrade other than 101.
    Reject {
        /// Number of the dial. Default: the newest.
        dial: Option<u32>,
        /// The response.
        answer: Rejection,
    },
    /// A WebSocket message of the gateway.
    Gateway(Data),
    /// A WebSocket message of the connector: several frames, or a part of one.
    Connector(Data),
    /// A close frame.
    Close {
        /// Side that sent it.
        by: Side,
        /// Number of the dial. Default: the newest.
        dial: Option<u32>,
        /// Close code; absent if there was none.
        code: Option<u16>,
        /// Close reason; may be empty.
        reason: String,
    },
    /// The end of a TCP connection without a close frame.
    Drop {
        /// Side that ended it.
        by: Side,
        /// Number of the dial. Default: the newest.
        dial: Option<u32>,
    },
    /// A call of the host. The line's time is the start of the call.
    HostCall {
        /// Name of the call.
        call: String,
        /// Arguments of the call.
        args: Map<String, Value>,
        /// Outcome of the call.
        ended: CallOutcome,
        /// End of the call, in milliseconds since the start.
        done_ms: Option<u64>,
    },
    /// An event that the host observed.
    HostEvent {
        /// Kind of event: `message`, `interrupt`, `passthrough`, `descriptor`, `fatal`, `log`, or a newer one.
        kind: String,
        /// Value of the event.
        event: Value,
        /// Session key of a message; `Null` if none could be built, absent for other kinds.
        session_key: Option<Value>,
    },
    /// A note.
    Note(String),
    /// A kind of line that this version does not know. Its fields are in [`RecordedLine::rest`].
    Other(String),
}

/// Payload of a WebSocket message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// Payload of a text message.
    Text(String),
    /// Payload of a binary message. It belongs to the same byte stream.
    Binary(Vec<u8>),
}

impl LineContent {
    /// Returns the host's call and its arguments, if this is a call.
    pub fn host_call(&self) -> Option<(&str, &Map<String, Value>)> {
        if let LineContent::HostCall { call, args, .. } = self { Some((call, args)) } else { None }
    }

    /// Returns the host's event and its session key, if this is an event of that kind.
    pub fn host_event(&self, wanted: &str) -> Option<(&Value, Option<&Value>)> {
        let LineContent::HostEvent { kind, event, session_key } = self else { return None };
        (kind == wanted).then_some((event, session_key.as_ref()))
    }
}

impl Data {
    /// Returns the payload's bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Data::Text(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }
}

/// One end of a connection.
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

/// Outcome of a host's call.
#[derive(Clone, PartialEq, Debug)]
pub enum CallOutcome {
    /// The call returned this value.
    Result(Value),
    /// The call raised an exception.
    Raised {
        /// Type of the exception.
        kind: String,
        /// Message of the exception.
        message: String,
    },
    /// The outcome was not recorded.
    Unknown,
}
