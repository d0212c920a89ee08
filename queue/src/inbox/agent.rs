//! Inbox of one agent: the stream of its deliveries, interrupts and notices.

use super::body::Body;
use super::delivery::{DurableDelivery, DurableForward, QueueSettlement};
use super::media::MediaStore;
use super::shared::{Owner, State, media_of};
use crate::clock;
use crate::id::{AgentId, HandOutId};
use crate::output::AgentEnd;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use relayline_core::event::Event;
use relayline_core::output::{Fatal, Notice};
use relayline_core::time::Time;
use relayline_runtime::Incoming;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Maximum number of notices and interrupts that wait for an agent. The oldest makes room.
const MAX_NOTICES: usize = 1024;

/// Maximum number of chats of which an agent's last session is kept.
const MAX_CHATS: usize = 4096;

/// Item of a [`DurableInbox`].
#[derive(Debug)]
#[non_exhaustive]
pub enum DurableIncoming {
    /// Message of a chat.
    Message(DurableDelivery),
    /// Answer to a prompt. [`prompt_response`](Event::prompt_response) names the prompt and the option.
    PromptAnswer(DurableDelivery),
    /// Request of a platform that is not a message, if the configuration enables `passthrough`.
    Forward(DurableForward),
    /// Request to stop the turn of exactly this session, which this agent has. It overtakes messages.
    Interrupt {
        /// Key of the session.
        session_key: String,
        /// Id of the chat; may be empty.
        chat_id: String,
    },
    /// Change of the connection, or an error of the connector. It overtakes messages.
    Notice(Notice),
    /// Permanent end of the gateway: it is revoked. This is the last item.
    Fatal(Fatal),
}

/// Entry that was handed out, and that the agent has not polled.
pub(super) struct HandedOut {
    pub(super) id: HandOutId,
    pub(super) session: Arc<str>,
    pub(super) body: Body,
    /// Time at which it is given without its files.
    pub(super) files_by: Time,
}

/// Queue of one agent.
#[derive(Default)]
pub(super) struct AgentQueue {
    handed_out: VecDeque<HandedOut>,
    urgent: VecDeque<Incoming>,
    waker: Option<Waker>,
    /// Last session of each chat.
    sessions: BTreeMap<String, Arc<str>>,
    has_seen_fatal: bool,
}

impl AgentQueue {
    pub(super) fn push(&mut self, handed_out: HandedOut) -> Option<Waker> {
        if let Some(event) = handed_out.body.event() {
            if self.sessions.len() >= MAX_CHATS {
                self.sessions.clear();
            }
            self.sessions.insert(event.source.chat_id.to_string(), handed_out.session.clone());
        }
        self.handed_out.push_back(handed_out);
        self.waker.take()
    }

    /// Queues a notice or an interrupt. Returns true if another one made room for it.
    pub(super) fn push_urgent(&mut self, incoming: Incoming) -> (bool, Option<Waker>) {
        let is_full = self.urgent.len() >= MAX_NOTICES;
        if is_full {
            self.urgent.pop_front();
        }
        self.urgent.push_back(incoming);
        (is_full, self.waker.take())
    }

    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    /// Takes what was handed out and not polled: the agent does not get it.
    pub(super) fn take_unseen(&mut self) -> Vec<HandOutId> {
        self.handed_out.drain(..).map(|handed_out| handed_out.id).collect()
    }

    /// Forgets what was handed out, since another gateway leads.
    pub(super) fn clear(&mut self) {
        self.handed_out.clear();
    }

    /// Returns the last session of a chat that the agent got.
    pub(super) fn session_of(&self, chat_id: &str) -> Option<Arc<str>> {
        self.sessions.get(chat_id).cloned()
    }

    /// Takes the first entry whose files are there. Entries of one session keep their order.
    fn take_ready(&mut self, now: Time, media: Option<&MediaStore>) -> Option<HandedOut> {
        let Some(media) = media else { return self.handed_out.pop_front() };
        let mut waiting = BTreeSet::new();
        let is_ready = |item: &HandedOut| now >= item.files_by || media.is_ready(item.id.entry);
        let place = self.handed_out.iter().position(|item| {
            let is_first = !waiting.contains(&item.session);
            let takes = is_first && is_ready(item);
            if !takes {
                waiting.insert(item.session.clone());
            }
            takes
        })?;
        self.handed_out.remove(place)
    }

    /// Returns the earliest time after `now` at which an entry is given without its files.
    pub(super) fn files_by(&self, now: Time) -> Option<Time> {
        self.handed_out.iter().map(|item| item.files_by).filter(|by| *by > now).min()
    }
}

/// Stream of what one agent gets. It ends when the gateway has disconnected, or after [`DurableIncoming::Fatal`].
///
/// Dropping it ends the agent: its unsettled deliveries go to others, uncharged. After a panic, the oldest one of each
/// session is charged. [`end`](Self::end) says which it is. What was not polled counts as never handed out.
///
/// Cancel-safe: dropping a `next()` loses no item.
#[derive(Debug)]
pub struct DurableInbox {
    owner: Arc<Owner>,
    id: AgentId,
    has_ended: bool,
    is_removed: bool,
}

impl DurableInbox {
    pub(super) fn new(owner: Arc<Owner>, id: AgentId) -> DurableInbox {
        DurableInbox { owner, id, has_ended: false, is_removed: false }
    }

    /// Returns the agent's id.
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// Ends the agent. Others get what it has not settled.
    pub fn end(mut self, end: &AgentEnd) {
        self.remove(end);
    }

    /// Leaves the entries of a worker's agent to it, since the gateway ends: it claims them from the next one.
    pub fn leave(mut self) {
        self.is_removed = true;
        self.owner.0.change(|state, _| state.agents.remove(&self.id));
    }

    /// Polls for the next interrupt, notice or end, and leaves deliveries queued. Use it in a host that has no room for
    /// deliveries. A task that is pending here may be woken for deliveries, too.
    pub fn poll_urgent(&mut self, cx: &mut Context<'_>) -> Poll<Option<DurableIncoming>> {
        self.poll_some(cx, false)
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, deliveries: bool) -> Poll<Option<DurableIncoming>> {
        let shared = &self.owner.0;
        let mut guard = shared.lock();
        let State { agents, media, has_relay_ended, is_leaving, fatal, .. } = &mut *guard;
        let media = media.as_ref();
        let Some(queue) = agents.get_mut(&self.id) else {
            self.has_ended = true;
            return Poll::Ready(None);
        };
        if let Some(incoming) = queue.urgent.pop_front() {
            return Poll::Ready(Some(match incoming {
                Incoming::Interrupt { session_key, chat_id } => {
                    DurableIncoming::Interrupt { session_key, chat_id }
                }
                Incoming::Notice(notice) => DurableIncoming::Notice(notice),
                // Nothing else is queued there.
                _ => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }));
        }
        let takes = deliveries && !*is_leaving;
        let ready = takes.then(|| queue.take_ready(clock::now(), media)).flatten();
        if let Some(HandedOut { id, session, body, .. }) = ready {
            let paths = media.map(|media| media.paths(id.entry, media_of(&body).len()));
            drop(guard);
            return Poll::Ready(Some(self.give(id, &session, body, paths.unwrap_or_default())));
        }
        if *has_relay_ended {
            if let Some(fatal) =
                fatal.as_ref().filter(|_| !std::mem::replace(&mut queue.has_seen_fatal, true))
            {
                return Poll::Ready(Some(DurableIncoming::Fatal(fatal.clone())));
            }
            self.has_ended = true;
            return Poll::Ready(None);
        }
        let former = queue.waker.replace(cx.waker().clone());
        drop(guard);
        drop(former);
        Poll::Pending
    }

    /// Makes a delivery, which has a number of its own from now on.
    fn give(
        &self,
        id: HandOutId,
        session: &str,
        body: Body,
        media: Vec<Option<std::path::PathBuf>>,
    ) -> DurableIncoming {
        let relay = &self.owner.0.relay;
        let settlement = QueueSettlement::new(self.owner.clone(), id);
        match body {
            Body::Message(event) => {
                let delivery = relay.recall(*event);
                DurableIncoming::Message(DurableDelivery::new(delivery, session, media, settlement))
            }
            Body::Answer(event) => {
                let delivery = relay.recall(*event);
                DurableIncoming::PromptAnswer(DurableDelivery::new(delivery, session, media, settlement))
            }
            Body::Forward(stored) => {
                // It has no chat, so nothing can be answered by its number.
                let number = relay.recall(Event::default()).id();
                DurableIncoming::Forward(DurableForward::new(number, stored, settlement))
            }
        }
    }

    fn remove(&mut self, end: &AgentEnd) {
        if std::mem::replace(&mut self.is_removed, true) {
            return;
        }
        self.owner.0.change(|state, now| {
            let queue = state.agents.remove(&self.id);
            let unseen = queue.map(|mut queue| queue.take_unseen()).unwrap_or_default();
            // The end of the gateway charges nobody.
            let end = if state.is_leaving || state.has_relay_ended { &AgentEnd::Planned } else { end };
            if let Some(driver) = &mut state.driver {
                driver.agent_ended(now, &self.id, end, &unseen);
            }
        });
    }
}

impl Drop for DurableInbox {
    fn drop(&mut self) {
        let end = match std::thread::panicking() {
            true => AgentEnd::Crashed("the host panicked".to_owned()),
            false => AgentEnd::Planned,
        };
        self.remove(&end);
    }
}

impl Stream for DurableInbox {
    type Item = DurableIncoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<DurableIncoming>> {
        self.poll_some(cx, true)
    }
}

impl FusedStream for DurableInbox {
    /// Returns true once the stream has returned `None`.
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}
