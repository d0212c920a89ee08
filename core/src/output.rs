//! Outputs of a machine: actions for the driver, deliveries and notices for the host, transmits for the socket.

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

/// Number of a dial and of its socket. Inputs of an older dial are ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Conn(pub(crate) u32);

impl Conn {
    /// Returns the number. The first dial is 1.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Action for the driver. The enum is exhaustive because a driver that skips an action breaks the protocol.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Dial the configured URL: DNS, TCP, TLS and the upgrade. Answer with
    /// [`Opened`](crate::machine::IoEvent::Opened) or [`DialFailed`](crate::machine::IoEvent::DialFailed).
    Dial {
        /// Number of the new dial.
        conn: Conn,
        /// Bearer token for this dial; `None` if dials are unauthenticated.
        token: Option<Secret>,
    },
    /// Drop a dial or socket immediately. Its later inputs are ignored.
    Drop {
        /// The dial or socket.
        conn: Conn,
    },
    /// A request completed.
    Complete {
        /// The request.
        id: RequestId,
        /// Its result.
        result: Result<Reply, Failure>,
    },
    /// Stop the turn of this session. Interrupts overtake deliveries.
    Interrupt {
        /// Key of the session.
        session_key: String,
        /// Id of the chat; empty if the connector did not send it.
        chat_id: String,
    },
    /// Respond to a pending webhook request. Each request gets exactly one response. There is nothing to do if its
    /// client has disconnected.
    Respond {
        /// The request.
        id: HttpId,
        /// Response to send.
        answer: WebhookResponse,
    },
    /// A status change for the host.
    Notify(Notice),
    /// The relay ended for good. Emitted once, as the last action.
    Fatal(Fatal),
}

impl Action {
    /// Returns the number of bytes that a peer sent and the action keeps alive. Queues are bounded by it.
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

/// Status change that the host is notified of.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The handshake completed.
    Connected {
        /// Descriptor of the default platform.
        descriptor: Arc<Descriptor>,
        /// Fields that differ from the default descriptor of the last connection; empty on the first connection.
        changed: Vec<Cow<'static, str>>,
    },
    /// The descriptor of a further platform arrived.
    Platform {
        /// Descriptor of that platform.
        descriptor: Arc<Descriptor>,
        /// Fields that differ from that platform's descriptor on the last connection.
        changed: Vec<Cow<'static, str>>,
    },
    /// A connection ended or a dial failed. Emitted once for each dial.
    Disconnected {
        /// Close code, if the peer sent one.
        code: Option<u16>,
        /// Reason; never empty.
        reason: String,
        /// Time until the next dial; `None` if there is no further dial, or if the host holds dials without a bound.
        retry_in: Option<Duration>,
    },
    /// The connection was closed after the connector confirmed that it buffers. A dial follows.
    Dormant {
        /// Time until the next dial; `None` if the host holds dials without a bound, until it resumes.
        retry_in: Option<Duration>,
    },
    /// The host resumed. A dial is under way or follows immediately.
    Resumed,
    /// The disconnect that the host asked for is complete. This is the last notice.
    Stopped,
    /// A user answered a prompt of this process that is no longer open.
    StalePrompt {
        /// Event of the answer. [`Event::prompt_response`] has the prompt and the choice.
        answer: Box<Event>,
    },
    /// A user answered an open prompt who may not: it is still open.
    UnauthorizedAnswer {
        /// Event of the answer. [`Event::prompt_response`] has the prompt and the choice.
        answer: Box<Event>,
    },
    /// The connector sent a frame of type `error`.
    ConnectorError {
        /// Text of the error: at most 300 characters, with control characters escaped.
        text: String,
    },
    /// The connector sent a frame of an unknown type or of type `error`, and
    /// [`Config::unknown_frames`](crate::config::Config::unknown_frames) is set.
    UnknownFrame {
        /// Type of the frame.
        kind: String,
        /// The whole frame as one line of JSON, repaired as in [`Event::raw`].
        raw: Box<str>,
    },
    /// Something arrived that cannot be delivered to a host.
    DeadLetter {
        /// Description of the problem, and of what can be done.
        reason: String,
        /// Entry of the connector's buffer. It is acknowledged now.
        buffer_id: Option<String>,
        /// First 64 KiB of the line. Bytes that are not UTF-8 are replaced by U+FFFD.
        line: String,
    },
}

impl Notice {
    /// Returns the number of bytes that a peer sent and the notice keeps alive.
    ///
    /// A descriptor counts, since the machine shares it only until the next connection has another.
    pub fn weight(&self) -> usize {
        match self {
            Notice::Connected { descriptor, changed } | Notice::Platform { descriptor, changed } => {
                let names = changed.iter().map(|name| size_of_val(name) + name.len());
                descriptor.weight() + names.sum::<usize>()
            }
            Notice::Disconnected { reason, .. } => reason.len(),
            Notice::ConnectorError { text } => text.len(),
            Notice::UnknownFrame { kind, raw } => kind.len() + raw.len(),
            Notice::StalePrompt { answer } | Notice::UnauthorizedAnswer { answer } => answer.weight(),
            Notice::DeadLetter { reason, buffer_id, line } => {
                reason.len() + buffer_id.as_ref().map_or(0, String::len) + line.len()
            }
            Notice::Dormant { .. } | Notice::Resumed | Notice::Stopped => 0,
        }
    }
}

/// Error that ends a relay for good.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct Fatal {
    /// Error code: `relay_disabled`.
    pub code: &'static str,
    /// Message for the operator.
    pub message: &'static str,
    /// Always false: retrying does not help.
    pub retryable: bool,
}

/// The only fatal error: the connector revoked the credentials of this gateway.
pub const RELAY_DISABLED: Fatal = Fatal {
    code: "relay_disabled",
    message: "the connector has revoked this gateway's credentials: recreate the instance to enable the relay again",
    retryable: false,
};

/// Message to write to a socket. A returned message counts as written, so poll only when the socket accepts a
/// message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transmit {
    /// A text message. Its bytes are in the buffer that was passed in.
    Frame {
        /// Socket to write to.
        conn: Conn,
    },
    /// A WebSocket ping with an empty payload.
    Ping {
        /// Socket to write to.
        conn: Conn,
    },
    /// A close frame. It is the last message on its socket.
    Close {
        /// Socket to write to.
        conn: Conn,
        /// Close code: 1000.
        code: u16,
        /// Human-readable reason.
        reason: &'static str,
    },
}

/// Number of a pending webhook request. The first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HttpId(pub(crate) u64);

impl HttpId {
    /// Returns the number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Number of a delivery. The first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryId(pub(crate) u64);

impl DeliveryId {
    /// Returns the number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Creates the id of this number. Settling a delivery that was never handed out does nothing.
    pub fn from_number(number: u64) -> Self {
        DeliveryId(number)
    }
}

/// An item for the host. The host settles each delivery once, with an [`Outcome`].
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// Number of the delivery.
    pub id: DeliveryId,
    /// True if the delivery came from the connector's buffer. It is acknowledged once the host accepts it.
    pub buffered: bool,
    /// Content of the delivery.
    pub content: Content,
}

/// Content of a delivery.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Content {
    /// A message.
    Message(Box<Event>),
    /// An answer to an open prompt of this process. [`Event::prompt_response`] has the prompt and the choice, and
    /// [`Event::source`] the user who answered.
    PromptAnswer(Box<Event>),
    /// A platform's request that cannot be converted into an event. Delivered only if
    /// [`Config::passthrough`](crate::config::Config::passthrough) is set.
    Forward(Box<Forward>),
}

impl Content {
    /// Returns the JSON that the content was received as, if
    /// [`Config::raw_events`](crate::config::Config::raw_events) is set.
    pub fn raw(&self) -> Option<&str> {
        match self {
            Content::Message(event) | Content::PromptAnswer(event) => event.raw.as_deref(),
            Content::Forward(forward) => forward.raw(),
        }
    }

    /// Returns the number of bytes that the content keeps alive. Queues are bounded by it.
    pub fn weight(&self) -> usize {
        match self {
            Content::Message(event) | Content::PromptAnswer(event) => event.weight(),
            Content::Forward(forward) => forward.weight(),
        }
    }
}

/// Outcome of a delivery, reported by the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The host has stored the delivery durably. It is acknowledged and not redelivered.
    Accepted,
    /// The host did not accept the delivery. A buffered delivery is redelivered, and a webhook's sender may retry.
    Refused,
}

/// Phase of the connection, for status pages. The enum is exhaustive because the lifecycle is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Waits for the next dial.
    Waiting,
    /// A dial is under way.
    Dialing,
    /// Upgraded; waits for the first descriptor.
    Handshaking,
    /// The handshake is complete, and the connector delivers.
    Connected,
    /// Connected; the connector buffers instead of delivering.
    Idle,
    /// The close frame is written; waits for the peer's.
    Closing,
    /// Disconnected for good, as the host asked.
    Stopped,
    /// Revoked for good.
    Revoked,
}

impl Phase {
    /// All phases.
    pub const ALL: [Phase; 8] = [
        Phase::Waiting,
        Phase::Dialing,
        Phase::Handshaking,
        Phase::Connected,
        Phase::Idle,
        Phase::Closing,
        Phase::Stopped,
        Phase::Revoked,
    ];

    /// Returns the name of the phase in status pages and traces.
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

/// Timer of a machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// The next dial is due.
    Redial,
    /// The dial timed out.
    Dial,
    /// The handshake timed out.
    Handshake,
    /// The peer's close frame timed out.
    Close,
    /// A ping is due.
    Ping,
    /// The peer was silent for too long.
    Silence,
    /// A request timed out.
    Request,
    /// The next state of a streamed reply is due.
    Stream,
    /// The next typing sign of a turn is due, or a turn timed out.
    Turn,
    /// The confirmation of `going_idle` timed out.
    Idle,
    /// A step of the disconnect is due.
    Disconnect,
    /// A webhook request timed out.
    Webhook,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weight bounds the actions that the driver does not poll.
    #[test]
    fn x_1_an_actions_weight_includes_the_peers_texts() {
        let text = |length: usize| "x".repeat(length);
        let disconnected =
            Notice::Disconnected { code: Some(1000), reason: text(30), retry_in: Some(Duration::ZERO) };
        let dead = |buffer_id| Notice::DeadLetter { reason: text(3), buffer_id, line: text(500) };
        for (notice, weight) in [
            (Notice::Resumed, 0),
            (disconnected, 30),
            (Notice::ConnectorError { text: text(30) }, 30),
            (Notice::UnknownFrame { kind: text(3), raw: text(40).into() }, 43),
            (dead(None), 503),
            (dead(Some(text(40))), 543),
        ] {
            assert_eq!(notice.weight(), weight, "{notice:?}");
            assert_eq!(Action::Notify(notice).weight(), size_of::<Action>() + weight);
        }
        let interrupt = Action::Interrupt { session_key: text(3), chat_id: text(40) };
        assert_eq!(interrupt.weight(), size_of::<Action>() + 43);
    }

    #[test]
    fn x_1_a_notices_weight_includes_its_descriptor() {
        let raw = r#"{"contract_version":1,"platform":"p","label":"P","max_message_length":10,"supports_draft_streaming":true,"supports_edit":true,"supports_threads":false,"markdown_dialect":"","len_unit":"chars"}"#;
        let descriptor = Arc::new(Descriptor::read(raw).unwrap());
        let weight = |changed: Vec<Cow<'static, str>>| {
            Notice::Connected { descriptor: descriptor.clone(), changed }.weight()
        };
        assert_eq!(weight(Vec::new()), descriptor.weight());
        let changed = vec![Cow::Owned("x".repeat(1000)), Cow::Borrowed("label")];
        assert_eq!(weight(changed), descriptor.weight() + 1005 + 2 * size_of::<Cow<'static, str>>());
    }

    /// Status pages and metrics show the names.
    #[test]
    fn each_phase_has_its_own_name() {
        let names = Phase::ALL.map(|phase| (phase.name(), format!("{phase:?}").to_lowercase()));
        assert!(names.iter().all(|(name, variant)| name == variant), "{names:?}");
    }
}
