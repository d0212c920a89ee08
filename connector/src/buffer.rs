//! Durable buffer of a gateway: its deliveries until their `inbound_ack`, in order.

use crate::chats::unix_ms;
use crate::config::Limits;
use crate::frame::DeliveryKind;
use crate::state::EntryState;
use relayline_core::time::Now;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::fmt;

/// Id of an entry, which is written as in `1718900000000-0`. The state file has it as an array of two numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub(crate) struct BufferId {
    /// Time of the entry, in Unix milliseconds.
    unix_ms: u64,
    /// Number of the entry among those of the same millisecond, from 0.
    number: u64,
}

impl BufferId {
    /// Returns an id for an entry of this time. The id is greater than `self`, even if the clock was set back.
    fn next(self, unix_ms: u64) -> BufferId {
        if unix_ms > self.unix_ms {
            BufferId { unix_ms, number: 0 }
        } else {
            BufferId { number: self.number + 1, ..self }
        }
    }
}

impl fmt::Display for BufferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.unix_ms, self.number)
    }
}

impl From<(u64, u64)> for BufferId {
    fn from((unix_ms, number): (u64, u64)) -> BufferId {
        BufferId { unix_ms, number }
    }
}

impl From<BufferId> for (u64, u64) {
    fn from(id: BufferId) -> (u64, u64) {
        (id.unix_ms, id.number)
    }
}

/// A delivery in a gateway's durable buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    id: String,
    kind: DeliveryKind,
    /// Event, or forwarded request.
    content: Map<String, Value>,
    /// Size of the entry's line without its id.
    bytes: usize,
    /// True once the gateway's acknowledgement was reported as missing. It is reported once.
    pub(crate) is_reported: bool,
}

impl Entry {
    fn new(id: String, kind: DeliveryKind, content: Map<String, Value>) -> Entry {
        let bytes = kind.to_line(&content, None).len();
        Entry { id, kind, content, bytes, is_reported: false }
    }

    /// Returns the `bufferId`.
    pub fn buffer_id(&self) -> &str {
        &self.id
    }

    /// Returns the event, or the forwarded request.
    pub fn content(&self) -> &Map<String, Value> {
        &self.content
    }

    pub(crate) fn kind(&self) -> DeliveryKind {
        self.kind
    }

    /// Returns the part of the entry that the state file has.
    pub(crate) fn durable(&self) -> EntryState {
        EntryState { id: self.id.clone(), kind: self.kind, content: self.content.clone() }
    }

    /// Returns the entry as a line for the gateway.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        self.kind.to_line(&self.content, Some(&self.id))
    }
}

/// Entries of a gateway, which outlive its connections and a crash of the connector.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    /// Entries, the oldest first.
    entries: VecDeque<Entry>,
    /// Sum of the entries' sizes.
    bytes: usize,
    /// Newest id that was given. A later entry gets a greater one.
    newest_id: BufferId,
}

impl Buffer {
    /// Returns the entry at this index; 0 is the oldest.
    pub(crate) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    /// Returns the entry of this `bufferId`.
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    /// Returns the entries, the oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the sum of the entries' sizes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns a buffer with restored entries. `newest_id` is the newest id that was given before.
    pub(crate) fn restored(entries: Vec<EntryState>, newest_id: BufferId) -> Self {
        let entry = |EntryState { id, kind, content }| Entry::new(id, kind, content);
        let entries: VecDeque<Entry> = entries.into_iter().map(entry).collect();
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        Buffer { entries, bytes, newest_id }
    }

    /// Returns the newest id that was given.
    pub(crate) fn newest_id(&self) -> BufferId {
        self.newest_id
    }

    /// Returns true if the buffer has an entry in the lane of this delivery. A live delivery must not overtake it.
    pub(crate) fn has_lane_of(&self, kind: DeliveryKind, content: &Map<String, Value>) -> bool {
        let lane = kind.lane(content);
        self.entries.iter().any(|entry| entry.kind == kind && entry.kind.lane(&entry.content) == lane)
    }

    /// Adds a delivery at the end, and returns its id. Returns `None` if the delivery exceeds the limits.
    pub(crate) fn push(
        &mut self,
        now: Now,
        kind: DeliveryKind,
        content: Map<String, Value>,
        limits: &Limits,
    ) -> Option<String> {
        let next_id = self.newest_id.next(unix_ms(now));
        let entry = Entry::new(next_id.to_string(), kind, content);
        if self.entries.len() >= limits.buffer_entries
            || self.bytes.saturating_add(entry.bytes) > limits.buffer_bytes
        {
            return None;
        }
        self.newest_id = next_id;
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
        Some(next_id.to_string())
    }

    /// Removes an acknowledged entry.
    pub(crate) fn remove(&mut self, id: &str) {
        let at = self.entries.iter().position(|entry| entry.id == id);
        if let Some(entry) = at.and_then(|at| self.entries.remove(at)) {
            self.bytes -= entry.bytes;
        }
    }
}
