//! Deliveries for the host: the read-ahead, duplicates, and unsettled deliveries (A).
//!
//! A delivery is *in flight* from its arrival until the host has settled it, and *accepted* after that. Deliveries in
//! flight are never evicted from the memory of duplicates; of the accepted ones the oldest is.

use crate::config::Limits;
use crate::hash::{Table, table};
use crate::output::{Conn, Content, Delivery, DeliveryId, HttpId, Outcome};
use std::collections::VecDeque;

/// Maximum number of duplicates that wait for one delivery in flight.
const WAITERS: usize = 8;

/// Origin of a delivery, which is acknowledged or answered there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Live on this connection. It is not acknowledged.
    Live(Conn),
    /// Entry of the connector's buffer, received on this connection and acknowledged there.
    Buffer(Conn, Box<str>),
    /// Webhook request, which waits for its response (H-6).
    Http(HttpId),
}

impl Origin {
    /// Returns the connection that it arrived on, if any.
    fn conn(&self) -> Option<Conn> {
        match self {
            Origin::Live(conn) | Origin::Buffer(conn, _) => Some(*conn),
            Origin::Http(_) => None,
        }
    }

    /// Returns the length of the entry's id.
    fn weight(&self) -> usize {
        match self {
            Origin::Buffer(_, id) => id.len(),
            Origin::Live(_) | Origin::Http(_) => 0,
        }
    }
}

/// An event that has arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) content: Content,
    /// Number of the prompt that it answers. It is reopened if the host refuses the answer (I-3).
    pub(crate) answers: Option<u64>,
    /// Key that duplicates have in common; `None` if it cannot have duplicates.
    pub(crate) key: Option<u128>,
    pub(crate) origin: Origin,
}

impl Arrival {
    fn weight(&self) -> usize {
        self.content.weight() + self.origin.weight()
    }
}

/// Outcome of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It waits for the host.
    Queued,
    /// It is a duplicate of a delivery in flight, and waits until that is settled.
    Waits,
    /// It exceeds the number of duplicates that can wait.
    Dropped(Origin),
    /// It is a duplicate of an accepted delivery, and can be acknowledged.
    Duplicate(Origin),
}

/// State of a webhook request's delivery when the request timed out.
#[derive(Debug)]
pub(crate) enum Abandoned {
    /// The host has not received it, and will not. The prompt that it answered is reopened.
    Unseen { unanswered: Option<u64> },
    /// The host has received it or its twin, and may still accept it.
    Delivered,
}

/// Result of a settlement.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) known: bool,
    /// Origin of the refused delivery.
    pub(crate) refused: Option<Origin>,
    /// Prompt whose answer was refused.
    pub(crate) unanswered: Option<u64>,
}

/// Delivery that the host has received but not settled, and whose sender waits. Its content is not kept.
#[derive(Debug)]
struct Unsettled {
    key: Option<u128>,
    answers: Option<u64>,
    origin: Origin,
    /// Bytes of the content and of the entry's id.
    weight: usize,
}

/// Delivery in flight with a key.
#[derive(Debug)]
struct Flight {
    /// Place in the order of arrival. A waiter that replaces the delivery inherits it.
    place: u64,
    /// Duplicates that wait until it is settled.
    waiters: Vec<Arrival>,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    /// Deliveries that wait for the host, by place in the order of arrival.
    queue: VecDeque<(u64, Arrival)>,
    arrived: u64,
    /// Bytes that the queue and the waiters keep alive.
    bytes: usize,
    in_flight: Table<u128, Flight>,
    /// Bytes and keys of deliveries that arrived on the current connection before its handshake completed.
    early_bytes: usize,
    early_keys: usize,
    /// Keys of accepted deliveries, the oldest first.
    taken: Table<u128, ()>,
    /// Deliveries that the host has not settled, and whose senders wait.
    handed: Table<u64, Unsettled>,
    /// Live deliveries that the host may still refuse, with their keys and prompts.
    live: Table<u64, (Option<u128>, Option<u64>)>,
    /// Number of the last live delivery that was evicted from `live`. Older live deliveries may have been settled or
    /// not.
    forgotten: u64,
    last: u64,
    /// Returns the bytes of these.
    unsettled_bytes: usize,
    read_ahead: usize,
    most: usize,
    most_bytes: usize,
    memory: usize,
    most_unsettled_bytes: usize,
}

impl Inbox {
    /// Creates an empty inbox. Limits are raised to one, since a limit of zero would block it for good.
    pub(crate) fn new(limits: &Limits) -> Self {
        Inbox {
            queue: VecDeque::new(),
            arrived: 0,
            bytes: 0,
            early_bytes: 0,
            early_keys: 0,
            in_flight: table(),
            taken: table(),
            handed: table(),
            live: table(),
            forgotten: 0,
            last: 0,
            unsettled_bytes: 0,
            read_ahead: limits.read_ahead_bytes.max(1),
            most: limits.host_queue.max(1),
            most_bytes: limits.host_queue_bytes.max(1),
            memory: limits.dedupe.max(1),
            most_unsettled_bytes: limits.unsettled_bytes.max(1),
        }
    }

    /// Returns whether the host's queue has room for another event, as far as its own bounds go.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < self.most && self.bytes < self.most_bytes
    }

    /// Returns whether no further event can be taken in, so that reading must stop. Waiting and unsettled
    /// deliveries share the larger of their budgets. Below the read-ahead only a full memory of duplicates stops
    /// reading: the host may wait for a result that comes after the events.
    pub(crate) fn is_full(&self) -> bool {
        let budget = self.most_bytes.max(self.most_unsettled_bytes);
        let has_room = self.has_room() && self.bytes + self.unsettled_bytes < budget;
        (!has_room && self.bytes >= self.read_ahead) || self.in_flight.len() >= self.memory
    }

    /// Returns whether no further event can be read before the handshake completes. The descriptor must be read
    /// regardless of events of earlier connections, so early events have a budget of their own.
    pub(crate) fn is_full_early(&self) -> bool {
        self.early_bytes >= self.read_ahead || self.early_keys >= self.memory
    }

    /// Starts a connection on which nothing has arrived yet.
    pub(crate) fn begin(&mut self) {
        self.early_bytes = 0;
        self.early_keys = 0;
    }

    /// Adds an arrival. `early` is a connection whose handshake is not complete.
    pub(crate) fn arrive(&mut self, arrival: Arrival, early: Option<Conn>) -> Arrived {
        let is_early = early.is_some() && arrival.origin.conn() == early;
        let early_bytes = if is_early { arrival.weight() } else { 0 };
        if let Some(key) = arrival.key {
            if self.taken.contains_key(&key) {
                return Arrived::Duplicate(arrival.origin);
            }
            if let Some(Flight { waiters, .. }) = self.in_flight.get_mut(&key) {
                if waiters.len() >= WAITERS {
                    return Arrived::Dropped(arrival.origin);
                }
                self.bytes += arrival.weight();
                self.early_bytes += early_bytes;
                waiters.push(arrival);
                return Arrived::Waits;
            }
            self.in_flight.insert(key, Flight { place: self.arrived, waiters: Vec::new() });
            self.early_keys += usize::from(is_early);
            self.forget_taken();
        }
        self.bytes += arrival.weight();
        self.early_bytes += early_bytes;
        self.queue.push_back((self.arrived, arrival));
        self.arrived += 1;
        Arrived::Queued
    }

    /// Returns the place in the queue of the next delivery for the host.
    pub(crate) fn next(&self, early: Option<Conn>) -> Option<usize> {
        let at = match early {
            None => 0,
            Some(_) => self.queue.iter().position(|(_, arrival)| arrival.origin.conn() != early)?,
        };
        let (_, next) = self.queue.get(at)?;
        // Unsettled deliveries are bounded, too.
        let too_many = self.handed.len() >= self.memory || self.unsettled_bytes >= self.most_unsettled_bytes;
        (!too_many || matches!(next.origin, Origin::Live(_))).then_some(at)
    }

    /// Returns the next delivery for the host. `early` is a connection whose handshake is not complete: its events
    /// wait (L-17), but do not block webhook requests. A live delivery counts as accepted from now on. Origins of its
    /// duplicates that can be acknowledged are added to `taken`.
    pub(crate) fn poll(&mut self, early: Option<Conn>, taken: &mut Vec<Origin>) -> Option<Delivery> {
        let at = self.next(early)?;
        let (_, arrival) = self.queue.remove(at)?;
        let weight = arrival.weight();
        self.bytes -= weight;
        let Arrival { content, answers, key, origin } = arrival;
        self.last += 1;
        let buffered = matches!(origin, Origin::Buffer(..));
        match origin {
            Origin::Buffer(..) | Origin::Http(_) => {
                self.unsettled_bytes += weight;
                self.handed.insert(self.last, Unsettled { key, answers, origin, weight });
            }
            Origin::Live(_) => {
                if let Some(key) = key {
                    self.take(key, taken);
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

    /// Settles a delivery. Origins that can be acknowledged are added to `taken`.
    pub(crate) fn settle(&mut self, id: DeliveryId, outcome: Outcome, taken: &mut Vec<Origin>) -> Settled {
        let known = |refused, unanswered| Settled { known: true, refused, unanswered };
        if let Some(Unsettled { key, answers, origin, weight }) = self.handed.remove(&id.0) {
            self.unsettled_bytes -= weight;
            match outcome {
                Outcome::Accepted => {
                    taken.push(origin);
                    if let Some(key) = key {
                        self.take(key, taken);
                    }
                    known(None, None)
                }
                Outcome::Refused => {
                    let unanswered = self.give_up(key, answers);
                    known(Some(origin), unanswered)
                }
            }
        } else if let Some((key, answers)) = self.live.remove(&id.0) {
            let refused = outcome == Outcome::Refused;
            if let Some(key) = key.filter(|_| refused) {
                self.taken.remove(&key);
            }
            known(None, answers.filter(|_| refused))
        } else {
            // A live delivery that was evicted needs no settlement.
            Settled { known: id.0 <= self.forgotten && id.0 > 0, ..Settled::default() }
        }
    }

    /// Returns how many events wait for the host, copies apart.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Returns the bytes of those. It looks at each.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.iter().map(|(_, arrival)| arrival.weight()).sum()
    }

    /// Returns the number of events that wait for the host or for their twin to be settled.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len() + self.in_flight.values().map(|flight| flight.waiters.len()).sum::<usize>()
    }

    /// Returns the bytes of these.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the bytes that arrived on the current connection before its handshake completed.
    pub(crate) fn early_bytes(&self) -> usize {
        self.early_bytes
    }

    /// Returns the number of unsettled deliveries whose senders wait.
    pub(crate) fn unsettled(&self) -> usize {
        self.handed.len()
    }

    /// Returns the bytes of these.
    pub(crate) fn unsettled_bytes(&self) -> usize {
        self.unsettled_bytes
    }

    /// Returns the number of remembered keys.
    pub(crate) fn remembered(&self) -> usize {
        self.in_flight.len() + self.taken.len()
    }

    /// Returns the buffer entry of an unsettled delivery.
    pub(crate) fn entry(&self, id: DeliveryId) -> Option<&str> {
        match &self.handed.get(&id.0)?.origin {
            Origin::Buffer(_, id) => Some(id),
            Origin::Live(_) | Origin::Http(_) => None,
        }
    }

    /// Removes the delivery of a webhook request that timed out, unless the host has received it.
    pub(crate) fn abandon(&mut self, id: HttpId) -> Abandoned {
        let is_it = |arrival: &Arrival| arrival.origin == Origin::Http(id);
        let queued = self.queue.iter().position(|(_, arrival)| is_it(arrival));
        if let Some((_, arrival)) = queued.and_then(|at| self.queue.remove(at)) {
            self.bytes -= arrival.weight();
            return Abandoned::Unseen { unanswered: self.give_up(arrival.key, arrival.answers) };
        }
        for (key, Flight { waiters, .. }) in &mut self.in_flight {
            if let Some(at) = waiters.iter().position(is_it) {
                self.bytes -= waiters.remove(at).weight();
                // The host may not have received its twin either.
                let key = Some(*key);
                if self.queue.iter().any(|(_, arrival)| arrival.key == key) {
                    return Abandoned::Unseen { unanswered: None };
                }
                break;
            }
        }
        Abandoned::Delivered
    }

    /// Returns true if a delivery with this key was accepted.
    pub(crate) fn has_accepted(&self, key: u128) -> bool {
        self.taken.contains_key(&key)
    }

    /// Returns true if a delivery with this key is in flight or accepted, so that another is a duplicate.
    pub(crate) fn knows(&self, key: u128) -> bool {
        self.taken.contains_key(&key) || self.in_flight.contains_key(&key)
    }

    /// Returns true if buffered deliveries of `conn` are queued or unsettled.
    pub(crate) fn has_unsettled(&self, conn: Conn) -> bool {
        let owed = |origin: &Origin| matches!(origin, Origin::Buffer(on, _) if *on == conn);
        self.handed.values().any(|handed| owed(&handed.origin))
            || self.queue.iter().any(|(_, arrival)| owed(&arrival.origin))
    }

    /// Drops the deliveries of a connection whose handshake failed (L-17), and returns their number. The prompts that
    /// they answered are added to `unanswered`.
    pub(crate) fn drop_early(&mut self, conn: Conn, unanswered: &mut Vec<u64>) -> u64 {
        // Waiters are dropped first, so that none of them replaces a delivery that is dropped with it.
        let mut dropped = self.drop_waiters(|origin| origin.conn() == Some(conn));
        // A waiter that replaced its refused twin may be the first of the queue.
        let mut gone = Vec::new();
        self.queue.retain(|(_, arrival)| {
            let stays = arrival.origin.conn() != Some(conn);
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

    /// Drops buffered duplicates of a connection that has ended, and returns their number. They cannot be
    /// acknowledged there, and their entries are redelivered.
    pub(crate) fn drop_late(&mut self, conn: Conn) -> u64 {
        self.drop_waiters(|origin| matches!(origin, Origin::Buffer(on, _) if *on == conn))
    }

    /// Drops waiting duplicates of these origins, and returns their number.
    fn drop_waiters(&mut self, are_gone: impl Fn(&Origin) -> bool) -> u64 {
        let mut dropped = 0;
        for Flight { waiters, .. } in self.in_flight.values_mut() {
            for waiter in waiters.extract_if(.., |waiter| are_gone(&waiter.origin)) {
                self.bytes -= waiter.weight();
                dropped += 1;
            }
        }
        dropped
    }

    /// Drops all queued deliveries, since the relay has ended, and returns their number.
    pub(crate) fn clear(&mut self) -> u64 {
        let dropped = self.waiting();
        self.queue.clear();
        self.in_flight.clear();
        self.bytes = 0;
        dropped as u64
    }

    /// Marks a key as accepted. Its waiters can be acknowledged.
    fn take(&mut self, key: u128, taken: &mut Vec<Origin>) {
        for waiter in self.in_flight.remove(&key).into_iter().flat_map(|flight| flight.waiters) {
            self.bytes -= waiter.weight();
            taken.push(waiter.origin);
        }
        self.taken.insert(key, ());
        self.forget_taken();
    }

    /// Replaces a refused or lost delivery by its newest waiter, or forgets its key. Returns the prompt that no
    /// delivery answers now.
    fn give_up(&mut self, key: Option<u128>, answers: Option<u64>) -> Option<u64> {
        let Some(key) = key else { return answers };
        let flight = self.in_flight.get_mut(&key);
        match flight.and_then(|flight| Some((flight.place, flight.waiters.pop()?))) {
            // It takes the place of its twin, so that later deliveries stay after it.
            Some((place, waiter)) => {
                let at = self.queue.partition_point(|(other, _)| *other < place);
                self.queue.insert(at, (place, Arrival { answers, ..waiter }));
                None
            }
            None => {
                self.in_flight.remove(&key);
                answers
            }
        }
    }

    /// Evicts the oldest accepted keys beyond the bound.
    fn forget_taken(&mut self) {
        while self.remembered() > self.memory && self.taken.pop_front().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    /// Returns an inbox whose only room is the read-ahead.
    fn inbox_of(read_ahead_bytes: usize, dedupe: usize, unsettled_bytes: usize) -> Inbox {
        let (host_queue, host_queue_bytes) = (1, 1);
        Inbox::new(&Limits {
            read_ahead_bytes,
            dedupe,
            unsettled_bytes,
            host_queue,
            host_queue_bytes,
            ..Limits::default()
        })
    }

    const A: Conn = Conn(1);
    const B: Conn = Conn(2);

    fn origin(buffer: Option<&str>, conn: Conn) -> Origin {
        buffer.map_or(Origin::Live(conn), |id| Origin::Buffer(conn, id.into()))
    }

    fn arrival(key: u128, buffer: Option<&str>, conn: Conn) -> Arrival {
        let content = Content::Message(Box::new(Event::read("{}").unwrap()));
        Arrival { content, answers: None, key: (key > 0).then_some(key), origin: origin(buffer, conn) }
    }

    /// Returns an event of a webhook request, with this key or without a key.
    fn posted(key: u128, id: u64) -> Arrival {
        Arrival { origin: Origin::Http(HttpId(id)), ..arrival(key, None, A) }
    }

    fn arrive(inbox: &mut Inbox, arrival: Arrival) -> Arrived {
        inbox.arrive(arrival, None)
    }

    fn acked(taken: &[Origin]) -> Vec<(u32, &str)> {
        let entries = taken.iter().filter_map(|origin| match origin {
            Origin::Buffer(conn, id) => Some((conn.0, &**id)),
            Origin::Live(_) | Origin::Http(_) => None,
        });
        entries.collect()
    }

    #[test]
    fn a_4_an_accepted_duplicate_is_acknowledged_others_wait() {
        let mut inbox = inbox_of(1 << 20, 4, 1000);
        let mut acks = Vec::new();
        assert_eq!(arrive(&mut inbox, arrival(1, Some("a"), A)), Arrived::Queued);
        assert_eq!(arrive(&mut inbox, arrival(1, Some("b"), A)), Arrived::Waits);
        let id = inbox.poll(None, &mut acks).unwrap().id;
        assert_eq!(arrive(&mut inbox, arrival(1, Some("c"), B)), Arrived::Waits);
        assert!(inbox.poll(None, &mut acks).is_none());
        inbox.settle(id, Outcome::Accepted, &mut acks);
        assert_eq!(acked(&acks), [(1, "a"), (1, "b"), (2, "c")]);
        assert_eq!(arrive(&mut inbox, arrival(1, Some("d"), B)), Arrived::Duplicate(origin(Some("d"), B)));
        assert_eq!(arrive(&mut inbox, arrival(1, None, B)), Arrived::Duplicate(Origin::Live(B)));
        assert_eq!(inbox.bytes, 0);
    }

    #[test]
    fn a_4_when_the_twin_is_refused_the_newest_waiter_is_delivered() {
        let mut inbox = inbox_of(1 << 20, 16, 1000);
        let mut acks = Vec::new();
        arrive(&mut inbox, arrival(1, Some("a"), A));
        let id = inbox.poll(None, &mut acks).unwrap().id;
        for n in 0..8 {
            assert_eq!(arrive(&mut inbox, arrival(1, Some(&format!("w{n}")), A)), Arrived::Waits);
        }
        assert_eq!(
            arrive(&mut inbox, arrival(1, Some("ninth"), A)),
            Arrived::Dropped(origin(Some("ninth"), A))
        );
        let settled = inbox.settle(id, Outcome::Refused, &mut acks);
        assert_eq!(settled.refused, Some(origin(Some("a"), A)));
        let id = inbox.poll(None, &mut acks).unwrap().id;
        inbox.settle(id, Outcome::Accepted, &mut acks);
        assert_eq!(acked(&acks)[0], (1, "w7"));
        assert_eq!(acks.len(), 8);
    }

    #[test]
    fn a_4_refused_is_forgotten_and_live_is_accepted_on_receipt() {
        let mut inbox = inbox_of(1 << 20, 16, 1000);
        let mut acks = Vec::new();
        arrive(&mut inbox, arrival(1, Some("a"), A));
        let id = inbox.poll(None, &mut acks).unwrap().id;
        inbox.settle(id, Outcome::Refused, &mut acks);
        assert_eq!(arrive(&mut inbox, arrival(1, Some("again"), B)), Arrived::Queued);

        assert_eq!(arrive(&mut inbox, arrival(2, None, A)), Arrived::Queued);
        inbox.poll(None, &mut acks);
        let live = inbox.poll(None, &mut acks).unwrap();
        assert_eq!(arrive(&mut inbox, arrival(2, Some("x"), B)), Arrived::Duplicate(origin(Some("x"), B)));
        inbox.settle(live.id, Outcome::Refused, &mut acks);
        assert_eq!(arrive(&mut inbox, arrival(2, Some("x"), B)), Arrived::Queued);
        assert!(acks.is_empty());
    }

    #[test]
    fn a_4_memory_is_bounded_and_keeps_deliveries_in_flight() {
        let mut inbox = inbox_of(1 << 20, 3, 1000);
        let mut acks = Vec::new();
        arrive(&mut inbox, arrival(1, Some("held"), A));
        inbox.poll(None, &mut acks);
        for key in 2..10 {
            arrive(&mut inbox, arrival(key, None, A));
            inbox.poll(None, &mut acks);
        }
        assert_eq!(inbox.in_flight.len() + inbox.taken.len(), 3);
        assert_eq!(arrive(&mut inbox, arrival(1, None, A)), Arrived::Waits);
        assert_eq!(arrive(&mut inbox, arrival(9, None, A)), Arrived::Duplicate(Origin::Live(A)));
        assert_eq!(arrive(&mut inbox, arrival(7, None, A)), Arrived::Queued);
        assert!(!inbox.is_full());
        arrive(&mut inbox, arrival(11, None, A));
        assert!(inbox.is_full());
    }

    #[test]
    fn a_6_the_read_ahead_is_bounded_by_bytes() {
        let mut inbox = inbox_of(2 * Event::read("{}").unwrap().weight(), 100, 1000);
        arrive(&mut inbox, arrival(0, None, A));
        assert!(!inbox.is_full());
        arrive(&mut inbox, arrival(0, None, A));
        assert!(inbox.is_full());
        assert!(inbox.poll(None, &mut Vec::new()).is_some());
        assert!(!inbox.is_full());
    }

    #[test]
    fn l_17_early_events_wait_and_drop_with_a_failed_handshake() {
        let mut inbox = inbox_of(1 << 20, 100, 1000);
        let mut acks = Vec::new();
        arrive(&mut inbox, arrival(1, None, A));
        arrive(&mut inbox, arrival(2, Some("b"), B));
        assert!(inbox.poll(Some(B), &mut acks).is_some());
        assert!(inbox.poll(Some(B), &mut acks).is_none());
        assert_eq!(inbox.drop_early(B, &mut Vec::new()), 1);
        assert_eq!(arrive(&mut inbox, arrival(2, Some("b"), B)), Arrived::Queued);
        assert!(inbox.poll(None, &mut acks).is_some_and(|delivery| delivery.buffered));
    }

    #[test]
    fn h_6_a_webhook_event_needs_no_handshake_and_times_out() {
        let mut inbox = inbox_of(1 << 20, 100, 1000);
        let mut taken = Vec::new();
        arrive(&mut inbox, arrival(1, None, B));
        arrive(&mut inbox, posted(2, 1));
        arrive(&mut inbox, arrival(3, None, B));
        let first = inbox.poll(Some(B), &mut taken).unwrap();
        assert!(!first.buffered && inbox.poll(Some(B), &mut taken).is_none());
        assert_eq!(inbox.drop_early(B, &mut Vec::new()), 2);
        // Its duplicate waits. The time of both is up, but the host may still accept the first.
        assert_eq!(arrive(&mut inbox, posted(2, 2)), Arrived::Waits);
        assert!(matches!(inbox.abandon(HttpId(2)), Abandoned::Delivered));
        assert!(matches!(inbox.abandon(HttpId(1)), Abandoned::Delivered));
        assert_eq!(inbox.bytes, 0);
        inbox.settle(first.id, Outcome::Accepted, &mut taken);
        assert_eq!(taken, [Origin::Http(HttpId(1))]);
        assert_eq!(arrive(&mut inbox, posted(2, 3)), Arrived::Duplicate(Origin::Http(HttpId(3))));
        // The host has not seen one that still waits for it. Its duplicate takes its place.
        arrive(&mut inbox, posted(4, 4));
        arrive(&mut inbox, posted(4, 5));
        assert!(matches!(inbox.abandon(HttpId(4)), Abandoned::Unseen { unanswered: None }));
        let second = inbox.poll(None, &mut taken).unwrap();
        let settled = inbox.settle(second.id, Outcome::Refused, &mut taken);
        assert_eq!((settled.refused, taken.len()), (Some(Origin::Http(HttpId(5))), 1));
        assert!(inbox.poll(None, &mut taken).is_none());
    }
}
