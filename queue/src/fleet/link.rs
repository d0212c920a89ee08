//! Items in order over a bus that loses frames: each has a number, and is sent again until the other side has it.

use super::frame::MAX_BYTES;
use relayline_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Maximum number of items that are sent and not acknowledged.
const WINDOW: u64 = 64;

/// Time without progress after which they are sent again.
const RESEND_AFTER: Duration = Duration::from_millis(500);

/// Both directions between a leader and one worker.
#[derive(Debug)]
pub(super) struct Link<I> {
    /// Items that are not acknowledged, in order. The first has the number `acknowledged + 1`.
    items: VecDeque<(I, Vec<u8>)>,
    acknowledged: u64,
    /// Last item that was sent, since the last time that everything was sent again.
    sent: u64,
    /// Last item that was ever sent.
    most_sent: u64,
    /// Time of the last progress.
    progress: Time,
    /// Last item that was received.
    got: u64,
    owes_acknowledgement: bool,
    resent: u64,
}

/// Item with its number, to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgoing<I> {
    pub(super) seq: u64,
    /// Last item that was received.
    pub(super) got: u64,
    pub(super) item: I,
    pub(super) bytes: Vec<u8>,
}

impl<I: Clone> Link<I> {
    pub(super) fn new(now: Time) -> Link<I> {
        Link {
            items: VecDeque::new(),
            acknowledged: 0,
            sent: 0,
            most_sent: 0,
            progress: now,
            got: 0,
            owes_acknowledgement: false,
            resent: 0,
        }
    }

    /// Adds an item. The caller bounds their number.
    pub(super) fn push(&mut self, item: I) {
        self.push_with(item, Vec::new());
    }

    /// Adds an item with bytes. The caller bounds their number and their length.
    pub(super) fn push_with(&mut self, item: I, bytes: Vec<u8>) {
        self.items.push_back((item, bytes));
    }

    /// Adds an agent's bytes, in pieces. `item` makes the item of each.
    pub(super) fn push_bytes(&mut self, bytes: &[u8], item: impl Fn() -> I) {
        for piece in bytes.chunks(MAX_BYTES) {
            self.push_with(item(), piece.to_vec());
        }
    }

    /// Returns the next item to send.
    pub(super) fn next(&mut self, now: Time) -> Option<Outgoing<I>> {
        let ahead = self.sent - self.acknowledged;
        if ahead >= WINDOW {
            return None;
        }
        let (item, bytes) = self.items.get(usize::try_from(ahead).ok()?)?.clone();
        if ahead == 0 {
            self.progress = now;
        }
        self.sent += 1;
        self.resent += u64::from(self.sent <= self.most_sent);
        self.most_sent = self.most_sent.max(self.sent);
        self.owes_acknowledgement = false;
        Some(Outgoing { seq: self.sent, got: self.got, item, bytes })
    }

    /// Returns true if this item is the next one, and notes it. Others were received before, or come again.
    pub(super) fn receive(&mut self, seq: u64) -> bool {
        self.owes_acknowledgement = true;
        let is_next = seq == self.got + 1;
        self.got += u64::from(is_next);
        is_next
    }

    /// Handles the number of the last item that the other side has.
    pub(super) fn acknowledge(&mut self, now: Time, got: u64) {
        if got <= self.acknowledged || got > self.most_sent {
            return;
        }
        let number = usize::try_from(got - self.acknowledged).unwrap_or(usize::MAX).min(self.items.len());
        self.items.drain(..number);
        self.acknowledged += number as u64;
        self.sent = self.sent.max(self.acknowledged);
        self.progress = now;
    }

    /// Sends items again that were not acknowledged in time.
    pub(super) fn handle_tick(&mut self, now: Time) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.sent = self.acknowledged;
            self.progress = now;
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        (self.sent > self.acknowledged).then(|| self.progress + RESEND_AFTER)
    }

    /// Returns true if an acknowledgement is due, which no item carries, and notes that it is sent.
    pub(super) fn take_owed(&mut self) -> bool {
        std::mem::take(&mut self.owes_acknowledgement)
    }

    /// Returns true if the other side has every item.
    pub(super) fn is_idle(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the number of items that the other side has not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn got(&self) -> u64 {
        self.got
    }

    pub(super) fn resent(&self) -> u64 {
        self.resent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::ZERO;

    fn sent(link: &mut Link<u64>, now: Time) -> Vec<u64> {
        std::iter::from_fn(|| link.next(now)).map(|outgoing| outgoing.seq).collect()
    }

    #[test]
    fn items_are_sent_again_until_they_are_acknowledged() {
        let mut link = Link::new(NOW);
        (0..3).for_each(|item| link.push(item));
        assert_eq!(sent(&mut link, NOW), [1, 2, 3]);
        assert_eq!(link.deadline(), Some(NOW + RESEND_AFTER));
        link.acknowledge(NOW, 1);
        link.handle_tick(NOW + RESEND_AFTER);
        assert_eq!(sent(&mut link, NOW + RESEND_AFTER), [2, 3]);
        assert_eq!(link.resent(), 2);
        link.acknowledge(NOW, 9);
        link.acknowledge(NOW, 3);
        link.acknowledge(NOW, 2);
        assert_eq!((link.deadline(), link.items.len()), (None, 0));
    }

    #[test]
    fn items_are_received_once_and_in_order() {
        let mut link = Link::<u64>::new(NOW);
        let received: Vec<u64> = [2, 1, 1, 3, 2, 0].into_iter().filter(|seq| link.receive(*seq)).collect();
        assert_eq!((received, link.got()), (vec![1, 2], 2));
        assert!(link.take_owed() && !link.take_owed());
    }

    #[test]
    fn x_1_items_in_flight_are_bounded() {
        let mut link = Link::new(NOW);
        link.push_bytes(&vec![b'x'; MAX_BYTES * 100], || 7);
        assert_eq!(sent(&mut link, NOW).len() as u64, WINDOW);
        link.acknowledge(NOW, 1);
        assert_eq!(sent(&mut link, NOW), [WINDOW + 1]);
    }
}
