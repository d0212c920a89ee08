//! Writer of the agent's input. It has its own thread, since it blocks while the agent does not read.

use super::change_signal::ChangeSignal;
use super::delivery::AgentSettlement;
use super::line_queue::{LineQueue, QueuedLine, ReadEvent, ReadMonitor};
use super::settings::AgentSettings;
use super::unsettled::{Unsettled, settle};
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Maximum size of a write, in bytes. Lines that fit together are written at once: a pipe takes them as a whole, or none of
/// them. A long line is written in pieces, so that an agent that reads only a part of the line counts as reading.
const PIECE: usize = 4096;

/// Handle of the writer's thread: queues lines for the agent, and monitors the agent's reading.
#[derive(Debug)]
pub(crate) struct Writer(Arc<Shared>);

/// Part that the handle and the thread share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread: a line was queued, or the thread is to end.
    wake: Condvar,
    /// Wakes the session: a line was written, or the thread has ended.
    changes: ChangeSignal,
}

#[derive(Debug)]
struct State {
    lines: LineQueue<AgentSettlement>,
    /// Number of lines that are being written.
    in_write: usize,
    /// True while the thread waits. Only then it is woken: each wake-up is a system call.
    is_waiting: bool,
    monitor: ReadMonitor,
    /// True if the thread ends once no line is queued. Lines can still be queued until then.
    is_finishing: bool,
    /// True if the thread ends now. No further line is queued or written.
    is_abandoned: bool,
    /// True once the agent has closed its input.
    is_closed: bool,
    /// True once the thread has ended.
    is_terminated: bool,
}

impl State {
    /// Passes the state of the queue to the monitor.
    fn update_monitor(&mut self) {
        let (is_waiting, is_full) = (!self.lines.is_empty(), !self.lines.takes_results());
        self.monitor.update(Instant::now(), is_waiting, is_full);
    }

    /// Removes all queued lines.
    fn drain(&mut self) -> Vec<QueuedLine<AgentSettlement>> {
        self.lines.drain().collect()
    }
}

/// Status of the agent's reading.
pub(crate) struct ReadStatus {
    /// Change that was not logged yet.
    pub(crate) event: Option<ReadEvent>,
    /// True if the agent has not read for too long.
    pub(crate) has_timed_out: bool,
    /// Time at which the status is to be queried again.
    pub(crate) deadline: Option<Instant>,
}

impl ReadStatus {
    /// Logs the change that was not logged yet.
    pub(crate) fn log(&self) {
        match self.event {
            Some(ReadEvent::Silent(span)) => {
                let why = format!("the agent has not read for {} s", span.as_secs());
                tracing::warn!(why, "agent_does_not_read");
            }
            Some(ReadEvent::Resumed(span)) => {
                let why = format!("the agent reads again, after {} s", span.as_secs());
                tracing::warn!(why, "agent_reads_again");
            }
            None => {}
        }
    }
}

/// Lines that are written at once, with reusable buffers.
#[derive(Default)]
struct Batch {
    lines: Vec<QueuedLine<AgentSettlement>>,
    /// Text of all lines, if there are several: at most [`PIECE`] bytes.
    joined: String,
    /// Length of each line, and true for an event.
    released: Vec<(usize, bool)>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, and moves them to `batch`. Returns false if the thread is to end.
    fn next(&self, batch: &mut Vec<QueuedLine<AgentSettlement>>) -> bool {
        let mut state = self.lock();
        loop {
            if state.is_abandoned {
                return false;
            }
            state.lines.pop_batch(PIECE, batch);
            state.in_write = batch.len();
            if !batch.is_empty() {
                return true;
            }
            if state.is_finishing {
                return false;
            }
            state.is_waiting = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.is_waiting = false;
        }
    }

    /// Writes and flushes lines. Returns true if that succeeded.
    fn write(&self, to: &mut dyn Write, text: &str) -> bool {
        for piece in text.as_bytes().chunks(PIECE) {
            if to.write_all(piece).is_err() {
                return false;
            }
            let mut state = self.lock();
            state.monitor.note_read(Instant::now());
            if state.is_abandoned {
                return false;
            }
        }
        to.flush().is_ok()
    }

    /// Writes the lines of a batch, and empties it. Returns true if that succeeded. Without `auto_ack` the agent settles the
    /// delivery of a buffered event; every other delivery is settled here.
    fn deliver(&self, to: &mut dyn Write, batch: &mut Batch, unsettled: &Unsettled, auto_ack: bool) -> bool {
        let Batch { lines, joined, released } = batch;
        joined.clear();
        released.clear();
        let is_joined = lines.len() > 1;
        for QueuedLine { text, event: settlement } in lines.iter_mut() {
            released.push((text.len(), settlement.is_some()));
            if is_joined {
                joined.push_str(text);
            }
            if let Some(settlement) = settlement {
                unsettled.mark_written(settlement);
            }
            if let Some(for_agent) = settlement.take_if(|settlement| settlement.is_buffered() && !auto_ack) {
                unsettled.insert(for_agent);
            }
        }
        let is_written = match lines.as_slice() {
            [line] => self.write(to, &line.text),
            _ => self.write(to, joined),
        };
        for settlement in lines.drain(..).filter_map(|line| line.event) {
            settle(settlement, is_written);
        }
        let mut state = self.lock();
        let was_full = !state.lines.takes_events() || !state.lines.takes_results();
        for (bytes, is_event) in released {
            state.lines.written(*bytes, *is_event);
        }
        state.in_write = 0;
        state.update_monitor();
        // A wake-up of the session is a system call. It waits for room, and for the end.
        if was_full || state.lines.is_empty() {
            self.changes.set();
        }
        is_written
    }

    /// Writes lines until the thread is to end or a write fails.
    fn run(&self, to: &mut dyn Write, unsettled: &Unsettled, auto_ack: bool) {
        let mut batch = Batch::default();
        while self.next(&mut batch.lines) {
            if !self.deliver(to, &mut batch, unsettled, auto_ack) {
                return self.stop_after_failure();
            }
        }
    }

    /// Drops the queued lines after a write has failed.
    fn stop_after_failure(&self) {
        let mut state = self.lock();
        state.is_closed |= !state.is_abandoned;
        let lines = state.drain();
        state.update_monitor();
        drop(state);
        // A dropped event takes the gateway's lock to refuse its delivery, so the lock of the queue is not held.
        drop(lines);
    }
}

impl Writer {
    /// Starts the thread, which writes to `to` and closes it at its end.
    pub(crate) fn start(
        mut to: Box<dyn Write + Send>,
        settings: &AgentSettings,
        unsettled: Unsettled,
        auto_ack: bool,
        changes: ChangeSignal,
    ) -> io::Result<Writer> {
        let state = State {
            lines: LineQueue::new(settings.into()),
            in_write: 0,
            is_waiting: false,
            monitor: ReadMonitor::new(settings),
            is_finishing: false,
            is_abandoned: false,
            is_closed: false,
            is_terminated: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), changes });
        let thread = shared.clone();
        let run = move || {
            thread.run(&mut *to, &unsettled, auto_ack);
            drop(to);
            thread.lock().is_terminated = true;
            thread.changes.set();
        };
        std::thread::Builder::new().name("agent-in".to_owned()).spawn(run)?;
        Ok(Writer(shared))
    }

    /// Queues an event. Its delivery is refused if no further line is written.
    pub(crate) fn event(&self, text: String, settlement: AgentSettlement) {
        self.event_later(text, settlement);
        self.wake();
    }

    /// Queues an event as [`event`](Self::event) does. Call [`wake`](Self::wake) after the last of several.
    pub(crate) fn event_later(&self, text: String, settlement: AgentSettlement) {
        self.push(|lines| lines.push_event(text + "\n", settlement));
    }

    /// Wakes the thread if it waits while lines are queued.
    pub(crate) fn wake(&self) {
        let state = self.0.lock();
        let sleeps = state.is_waiting && !state.lines.is_empty();
        drop(state);
        if sleeps {
            self.0.wake.notify_one();
        }
    }

    /// Queues a result, a notice or an interrupt. It is dropped if no further line is written.
    pub(crate) fn urgent(&self, text: String) {
        self.urgent_later(text);
        self.wake();
    }

    /// Queues a line as [`urgent`](Self::urgent) does. Call [`wake`](Self::wake) after the last of several.
    pub(crate) fn urgent_later(&self, text: String) {
        self.push(|lines| lines.push_urgent(text + "\n"));
    }

    /// Queues a line with `push`, or drops `push` if no further line is written.
    fn push(&self, push: impl FnOnce(&mut LineQueue<AgentSettlement>)) {
        let mut state = self.0.lock();
        if state.is_closed || state.is_abandoned || state.is_terminated {
            // `push` is dropped after the lock of the queue: it may own an event, which takes the gateway's lock to
            // refuse its delivery.
            drop(state);
            return;
        }
        push(&mut state.lines);
        state.update_monitor();
    }

    /// Returns true if another event may be queued.
    pub(crate) fn takes_events(&self) -> bool {
        self.0.lock().lines.takes_events()
    }

    /// Returns true if the queue has room for further results.
    pub(crate) fn takes_results(&self) -> bool {
        self.0.lock().lines.takes_results()
    }

    /// Returns the status of the agent's reading.
    pub(crate) fn read_status(&self) -> ReadStatus {
        let (mut state, now) = (self.0.lock(), Instant::now());
        let event = state.monitor.take_event(now);
        ReadStatus {
            event,
            has_timed_out: state.monitor.has_timed_out(now),
            deadline: state.monitor.deadline(),
        }
    }

    /// Returns true if the agent has closed its input.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    /// Returns true if the agent has not read all events.
    pub(crate) fn has_events(&self) -> bool {
        self.0.lock().lines.has_events()
    }

    /// Makes the thread end, and so close the agent's input, once no line is queued.
    pub(crate) fn finish(&self) {
        self.0.lock().is_finishing = true;
        self.0.wake.notify_one();
    }

    /// Returns true once the thread has ended.
    pub(crate) fn is_terminated(&self) -> bool {
        self.0.lock().is_terminated
    }

    /// Drops all queued lines, and refuses their deliveries. Returns the number of lines that the agent did not get as
    /// a whole. The thread ends after its current write.
    pub(crate) fn abandon(&self) -> usize {
        let mut state = self.0.lock();
        state.is_abandoned = true;
        let lines = state.drain();
        let unfinished = state.in_write;
        drop(state);
        self.0.wake.notify_one();
        lines.len() + unfinished
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.abandon();
    }
}
