//! Observations of a connector, which its host polls and its bridge writes as lines, and their queue.

use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;

/// An observation of a connector. It serializes as a line of its bridge, with the field `saw` first.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Observation {
    /// The connector accepts connections.
    Listening {
        /// URL for the gateway's configuration, such as `ws://127.0.0.1:49152`.
        url: String,
    },
    /// A gateway's state was restored from the state file. Observed only at the start, and only for gateways with
    /// state to report.
    Restored {
        /// Id of the gateway.
        gateway: String,
        /// Number of entries in its buffer.
        buffered: usize,
        /// True if its dials are refused.
        revoked: bool,
        /// True if its idleness was confirmed and no handshake has followed.
        idle: bool,
    },
    /// An entry was added to a buffer and is on the disk. Observed only with a state file.
    Buffered {
        /// Id of the gateway.
        gateway: String,
        /// `bufferId` of the entry.
        buffer_id: String,
    },
    /// A gateway dialed.
    Dial {
        /// Id of the gateway; empty if it is not known.
        gateway: String,
        /// Number of the dial, counted over all gateways from 1. Refused dials count.
        dial: u64,
        /// True if its token is valid.
        authenticated: bool,
        /// HTTP status of the refusal. Left out if the upgrade was accepted, even if the connection is closed at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Reason of the refusal: the `error` of the response, or the close reason.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    },
    /// A gateway sent a frame.
    Frame {
        /// Id of the gateway.
        gateway: String,
        /// Number of the dial that opened the connection.
        dial: u64,
        /// The whole frame.
        frame: Value,
    },
    /// A request of a gateway got its result, which may be sent later. Observed only with
    /// [`ConnectorConfig::observes_output`](super::ConnectorConfig::observes_output).
    Answered {
        /// Id of the gateway.
        gateway: String,
        /// Number of the dial that opened the connection.
        dial: u64,
        /// `requestId` of the request.
        request_id: String,
        /// The result.
        result: Value,
    },
    /// A frame was queued for a gateway. Observed only with
    /// [`ConnectorConfig::observes_output`](super::ConnectorConfig::observes_output).
    Sent {
        /// Id of the gateway.
        gateway: String,
        /// Number of the dial that opened the connection.
        dial: u64,
        /// The whole frame; a text if it is not JSON.
        frame: Value,
    },
    /// An HTTP request, a signed webhook request or a wake-up was answered.
    Http {
        /// Id of the gateway; empty if it is not known.
        gateway: String,
        /// Sender of the request.
        by: AskedBy,
        /// Method of the request.
        method: String,
        /// Path of the request, without a query.
        path: String,
        /// Status of the response; null if a webhook request got none.
        status: Option<u16>,
        /// `error` of the response, or the reason why there is no response.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Body of the request, with secrets replaced by `<hidden>`. The body of a file is replaced by its description.
        /// Left out if the request was refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<Value>,
        /// Body of the response, with secrets replaced by `<hidden>`.
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<Value>,
    },
    /// A buffered entry was sent and not acknowledged within
    /// [`ConnectorConfig::unacked_after`](super::ConnectorConfig::unacked_after). The entries after it wait. Observed
    /// once per entry.
    Unacked {
        /// Id of the gateway.
        gateway: String,
        /// Number of the dial that opened the connection.
        dial: u64,
        /// `bufferId` of the entry.
        buffer_id: String,
        /// Type of its frame: `inbound` or `passthrough_forward`.
        #[serde(rename = "type")]
        frame_type: &'static str,
        /// Time since it was sent, in milliseconds.
        for_ms: u64,
    },
    /// A connection ended.
    Closed {
        /// Id of the gateway.
        gateway: String,
        /// Number of the dial that opened the connection.
        dial: u64,
        /// Close code; null if no close frame was sent or received.
        code: Option<u16>,
        /// Close reason.
        reason: String,
        /// Side that ended the connection.
        by: ClosedBy,
    },
}

impl Observation {
    /// Returns true for the observations that only
    /// [`ConnectorConfig::observes_output`](super::ConnectorConfig::observes_output) adds.
    pub fn is_output(&self) -> bool {
        matches!(self, Observation::Answered { .. } | Observation::Sent { .. })
    }
}

/// Side that ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum ClosedBy {
    /// The gateway, with a close frame.
    #[serde(rename = "gateway")]
    Gateway,
    /// This connector.
    #[serde(rename = "connector")]
    Connector,
    /// Neither side: the connection was lost without a close frame.
    #[serde(rename = "peer lost")]
    PeerLost,
}

/// Sender of an HTTP request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum AskedBy {
    /// The gateway, or another client of this connector.
    Gateway,
    /// This connector, with a signed webhook request or a wake-up.
    Connector,
}

/// Queue of the observations that the host has not polled. At a bound the oldest are dropped, and counted.
#[derive(Debug)]
pub(crate) struct ObservationQueue {
    /// Observations with their weights, the oldest first.
    queue: VecDeque<(usize, Observation)>,
    /// Weight of all observations.
    bytes: usize,
    /// Maximum number of observations.
    max: usize,
    /// Maximum weight of all observations.
    max_bytes: usize,
    /// Number of dropped observations.
    lost: u64,
}

impl ObservationQueue {
    /// Creates an empty queue for at most `max` observations that weigh at most `max_bytes`.
    pub(crate) fn new(max: usize, max_bytes: usize) -> Self {
        ObservationQueue { queue: VecDeque::new(), bytes: 0, max, max_bytes, lost: 0 }
    }

    /// Adds an observation. `weight` is the number of bytes on the wire that it holds.
    pub(crate) fn push(&mut self, weight: usize, observation: Observation) {
        self.queue.push_back((weight, observation));
        self.bytes += weight;
        while self.queue.len() > self.max || self.bytes > self.max_bytes {
            if self.pop().is_none() {
                break;
            }
            self.lost += 1;
        }
    }

    /// Takes the oldest observation.
    pub(crate) fn pop(&mut self) -> Option<Observation> {
        let (weight, observation) = self.queue.pop_front()?;
        self.bytes -= weight;
        Some(observation)
    }

    /// Returns the number of dropped observations.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}
