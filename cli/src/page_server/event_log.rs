//! Log of a page's events: a bounded ring that each client reads at its own pace.
//!
//! A client has no queue of its own. One that reads too slowly finds that its next event is gone, and begins again with a
//! snapshot.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Maximum size of the events that one read returns, unless the first is larger, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Limits of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventLogLimits {
    /// Maximum number of events; 20,000 by default.
    pub(crate) events: usize,
    /// Maximum size of all events in bytes; 32 MiB by default.
    pub(crate) bytes: usize,
    /// Maximum number of clients that read at once; 8 by default.
    pub(crate) clients: usize,
}

impl Default for EventLogLimits {
    fn default() -> Self {
        EventLogLimits { events: 20_000, bytes: 32 << 20, clients: 8 }
    }
}

/// Counters of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct EventLogStats {
    /// Events that left the log for newer ones.
    pub(crate) dropped: u64,
    /// Clients that were too slow, and began again.
    pub(crate) lagged: u64,
    /// Clients that were refused, since there were too many.
    pub(crate) refused: u64,
}

/// Bounded log of events. Ids count from 1.
#[derive(Debug)]
pub(crate) struct EventLog {
    limits: EventLogLimits,
    state: Mutex<LogState>,
}

#[derive(Debug)]
struct LogState {
    /// Id of the first event that is kept.
    first: u64,
    /// Events as they are sent.
    events: VecDeque<Box<str>>,
    bytes: usize,
    /// Newest events of names that need no history, each with its revision.
    latest: BTreeMap<&'static str, (u64, Box<str>)>,
    /// Number of changes of these events.
    revision: u64,
    /// Clients by number.
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    is_closed: bool,
    stats: EventLogStats,
}

#[derive(Debug, Default)]
struct Client {
    /// Set while it waits.
    waker: Option<Waker>,
    /// Revision of the newest events that it has.
    revision: u64,
}

/// Result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EventRead {
    /// Events as they are sent, and the id of the next one.
    Events(String, u64),
    /// The event is not kept any more.
    Gone,
    /// The log is closed.
    Closed,
}

impl EventLog {
    pub(crate) fn new(limits: EventLogLimits) -> EventLog {
        let state = LogState {
            first: 1,
            events: VecDeque::new(),
            bytes: 0,
            latest: BTreeMap::new(),
            revision: 0,
            clients: BTreeMap::new(),
            next_client: 0,
            is_closed: false,
            stats: EventLogStats::default(),
        };
        EventLog { limits, state: Mutex::new(state) }
    }

    /// Adds an event with a name and data, usually JSON. The oldest events leave the log if it is full.
    pub(crate) fn publish(&self, name: &str, data: &str) {
        let mut state = self.lock();
        let event = event(Some(state.next()), name, data);
        state.bytes += event.len();
        state.events.push_back(event);
        while state.events.len() > self.limits.events
            || (state.bytes > self.limits.bytes && state.events.len() > 1)
        {
            state.drop_oldest();
        }
        wake_all(state);
    }

    /// Sets an event that needs no history, such as a status: a client gets the newest only, and after other events.
    pub(crate) fn set(&self, name: &'static str, data: &str) {
        let mut state = self.lock();
        state.revision += 1;
        let revision = state.revision;
        state.latest.insert(name, (revision, event(None, name, data)));
        wake_all(state);
    }

    /// Drops all events. Clients continue with the next one.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        (state.first, state.bytes) = (state.next(), 0);
        state.events.clear();
    }

    /// Returns the id of the first event that is kept.
    pub(crate) fn first(&self) -> u64 {
        self.lock().first
    }

    /// Returns the id of the next event, for an app whose snapshot has all events so far.
    pub(crate) fn next(&self) -> u64 {
        self.lock().next()
    }

    pub(crate) fn stats(&self) -> EventLogStats {
        self.lock().stats
    }

    /// Ends the streams of all clients.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake_all(state);
    }

    /// Adds a client. Returns its number, or `None` if there are too many.
    pub(super) fn join(&self) -> Option<u64> {
        let mut state = self.lock();
        if state.clients.len() >= self.limits.clients {
            state.stats.refused += 1;
            return None;
        }
        let client = state.next_client;
        state.next_client += 1;
        state.clients.insert(client, Client::default());
        Some(client)
    }

    pub(super) fn leave(&self, client: u64) {
        self.lock().clients.remove(&client);
    }

    /// Returns true if a client reads.
    pub(crate) fn has_clients(&self) -> bool {
        !self.lock().clients.is_empty()
    }

    /// Returns true if a client can continue with this event.
    pub(super) fn has(&self, next: u64) -> bool {
        let state = self.lock();
        (state.first..=state.next()).contains(&next)
    }

    /// Reads the events from `next` on. Pending while there are none.
    pub(super) fn poll_read(&self, client: u64, next: u64, cx: &mut Context<'_>) -> Poll<EventRead> {
        let mut state = self.lock();
        if state.is_closed {
            return Poll::Ready(EventRead::Closed);
        }
        let Some(from) = next.checked_sub(state.first).filter(|_| next <= state.next()) else {
            state.stats.lagged += 1;
            return Poll::Ready(EventRead::Gone);
        };
        let mut text = String::new();
        let mut next = next;
        for event in state.events.range(usize::try_from(from).unwrap_or(usize::MAX).min(state.events.len())..)
        {
            if !text.is_empty() && text.len() + event.len() > READ_BYTES {
                break;
            }
            text.push_str(event);
            next += 1;
        }
        let revision = state.revision;
        let known = state.clients.get(&client).map_or(0, |client| client.revision);
        for (_, event) in state.latest.values().filter(|(changed, _)| *changed > known) {
            text.push_str(event);
        }
        let waker = text.is_empty().then(|| cx.waker().clone());
        if let Some(client) = state.clients.get_mut(&client) {
            *client = Client { waker, revision };
        }
        if text.is_empty() { Poll::Pending } else { Poll::Ready(EventRead::Events(text, next)) }
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogState {
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn drop_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.len();
            self.first += 1;
            self.stats.dropped += 1;
        }
    }
}

/// Wakes the clients that wait, without the lock.
fn wake_all(mut state: MutexGuard<'_, LogState>) {
    let waiting: Vec<Waker> = state.clients.values_mut().filter_map(|client| client.waker.take()).collect();
    drop(state);
    waiting.into_iter().for_each(Waker::wake);
}

/// Returns an event as it is sent.
pub(super) fn event(id: Option<u64>, name: &str, data: &str) -> Box<str> {
    use std::fmt::Write;
    let mut text = String::with_capacity(name.len() + data.len() + 40);
    // Writing to a string does not fail.
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let _ = writeln!(text, "event: {name}");
    for line in data.split(['\n', '\r']) {
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
    text.into()
}
