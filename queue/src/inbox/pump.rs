//! Task of the queue: stores what arrives, drives the dispatcher, and passes hand-outs to the agents.

mod arrivals;

use super::agent::HandedOut;
use super::body::Body;
use super::media::{Fetched, fetch};
use super::queue::QueueEnd;
use super::shared::{Shared, State, media_of};
use crate::clock;
use crate::id::{AgentId, EntryId};
use crate::ledger::Ledger;
use crate::output::{HandOut, NotStored, Output, Settlement, Stored};
use crate::store::StoreFault;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use relayline_core::command::Command;
use relayline_core::output::Phase;
use relayline_core::time::Time;
use relayline_runtime::{Inbox, Runtime};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Number of items of the relay after which other tasks of the runtime have their turn.
const MAX_ITEMS: usize = 128;

/// Codes of closes by which a connector says that another gateway uses the same id.
const DISPLACED: [u16; 3] = [1008, 4000, 4429];

/// Time to the next dial after another gateway outside of the queue has taken the connection.
const AFTER_DISPLACEMENT: Duration = Duration::from_secs(10);

/// Task of a queue. It ends once the queue is handed over and its store is closed.
pub(super) struct Pump<R> {
    runtime: R,
    shared: Arc<Shared>,
    inbox: Inbox,
    timer: Option<(Time, BoxFuture<'static, ()>)>,
    fetches: FuturesUnordered<BoxFuture<'static, Fetched>>,
    media_timeout: Duration,
    /// Text of the last fault of the store, so that it is logged once.
    fault: Option<String>,
}

/// Wakers to wake once the lock is released: they are foreign code.
type Wakers = Vec<Waker>;

impl<R: Runtime> Pump<R> {
    pub(super) fn new(runtime: R, shared: Arc<Shared>, inbox: Inbox, media_timeout: Duration) -> Pump<R> {
        let fetches = FuturesUnordered::new();
        Pump { runtime, shared, inbox, timer: None, fetches, media_timeout, fault: None }
    }

    /// Performs the outputs of the dispatcher. Returns true if there were any.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let (shared, mut wakers, mut has_acted) = (self.shared.clone(), Wakers::new(), false);
        let mut state = shared.lock();
        state.task = Some(cx.waker().clone());
        loop {
            let now = clock::now();
            let Some(driver) = &mut state.driver else { break };
            let Poll::Ready(output) = driver.poll(cx, now) else { break };
            has_acted = true;
            self.perform(&mut state, now, output, &mut wakers);
        }
        // Events that were not taken are passed in again, in their order.
        while state.takes_arrivals()
            && let Some(arriving) = state.untaken.pop_front()
        {
            has_acted = true;
            arrivals::store(&mut state, clock::now(), arriving);
        }
        if let Some(media) = &mut state.media {
            while let Some(job) = media.next_job() {
                let fetched = fetch(self.runtime.clone(), shared.relay.clone(), job, self.media_timeout);
                self.fetches.push(fetched.boxed());
            }
        }
        self.close(&mut state, &mut wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        has_acted
    }

    fn perform(&mut self, state: &mut State, now: Time, output: Output, wakers: &mut Wakers) {
        match output {
            Output::HandOut(hand_out) => self.hand_out(state, now, hand_out, wakers),
            Output::Arrived { arrival, result } => {
                let Some(arriving) = state.arriving.remove(&arrival) else { return };
                match result {
                    Ok(stored) => {
                        if let (Stored::New(entry), Some(media)) = (stored, &mut state.media) {
                            media.want(entry, &arriving.media, false);
                        }
                        arriving.settlement.ack();
                    }
                    Err(NotStored::Unavailable) => state.untaken.push_back(arriving),
                    // It is refused as its settlement is dropped.
                    Err(NotStored::NotLeading) => drop(arriving),
                }
            }
            Output::Settled { hand_out, result } => {
                if let Some(chat_id) = state.chats.remove(&hand_out.entry) {
                    state.remember_chat(now, &self.shared.relay, &chat_id);
                }
                let is_done = is_gone(state, hand_out.entry);
                if let (true, Some(media)) = (is_done, &mut state.media) {
                    media.forget(hand_out.entry);
                }
                if let Some(sender) = state.settled(hand_out) {
                    let _ = sender.send(result);
                }
            }
            Output::Requested { request, result } => {
                if let Some(sender) = state.requested(request) {
                    let _ = sender.send(result);
                }
            }
            Output::DeadLetter { entry, error, .. } => {
                if let Some(media) = &mut state.media {
                    media.forget(entry);
                }
                tracing::warn!(entry = entry.0, why = &*error, "queue_dead_letter");
            }
            Output::LeaseLost { worker } => {
                tracing::warn!(worker = &*worker, why = "others get its sessions", "lease_lost");
                // The host ends its agents: what they were handed is others' now.
                let is_of = |agent: &AgentId| agent.worker() == Some(&*worker);
                let agents = state.agents.iter_mut().filter(|(agent, _)| is_of(agent));
                agents.for_each(|(_, agent)| agent.clear());
                state.lost_leases.push_back(worker.into());
                wakers.extend(state.lease_waker.take());
            }
            Output::StoreFailed(fault) => self.log_fault(fault),
            Output::Pause(reason) => {
                let why = "the connector keeps what arrives until the queue takes events again";
                tracing::warn!(?reason, why, "queue_paused");
                state.paused = Some(reason);
                state.stats.pauses += 1;
                // Agents make room in a queue that is full.
                hold(state, now, false);
                self.go_dormant();
            }
            Output::Resume => {
                tracing::info!("queue_resumed");
                (state.paused, self.fault) = (None, None);
                let is_connected = matches!(self.shared.relay.phase(), Phase::Connected | Phase::Idle);
                hold(state, now, !is_connected);
                let _answer = self.shared.relay.submit(match state.displaced.take() {
                    None => Command::Resume,
                    // The gateway outside of the queue is not displaced in turn at once.
                    Some(code) => {
                        arrivals::log_displaced(code);
                        Command::Hold(AFTER_DISPLACEMENT)
                    }
                });
            }
            Output::StillLeading => {
                if let Some(code) = state.displaced.take() {
                    arrivals::log_displaced(code);
                }
            }
            Output::Lost => self.end(state, QueueEnd::Lost),
            Output::Released => self.end(state, QueueEnd::Released),
            Output::Failed(error) => self.end(state, QueueEnd::Failed(error.to_string())),
            // The queue leads already, and commands go to the store.
            _ => {}
        }
    }

    fn log_fault(&mut self, fault: StoreFault) {
        let StoreFault { kind, text } = fault;
        if self.fault.as_ref() != Some(&text) {
            tracing::warn!(?kind, why = text, "queue_store_failed");
            self.fault = Some(text);
        }
    }

    /// Goes idle and closes the connection. It is not dialed again before the queue resumes.
    fn go_dormant(&self) {
        let relay = &self.shared.relay;
        let _held = relay.submit(Command::Hold(Duration::MAX));
        let _answer = relay.submit(Command::GoDormant);
    }

    fn hand_out(&self, state: &mut State, now: Time, hand_out: HandOut, wakers: &mut Wakers) {
        let HandOut { agent, id, session, body } = hand_out;
        if let (true, Some(driver)) = (state.is_leaving, &mut state.driver) {
            // Its agent polls no more.
            return driver.drain(now, &[id]);
        }
        let body = match Body::decode(id.entry, &body) {
            Ok(body) => body,
            Err(error) => {
                state.stats.unreadable += 1;
                tracing::warn!(%error, "queue_unreadable");
                drop(state.settle(now, id, Settlement::Refused(error.to_string())));
                return;
            }
        };
        if let Some(event) = body.event().filter(|event| !event.source.chat_id.is_empty()) {
            state.note_chat(id.entry, &event.source.chat_id);
        }
        if let Some(media) = &mut state.media {
            media.want(id.entry, media_of(&body), true);
        }
        let files_by = now + self.media_timeout;
        if let Some(queue) = state.agents.get_mut(&agent) {
            wakers.extend(queue.push(HandedOut { id, session, body, files_by }));
        }
    }

    /// Handles the last output of the dispatcher.
    fn end(&self, state: &mut State, end: QueueEnd) {
        match &end {
            QueueEnd::Released => {}
            QueueEnd::Lost => tracing::error!(why = "another gateway has the queue", "queue_lost"),
            QueueEnd::Failed(why) => tracing::error!(why, "queue_failed"),
        }
        if end != QueueEnd::Released {
            state.agents.values_mut().for_each(super::agent::AgentQueue::clear);
            state.is_leaving = true;
            let _answer = self.shared.relay.submit(Command::Disconnect);
        }
        state.end.get_or_insert(end);
    }

    /// Closes the store after the last output.
    fn close(&self, state: &mut State, wakers: &mut Wakers) {
        if state.driver.as_ref().is_none_or(|driver| !driver.dispatcher().has_ended()) {
            return;
        }
        // The thread of the store ends, and releases its lock.
        drop(state.driver.take());
        state.answer_all();
        state.arriving.clear();
        state.untaken.clear();
        wakers.append(&mut state.end_waiters);
        wakers.append(&mut state.wake_agents());
    }

    /// Returns the time at which to poll next.
    fn deadline(&self, now: Time) -> Option<Time> {
        let state = self.shared.lock();
        let driver = state.driver.as_ref().and_then(|driver| driver.deadline());
        let files = state
            .media
            .as_ref()
            .and_then(|_| state.agents.values().filter_map(|agent| agent.files_by(now)).min());
        driver.into_iter().chain(files).min()
    }

    /// Sets the timer. Returns true if it has expired.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let now = clock::now();
        match (self.deadline(now), &self.timer) {
            (None, _) => self.timer = None,
            (Some(due), Some((set, _))) if *set == due => {}
            (Some(due), _) => {
                // At least 1 ms ahead: a deadline in the past would loop.
                let wait = due.since(now).max(Duration::from_millis(1));
                self.timer = Some((due, self.runtime.sleep(wait).boxed()));
            }
        }
        let is_due = self.timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready());
        if is_due {
            self.timer = None;
            let wakers = self.shared.lock().wake_agents();
            wakers.into_iter().for_each(Waker::wake);
        }
        is_due
    }

    fn poll_fetches(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(Some(fetched)) = self.fetches.poll_next_unpin(cx) else { return false };
        let mut guard = self.shared.lock();
        let State { media, driver, stats, .. } = &mut *guard;
        stats.media_failed += fetched.failed;
        if let Some(media) = media {
            let ledger: Option<&Ledger> = driver.as_ref().map(|driver| driver.dispatcher().ledger());
            let is_alive = |entry| ledger.is_none_or(|ledger| ledger.entry(entry).is_some());
            let counts = media.finish(fetched, is_alive);
            stats.media_fetched += counts.fetched;
            stats.media_dropped += counts.dropped;
            stats.media_removed += counts.removed;
        }
        let wakers = guard.wake_agents();
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
        true
    }
}

/// Hands nothing out while `is_held`.
fn hold(state: &mut State, now: Time, is_held: bool) {
    if let Some(driver) = &mut state.driver {
        driver.hold(now, is_held);
    }
}

/// Returns true if an entry is not in the queue any more.
fn is_gone(state: &State, entry: EntryId) -> bool {
    state.driver.as_ref().is_none_or(|driver| driver.dispatcher().ledger().entry(entry).is_none())
}

impl<R: Runtime> Future for Pump<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..MAX_ITEMS {
            let mut has_acted = this.drive(cx);
            let (takes, has_relay_ended, is_over) = {
                let state = this.shared.lock();
                let takes = state.takes_arrivals() && state.untaken.is_empty();
                (takes, state.has_relay_ended, state.driver.is_none())
            };
            if is_over && has_relay_ended {
                return Poll::Ready(());
            }
            if !has_relay_ended {
                let incoming = match takes {
                    true => Pin::new(&mut this.inbox).poll_next(cx),
                    false => this.inbox.poll_urgent(cx),
                };
                if let Poll::Ready(incoming) = incoming {
                    this.receive(incoming);
                    has_acted = true;
                }
            }
            has_acted |= this.poll_fetches(cx);
            has_acted |= this.poll_timer(cx);
            if !has_acted {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
