//! Values that the machine and its driver exchange.

use bytes::Bytes;
use relayline_control::http::Request;
use std::fmt;

/// Id of a connection, given by the driver. Each id is used once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u32);

/// Output on one connection, returned by [`ConnectorMachine::poll_transmit`](crate::ConnectorMachine::poll_transmit).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transmit {
    /// Send the caller's buffer as one text message.
    Frame {
        /// The connection.
        conn: ConnId,
    },
    /// Send a close frame, wait for the gateway's, then call
    /// [`ConnectorMachine::handle_closed`](crate::ConnectorMachine::handle_closed).
    Close {
        /// The connection.
        conn: ConnId,
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// Cut the connection without a close frame. The machine has forgotten it already.
    Drop {
        /// The connection.
        conn: ConnId,
    },
}

/// File of a chat.
#[derive(Clone, PartialEq, Eq)]
pub struct UserFile {
    /// MIME type.
    pub content_type: String,
    /// File name, if there is one.
    pub name: Option<String>,
    /// Content.
    pub content: Bytes,
}

impl fmt::Debug for UserFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserFile({}, {} bytes)", self.content_type, self.content.len())
    }
}

/// Answer to an upgrade request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Upgrade {
    /// Switch protocols. The machine may close the connection at once: poll the transmits.
    Accept {
        /// Id of the gateway; empty if the connector admits every gateway.
        gateway: String,
    },
    /// Reject the upgrade with this status and this JSON body.
    Refuse {
        /// HTTP status.
        status: u16,
        /// Body, such as `{"error":"unauthorized"}`.
        body: String,
    },
}

/// Request to a gateway: a signed webhook request for its endpoint, or a wake-up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// Number of the request, for [`ConnectorMachine::handle_posted`](crate::ConnectorMachine::handle_posted).
    pub id: u64,
    /// The request. A signed one has a body that must be sent byte for byte.
    pub request: Request,
}

/// Counters of input that was discarded, and of what a bound has cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Lines that are not a frame, or a frame without a required field.
    pub malformed: u64,
    /// Frames of a type that gateways do not send.
    pub unknown: u64,
    /// Lines over [`Limits::max_line_bytes`](crate::Limits::max_line_bytes).
    pub too_long: u64,
    /// Acknowledgements of entries that were not in flight.
    pub stray_acks: u64,
    /// Connections cut because their gateway did not read
    /// [`Limits::write_bytes`](crate::Limits::write_bytes).
    pub cut_slow: u64,
    /// Results sent at once because [`Limits::delayed_results`](crate::Limits::delayed_results) were waiting.
    pub not_delayed: u64,
    /// Observations dropped because they were not polled in time.
    pub lost_observations: u64,
    /// Prompts that cannot be pressed, because newer ones replaced them or their texts are too long.
    pub evicted_prompts: u64,
    /// Files removed before they expired, to make room for newer ones.
    pub evicted_media: u64,
}

impl Stats {
    /// Returns all counters with their names.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Stats {
            malformed,
            unknown,
            too_long,
            stray_acks,
            cut_slow,
            not_delayed,
            lost_observations,
            evicted_prompts,
            evicted_media,
        } = *self;
        [
            ("malformed", malformed),
            ("unknown", unknown),
            ("too_long", too_long),
            ("stray_acks", stray_acks),
            ("cut_slow", cut_slow),
            ("not_delayed", not_delayed),
            ("lost_observations", lost_observations),
            ("evicted_prompts", evicted_prompts),
            ("evicted_media", evicted_media),
        ]
        .into_iter()
    }
}
