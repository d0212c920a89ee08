//! Handle of a queue between a gateway and its hosts.

use super::agent::{AgentQueue, DurableInbox};
use super::prompts::prompt_key;
use super::shared::{Owner, Shared, State};
use super::stats::InboxStats;
use crate::config::QueueLimits;
use crate::dispatcher::QueueUsage;
use crate::id::{AgentId, HandOutId};
use crate::output::{AgentEnd, ClaimRefused, EndedHandOuts, OperatorRequest, PauseReason, RequestRefused};
use crate::stats::QueueStats;
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use relayline_core::op::Prompt;
use relayline_core::output::Fatal;
use relayline_runtime::{Relay, Runtime};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;

/// Maximum time for the last writes of a queue that ends.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// End of a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum QueueEnd {
    /// It was handed over. Nothing is out.
    Released,
    /// Another gateway has it.
    Lost,
    /// It cannot be used.
    Failed(String),
}

impl fmt::Display for QueueEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueEnd::Released => f.write_str("the queue was handed over"),
            QueueEnd::Lost => f.write_str("another gateway has the queue"),
            QueueEnd::Failed(why) => f.write_str(why),
        }
    }
}

/// Error returned when an agent is there already.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("there is an agent {0:?} already: give each its own id")]
pub struct AgentExists(String);

/// State of a queue, for a status page.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct QueueStatus {
    /// Sizes of the queue and its tables.
    pub usage: QueueUsage,
    /// Counters of the dispatcher.
    pub stats: QueueStats,
    /// Counters of its host.
    pub inbox: InboxStats,
    /// Reason for which the gateway does not connect now, if there is one.
    pub paused: Option<PauseReason>,
    /// Bytes of fetched files.
    pub media_bytes: u64,
    /// Prompts that are known.
    pub prompts: usize,
}

type Sleep = dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync;

/// Handle of a queue. It is cheap to clone and usable from any thread.
///
/// The gateway disconnects when the last clone, all inboxes of agents and all of their deliveries are dropped.
#[derive(Clone)]
pub struct DurableQueue {
    owner: Arc<Owner>,
    limits: Arc<QueueLimits>,
    sleep: Arc<Sleep>,
}

impl fmt::Debug for DurableQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableQueue").finish_non_exhaustive()
    }
}

impl DurableQueue {
    pub(super) fn new<R: Runtime>(
        runtime: R,
        state: State,
        limits: QueueLimits,
        relay: Relay,
    ) -> DurableQueue {
        let sleep = Arc::new(move |span| runtime.sleep(span).boxed());
        let owner = Arc::new(Owner(Shared::new(state, relay)));
        DurableQueue { owner, limits: Arc::new(limits), sleep }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    /// Adds an agent, which gets entries from now on. Its id distinguishes it from other agents of the queue.
    ///
    /// # Errors
    /// There is an agent with this id.
    pub fn agent(&self, id: &str) -> Result<DurableInbox, AgentExists> {
        let agent = AgentId::new(id);
        self.shared().change(|state, now| {
            if state.agents.contains_key(&agent) {
                return Err(AgentExists(id.to_owned()));
            }
            state.agents.insert(agent.clone(), AgentQueue::default());
            if let Some(driver) = &mut state.driver {
                driver.agent_ready(now, &agent);
            }
            Ok(())
        })?;
        Ok(DurableInbox::new(self.owner.clone(), agent))
    }

    /// Returns the handle of the gateway.
    pub fn relay(&self) -> &Relay {
        &self.shared().relay
    }

    /// Returns the limits of the queue.
    pub fn limits(&self) -> &QueueLimits {
        &self.limits
    }

    /// Returns the state of the queue; `None` once its store is closed.
    pub fn status(&self) -> Option<QueueStatus> {
        let state = self.shared().lock();
        let dispatcher = state.driver.as_ref()?.dispatcher();
        Some(QueueStatus {
            usage: dispatcher.usage(),
            stats: dispatcher.stats(),
            inbox: state.stats,
            paused: state.paused,
            media_bytes: state.media.as_ref().map_or(0, super::media::MediaStore::bytes),
            prompts: state.prompts.len(),
        })
    }

    /// Gives a worker a lease, or renews it: see [`Dispatcher::handle_worker`](crate::dispatcher::Dispatcher::handle_worker).
    ///
    /// # Errors
    /// There are too many workers, or the gateway does not have the queue any more.
    pub fn worker(&self, worker: &str) -> Result<(), ClaimRefused> {
        self.shared().change(|state, now| match &mut state.driver {
            Some(driver) => driver.worker(now, worker),
            None => Err(ClaimRefused::NotLeading),
        })
    }

    /// Ends what a worker has not claimed: call it once each of its agents is added.
    pub fn claims_done(&self, worker: &str) {
        self.shared().change(|state, now| {
            if let Some(driver) = &mut state.driver {
                driver.claims_done(now, worker);
            }
        });
    }

    /// Ends a worker, whose agents have ended as planned.
    pub fn worker_ended(&self, worker: &str) {
        self.shared().change(|state, now| {
            if let Some(driver) = &mut state.driver {
                driver.worker_ended(now, worker);
            }
        });
    }

    /// Adds an agent of a worker with what it has: see
    /// [`Dispatcher::handle_claim`](crate::dispatcher::Dispatcher::handle_claim). Returns the hand-outs that have ended, of
    /// those that it was settling, too.
    ///
    /// # Errors
    /// The agent must end, since others get what it had.
    pub fn claim(
        &self,
        agent: &AgentId,
        held: &[HandOutId],
        settling: &[HandOutId],
    ) -> Result<(DurableInbox, EndedHandOuts), ClaimRefused> {
        self.shared().change(|state, now| {
            let driver = state.driver.as_mut().ok_or(ClaimRefused::NotLeading)?;
            if state.agents.contains_key(agent) {
                return Err(ClaimRefused::Ended);
            }
            let ended = driver.claim(now, agent, held, settling)?;
            state.agents.insert(agent.clone(), AgentQueue::default());
            Ok((DurableInbox::new(self.owner.clone(), agent.clone()), ended))
        })
    }

    /// Polls for a worker whose lease has expired. Its agents have ended in the queue: end them as crashed.
    pub fn poll_lease_lost(&self, cx: &mut Context<'_>) -> Poll<String> {
        let mut state = self.shared().lock();
        match state.lost_leases.pop_front() {
            Some(worker) => Poll::Ready(worker),
            None => {
                state.lease_waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Returns the number of this leader, from 1.
    pub fn epoch(&self) -> Option<u64> {
        Some(self.shared().lock().driver.as_ref()?.dispatcher().ledger().epoch())
    }

    /// Carries out a request of an operator. Resolves once it is durable.
    ///
    /// # Errors
    /// There is no such entry, an agent has it, or the gateway does not have the queue any more.
    pub async fn request(&self, request: OperatorRequest) -> Result<(), RequestRefused> {
        let answer = self.shared().change(|state, now| state.request(now, request));
        answer.await.unwrap_or(Err(RequestRefused::NotLeading))
    }

    /// Returns the session in which an agent talks in a chat: that of its last delivery there. Without an agent it is that of
    /// any.
    pub fn session_of(&self, agent: Option<&str>, chat_id: &str) -> Option<Arc<str>> {
        let state = self.shared().lock();
        match agent {
            Some(agent) => state.agents.get(&AgentId::new(agent))?.session_of(chat_id),
            None => state.agents.values().find_map(|agent| agent.session_of(chat_id)),
        }
    }

    /// Opens a prompt, whose answer reaches a session also after a restart of the gateway. Returns its id: its own, or a
    /// generated one. Call it before the prompt is sent.
    ///
    /// Without a session the answer goes to the session of whoever answers. Time-out and approvers are those of the prompt.
    ///
    /// # Errors
    /// A prompt with this id is open.
    pub fn open_prompt(&self, session: Option<&str>, prompt: &Prompt) -> Result<String, String> {
        open_prompt(self.shared(), session, prompt)
    }

    /// Forgets a prompt that was not shown.
    pub fn close_prompt(&self, id: &str) {
        self.shared().change(|state, now| {
            if state.prompts.close(id) {
                state.remember(now, &prompt_key(id), None);
            }
        });
    }

    /// Hands nothing out any more. Events are still stored, and agents may settle what they have.
    pub fn drain(&self) {
        self.shared().drain();
    }

    /// Hands nothing out any more, and disconnects the gateway. Agents may still settle what they have.
    pub fn leave(&self) {
        self.shared().leave();
    }

    /// Ends the queue, within ten seconds: disconnects the gateway, and hands the queue over.
    pub async fn shut_down(&self) -> QueueEnd {
        self.leave();
        self.relay().disconnect().await;
        self.hand_over().await
    }

    /// Hands the queue over, after its gateway has disconnected: ends all agents as planned, and closes the store. After five
    /// seconds it closes the store anyway: the next gateway then counts what was out as crashed.
    pub async fn hand_over(&self) -> QueueEnd {
        self.shared().change(|state, now| {
            state.is_leaving = true;
            let agents = std::mem::take(&mut state.agents);
            if let Some(driver) = &mut state.driver {
                for (agent, mut queue) in agents {
                    driver.agent_ended(now, &agent, &AgentEnd::Planned, &queue.take_unseen());
                }
                driver.drain(now, &[]);
                driver.shut_down(now);
            }
        });
        let wait = poll_fn(|cx| {
            let mut state = self.shared().lock();
            match &state.end {
                Some(end) if state.driver.is_none() => Poll::Ready(end.clone()),
                _ => {
                    state.end_waiters.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        });
        match select(pin!(wait), (self.sleep)(RELEASE_WITHIN)).await {
            Either::Left((end, _)) => end,
            Either::Right(_) => {
                let why = "the store did not take the last records in time".to_owned();
                let driver = self.shared().change(|state, _| {
                    state.answer_all();
                    state.end.get_or_insert(QueueEnd::Failed(why.clone()));
                    state.driver.take()
                });
                drop(driver);
                tracing::warn!(why, "queue_not_released");
                QueueEnd::Failed(why)
            }
        }
    }

    /// Returns the permanent end of the gateway, once it was revoked.
    pub fn fatal(&self) -> Option<Fatal> {
        self.shared().lock().fatal.clone()
    }

    /// Returns the end of the queue, if it has ended.
    pub fn end(&self) -> Option<QueueEnd> {
        self.shared().lock().end.clone()
    }
}

/// Opens a prompt: see [`DurableQueue::open_prompt`].
pub(super) fn open_prompt(shared: &Shared, session: Option<&str>, prompt: &Prompt) -> Result<String, String> {
    shared.change(|state, now| {
        let id = prompt.prompt_id.clone().unwrap_or_else(|| state.prompts.next_id());
        let opened = state.prompts.open(now, &id, session, prompt)?;
        if let Some((evicted, was_open)) = opened.evicted {
            state.stats.prompts_forgotten += u64::from(was_open);
            state.remember(now, &prompt_key(&evicted), None);
        }
        state.remember(now, &prompt_key(&id), Some(&opened.value));
        Ok(id)
    })
}
