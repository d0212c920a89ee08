//! What waits to be written (X-1, W-6).

use crate::command::RequestId;
use std::collections::VecDeque;

/// One thing to write.
#[derive(Debug)]
pub(crate) enum Item {
    /// The hello of the identity at this place.
    Hello(usize),
    /// An acknowledgement of this buffer entry.
    Ack(Box<str>),
    /// `going_idle`.
    GoingIdle,
    /// The frame of a request, encoded, of this length.
    Request(RequestId, usize),
    /// Our close frame, with its reason.
    Close(&'static str),
}

/// A queue of frames in the order in which they were made. Requests are encoded when they are queued, one after
/// another into one warm buffer: that is what the bound counts.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: VecDeque<Item>,
    bytes: Vec<u8>,
    /// Where the first unwritten request begins in `bytes`.
    start: usize,
    acks: usize,
    /// Bytes of the entries that wait to be acknowledged.
    ack_bytes: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, item: Item) {
        if let Item::Ack(buffer_id) = &item {
            self.acks += 1;
            self.ack_bytes += buffer_id.len();
        }
        self.items.push_back(item);
    }

    /// Queues a request's frame, written by `encode`; `false`, and nothing is queued, when it would not fit.
    pub(crate) fn push_request(
        &mut self,
        id: RequestId,
        limit: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if self.start == self.bytes.len() || self.start > limit {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let before = self.bytes.len();
        encode(&mut self.bytes);
        if self.bytes.len() - self.start > limit {
            self.bytes.truncate(before);
            // One that is far too large must not leave its size behind.
            self.bytes.shrink_to(limit);
            return false;
        }
        self.items.push_back(Item::Request(id, self.bytes.len() - before));
        true
    }

    /// The next item; the frame of a request is appended to `out`.
    pub(crate) fn pop(&mut self, out: &mut Vec<u8>) -> Option<Item> {
        let item = self.items.pop_front()?;
        match &item {
            Item::Request(_, len) => {
                out.extend_from_slice(&self.bytes[self.start..self.start + len]);
                self.start += len;
                if self.start == self.bytes.len() {
                    self.bytes.clear();
                    self.start = 0;
                }
            }
            Item::Ack(buffer_id) => {
                self.acks -= 1;
                self.ack_bytes -= buffer_id.len();
            }
            Item::Hello(_) | Item::GoingIdle | Item::Close(_) => {}
        }
        Some(item)
    }

    /// Keeps the acknowledgements, since the entries are taken; forgets the rest, which is about to be moot; and
    /// puts the close frame at the end.
    pub(crate) fn close(&mut self, reason: &'static str) {
        self.items.retain(|item| matches!(item, Item::Ack(_)));
        self.bytes.clear();
        self.start = 0;
        self.items.push_back(Item::Close(reason));
    }

    /// Returns whether `going_idle` is to be written.
    pub(crate) fn asks_to_go_idle(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::GoingIdle))
    }

    /// Takes `going_idle` back, unless it is written already.
    pub(crate) fn take_back_going_idle(&mut self) {
        self.items.retain(|item| !matches!(item, Item::GoingIdle));
    }

    /// Forgets everything: the connection is over (A-5, O-8). Says how many acknowledgements went with it.
    pub(crate) fn clear(&mut self) -> u64 {
        self.items.clear();
        self.bytes.clear();
        self.start = 0;
        self.ack_bytes = 0;
        std::mem::take(&mut self.acks) as u64
    }

    /// Bytes of requests that wait.
    pub(crate) fn request_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// How many acknowledgements wait.
    pub(crate) fn acks(&self) -> usize {
        self.acks
    }

    /// Bytes of the entries that they name.
    pub(crate) fn ack_bytes(&self) -> usize {
        self.ack_bytes
    }

    /// Bytes that are kept for frames of requests, written or not.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
