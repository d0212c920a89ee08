//! State that the queue's task and its handles share, under one lock.

use super::agent::AgentQueue;
use super::body::Body;
use super::chat_memory;
use super::media::MediaStore;
use super::prompts::Prompts;
use super::queue::QueueEnd;
use super::stats::InboxStats;
use crate::clock;
use crate::dispatcher::Arrival;
use crate::driver::QueueDriver;
use crate::id::{AgentId, ArrivalId, EntryId, HandOutId, RequestId};
use crate::ledger::EntryState;
use crate::output::{NotSettled, PauseReason, RequestRefused, Settlement};
use crate::store::Store;
use futures_channel::oneshot;
use relayline_core::command::Command;
use relayline_core::event::Media;
use relayline_core::output::Fatal;
use relayline_core::time::Time;
use relayline_runtime::{Relay, Settlement as RelaySettlement};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Store of any engine.
pub(super) type AnyStore = Box<dyn Store + Send>;

/// Number of chats of entries at which those of entries that are gone leave.
const MAX_CHATS: usize = 16_384;

/// Event on its way into the store.
pub(super) struct Arriving {
    pub(super) settlement: RelaySettlement,
    pub(super) arrival: Arrival,
    pub(super) media: Vec<Media>,
}

/// Answer to a settlement.
pub(super) type SettleResult = Result<(), NotSettled>;

/// State of a queue between a gateway and its hosts.
pub(super) struct State {
    /// `None` once the store is closed.
    pub(super) driver: Option<QueueDriver<AnyStore>>,
    pub(super) agents: BTreeMap<AgentId, AgentQueue>,
    /// Events that are being stored.
    pub(super) arriving: BTreeMap<ArrivalId, Arriving>,
    /// Events that the queue did not take, and that are passed in again.
    pub(super) untaken: VecDeque<Arriving>,
    pub(super) next_arrival: ArrivalId,
    /// Chats of the entries that agents have, and of some that they had.
    pub(super) chats: BTreeMap<EntryId, String>,
    settling: BTreeMap<HandOutId, Vec<oneshot::Sender<SettleResult>>>,
    requests: BTreeMap<RequestId, oneshot::Sender<Result<(), RequestRefused>>>,
    next_request: RequestId,
    pub(super) prompts: Prompts,
    /// False if the host handles answers to prompts itself: they are messages.
    pub(super) recognizes_answers: bool,
    pub(super) media: Option<MediaStore>,
    pub(super) stats: InboxStats,
    pub(super) paused: Option<PauseReason>,
    /// Code by which the connector has closed the connection for that of another gateway, until the store has said
    /// whether it is one of this queue.
    pub(super) displaced: Option<u16>,
    /// True once the gateway is to end: agents get nothing new.
    pub(super) is_leaving: bool,
    /// True once the relay has ended: no event arrives any more.
    pub(super) has_relay_ended: bool,
    pub(super) fatal: Option<Fatal>,
    pub(super) end: Option<QueueEnd>,
    pub(super) end_waiters: Vec<Waker>,
    /// Workers whose leases have expired, for the host. There are not more than there are workers.
    pub(super) lost_leases: VecDeque<String>,
    pub(super) lease_waker: Option<Waker>,
    /// Waker of the task.
    pub(super) task: Option<Waker>,
}

impl State {
    pub(super) fn new(driver: QueueDriver<AnyStore>, prompts: Prompts, media: Option<MediaStore>) -> State {
        State {
            driver: Some(driver),
            agents: BTreeMap::new(),
            arriving: BTreeMap::new(),
            untaken: VecDeque::new(),
            next_arrival: ArrivalId(0),
            chats: BTreeMap::new(),
            settling: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: RequestId(0),
            prompts,
            recognizes_answers: true,
            media,
            stats: InboxStats::default(),
            paused: None,
            displaced: None,
            is_leaving: false,
            has_relay_ended: false,
            fatal: None,
            end: None,
            end_waiters: Vec::new(),
            lost_leases: VecDeque::new(),
            lease_waker: None,
            task: None,
        }
    }

    /// Settles a hand-out. The answer comes once it is durable.
    pub(super) fn settle(
        &mut self,
        now: Time,
        id: HandOutId,
        settlement: Settlement,
    ) -> oneshot::Receiver<SettleResult> {
        let (sender, receiver) = oneshot::channel();
        match &mut self.driver {
            Some(driver) => {
                self.settling.entry(id).or_default().push(sender);
                driver.settle(now, id, settlement);
            }
            None => _ = sender.send(Err(NotSettled::NotLeading)),
        }
        receiver
    }

    /// Returns the answers to a settlement that the dispatcher has answered. The first of several is the one that counts.
    pub(super) fn settled(&mut self, id: HandOutId) -> Option<oneshot::Sender<SettleResult>> {
        let waiting = self.settling.get_mut(&id)?;
        let sender = waiting.pop();
        if waiting.is_empty() {
            self.settling.remove(&id);
        }
        sender
    }

    pub(super) fn request(
        &mut self,
        now: Time,
        request: crate::output::OperatorRequest,
    ) -> oneshot::Receiver<Result<(), RequestRefused>> {
        let (sender, receiver) = oneshot::channel();
        match &mut self.driver {
            Some(driver) => {
                self.next_request = self.next_request.next();
                self.requests.insert(self.next_request, sender);
                driver.request(now, self.next_request, request);
            }
            None => _ = sender.send(Err(RequestRefused::NotLeading)),
        }
        receiver
    }

    pub(super) fn requested(&mut self, id: RequestId) -> Option<oneshot::Sender<Result<(), RequestRefused>>> {
        self.requests.remove(&id)
    }

    /// Answers everything that waits, since the queue has ended.
    pub(super) fn answer_all(&mut self) {
        for sender in std::mem::take(&mut self.settling).into_values().flatten() {
            let _ = sender.send(Err(NotSettled::NotLeading));
        }
        for sender in std::mem::take(&mut self.requests).into_values() {
            let _ = sender.send(Err(RequestRefused::NotLeading));
        }
    }

    /// Notes the chat of an entry that an agent has. Those of entries that are gone leave when there are too many.
    pub(super) fn note_chat(&mut self, entry: EntryId, chat_id: &str) {
        if self.chats.len() >= MAX_CHATS
            && let Some(driver) = &self.driver
        {
            let ledger = driver.dispatcher().ledger();
            let is_out =
                |entry: &EntryId| ledger.entry(*entry).is_some_and(|entry| entry.state == EntryState::Out);
            self.chats.retain(|entry, _| is_out(entry));
        }
        self.chats.insert(entry, chat_id.to_owned());
    }

    /// Records what the gateway remembers of a chat, if that has changed.
    pub(super) fn remember_chat(&mut self, now: Time, relay: &Relay, chat_id: &str) {
        let (Some(driver), Some(chat)) = (&mut self.driver, relay.chat(chat_id)) else { return };
        let (key, value) = (chat_memory::chat_key(chat_id), chat_memory::write(chat));
        if driver.dispatcher().ledger().memory_value(&key) != Some(&value) {
            driver.remember(now, &key, Some(&value));
        }
    }

    pub(super) fn remember(&mut self, now: Time, key: &str, value: Option<&str>) {
        if let Some(driver) = &mut self.driver {
            driver.remember(now, key, value);
        }
    }

    /// Returns true if another event can be stored.
    pub(super) fn takes_arrivals(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.dispatcher().takes_arrivals())
    }

    /// Returns the wakers of all agents.
    pub(super) fn wake_agents(&mut self) -> Vec<Waker> {
        self.agents.values_mut().filter_map(AgentQueue::take_waker).collect()
    }
}

/// Part of a queue that its task and its handles share.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) relay: Relay,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(state: State, relay: Relay) -> Arc<Shared> {
        Arc::new(Shared { state: Mutex::new(state), relay })
    }

    /// Locks the state, also after a panic of the host: it is consistent after every call.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes the task.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Time) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state, clock::now());
        let task = state.task.take();
        drop(state);
        // Not under the lock: a waker is foreign code.
        if let Some(task) = task {
            task.wake();
        }
        changed
    }

    /// Gives agents nothing new. Returns false if that was so before.
    pub(super) fn drain(&self) -> bool {
        self.change(|state, now| {
            let is_first = !std::mem::replace(&mut state.is_leaving, true);
            if let (true, Some(driver)) = (is_first, &mut state.driver) {
                let unseen: Vec<HandOutId> =
                    state.agents.values_mut().flat_map(AgentQueue::take_unseen).collect();
                driver.drain(now, &unseen);
            }
            is_first
        })
    }

    /// Begins to end: agents get nothing new, and the gateway disconnects.
    pub(super) fn leave(&self) {
        if self.drain() {
            // It is refused only if the relay has ended.
            let _answer = self.relay.submit(Command::Disconnect);
        }
    }
}

/// Handle whose last clone ends the queue.
#[derive(Debug)]
pub(super) struct Owner(pub(super) Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Returns the attachments of a body.
pub(super) fn media_of(body: &Body) -> &[Media] {
    body.event().map_or(&[], |event| &event.media)
}
