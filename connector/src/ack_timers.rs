//! Timers of entries in flight, for late acknowledgements.

use crate::values::ConnId;
use relayline_core::time::Time;
use std::collections::BTreeSet;

/// One timer per entry in flight, so that they are bounded as the buffers are.
#[derive(Clone, Debug, Default)]
pub(crate) struct AckTimers(BTreeSet<(Time, ConnId, String)>);

impl AckTimers {
    pub(crate) fn start(&mut self, due: Time, conn: ConnId, id: &str) {
        self.0.insert((due, conn, id.to_owned()));
    }

    pub(crate) fn stop(&mut self, due: Time, conn: ConnId, id: &str) {
        self.0.remove(&(due, conn, id.to_owned()));
    }

    /// Removes the timers of a connection that has ended.
    pub(crate) fn stop_all(&mut self, conn: ConnId) {
        self.0.retain(|(_, of, _)| *of != conn);
    }

    /// Takes the next entry that is due.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<(ConnId, String)> {
        let is_due = self.0.first().is_some_and(|(due, ..)| *due <= now);
        let (_, conn, id) = if is_due { self.0.pop_first()? } else { return None };
        Some((conn, id))
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.first().map(|(due, ..)| *due)
    }
}
