//! Ops that were read and wait to be done: their order and their budget. No thread, no clock.

use super::op::{About, Asked};
use super::settings::AgentSettings;
use relayline_core::output::DeliveryId;
use serde_json::Value;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// What was read from the agent.
#[derive(Debug)]
pub(super) enum Work {
    Asked(Asked),
    /// An op that is wrong, and why.
    Wrong(String),
    /// A line that no op can be made of, as it is shown, and why.
    Invalid {
        line: String,
        message: String,
    },
}

/// A line of the agent.
#[derive(Debug)]
pub(super) struct Op {
    /// Id under which its result is wanted.
    pub(super) id: Option<Value>,
    pub(super) about: About,
    pub(super) work: Work,
    /// Bytes that it counts for.
    pub(super) weight: usize,
    /// Delivery that it answers and that delivery's chat, whose order it keeps.
    pub(super) answers: Option<(DeliveryId, String)>,
}

impl Op {
    /// Whether it needs no room, or must not wait for it.
    fn overtakes(&self) -> bool {
        match &self.work {
            Work::Asked(asked) => asked.overtakes(),
            Work::Wrong(_) | Work::Invalid { .. } => true,
        }
    }

    /// Chat whose order it keeps.
    fn chat(&self) -> Option<&str> {
        let named = match &self.work {
            Work::Asked(asked) => asked.chat(),
            Work::Wrong(_) | Work::Invalid { .. } => None,
        };
        named.or(self.answers.as_ref().map(|(_, chat)| chat.as_str()))
    }
}

/// Ops that wait. They are done in the order in which they came, but for those that overtake, and for those of a chat
/// whose text goes out in parts: they wait for its last part.
#[derive(Debug)]
pub(super) struct Ops {
    urgent: VecDeque<Op>,
    /// One that was begun and found no room: it is the next.
    stuck: Option<Op>,
    waiting: VecDeque<Op>,
    /// Chats to which a text goes out in parts, or that have ops left from such a time.
    held: BTreeMap<String, Held>,
    /// Held chats whose next op may be done.
    ready: VecDeque<String>,
    count: usize,
    bytes: usize,
    /// Deliveries that ops wait to answer, and how many for each.
    answered: BTreeMap<DeliveryId, usize>,
    /// Files on their way.
    transfers: usize,
    limits: AgentSettings,
    /// Results leave no room for further ones: nothing more is read.
    paused: bool,
    /// The agent's output has ended.
    ended: bool,
    /// What still comes is passed over.
    sealed: bool,
}

#[derive(Debug, Default)]
struct Held {
    sending: bool,
    ops: VecDeque<Op>,
}

impl Ops {
    pub(super) fn new(limits: AgentSettings) -> Self {
        Ops {
            urgent: VecDeque::new(),
            stuck: None,
            waiting: VecDeque::new(),
            held: BTreeMap::new(),
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

    /// Whether another op may be read.
    pub(super) fn has_room(&self) -> bool {
        let room = self.count < self.limits.waiting_ops && self.bytes < self.limits.waiting_op_bytes;
        self.sealed || (room && !self.paused)
    }

    pub(super) fn push(&mut self, op: Op) {
        if self.sealed {
            return;
        }
        self.count_in(&op);
        if op.overtakes() { self.urgent.push_back(op) } else { self.waiting.push_back(op) }
    }

    /// The next op to do. `room` says that there may be room for one that needs it; those that overtake are given
    /// even without.
    pub(super) fn pop(&mut self, room: bool) -> Option<Op> {
        let op = match self.urgent.pop_front() {
            None if !room => None,
            None => self.stuck.take().or_else(|| self.pop_held()).or_else(|| self.pop_waiting()),
            urgent => urgent,
        }?;
        self.count_out(&op);
        Some(op)
    }

    fn count_in(&mut self, op: &Op) {
        self.count += 1;
        self.bytes += op.weight;
        if let Some((delivery, _)) = op.answers {
            *self.answered.entry(delivery).or_default() += 1;
        }
    }

    fn count_out(&mut self, op: &Op) {
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

    /// The oldest delivery that an op waits to answer: it must still be remembered when the op's turn comes (M-7).
    pub(super) fn oldest_answered(&self) -> Option<DeliveryId> {
        self.answered.first_key_value().map(|(delivery, _)| *delivery)
    }

    fn pop_held(&mut self) -> Option<Op> {
        while let Some(chat) = self.ready.pop_front() {
            // One that is held anew comes again with the end of that.
            let Some(held) = self.held.get_mut(&chat).filter(|held| !held.sending) else { continue };
            match held.ops.pop_front() {
                Some(op) => {
                    self.ready.push_front(chat);
                    return Some(op);
                }
                None => drop(self.held.remove(&chat)),
            }
        }
        None
    }

    fn pop_waiting(&mut self) -> Option<Op> {
        while let Some(op) = self.waiting.pop_front() {
            match op.chat().and_then(|chat| self.held.get_mut(chat)) {
                Some(held) => held.ops.push_back(op),
                None => return Some(op),
            }
        }
        None
    }

    /// Takes back one that found no room.
    pub(super) fn put_back(&mut self, op: Op) {
        self.count_in(&op);
        if op.overtakes() { self.urgent.push_front(op) } else { self.stuck = Some(op) }
    }

    /// A text goes out in parts to this chat, and keeps so many bytes until its end.
    pub(super) fn begin_parts(&mut self, chat: &str, weight: usize) {
        self.bytes += weight;
        self.held.entry(chat.to_owned()).or_default().sending = true;
    }

    /// Its last part has ended.
    pub(super) fn end_parts(&mut self, chat: &str, weight: usize) {
        self.bytes = self.bytes.saturating_sub(weight);
        if let Some(held) = self.held.get_mut(chat) {
            held.sending = false;
            self.ready.push_back(chat.to_owned());
        }
    }

    /// A file is on its way, and keeps so many bytes until its end.
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

    /// The agent's output has ended.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether its output has ended and all that it said is under way.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.count == 0 && self.transfers == 0 && self.held.values().all(|held| !held.sending)
    }

    /// Passes over what still comes.
    pub(super) fn seal(&mut self) {
        self.sealed = true;
    }

    /// Passes over what waits and what still comes.
    pub(super) fn close(&mut self) {
        self.seal();
        self.count = 0;
        self.bytes = 0;
        self.answered.clear();
        self.stuck = None;
        self.urgent.clear();
        self.waiting.clear();
        self.held.clear();
        self.ready.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::op;
    use super::*;
    use serde_json::json;

    fn ops(waiting_ops: usize, waiting_op_bytes: usize) -> Ops {
        Ops::new(AgentSettings { waiting_ops, waiting_op_bytes, ..AgentSettings::default() })
    }

    fn read(line: &Value) -> Op {
        let said = op::read(line.to_string().as_bytes()).unwrap();
        let delivery = said.asked.as_ref().ok().and_then(Asked::delivery);
        Op {
            answers: delivery.map(|delivery| (delivery, "a".to_owned())),
            id: said.id,
            about: said.about,
            work: said.asked.map_or_else(Work::Wrong, Work::Asked),
            weight: 10,
        }
    }

    fn send(id: u32, chat: &str) -> Op {
        read(&json!({"op": "send", "chat_id": chat, "content": "x", "id": id}))
    }

    fn ids(ops: &mut Ops, room: bool) -> Vec<u64> {
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
    fn one_that_found_no_room_is_the_next() {
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
    fn reading_stops_at_each_bound_and_goes_on_below_it() {
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
        // The first of them goes out in parts, too.
        assert_eq!(ops.pop(true).and_then(|op| op.id), Some(json!(1)));
        ops.begin_parts("a", 30);
        ops.push(send(6, "a"));
        assert!(ids(&mut ops, true).is_empty());
        ops.end_parts("a", 30);
        assert_eq!(ids(&mut ops, true), [3, 5, 6]);
        assert!(ops.held.is_empty() && ops.bytes == 0);
    }

    /// M-7: an answer keeps the order of its delivery's chat, and its delivery counts while it waits.
    #[test]
    fn m_7_a_reply_waits_in_its_deliverys_chat() {
        let mut ops = ops(100, 1000);
        let answers = |ops: &Ops| ops.oldest_answered().map(DeliveryId::number);
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
    fn it_is_done_once_all_that_was_said_is_under_way() {
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
    fn a_closed_one_takes_everything_in_and_keeps_nothing() {
        let mut ops = ops(1, 1000);
        ops.push(send(1, "a"));
        assert!(!ops.has_room());
        ops.close();
        ops.push(send(2, "a"));
        assert!(ops.has_room() && ops.pop(true).is_none());
    }
}
