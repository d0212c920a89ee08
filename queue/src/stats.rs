//! Counters of the dispatcher: every drop has one.

/// Declares counters, and their names, help texts and values in order.
macro_rules! counters {
    ($(#[doc = $about:literal])+ $stats:ident: $($(#[doc = $doc:literal])+ $name:ident;)*) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct $stats { $($(#[doc = $doc])+ pub $name: u64,)* }

        impl $stats {
            /// Returns the name, the help text and the value of each counter.
            pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name)),*].into_iter()
            }
        }
    };
}

/// Declares sizes, and their names, help texts and values in order.
macro_rules! gauges {
    ($(#[doc = $about:literal])+ $usage:ident: $($(#[doc = $doc:literal])+ $name:ident: $type:ty;)*) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct $usage { $($(#[doc = $doc])+ pub $name: $type,)* }

        impl $usage {
            /// Returns the name, the help text and the value of each size.
            pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+).trim_ascii(), self.$name as u64)),*].into_iter()
            }
        }
    };
}

pub(crate) use {counters, gauges};

counters! {
    /// Counters since the dispatcher was created. Each drop has a counter.
    QueueStats:
    /// Entries stored.
    stored;
    /// Entries that another leader had stored, and that were found later.
    adopted;
    /// Arrivals with the key of an entry in the queue or of a settled one.
    duplicates;
    /// Arrivals that were not stored, because the queue was full, down or ending.
    arrivals_refused;
    /// Hand-outs.
    hand_outs;
    /// Hand-outs of entries that had been handed out before.
    redelivered;
    /// Hand-outs that were taken back before the agent got them.
    unseen;
    /// Entries done.
    settled;
    /// Hand-outs that an agent refused.
    refused;
    /// Hand-outs that were charged to their entry because the agent or the gateway crashed.
    crashed;
    /// Hand-outs that ended without a charge.
    returned;
    /// Entries that became dead letters.
    dead;
    /// Dead letters that made room for newer ones.
    dead_dropped;
    /// Entries that an operator retried.
    retried;
    /// Entries that an operator dropped.
    dropped;
    /// Settlements of hand-outs that had ended, or that never were.
    late_settlements;
    /// Registrations of agents that were registered, and ends of agents that were not.
    stray_agents;
    /// Hand-outs that workers claimed after a take-over.
    claimed;
    /// Agents of workers that must end, because one of their hand-outs had ended.
    claims_refused;
    /// Leases of workers that expired.
    leases_lost;
    /// Workers that were refused, because there were more than `workers`.
    workers_refused;
    /// Interrupts for sessions that no agent has.
    interrupts_without_agent;
    /// Sessions whose agent was forgotten, because more than `sticky_sessions` were idle.
    sessions_forgotten;
    /// Keys of duplicates that were forgotten before their time, because there were more than `dedupe_keys`.
    keys_forgotten;
    /// Items of host memory that were forgotten, because there were more than `memory_items` or `memory_bytes`.
    memory_forgotten;
    /// Writes to the store that succeeded.
    writes;
    /// Snapshots completed.
    snapshots;
    /// Answers of the store that report a failure or a conflict.
    store_faults;
    /// Commands that the store did not answer in time.
    store_timeouts;
    /// Answers of the store to commands that were no longer awaited.
    late_answers;
    /// Times that the end of the journal was read back.
    read_backs;
}
