//! Webhook requests whose senders wait for the host (H-6).

use crate::hash::{Table, table};
use crate::output::HttpId;
use crate::time::Time;

/// Pending webhook requests, oldest first, each with its deadline. All have the same time-out, so the first is always
/// the next to expire.
#[derive(Debug)]
pub(crate) struct Webhooks {
    waiting: Table<u64, Time>,
    last: u64,
}

impl Webhooks {
    pub(crate) fn new() -> Self {
        Webhooks { waiting: table(), last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        self.waiting.front().map(|(_, until)| *until)
    }

    pub(crate) fn oldest(&self) -> Option<HttpId> {
        self.waiting.front().map(|(id, _)| HttpId(*id))
    }

    /// Adds a request that waits until `until` at most.
    pub(crate) fn add(&mut self, until: Time) -> HttpId {
        self.last += 1;
        self.waiting.insert(self.last, until);
        HttpId(self.last)
    }

    /// Removes a request. Returns `false` if it was answered before.
    pub(crate) fn remove(&mut self, id: HttpId) -> bool {
        self.waiting.remove(&id.0).is_some()
    }
}
