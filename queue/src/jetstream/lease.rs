//! Right of this process to lead, shared between the thread that renews it and the task that uses it.

use crate::clock;
use crate::store::Leadership;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Time from the sending of a renewal, if it is confirmed, to the end of the lease. The servers keep the leader's key for
/// longer, so that this process stops first.
const LEASE: Duration = Duration::from_secs(7);

/// Lease. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    /// Notified when a doubt begins.
    doubted: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// End of the lease, by [`clock::elapsed`].
    until: Duration,
    /// Number of doubts: each lasts until the servers have said whether another leader has written.
    doubts: u64,
    /// Number of those that are over.
    settled: u64,
    is_lost: bool,
}

impl Inner {
    fn is_doubted(&self) -> bool {
        self.settled < self.doubts
    }
}

impl Lease {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in between leaves nothing half done.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the confirmation of a renewal that was sent at a time. Returns true if the lease had ended before.
    pub(super) fn renew(&self, sent: Duration) -> bool {
        let mut inner = self.lock();
        let had_ended = inner.until <= clock::elapsed();
        inner.until = inner.until.max(sent + LEASE);
        had_ended
    }

    /// Returns true while no other process can lead.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.leadership(), Leadership::For(_))
    }

    /// Begins to doubt, until [`settle`](Self::settle).
    pub(super) fn doubt(&self) {
        self.lock().doubts += 1;
        self.0.doubted.notify_one();
    }

    /// Waits for a doubt.
    pub(super) async fn doubted(&self) {
        self.0.doubted.notified().await;
    }

    /// Returns true if the servers are to be asked.
    pub(super) fn is_doubted(&self) -> bool {
        self.lock().is_doubted()
    }

    /// Returns the number of doubts. Take it before the servers are asked.
    pub(super) fn doubts(&self) -> u64 {
        self.lock().doubts
    }

    /// Notes what the servers have said, when they were asked after this number of doubts. Later ones last.
    pub(super) fn settle(&self, doubts: u64, is_lost: bool) {
        let mut inner = self.lock();
        inner.settled = inner.settled.max(doubts);
        inner.is_lost |= is_lost;
    }

    pub(super) fn leadership(&self) -> Leadership {
        let inner = self.lock();
        let rest = inner.until.saturating_sub(clock::elapsed());
        match () {
            () if inner.is_lost => Leadership::Lost,
            () if inner.is_doubted() || rest.is_zero() => Leadership::Uncertain,
            () => Leadership::For(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_the_sending() {
        let lease = Lease::default();
        assert_eq!(lease.leadership(), Leadership::Uncertain);
        let now = clock::elapsed();
        assert!(lease.renew(now.saturating_sub(LEASE)));
        assert_eq!(lease.leadership(), Leadership::Uncertain);
        assert!(lease.renew(now));
        assert!(matches!(lease.leadership(), Leadership::For(rest) if rest <= LEASE));
        assert!(!lease.renew(now));
    }

    #[test]
    fn a_doubt_ends_with_the_answer() {
        let lease = Lease::default();
        lease.renew(clock::elapsed());
        lease.doubt();
        assert_eq!(lease.leadership(), Leadership::Uncertain);
        lease.settle(lease.doubts(), false);
        assert!(lease.is_held());
        lease.settle(lease.doubts(), true);
        lease.settle(lease.doubts(), false);
        assert_eq!(lease.leadership(), Leadership::Lost);
    }

    #[test]
    fn an_answer_ends_no_doubt_that_began_after_the_question() {
        let lease = Lease::default();
        lease.renew(clock::elapsed());
        lease.doubt();
        let asked = lease.doubts();
        lease.doubt();
        lease.settle(asked, false);
        assert_eq!(lease.leadership(), Leadership::Uncertain);
        lease.settle(lease.doubts(), false);
        assert!(lease.is_held());
    }
}
