//! Requests that wait for idleness to be confirmed (L-12, L-13).

use crate::command::RequestId;
use crate::time::Time;

/// Pending `go_idle` or `go_dormant`.
#[derive(Debug)]
struct Waiter {
    id: RequestId,
    /// True for `go_dormant`.
    dormant: bool,
    until: Time,
}

/// Pending requests, and their deadline.
#[derive(Debug, Default)]
pub(crate) struct IdleWaiters {
    waiters: Vec<Waiter>,
    /// Earliest deadline. A disconnect sets one without a request.
    deadline: Option<Time>,
}

impl IdleWaiters {
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Adds a request with this deadline.
    pub(crate) fn push(&mut self, id: RequestId, dormant: bool, until: Time) {
        self.waiters.push(Waiter { id, dormant, until });
        self.expect_by(until);
    }

    /// Sets a deadline without a request.
    pub(crate) fn expect_by(&mut self, until: Time) {
        self.deadline = Some(self.deadline.map_or(until, |deadline| deadline.min(until)));
    }

    /// Removes the requests that timed out, or all of them.
    pub(crate) fn time_out(&mut self, now: Time, all: bool) -> Vec<RequestId> {
        let over = self.waiters.extract_if(.., |waiter| all || waiter.until <= now);
        let over = over.map(|waiter| waiter.id).collect();
        self.deadline = self.waiters.iter().map(|waiter| waiter.until).min();
        over
    }

    /// Removes all requests, since nothing is waited for any more. Returns also whether one of them goes dormant.
    pub(crate) fn take(&mut self) -> (Vec<RequestId>, bool) {
        let IdleWaiters { waiters, .. } = std::mem::take(self);
        let dormant = waiters.iter().any(|waiter| waiter.dormant);
        (waiters.into_iter().map(|waiter| waiter.id).collect(), dormant)
    }
}
