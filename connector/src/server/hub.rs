//! The machine, shared between its sockets and its owner, with their wake-ups.

use super::store::{StateError, StateFile};
use crate::config::ConnectorConfig;
use crate::machine::ConnectorMachine;
use crate::observation::Observation;
use crate::values::{ConnId, Post, Transmit};
use relayline_core::time::{Now, Time};
use relayline_runtime::observe::{WireEvent, WireObserver};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore};

/// Maximum number of large bodies that are read at a time: each may be in memory as a whole.
const UPLOADS: usize = 4;

/// Wake-ups of the task of one connection.
#[derive(Default)]
pub(super) struct Wake {
    /// The connection has output.
    pub(super) write: Notify,
    /// The machine has ended the connection.
    pub(super) over: Notify,
    /// Nothing more is read on the connection.
    pub(super) half_open: Notify,
}

struct State {
    machine: ConnectorMachine,
    wakes: BTreeMap<ConnId, Arc<Wake>>,
    next_conn: u32,
    /// State file, if there is one.
    file: Option<StateFile>,
    /// Reason for which the state could not be written. No output is passed on after that.
    failure: Option<String>,
}

impl State {
    /// Writes the state file if the durable state has changed.
    fn keep(&mut self, now: Now) {
        let Some(file) = self.file.as_mut().filter(|_| self.failure.is_none()) else { return };
        if !self.machine.take_durable_change() {
            return;
        }
        if let Err(error) = file.keep(self.machine.durable_state(now)) {
            self.failure = Some(error.to_string());
            self.machine.shut_down();
        }
    }
}

/// The shared machine, behind one lock. The lock is never held across an await, and each use is short.
pub(super) struct Hub {
    state: Mutex<State>,
    origin: Instant,
    /// Observer of the gateways' sockets, if there is one.
    observer: OnceLock<Arc<dyn WireObserver>>,
    observed: Condvar,
    /// The deadline may have changed.
    pub(super) timer: Notify,
    /// Permits to read a large body.
    pub(super) uploads: Semaphore,
    /// There may be a delivery to post.
    pub(super) posts: Notify,
    /// A connection's task has ended.
    pub(super) ended: Notify,
    /// The owner has dropped its handle.
    pub(super) stopped: Notify,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    pub(super) fn new(config: ConnectorConfig) -> io::Result<Self> {
        Ok(Hub::over(ConnectorMachine::new(config, seed()?), None, Instant::now()))
    }

    /// Restores the machine, and writes the state at once, so that a file that cannot be written fails here.
    pub(super) fn restored(config: ConnectorConfig, mut file: StateFile) -> io::Result<Self> {
        let origin = Instant::now();
        let now = now_since(origin);
        let fault = |fault| StateError::Fault(file.path().to_owned(), fault);
        let machine = ConnectorMachine::restore(config, seed()?, now, file.text())
            .map_err(fault)
            .map_err(io::Error::other)?;
        file.keep(machine.durable_state(now)).map_err(io::Error::other)?;
        Ok(Hub::over(machine, Some(file), origin))
    }

    fn over(machine: ConnectorMachine, file: Option<StateFile>, origin: Instant) -> Self {
        Hub {
            state: Mutex::new(State { machine, wakes: BTreeMap::new(), next_conn: 0, file, failure: None }),
            origin,
            observer: OnceLock::new(),
            observed: Condvar::new(),
            timer: Notify::new(),
            ended: Notify::new(),
            uploads: Semaphore::new(UPLOADS),
            posts: Notify::new(),
            stopped: Notify::new(),
        }
    }

    /// Gives the machine an input, writes its state, and wakes the tasks with output.
    pub(super) fn with<T>(&self, input: impl FnOnce(&mut ConnectorMachine, Now) -> T) -> T {
        let mut state = self.lock();
        let now = self.now();
        let result = input(&mut state.machine, now);
        state.keep(now);
        for (conn, wake) in &state.wakes {
            if state.machine.is_ready(*conn) {
                wake.write.notify_one();
            }
            if state.machine.is_over(*conn) {
                wake.over.notify_one();
            }
            if state.machine.is_half_open(*conn) {
                wake.half_open.notify_one();
            }
        }
        drop(state);
        self.observed.notify_all();
        self.timer.notify_one();
        self.posts.notify_one();
        result
    }

    /// Reads from the machine.
    pub(super) fn read<T>(&self, read: impl FnOnce(&ConnectorMachine, Now) -> T) -> T {
        let state = self.lock();
        read(&state.machine, self.now())
    }

    /// Lets an observer see the gateways' sockets. The first one stays.
    pub(super) fn observe(&self, observer: Arc<dyn WireObserver>) {
        // The result tells whether there was one.
        let _ = self.observer.set(observer);
    }

    /// Notes an event of a socket for the observer, if there is one.
    pub(super) fn note(&self, conn: ConnId, event: WireEvent<'_>) {
        if let Some(observer) = self.observer.get() {
            observer.observe(self.now().mono, conn.0.wrapping_add(1), event);
        }
    }

    /// Names a connection that is about to be upgraded.
    pub(super) fn open(&self) -> (ConnId, Arc<Wake>) {
        let mut state = self.lock();
        let conn = ConnId(state.next_conn);
        state.next_conn = state.next_conn.wrapping_add(1);
        let wake = Arc::new(Wake::default());
        state.wakes.insert(conn, Arc::clone(&wake));
        (conn, wake)
    }

    /// Removes a connection whose task has ended.
    pub(super) fn close(&self, conn: ConnId) {
        self.with(|machine, now| machine.handle_closed(now, conn, None, ""));
        self.lock().wakes.remove(&conn);
        self.ended.notify_one();
    }

    pub(super) fn transmit(&self, conn: ConnId, out: &mut Vec<u8>) -> Option<Transmit> {
        let mut state = self.lock();
        match state.failure {
            Some(_) => Some(Transmit::Drop { conn }),
            None => state.machine.poll_transmit_on(conn, out),
        }
    }

    pub(super) fn post(&self) -> Option<Post> {
        let mut state = self.lock();
        if state.failure.is_some() { None } else { state.machine.poll_post() }
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.lock().machine.deadline()
    }

    pub(super) fn connections(&self) -> usize {
        self.lock().wakes.len()
    }

    /// Returns the time from now to a time of the machine.
    pub(super) fn until(&self, time: Time) -> Duration {
        time.since(self.now().mono)
    }

    /// Blocks for the next observation until the given time, or for ever.
    pub(super) fn next_observation(&self, until: Option<Instant>) -> Option<Observation> {
        let mut state = self.lock();
        loop {
            // An observation may rely on state that was not written.
            if state.failure.is_some() {
                return None;
            }
            if let Some(observation) = state.machine.poll_observation() {
                return Some(observation);
            }
            state = match until {
                None => self.observed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.observed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(super) fn stop(&self) {
        self.stopped.notify_one();
    }

    fn now(&self) -> Now {
        now_since(self.origin)
    }

    /// A panic under the lock has been reported; the other users continue.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws the seed of message ids and issued secrets: the only randomness.
fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(format!("no randomness: {error}")))?;
    Ok(seed)
}

fn now_since(origin: Instant) -> Now {
    let us = u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX);
    Now { mono: Time::from_micros(us), unix_s: unix_now().as_secs() }
}

/// Returns the Unix time. A clock before 1970 reads as 1970.
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
