//! Slots of a server's connections: the state of each, and the choice of the one to close when they run out.
//!
//! It does no I/O and reads no clock: the order of calls is the order of time.

use futures_channel::oneshot;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Slots of one server.
#[derive(Clone)]
pub(super) struct Slots(Arc<Mutex<Table>>);

struct Table {
    /// Maximum number of connections.
    max: usize,
    /// Last number given to a connection, or to the moment at which one became idle.
    next: u64,
    open: BTreeMap<u64, Entry>,
    /// Idle connections by the moment at which they became idle; the first is idle for longest.
    idle: BTreeMap<u64, u64>,
    /// Wakers of connections that wait for a slot.
    waiters: Vec<Waker>,
}

struct Entry {
    state: ConnState,
    /// True once it has sent a complete request.
    has_sent_request: bool,
    /// Dropping it closes the connection.
    _open: oneshot::Sender<Infallible>,
}

/// State of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ConnState {
    /// No request is in flight, since this moment.
    Idle(u64),
    /// The head of a request was received, on a connection that has sent a complete request before.
    Receiving,
    /// A complete request waits for its answer.
    Serving,
    /// The answer is ready and not written yet.
    Answered,
}

/// Slot of a connection. Dropping it frees the slot.
pub(super) struct Slot {
    conn: SlotHandle,
    /// Resolves when the slot is given to another connection.
    pub(super) lost: oneshot::Receiver<Infallible>,
}

/// Reporter of a connection's progress to its slot.
#[derive(Clone)]
pub(super) struct SlotHandle {
    slots: Slots,
    id: u64,
}

impl Slots {
    pub(super) fn new(max: usize) -> Slots {
        let table = Table {
            max: max.max(1),
            next: 0,
            open: BTreeMap::new(),
            idle: BTreeMap::new(),
            waiters: Vec::new(),
        };
        Slots(Arc::new(Mutex::new(table)))
    }

    /// Takes a slot for a new connection. If all are taken, takes the slot of the connection that is idle for longest.
    /// Pending while none is idle.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Slot> {
        let mut table = self.lock();
        if table.open.len() >= table.max {
            let Some((_, id)) = table.idle.pop_first() else {
                if !table.waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
                    table.waiters.push(cx.waker().clone());
                }
                return Poll::Pending;
            };
            table.open.remove(&id);
        }
        let (sender, lost) = oneshot::channel();
        let id = table.next_number();
        // A connection is idle from its accept on.
        table.idle.insert(id, id);
        table.open.insert(id, Entry { state: ConnState::Idle(id), has_sent_request: false, _open: sender });
        Poll::Ready(Slot { conn: SlotHandle { slots: self.clone(), id }, lost })
    }

    /// Locks the table, also after a panic.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn set_state(&mut self, id: u64, state: ConnState) {
        let Some(entry) = self.open.get_mut(&id) else { return };
        if let ConnState::Idle(since) = entry.state {
            self.idle.remove(&since);
        }
        entry.state = state;
        if let ConnState::Idle(since) = state {
            self.idle.insert(since, id);
            self.wake_waiters();
        }
    }

    /// Wakes the connections that wait for a slot.
    fn wake_waiters(&mut self) {
        self.waiters.drain(..).for_each(Waker::wake);
    }
}

impl Slot {
    pub(super) fn conn(&self) -> SlotHandle {
        self.conn.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.conn.slots.lock();
        if let Some(Entry { state: ConnState::Idle(since), .. }) = table.open.remove(&self.conn.id) {
            table.idle.remove(&since);
        }
        table.wake_waiters();
    }
}

impl SlotHandle {
    /// Reports that the head of a request was received. The first request of a connection counts only once it is
    /// complete: otherwise 128 cheap heads with slow bodies would take all slots.
    pub(super) fn head_received(&self) {
        let mut table = self.slots.lock();
        if table.open.get(&self.id).is_some_and(|entry| entry.has_sent_request) {
            table.set_state(self.id, ConnState::Receiving);
        }
    }

    /// Reports that a complete request was received.
    pub(super) fn request_received(&self) {
        let mut table = self.slots.lock();
        // An answer may overtake the end of its request.
        if table.open.get(&self.id).is_some_and(|entry| entry.state != ConnState::Answered) {
            table.set_state(self.id, ConnState::Serving);
        }
        if let Some(entry) = table.open.get_mut(&self.id) {
            entry.has_sent_request = true;
        }
    }

    /// Reports that the answer is ready to be written.
    pub(super) fn response_ready(&self) {
        self.slots.lock().set_state(self.id, ConnState::Answered);
    }

    /// Reports that everything was written.
    pub(super) fn response_flushed(&self) {
        let mut table = self.slots.lock();
        if table.open.get(&self.id).is_some_and(|entry| entry.state == ConnState::Answered) {
            let now = table.next_number();
            table.set_state(self.id, ConnState::Idle(now));
        }
    }

    /// Returns true if the client waits for the server.
    pub(super) fn awaits_server(&self) -> bool {
        let table = self.slots.lock();
        table
            .open
            .get(&self.id)
            .is_some_and(|entry| matches!(entry.state, ConnState::Serving | ConnState::Answered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker;

    fn take(slots: &Slots) -> Option<Slot> {
        match slots.poll_take(&mut Context::from_waker(&noop_waker())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    fn is_lost(slot: &mut Slot) -> bool {
        !matches!(slot.lost.try_recv(), Ok(None))
    }

    /// Returns the indices of the connections that have lost their slots.
    fn lost(slots: &mut [Slot]) -> Vec<usize> {
        (0..slots.len()).filter(|at| is_lost(&mut slots[*at])).collect()
    }

    #[test]
    fn h_6_the_longest_idle_slot_is_taken() {
        let slots = Slots::new(3);
        let mut open: Vec<Slot> = (0..3).map(|_| take(&slots).unwrap()).collect();
        assert!(lost(&mut open).is_empty());
        // The first has been answered since, so the second is idle for longest.
        let first = open[0].conn();
        first.request_received();
        first.response_ready();
        first.response_flushed();
        open.push(take(&slots).unwrap());
        assert_eq!(lost(&mut open), [1]);
        open.push(take(&slots).unwrap());
        open.push(take(&slots).unwrap());
        assert_eq!(lost(&mut open), [0, 1, 2]);
    }

    #[test]
    fn h_6_a_request_under_way_keeps_its_slot() {
        let slots = Slots::new(2);
        let mut open: Vec<Slot> = (0..2).map(|_| take(&slots).unwrap()).collect();
        for slot in &open {
            slot.conn().request_received();
        }
        assert!(take(&slots).is_none(), "both wait for their answers");
        open[1].conn().response_ready();
        assert!(take(&slots).is_none(), "it is not written yet");
        open[1].conn().response_flushed();
        let waiter = take(&slots).unwrap();
        assert_eq!(lost(&mut open), [1]);
        // Reports of a connection without a slot are ignored.
        open[1].conn().request_received();
        drop(open.pop());
        drop(waiter);
        drop(take(&slots).unwrap());
        assert!(lost(&mut open).is_empty());
    }

    #[test]
    fn h_6_a_connection_with_a_partial_first_request_is_idle() {
        let slots = Slots::new(1);
        let mut open = vec![take(&slots).unwrap()];
        open[0].conn().head_received();
        open.push(take(&slots).unwrap());
        assert_eq!(lost(&mut open), [0]);
        let conn = open[1].conn();
        conn.request_received();
        conn.response_ready();
        conn.response_flushed();
        conn.head_received();
        assert!(take(&slots).is_none() && !conn.awaits_server());
        conn.request_received();
        assert!(conn.awaits_server());
    }

    #[test]
    fn h_6_an_answer_may_overtake_the_end_of_its_request() {
        let slots = Slots::new(1);
        let mut open = vec![take(&slots).unwrap()];
        let conn = open[0].conn();
        conn.head_received();
        conn.response_ready();
        conn.request_received();
        conn.response_flushed();
        open.push(take(&slots).unwrap());
        assert_eq!(lost(&mut open), [0]);
    }
}
