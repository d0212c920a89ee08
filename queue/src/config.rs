//! Limits and time-outs of the queue.

use crate::store::READ_BACK;
use relayline_core::limits;
use std::time::Duration;

limits! {
    /// Limits and time-outs of the queue.
    pub struct QueueLimits {
        /// Maximum number of entries in the queue, dead letters included. Nothing more is stored then; 100000 by default.
        queue_entries: Size = 100_000, least 1;
        /// Maximum number of bytes of these entries; 1024 MiB by default.
        queue_bytes: Size = 1 << 30, least 1;
        /// Maximum number of dead letters. The oldest makes room; 10000 by default.
        dead_letters: Size = 10_000, least 1;
        /// Maximum number of failed hand-outs of an entry, after which it is a dead letter (`--max-attempts`); 5 by default.
        max_attempts: Size = 5, least 1;
        /// Maximum number of entries of one session that are handed out and not settled (`--session-window`). 0 is no
        /// bound; 0 by default.
        session_window: Size = 0, least 0;
        /// Maximum number of entries that one agent has and has not settled; 1024 by default.
        agent_window: Size = 1024, least 1;
        /// Maximum number of bytes of these entries. The last may exceed it; 16 MiB by default.
        agent_window_bytes: Size = 16 << 20, least 1;
        /// Maximum number of sessions that stay with their agent while nothing of them waits; 100000 by default.
        sticky_sessions: Size = 100_000, least 0;
        /// Maximum number of workers; 256 by default.
        workers: Size = 256, least 1;
        /// Time after a worker's last heartbeat after which others get its sessions, and for which a new leader waits for the
        /// claims of workers; 30 s by default.
        lease: Time = Duration::from_secs(30), least limits::MIN_INTERVAL;
        /// Maximum number of arrivals that wait for the store; 1024 by default.
        pending_entries: Size = 1024, least 1;
        /// Maximum number of bytes of these arrivals. The last may exceed it; 16 MiB by default.
        pending_bytes: Size = 16 << 20, least 1;
        /// Maximum number of bytes of waiting entries that are kept in memory besides the store; 16 MiB by default.
        body_cache_bytes: Size = 16 << 20, least 0;
        /// Time for which the key of a settled entry is remembered (`--dedupe-for`); 1440 min by default.
        dedupe_for: Time = Duration::from_secs(24 * 3600), least limits::MIN_INTERVAL;
        /// Maximum number of these keys, of 16 bytes each. The oldest makes room; 1000000 by default.
        dedupe_keys: Size = 1_000_000, least 1;
        /// Maximum number of items of host memory. The one that was not set for longest makes room; 8192 by default.
        memory_items: Size = 8192, least 1;
        /// Maximum number of bytes of these items; 32 MiB by default.
        memory_bytes: Size = 32 << 20, least 1;
        /// Maximum number of bytes of fetched files (`--queue-media`). Files of settled entries make room; 1024 MiB by default.
        queue_media_bytes: Size = 1 << 30, least 1;
        /// Maximum time from a message's storing to its hand-out without its files; 60 s by default.
        queue_media_timeout: Time = Duration::from_secs(60), least limits::MIN_INTERVAL;
        /// Maximum number of bytes of an agent's error that is stored with its entry; 1024 by default.
        error_bytes: Size = 1024, least 0;
        /// Time from the first failure of an entry to its next hand-out. It doubles with each failure; 1 s by default.
        redeliver_after: Time = Duration::from_secs(1), least limits::MIN_INTERVAL;
        /// Maximum of this time; 5 min by default.
        redeliver_after_most: Time = Duration::from_secs(300), least limits::MIN_INTERVAL;
        /// Number of journal records between two snapshots; 10000 by default.
        snapshot_records: Size = 10_000, least 1;
        /// Maximum number of entries in one write to the store, which has up to twice as many records; no more than 1024 of
        /// either; 128 by default.
        batch_size: Size = 128, least 1;
        /// Maximum number of bytes of the entries in one write. The last may exceed it; 4 MiB by default.
        batch_bytes: Size = 4 << 20, least 1;
        /// Time without an answer of the store after which the outcome of a command counts as unknown; 10 s by default.
        store_timeout: Time = Duration::from_secs(10), least limits::MIN_INTERVAL;
        /// Time from a failure of the store to the next try; 1 s by default.
        store_retry: Time = Duration::from_secs(1), least limits::MIN_INTERVAL;
        /// Time that the store is down or full before the gateway goes idle and closes; 10 s by default.
        store_patience: Time = Duration::from_secs(10), least limits::MIN_INTERVAL;
    }
}

impl QueueLimits {
    /// Returns the time from a failure to the next hand-out of an entry that has failed `charges` times.
    pub(crate) fn back_off(&self, charges: u32) -> Duration {
        let doublings = charges.saturating_sub(1).min(31);
        self.redeliver_after.saturating_mul(1 << doublings).min(self.redeliver_after_most)
    }

    /// Returns the maximum number of entries in one write. They are read back at once if its outcome is unknown.
    pub(crate) fn entries_in_write(&self) -> usize {
        self.batch_size.min(READ_BACK)
    }

    /// Returns the maximum number of records in one write. An entry has two, a hand-out and a settlement: with fewer, entries
    /// would come in faster than they can leave.
    pub(crate) fn records_in_write(&self) -> usize {
        self.batch_size.saturating_mul(2).min(READ_BACK)
    }

    /// Returns the maximum number of entries of a session that are out.
    pub(crate) fn window(&self) -> usize {
        if self.session_window == 0 { usize::MAX } else { self.session_window }
    }

    /// Returns an agent's error, truncated to its limit and on one line.
    pub(crate) fn error(&self, error: &str) -> Box<str> {
        let mut end = error.len().min(self.error_bytes);
        while !error.is_char_boundary(end) {
            end -= 1;
        }
        let text = error.get(..end).unwrap_or_default();
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_to_five_minutes() {
        let limits = QueueLimits::default();
        let seconds: Vec<u64> = [1, 2, 3, 9, 10, 99].map(|n| limits.back_off(n).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn an_error_is_cut_between_characters() {
        let limits = QueueLimits { error_bytes: 4, ..QueueLimits::default() };
        assert_eq!(&*limits.error("a\nbéd"), "a b");
        assert_eq!(&*limits.error("é"), "é");
    }
}
