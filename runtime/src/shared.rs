//! What the handle, the stream and the drive loop share: the machine behind one lock, and who waits for what.

use crate::http::Client;
use crate::serve::Closed;
use crate::signs::{Sign, Signs};
use crate::trace;
use crate::watch::Watched;
use futures_channel::oneshot;
use futures_util::future::{Either, ready};
use relayline_control::config::GatewayConfig;
use relayline_core::command::{Command, Failure, NotAccepted, Reply, RequestId};
use relayline_core::machine::RelayMachine;
use relayline_core::output::{Delivery, DeliveryId, Fatal, HttpId, Outcome};
use relayline_core::time::{Now, Time};
use relayline_core::trace::Entry;
use relayline_core::webhook::{WebhookOutcome, WebhookRequest, WebhookResponse};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Who waits for a request's answer.
pub(crate) struct Waiting {
    pub(crate) sender: oneshot::Sender<Result<Reply, Failure>>,
    /// What was asked, and when.
    pub(crate) op: &'static str,
    pub(crate) since: Time,
}

pub(crate) struct State {
    pub(crate) machine: RelayMachine,
    pub(crate) waiting: BTreeMap<RequestId, Waiting>,
    /// Clients that wait for the answer to a signed delivery (H-6).
    pub(crate) unanswered: BTreeMap<HttpId, oneshot::Sender<WebhookResponse>>,
    pub(crate) signs: Signs,
    /// Replies that grow, so far.
    pub(crate) streamed: u64,
    pub(crate) fatal: Option<Fatal>,
    /// The drive loop has ended: nothing more will come.
    pub(crate) over: bool,
    /// The host has dropped its stream: nothing is taken for it any more.
    pub(crate) deaf: bool,
    pub(crate) host: Option<Waker>,
    /// Whether the host that waits takes deliveries, too.
    pub(crate) host_takes: bool,
    pub(crate) driver: Option<Waker>,
    /// Turns of the drive loop so far: after each there may be room that was not there before.
    pub(crate) turns: u64,
    /// Hosts that wait for room.
    pub(crate) crowded: Vec<Waker>,
    pub(crate) watched: Watched,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) config: GatewayConfig,
    /// Where signed deliveries are taken, or why they are not; `None` when they are not to be (H-6).
    pub(crate) inbound: Option<Result<SocketAddr, String>>,
    /// HTTP client of the gateway.
    pub(crate) client: Client,
    /// Bytes of bodies of signed deliveries that are being read (H-6).
    pub(crate) body_bytes: AtomicUsize,
    /// Counters of clients that the HTTP servers have closed.
    pub(crate) closed: Arc<Closed>,
    origin: Instant,
}

impl fmt::Debug for Shared {
    /// Nothing of what a whole gateway holds: a delivery that is printed is about itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        config: GatewayConfig,
        seed: [u8; 32],
        inbound: Option<Result<SocketAddr, String>>,
        client: Client,
    ) -> Arc<Self> {
        let origin = Instant::now();
        let machine = RelayMachine::new(Arc::new(config.machine.clone()), seed, now(origin));
        let state = State {
            watched: Watched::new(machine.phase()),
            machine,
            waiting: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            signs: Signs::new(config.machine.limits.read_ahead_bytes),
            streamed: 0,
            fatal: None,
            over: false,
            deaf: false,
            host: None,
            host_takes: false,
            driver: None,
            turns: 0,
            crowded: Vec::new(),
        };
        Arc::new(Shared {
            state: Mutex::new(state),
            config,
            inbound,
            client,
            body_bytes: AtomicUsize::new(0),
            closed: Arc::default(),
            origin,
        })
    }

    /// A host's panic elsewhere must not take the relay with it: the state is whole after every call.
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
        // What the command alone decides needs no machine, and so no lock that others wait for.
        let command = command
            .check(&self.config.machine.limits)
            .inspect_err(|_| self.lock().machine.count_refused())?;
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let (now, name) = (self.now(), command.name());
        let submitted = state.machine.submit(now, command);
        trace::log(|| Entry::submitted(now.mono, name, &submitted));
        let id = submitted?;
        state.waiting.insert(id, Waiting { sender, op: name, since: now.mono });
        let driver = state.driver.take();
        drop(state);
        wake(driver);
        Ok(receiver)
    }

    /// Hands in a request to the server of signed deliveries; the future is its answer.
    pub(crate) fn handle_webhook(
        &self,
        request: WebhookRequest<'_>,
    ) -> impl Future<Output = WebhookResponse> + Send + use<> {
        let mut state = self.lock();
        let now = self.now();
        let received = state.machine.handle_webhook(now, &request);
        trace::log(|| Entry::request(now.mono, &request, &received));
        let answer = match received {
            WebhookOutcome::Responded(answer) => Either::Left(ready(Ok(answer))),
            WebhookOutcome::Pending(id) => {
                let (sender, receiver) = oneshot::channel();
                state.unanswered.insert(id, sender);
                Either::Right(receiver)
            }
        };
        let driver = state.driver.take();
        drop(state);
        wake(driver);
        // Nobody is left to answer, so nobody is left to take it.
        async { answer.await.unwrap_or(WebhookResponse::Unavailable("the gateway has ended")) }
    }

    pub(crate) fn settle(&self, id: DeliveryId, outcome: Outcome) {
        let mut state = self.lock();
        let now = self.now();
        state.machine.settle(now, id, outcome);
        trace::log(|| Entry::settled(now.mono, id, outcome));
        let driver = state.driver.take();
        drop(state);
        wake(driver);
    }
}

/// What the host's halves have in common: relay, inbox, unsettled deliveries and awaited answers. With the last of
/// them nobody is left to be served, so the gateway disconnects (L-14).
#[derive(Debug)]
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Handle> {
        Arc::new(Handle(shared))
    }

    /// The same without the claim to be served.
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
        let is_over = self.lock().over;
        if !is_over {
            // Nobody waits for the answer; it is refused only when it is over already.
            let _ = self.submit(Command::Disconnect);
        }
    }
}

impl State {
    pub(crate) fn sign(&mut self, sign: Sign) {
        if self.deaf { self.signs.drop(sign) } else { self.signs.push(sign) }
    }

    /// Counts a turn of the drive loop. Who waits for room is the caller's to wake, and not under the lock.
    #[must_use]
    pub(crate) fn turn(&mut self) -> Vec<Waker> {
        self.turns += 1;
        std::mem::take(&mut self.crowded)
    }

    /// Takes the next delivery out of the machine.
    fn take(&mut self, now: Now) -> Option<Delivery> {
        let delivery = self.machine.poll_delivery(now)?;
        trace::log(|| Entry::delivery(now.mono, &delivery, self.machine.config().sessions));
        Some(delivery)
    }

    /// Takes the next delivery for the host, and the drive loop's waker where that has made work for the loop. Most
    /// often nothing has waited for the room that it makes.
    pub(crate) fn take_for_host(&mut self, now: Now) -> Option<(Delivery, Option<Waker>)> {
        let before = [self.machine.wants_read(), self.machine.has_output()];
        let delivery = self.take(now)?;
        let after = [self.machine.wants_read(), self.machine.has_output()];
        let is_new = after.iter().zip(before).any(|(is, was)| *is && !was);
        Some((delivery, if is_new { self.driver.take() } else { None }))
    }

    /// Takes everything out of the machine for a host that has dropped its stream, since a machine that cannot take in
    /// more reads no results either; whether there was anything.
    ///
    /// Live events are lost on that host. Buffered ones are neither acknowledged nor refused: the connector keeps them,
    /// and waits; to refuse them would only make the gateway dial again and again for what nobody takes.
    pub(crate) fn drain_if_deaf(&mut self, now: Now) -> bool {
        let mut any = false;
        while self.deaf
            && let Some(delivery) = self.take(now)
        {
            any = true;
            if !delivery.buffered {
                self.machine.settle(now, delivery.id, Outcome::Refused);
            }
        }
        any
    }

    /// The host, if it waits and there is something for it.
    pub(crate) fn host_if_news(&mut self) -> Option<Waker> {
        let news = self.over
            || !self.signs.is_empty()
            || (self.host.is_some() && self.host_takes && self.machine.has_delivery());
        if news { self.host.take() } else { None }
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

/// A clock before 1970 reads as 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
