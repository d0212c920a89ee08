//! Queue of ops that wait for room. No thread, no clock.

use super::op::{OpLabel, OpRequest};
use super::settings::AgentSettings;
use relayline_core::output::DeliveryId;
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// Work that a line of the agent requests.
#[derive(Debug)]
pub(super) enum Work {
    Request(OpRequest),
    /// Malformed op with an id: its result is this error.
    Wrong(String),
    /// Malformed line or op without an id: the line, truncated for display, and the error.
    Invalid {
        line: String,
        message: String,
    },
}

/// Line of the agent, parsed.
#[derive(Debug)]
pub(super) struct QueuedOp {
    /// Id for its result.
    pub(super) id: Option<Value>,
    pub(super) about: OpLabel,
    pub(super) work: Work,
    /// Size in the budget, in bytes.
    pub(super) weight: usize,
    /// Delivery that it answers, and the chat of that delivery, whose order it keeps.
    pub(super) answers: Option<(DeliveryId, String)>,
}

impl QueuedOp {
    /// Returns true if it needs no room, or must not wait for it.
    pub(super) fn overtakes(&self) -> bool {
        match &self.work {
            Work::Request(asked) => asked.overtakes(),
            Work::Wrong(_) | Work::Invalid { .. } => true,
        }
    }

    /// Returns the chat whose order it keeps.
    fn chat(&self) -> Option<&str> {
        let named = match &self.work {
            Work::Request(asked) => asked.chat(),
            Work::Wrong(_) | Work::Invalid { .. } => None,
        };
        named.or(self.answers.as_ref().map(|(_, chat)| chat.as_str()))
    }
}

/// Limits of a queue of ops.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpLimits {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl From<&AgentSettings> for OpLimits {
    fn from(settings: &AgentSettings) -> OpLimits {
        OpLimits { count: settings.waiting_ops, bytes: settings.waiting_op_bytes }
    }
}

/// Queue of ops in their order. Some ops overtake. Ops of a chat to which a text is being sent in parts wait for its last
/// part.
#[derive(Debug)]
pub(super) struct OpQueue {
    urgent: VecDeque<QueuedOp>,
    /// Op that found no room when it was started. It is the next.
    stuck: Option<QueuedOp>,
    waiting: VecDeque<QueuedOp>,
    /// Chats to which a text is being sent in parts, or that still have ops from that time.
    blocked: BTreeMap<String, BlockedChat>,
    /// Blocked chats whose next op may be started.
    ready: VecDeque<String>,
    count: usize,
    bytes: usize,
    /// Deliveries that queued ops answer, with the number of ops.
    answered: BTreeMap<DeliveryId, usize>,
    /// Number of files in transfer.
    transfers: usize,
    limits: OpLimits,
    /// True while the budget of results is used up: nothing is read.
    paused: bool,
    /// True once the agent's output has ended.
    ended: bool,
    /// True once further ops are ignored.
    sealed: bool,
}

#[derive(Debug, Default)]
struct BlockedChat {
    sending: bool,
    ops: VecDeque<QueuedOp>,
}

impl OpQueue {
    pub(super) fn new(limits: OpLimits) -> Self {
        OpQueue {
            urgent: VecDeque::new(),
            stuck: None,
            waiting: VecDeque::new(),
            blocked: BTreeMap::new(),
            ready: VecDeque::new(),
            count: 0,
            bytes: 0,
            answered: BTreeMap::new(),
            transfers: 0,
            limits,
            paused: false,
            ended: false,
            sealed: false,
        }
    }

    /// Returns true if another op may be read.
    pub(super) fn has_room(&self) -> bool {
        let room = self.count < self.limits.count && self.bytes < self.limits.bytes;
        self.sealed || (room && !self.paused)
    }

    pub(super) fn push(&mut self, op: QueuedOp) {
        if self.sealed {
            return;
        }
        self.count_in(&op);
        if op.overtakes() { self.urgent.push_back(op) } else { self.waiting.push_back(op) }
    }

    /// Takes the next op. Without `room` it returns overtaking ops only.
    pub(super) fn pop(&mut self, room: bool) -> Option<QueuedOp> {
        let op = match self.urgent.pop_front() {
            None if !room => None,
            None => self.stuck.take().or_else(|| self.pop_blocked()).or_else(|| self.pop_waiting()),
            urgent => urgent,
        }?;
        self.count_out(&op);
        Some(op)
    }

    fn count_in(&mut self, op: &QueuedOp) {
        self.count += 1;
        self.bytes += op.weight;
        if let Some((delivery, _)) = op.answers {
            *self.answered.entry(delivery).or_default() += 1;
        }
    }

    fn count_out(&mut self, op: &QueuedOp) {
        self.count -= 1;
        self.bytes -= op.weight;
        if let Some((delivery, _)) = op.answers
            && let Entry::Occupied(mut count) = self.answered.entry(delivery)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Returns the oldest delivery that a queued op answers. It must not be forgotten before the op starts (M-7).
    pub(super) fn oldest_answered(&self) -> Option<DeliveryId> {
        self.answered.first_key_value().map(|(delivery, _)| *delivery)
    }

    fn pop_blocked(&mut self) -> Option<QueuedOp> {
        while let Some(chat) = self.ready.pop_front() {
            // A chat that is blocked again is queued again when the block ends.
            let Some(blocked) = self.blocked.get_mut(&chat).filter(|blocked| !blocked.sending) else {
                continue;
            };
            match blocked.ops.pop_front() {
                Some(op) => {
                    self.ready.push_front(chat);
                    return Some(op);
                }
                None => drop(self.blocked.remove(&chat)),
            }
        }
        None
    }

    fn pop_waiting(&mut self) -> Option<QueuedOp> {
        while let Some(op) = self.waiting.pop_front() {
            match op.chat().and_then(|chat| self.blocked.get_mut(chat)) {
                Some(blocked) => blocked.ops.push_back(op),
                None => return Some(op),
            }
        }
        None
    }

    /// Puts back an op that found no room.
    pub(super) fn put_back(&mut self, op: QueuedOp) {
        self.count_in(&op);
        if op.overtakes() { self.urgent.push_front(op) } else { self.stuck = Some(op) }
    }

    /// Blocks a chat while a text is sent to it in parts, which counts for `weight` bytes.
    pub(super) fn begin_parts(&mut self, chat: &str, weight: usize) {
        self.bytes += weight;
        self.blocked.entry(chat.to_owned()).or_default().sending = true;
    }

    /// Unblocks a chat after the last part.
    pub(super) fn end_parts(&mut self, chat: &str, weight: usize) {
        self.bytes = self.bytes.saturating_sub(weight);
        if let Some(blocked) = self.blocked.get_mut(chat) {
            blocked.sending = false;
            self.ready.push_back(chat.to_owned());
        }
    }

    /// Counts a file in transfer, with `weight` bytes until its end.
    pub(super) fn begin_transfer(&mut self, weight: usize) {
        self.bytes += weight;
        self.transfers += 1;
    }

    pub(super) fn end_transfer(&mut self, weight: usize) {
        self.bytes = self.bytes.saturating_sub(weight);
        self.transfers -= 1;
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Notes the end of the agent's output.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Returns true if the agent's output has ended and all its ops were started.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.is_empty()
    }

    /// Returns true if no op is queued, in parts or in transfer.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.transfers == 0 && self.blocked.values().all(|blocked| !blocked.sending)
    }

    /// Ignores further ops.
    pub(super) fn seal(&mut self) {
        self.sealed = true;
    }

    /// Drops queued ops, and ignores further ones.
    pub(super) fn close(&mut self) {
        self.seal();
        self.count = 0;
        self.bytes = 0;
        self.answered.clear();
        self.stuck = None;
        self.urgent.clear();
        self.waiting.clear();
        self.blocked.clear();
        self.ready.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::op;
    use super::*;
    use serde_json::json;

    fn ops(count: usize, bytes: usize) -> OpQueue {
        OpQueue::new(OpLimits { count, bytes })
    }

    fn read(line: &Value) -> QueuedOp {
        let said = op::read(line.to_string().as_bytes()).unwrap();
        let delivery = said.asked.as_ref().ok().and_then(OpRequest::delivery);
        QueuedOp {
            answers: delivery.map(|delivery| (delivery, "a".to_owned())),
            id: said.id,
            about: said.about,
            work: said.asked.map_or_else(Work::Wrong, Work::Request),
            weight: 10,
        }
    }

    fn send(id: u32, chat: &str) -> QueuedOp {
        read(&json!({"op": "send", "chat_id": chat, "content": "x", "id": id}))
    }

    fn ids(ops: &mut OpQueue, room: bool) -> Vec<u64> {
        let popped = std::iter::from_fn(|| ops.pop(room));
        popped.map(|op| op.id.and_then(|id| id.as_u64()).unwrap()).collect()
    }

    #[test]
    fn ops_keep_their_order_and_some_overtake() {
        let mut ops = ops(100, 1000);
        ops.push(send(1, "a"));
        ops.push(send(2, "b"));
        for (id, mut line) in [
            (3, json!({"op": "ack", "delivery": 1})),
            (4, json!({"op": "refuse", "delivery": 1})),
            (5, json!({"op": "interrupt", "session_key": "k"})),
            (6, json!({"op": "disconnect"})),
            (7, json!({"op": "dance"})),
        ] {
            line["id"] = json!(id);
            ops.push(read(&line));
        }
        assert_eq!(ids(&mut ops, false), [3, 4, 5, 6, 7]);
        assert!(ids(&mut ops, false).is_empty());
        assert_eq!(ids(&mut ops, true), [1, 2]);
    }

    #[test]
    fn an_op_without_room_is_the_next() {
        let mut ops = ops(100, 1000);
        (1..4).for_each(|id| ops.push(send(id, "a")));
        let stuck = ops.pop(true).unwrap();
        ops.put_back(stuck);
        assert_eq!((ids(&mut ops, false), ids(&mut ops, true)), (vec![], vec![1, 2, 3]));
        ops.push(read(&json!({"op": "interrupt", "session_key": "k", "id": 8})));
        ops.push(read(&json!({"op": "ack", "delivery": 1, "id": 9})));
        let stuck = ops.pop(true).unwrap();
        ops.put_back(stuck);
        assert_eq!(ids(&mut ops, true), [8, 9]);
    }

    #[test]
    fn reading_stops_at_each_bound_and_continues_below_it() {
        for (mut ops, most) in [(ops(3, 1000), 3), (ops(100, 25), 3)] {
            for id in 0..most {
                assert!(ops.has_room());
                ops.push(send(id, "a"));
            }
            assert!(!ops.has_room());
            ops.pop(true);
            assert!(ops.has_room());
            ops.pause(true);
            assert!(!ops.has_room());
            ops.pause(false);
            assert!(ops.has_room());
        }
    }

    #[test]
    fn a_chat_waits_for_the_last_part_and_other_chats_do_not() {
        let mut ops = ops(100, 1000);
        ops.begin_parts("a", 30);
        for (id, chat) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
            ops.push(send(id, chat));
        }
        assert_eq!(ids(&mut ops, true), [2, 4]);
        ops.push(send(5, "a"));
        assert!(ids(&mut ops, true).is_empty());
        assert_eq!(ops.bytes, 60);
        ops.end_parts("a", 30);
        // The first of them is also sent in parts.
        assert_eq!(ops.pop(true).and_then(|op| op.id), Some(json!(1)));
        ops.begin_parts("a", 30);
        ops.push(send(6, "a"));
        assert!(ids(&mut ops, true).is_empty());
        ops.end_parts("a", 30);
        assert_eq!(ids(&mut ops, true), [3, 5, 6]);
        assert!(ops.blocked.is_empty() && ops.bytes == 0);
    }

    /// M-7: a reply keeps the order of its delivery's chat, and its delivery counts while it waits.
    #[test]
    fn m_7_a_reply_waits_in_its_deliverys_chat() {
        let mut ops = ops(100, 1000);
        let answers = |ops: &OpQueue| ops.oldest_answered().map(DeliveryId::number);
        ops.begin_parts("a", 0);
        let reply =
            |delivery: u64| json!({"op": "reply", "delivery": delivery, "content": "x", "id": delivery});
        ops.push(read(&reply(8)));
        ops.push(read(&json!({"op": "stream", "stream": "s", "delivery": 7, "text": "x", "id": 7})));
        ops.push(send(1, "b"));
        assert_eq!((ids(&mut ops, true), answers(&ops)), (vec![1], Some(7)));
        ops.end_parts("a", 0);
        let first = ops.pop(true).unwrap();
        assert_eq!(answers(&ops), Some(7));
        ops.put_back(first);
        assert_eq!(ids(&mut ops, true), [8, 7]);
        assert_eq!(answers(&ops), None);
        ops.push(read(&reply(9)));
        ops.close();
        assert_eq!(answers(&ops), None);
    }

    #[test]
    fn a_queue_is_done_once_all_its_ops_have_started() {
        let mut ops = ops(100, 1000);
        ops.push(send(1, "a"));
        ops.end();
        assert!(!ops.is_done());
        ops.pop(true);
        assert!(ops.is_done());
        ops.begin_parts("a", 0);
        assert!(!ops.is_done());
        ops.end_parts("a", 0);
        assert!(ops.is_done());
    }

    #[test]
    fn a_closed_queue_drops_everything() {
        let mut ops = ops(1, 1000);
        ops.push(send(1, "a"));
        assert!(!ops.has_room());
        ops.close();
        ops.push(send(2, "a"));
        assert!(ops.has_room() && ops.pop(true).is_none());
    }
}
