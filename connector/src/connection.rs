//! One connection of a gateway, from its upgrade to its end.

use relayline_core::line::LineSplitter;
use relayline_core::time::Time;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// State of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Upgraded; no `hello` is answered yet.
    Open,
    /// Handshake done: deliveries flow.
    Live,
    /// Its `going_idle` was acknowledged: nothing is delivered until the next handshake (L-12).
    Idle,
    /// The connector ends it; further input is ignored.
    Ending,
}

/// Output of a connection.
#[derive(Debug)]
pub(crate) enum Output {
    Frame(Vec<u8>),
    Close { code: u16, reason: String },
    Drop,
}

/// A connection, with its output.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) gateway: String,
    pub(crate) dial: u64,
    pub(crate) phase: Phase,
    pub(crate) splitter: LineSplitter,
    /// Entries in flight on this connection: `bufferId` and the time at which each was sent.
    pub(crate) in_flight: BTreeMap<String, Time>,
    /// Platform of the first `hello`: untagged requests are for it (D-8).
    pub(crate) default_platform: Option<String>,
    /// Descriptors sent on this connection, by platform; requests are checked against them.
    pub(crate) descriptors: BTreeMap<String, Map<String, Value>>,
    /// `botId` of its hellos, by platform.
    pub(crate) bot_ids: BTreeMap<String, String>,
    /// True if nothing more is read or written, as if the network had lost the connection.
    pub(crate) is_half_open: bool,
    queue: VecDeque<Output>,
    queued_bytes: usize,
}

impl Connection {
    pub(crate) fn new(gateway: String, dial: u64, max_line_bytes: usize) -> Self {
        Connection {
            gateway,
            dial,
            phase: Phase::Open,
            splitter: LineSplitter::new(max_line_bytes),
            in_flight: BTreeMap::new(),
            default_platform: None,
            descriptors: BTreeMap::new(),
            bot_ids: BTreeMap::new(),
            is_half_open: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
        }
    }

    /// Returns true if a frame of this length can be queued. A single frame always fits into an empty queue: otherwise
    /// a large entry could never be sent.
    pub(crate) fn has_room(&self, length: usize, max_bytes: usize) -> bool {
        self.queue.is_empty() || self.queued_bytes.saturating_add(length) <= max_bytes
    }

    /// Queues a frame. Returns false if `max_bytes` are already queued, because the gateway does not read.
    pub(crate) fn queue_frame(&mut self, line: Vec<u8>, max_bytes: usize) -> bool {
        if self.is_half_open {
            return true;
        }
        if !self.has_room(line.len(), max_bytes) {
            return false;
        }
        self.queued_bytes += line.len();
        self.queue.push_back(Output::Frame(line));
        true
    }

    /// Queues the connection's end, after what is queued already.
    pub(crate) fn queue_end(&mut self, end: Output) {
        self.phase = Phase::Ending;
        // A close frame would not arrive either.
        self.queue.push_back(if self.is_half_open { Output::Drop } else { end });
    }

    /// Reads and writes nothing more. What is queued is lost.
    pub(crate) fn lose(&mut self) {
        self.is_half_open = true;
        self.queue.clear();
        self.queued_bytes = 0;
    }

    /// Ends the connection at once, and drops the queued output.
    pub(crate) fn cut(&mut self) {
        self.phase = Phase::Ending;
        self.queue = VecDeque::from([Output::Drop]);
        self.queued_bytes = 0;
    }

    pub(crate) fn next_output(&mut self) -> Option<Output> {
        let output = self.queue.pop_front()?;
        if let Output::Frame(line) = &output {
            self.queued_bytes -= line.len();
        }
        Some(output)
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.queue.is_empty()
    }
}
