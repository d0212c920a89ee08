//! Reader of an agent's lines, on a thread, and of its stderr, on another.

use crate::agent_output::{each_line, each_part};
use crate::bridge::ChangeSignal;
use relayline_core::line::Line;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum number of lines that wait, and of their bytes. A single longer line passes.
const MAX_LINES: usize = 1024;
const MAX_BYTES: usize = 1 << 20;
/// Maximum number of bytes of a line of stderr that are logged.
const MAX_LOGGED: usize = 4096;

/// Line of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadLine {
    Whole(Vec<u8>),
    /// It was discarded.
    TooLong,
}

/// Handle of the thread that reads an agent's lines. The thread does not read while too many of them wait.
#[derive(Debug)]
pub(crate) struct LineReader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There may be room again.
    room: Condvar,
    /// A line was read, or the end was reached.
    changes: ChangeSignal,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<ReadLine>,
    bytes: usize,
    has_ended: bool,
    /// True if nobody reads any more: lines are discarded.
    is_closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: ReadLine) {
        let length = line.len();
        let mut state = self.lock();
        let is_full = |state: &mut State| {
            !state.is_closed && (state.lines.len() >= MAX_LINES || state.bytes >= MAX_BYTES)
        };
        state = self.room.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        if !state.is_closed {
            state.bytes += length;
            state.lines.push_back(line);
            drop(state);
            self.changes.set();
        }
    }

    /// Reads to the end, also after the handle is gone: a closed pipe could kill the agent.
    fn read(&self, from: &mut dyn Read) {
        each_line(from, |line| match line {
            Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => {}
            Line::Whole(line) => self.push(ReadLine::Whole(line.to_vec())),
            Line::TooLong => self.push(ReadLine::TooLong),
        });
        self.lock().has_ended = true;
        self.changes.set();
    }
}

impl ReadLine {
    fn len(&self) -> usize {
        match self {
            ReadLine::Whole(line) => line.len(),
            ReadLine::TooLong => 0,
        }
    }
}

impl LineReader {
    /// Starts the thread.
    pub(crate) fn start(mut from: Box<dyn Read + Send>, changes: ChangeSignal) -> io::Result<LineReader> {
        let shared = Arc::new(Shared { state: Mutex::default(), room: Condvar::new(), changes });
        let thread = shared.clone();
        let run = move || thread.read(&mut *from);
        std::thread::Builder::new().name("agent-out".to_owned()).spawn(run)?;
        Ok(LineReader(shared))
    }

    /// Returns the next line.
    pub(crate) fn pop(&self) -> Option<ReadLine> {
        let mut state = self.0.lock();
        let line = state.lines.pop_front()?;
        state.bytes -= line.len();
        drop(state);
        self.0.room.notify_one();
        Some(line)
    }

    /// Returns true once the agent's output has ended and all of it was returned.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.0.lock();
        state.has_ended && state.lines.is_empty()
    }
}

impl Drop for LineReader {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.room.notify_one();
    }
}

/// Logs an agent's stderr line by line, on a thread.
pub(crate) fn log_stderr(mut from: Box<dyn Read + Send>) -> io::Result<()> {
    let run = move || {
        each_start(&mut *from, MAX_LOGGED, |line| {
            let line = String::from_utf8_lossy(line);
            if !line.trim_end().is_empty() {
                tracing::debug!(line = line.trim_end(), "agent_stderr");
            }
        });
    };
    std::thread::Builder::new().name("agent-err".to_owned()).spawn(run).map(drop)
}

/// Passes the first `max` bytes of each line of a stream to `handle`, without its newline.
fn each_start(from: &mut dyn Read, max: usize, mut handle: impl FnMut(&[u8])) {
    let mut line = Vec::new();
    each_part(from, |bytes| {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            line.extend_from_slice(&text[..text.len().min(max - line.len())]);
            if text.len() < part.len() {
                handle(&line);
                line.clear();
            }
        }
    });
    // The last line may lack a newline.
    handle(&line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent_output::MAX_LINE_BYTES;

    fn read(bytes: &'static [u8]) -> Vec<ReadLine> {
        let reader = LineReader::start(Box::new(bytes), ChangeSignal::default()).unwrap();
        let mut lines = Vec::new();
        while !reader.is_done() {
            match reader.pop() {
                Some(line) => lines.push(line),
                None => std::thread::yield_now(),
            }
        }
        lines
    }

    fn whole(line: &str) -> ReadLine {
        ReadLine::Whole(line.as_bytes().to_vec())
    }

    #[test]
    fn lines_come_in_order_without_blank_ones() {
        assert_eq!(read(b"a\n\nb"), [whole("a"), whole("b")]);
    }

    #[test]
    fn an_overlong_line_is_discarded_and_reported_once() {
        let long: &'static [u8] = [vec![b'x'; MAX_LINE_BYTES + 1], b"\nb\n".to_vec()].concat().leak();
        assert_eq!(read(long), [ReadLine::TooLong, whole("b")]);
    }

    #[test]
    fn x_1_a_flood_waits_until_lines_are_taken() {
        const LONG: usize = 64 << 10;
        for (length, lines) in [(1, 100_000), (LONG, 200)] {
            let line = "x".repeat(length) + "\n";
            let flood: &'static [u8] = line.repeat(lines).into_bytes().leak();
            let reader = LineReader::start(Box::new(flood), ChangeSignal::default()).unwrap();
            let (mut count, mut most) = (0, 0);
            while !reader.is_done() {
                let state = reader.0.lock();
                assert!(state.lines.len() <= MAX_LINES && state.bytes <= MAX_BYTES + LONG);
                assert_eq!(state.bytes, state.lines.iter().map(ReadLine::len).sum::<usize>());
                most = most.max(state.bytes);
                let is_full = state.lines.len() == MAX_LINES || state.bytes >= MAX_BYTES || state.has_ended;
                drop(state);
                // Taken only once it is full: the reader waits then.
                if is_full {
                    count += usize::from(reader.pop().is_some());
                } else {
                    std::thread::yield_now();
                }
            }
            assert_eq!(count, lines);
            assert!(length < LONG || most >= MAX_BYTES, "the bound in bytes was reached");
        }
    }

    #[test]
    fn the_start_of_a_long_line_of_stderr_is_logged() {
        let mut lines = Vec::new();
        let mut from: &[u8] = b"short\n\n0123456789\nend";
        each_start(&mut from, 6, |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(lines, ["short", "", "012345", "end"]);
    }
}
