//! How the connection does, as a value that can be watched.

use crate::shared::{Shared, State};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use relayline_core::descriptor::Descriptor;
use relayline_core::machine::RelayMachine;
use relayline_core::output::{Notice, Phase};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How the connection does, for a status page.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ConnectionState {
    /// Where it is.
    pub phase: Phase,
    /// Since when it is there.
    pub since: Instant,
    /// The descriptors of this connection, the default first (D-8); none from the dial to the first of them.
    pub descriptors: Vec<Arc<Descriptor>>,
    /// How the last connection or dial ended, until one is served again.
    pub ended: Option<Ended>,
    /// When it dials again, while it waits for that; a hold may make it later (L-13).
    pub next_dial: Option<Instant>,
}

impl ConnectionState {
    /// Whether messages come and go: connected, and not idle.
    pub fn is_served(&self) -> bool {
        self.phase == Phase::Connected
    }
}

/// How a connection or a dial ended (L-18).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// The close code, where there was one.
    pub code: Option<u16>,
    /// Why; never empty.
    pub reason: String,
}

/// The state, and who waits for another.
#[derive(Debug)]
pub(crate) struct Watched {
    /// As it is watched: changed as a whole, once all is told that has changed it.
    shown: ConnectionState,
    /// The one that takes shape.
    state: ConnectionState,
    /// Counts the states; the first is 1.
    version: u64,
    /// Something is new since that was counted.
    changed: bool,
    /// Who waits, by the watch's number: one waker each.
    wakers: BTreeMap<u64, Waker>,
    watches: u64,
}

impl Watched {
    pub(crate) fn new(phase: Phase) -> Self {
        let state = ConnectionState {
            phase,
            since: Instant::now(),
            descriptors: Vec::new(),
            ended: None,
            next_dial: None,
        };
        Watched {
            shown: state.clone(),
            state,
            version: 1,
            changed: false,
            wakers: BTreeMap::new(),
            watches: 0,
        }
    }

    /// What the host is told says more than the phase does.
    pub(crate) fn heard(&mut self, notice: &Notice) {
        let wait = |span: Duration| Instant::now().checked_add(span);
        let (ended, next_dial) = match notice {
            Notice::Connected { .. } => (None, None),
            Notice::Disconnected { code, reason, retry_in } => {
                (Some(Ended { code: *code, reason: reason.clone() }), retry_in.and_then(wait))
            }
            Notice::Dormant { retry_in } => (self.state.ended.take(), wait(*retry_in)),
            // The phase and the descriptors say the rest.
            _ => return,
        };
        self.state.ended = ended;
        self.state.next_dial = next_dial;
        self.changed = true;
    }

    /// Takes in where the machine is by now, of which the host is about to be told.
    pub(crate) fn see(&mut self, machine: &RelayMachine) {
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
    /// Shows how the connection does by now. Who waits to hear of it is the caller's to wake, and not under the lock.
    #[must_use]
    pub(crate) fn show(&mut self) -> Vec<Waker> {
        let State { watched, over, .. } = self;
        if std::mem::take(&mut watched.changed) {
            watched.version += 1;
            watched.shown = watched.state.clone();
        } else if !*over {
            return Vec::new();
        }
        std::mem::take(&mut watched.wakers).into_values().collect()
    }
}

/// The states of a connection as they come, the present one first; the stream of
/// [`Relay::watch`](crate::Relay::watch). Who is slow gets the newest and skips those between, so nothing is queued.
/// It ends once it has given the last, stopped or revoked.
///
/// It keeps no gateway alive: with the last [`Relay`](crate::Relay) and its like it sees the disconnect, and ends.
/// Cancel-safe: a state that was not taken is there at the next poll.
#[derive(Debug)]
#[must_use = "a stream does nothing until it is polled"]
pub struct Watch {
    shared: Arc<Shared>,
    number: u64,
    /// The version that was given last.
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

/// The present state.
pub(crate) fn present(shared: &Shared) -> ConnectionState {
    shared.lock().watched.shown.clone()
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
            polled = Poll::Ready(Some(state.watched.shown.clone()));
        } else if state.over {
            *ended = true;
            polled = Poll::Ready(None);
        } else {
            former = state.watched.wakers.insert(*number, cx.waker().clone());
        }
        drop(state);
        // Not under the lock: a waker's code is not ours.
        drop(former);
        polled
    }
}

impl FusedStream for Watch {
    /// Whether it has said that it is over.
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
