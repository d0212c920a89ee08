//! Queue of frames to write (X-1, W-6).

use crate::command::RequestId;
use std::collections::VecDeque;

/// Item to write.
#[derive(Debug)]
pub(crate) enum Item {
    /// Hello of the identity with this index.
    Hello(usize),
    /// Acknowledgement of this buffer entry.
    Ack(Box<str>),
    /// `going_idle`.
    GoingIdle,
    /// Encoded frame of a request, and its length.
    Request(RequestId, usize),
    /// Our close frame, with its reason.
    Close(&'static str),
}

/// Queue of frames in order. Requests are encoded when they are queued, one after another into one reusable buffer,
/// whose length is bounded.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: VecDeque<Item>,
    bytes: Vec<u8>,
    /// Offset of the first unwritten request in `bytes`.
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

    /// Queues a request's frame, written by `encode`. Returns `false`, and queues nothing, if it does not fit.
    pub(crate) fn push_request(
        &mut self,
        id: RequestId,
        limit: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if self.start > limit {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let before = self.bytes.len();
        encode(&mut self.bytes);
        if self.bytes.len() - self.start > limit {
            self.bytes.truncate(before);
            // A frame that is far too large must not leave a large buffer.
            self.bytes.shrink_to(limit);
            return false;
        }
        self.items.push_back(Item::Request(id, self.bytes.len() - before));
        true
    }

    /// Returns the next item. The frame of a request is appended to `out`.
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

    /// Keeps the acknowledgements, since their entries are accepted, drops the other items, and appends the close
    /// frame.
    pub(crate) fn close(&mut self, reason: &'static str) {
        self.items.retain(|item| matches!(item, Item::Ack(_)));
        self.bytes.clear();
        self.start = 0;
        self.items.push_back(Item::Close(reason));
    }

    /// Returns whether `going_idle` is to be written.
    pub(crate) fn has_going_idle(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::GoingIdle))
    }

    /// Removes `going_idle`, unless it is written already.
    pub(crate) fn withdraw_going_idle(&mut self) {
        self.items.retain(|item| !matches!(item, Item::GoingIdle));
    }

    /// Drops everything, since the connection has ended (A-5, O-8), and returns the number of dropped
    /// acknowledgements.
    pub(crate) fn clear(&mut self) -> u64 {
        self.items.clear();
        self.bytes.clear();
        self.start = 0;
        self.ack_bytes = 0;
        std::mem::take(&mut self.acks) as u64
    }

    /// Returns the number of bytes of unwritten requests.
    pub(crate) fn request_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Returns the number of unwritten acknowledgements.
    pub(crate) fn acks(&self) -> usize {
        self.acks
    }

    /// Returns the length of the ids in these acknowledgements.
    pub(crate) fn ack_bytes(&self) -> usize {
        self.ack_bytes
    }

    /// Returns the capacity of the buffer for frames.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 40;

    #[derive(Clone, Debug)]
    enum Step {
        Request(usize),
        Ack(usize),
        Pop,
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (1..LIMIT + 2).prop_map(Step::Request),
            2 => (0..9_usize).prop_map(Step::Ack),
            8 => Just(Step::Pop),
            1 => Just(Step::Clear),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Frames share a buffer. Each is written unchanged, and the waiting bytes are exact.
        #[test]
        fn x_1_waiting_frames_are_written_in_order_and_counted(steps in steps()) {
            let mut outbox = Outbox::default();
            let mut waiting: VecDeque<(bool, Vec<u8>)> = VecDeque::new();
            let bytes = |waiting: &VecDeque<(bool, Vec<u8>)>, request: bool| {
                waiting.iter().filter(|(is, _)| *is == request).map(|(_, frame)| frame.len()).sum::<usize>()
            };
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Request(len) => {
                        let frame = vec![at as u8; len];
                        let fits = bytes(&waiting, true) + len <= LIMIT;
                        let id = RequestId(at as u64);
                        let queued = outbox.push_request(id, LIMIT, |out| out.extend_from_slice(&frame));
                        prop_assert_eq!(queued, fits);
                        if fits {
                            waiting.push_back((true, frame));
                        }
                    }
                    Step::Ack(len) => {
                        outbox.push(Item::Ack("x".repeat(len).into()));
                        waiting.push_back((false, vec![0; len]));
                    }
                    Step::Pop => {
                        let mut out = Vec::new();
                        match (outbox.pop(&mut out), waiting.pop_front()) {
                            (Some(Item::Request(..)), Some((true, frame))) => prop_assert_eq!(out, frame),
                            (Some(Item::Ack(id)), Some((false, frame))) => prop_assert_eq!(id.len(), frame.len()),
                            (None, None) => {}
                            (item, expected) => prop_assert!(false, "{item:?} instead of {expected:?}"),
                        }
                    }
                    Step::Clear => {
                        let acks = waiting.iter().filter(|(is_request, _)| !is_request).count();
                        prop_assert_eq!(outbox.clear(), acks as u64);
                        waiting.clear();
                    }
                }
                prop_assert_eq!(outbox.is_empty(), waiting.is_empty());
                prop_assert_eq!(outbox.request_bytes(), bytes(&waiting, true));
                prop_assert_eq!(outbox.ack_bytes(), bytes(&waiting, false));
                // Written frames are removed from the buffer in time.
                prop_assert!(outbox.bytes.len() <= 2 * LIMIT, "{} bytes", outbox.bytes.len());
            }
        }
    }
}
