//! Outputs of the dispatcher, and answers to its inputs.

use crate::encoding::Bytes;
use crate::id::{AgentId, ArrivalId, CommandId, EntryId, HandOutId, RequestId};
use crate::ledger::LoadError;
use crate::store::{StoreCommand, StoreFault};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Output of the dispatcher. Carry out all of them, in order, after each input.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Output {
    /// Give the store a command.
    Store {
        /// Number of the command, which the answer names.
        id: CommandId,
        /// The command.
        command: StoreCommand,
    },
    /// The dispatcher leads: entries can arrive, so dial now.
    Leading {
        /// Number of this leader.
        epoch: u64,
    },
    /// Give an agent an entry.
    HandOut(HandOut),
    /// Answer to an arrival. Acknowledge it to its sender only if it is stored.
    Arrived {
        /// The arrival.
        arrival: ArrivalId,
        /// Result.
        result: Result<Stored, NotStored>,
    },
    /// Answer to a settlement. A settlement that succeeded is durable.
    Settled {
        /// The hand-out.
        hand_out: HandOutId,
        /// Result.
        result: Result<(), NotSettled>,
    },
    /// Answer to an operator's request. A request that succeeded is durable.
    Requested {
        /// The request.
        request: RequestId,
        /// Result.
        result: Result<(), RequestRefused>,
    },
    /// An entry has become a dead letter.
    DeadLetter {
        /// The entry.
        entry: EntryId,
        /// Its session.
        session: Arc<str>,
        /// Last error of an agent.
        error: Box<str>,
    },
    /// The lease of a worker has expired: its agents have ended, and others get their sessions. Accept nothing of them any
    /// more.
    LeaseLost {
        /// The worker.
        worker: Box<str>,
    },
    /// The store failed. The dispatcher tries again by itself.
    StoreFailed(StoreFault),
    /// Go idle and close the connection, so that the connector keeps what arrives.
    Pause(PauseReason),
    /// Dial again.
    Resume,
    /// Answer to [`check_lead`](crate::dispatcher::Dispatcher::check_lead): no other gateway leads.
    StillLeading,
    /// Another gateway leads. Close the connection, do not dial, and give the agents nothing more. It is the last output.
    Lost,
    /// The queue is handed over, and another gateway may lead. It is the last output.
    Released,
    /// The store cannot be used. It is the last output.
    Failed(QueueError),
}

/// Entry for an agent. `Debug` prints no texts of people.
#[derive(Clone, PartialEq, Eq)]
pub struct HandOut {
    /// The agent.
    pub agent: AgentId,
    /// Number of the entry and of the hand-out. A settlement names it.
    pub id: HandOutId,
    /// Session of the entry.
    pub session: Arc<str>,
    /// Body of the entry.
    pub body: Bytes,
}

impl HandOut {
    /// Returns true if this may not be the first hand-out of the entry.
    pub fn is_redelivered(&self) -> bool {
        self.id.attempt > 1
    }
}

impl fmt::Debug for HandOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOut").field("agent", &self.agent).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Result of an arrival that can be acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// It is stored as this entry.
    New(EntryId),
    /// An entry with the same key is stored, or was.
    Duplicate,
}

/// Reason why an arrival is not stored. It must not be acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NotStored {
    /// The queue is full, its store is down, or too many arrivals wait: see
    /// [`takes_arrivals`](crate::dispatcher::Dispatcher::takes_arrivals).
    #[error("the queue takes nothing now")]
    Unavailable,
    /// The dispatcher does not lead.
    #[error("another gateway has the queue, or this one is ending")]
    NotLeading,
}

/// Reason why a settlement has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NotSettled {
    /// The hand-out has ended before, or never was.
    #[error("the delivery is settled already, or is not known")]
    Late,
    /// The dispatcher does not lead.
    #[error("another gateway has the queue, or this one is ending")]
    NotLeading,
}

/// Reason why a worker, or what one of its agents has, is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ClaimRefused {
    /// One of the hand-outs has ended: its entry is done, or is others'.
    #[error("the lease is lost: other agents get what the agent had")]
    Ended,
    /// There are too many workers.
    #[error("the queue has as many workers as `workers` allows")]
    TooMany,
    /// The dispatcher does not lead.
    #[error("this gateway does not lead")]
    NotLeading,
}

/// Hand-outs that an agent was settling without an answer, and that have ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndedHandOuts {
    /// Those whose entries are done.
    pub done: Vec<HandOutId>,
    /// Those whose entries are not done: they are handed out again.
    pub lost: Vec<HandOutId>,
}

impl EndedHandOuts {
    /// Adds those of another agent.
    pub fn extend(&mut self, other: EndedHandOuts) {
        self.done.extend(other.done);
        self.lost.extend(other.lost);
    }
}

/// Reason why an operator's request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RequestRefused {
    /// There is no such entry.
    #[error("there is no such entry: `relayline queue list` shows all")]
    Unknown,
    /// An agent has the entry.
    #[error("an agent has the entry: wait until it is settled, end the agent, or drop the entry")]
    Out,
    /// The dispatcher does not lead.
    #[error("this gateway does not lead: ask the one that does")]
    NotLeading,
}

/// Reason to stop the connector's deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PauseReason {
    /// The store does not work.
    StoreDown,
    /// The queue is full.
    Full,
    /// Another process may lead: the store has not confirmed in time that none does.
    Unconfirmed,
}

/// Reason why a store cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Its content cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It has lost what it had confirmed.
    #[error(
        "the store has lost records that it had confirmed: find out why before you start the gateway again"
    )]
    RecordsLost,
}

/// Outcome of a hand-out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settlement {
    /// The entry is done.
    Done,
    /// The agent refuses the entry, for this reason. It is handed out again.
    Refused(String),
}

/// End of an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentEnd {
    /// It was asked to end. Its entries are not charged.
    Planned,
    /// It ended by itself, for this reason.
    Crashed(String),
}

/// Request of an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OperatorRequest {
    /// Hand out an entry again, with no charges: a dead letter, or one that waits.
    Retry(EntryId),
    /// Remove an entry.
    Drop(EntryId),
}
