//! State that the relay, the inbox and the drive loop share, under one lock.

use crate::control_queue::{ControlItem, ControlQueue};
use crate::http::Client;
#[cfg(any(feature = "metrics", feature = "webhook"))]
use crate::serve::Closed;
use crate::trace;
use crate::watch::WatchState;
use futures_channel::oneshot;
use relayline_control::config::GatewayConfig;
use relayline_core::command::{Command, Failure, NotAccepted, Reply, RequestId};
use relayline_core::machine::RelayMachine;
use relayline_core::output::{Delivery, DeliveryId, Fatal, HttpId, Outcome};
use relayline_core::time::{Now, Time};
use relayline_core::trace::Entry;
use relayline_core::webhook::WebhookResponse;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Request whose reply is pending.
pub(crate) struct PendingRequest {
    pub(crate) sender: oneshot::Sender<Result<Reply, Failure>>,
    /// Name of the op, and time of its submission.
    pub(crate) op: &'static str,
    pub(crate) since: Time,
}

pub(crate) struct State {
    pub(crate) machine: RelayMachine,
    pub(crate) pending_requests: BTreeMap<RequestId, PendingRequest>,
    /// HTTP clients that wait for the answer to a webhook request (H-6).
    pub(crate) pending_webhooks: BTreeMap<HttpId, oneshot::Sender<WebhookResponse>>,
    pub(crate) control_queue: ControlQueue,
    /// Number of reply streams started so far.
    pub(crate) stream_count: u64,
    pub(crate) fatal: Option<Fatal>,
    /// True once the drive loop has ended.
    pub(crate) terminated: bool,
    /// True once the host has dropped its inbox.
    pub(crate) inbox_dropped: bool,
    pub(crate) host_waker: Option<Waker>,
    /// True if the waiting host also wants deliveries, not only interrupts and notices.
    pub(crate) host_wants_deliveries: bool,
    pub(crate) driver_waker: Option<Waker>,
    /// Rounds of the drive loop so far. Each may free room for requests.
    pub(crate) rounds: u64,
    /// Wakers of hosts that wait for room.
    pub(crate) room_waiters: Vec<Waker>,
    pub(crate) watched: WatchState,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) config: GatewayConfig,
    /// Address on which webhook requests are accepted, or the error; empty if that is not configured (H-6).
    pub(crate) inbound: OnceLock<Result<SocketAddr, String>>,
    /// HTTP client of the gateway.
    pub(crate) client: Client,
    /// Counters of connections that the HTTP servers closed.
    #[cfg(any(feature = "metrics", feature = "webhook"))]
    pub(crate) closed: Arc<Closed>,
    origin: Instant,
}

impl fmt::Debug for Shared {
    /// Prints no content: a delivery that is printed must not print its whole gateway.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(config: GatewayConfig, seed: [u8; 32], client: Client) -> Arc<Self> {
        let origin = Instant::now();
        let machine = RelayMachine::new(Arc::new(config.machine.clone()), seed, now(origin));
        let state = State {
            watched: WatchState::new(machine.phase()),
            machine,
            pending_requests: BTreeMap::new(),
            pending_webhooks: BTreeMap::new(),
            control_queue: ControlQueue::new(config.machine.limits.read_ahead_bytes),
            stream_count: 0,
            fatal: None,
            terminated: false,
            inbox_dropped: false,
            host_waker: None,
            host_wants_deliveries: false,
            driver_waker: None,
            rounds: 0,
            room_waiters: Vec::new(),
        };
        Arc::new(Shared {
            state: Mutex::new(state),
            config,
            inbound: OnceLock::new(),
            client,
            #[cfg(any(feature = "metrics", feature = "webhook"))]
            closed: Arc::default(),
            origin,
        })
    }

    /// Locks the state, also after a panic of the host: the state is consistent after every call.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Now {
        now(self.origin)
    }

    pub(crate) fn submit(
        &self,
        command: Command,
    ) -> Result<oneshot::Receiver<Result<Reply, Failure>>, NotAccepted> {
        // Checks that need no machine need no lock either.
        let command = command
            .check(&self.config.machine.limits)
            .inspect_err(|_| self.lock().machine.count_refused())?;
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let (now, name) = (self.now(), command.name());
        let submitted = state.machine.submit(now, command);
        trace::log(|| Entry::submitted(now.mono, name, &submitted));
        let id = submitted?;
        state.pending_requests.insert(id, PendingRequest { sender, op: name, since: now.mono });
        let driver = state.driver_waker.take();
        drop(state);
        wake(driver);
        Ok(receiver)
    }

    pub(crate) fn settle(&self, id: DeliveryId, outcome: Outcome) {
        let mut state = self.lock();
        let now = self.now();
        state.machine.settle(now, id, outcome);
        trace::log(|| Entry::settled(now.mono, id, outcome));
        let driver = state.driver_waker.take();
        drop(state);
        wake(driver);
    }
}

/// Reference that relays, inboxes, unsettled deliveries and pending replies hold. When the last one is dropped, the
/// gateway disconnects (L-14).
#[derive(Debug)]
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Handle> {
        Arc::new(Handle(shared))
    }

    /// Returns the state without keeping the gateway connected.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }
}

impl Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let is_terminated = self.lock().terminated;
        if !is_terminated {
            // Nobody waits for the answer. It is refused only if the gateway has ended.
            let _ = self.submit(Command::Disconnect);
        }
    }
}

impl State {
    pub(crate) fn notify(&mut self, item: ControlItem) {
        if self.inbox_dropped { self.control_queue.drop(item) } else { self.control_queue.push(item) }
    }

    /// Begins a round of the drive loop. Returns the wakers of hosts that wait for room. Wake them without the lock.
    #[must_use]
    pub(crate) fn begin_round(&mut self) -> Vec<Waker> {
        self.rounds += 1;
        std::mem::take(&mut self.room_waiters)
    }

    /// Takes the next delivery out of the machine.
    fn take(&mut self, now: Now) -> Option<Delivery> {
        let delivery = self.machine.poll_delivery(now)?;
        trace::log(|| Entry::delivery(now.mono, &delivery, self.machine.config().sessions));
        Some(delivery)
    }

    /// Takes the next delivery for the host, and the drive loop's waker if that makes work for the loop. Most often it
    /// does not.
    pub(crate) fn take_for_host(&mut self, now: Now) -> Option<(Delivery, Option<Waker>)> {
        let before = [self.machine.wants_read(), self.machine.has_output()];
        let delivery = self.take(now)?;
        let after = [self.machine.wants_read(), self.machine.has_output()];
        let is_new = after.iter().zip(before).any(|(is, was)| *is && !was);
        Some((delivery, if is_new { self.driver_waker.take() } else { None }))
    }

    /// Discards all deliveries if the inbox is dropped: a full machine does not read results either. Returns true
    /// if there were any.
    ///
    /// Live events are refused. Buffered ones are neither acknowledged nor refused: the connector keeps them. To
    /// refuse them would make the gateway dial again for each.
    pub(crate) fn discard_deliveries(&mut self, now: Now) -> bool {
        let mut any = false;
        while self.inbox_dropped
            && let Some(delivery) = self.take(now)
        {
            any = true;
            if !delivery.buffered {
                self.machine.settle(now, delivery.id, Outcome::Refused);
            }
        }
        any
    }

    /// Takes the host's waker if it waits and there is something for it.
    pub(crate) fn take_ready_host(&mut self) -> Option<Waker> {
        let news = self.terminated
            || !self.control_queue.is_empty()
            || (self.host_waker.is_some() && self.host_wants_deliveries && self.machine.has_delivery());
        if news { self.host_waker.take() } else { None }
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn now(origin: Instant) -> Now {
    let us = u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX);
    Now { mono: Time::from_micros(us), unix_s: unix_s() }
}

/// Returns the time in Unix seconds; 0 for a clock before 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
