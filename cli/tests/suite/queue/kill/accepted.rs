//! Ops and connections that the connector accepted in the kill run: no op of a lost lease, and never two gateways.

use super::Message;
use super::processes::Process;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time for which what was stopped may show effects of the stop.
const AFTER_STOP: Duration = Duration::from_secs(1);

/// Two connections that were open at the same time.
pub(super) struct Pair {
    /// Names of the gateways' processes.
    pub(super) old: String,
    pub(super) new: String,
    /// Time at which the connector went on after a stop.
    pub(super) resumed: Option<Instant>,
}

/// Replies that the connector accepted.
#[derive(Default)]
pub(super) struct Accepted {
    /// Last attempt whose reply was accepted.
    attempts: BTreeMap<Message, u32>,
    /// Number of replies.
    pub(super) replies: usize,
    /// Number of connections that began while that of a stopped gateway was open.
    pub(super) displaced: usize,
}

impl Accepted {
    /// Handles a reply. One of an earlier attempt than the last is an op of a lost lease, and ops are not sent twice.
    pub(super) fn reply(&mut self, message: Message, attempt: u32) {
        let last = self.attempts.insert(message, attempt);
        let is_later = last.is_none_or(|last| last < attempt);
        assert!(is_later, "a reply of attempt {attempt} to {message:?} after one of attempt {last:?}");
        self.replies += 1;
    }

    /// Handles two connections that were open at the same time. A gateway that is stopped cannot close its own, and a
    /// connector that was stopped sees a close late.
    pub(super) fn two_connections(&mut self, pair: &Pair, gateways: &[Process]) {
        let Pair { old, new, resumed } = pair;
        let is_excused = old == new
            || resumed.is_some_and(|resumed| resumed.elapsed() < AFTER_STOP)
            // It was killed.
            || !gateways.iter().any(|gateway| gateway.name() == *old && !gateway.was_stopped(AFTER_STOP));
        assert!(is_excused, "two gateways are connected: {old} and {new}");
        self.displaced += usize::from(old != new);
    }
}
