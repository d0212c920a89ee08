//! State that the relay, the inbox and the drive loop share, under one lock.

use crate::control_queue::{ControlItem, ControlQueue};
use crate::drive::writer::{SharedWriter, WeakWriter};
use crate::http::Client;
use crate::observe::WireObserver;
#[cfg(any(feature = "metrics", feature = "webhook"))]
use crate::serve::Closed;
use crate::trace;
use crate::watch::{WatchState, wake_all};
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
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// True while the drive loop performs actions. The host gets no delivery before the notices among them, which came
    /// first.
    pub(crate) holds_deliveries: bool,
    pub(crate) driver_waker: Option<Waker>,
    /// Time until which the drive loop waits, if it waits for one.
    driver_waits_until: Option<Time>,
    /// Writer of the open socket.
    pub(crate) writer: WeakWriter,
    /// Number of rounds of the drive loop. Each may free room for requests.
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
    /// Observer of the wire, if there is one.
    pub(crate) observer: OnceLock<Arc<dyn WireObserver>>,
    /// HTTP client of the gateway.
    pub(crate) client: Client,
    /// Counters of connections that the HTTP servers closed.
    #[cfg(any(feature = "metrics", feature = "webhook"))]
    pub(crate) closed: Arc<Closed>,
    clock: Clock,
}

impl fmt::Debug for Shared {
    /// Prints no content: a delivery that is printed must not print its whole gateway.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(config: GatewayConfig, seed: [u8; 32], client: Client) -> Arc<Self> {
        let clock = Clock::new();
        let machine = RelayMachine::new(Arc::new(config.machine.clone()), seed, clock.now());
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
            holds_deliveries: false,
            driver_waker: None,
            driver_waits_until: None,
            writer: WeakWriter::default(),
            rounds: 0,
            room_waiters: Vec::new(),
        };
        Arc::new(Shared {
            state: Mutex::new(state),
            config,
            inbound: OnceLock::new(),
            observer: OnceLock::new(),
            client,
            #[cfg(any(feature = "metrics", feature = "webhook"))]
            closed: Arc::default(),
            clock,
        })
    }

    /// Locks the state, also after a panic of the host: the state is consistent after every call.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the clocks.
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Reads the monotonic clock alone, for a call of the host that does not depend on the wall clock.
    pub(crate) fn mono_now(&self) -> Now {
        self.clock.mono_now()
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
        let (now, name) = (self.mono_now(), command.name());
        let (submitted, mut has_work) = state.call(|machine| machine.submit(now, command));
        trace::log(|| Entry::submitted(now.mono, name, &submitted));
        let id = submitted?;
        state.pending_requests.insert(id, PendingRequest { sender, op: name, since: now.mono });
        let is_alone = state.pending_requests.len() == 1;
        let writer = if has_work && is_alone { state.writer.upgrade() } else { None };
        let mut writer = writer.as_ref().and_then(SharedWriter::try_lock);
        if let Some(writer) = &mut writer {
            // To wake the loop for a single request would cost a change of threads.
            writer.take_messages(&mut state.machine, now);
            has_work = state.machine.has_output() || state.is_due_earlier();
        }
        let driver = state.take_driver(has_work);
        drop(state);
        if let Some(mut writer) = writer {
            writer.flush();
        }
        wake(driver);
        Ok(receiver)
    }

    pub(crate) fn settle(&self, id: DeliveryId, outcome: Outcome) {
        let now = self.mono_now();
        let mut state = self.lock();
        let ((), has_work) = state.call(|machine| machine.settle(now, id, outcome));
        trace::log(|| Entry::settled(now.mono, id, outcome));
        let driver = state.take_driver(has_work);
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

    /// Sets the waker of the drive loop. Returns the former one if it is another: a waker is foreign code, so it is dropped
    /// without the lock.
    #[must_use]
    pub(crate) fn set_driver_waker(&mut self, waker: &Waker) -> Option<Waker> {
        match &self.driver_waker {
            Some(former) if former.will_wake(waker) => None,
            _ => self.driver_waker.replace(waker.clone()),
        }
    }

    /// Notes the machine's deadline as the time until which the drive loop waits, and returns it.
    pub(crate) fn set_deadline(&mut self) -> Option<Time> {
        self.driver_waits_until = self.machine.deadline().map(|(due, _)| due);
        self.driver_waits_until
    }

    /// Calls the machine for the host. Returns the result, and true if the call made work for the drive loop. Most often it
    /// does not.
    pub(crate) fn call<T>(&mut self, call: impl FnOnce(&mut RelayMachine) -> T) -> (T, bool) {
        let before = [self.machine.wants_read(), self.machine.has_output()];
        let result = call(&mut self.machine);
        let after = [self.machine.wants_read(), self.machine.has_output()];
        let is_new = after.iter().zip(before).any(|(is, was)| *is && !was);
        (result, is_new || self.is_due_earlier())
    }

    /// Takes the drive loop's waker if there is work for the loop. Wake it without the lock.
    #[must_use]
    pub(crate) fn take_driver(&mut self, has_work: bool) -> Option<Waker> {
        if has_work { self.driver_waker.take() } else { None }
    }

    /// Returns true if the machine has a deadline before the time until which the drive loop waits.
    fn is_due_earlier(&self) -> bool {
        match (self.machine.deadline(), self.driver_waits_until) {
            (Some((due, _)), Some(until)) => due < until,
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        }
    }

    fn log_delivery(&self, now: Now, delivery: &Delivery) {
        trace::log(|| Entry::delivery(now.mono, delivery, self.machine.config().sessions));
    }

    /// Takes the next delivery for the host, and the drive loop's waker if that makes work for the loop.
    pub(crate) fn take_for_host(&mut self, now: Now) -> Option<(Delivery, Option<Waker>)> {
        let (delivery, has_work) = self.call(|machine| machine.poll_delivery(now));
        let delivery = delivery?;
        self.log_delivery(now, &delivery);
        Some((delivery, self.take_driver(has_work)))
    }

    /// Discards all deliveries if the inbox is dropped: a full machine does not read results either.
    ///
    /// Live events are refused. Buffered ones are neither acknowledged nor refused: the connector keeps them. To
    /// refuse them would make the gateway dial again for each.
    pub(crate) fn discard_deliveries(&mut self, now: Now) {
        while self.inbox_dropped
            && let Some(delivery) = self.machine.poll_delivery(now)
        {
            self.log_delivery(now, &delivery);
            if !delivery.buffered {
                self.machine.settle(now, delivery.id, Outcome::Refused);
            }
        }
    }

    /// Returns true if the host can take a delivery.
    pub(crate) fn has_delivery(&self) -> bool {
        !self.holds_deliveries && self.machine.has_delivery()
    }

    /// Takes the host's waker if it waits and there is something for it.
    fn take_ready_host(&mut self) -> Option<Waker> {
        let has_item = self.terminated || !self.control_queue.is_empty();
        let is_ready = has_item || (self.host_wants_deliveries && self.has_delivery());
        if self.host_waker.is_some() && is_ready { self.host_waker.take() } else { None }
    }
}

/// End of a round of the drive loop.
pub(crate) trait Release {
    /// Publishes the state of the connection, releases the lock, and wakes all that wait for something that is there.
    fn release(self);
}

impl Release for MutexGuard<'_, State> {
    fn release(mut self) {
        self.rounds += 1;
        let (host, watchers) = (self.take_ready_host(), self.publish());
        // Each round may free room for requests.
        let room_waiters = std::mem::take(&mut self.room_waiters);
        drop(self);
        wake(host);
        wake_all(watchers);
        wake_all(room_waiters);
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Clocks of a gateway.
struct Clock {
    origin: Instant,
    /// Last reading of the wall clock, in Unix seconds.
    unix_s: AtomicU64,
}

impl Clock {
    fn new() -> Clock {
        Clock { origin: Instant::now(), unix_s: AtomicU64::new(unix_s()) }
    }

    /// Reads both clocks.
    fn now(&self) -> Now {
        self.unix_s.store(unix_s(), Ordering::Relaxed);
        self.mono_now()
    }

    /// Reads the monotonic clock. The time of the wall clock is that of its last reading.
    fn mono_now(&self) -> Now {
        let us = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono: Time::from_micros(us), unix_s: self.unix_s.load(Ordering::Relaxed) }
    }
}

/// Returns the time in Unix seconds; 0 for a clock before 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
