//! A gateway's durable buffer: deliveries until their `inbound_ack`, in order.

use crate::chats::unix_ms;
use crate::frame::DeliveryKind;
use crate::state::EntryState;
use relayline_core::time::Now;
use serde_json::{Map, Value};
use std::collections::VecDeque;

/// A delivery in a gateway's durable buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    id: String,
    kind: DeliveryKind,
    content: Map<String, Value>,
    bytes: usize,
    /// True once its late acknowledgement was observed.
    pub(crate) is_reported: bool,
}

impl Entry {
    /// Returns its `bufferId`.
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

    /// Returns the durable part.
    pub(crate) fn durable(&self) -> EntryState {
        EntryState { id: self.id.clone(), kind: self.kind, content: self.content.clone() }
    }

    pub(crate) fn to_line(&self) -> Vec<u8> {
        self.kind.to_line(&self.content, Some(&self.id))
    }
}

/// The entries of a gateway. They outlive its connections and a crash of the connector.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Time and number of the newest id, so that ids grow whatever the clock does.
    newest: (u64, u64),
}

impl Buffer {
    pub(crate) fn get(&self, at: usize) -> Option<&Entry> {
        self.entries.get(at)
    }

    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns a buffer with restored entries; `newest` is time and number of the newest id.
    pub(crate) fn restored(entries: Vec<EntryState>, newest: (u64, u64)) -> Self {
        let entry = |EntryState { id, kind, content }| {
            let bytes = kind.to_line(&content, None).len();
            Entry { id, kind, content, bytes, is_reported: false }
        };
        let entries: VecDeque<Entry> = entries.into_iter().map(entry).collect();
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        Buffer { entries, bytes, newest }
    }

    pub(crate) fn newest_id(&self) -> (u64, u64) {
        self.newest
    }

    /// Returns true if an entry of the same lane waits, which a live delivery must not overtake.
    pub(crate) fn holds_lane_of(&self, kind: DeliveryKind, content: &Map<String, Value>) -> bool {
        let lane = kind.lane(content);
        self.entries.iter().any(|entry| entry.kind == kind && entry.kind.lane(&entry.content) == lane)
    }

    /// Adds a delivery at the end, under an id in the style `1718900000000-0`. Returns `None` if it does not fit.
    pub(crate) fn push(
        &mut self,
        now: Now,
        kind: DeliveryKind,
        content: Map<String, Value>,
        (max_entries, max_bytes): (usize, usize),
    ) -> Option<String> {
        let bytes = kind.to_line(&content, None).len();
        if self.entries.len() >= max_entries || self.bytes.saturating_add(bytes) > max_bytes {
            return None;
        }
        let ms = unix_ms(now);
        self.newest = if ms > self.newest.0 { (ms, 0) } else { (self.newest.0, self.newest.1 + 1) };
        let id = format!("{}-{}", self.newest.0, self.newest.1);
        self.entries.push_back(Entry { id: id.clone(), kind, content, bytes, is_reported: false });
        self.bytes += bytes;
        Some(id)
    }

    /// Removes an acknowledged entry.
    pub(crate) fn remove(&mut self, id: &str) {
        let at = self.entries.iter().position(|entry| entry.id == id);
        if let Some(entry) = at.and_then(|at| self.entries.remove(at)) {
            self.bytes -= entry.bytes;
        }
    }
}
