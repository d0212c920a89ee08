//! Writer of the agent's input. It has its own thread, since it blocks while the agent does not read.

use super::change_signal::ChangeSignal;
use super::line_queue::{LineQueue, QueuedLine, ReadEvent, ReadMonitor};
use super::settings::AgentSettings;
use super::unsettled::{Unsettled, settle};
use relayline_runtime::Settlement;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Size of a write in bytes: a pipe accepts it as a whole, so that reading a part of a long line is noticed.
const PIECE: usize = 4096;

/// Queue of lines for the agent, and the monitor of its reading.
#[derive(Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signals a queued line, or the end of the queue.
    more: Condvar,
    changes: ChangeSignal,
}

#[derive(Debug)]
struct State {
    lines: LineQueue<Settlement>,
    monitor: ReadMonitor,
    /// True once no more lines are queued.
    finishing: bool,
    /// True once nothing more is written.
    abandoned: bool,
    /// True once the agent has closed its input.
    closed: bool,
    /// True once the thread has ended.
    terminated: bool,
}

impl State {
    fn update_monitor(&mut self) {
        let (waits, full) = (!self.lines.is_empty(), !self.lines.takes_results());
        self.monitor.update(Instant::now(), waits, full);
    }

    /// Removes all queued lines.
    fn drain(&mut self) -> Vec<QueuedLine<Settlement>> {
        self.lines.drain().collect()
    }
}

/// Status of the agent's reading.
pub(super) struct ReadStatus {
    pub(super) event: Option<ReadEvent>,
    pub(super) has_timed_out: bool,
    pub(super) deadline: Option<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line; `None` at the end.
    fn next(&self) -> Option<QueuedLine<Settlement>> {
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

    /// Writes and flushes a line. Returns true if that succeeded.
    fn write(&self, to: &mut dyn Write, text: &str) -> bool {
        for piece in text.as_bytes().chunks(PIECE) {
            if to.write_all(piece).is_err() {
                return false;
            }
            let mut state = self.lock();
            state.monitor.note_read(Instant::now());
            if state.abandoned {
                return false;
            }
        }
        to.flush().is_ok()
    }

    /// Writes a line, and settles its delivery if the agent does not.
    fn deliver(
        &self,
        to: &mut dyn Write,
        line: QueuedLine<Settlement>,
        unsettled: &Unsettled,
        auto_ack: bool,
    ) -> bool {
        let QueuedLine { text, event } = line;
        let is_event = event.is_some();
        if let Some(settlement) = &event {
            unsettled.mark_written(settlement);
        }
        let mut event = event;
        if let Some(settlement) = event.take_if(|settlement| settlement.is_buffered() && !auto_ack) {
            unsettled.insert(settlement);
        }
        let written = self.write(to, &text);
        if let Some(settlement) = event {
            settle(settlement, written);
        }
        let mut state = self.lock();
        state.lines.written(text.len(), is_event);
        state.update_monitor();
        written
    }

    fn run(&self, to: &mut dyn Write, unsettled: &Unsettled, auto_ack: bool) {
        while let Some(line) = self.next() {
            let written = self.deliver(to, line, unsettled, auto_ack);
            if !written {
                let mut state = self.lock();
                state.closed |= !state.abandoned;
                let lines = state.drain();
                state.update_monitor();
                drop(state);
                // Not under the lock: dropping an event refuses it.
                drop(lines);
                break;
            }
            self.changes.set();
        }
    }
}

impl Writer {
    pub(super) fn start(
        mut to: Box<dyn Write + Send>,
        settings: &AgentSettings,
        unsettled: Unsettled,
        auto_ack: bool,
        changes: ChangeSignal,
    ) -> io::Result<Writer> {
        let state = State {
            lines: LineQueue::new(settings.clone()),
            monitor: ReadMonitor::new(settings),
            finishing: false,
            abandoned: false,
            closed: false,
            terminated: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), more: Condvar::new(), changes });
        let thread = shared.clone();
        let run = move || {
            thread.run(&mut *to, &unsettled, auto_ack);
            drop(to);
            thread.lock().terminated = true;
            thread.changes.set();
        };
        std::thread::Builder::new().name("agent-in".to_owned()).spawn(run)?;
        Ok(Writer(shared))
    }

    /// Queues an event. It is refused if the agent has closed its input.
    pub(super) fn event(&self, text: String, settlement: Settlement) {
        self.push(|lines| lines.push_event(text + "\n", settlement));
    }

    /// Queues a result, a notice or an interrupt.
    pub(super) fn urgent(&self, text: String) {
        self.push(|lines| lines.push_urgent(text + "\n"));
    }

    fn push(&self, push: impl FnOnce(&mut LineQueue<Settlement>)) {
        let mut state = self.0.lock();
        if state.closed || state.abandoned || state.terminated {
            drop(state);
            // `push` is dropped without the lock.
            return;
        }
        push(&mut state.lines);
        state.update_monitor();
        drop(state);
        self.0.more.notify_one();
    }

    pub(super) fn takes_events(&self) -> bool {
        self.0.lock().lines.takes_events()
    }

    pub(super) fn takes_results(&self) -> bool {
        self.0.lock().lines.takes_results()
    }

    /// Returns the status of the agent's reading.
    pub(super) fn read_status(&self) -> ReadStatus {
        let (mut state, now) = (self.0.lock(), Instant::now());
        let event = state.monitor.take_event(now);
        ReadStatus {
            event,
            has_timed_out: state.monitor.has_timed_out(now),
            deadline: state.monitor.deadline(),
        }
    }

    /// Returns true if the agent has closed its input.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Closes the agent's input once all queued lines are written.
    pub(super) fn finish(&self) {
        self.0.lock().finishing = true;
        self.0.more.notify_one();
    }

    /// Returns true once the thread has ended.
    pub(super) fn is_terminated(&self) -> bool {
        self.0.lock().terminated
    }

    /// Drops all queued lines, and refuses their events. Returns the number of lines. A blocked write is abandoned.
    pub(super) fn abandon(&self) -> usize {
        let mut state = self.0.lock();
        state.abandoned = true;
        let lines = state.drain();
        // The line that is being written.
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
