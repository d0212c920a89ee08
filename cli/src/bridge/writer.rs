//! Writes to the agent: a thread of its own, since it blocks for as long as the agent does not read.

use super::held::{Held, settle};
use super::lines::{Line, Lines, Reading, Remark};
use super::settings::AgentSettings;
use super::wake::Wake;
use relayline_runtime::Settlement;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Bytes that are written at once: as many as a pipe takes or blocks for as a whole, so that it shows when some of a
/// long line was read.
const PIECE: usize = 4096;

/// The lines for the agent, and whether it reads them.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write, or no more will come.
    more: Condvar,
    wake: Wake,
}

#[derive(Debug)]
struct State {
    lines: Lines<Settlement>,
    reading: Reading,
    /// No more lines will come.
    finishing: bool,
    /// Nothing more is to be written.
    abandoned: bool,
    /// The agent's reading end is closed.
    closed: bool,
    /// The thread has ended.
    over: bool,
}

impl State {
    fn look(&mut self) {
        let (waits, full) = (!self.lines.is_empty(), !self.lines.takes_results());
        self.reading.look(Instant::now(), waits, full);
    }

    /// Forgets what waits; how many lines that were.
    fn drain(&mut self) -> Vec<Line<Settlement>> {
        self.lines.drain().collect()
    }
}

/// How the agent does with its lines.
pub(super) struct Look {
    pub(super) remark: Option<Remark>,
    pub(super) is_hopeless: bool,
    pub(super) deadline: Option<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line; `None` when there will be none.
    fn next(&self) -> Option<Line<Settlement>> {
        let mut state = self.lock();
        loop {
            if state.abandoned {
                return None;
            }
            if let Some(line) = state.lines.pop() {
                return Some(line);
            }
            if state.finishing {
                return None;
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes a line and flushes it: whether the agent can read it now.
    fn write(&self, to: &mut dyn Write, text: &str) -> bool {
        for piece in text.as_bytes().chunks(PIECE) {
            if to.write_all(piece).is_err() {
                return false;
            }
            let mut state = self.lock();
            state.reading.has_read(Instant::now());
            if state.abandoned {
                return false;
            }
        }
        to.flush().is_ok()
    }

    /// Writes a line, and settles the delivery that it gives to the agent.
    fn deliver(&self, to: &mut dyn Write, line: Line<Settlement>, held: &Held, auto_ack: bool) -> bool {
        let Line { text, event } = line;
        let is_event = event.is_some();
        if let Some(owed) = &event {
            held.give(owed);
        }
        let mut event = event;
        if let Some(owed) = event.take_if(|owed| owed.is_buffered() && !auto_ack) {
            held.keep(owed);
        }
        let written = self.write(to, &text);
        if let Some(owed) = event {
            settle(owed, written);
        }
        let mut state = self.lock();
        state.lines.written(text.len(), is_event);
        state.look();
        written
    }

    fn run(&self, to: &mut dyn Write, held: &Held, auto_ack: bool) {
        while let Some(line) = self.next() {
            let written = self.deliver(to, line, held, auto_ack);
            if !written {
                let mut state = self.lock();
                state.closed |= !state.abandoned;
                let lines = state.drain();
                state.look();
                drop(state);
                // Each event among them is refused as it is dropped; not under the lock.
                drop(lines);
                break;
            }
            self.wake.wake();
        }
    }
}

impl Writer {
    pub(super) fn start(
        mut to: Box<dyn Write + Send>,
        settings: &AgentSettings,
        held: Held,
        auto_ack: bool,
        wake: Wake,
    ) -> io::Result<Writer> {
        let state = State {
            lines: Lines::new(settings.clone()),
            reading: Reading::new(settings),
            finishing: false,
            abandoned: false,
            closed: false,
            over: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), more: Condvar::new(), wake });
        let thread = shared.clone();
        let run = move || {
            thread.run(&mut *to, &held, auto_ack);
            // The end of the agent's input.
            drop(to);
            thread.lock().over = true;
            thread.wake.wake();
        };
        std::thread::Builder::new().name("agent-in".to_owned()).spawn(run)?;
        Ok(Writer(shared))
    }

    /// Queues an event. With the agent's reading end closed it is refused.
    pub(super) fn event(&self, text: String, owed: Settlement) {
        self.push(|lines| lines.push_event(text + "\n", owed));
    }

    /// Queues a result, a notice or an interrupt.
    pub(super) fn urgent(&self, text: String) {
        self.push(|lines| lines.push_urgent(text + "\n"));
    }

    fn push(&self, push: impl FnOnce(&mut Lines<Settlement>)) {
        let mut state = self.0.lock();
        if state.closed || state.abandoned || state.over {
            drop(state);
            // What `push` holds is dropped, not under the lock.
            return;
        }
        push(&mut state.lines);
        state.look();
        drop(state);
        self.0.more.notify_one();
    }

    pub(super) fn takes_events(&self) -> bool {
        self.0.lock().lines.takes_events()
    }

    pub(super) fn takes_results(&self) -> bool {
        self.0.lock().lines.takes_results()
    }

    /// Looks how the agent does with its lines.
    pub(super) fn look(&self) -> Look {
        let (mut state, now) = (self.0.lock(), Instant::now());
        let remark = state.reading.remark(now);
        Look { remark, is_hopeless: state.reading.is_hopeless(now), deadline: state.reading.deadline() }
    }

    /// Whether the agent's reading end is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// No more lines will come. The agent's input ends once those that wait are written.
    pub(super) fn finish(&self) {
        self.0.lock().finishing = true;
        self.0.more.notify_one();
    }

    /// Whether the thread has ended.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().over
    }

    /// Gives up on the agent's reading: what waits is dropped, events are refused. Returns how many lines that were.
    /// A write that blocks is left to itself.
    pub(super) fn abandon(&self) -> usize {
        let mut state = self.0.lock();
        state.abandoned = true;
        let lines = state.drain();
        // The one that is being written.
        let unfinished = usize::from(!state.lines.is_empty());
        drop(state);
        self.0.more.notify_one();
        lines.len() + unfinished
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.abandon();
    }
}
