//! The queue of deliveries between a machine and a host that is slow to take them.

use crate::config::Limits;
use crate::output::Delivery;
use std::collections::VecDeque;

/// Deliveries that wait for the host, oldest first, bounded in number and bytes.
///
/// A driver takes a delivery out of the machine only while [`has_room`](Self::has_room) is true. An empty queue has room
/// for any delivery, also for one that is larger than the whole budget.
#[derive(Debug)]
pub struct HostQueue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl HostQueue {
    /// Creates an empty queue for `host_queue` deliveries of `host_queue_bytes`. Limits of zero count as one.
    pub fn new(limits: &Limits) -> Self {
        let (most, most_bytes) = (limits.host_queue.max(1), limits.host_queue_bytes.max(1));
        HostQueue { deliveries: VecDeque::new(), bytes: 0, most, most_bytes }
    }

    /// Returns whether another delivery may join.
    pub fn has_room(&self) -> bool {
        self.deliveries.len() < self.most && self.bytes < self.most_bytes
    }

    /// Adds a delivery at the end.
    pub fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.content.weight();
        self.deliveries.push_back(delivery);
    }

    /// Takes the oldest delivery.
    pub fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.bytes -= delivery.content.weight();
        Some(delivery)
    }

    /// Returns how many deliveries wait.
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Returns the bytes of the deliveries that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::output::{Content, DeliveryId};

    fn delivery(id: u64, size: usize) -> Delivery {
        let event = Event::read(&format!("{{\"text\":\"{}\"}}", "x".repeat(size))).unwrap();
        Delivery { id: DeliveryId(id), buffered: false, content: Content::Message(event) }
    }

    /// How many deliveries of that size a queue takes.
    fn taken(limits: &Limits, size: usize) -> (usize, HostQueue) {
        let mut queue = HostQueue::new(limits);
        while queue.has_room() {
            queue.push(delivery(queue.len() as u64, size));
        }
        (queue.len(), queue)
    }

    #[test]
    fn a_6_bounded_in_number_and_bytes() {
        let limits = Limits { host_queue: 8, host_queue_bytes: 100 << 10, ..Limits::default() };
        assert_eq!(taken(&limits, 10).0, 8);
        let (many, mut queue) = taken(&limits, 30 << 10);
        assert_eq!(many, 4, "three fit, and the fourth went over it last");
        assert!(queue.bytes() > 4 * (30 << 10) && queue.bytes() < 4 * (31 << 10), "{}", queue.bytes());
        // What leaves makes room; nothing weighs anything when all is gone.
        assert!(queue.pop().is_some_and(|first| first.id.number() == 0) && queue.has_room());
        while queue.pop().is_some() {}
        assert_eq!((queue.bytes(), queue.is_empty()), (0, true));
    }

    #[test]
    fn a_6_one_larger_than_the_budget_passes_an_empty_queue() {
        let limits = Limits { host_queue: 8, host_queue_bytes: 1, ..Limits::default() };
        assert_eq!(taken(&limits, 1 << 20).0, 1);
        let nothing = Limits { host_queue: 0, host_queue_bytes: 0, ..Limits::default() };
        assert_eq!(taken(&nothing, 0).0, 1);
    }
}
