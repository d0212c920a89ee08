//! Deliveries for the host: the queue of the host, duplicates, and unsettled deliveries (A).
//!
//! A delivery is *in flight* from its arrival until the host has settled it, and *accepted* once the host has accepted
//! it. It is *unsettled* while the host has it and has not settled it. A delivery with the key of one in flight is a
//! *waiting duplicate*.
//!
//! The keys of deliveries in flight and of accepted ones are remembered. Those in flight are never evicted; of the
//! accepted ones the oldest is.

use crate::config::Limits;
use crate::hash::{Index, Table, table};
use crate::output::{Conn, Content, Delivery, DeliveryId, HttpId, Outcome};
use std::collections::VecDeque;
use std::mem;

/// Maximum number of duplicates that wait for one delivery in flight.
const MAX_DUPLICATES: usize = 8;

/// Number of deliveries for which an empty queue keeps memory.
const KEPT_BY_QUEUE: usize = 4;

/// Origin of a delivery: the place where it is acknowledged or answered.
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
    /// Returns the connection on which the delivery arrived, if any.
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
    /// Number of the prompt that the event answers. The prompt is reopened if the host refuses the answer (I-3).
    pub(crate) answers: Option<u64>,
    /// Key that duplicates have in common; `None` if the event cannot have duplicates.
    pub(crate) key: Option<u128>,
    pub(crate) origin: Origin,
    /// Bytes of the content and of the entry's id.
    weight: usize,
}

impl Arrival {
    pub(crate) fn new(content: Content, answers: Option<u64>, key: Option<u128>, origin: Origin) -> Arrival {
        let weight = content.weight() + origin.weight();
        Arrival { content, answers, key, origin, weight }
    }
}

/// Result of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// The event waits for the host.
    Queued,
    /// The event is a duplicate of a delivery in flight, and waits until that delivery is settled.
    Waits,
    /// The event is one more duplicate than can wait.
    Dropped(Origin),
    /// The event is a duplicate of an accepted delivery, and can be acknowledged.
    Duplicate(Origin),
}

/// State of a webhook request's delivery when the request timed out.
#[derive(Debug)]
pub(crate) enum Abandoned {
    /// The host has not received the delivery, and will not.
    Unseen {
        /// Prompt to reopen, because no delivery answers it now.
        unanswered: Option<u64>,
    },
    /// The host has received the delivery or the one that it duplicates, and may still accept it.
    Delivered,
}

/// Result of a settlement.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// False if there is no such delivery, or if it was settled before.
    pub(crate) is_known: bool,
    /// Origin of the refused delivery, if its sender waits.
    pub(crate) refused: Option<Origin>,
    /// Prompt to reopen, because its answer was refused.
    pub(crate) unanswered: Option<u64>,
}

/// Queued delivery.
#[derive(Debug)]
struct Queued {
    /// Place in the order of arrival, by which the queue is ordered.
    place: u64,
    arrival: Arrival,
}

/// Delivery with a key, in flight.
#[derive(Debug)]
struct InFlight {
    /// Place in the order of arrival. A duplicate that replaces the delivery inherits it.
    place: u64,
    /// Duplicates that wait until the delivery is settled, the oldest first.
    duplicates: Vec<Arrival>,
}

/// Delivery that the host has and has not settled, and whose sender waits. Its content is not kept.
#[derive(Debug)]
struct Unsettled {
    key: Option<u128>,
    answers: Option<u64>,
    origin: Origin,
    /// Bytes of the content and of the entry's id.
    weight: usize,
}

/// Live delivery that the host has, and may still refuse.
#[derive(Debug)]
struct LiveDelivery {
    key: Option<u128>,
    answers: Option<u64>,
}

/// Deliveries for the host, from their arrival to their settlement.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Deliveries that wait for the host.
    queue: VecDeque<Queued>,
    /// Place of the next delivery in the order of arrival.
    next_place: u64,
    /// Bytes of the queue and of the waiting duplicates.
    bytes: usize,
    /// Deliveries in flight, by key.
    in_flight: Index<InFlight>,
    /// Bytes of events that arrived on the current connection before its handshake completed.
    early_bytes: usize,
    /// Number of keys of these events.
    early_keys: usize,
    /// Keys of accepted deliveries, the oldest first.
    accepted: Table<u128, ()>,
    /// Unsettled deliveries whose senders wait, by id.
    unsettled: Table<u64, Unsettled>,
    /// Bytes of the unsettled deliveries whose senders wait.
    unsettled_bytes: usize,
    /// Live deliveries that the host may still refuse, by id, the oldest first.
    live: Table<u64, LiveDelivery>,
    /// Id of the last live delivery that was evicted from `live`; 0 if there is none. It is not known whether an older
    /// one was settled.
    last_evicted: u64,
    /// Id of the last delivery that the host received; 0 if there is none.
    last_id: u64,
    /// Bytes of waiting events that are read even if the queue has no room.
    read_ahead_bytes: usize,
    /// Maximum number of queued deliveries, unless they are within the read-ahead.
    max_queued: usize,
    /// Maximum number of bytes of the queue and the waiting duplicates. The last event may exceed it.
    max_queued_bytes: usize,
    /// Maximum number of remembered keys, of unsettled deliveries, and of live deliveries that can be refused.
    max_remembered: usize,
    /// Maximum number of bytes of unsettled deliveries. The last delivery may exceed it.
    max_unsettled_bytes: usize,
}

impl Inbox {
    /// Creates an empty inbox. Limits are raised to one, since a limit of zero would block it for good.
    pub(crate) fn new(limits: &Limits) -> Self {
        Inbox {
            queue: VecDeque::new(),
            next_place: 0,
            bytes: 0,
            in_flight: Index::new(),
            early_bytes: 0,
            early_keys: 0,
            accepted: table(),
            unsettled: table(),
            unsettled_bytes: 0,
            live: table(),
            last_evicted: 0,
            last_id: 0,
            read_ahead_bytes: limits.read_ahead_bytes.max(1),
            max_queued: limits.host_queue.max(1),
            max_queued_bytes: limits.host_queue_bytes.max(1),
            max_remembered: limits.dedupe.max(1),
            max_unsettled_bytes: limits.unsettled_bytes.max(1),
        }
    }

    /// Returns true if the queue is below its own limits. [`is_full`](Inbox::is_full) applies further ones.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < self.max_queued && self.bytes < self.max_queued_bytes
    }

    /// Returns true if no further event can be accepted, so that reading must stop.
    ///
    /// Waiting events and unsettled deliveries share the larger of their two limits in bytes. While fewer bytes wait
    /// than the read-ahead, only a full memory of keys stops reading: the host may wait for a result that comes after
    /// the events.
    pub(crate) fn is_full(&self) -> bool {
        let budget = self.max_queued_bytes.max(self.max_unsettled_bytes);
        let has_room = self.has_room() && self.bytes + self.unsettled_bytes < budget;
        (!has_room && self.bytes >= self.read_ahead_bytes) || self.in_flight.len() >= self.max_remembered
    }

    /// Returns true if no further event can be read before the handshake completes. Events of earlier connections do
    /// not count, since they must not keep the descriptor from being read.
    pub(crate) fn is_full_early(&self) -> bool {
        self.early_bytes >= self.read_ahead_bytes || self.early_keys >= self.max_remembered
    }

    /// Starts a connection on which nothing has arrived yet.
    pub(crate) fn begin_connection(&mut self) {
        self.early_bytes = 0;
        self.early_keys = 0;
    }

    /// Adds an arrival. `early` is the connection whose handshake is not complete, if any.
    pub(crate) fn arrive(&mut self, arrival: Arrival, early: Option<Conn>) -> Arrived {
        let is_early = early.is_some() && arrival.origin.conn() == early;
        let early_bytes = if is_early { arrival.weight } else { 0 };
        if let Some(key) = arrival.key {
            if self.accepted.contains_key(&key) {
                return Arrived::Duplicate(arrival.origin);
            }
            if let Some(InFlight { duplicates, .. }) = self.in_flight.get_mut(key) {
                if duplicates.len() >= MAX_DUPLICATES {
                    return Arrived::Dropped(arrival.origin);
                }
                self.bytes += arrival.weight;
                self.early_bytes += early_bytes;
                duplicates.push(arrival);
                return Arrived::Waits;
            }
            self.in_flight.insert(key, InFlight { place: self.next_place, duplicates: Vec::new() });
            self.early_keys += usize::from(is_early);
            self.evict_accepted();
        }
        self.bytes += arrival.weight;
        self.early_bytes += early_bytes;
        self.queue.push_back(Queued { place: self.next_place, arrival });
        self.next_place += 1;
        Arrived::Queued
    }

    /// Returns the index in the queue of the next delivery for the host; `None` if the host cannot get one now.
    fn next_index(&self, early: Option<Conn>) -> Option<usize> {
        let index = match early {
            None => 0,
            Some(_) => self.queue.iter().position(|queued| queued.arrival.origin.conn() != early)?,
        };
        let next = self.queue.get(index)?;
        let is_at_limit =
            self.unsettled.len() >= self.max_remembered || self.unsettled_bytes >= self.max_unsettled_bytes;
        // A live delivery does not add to the unsettled ones.
        let is_live = matches!(next.arrival.origin, Origin::Live(_));
        (is_live || !is_at_limit).then_some(index)
    }

    /// Returns true if [`poll`](Inbox::poll) has a delivery for the host.
    pub(crate) fn has_next(&self, early: Option<Conn>) -> bool {
        self.next_index(early).is_some()
    }

    /// Returns the next delivery for the host. A live delivery counts as accepted from now on; the origins of its
    /// duplicates are added to `to_acknowledge`.
    ///
    /// `early` is the connection whose handshake is not complete, if any. Its events wait (L-17), but do not block
    /// webhook requests.
    pub(crate) fn poll(&mut self, early: Option<Conn>, to_acknowledge: &mut Vec<Origin>) -> Option<Delivery> {
        let index = self.next_index(early)?;
        let Queued { arrival, .. } = self.queue.remove(index)?;
        if self.queue.is_empty() {
            // A burst must not leave memory that the next single event does not need.
            self.queue.shrink_to(KEPT_BY_QUEUE);
        }
        let Arrival { content, answers, key, origin, weight } = arrival;
        self.bytes -= weight;
        self.last_id += 1;
        let buffered = matches!(origin, Origin::Buffer(..));
        match origin {
            Origin::Buffer(..) | Origin::Http(_) => {
                self.unsettled_bytes += weight;
                self.unsettled.insert(self.last_id, Unsettled { key, answers, origin, weight });
            }
            Origin::Live(_) => {
                if let Some(key) = key {
                    self.accept(key, to_acknowledge);
                }
                if self.live.len() >= self.max_remembered
                    && let Some((oldest, _)) = self.live.pop_front()
                {
                    self.last_evicted = oldest;
                }
                self.live.insert(self.last_id, LiveDelivery { key, answers });
            }
        }
        Some(Delivery { id: DeliveryId(self.last_id), buffered, content })
    }

    /// Settles a delivery. Origins that can be acknowledged now are added to `to_acknowledge`.
    pub(crate) fn settle(
        &mut self,
        id: DeliveryId,
        outcome: Outcome,
        to_acknowledge: &mut Vec<Origin>,
    ) -> Settled {
        if let Some(unsettled) = self.unsettled.remove(&id.0) {
            self.settle_unsettled(unsettled, outcome, to_acknowledge)
        } else if let Some(live) = self.live.remove(&id.0) {
            self.settle_live(live, outcome)
        } else {
            // The id may be that of an evicted live delivery, which needs no settlement.
            Settled { is_known: (1..=self.last_evicted).contains(&id.0), ..Settled::default() }
        }
    }

    fn settle_unsettled(
        &mut self,
        unsettled: Unsettled,
        outcome: Outcome,
        to_acknowledge: &mut Vec<Origin>,
    ) -> Settled {
        let Unsettled { key, answers, origin, weight } = unsettled;
        self.unsettled_bytes -= weight;
        match outcome {
            Outcome::Accepted => {
                to_acknowledge.push(origin);
                if let Some(key) = key {
                    self.accept(key, to_acknowledge);
                }
                Settled { is_known: true, ..Settled::default() }
            }
            Outcome::Refused => {
                let unanswered = self.replace_or_forget(key, answers);
                Settled { is_known: true, refused: Some(origin), unanswered }
            }
        }
    }

    fn settle_live(&mut self, live: LiveDelivery, outcome: Outcome) -> Settled {
        let settled = Settled { is_known: true, ..Settled::default() };
        match outcome {
            Outcome::Accepted => settled,
            Outcome::Refused => {
                if let Some(key) = live.key {
                    self.accepted.remove(&key);
                }
                Settled { unanswered: live.answers, ..settled }
            }
        }
    }

    /// Returns the number of queued deliveries, without the waiting duplicates.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Returns the bytes of the queued deliveries, without the waiting duplicates. O(n).
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.iter().map(|queued| queued.arrival.weight).sum()
    }

    /// Returns the number of queued deliveries and waiting duplicates.
    pub(crate) fn waiting(&self) -> usize {
        let duplicates = self.in_flight.values().map(|in_flight| in_flight.duplicates.len());
        self.queue.len() + duplicates.sum::<usize>()
    }

    /// Returns the bytes of the queued deliveries and waiting duplicates.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the bytes that arrived on the current connection before its handshake completed.
    pub(crate) fn early_bytes(&self) -> usize {
        self.early_bytes
    }

    /// Returns the number of unsettled deliveries whose senders wait.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// Returns the bytes of the unsettled deliveries whose senders wait.
    pub(crate) fn unsettled_bytes(&self) -> usize {
        self.unsettled_bytes
    }

    /// Returns the number of remembered keys.
    pub(crate) fn remembered(&self) -> usize {
        self.in_flight.len() + self.accepted.len()
    }

    /// Returns a new number for a delivery that the host has from an earlier process.
    pub(crate) fn take_number(&mut self) -> DeliveryId {
        self.last_id += 1;
        DeliveryId(self.last_id)
    }

    /// Returns the id of an unsettled delivery's entry in the connector's buffer; `None` if it has none.
    pub(crate) fn entry(&self, id: DeliveryId) -> Option<&str> {
        match &self.unsettled.get(&id.0)?.origin {
            Origin::Buffer(_, id) => Some(id),
            Origin::Live(_) | Origin::Http(_) => None,
        }
    }

    /// Removes the delivery of a webhook request that timed out, unless the host has received it.
    pub(crate) fn abandon(&mut self, id: HttpId) -> Abandoned {
        let is_of_request = |arrival: &Arrival| arrival.origin == Origin::Http(id);
        let index = self.queue.iter().position(|queued| is_of_request(&queued.arrival));
        if let Some(Queued { arrival, .. }) = index.and_then(|index| self.queue.remove(index)) {
            self.bytes -= arrival.weight;
            return Abandoned::Unseen { unanswered: self.replace_or_forget(arrival.key, arrival.answers) };
        }
        // Only one duplicate is of the request.
        for InFlight { duplicates, .. } in self.in_flight.values_mut() {
            if let Some(index) = duplicates.iter().position(is_of_request) {
                let Arrival { weight, key, .. } = duplicates.remove(index);
                self.bytes -= weight;
                // If the other delivery with this key is still queued, the host has received neither.
                if self.queue.iter().any(|queued| queued.arrival.key == key) {
                    return Abandoned::Unseen { unanswered: None };
                }
                break;
            }
        }
        Abandoned::Delivered
    }

    /// Returns true if a delivery with this key was accepted.
    pub(crate) fn has_accepted(&self, key: u128) -> bool {
        self.accepted.contains_key(&key)
    }

    /// Returns true if a delivery with this key is in flight or accepted. Another one is a duplicate then.
    pub(crate) fn knows(&self, key: u128) -> bool {
        self.accepted.contains_key(&key) || self.in_flight.contains_key(key)
    }

    /// Returns true if buffered deliveries of `conn` are queued or unsettled.
    pub(crate) fn has_unsettled(&self, conn: Conn) -> bool {
        let is_entry = |origin: &Origin| matches!(origin, Origin::Buffer(on, _) if *on == conn);
        self.unsettled.values().any(|unsettled| is_entry(&unsettled.origin))
            || self.queue.iter().any(|queued| is_entry(&queued.arrival.origin))
    }

    /// Drops the events of a connection whose handshake failed (L-17), and returns their number. The prompts that they
    /// answered are added to `unanswered`.
    pub(crate) fn drop_early(&mut self, conn: Conn, unanswered: &mut Vec<u64>) -> u64 {
        // Duplicates are dropped first, so that none of them replaces a delivery that is dropped, too.
        let mut dropped = self.drop_duplicates(|origin| origin.conn() == Some(conn));
        // A duplicate that has replaced a refused delivery has inherited its place, so early events may be anywhere.
        let (early, others): (VecDeque<Queued>, VecDeque<Queued>) = mem::take(&mut self.queue)
            .into_iter()
            .partition(|queued| queued.arrival.origin.conn() == Some(conn));
        self.queue = others;
        for Queued { arrival, .. } in early {
            self.bytes -= arrival.weight;
            unanswered.extend(self.replace_or_forget(arrival.key, arrival.answers));
            dropped += 1;
        }
        dropped
    }

    /// Drops waiting duplicates that came from the buffer on `conn`, which has ended, and returns their number. They
    /// cannot be acknowledged there, and their entries are redelivered.
    pub(crate) fn drop_buffered_duplicates(&mut self, conn: Conn) -> u64 {
        self.drop_duplicates(|origin| matches!(origin, Origin::Buffer(on, _) if *on == conn))
    }

    /// Drops waiting duplicates by their origin, and returns their number.
    fn drop_duplicates(&mut self, is_dropped: impl Fn(&Origin) -> bool) -> u64 {
        let mut dropped = 0;
        for InFlight { duplicates, .. } in self.in_flight.values_mut() {
            for duplicate in duplicates.extract_if(.., |duplicate| is_dropped(&duplicate.origin)) {
                self.bytes -= duplicate.weight;
                dropped += 1;
            }
        }
        dropped
    }

    /// Drops all queued deliveries and waiting duplicates, since the relay has ended, and returns their number.
    pub(crate) fn clear(&mut self) -> u64 {
        let dropped = self.waiting();
        self.queue.clear();
        self.in_flight.clear();
        self.bytes = 0;
        dropped as u64
    }

    /// Marks a key as accepted. The origins of its waiting duplicates are added to `to_acknowledge`.
    fn accept(&mut self, key: u128, to_acknowledge: &mut Vec<Origin>) {
        for duplicate in self.in_flight.remove(key).into_iter().flat_map(|in_flight| in_flight.duplicates) {
            self.bytes -= duplicate.weight;
            to_acknowledge.push(duplicate.origin);
        }
        self.accepted.insert(key, ());
        self.evict_accepted();
    }

    /// Replaces a refused or dropped delivery by its newest waiting duplicate, which inherits the answered prompt.
    /// Without a duplicate it forgets the key, and returns the prompt, which no delivery answers now.
    fn replace_or_forget(&mut self, key: Option<u128>, answers: Option<u64>) -> Option<u64> {
        let Some(key) = key else { return answers };
        let newest = self.in_flight.get_mut(key).and_then(|in_flight| {
            let duplicate = in_flight.duplicates.pop()?;
            Some(Queued { place: in_flight.place, arrival: Arrival { answers, ..duplicate } })
        });
        match newest {
            // Later deliveries stay after it.
            Some(newest) => {
                let index = self.queue.partition_point(|other| other.place < newest.place);
                self.queue.insert(index, newest);
                None
            }
            None => {
                self.in_flight.remove(key);
                answers
            }
        }
    }

    /// Evicts the oldest accepted keys beyond the limit.
    fn evict_accepted(&mut self) {
        while self.remembered() > self.max_remembered && self.accepted.pop_front().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    /// Returns an inbox with room for its read-ahead only.
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
        Arrival::new(content, None, (key > 0).then_some(key), origin(buffer, conn))
    }

    /// Returns an event of a webhook request. A `key` of zero is none.
    fn posted(key: u128, id: u64) -> Arrival {
        Arrival { origin: Origin::Http(HttpId(id)), ..arrival(key, None, A) }
    }

    fn arrive(inbox: &mut Inbox, arrival: Arrival) -> Arrived {
        inbox.arrive(arrival, None)
    }

    fn acked(origins: &[Origin]) -> Vec<(u32, &str)> {
        let entries = origins.iter().filter_map(|origin| match origin {
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
    fn a_4_after_a_refusal_the_newest_duplicate_is_delivered() {
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
        assert_eq!(inbox.in_flight.len() + inbox.accepted.len(), 3);
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
        let mut acks = Vec::new();
        arrive(&mut inbox, arrival(1, None, B));
        arrive(&mut inbox, posted(2, 1));
        arrive(&mut inbox, arrival(3, None, B));
        let first = inbox.poll(Some(B), &mut acks).unwrap();
        assert!(!first.buffered && inbox.poll(Some(B), &mut acks).is_none());
        assert_eq!(inbox.drop_early(B, &mut Vec::new()), 2);
        // A duplicate waits. Both requests time out, but the host may still accept the first.
        assert_eq!(arrive(&mut inbox, posted(2, 2)), Arrived::Waits);
        assert!(matches!(inbox.abandon(HttpId(2)), Abandoned::Delivered));
        assert!(matches!(inbox.abandon(HttpId(1)), Abandoned::Delivered));
        assert_eq!(inbox.bytes, 0);
        inbox.settle(first.id, Outcome::Accepted, &mut acks);
        assert_eq!(acks, [Origin::Http(HttpId(1))]);
        assert_eq!(arrive(&mut inbox, posted(2, 3)), Arrived::Duplicate(Origin::Http(HttpId(3))));
        // The host has not received the first of these, which times out. Its duplicate replaces it.
        arrive(&mut inbox, posted(4, 4));
        arrive(&mut inbox, posted(4, 5));
        assert!(matches!(inbox.abandon(HttpId(4)), Abandoned::Unseen { unanswered: None }));
        let second = inbox.poll(None, &mut acks).unwrap();
        let settled = inbox.settle(second.id, Outcome::Refused, &mut acks);
        assert_eq!((settled.refused, acks.len()), (Some(Origin::Http(HttpId(5))), 1));
        assert!(inbox.poll(None, &mut acks).is_none());
        assert_eq!((inbox.bytes, inbox.unsettled_bytes), (0, 0));
    }

    /// Webhook requests during a handshake do not delay the descriptor.
    #[test]
    fn h_6_a_webhook_delivery_is_not_an_early_event() {
        let mut inbox = inbox_of(1, 100, 1000);
        inbox.begin_connection();
        inbox.arrive(posted(1, 1), Some(B));
        assert!(!inbox.is_full_early());
        inbox.arrive(arrival(2, None, B), Some(B));
        assert!(inbox.is_full_early());
        inbox.begin_connection();
        assert!(!inbox.is_full_early());
    }

    #[test]
    fn a_4_dropped_deliveries_take_no_room() {
        let mut inbox = inbox_of(1 << 20, 100, 1000);
        arrive(&mut inbox, arrival(1, Some("a"), A));
        for entry in ["b", "c"] {
            assert_eq!(arrive(&mut inbox, arrival(1, Some(entry), B)), Arrived::Waits);
        }
        assert_eq!(inbox.drop_buffered_duplicates(B), 2);
        assert_eq!((inbox.waiting(), inbox.bytes), (1, arrival(1, Some("a"), A).weight));
        assert_eq!(inbox.drop_early(A, &mut Vec::new()), 1);
        assert_eq!((inbox.waiting(), inbox.bytes), (0, 0));
    }

    /// A host may settle every delivery. Only an unknown delivery is the host's mistake.
    #[test]
    fn a_4_an_evicted_live_delivery_can_be_settled() {
        let mut inbox = inbox_of(1 << 20, 2, 1000);
        let mut acks = Vec::new();
        for key in 1..=4 {
            arrive(&mut inbox, arrival(key, None, A));
            inbox.poll(None, &mut acks);
        }
        for (id, known) in [(0, false), (1, true), (2, true), (3, true), (3, false), (4, true), (5, false)] {
            assert_eq!(inbox.settle(DeliveryId(id), Outcome::Accepted, &mut acks).is_known, known, "{id}");
        }
    }
}
