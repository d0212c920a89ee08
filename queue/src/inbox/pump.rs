//! Task of the queue: stores what arrives, drives the dispatcher, and passes hand-outs to the agents.

use super::agent::HandedOut;
use super::body::{Body, StoredForward};
use super::chat_memory;
use super::media::{Fetched, fetch};
use super::prompts::{self, Answered};
use super::queue::QueueEnd;
use super::shared::{Arriving, Shared, State, media_of};
use crate::dispatcher::Arrival;
use crate::head::MemoryItem;
use crate::id::{AgentId, DedupeKey, EntryId};
use crate::ledger::Ledger;
use crate::output::{HandOut, NotStored, Output, Settlement, Stored};
use crate::store::StoreFault;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use relayline_core::approver::platform_of;
use relayline_core::command::Command;
use relayline_core::event::Event;
use relayline_core::output::{Notice, Phase};
use relayline_core::time::Time;
use relayline_runtime::{Delivery, Inbox, Incoming, Runtime};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Number of items of the relay after which other tasks of the runtime have their turn.
const MAX_ITEMS: usize = 128;

/// Codes of closes by which a connector says that another gateway uses the same id.
const DISPLACED: [u16; 3] = [1008, 4000, 4429];

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
            let now = shared.clock.now();
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
            store(&mut state, shared.clock.now(), arriving);
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
                let _answer = self.shared.relay.submit(Command::Resume);
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

    /// Handles an item of the relay; `None` is its end.
    fn receive(&mut self, incoming: Option<Incoming>) {
        let shared = self.shared.clone();
        let mut wakers = Wakers::new();
        let mut state = shared.lock();
        let now = shared.clock.now();
        match incoming {
            Some(Incoming::Message(delivery)) => self.arrive(&mut state, now, delivery, false),
            Some(Incoming::PromptAnswer(delivery)) => self.arrive(&mut state, now, delivery, true),
            Some(Incoming::Forward(delivery)) => {
                let buffer_id = shared.relay.buffer_id(delivery.id());
                let mut keyed = Event::default();
                keyed.is_interaction = true;
                let key = keyed.stable_key(buffer_id.as_deref()).map(DedupeKey);
                let session = format!("passthrough:{}", delivery.forward().platform);
                let raw = delivery.raw().map(Into::into);
                let (forward, settlement) = delivery.into_parts();
                let body = Body::Forward(StoredForward { forward: Box::new(forward), raw });
                let arrival = arrival(&mut state, session, key, &body, None);
                store(&mut state, now, Arriving { settlement, arrival, media: Vec::new() });
            }
            Some(Incoming::Interrupt { session_key, chat_id }) => {
                let agent = state.driver.as_mut().and_then(|driver| driver.interrupt(&session_key));
                if let Some(agent) = agent {
                    let incoming = Incoming::Interrupt { session_key, chat_id };
                    notify(&mut state, &agent, incoming, &mut wakers);
                }
            }
            Some(Incoming::Notice(notice)) => self.notice(&mut state, now, notice, &mut wakers),
            Some(Incoming::Fatal(fatal)) => {
                state.fatal = Some(fatal);
                self.relay_ended(&mut state, now, &mut wakers);
            }
            None => self.relay_ended(&mut state, now, &mut wakers),
            // The runtime and this crate have one version: there are no other items yet.
            Some(_) => {}
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn relay_ended(&self, state: &mut State, now: Time, wakers: &mut Wakers) {
        if !std::mem::replace(&mut state.has_relay_ended, true)
            && let Some(driver) = &mut state.driver
        {
            driver.drain(now);
            driver.shut_down(now);
        }
        wakers.append(&mut state.wake_agents());
        wakers.append(&mut state.end_waiters);
    }

    fn notice(&self, state: &mut State, now: Time, notice: Notice, wakers: &mut Wakers) {
        match &notice {
            Notice::Connected { .. } => hold(state, now, false),
            Notice::Disconnected { .. } => hold(state, now, state.paused.is_none()),
            _ => {}
        }
        match &notice {
            // It began to dial before the pause.
            Notice::Connected { .. } if state.paused.is_some() => self.go_dormant(),
            Notice::Disconnected { code: Some(code), .. } if DISPLACED.contains(code) => {
                let why = "the connector says that another connection uses this gateway's id: this process has the \
                           queue, so look for a gateway outside of it that has the same id";
                tracing::warn!(code, why, "queue_displaced");
            }
            _ => {}
        }
        let agents: Vec<AgentId> = state.agents.keys().cloned().collect();
        // All agents hear of the connection. Of what is for nobody in particular, one does.
        let is_for_all = matches!(
            notice,
            Notice::Connected { .. }
                | Notice::Platform { .. }
                | Notice::Disconnected { .. }
                | Notice::Dormant { .. }
                | Notice::Resumed
                | Notice::Stopped
        );
        let count = if is_for_all { agents.len() } else { 1 };
        for agent in agents.iter().take(count) {
            notify(state, agent, Incoming::Notice(notice.clone()), wakers);
        }
    }

    /// Handles a message, or the answer to a prompt.
    fn arrive(&self, state: &mut State, now: Time, delivery: Delivery, is_answer: bool) {
        let relay = &self.shared.relay;
        let buffer_id = relay.buffer_id(delivery.id());
        let key = delivery.message().stable_key(buffer_id.as_deref()).map(DedupeKey);
        let mut session = delivery.session_key();
        let (event, settlement) = delivery.into_parts();
        let chat_id = event.source.chat_id.clone();
        let mut memory = None;
        let mut is_answer = is_answer;
        let prompt_id = event.prompt_response.as_ref().map(|response| response.prompt_id.clone());
        if let Some(prompt_id) = prompt_id.as_deref().filter(|_| !state.recognizes_answers) {
            session = state.prompts.session_of(prompt_id).map_or(session, String::from);
        } else if let Some(prompt_id) = prompt_id
            && !is_answer
            // A duplicate says nothing about the prompt: its entry does.
            && !is_known(state, key)
        {
            let identities = &relay.config().machine.identities;
            let platforms = identities.iter().map(|identity| identity.platform.as_str());
            let platform = platform_of(&event.source, platforms);
            match state.prompts.answer(now, &prompt_id, &event.source, platform) {
                Answered::Open { session: asked, value } => {
                    is_answer = true;
                    session = asked.map_or(session, String::from);
                    // With the entry, so that the prompt is answered once.
                    let key = prompts::prompt_key(&prompt_id).into();
                    memory = Some(MemoryItem { key, value: value.into() });
                    state.remember_chat(now, relay, &chat_id);
                }
                Answered::Unauthorized => {
                    state.stats.unauthorized_answers += 1;
                    settlement.ack();
                    let mut wakers = Wakers::new();
                    let notice = Notice::UnauthorizedAnswer { answer: Box::new(event) };
                    self.notice(state, now, notice, &mut wakers);
                    return wakers.into_iter().for_each(Waker::wake);
                }
                Answered::Late => {
                    state.stats.late_answers += 1;
                    return settlement.ack();
                }
                Answered::Foreign => {
                    state.stats.foreign_answers += 1;
                    return settlement.ack();
                }
                Answered::Stale => {
                    state.stats.stale_answers += 1;
                    settlement.ack();
                    let mut wakers = Wakers::new();
                    self.notice(state, now, Notice::StalePrompt { answer: Box::new(event) }, &mut wakers);
                    return wakers.into_iter().for_each(Waker::wake);
                }
            }
        }
        if memory.is_none() && !chat_id.is_empty() {
            let chat = relay.chat(&chat_id).map(chat_memory::write);
            let key = chat_memory::chat_key(&chat_id).into();
            memory = chat.map(|value| MemoryItem { key, value: value.into() });
        }
        let media = event.media.clone();
        let body = if is_answer { Body::Answer(Box::new(event)) } else { Body::Message(Box::new(event)) };
        let arrival = arrival(state, session, key, &body, memory);
        store(state, now, Arriving { settlement, arrival, media });
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
        let now = self.shared.clock.now();
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

/// Returns true if the key of an event is known.
fn is_known(state: &State, key: Option<DedupeKey>) -> bool {
    let ledger = state.driver.as_ref().map(|driver| driver.dispatcher().ledger());
    key.is_some_and(|key| ledger.is_some_and(|ledger| ledger.knows(key)))
}

/// Makes an arrival, with a new number.
fn arrival(
    state: &mut State,
    session: String,
    key: Option<DedupeKey>,
    body: &Body,
    memory: Option<MemoryItem>,
) -> Arrival {
    state.next_arrival = state.next_arrival.next();
    Arrival { id: state.next_arrival, session: session.into(), key, body: body.encode(), memory }
}

/// Passes an event to the dispatcher.
fn store(state: &mut State, now: Time, arriving: Arriving) {
    let Some(driver) = &mut state.driver else { return };
    let arrival = arriving.arrival.clone();
    state.arriving.insert(arrival.id, arriving);
    driver.arrive(now, arrival);
}

/// Queues a notice or an interrupt for an agent.
fn notify(state: &mut State, agent: &AgentId, incoming: Incoming, wakers: &mut Wakers) {
    if let Some(queue) = state.agents.get_mut(agent) {
        let (has_dropped, waker) = queue.push_urgent(incoming);
        state.stats.notices_dropped += u64::from(has_dropped);
        wakers.extend(waker);
    }
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
