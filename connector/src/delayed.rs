//! Results that a script delays.

use crate::values::ConnId;
use relayline_core::time::Time;
use std::collections::BTreeMap;

/// Delayed lines by due time. Lines that are due at the same time keep their order.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    lines: BTreeMap<(Time, u64), (ConnId, Vec<u8>)>,
    count: u64,
}

impl Delayed {
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn push(&mut self, due: Time, conn: ConnId, line: Vec<u8>) {
        self.count += 1;
        self.lines.insert((due, self.count), (conn, line));
    }

    /// Takes the next line that is due.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<(ConnId, Vec<u8>)> {
        let entry = self.lines.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// Drops the lines for a connection that has ended.
    pub(crate) fn drop_all(&mut self, conn: ConnId) {
        self.lines.retain(|_, (of, _)| *of != conn);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.lines.first_key_value().map(|((due, _), _)| *due)
    }
}
