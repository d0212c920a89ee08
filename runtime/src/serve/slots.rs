//! Slots of a server's connections: who has one, whose turn it is to speak, and who leaves when they run out.
//!
//! Bookkeeping alone: nothing here reads, writes or looks at a clock. Order of time is the order of calls.

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
    most: usize,
    /// Number of the next connection, and of the next moment at which one falls idle.
    next: u64,
    open: BTreeMap<u64, Entry>,
    /// Idle connections by the moment since which they are; the first is idle for longest.
    idle: BTreeMap<u64, u64>,
    /// Newcomers that wait for a slot.
    newcomers: Vec<Waker>,
}

struct Entry {
    turn: Turn,
    /// Whether it has ever sent a whole request.
    is_proven: bool,
    /// Dropping it closes the connection.
    _open: oneshot::Sender<Infallible>,
}

/// State of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// No request is under way, since this moment.
    Idle(u64),
    /// The head of a request has come, on a connection that has sent a whole one before.
    Receiving,
    /// A whole request waits for its answer.
    Serving,
    /// The answer is not written yet.
    Answered,
}

/// A connection's slot; dropping it frees the slot.
pub(super) struct Slot {
    conn: Conn,
    /// Ends when the slot is given to a newcomer.
    pub(super) lost: oneshot::Receiver<Infallible>,
}

/// A connection, for those who see how its requests get on.
#[derive(Clone)]
pub(super) struct Conn {
    slots: Slots,
    id: u64,
}

impl Slots {
    pub(super) fn new(most: usize) -> Slots {
        let table = Table {
            most: most.max(1),
            next: 0,
            open: BTreeMap::new(),
            idle: BTreeMap::new(),
            newcomers: Vec::new(),
        };
        Slots(Arc::new(Mutex::new(table)))
    }

    /// Takes a slot for a connection that was just accepted; when there is none, that of the connection that is idle for
    /// longest. Waits while none is idle.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Slot> {
        let mut table = self.lock();
        if table.open.len() >= table.most {
            let Some((_, id)) = table.idle.pop_first() else {
                if !table.newcomers.iter().any(|newcomer| newcomer.will_wake(cx.waker())) {
                    table.newcomers.push(cx.waker().clone());
                }
                return Poll::Pending;
            };
            table.open.remove(&id);
        }
        let (sender, lost) = oneshot::channel();
        let id = table.moment();
        // A connection that has sent nothing is idle since its accept.
        table.idle.insert(id, id);
        table.open.insert(id, Entry { turn: Turn::Idle(id), is_proven: false, _open: sender });
        Poll::Ready(Slot { conn: Conn { slots: self.clone(), id }, lost })
    }

    /// A panic under the lock has been reported where it happened; the others go on.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn moment(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn turn(&mut self, id: u64, turn: Turn) {
        let Some(entry) = self.open.get_mut(&id) else { return };
        if let Turn::Idle(since) = entry.turn {
            self.idle.remove(&since);
        }
        entry.turn = turn;
        if let Turn::Idle(since) = turn {
            self.idle.insert(since, id);
            self.welcome();
        }
    }

    /// Wakes those that wait: there may be a slot.
    fn welcome(&mut self) {
        self.newcomers.drain(..).for_each(Waker::wake);
    }
}

impl Slot {
    pub(super) fn conn(&self) -> Conn {
        self.conn.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.conn.slots.lock();
        if let Some(Entry { turn: Turn::Idle(since), .. }) = table.open.remove(&self.conn.id) {
            table.idle.remove(&since);
        }
        table.welcome();
    }
}

impl Conn {
    /// The head of a request has come. The first request of a connection is under way only once it is whole: heads are
    /// cheap, and 128 slow bodies must not shut everybody out.
    pub(super) fn begins(&self) {
        let mut table = self.slots.lock();
        if table.open.get(&self.id).is_some_and(|entry| entry.is_proven) {
            table.turn(self.id, Turn::Receiving);
        }
    }

    /// All of a request has come.
    pub(super) fn is_whole(&self) {
        let mut table = self.slots.lock();
        // An answer may overtake the end of its request.
        if table.open.get(&self.id).is_some_and(|entry| entry.turn != Turn::Answered) {
            table.turn(self.id, Turn::Serving);
        }
        if let Some(entry) = table.open.get_mut(&self.id) {
            entry.is_proven = true;
        }
    }

    /// The answer is made, and waits to be written.
    pub(super) fn is_answered(&self) {
        self.slots.lock().turn(self.id, Turn::Answered);
    }

    /// All that was to be written is written.
    pub(super) fn is_flushed(&self) {
        let mut table = self.slots.lock();
        if table.open.get(&self.id).is_some_and(|entry| entry.turn == Turn::Answered) {
            let now = table.moment();
            table.turn(self.id, Turn::Idle(now));
        }
    }

    /// Whether the client waits for the server, and not the server for the client.
    pub(super) fn is_servers_turn(&self) -> bool {
        let table = self.slots.lock();
        table.open.get(&self.id).is_some_and(|entry| matches!(entry.turn, Turn::Serving | Turn::Answered))
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

    /// Which of them have lost their slots.
    fn lost(slots: &mut [Slot]) -> Vec<usize> {
        (0..slots.len()).filter(|at| is_lost(&mut slots[*at])).collect()
    }

    #[test]
    fn h_6_the_longest_idle_makes_room() {
        let slots = Slots::new(3);
        let mut open: Vec<Slot> = (0..3).map(|_| take(&slots).unwrap()).collect();
        assert!(lost(&mut open).is_empty());
        // The first has had an answer since, so that the second is idle for longest.
        let first = open[0].conn();
        first.is_whole();
        first.is_answered();
        first.is_flushed();
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
            slot.conn().is_whole();
        }
        assert!(take(&slots).is_none(), "both wait for their answers");
        open[1].conn().is_answered();
        assert!(take(&slots).is_none(), "it is not written yet");
        open[1].conn().is_flushed();
        let newcomer = take(&slots).unwrap();
        assert_eq!(lost(&mut open), [1]);
        // What the lost one still says changes nothing.
        open[1].conn().is_whole();
        drop(open.pop());
        drop(newcomer);
        drop(take(&slots).unwrap());
        assert!(lost(&mut open).is_empty());
    }

    /// A head is not enough, but for a connection that has kept its word once.
    #[test]
    fn h_6_a_first_request_that_is_not_whole_is_idle() {
        let slots = Slots::new(1);
        let mut open = vec![take(&slots).unwrap()];
        open[0].conn().begins();
        open.push(take(&slots).unwrap());
        assert_eq!(lost(&mut open), [0]);
        let conn = open[1].conn();
        conn.is_whole();
        conn.is_answered();
        conn.is_flushed();
        conn.begins();
        assert!(take(&slots).is_none() && !conn.is_servers_turn());
        conn.is_whole();
        assert!(conn.is_servers_turn());
    }

    #[test]
    fn h_6_an_answer_may_overtake_the_end_of_its_request() {
        let slots = Slots::new(1);
        let mut open = vec![take(&slots).unwrap()];
        let conn = open[0].conn();
        conn.begins();
        conn.is_answered();
        conn.is_whole();
        conn.is_flushed();
        open.push(take(&slots).unwrap());
        assert_eq!(lost(&mut open), [0]);
    }
}
