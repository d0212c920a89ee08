//! What a machine puts out: actions for the driver, deliveries and notices for the host, transmits for the socket.

use crate::command::{Failure, Reply, RequestId};
use crate::descriptor::Descriptor;
use crate::event::Event;
use crate::passthrough::Forward;
use crate::secret::Secret;
use crate::webhook::WebhookResponse;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One dial. What an older dial still says is ignored (L-6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Conn(pub(crate) u32);

impl Conn {
    /// The dial's number; the first is 1.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What the driver must do. Exhaustive on purpose: a driver that skips one breaks the protocol.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Dial: DNS, TCP, TLS and the upgrade of the configured URL. Answer with `Opened` or `DialFailed`.
    Dial {
        /// The new dial's name.
        conn: Conn,
        /// The bearer token minted for this dial, `None` when dials are unauthenticated (L-2).
        token: Option<Secret>,
    },
    /// Let go of a dial or socket at once; nothing that it says counts any more.
    Drop {
        /// Which.
        conn: Conn,
    },
    /// A request has completed.
    Complete {
        /// Which.
        id: RequestId,
        /// How.
        result: Result<Reply, Failure>,
    },
    /// Stop the turn of exactly this session (L-16). It overtakes deliveries.
    Interrupt {
        /// The session.
        session_key: String,
        /// The chat, where the connector said; may be empty.
        chat_id: String,
    },
    /// An HTTP request that waited has its answer: exactly one each (H-6). Where its client is gone meanwhile, there
    /// is nothing to do.
    Respond {
        /// Which.
        id: HttpId,
        /// The answer.
        answer: WebhookResponse,
    },
    /// Something that the host would otherwise have to guess.
    Notify(Notice),
    /// It is over for good: once, and last (L-10).
    Fatal(Fatal),
}

impl Action {
    /// Bytes that it keeps alive of what a peer said, for the bounds of queues.
    pub(crate) fn weight(&self) -> usize {
        let own = match self {
            Action::Complete { result, .. } => result.as_ref().map_or_else(Failure::weight, Reply::weight),
            Action::Interrupt { session_key, chat_id } => session_key.len() + chat_id.len(),
            Action::Notify(notice) => notice.weight(),
            Action::Dial { .. } | Action::Drop { .. } | Action::Respond { .. } | Action::Fatal(_) => 0,
        };
        size_of::<Action>() + own
    }
}

/// What the host is told.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A handshake is complete (D-8). It is served until told otherwise.
    Connected {
        /// The default descriptor.
        descriptor: Arc<Descriptor>,
        /// The fields that differ from the last connection's default; empty on the first (D-10).
        changed: Vec<Cow<'static, str>>,
    },
    /// A further identity's descriptor came.
    Platform {
        /// It.
        descriptor: Arc<Descriptor>,
        /// The fields that differ from that platform's descriptor on the last connection (D-10).
        changed: Vec<Cow<'static, str>>,
    },
    /// A connection ended, or a dial failed; once each.
    Disconnected {
        /// The close code, where there was one (L-18).
        code: Option<u16>,
        /// Why; never empty.
        reason: String,
        /// When the next dial comes; `None` when there is none.
        retry_in: Option<Duration>,
    },
    /// The connection was closed after the connector confirmed idleness; it dials again (L-13).
    Dormant {
        /// When.
        retry_in: Duration,
    },
    /// The host resumed: a dial is under way, or about to be (L-12, L-13).
    Resumed,
    /// The disconnect that the host asked for is complete (L-14). The last notice.
    Stopped,
    /// Somebody answered a prompt of this process that is not open any more (I-3).
    StalePrompt {
        /// The answer: [`Event::prompt_response`] says which and what.
        answer: Box<Event>,
    },
    /// The connector sent a frame of type `error`.
    ConnectorError {
        /// Its text, at most 300 characters, control characters escaped.
        text: String,
    },
    /// The connector sent a frame of a type that the gateway does not know, and the configuration asks for those
    /// (`unknown_frames`, X-5).
    UnknownFrame {
        /// Its type.
        kind: String,
        /// The whole frame on one line, repaired as [`Event::raw`] is.
        raw: Box<str>,
    },
    /// Something came that no host can be given (A-3, A-9, W-5).
    DeadLetter {
        /// What is wrong with it, and what can be done.
        reason: String,
        /// The entry of the connector's buffer, now acknowledged.
        buffer_id: Option<String>,
        /// The first 64 KiB of the line, with U+FFFD for bytes that are not UTF-8.
        line: String,
    },
}

impl Notice {
    /// Bytes that it keeps alive of what a peer said. A descriptor counts: the machine shares it only until the next
    /// connection has another.
    pub fn weight(&self) -> usize {
        match self {
            Notice::Connected { descriptor, changed } | Notice::Platform { descriptor, changed } => {
                let names = changed.iter().map(|name| size_of_val(name) + name.len());
                descriptor.weight() + names.sum::<usize>()
            }
            Notice::Disconnected { reason, .. } => reason.len(),
            Notice::ConnectorError { text } => text.len(),
            Notice::UnknownFrame { kind, raw } => kind.len() + raw.len(),
            Notice::StalePrompt { answer } => answer.weight(),
            Notice::DeadLetter { reason, buffer_id, line } => {
                reason.len() + buffer_id.as_ref().map_or(0, String::len) + line.len()
            }
            Notice::Dormant { .. } | Notice::Resumed | Notice::Stopped => 0,
        }
    }
}

/// Why it is over for good (L-10).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fatal {
    /// `relay_disabled`.
    pub code: &'static str,
    /// What to do.
    pub message: &'static str,
    /// Whether trying again could help: never.
    pub retryable: bool,
}

/// The only fatal end there is: the connector revoked this gateway (L-10).
pub const RELAY_DISABLED: Fatal = Fatal {
    code: "relay_disabled",
    message: "the connector has revoked this gateway's credentials: recreate the instance to enable the relay again",
    retryable: false,
};

/// What to write on a socket. Returned means written (O-3): call for one only when its socket can take a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transmit {
    /// One text message; its bytes are in the buffer that was given.
    Frame {
        /// On which socket.
        conn: Conn,
    },
    /// A WebSocket ping with an empty payload.
    Ping {
        /// On which socket.
        conn: Conn,
    },
    /// A close frame. Nothing is written after it.
    Close {
        /// On which socket.
        conn: Conn,
        /// The code; 1000.
        code: u16,
        /// The reason, for people.
        reason: &'static str,
    },
}

/// The number of an HTTP request that waits for its answer; the first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HttpId(pub(crate) u64);

impl HttpId {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The number of a delivery; the first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryId(pub(crate) u64);

impl DeliveryId {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The delivery of that number. One that was never handed out names nothing: settling it does nothing.
    pub fn from_number(number: u64) -> Self {
        DeliveryId(number)
    }
}

/// Something for the host. It settles each delivery once, as [`Outcome`].
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// Whether it came from the connector's buffer, and so is acknowledged once it is taken.
    pub buffered: bool,
    /// What came.
    pub content: Content,
}

/// What a delivery holds.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Content {
    /// A message.
    Message(Box<Event>),
    /// An answer to a prompt of this process that is open: [`Event::prompt_response`] says which and what. Who
    /// answered is the event's source (I-4).
    PromptAnswer(Box<Event>),
    /// A platform's request that became no event, for hosts that ask for them (P-2).
    Forward(Forward),
}

impl Content {
    /// Returns the JSON that the content came as, if the configuration asks for it.
    pub fn raw(&self) -> Option<&str> {
        match self {
            Content::Message(event) | Content::PromptAnswer(event) => event.raw.as_deref(),
            Content::Forward(forward) => forward.raw(),
        }
    }

    /// Returns the bytes that it keeps alive, for the bounds of queues.
    pub fn weight(&self) -> usize {
        match self {
            Content::Message(event) | Content::PromptAnswer(event) => event.weight(),
            Content::Forward(forward) => forward.weight(),
        }
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The host has it durably: it is acknowledged, and never comes again.
    Taken,
    /// The host could not take it: a buffered one comes again, and so does one that came over HTTP, if its
    /// sender tries again.
    Refused,
}

/// Where the connection is, for a status page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Between dials.
    Waiting,
    /// A dial is under way.
    Dialing,
    /// Upgraded; the first descriptor has not come yet.
    Handshaking,
    /// Served.
    Connected,
    /// Connected, but the connector buffers instead of delivering (L-12).
    Idle,
    /// Our close frame is out; the peer's is awaited.
    Closing,
    /// Disconnected as the host asked; for good.
    Stopped,
    /// Revoked; for good (L-10).
    Revoked,
}

impl Phase {
    /// The phase's name, as status pages and traces print it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Dialing => "dialing",
            Phase::Handshaking => "handshaking",
            Phase::Connected => "connected",
            Phase::Idle => "idle",
            Phase::Closing => "closing",
            Phase::Stopped => "stopped",
            Phase::Revoked => "revoked",
        }
    }
}

/// Why a machine wants to be ticked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The next dial is due (L-5).
    Redial,
    /// The dial takes too long (L-4).
    Dial,
    /// The handshake takes too long (L-4).
    Handshake,
    /// The peer's close frame takes too long (L-4).
    Close,
    /// A ping is due (L-11).
    Ping,
    /// The silence has lasted too long (L-11).
    Silence,
    /// A request has waited too long (O-4).
    Request,
    /// The next state of a streamed reply may be shown.
    Stream,
    /// A turn's next typing sign is due, or it has lasted too long (O-15).
    Turn,
    /// Going idle is not confirmed (L-12).
    Idle,
    /// A step of the disconnect is due (L-14).
    Disconnect,
    /// A webhook request has waited too long for the host (H-6).
    Webhook,
}
