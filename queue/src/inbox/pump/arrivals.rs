//! Items of the relay: events on their way into the store, interrupts, and notices.

use super::{DISPLACED, Pump, Wakers, hold};
use crate::clock;
use crate::dispatcher::Arrival;
use crate::head::MemoryItem;
use crate::id::{AgentId, DedupeKey, HandOutId};
use crate::inbox::body::{Body, StoredForward};
use crate::inbox::chat_memory;
use crate::inbox::prompts::{self, Answered};
use crate::inbox::shared::{Arriving, State};
use relayline_core::approver::platform_of;
use relayline_core::event::Event;
use relayline_core::output::Notice;
use relayline_core::time::Time;
use relayline_runtime::{Delivery, Incoming, Runtime};
use std::task::Waker;

impl<R: Runtime> Pump<R> {
    /// Handles an item of the relay; `None` is its end.
    pub(super) fn receive(&mut self, incoming: Option<Incoming>) {
        let shared = self.shared.clone();
        let mut wakers = Wakers::new();
        let mut state = shared.lock();
        let now = clock::now();
        match incoming {
            Some(Incoming::Message(delivery)) => self.arrive(&mut state, now, delivery, false, &mut wakers),
            Some(Incoming::PromptAnswer(delivery)) => {
                self.arrive(&mut state, now, delivery, true, &mut wakers);
            }
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
            // Agents of workers are left to the next leader at once; the others may still poll.
            let remote = state.agents.iter_mut().filter(|(agent, _)| agent.worker().is_some());
            let unseen: Vec<HandOutId> = remote.flat_map(|(_, queue)| queue.take_unseen()).collect();
            driver.drain(now, &unseen);
            driver.shut_down(now);
        }
        wakers.append(&mut state.wake_agents());
        wakers.append(&mut state.end_waiters);
    }

    fn notice(&self, state: &mut State, now: Time, notice: Notice, wakers: &mut Wakers) {
        match &notice {
            Notice::Connected { .. } => {
                hold(state, now, false);
                // It began to dial before the pause.
                if state.paused.is_some() {
                    self.go_dormant();
                }
            }
            Notice::Disconnected { code, .. } => {
                hold(state, now, state.paused.is_none());
                if let Some(code) = code.filter(|code| DISPLACED.contains(code))
                    && let Some(driver) = &mut state.driver
                {
                    state.displaced = Some(code);
                    // Another process of this queue may lead. If this one can lose the right to, the next dial waits for the
                    // answer.
                    driver.check_leadership(now);
                }
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
    fn arrive(&self, state: &mut State, now: Time, delivery: Delivery, is_answer: bool, wakers: &mut Wakers) {
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
                    let answer = Box::new(event);
                    return self.notice(state, now, Notice::UnauthorizedAnswer { answer }, wakers);
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
                    let answer = Box::new(event);
                    return self.notice(state, now, Notice::StalePrompt { answer }, wakers);
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
}

/// Logs that a gateway outside of this queue uses the same id.
pub(super) fn log_displaced(code: u16) {
    let why = "the connector says that another connection uses this gateway's id: this process has the queue, so look \
               for a gateway outside of it that has the same id";
    tracing::warn!(code, why, "queue_displaced");
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
pub(super) fn store(state: &mut State, now: Time, arriving: Arriving) {
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
