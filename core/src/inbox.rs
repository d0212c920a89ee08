//! Deliveries on their way to the host: the read-ahead, duplicates, and what the host still owes an answer (A).
//!
//! A delivery is *in flight* from its arrival until the host has settled it, and *taken* after that. What is in
//! flight never leaves the memory of duplicates; of what is taken the oldest does.

use crate::hash::{Table, table};
use crate::output::{Conn, Content, Delivery, DeliveryId, Outcome};
use std::collections::VecDeque;

/// How many duplicates wait for one twin.
const WAITERS: usize = 8;

/// An event that has arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) content: Content,
    /// The prompt that it answers, by its number: open again when the host refuses the answer (I-3).
    pub(crate) answers: Option<u64>,
    /// What makes it a duplicate of another; `None` when nothing can.
    pub(crate) key: Option<u128>,
    /// The connector's buffer entry, when it came from there.
    pub(crate) buffer: Option<Box<str>>,
    pub(crate) conn: Conn,
}

impl Arrival {
    fn weight(&self) -> usize {
        self.content.weight() + self.buffer.as_ref().map_or(0, |id| id.len())
    }
}

/// What became of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It waits for the host.
    Queued,
    /// It is a duplicate of what is in flight, and waits for its twin's fate.
    Waits,
    /// It is one waiter too many.
    Dropped,
    /// It is a duplicate of what was taken: to be acknowledged, if it has an entry.
    Duplicate(Option<Box<str>>),
}

/// An entry that may be acknowledged on its connection.
pub(crate) type Ack = (Conn, Box<str>);

/// What a settling leads to.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) known: bool,
    /// A buffered delivery of this connection was refused: its entry must come again.
    pub(crate) refused_on: Option<Conn>,
    /// The prompt whose answer was refused.
    pub(crate) unanswered: Option<u64>,
}

/// A buffered delivery that the host has and has not settled.
#[derive(Debug)]
struct Handed {
    key: Option<u128>,
    answers: Option<u64>,
    buffer: Box<str>,
    conn: Conn,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    queue: VecDeque<Arrival>,
    /// Bytes that the queue and the waiters keep alive.
    bytes: usize,
    /// Keys in flight, each with its waiters.
    in_flight: Table<u128, Vec<Arrival>>,
    /// Keys that were taken, the oldest first.
    taken: Table<u128, ()>,
    /// Buffered deliveries that the host has not settled.
    handed: Table<u64, Handed>,
    /// Live deliveries that the host may still refuse, with their keys and prompts.
    live: Table<u64, (Option<u128>, Option<u64>)>,
    /// Of live ones up to here nobody knows any more whether they were settled.
    forgotten: u64,
    last: u64,
    /// Bytes of the entries that those name.
    handed_bytes: usize,
    read_ahead: usize,
    memory: usize,
    most_handed_bytes: usize,
}

impl Inbox {
    /// For `read_ahead` bytes of events, `memory` keys, and entries of so many bytes in the host's hands. A limit of
    /// nothing would lock it up for good, so that each is one at least.
    pub(crate) fn new(read_ahead: usize, memory: usize, most_handed_bytes: usize) -> Self {
        Inbox {
            queue: VecDeque::new(),
            bytes: 0,
            in_flight: table(),
            taken: table(),
            handed: table(),
            live: table(),
            forgotten: 0,
            last: 0,
            handed_bytes: 0,
            read_ahead: read_ahead.max(1),
            memory: memory.max(1),
            most_handed_bytes: most_handed_bytes.max(1),
        }
    }

    /// Whether no further event can be taken in, so that reading must stop.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.read_ahead || self.in_flight.len() >= self.memory
    }

    pub(crate) fn arrive(&mut self, arrival: Arrival) -> Arrived {
        if let Some(key) = arrival.key {
            if self.taken.contains_key(&key) {
                return Arrived::Duplicate(arrival.buffer);
            }
            if let Some(waiters) = self.in_flight.get_mut(&key) {
                if waiters.len() >= WAITERS {
                    return Arrived::Dropped;
                }
                self.bytes += arrival.weight();
                waiters.push(arrival);
                return Arrived::Waits;
            }
            self.in_flight.insert(key, Vec::new());
            self.forget_taken();
        }
        self.bytes += arrival.weight();
        self.queue.push_back(arrival);
        Arrived::Queued
    }

    /// The next delivery for the host. `early` is a connection whose handshake is not complete: its events wait
    /// (L-17). A live one counts as taken from now on; acknowledgements of its waiters go to `acks`.
    pub(crate) fn poll(&mut self, early: Option<Conn>, acks: &mut Vec<Ack>) -> Option<Delivery> {
        let next = self.queue.front()?;
        // What the host holds unsettled is bounded, too.
        let too_many = self.handed.len() >= self.memory || self.handed_bytes >= self.most_handed_bytes;
        if Some(next.conn) == early || (next.buffer.is_some() && too_many) {
            return None;
        }
        let arrival = self.queue.pop_front()?;
        self.bytes -= arrival.weight();
        let Arrival { content, answers, key, buffer, conn } = arrival;
        self.last += 1;
        let buffered = buffer.is_some();
        match (buffer, key) {
            (Some(buffer), key) => {
                self.handed_bytes += buffer.len();
                self.handed.insert(self.last, Handed { key, answers, buffer, conn });
            }
            (None, key) => {
                if let Some(key) = key {
                    self.take(key, acks);
                }
                if self.live.len() >= self.memory
                    && let Some((oldest, _)) = self.live.pop_front()
                {
                    self.forgotten = oldest;
                }
                self.live.insert(self.last, (key, answers));
            }
        }
        Some(Delivery { id: DeliveryId(self.last), buffered, content })
    }

    /// What the host says of a delivery. Acknowledgements that follow go to `acks`.
    pub(crate) fn settle(&mut self, id: DeliveryId, outcome: Outcome, acks: &mut Vec<Ack>) -> Settled {
        let known = |refused_on, unanswered| Settled { known: true, refused_on, unanswered };
        if let Some(Handed { key, answers, buffer, conn }) = self.handed.remove(&id.0) {
            self.handed_bytes -= buffer.len();
            match outcome {
                Outcome::Taken => {
                    acks.push((conn, buffer));
                    if let Some(key) = key {
                        self.take(key, acks);
                    }
                    known(None, None)
                }
                Outcome::Refused => {
                    let unanswered = self.give_up(key, answers);
                    known(Some(conn), unanswered)
                }
            }
        } else if let Some((key, answers)) = self.live.remove(&id.0) {
            let refused = outcome == Outcome::Refused;
            if let Some(key) = key.filter(|_| refused) {
                self.taken.remove(&key);
            }
            known(None, answers.filter(|_| refused))
        } else {
            // A live one so old that it is forgotten: there is nothing to do for it.
            Settled { known: id.0 <= self.forgotten && id.0 > 0, ..Settled::default() }
        }
    }

    /// The buffer entry of a delivery that the host has and has not settled.
    pub(crate) fn entry(&self, id: DeliveryId) -> Option<&str> {
        self.handed.get(&id.0).map(|handed| &*handed.buffer)
    }

    /// Whether something with this key is in flight or taken: then it is a duplicate.
    pub(crate) fn knows(&self, key: u128) -> bool {
        self.taken.contains_key(&key) || self.in_flight.contains_key(&key)
    }

    /// Whether buffered deliveries of `conn` wait for the host, or for its word.
    pub(crate) fn is_owed(&self, conn: Conn) -> bool {
        self.handed.values().any(|handed| handed.conn == conn)
            || self.queue.iter().any(|arrival| arrival.conn == conn && arrival.buffer.is_some())
    }

    /// Forgets what came on a connection whose handshake never completed (L-17); says how many.
    /// The prompts that they answered go to `unanswered`.
    pub(crate) fn drop_early(&mut self, conn: Conn, unanswered: &mut Vec<u64>) -> u64 {
        let mut dropped = 0;
        // Those that wait for a twin go first, so that none of them stands in for one that goes with them.
        for waiters in self.in_flight.values_mut() {
            for waiter in waiters.extract_if(.., |waiter| waiter.conn == conn) {
                self.bytes -= waiter.weight();
                dropped += 1;
            }
        }
        // One that took its refused twin's place may stand before all others.
        let mut gone = Vec::new();
        self.queue.retain(|arrival| {
            let stays = arrival.conn != conn;
            if !stays {
                self.bytes -= arrival.weight();
                gone.push((arrival.key, arrival.answers));
                dropped += 1;
            }
            stays
        });
        for (key, answers) in gone {
            unanswered.extend(self.give_up(key, answers));
        }
        dropped
    }

    /// Forgets what is queued: it is over for good. Says how many.
    pub(crate) fn clear(&mut self) -> u64 {
        let dropped = self.queue.len() + self.in_flight.values().map(Vec::len).sum::<usize>();
        self.queue.clear();
        self.in_flight.clear();
        self.bytes = 0;
        dropped as u64
    }

    /// The key is taken: its waiters are acknowledged.
    fn take(&mut self, key: u128, acks: &mut Vec<Ack>) {
        for waiter in self.in_flight.remove(&key).into_iter().flatten() {
            self.bytes -= waiter.weight();
            acks.extend(waiter.buffer.map(|buffer| (waiter.conn, buffer)));
        }
        self.taken.insert(key, ());
        self.forget_taken();
    }

    /// The key's delivery was refused or lost: its newest waiter goes in its place, else the key is forgotten. Gives
    /// the prompt back that nothing answers now.
    fn give_up(&mut self, key: Option<u128>, answers: Option<u64>) -> Option<u64> {
        let Some(key) = key else { return answers };
        match self.in_flight.get_mut(&key).and_then(Vec::pop) {
            // In front: what it doubles arrived before all that is queued.
            Some(waiter) => {
                self.queue.push_front(Arrival { answers, ..waiter });
                None
            }
            None => {
                self.in_flight.remove(&key);
                answers
            }
        }
    }

    /// The oldest taken leaves while there is more than may be remembered.
    fn forget_taken(&mut self) {
        while self.in_flight.len() + self.taken.len() > self.memory && self.taken.pop_front().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    const A: Conn = Conn(1);
    const B: Conn = Conn(2);

    fn arrival(key: u128, buffer: Option<&str>, conn: Conn) -> Arrival {
        let content = Content::Message(Event::read("{}").unwrap());
        Arrival { content, answers: None, key: (key > 0).then_some(key), buffer: buffer.map(Box::from), conn }
    }

    fn acked(acks: &[Ack]) -> Vec<(u32, &str)> {
        acks.iter().map(|(conn, id)| (conn.0, &**id)).collect()
    }

    #[test]
    fn a_4_a_duplicate_of_taken_is_acknowledged_and_one_in_flight_waits() {
        let mut inbox = Inbox::new(1 << 20, 4, 1000);
        let mut acks = Vec::new();
        assert_eq!(inbox.arrive(arrival(1, Some("a"), A)), Arrived::Queued);
        assert_eq!(inbox.arrive(arrival(1, Some("b"), A)), Arrived::Waits);
        let id = inbox.poll(None, &mut acks).unwrap().id;
        assert_eq!(inbox.arrive(arrival(1, Some("c"), B)), Arrived::Waits);
        assert!(inbox.poll(None, &mut acks).is_none());
        inbox.settle(id, Outcome::Taken, &mut acks);
        assert_eq!(acked(&acks), [(1, "a"), (1, "b"), (2, "c")]);
        assert_eq!(inbox.arrive(arrival(1, Some("d"), B)), Arrived::Duplicate(Some("d".into())));
        assert_eq!(inbox.arrive(arrival(1, None, B)), Arrived::Duplicate(None));
        assert_eq!(inbox.bytes, 0);
    }

    #[test]
    fn a_4_when_the_twin_is_refused_the_newest_waiter_is_delivered() {
        let mut inbox = Inbox::new(1 << 20, 16, 1000);
        let mut acks = Vec::new();
        inbox.arrive(arrival(1, Some("a"), A));
        let id = inbox.poll(None, &mut acks).unwrap().id;
        for n in 0..8 {
            assert_eq!(inbox.arrive(arrival(1, Some(&format!("w{n}")), A)), Arrived::Waits);
        }
        assert_eq!(inbox.arrive(arrival(1, Some("ninth"), A)), Arrived::Dropped);
        let settled = inbox.settle(id, Outcome::Refused, &mut acks);
        assert_eq!(settled.refused_on, Some(A));
        let id = inbox.poll(None, &mut acks).unwrap().id;
        inbox.settle(id, Outcome::Taken, &mut acks);
        assert_eq!(acked(&acks)[0], (1, "w7"));
        assert_eq!(acks.len(), 8);
    }

    #[test]
    fn a_4_a_refused_one_is_forgotten_and_live_ones_are_taken_once_received() {
        let mut inbox = Inbox::new(1 << 20, 16, 1000);
        let mut acks = Vec::new();
        inbox.arrive(arrival(1, Some("a"), A));
        let id = inbox.poll(None, &mut acks).unwrap().id;
        inbox.settle(id, Outcome::Refused, &mut acks);
        assert_eq!(inbox.arrive(arrival(1, Some("again"), B)), Arrived::Queued);

        assert_eq!(inbox.arrive(arrival(2, None, A)), Arrived::Queued);
        inbox.poll(None, &mut acks);
        let live = inbox.poll(None, &mut acks).unwrap();
        assert_eq!(inbox.arrive(arrival(2, Some("x"), B)), Arrived::Duplicate(Some("x".into())));
        inbox.settle(live.id, Outcome::Refused, &mut acks);
        assert_eq!(inbox.arrive(arrival(2, Some("x"), B)), Arrived::Queued);
        assert!(acks.is_empty());
    }

    #[test]
    fn a_4_memory_is_bounded_and_what_is_in_flight_stays() {
        let mut inbox = Inbox::new(1 << 20, 3, 1000);
        let mut acks = Vec::new();
        inbox.arrive(arrival(1, Some("held"), A));
        inbox.poll(None, &mut acks);
        for key in 2..10 {
            inbox.arrive(arrival(key, None, A));
            inbox.poll(None, &mut acks);
        }
        assert_eq!(inbox.in_flight.len() + inbox.taken.len(), 3);
        assert_eq!(inbox.arrive(arrival(1, None, A)), Arrived::Waits);
        assert_eq!(inbox.arrive(arrival(9, None, A)), Arrived::Duplicate(None));
        assert_eq!(inbox.arrive(arrival(7, None, A)), Arrived::Queued);
        assert!(!inbox.is_full());
        inbox.arrive(arrival(11, None, A));
        assert!(inbox.is_full());
    }

    #[test]
    fn a_6_the_read_ahead_is_bounded_by_bytes() {
        let mut inbox = Inbox::new(2 * Event::read("{}").unwrap().weight(), 100, 1000);
        inbox.arrive(arrival(0, None, A));
        assert!(!inbox.is_full());
        inbox.arrive(arrival(0, None, A));
        assert!(inbox.is_full());
        assert!(inbox.poll(None, &mut Vec::new()).is_some());
        assert!(!inbox.is_full());
    }

    #[test]
    fn l_17_early_events_wait_and_go_with_a_failed_handshake() {
        let mut inbox = Inbox::new(1 << 20, 100, 1000);
        let mut acks = Vec::new();
        inbox.arrive(arrival(1, None, A));
        inbox.arrive(arrival(2, Some("b"), B));
        assert!(inbox.poll(Some(B), &mut acks).is_some());
        assert!(inbox.poll(Some(B), &mut acks).is_none());
        assert_eq!(inbox.drop_early(B, &mut Vec::new()), 1);
        assert_eq!(inbox.arrive(arrival(2, Some("b"), B)), Arrived::Queued);
        assert!(inbox.poll(None, &mut acks).is_some_and(|delivery| delivery.buffered));
    }
}
