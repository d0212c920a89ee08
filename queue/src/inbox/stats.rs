//! Counters of the queue's host: every drop has one.

/// Declares the counters, and their names, help texts and values in order.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// Counters of the queue's host since it was opened. Each drop has a counter.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct InboxStats { $($(#[doc = $doc])+ pub $name: u64,)* }

        impl InboxStats {
            /// Returns the name, the help text and the value of each counter.
            pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
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
