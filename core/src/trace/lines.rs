//! Trace entries of received lines. Request ids are shown as their counters, so that a trace does not depend on the
//! seed.

use super::Entry;
use crate::command::RequestId;
use crate::line::{Line, LineSplitter};
use crate::machine::RelayMachine;
use crate::output::Conn;
use crate::time::Time;

/// Number of digits of each half of a request id.
const HALF: usize = 16;

/// Request ids of one machine, to show them as their counters. The first half of all of them is the same, and is drawn
/// from the machine's seed.
#[derive(Clone, Debug)]
pub struct Ids {
    /// Quotation mark and first half of every id.
    prefix: String,
}

impl Ids {
    /// Returns the ids of a machine.
    pub fn of(machine: &RelayMachine) -> Self {
        let id = machine.wire_id(RequestId(0));
        Ids { prefix: format!("\"{}", id.get(..HALF).unwrap_or(&id)) }
    }

    /// Returns a line with each request id replaced by its counter.
    pub fn shown(&self, line: &str) -> String {
        let mut shown = String::with_capacity(line.len());
        let mut rest = line;
        while let Some((before, after)) = rest.split_once(&self.prefix) {
            shown.push_str(before);
            match split_counter(after) {
                Some((counter, after_id)) => {
                    shown.push_str(&counter.to_string());
                    rest = after_id;
                }
                None => {
                    shown.push_str(&self.prefix);
                    rest = after;
                }
            }
        }
        shown.push_str(rest);
        shown
    }
}

/// Splits off the second half of an id and its quotation mark. Returns the counter and the text after it, or `None` if
/// the text does not begin with them.
fn split_counter(text: &str) -> Option<(u64, &str)> {
    let (half, after) = text.split_at_checked(HALF)?;
    Some((u64::from_str_radix(half, 16).ok()?, after.strip_prefix('"')?))
}

/// Splitter of one socket's bytes into lines for the trace. A line is shown once it is complete, regardless of how
/// WebSocket messages divide it.
#[derive(Debug)]
pub struct Lines {
    conn: Conn,
    splitter: LineSplitter,
    ids: Ids,
}

impl Lines {
    /// Creates the splitter of a socket that was just opened. `max_line_bytes` is the limit of the machine.
    pub fn new(conn: Conn, max_line_bytes: usize, ids: Ids) -> Self {
        Lines { conn, splitter: LineSplitter::new(max_line_bytes), ids }
    }

    /// Returns an entry for each line that `bytes` complete, except blank lines. Pass each byte once, even if the
    /// machine does not consume it at once.
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
