//! Counters of the control socket.

use crate::bridge::status::{ControlStatus, QueueStatus};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Declares the counters of the control socket, and their names and values in order.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {
        /// Counters of the control socket. Each drop has a counter.
        #[derive(Debug, Default)]
        pub(crate) struct ControlCounters { $($(#[doc = $doc])+ pub(crate) $name: Counter,)* }

        impl ControlCounters {
            /// Returns the name, the description and the value of each counter.
            fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),+), self.$name.value())),*].into_iter()
            }
        }
    };
}

counters! {
    /// Clients that were accepted.
    clients;
    /// Clients of other users that were refused.
    clients_refused;
    /// Clients that were turned away because `control_clients` were busy.
    clients_turned_away;
    /// Idle clients that were closed for a new one.
    clients_closed;
    /// Clients that were disconnected because they did not read.
    clients_timed_out;
    /// Lines that are not an op.
    invalid_lines;
    /// Lines that are longer than `control_line_bytes`.
    overlong_lines;
    /// Results of clients that have gone or do not read.
    results_dropped;
}

/// Counter that any thread may increase.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increase(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Clients and counters of a control socket.
#[derive(Debug)]
pub(crate) struct ControlMonitor {
    pub(crate) counters: ControlCounters,
    /// Number of clients now.
    pub(crate) present: AtomicUsize,
    /// Maximum number of clients.
    most: usize,
}

impl ControlMonitor {
    pub(crate) fn new(most: usize) -> ControlMonitor {
        ControlMonitor { counters: ControlCounters::default(), present: AtomicUsize::new(0), most }
    }

    pub(crate) fn status(&self) -> ControlStatus {
        let used = self.present.load(Ordering::Relaxed);
        ControlStatus {
            clients: QueueStatus { used, limit: Some(self.most) },
            counters: self.counters.described().map(|(name, _, count)| (name.to_owned(), count)).collect(),
        }
    }

    /// Returns the name, the description and the value of each counter.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.counters.described()
    }
}
