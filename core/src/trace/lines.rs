//! Trace entries of received lines, with request ids shown as their counters.

use super::Entry;
use crate::command::RequestId;
use crate::line::{Line, LineSplitter};
use crate::machine::RelayMachine;
use crate::output::Conn;
use crate::time::Time;

/// Request ids of one machine. All share the same first half, drawn from its seed.
#[derive(Clone, Debug)]
pub struct Ids {
    /// A quotation mark and that half.
    mark: String,
}

/// Digits of each half of a request id.
const HALF: usize = 16;

impl Ids {
    /// Returns the ids of a machine.
    pub fn of(machine: &RelayMachine) -> Self {
        let id = machine.wire_id(RequestId(0));
        Ids { mark: format!("\"{}", id.get(..HALF).unwrap_or(&id)) }
    }

    /// Returns a line with each request id replaced by its counter.
    pub fn shown(&self, line: &str) -> String {
        let mut shown = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(at) = rest.find(&self.mark) {
            let behind = &rest[at + self.mark.len()..];
            let counter = behind.get(..HALF).and_then(|half| u64::from_str_radix(half, 16).ok());
            match (counter, behind.get(HALF..).and_then(|behind| behind.strip_prefix('"'))) {
                (Some(counter), Some(behind)) => {
                    shown.push_str(&rest[..at]);
                    shown.push_str(&counter.to_string());
                    rest = behind;
                }
                (Some(_) | None, Some(_) | None) => {
                    shown.push_str(&rest[..at + self.mark.len()]);
                    rest = behind;
                }
            }
        }
        shown.push_str(rest);
        shown
    }
}

/// Splits one socket's bytes into lines for the trace, as the machine does for itself. A line is shown when it is
/// complete, whatever the boundaries of the messages.
#[derive(Debug)]
pub struct Lines {
    conn: Conn,
    splitter: LineSplitter,
    ids: Ids,
}

impl Lines {
    /// Creates the lines of a socket that was just opened. `max_line_bytes` is the machine's.
    pub fn new(conn: Conn, max_line_bytes: usize, ids: Ids) -> Self {
        Lines { conn, splitter: LineSplitter::new(max_line_bytes), ids }
    }

    /// Returns an entry for each line that `bytes` complete, except blank lines. Pass each byte once, also if the
    /// machine does not consume it immediately.
    pub fn received(&mut self, at: Time, bytes: &[u8]) -> Vec<Entry> {
        let (mut rest, mut entries) = (bytes, Vec::new());
        while let Some(line) = self.splitter.next(&mut rest) {
            match line {
                Line::Whole(line) => {
                    let line = String::from_utf8_lossy(line.trim_ascii());
                    if !line.is_empty() {
                        entries.push(Entry::line(at, "received", self.conn, &self.ids.shown(&line)));
                    }
                }
                Line::TooLong => entries.push(Entry::socket(at, "overlong", self.conn, "")),
            }
        }
        entries
    }
}
