//! What the connector says, as the lines that it completes, and request ids as their counters.

use super::{Entry, Happened};
use crate::command::RequestId;
use crate::line::{Line, LineSplitter};
use crate::machine::RelayMachine;
use crate::output::Conn;
use crate::time::Time;

/// Knows the request ids of one machine: all have the same first half, drawn from its seed (O-1).
#[derive(Clone, Debug)]
pub struct Ids {
    /// A quotation mark and that half.
    mark: String,
}

/// Digits of each half of a request id.
const HALF: usize = 16;

impl Ids {
    /// The ids of this machine.
    pub fn of(machine: &RelayMachine) -> Self {
        let id = machine.wire_id(RequestId(0));
        Ids { mark: format!("\"{}", id.get(..HALF).unwrap_or(&id)) }
    }

    /// A line with the counter, a number, in place of each request id.
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

/// Cuts one socket's bytes into lines for the trace, as the machine does for itself: a line is shown when it is
/// complete, whatever the messages were (W-1).
#[derive(Debug)]
pub struct Lines {
    conn: Conn,
    splitter: LineSplitter,
    ids: Ids,
}

impl Lines {
    /// Those of a socket that was just opened; `max_line_bytes` is the machine's.
    pub fn new(conn: Conn, max_line_bytes: usize, ids: Ids) -> Self {
        Lines { conn, splitter: LineSplitter::new(max_line_bytes), ids }
    }

    /// An entry for each line that these bytes complete; none for blank ones (W-2). Give each byte once, whether or
    /// not the machine takes it at once.
    pub fn received(&mut self, at: Time, bytes: &[u8]) -> Vec<Entry> {
        let (conn, mut rest, mut entries) = (self.conn.number(), bytes, Vec::new());
        while let Some(line) = self.splitter.next(&mut rest) {
            let what = match line {
                Line::Whole(line) => {
                    let line = String::from_utf8_lossy(line.trim_ascii());
                    if line.is_empty() {
                        continue;
                    }
                    Happened::Received { conn, line: self.ids.shown(&line) }
                }
                Line::TooLong => Happened::Overlong { conn },
            };
            entries.push(Entry { at, what });
        }
        entries
    }
}
