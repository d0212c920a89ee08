//! Reader of an agent's lines, on a thread, and of its stderr, on another.

use crate::bridge::ChangeSignal;
use relayline_core::line::{Line, LineSplitter};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum length of a line, in bytes. A longer one is discarded.
const MAX_LINE_BYTES: usize = 16 << 20;
/// Maximum number of lines that wait, and of their bytes. A single longer line passes.
const MAX_LINES: usize = 1024;
const MAX_BYTES: usize = 1 << 20;
/// Maximum length of a line of stderr that is logged, in bytes.
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
        each_line(from, MAX_LINE_BYTES, |line| match line {
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
        each_line(&mut *from, MAX_LOGGED, |line| match line {
            Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => {}
            Line::Whole(line) => {
                let line = String::from_utf8_lossy(line);
                tracing::debug!(line = line.trim_end(), "agent_stderr");
            }
            Line::TooLong => tracing::debug!(line = "(a line of over 4096 bytes)", "agent_stderr"),
        });
    };
    std::thread::Builder::new().name("agent-err".to_owned()).spawn(run).map(drop)
}

/// Passes each line of a stream to `handle`, up to the end or an error.
fn each_line(from: &mut dyn Read, max: usize, mut handle: impl FnMut(Line<'_>)) {
    let mut splitter = LineSplitter::new(max);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::warn!(%error, "agent_unreadable");
                break;
            }
        };
        let mut bytes = &buffer[..count];
        while let Some(line) = splitter.next(&mut bytes) {
            handle(line);
        }
    }
    // The last line may lack a newline.
    let mut end = &b"\n"[..];
    while let Some(line) = splitter.next(&mut end) {
        handle(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let flood: &'static [u8] = "x\n".repeat(100_000).into_bytes().leak();
        let reader = LineReader::start(Box::new(flood), ChangeSignal::default()).unwrap();
        let mut count = 0;
        while !reader.is_done() {
            assert!(reader.0.lock().lines.len() <= MAX_LINES);
            count += usize::from(reader.pop().is_some());
        }
        assert_eq!(count, 100_000);
    }
}
