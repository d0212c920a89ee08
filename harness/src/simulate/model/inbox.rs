//! The inbox: order of deliveries, and entries that may be acknowledged (A).

use super::posts::Posts;
use super::sessions::ModelSession;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Maximum number of duplicates that wait for one delivery in flight.
pub(super) const MAX_DUPLICATES: usize = 8;

/// An item for the host that came over a connection or as a webhook request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct InboundItem {
    /// Serial number; `None` if the workload did not make the item.
    pub(crate) serial: Option<u64>,
    pub(crate) chat: String,
    /// Id of the author.
    pub(crate) user: String,
    /// Expected session; `None` for a forward.
    pub(crate) session: Option<ModelSession>,
    /// Key that identifies duplicates.
    pub(crate) key: Option<String>,
    /// Id of the connector's buffer entry.
    pub(crate) entry: Option<String>,
    /// Connection; 0 for a webhook request.
    pub(crate) conn: u32,
    /// Webhook request whose sender waits for a response (H-6).
    pub(crate) post: Option<u64>,
    /// Prompt that it answers.
    pub(crate) answers: Option<String>,
    /// True for an answer to a prompt, including a duplicate that answers nothing itself.
    pub(crate) is_answer: bool,
    /// Position in the order of arrival. A duplicate that replaces an item inherits its position.
    pub(crate) place: u64,
}

impl InboundItem {
    /// Returns the platform and the id of the author.
    pub(super) fn author(&self) -> (&str, &str) {
        (self.chat.split_once(' ').map_or("", |(platform, _)| platform), &self.user)
    }
}

/// Outcome of an arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArrivalOutcome {
    Queued,
    Waits,
    Dropped,
    Duplicate,
}

/// A prompt that is open again.
pub(crate) type Unanswered = Option<String>;

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Items in the required order of delivery.
    pub(crate) waiting: VecDeque<InboundItem>,
    /// Items in flight by key: the position, and the waiting duplicates.
    flight: BTreeMap<String, (u64, Vec<InboundItem>)>,
    arrived: u64,
    /// Number of keys in flight from a connection without a complete handshake.
    pub(crate) early_keys: usize,
    accepted: BTreeSet<String>,
    accepted_order: VecDeque<String>,
    /// Buffered items that the host has not settled.
    pub(crate) handed: BTreeMap<u64, InboundItem>,
    /// Sizes of the unsettled items, by delivery.
    pub(crate) weights: BTreeMap<u64, usize>,
    /// Live items that the host may still refuse.
    live: BTreeMap<u64, InboundItem>,
    /// Entries that may be acknowledged, by connection.
    pub(crate) owed: BTreeMap<(u32, String), u32>,
    /// Serial numbers of items that a host has accepted, or that no host is to have.
    pub(crate) accounted_for: BTreeSet<u64>,
    memory: usize,
    pub(crate) posts: Posts,
    /// Connection on which acknowledgements can be written now.
    pub(crate) open: Option<u32>,
}

impl Inbox {
    pub(crate) fn new(memory: usize) -> Self {
        Inbox { memory, ..Inbox::default() }
    }

    /// Returns true if this key is in flight or accepted.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.accepted.contains(key) || self.flight.contains_key(key)
    }

    /// Adds an item. `early` is a connection without a complete handshake.
    pub(crate) fn arrive(&mut self, mut arrived: InboundItem, early: Option<u32>) -> ArrivalOutcome {
        self.arrived += 1;
        arrived.place = self.arrived;
        let Some(key) = &arrived.key else {
            self.waiting.push_back(arrived);
            return ArrivalOutcome::Queued;
        };
        if self.accepted.contains(key) {
            self.acknowledge(arrived.conn, arrived.entry, arrived.post);
            return ArrivalOutcome::Duplicate;
        }
        if let Some((_, duplicates)) = self.flight.get_mut(key) {
            if duplicates.len() >= MAX_DUPLICATES {
                if let Some(post) = arrived.post {
                    self.posts.set_status(post, 503);
                }
                return ArrivalOutcome::Dropped;
            }
            duplicates.push(arrived);
            return ArrivalOutcome::Waits;
        }
        self.flight.insert(key.clone(), (arrived.place, Vec::new()));
        self.early_keys += usize::from(Some(arrived.conn) == early);
        self.forget();
        self.waiting.push_back(arrived);
        ArrivalOutcome::Queued
    }

    /// Acknowledges the entry, or accepts the webhook request.
    pub(crate) fn acknowledge(&mut self, conn: u32, entry: Option<String>, post: Option<u64>) {
        self.owe(conn, entry);
        if let Some(post) = post {
            self.posts.set_status(post, 200);
        }
    }

    pub(crate) fn has_accepted(&self, key: &str) -> bool {
        self.accepted.contains(key)
    }

    /// Returns the number of items that wait for the host, or as duplicates.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len() + self.flight.values().map(|(_, duplicates)| duplicates.len()).sum::<usize>()
    }

    /// Returns the size of the unsettled items whose senders wait.
    pub(crate) fn unsettled_bytes(&self) -> usize {
        self.handed.keys().filter_map(|delivery| self.weights.get(delivery)).sum()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// Adds an acknowledgement for an entry, even if no host receives it.
    pub(crate) fn owe(&mut self, conn: u32, entry: Option<String>) {
        if let Some(entry) = entry.filter(|_| self.open == Some(conn)) {
            *self.owed.entry((conn, entry)).or_default() += 1;
        }
    }

    /// Removes the first item that waits in this chat, if it is the expected one. An item of a connection
    /// without a complete handshake does not hold up others (L-17).
    pub(crate) fn take_for_host(
        &mut self,
        delivery: u64,
        serial: Option<u64>,
        chat: &str,
        early: Option<u32>,
    ) -> Result<InboundItem, String> {
        let in_chat = |waiting: &InboundItem| waiting.chat == chat;
        let ready = self.waiting.iter().position(|waiting| in_chat(waiting) && Some(waiting.conn) != early);
        let Some(place) = ready.or_else(|| self.waiting.iter().position(in_chat)) else {
            return Err(format!("nothing waits in chat {chat:?}"));
        };
        if self.waiting[place].serial != serial {
            return Err(format!("{:?} waits in chat {chat:?} before it", self.waiting[place].serial));
        }
        let Some(arrived) = self.waiting.remove(place) else { return Err(String::new()) };
        if arrived.entry.is_some() || arrived.post.is_some() {
            self.handed.insert(delivery, arrived.clone());
        } else {
            if let Some(key) = &arrived.key {
                self.accept(&key.clone());
            }
            self.accounted_for.extend(arrived.serial);
            self.live.insert(delivery, arrived.clone());
            while self.live.len() > self.memory {
                self.live.pop_first();
            }
        }
        Ok(arrived)
    }

    /// Settles a delivery. Returns the prompt that a refused item answered.
    pub(crate) fn settle(&mut self, delivery: u64, is_accepted: bool) -> Unanswered {
        if let Some(arrived) = self.handed.remove(&delivery) {
            self.weights.remove(&delivery);
            if is_accepted {
                self.accounted_for.extend(arrived.serial);
                self.acknowledge(arrived.conn, arrived.entry, arrived.post);
                if let Some(key) = arrived.key {
                    self.accept(&key);
                }
                return None;
            }
            if let Some(post) = arrived.post {
                self.posts.set_status(post, 503);
            }
            return self.give_up(arrived.key, arrived.answers);
        }
        let arrived = self.live.remove(&delivery)?;
        if is_accepted {
            return None;
        }
        if let Some(key) = &arrived.key
            && self.accepted.remove(key)
        {
            self.accepted_order.retain(|accepted| accepted != key);
        }
        arrived.answers
    }

    /// Ends a connection. It can carry no acknowledgement any more. Items from before its handshake are dropped
    /// (L-17). Returns their number, and the prompts that they answered.
    pub(crate) fn end(&mut self, conn: u32, was_up: bool) -> (u64, Vec<String>) {
        self.owed.retain(|(of, _), _| *of != conn);
        self.early_keys = 0;
        if was_up {
            // Buffered duplicates are sent again, so they do not wait for an acknowledgement here.
            for (_, duplicates) in self.flight.values_mut() {
                duplicates.retain(|duplicate| duplicate.conn != conn || duplicate.entry.is_none());
            }
            return (0, Vec::new());
        }
        let mut dropped = 0;
        for (_, duplicates) in self.flight.values_mut() {
            let before = duplicates.len();
            duplicates.retain(|duplicate| duplicate.conn != conn);
            dropped += (before - duplicates.len()) as u64;
        }
        let (gone, kept): (VecDeque<InboundItem>, VecDeque<InboundItem>) =
            self.waiting.drain(..).partition(|arrived| arrived.conn == conn);
        self.waiting = kept;
        dropped += gone.len() as u64;
        let unanswered = gone.into_iter().filter_map(|gone| self.give_up(gone.key, gone.answers)).collect();
        (dropped, unanswered)
    }

    /// Abandons the item of a webhook request. Returns true if no host has received it, and the prompt that it
    /// answered.
    pub(crate) fn abandon(&mut self, post: u64) -> (bool, Unanswered) {
        let is_it = |arrived: &InboundItem| arrived.post == Some(post);
        if let Some(arrived) = self.waiting.iter().position(is_it).and_then(|at| self.waiting.remove(at)) {
            return (true, self.give_up(arrived.key, arrived.answers));
        }
        let doubled = self.flight.iter_mut().find(|(_, (_, duplicates))| duplicates.iter().any(is_it));
        let Some((key, (_, duplicates))) = doubled else { return (false, None) };
        duplicates.retain(|duplicate| !is_it(duplicate));
        // If the item in flight waits, no host has received it.
        (self.waiting.iter().any(|waiting| waiting.key.as_ref() == Some(key)), None)
    }

    /// Drops all items. Returns the number of those that the host never receives.
    pub(crate) fn clear(&mut self) -> u64 {
        let dropped = self.waiting();
        self.waiting.clear();
        self.flight.clear();
        dropped as u64
    }

    fn accept(&mut self, key: &str) {
        for duplicate in self.flight.remove(key).into_iter().flat_map(|(_, duplicates)| duplicates) {
            self.acknowledge(duplicate.conn, duplicate.entry, duplicate.post);
        }
        if !self.accepted.insert(key.to_owned()) {
            self.accepted_order.retain(|accepted| accepted != key);
        }
        self.accepted_order.push_back(key.to_owned());
        self.forget();
    }

    fn forget(&mut self) {
        while self.flight.len() + self.accepted.len() > self.memory {
            let Some(oldest) = self.accepted_order.pop_front() else { return };
            self.accepted.remove(&oldest);
        }
    }

    /// Puts the newest duplicate in the place of the item in flight, or forgets the key if there is none.
    fn give_up(&mut self, key: Option<String>, answers: Unanswered) -> Unanswered {
        let Some(key) = key else { return answers };
        let flight = self.flight.get_mut(&key);
        match flight.and_then(|(place, duplicates)| Some((*place, duplicates.pop()?))) {
            Some((place, duplicate)) => {
                let before = self.waiting.iter().filter(|waiting| waiting.place < place).count();
                self.waiting.insert(before, InboundItem { answers, place, ..duplicate });
                None
            }
            None => {
                self.flight.remove(&key);
                answers
            }
        }
    }
}
