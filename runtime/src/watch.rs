//! State of the connection, and streams of its changes.

use crate::shared::{Shared, State};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use relayline_core::descriptor::Descriptor;
use relayline_core::machine::RelayMachine;
use relayline_core::output::{Notice, Phase};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// State of the connection, for a status page.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ConnectionState {
    /// Phase of the connection.
    pub phase: Phase,
    /// Time at which the phase began.
    pub since: Instant,
    /// Descriptors of this connection, the default first; empty from the dial to the first handshake.
    pub descriptors: Vec<Arc<Descriptor>>,
    /// Time at which the current connection completed its handshake; `None` while not connected.
    pub connected_since: Option<Instant>,
    /// End of the last connection or dial; `None` while connected.
    pub ended: Option<Ended>,
    /// Time of the next dial, while it waits for that; `None` under a hold without a bound. A later hold may postpone it.
    pub next_dial: Option<Instant>,
}

impl ConnectionState {
    /// Returns true if events are delivered: connected and not idle.
    pub fn is_served(&self) -> bool {
        self.phase == Phase::Connected
    }
}

/// End of a connection or a dial.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Close code, if there was one.
    pub code: Option<u16>,
    /// Reason; never empty.
    pub reason: String,
}

/// Recent end of a connection or a dial, for a status page.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecentEnd {
    /// Time of the end.
    pub at: Instant,
    /// True if the handshake was complete, false for a dial that failed.
    pub was_connected: bool,
    /// Code and reason.
    pub ended: Ended,
}

/// Maximum number of recent ends that are kept.
const RECENT_ENDS: usize = 16;

/// Current state, and the wakers of its watches.
#[derive(Debug)]
pub(crate) struct WatchState {
    /// State as published: replaced once all actions of a round are performed.
    published: ConnectionState,
    /// State that is being built up.
    state: ConnectionState,
    /// Number of the published state; the first is 1.
    version: u64,
    /// True if `state` differs from `published`.
    changed: bool,
    /// Recent ends, oldest first.
    recent_ends: VecDeque<RecentEnd>,
    /// Waker of each pending watch, by the watch's number.
    wakers: BTreeMap<u64, Waker>,
    watches: u64,
}

impl WatchState {
    pub(crate) fn new(phase: Phase) -> Self {
        let state = ConnectionState {
            phase,
            since: Instant::now(),
            descriptors: Vec::new(),
            connected_since: None,
            ended: None,
            next_dial: None,
        };
        WatchState {
            published: state.clone(),
            state,
            version: 1,
            changed: false,
            recent_ends: VecDeque::new(),
            wakers: BTreeMap::new(),
            watches: 0,
        }
    }

    /// Takes the end and the next dial from a notice.
    pub(crate) fn observe_notice(&mut self, notice: &Notice) {
        let now = Instant::now();
        let wait = |span: Duration| now.checked_add(span);
        let (connected_since, ended, next_dial) = match notice {
            Notice::Connected { .. } => (Some(now), None, None),
            Notice::Disconnected { code, reason, retry_in } => {
                let ended = Ended { code: *code, reason: reason.clone() };
                self.keep_end(now, &ended);
                (None, Some(ended), retry_in.and_then(wait))
            }
            Notice::Dormant { retry_in } => (None, self.state.ended.take(), retry_in.and_then(wait)),
            // Phase and descriptors come from the machine.
            _ => return,
        };
        self.state.connected_since = connected_since;
        self.state.ended = ended;
        self.state.next_dial = next_dial;
        self.changed = true;
    }

    /// Keeps an end, and drops the oldest one if there are too many.
    fn keep_end(&mut self, at: Instant, ended: &Ended) {
        if self.recent_ends.len() == RECENT_ENDS {
            self.recent_ends.pop_front();
        }
        let was_connected = self.state.connected_since.is_some();
        self.recent_ends.push_back(RecentEnd { at, was_connected, ended: ended.clone() });
    }

    /// Takes phase and descriptors from the machine.
    pub(crate) fn observe_machine(&mut self, machine: &RelayMachine) {
        let (phase, descriptors) = (machine.phase(), machine.descriptors());
        if self.state.phase != phase {
            self.state.phase = phase;
            self.state.since = Instant::now();
            self.changed = true;
        }
        if phase != Phase::Waiting {
            self.state.next_dial = None;
        }
        let same = |(one, other): (&Arc<Descriptor>, &Arc<Descriptor>)| Arc::ptr_eq(one, other);
        let known = &self.state.descriptors;
        if known.len() != descriptors.len() || !known.iter().zip(descriptors).all(same) {
            self.state.descriptors = descriptors.to_vec();
            self.changed = true;
        }
    }
}

impl State {
    /// Publishes the state if it has changed. Returns the wakers of its watches. Wake them without the lock.
    #[must_use]
    pub(crate) fn publish(&mut self) -> Vec<Waker> {
        let State { watched, terminated, .. } = self;
        if std::mem::take(&mut watched.changed) {
            watched.version += 1;
            watched.published = watched.state.clone();
        } else if !*terminated {
            return Vec::new();
        }
        std::mem::take(&mut watched.wakers).into_values().collect()
    }
}

/// Stream of connection states, which begins with the current one. Returned by [`Relay::watch`](crate::Relay::watch).
///
/// A slow reader gets the latest state and skips those before it: nothing is queued. The stream ends after the last state,
/// which is stopped or revoked.
///
/// A watch does not keep the gateway connected. Cancel-safe: dropping a `next()` loses no state.
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct Watch {
    shared: Arc<Shared>,
    number: u64,
    /// Version of the state returned last.
    seen: u64,
    ended: bool,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mut state = shared.lock();
        state.watched.watches += 1;
        let number = state.watched.watches;
        drop(state);
        Watch { shared, number, seen: 0, ended: false }
    }
}

/// Returns the recent ends, oldest first.
pub(crate) fn recent_ends(shared: &Shared) -> Vec<RecentEnd> {
    shared.lock().watched.recent_ends.iter().cloned().collect()
}

/// Returns the current state.
pub(crate) fn present(shared: &Shared) -> ConnectionState {
    shared.lock().watched.published.clone()
}

pub(crate) fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

impl Stream for Watch {
    type Item = ConnectionState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionState>> {
        let Watch { shared, number, seen, ended } = &mut *self;
        let mut state = shared.lock();
        let (mut former, mut polled) = (None, Poll::Pending);
        if *seen != state.watched.version {
            *seen = state.watched.version;
            polled = Poll::Ready(Some(state.watched.published.clone()));
        } else if state.terminated {
            *ended = true;
            polled = Poll::Ready(None);
        } else {
            former = state.watched.wakers.insert(*number, cx.waker().clone());
        }
        drop(state);
        // Not under the lock: a waker is foreign code.
        drop(former);
        polled
    }
}

impl FusedStream for Watch {
    /// Returns true once the stream has returned `None`.
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let former = self.shared.lock().watched.wakers.remove(&self.number);
        drop(former);
    }
}
