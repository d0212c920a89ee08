//! Setup of a run: limits of the queue, and how often things happen and fail.

use crate::random::Random;
use relayline_queue::config::QueueLimits;
use std::time::Duration;

/// Everything about a run that its seed decides in advance.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) limits: QueueLimits,
    /// Number of events of the connector.
    pub(crate) events: u64,
    pub(crate) sessions: u64,
    pub(crate) agents: u64,
    /// The store applies the parts of a batch one by one.
    pub(crate) has_no_transactions: bool,
    /// Chance that a gateway crashes at a step, per mille.
    pub(crate) gateway_crashes: u64,
    /// Chance of the end of an agent, per mille of the hand-outs.
    pub(crate) agent_ends: u64,
    /// Chance that an agent refuses an entry, per mille.
    pub(crate) refusals: u64,
    /// Chance that an answer of the store is lost, per mille.
    pub(crate) lost_answers: u64,
    /// Chance that an answer of the store comes late, per mille.
    pub(crate) late_answers: u64,
    /// Number of periods in which the store fails.
    pub(crate) store_faults: u64,
    /// Number of times that a second gateway starts beside the first.
    pub(crate) rivals: u64,
    /// Number of planned ends of the gateway.
    pub(crate) shutdowns: u64,
    /// Number of requests of operators.
    pub(crate) requests: u64,
}

impl Setup {
    pub(crate) fn draw(random: &mut Random) -> Setup {
        let mut limits = QueueLimits::default();
        let mut size = |from: &[usize]| *random.pick(from);
        limits.queue_entries = size(&[12, 40, 100_000]);
        limits.queue_bytes = size(&[2000, 1 << 30]);
        // Dead letters must not fill a small queue for good.
        let is_small = limits.queue_entries < 100 || limits.queue_bytes < 10_000;
        limits.dead_letters = if is_small { 2 } else { size(&[2, 10_000]) };
        limits.max_attempts = size(&[1, 2, 3, 5]);
        limits.session_window = size(&[0, 1, 1, 2, 3]);
        limits.agent_window = size(&[1, 3, 1024]);
        limits.agent_window_bytes = size(&[60, 1 << 24]);
        limits.pending_entries = size(&[2, 1024]);
        limits.pending_bytes = size(&[100, 1 << 24]);
        limits.body_cache_bytes = size(&[0, 80, 1 << 24]);
        limits.memory_items = size(&[3, 8192]);
        limits.snapshot_records = size(&[2, 5, 30, 10_000]);
        limits.batch_size = size(&[1, 2, 3, 128]);
        limits.batch_bytes = size(&[50, 4 << 20]);
        limits.redeliver_after = Duration::from_millis(*random.pick(&[50, 1000]));
        let mut often = |from: &[u64]| *random.pick(from);
        Setup {
            events: often(&[10, 30, 60]),
            sessions: often(&[1, 3, 8]),
            agents: often(&[1, 2, 3]),
            has_no_transactions: often(&[0, 1]) == 1,
            gateway_crashes: often(&[0, 0, 3, 15]),
            agent_ends: often(&[0, 30, 150]),
            refusals: often(&[0, 50, 300]),
            lost_answers: often(&[0, 0, 20]),
            late_answers: often(&[0, 0, 20]),
            store_faults: often(&[0, 0, 2]),
            rivals: often(&[0, 0, 2]),
            shutdowns: often(&[0, 0, 2]),
            requests: often(&[0, 4]),
            limits,
        }
    }
}
