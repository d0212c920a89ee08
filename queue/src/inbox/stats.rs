//! Counters of the queue's host: every drop has one.

use crate::stats::counters;

counters! {
    /// Counters of the queue's host since it was opened. Each drop has a counter.
    InboxStats:
    /// Times that the gateway went idle, because the store was down or the queue was full.
    pauses;
    /// Entries whose body could not be read.
    unreadable;
    /// Notices and interrupts that were dropped, because their agent did not read them.
    notices_dropped;
    /// Answers to prompts that are no longer open.
    stale_answers;
    /// Answers to prompts that were answered before.
    late_answers;
    /// Answers to prompts of others.
    foreign_answers;
    /// Answers to open prompts by users who may not answer them.
    unauthorized_answers;
    /// Open prompts that were forgotten, because too many were open.
    prompts_forgotten;
    /// Files fetched.
    media_fetched;
    /// Files that could not be fetched.
    media_failed;
    /// Files that were not kept for want of room.
    media_dropped;
    /// Files of settled entries that made room.
    media_removed;
}
