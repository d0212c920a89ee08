//! Observations of a connector, as its bridge writes them.

use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;

/// An observation of a connector. It serialises as a line of its bridge, `saw` first.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Observation {
    /// The connector takes connections.
    Listening {
        /// What a gateway is to be configured with: `ws://127.0.0.1:49152`.
        url: String,
    },
    /// A gateway's state was restored from the state file. Only at the start, and only if there is something to tell.
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
    /// An entry was taken into a buffer and is on the disk. Only with a state file.
    Buffered {
        /// Id of the gateway.
        gateway: String,
        /// The entry's `bufferId`.
        buffer_id: String,
    },
    /// A gateway dialled.
    Dial {
        /// Its id; empty when it is not known.
        gateway: String,
        /// Which dial this is, counted over all gateways from 1, refused ones too.
        dial: u64,
        /// Whether it showed a token that is right (C-2).
        authenticated: bool,
        /// The HTTP status it was refused with; left out when it was accepted, be it only to be closed.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// Why it was refused: the `error` of the answer, or the reason of the close.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'static str>,
    },
    /// A gateway sent a frame.
    Frame {
        /// Its id.
        gateway: String,
        /// The dial whose connection it came on.
        dial: u64,
        /// The frame, whole.
        frame: Value,
    },
    /// A request was answered over HTTP, or a signed delivery was.
    Http {
        /// Whose it is; empty when it is not known.
        gateway: String,
        /// Who asked.
        by: AskedBy,
        /// The method.
        method: String,
        /// The path, without a query.
        path: String,
        /// The status of the answer; null when a delivery brought none.
        status: Option<u16>,
        /// The `error` of the answer, or why there was none.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// What was asked for, secrets as `<hidden>` (C-4); of a file what it is. Left out with what was refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<Value>,
        /// What was answered, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<Value>,
    },
    /// A buffered entry was sent and not acknowledged within
    /// [`ConnectorConfig::unacked_after`](super::ConnectorConfig::unacked_after): the drain waits for it. Once per entry.
    Unacked {
        /// Id of the gateway.
        gateway: String,
        /// Number of the dial that opened the connection it was sent on.
        dial: u64,
        /// Its `bufferId`.
        buffer_id: String,
        /// The type of its frame: `inbound` or `passthrough_forward`.
        #[serde(rename = "type")]
        frame_type: &'static str,
        /// Time since it was sent, in milliseconds.
        for_ms: u64,
    },
    /// A connection ended.
    Closed {
        /// Whose it was.
        gateway: String,
        /// The dial that had opened it.
        dial: u64,
        /// The close code; null when no close frame was sent or received.
        code: Option<u16>,
        /// The close reason.
        reason: String,
        /// Who ended it.
        by: ClosedBy,
    },
}

/// Who ended a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ClosedBy {
    /// The gateway, with a close frame.
    #[serde(rename = "gateway")]
    Gateway,
    /// This connector.
    #[serde(rename = "connector")]
    Connector,
    /// Nobody: it broke without a close frame.
    #[serde(rename = "peer lost")]
    PeerLost,
}

/// Who made a request over HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum AskedBy {
    /// The gateway, or whoever else asked this connector.
    Gateway,
    /// This connector: a signed delivery.
    Connector,
}

/// Observations until they are polled. Beyond the bounds the oldest are dropped.
#[derive(Debug)]
pub(crate) struct ObservationQueue {
    queue: VecDeque<(usize, Observation)>,
    bytes: usize,
    max: usize,
    max_bytes: usize,
    lost: u64,
}

impl ObservationQueue {
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
