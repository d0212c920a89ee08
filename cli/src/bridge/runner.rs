//! Runner of ops: starts the ops of one origin in their order while there is room, and completes them.

use super::execution::{Budget, CompletedOp, OpContext, OpResult, PendingOp, StartedOp, begin, definite};
use super::line::BridgeLine;
use super::op::{OpLabel, OpRequest};
use super::op_queue::{OpQueue, QueuedOp, Work};
use super::unsettled::Unsettled;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use relayline_core::command::Failure;
use serde_json::Value;
use std::task::{Context, Poll};

/// Beginning of the answer to an invalid line.
const INVALID_PREFIX: &str = r#"{"event":"invalid""#;

/// Origin of ops: the agent, or a client of the control socket.
pub(super) trait OpOrigin {
    /// Changes the queue of its ops.
    fn queue<T>(&self, change: impl FnOnce(&mut OpQueue) -> T) -> T;

    /// Returns true if there is room for further results.
    fn takes_results(&self) -> bool;

    /// Queues a line for it.
    fn write(&self, line: &BridgeLine<'_>);

    /// Logs an invalid line.
    fn log_invalid(&self, about: &OpLabel, message: &str);

    /// Logs the failure of an op that has no id, and so no result.
    fn log_failed(&self, about: &OpLabel, failure: &Failure);
}

/// Limits of an origin's ops in flight. One op is always allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlightLimits {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl InFlightLimits {
    /// Limits of the agent: those of the relay alone.
    pub(super) const AGENT: InFlightLimits = InFlightLimits { count: usize::MAX, bytes: usize::MAX };
}

/// Result of [`OpRunner::step`].
pub(super) enum Step {
    /// An op was started or answered.
    Started,
    /// No op is left that could be started.
    Idle,
    /// An op requests the disconnect of the gateway. It has this id.
    Disconnect(Option<Value>, OpLabel),
}

/// Ops of one origin that are queued or in flight.
pub(super) struct OpRunner<O> {
    pub(super) origin: O,
    pub(super) context: OpContext,
    /// Deliveries that the origin may settle, if it has any.
    unsettled: Option<Unsettled>,
    in_flight: FuturesUnordered<PendingOp>,
    in_flight_bytes: usize,
    limits: InFlightLimits,
    /// Set while an op waits for room, or for the connection of a gateway that sleeps.
    room: Option<BoxFuture<'static, ()>>,
}

impl<O: OpOrigin> OpRunner<O> {
    pub(super) fn new(
        origin: O,
        context: OpContext,
        unsettled: Option<Unsettled>,
        limits: InFlightLimits,
    ) -> OpRunner<O> {
        let in_flight = FuturesUnordered::new();
        OpRunner { origin, context, unsettled, in_flight, in_flight_bytes: 0, limits, room: None }
    }

    /// Starts the next op, if there is one and there is room for it.
    pub(super) fn step(&mut self) -> Step {
        let takes_results = self.origin.takes_results();
        let has_room = self.room.is_none() && takes_results && self.in_flight.len() < self.limits.count;
        let op = self.origin.queue(|ops| {
            ops.pause(!takes_results);
            ops.pop(has_room)
        });
        match op {
            Some(op) if !op.overtakes() && self.is_over_bytes(op.weight) => {
                // The end of an op in flight makes room for it.
                self.origin.queue(|ops| ops.put_back(op));
                Step::Idle
            }
            Some(op) => self.start(op),
            None => Step::Idle,
        }
    }

    /// Returns true if a further op of this size exceeds the limit.
    fn is_over_bytes(&self, weight: usize) -> bool {
        !self.in_flight.is_empty() && self.in_flight_bytes.saturating_add(weight) > self.limits.bytes
    }

    fn start(&mut self, op: QueuedOp) -> Step {
        let QueuedOp { id, about, work, weight, answers } = op;
        let asked = match work {
            Work::Request(OpRequest::Disconnect) => return Step::Disconnect(id, about),
            Work::Request(asked) => asked,
            Work::Wrong(message) => {
                self.complete(id, &about, Err(definite(message)));
                return Step::Started;
            }
            Work::Invalid { line, message } => {
                self.origin.log_invalid(&about, &message);
                // An answer is never answered: an agent that echoes its input would loop.
                if !line.starts_with(INVALID_PREFIX) {
                    self.origin.write(&BridgeLine::Invalid { line: &line, message: &message });
                }
                return Step::Started;
            }
        };
        let gate = self.context.monitor.gate().clone();
        let open = gate.enter();
        if open.is_none() && asked.needs_connection() {
            self.origin.queue(|ops| {
                ops.put_back(QueuedOp { id, about, work: Work::Request(asked), weight, answers })
            });
            self.room = Some(gate.wake_up(&self.context.relay));
            return Step::Idle;
        }
        let room = self.context.relay.room();
        match begin(asked, &self.context, self.unsettled.as_ref()) {
            StartedOp::Done(outcome) => self.complete(id, &about, outcome),
            StartedOp::UnderWay(outcome) => self.push(id, about, outcome, None, weight),
            StartedOp::Parts(chat, outcome) => {
                self.origin.queue(|ops| ops.begin_parts(&chat, weight));
                self.push(id, about, outcome, Some(Budget::Parts(chat)), weight);
            }
            StartedOp::Transfer(outcome) => {
                self.origin.queue(|ops| ops.begin_transfer(weight));
                self.push(id, about, outcome, Some(Budget::Transfer), weight);
            }
            StartedOp::NoRoom(asked) => {
                self.origin.queue(|ops| {
                    ops.put_back(QueuedOp { id, about, work: Work::Request(asked), weight, answers })
                });
                self.room = Some(room.boxed());
                return Step::Idle;
            }
        }
        Step::Started
    }

    fn push(
        &mut self,
        id: Option<Value>,
        about: OpLabel,
        outcome: BoxFuture<'static, OpResult>,
        budget: Option<Budget>,
        weight: usize,
    ) {
        self.in_flight_bytes += weight;
        let completed = async move { CompletedOp { id, about, outcome: outcome.await, budget, weight } };
        self.in_flight.push(completed.boxed());
    }

    /// Adds an op in flight that was started elsewhere.
    pub(super) fn add(&mut self, id: Option<Value>, about: OpLabel, outcome: BoxFuture<'static, OpResult>) {
        self.push(id, about, outcome, None, 0);
    }

    /// Polls for the completion of an op, and queues its result. Ready once for each op.
    pub(super) fn poll_completed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(Some(completed)) = self.in_flight.poll_next_unpin(cx) else { return Poll::Pending };
        let CompletedOp { id, about, outcome, budget, weight } = completed;
        self.in_flight_bytes -= weight;
        match budget {
            Some(Budget::Parts(chat)) => self.origin.queue(|ops| ops.end_parts(&chat, weight)),
            Some(Budget::Transfer) => self.origin.queue(|ops| ops.end_transfer(weight)),
            None => {}
        }
        self.complete(id, &about, outcome);
        Poll::Ready(())
    }

    /// Polls for room for the op that waits for it.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_ready = self.room.as_mut().is_some_and(|room| room.poll_unpin(cx).is_ready());
        if !is_ready {
            return Poll::Pending;
        }
        self.room = None;
        Poll::Ready(())
    }

    /// Starts the op that waits for room, since the relay has ended and refuses it.
    pub(super) fn stop_waiting(&mut self) {
        self.room = None;
    }

    /// Returns true if no op is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Returns true if no op is in flight or waits for room.
    pub(super) fn is_done(&self) -> bool {
        self.in_flight.is_empty() && self.room.is_none()
    }

    /// Queues the result of an op that has an id. A failure of an op without one is logged.
    pub(super) fn complete(&self, id: Option<Value>, about: &OpLabel, outcome: OpResult) {
        if let Err(failure) = &outcome {
            self.context.monitor.note_failure(about, failure);
        }
        match (id, outcome) {
            (Some(id), outcome) => self.origin.write(&BridgeLine::result(&id, &outcome)),
            (None, Err(failure)) => self.origin.log_failed(about, &failure),
            (None, Ok(_)) => {}
        }
    }
}
