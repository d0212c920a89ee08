//! A client of the control socket: reads its ops, runs them, and writes their results.

use super::counters::ControlMonitor;
use super::server::{Host, Slot};
use super::streams::Streams;
use crate::bridge::execution::empty_result;
use crate::bridge::line::BridgeLine;
use crate::bridge::line_queue::{LineLimits, LineQueue};
use crate::bridge::op::{OpLabel, OpRequest};
use crate::bridge::op_queue::{OpLimits, OpQueue, QueuedOp, Work};
use crate::bridge::parts::submit_when_room;
use crate::bridge::reader::{name_chat, op_of};
use crate::bridge::runner::{InFlightLimits, OpOrigin, OpRunner, Step};
use futures_util::FutureExt;
use futures_util::io::{AsyncRead, AsyncWrite};
use relayline_core::command::{Command, Failure};
use relayline_core::line::{Line, LineSplitter};
use serde_json::Value;
use smol::Async;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Size of a read, in bytes.
const PART: usize = 8192;
/// Number of events, and of ops started at a time, after which other clients have their turn.
const MAX_EVENTS: usize = 64;
/// Maximum time to finish the streams of a client that has left.
const FINISH_STREAMS: Duration = Duration::from_secs(10);
/// Number of ops `disconnect` in flight at which nothing more is read.
const MAX_DISCONNECTS: usize = 16;
/// Reason of a disconnect that a client requests.
const DISCONNECT: &str = "a control client asked to disconnect";

/// Queues of a client: its ops, and lines for it.
struct ClientQueues {
    ops: RefCell<OpQueue>,
    lines: RefCell<LineQueue<Infallible>>,
    /// True if the client has gone, or does not read.
    is_closed: Cell<bool>,
    monitor: Arc<ControlMonitor>,
}

impl OpOrigin for ClientQueues {
    fn queue<T>(&self, change: impl FnOnce(&mut OpQueue) -> T) -> T {
        change(&mut self.ops.borrow_mut())
    }

    fn takes_results(&self) -> bool {
        // Without a reader, results are dropped at once.
        self.is_closed.get() || self.lines.borrow().takes_results()
    }

    fn write(&self, line: &BridgeLine<'_>) {
        if self.is_closed.get() {
            self.monitor.counters.results_dropped.increase();
        } else {
            self.lines.borrow_mut().push_urgent(line.text() + "\n");
        }
    }

    fn log_invalid(&self, about: &OpLabel, message: &str) {
        // At debug: the client gets an answer, and may write any number of lines.
        tracing::debug!(op = about.op, chat = about.chat, why = message, "control_invalid");
    }

    fn log_failed(&self, about: &OpLabel, failure: &Failure) {
        let (kind, why) = (failure.kind.name(), &failure.message);
        tracing::debug!(op = about.op, chat = about.chat, kind, why, "control_failed");
    }
}

/// Line that is being written.
struct Writing {
    text: String,
    /// Number of bytes written so far.
    written: usize,
}

pub(super) struct Client {
    stream: Async<UnixStream>,
    host: Rc<Host>,
    slot: Rc<Slot>,
    ops: OpRunner<ClientQueues>,
    streams: Streams,
    splitter: LineSplitter,
    /// Bytes that were read, and the part of them that was not split into lines yet.
    part: Box<[u8; PART]>,
    unsplit: std::ops::Range<usize>,
    /// True once nothing more is read.
    has_ended: bool,
    writing: Option<Writing>,
    /// Time since which the client has not read.
    blocked_since: Option<Instant>,
    /// Ops `disconnect`, which complete when the relay has ended.
    disconnects: Vec<(Option<Value>, OpLabel)>,
    timer: Option<(Instant, smol::Timer)>,
}

impl Client {
    /// Creates a client. `number` identifies it among all clients.
    pub(super) fn new(number: u64, stream: Async<UnixStream>, host: Rc<Host>, slot: Rc<Slot>) -> Client {
        let settings = &host.settings;
        let limits = &host.context.relay.config().machine.limits;
        // Clients leave at least half of the room to the agent.
        let share = |of: usize| (of / 2 / settings.control_clients).max(1);
        let (count, bytes) = (share(limits.max_in_flight), share(limits.write_queue_bytes));
        let queues = ClientQueues {
            ops: RefCell::new(OpQueue::new(OpLimits {
                count: settings.control_waiting_ops,
                bytes: settings.control_waiting_op_bytes,
            })),
            lines: RefCell::new(LineQueue::new(LineLimits::of_results(settings.control_result_bytes))),
            is_closed: Cell::new(false),
            monitor: host.monitor.clone(),
        };
        let in_flight = InFlightLimits { count: count.min(settings.control_in_flight), bytes };
        let ops = OpRunner::new(queues, host.context.clone(), None, in_flight);
        let streams = Streams::new(number, settings.control_streams, bytes);
        let splitter = LineSplitter::new(settings.control_line_bytes);
        Client {
            stream,
            host,
            slot,
            ops,
            streams,
            splitter,
            part: Box::new([0; PART]),
            unsplit: 0..0,
            has_ended: false,
            writing: None,
            blocked_since: None,
            disconnects: Vec::new(),
            timer: None,
        }
    }

    /// Serves the client until it has left and all of its ops have completed.
    pub(super) async fn serve(mut self) {
        let mut handled = 0;
        while !self.advance() {
            poll_fn(|cx| self.poll_event(cx)).await;
            handled += 1;
            if handled % MAX_EVENTS == 0 {
                smol::future::yield_now().await;
            }
        }
        self.close();
        if self.host.ends_by.get().is_none() {
            self.finish_streams().await;
        }
    }

    /// Does all work that is possible now. Returns true once the client is to be left.
    fn advance(&mut self) -> bool {
        let now = Instant::now();
        let ends_by = self.host.ends_by.get();
        if ends_by.is_some() {
            self.stop_reading();
            self.ops.stop_waiting();
            for (id, about) in std::mem::take(&mut self.disconnects) {
                self.ops.complete(id, &about, empty_result());
            }
        }
        self.begin_ops();
        let timeout = self.host.settings.control_read_timeout;
        if self.blocked_since.is_some_and(|since| now >= since + timeout) {
            tracing::debug!("control_client_does_not_read");
            self.host.monitor.counters.clients_timed_out.increase();
            self.close();
        }
        let is_idle = self.ops.is_done()
            && self.ops.origin.queue(|ops| ops.is_empty())
            && self.disconnects.is_empty()
            && self.writing.is_none()
            && self.ops.origin.lines.borrow().is_empty();
        self.slot.idle_since.set((is_idle && !self.has_ended).then_some(now));
        let due = self.blocked_since.map(|since| since + timeout).into_iter().chain(ends_by).min();
        self.set_timer(now, due);
        is_idle && (self.has_ended || self.slot.is_evicted.get()) || ends_by.is_some_and(|by| now >= by)
    }

    fn set_timer(&mut self, now: Instant, due: Option<Instant>) {
        match (due, &self.timer) {
            (None, _) => self.timer = None,
            (Some(due), Some((set, _))) if *set == due => {}
            // At least 1 ms ahead: a deadline in the past would loop.
            (Some(due), _) => {
                let at = due.max(now + Duration::from_millis(1));
                self.timer = Some((due, smol::Timer::at(at)));
            }
        }
    }

    /// Starts ops in order, while there is room and up to a bound.
    fn begin_ops(&mut self) {
        for _ in 0..MAX_EVENTS {
            match self.ops.step() {
                Step::Started => {}
                Step::Idle => return,
                Step::Disconnect(id, about) => {
                    self.disconnects.push((id, about));
                    self.host.shutdown.trigger(DISCONNECT);
                }
            }
        }
        self.slot.signal.set();
    }

    /// Polls for an event, and handles it.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // All of them are polled: each must know the waker.
        let is_completed = self.ops.poll_completed(cx).is_ready();
        let has_room = self.ops.poll_room(cx).is_ready();
        let is_written = self.poll_write(cx).is_ready();
        let is_read = self.poll_read(cx).is_ready();
        let is_signaled = self.slot.signal.poll(cx).is_ready();
        let is_due = self.timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready());
        if is_due {
            self.timer = None;
        }
        let is_ready = is_completed || has_room || is_written || is_read || is_signaled || is_due;
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads some bytes, or takes a line from those that were read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waits_for_the_end = self.disconnects.len() >= MAX_DISCONNECTS;
        if self.has_ended || waits_for_the_end || !self.ops.origin.queue(|ops| ops.has_room()) {
            return Poll::Pending;
        }
        if !self.unsplit.is_empty() {
            let mut input = self.part.get(self.unsplit.clone()).unwrap_or_default();
            let op = self.splitter.next(&mut input).map(|line| parse(line, &self.host));
            self.unsplit.start = self.unsplit.end - input.len();
            if let Some(Some(op)) = op {
                self.take(op);
            }
            return Poll::Ready(());
        }
        match Pin::new(&mut &self.stream).poll_read(cx, &mut self.part[..]) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(count)) if count > 0 => {
                self.unsplit = 0..count;
                Poll::Ready(())
            }
            Poll::Ready(_) => {
                // The last line may lack a newline.
                let op = self.splitter.next(&mut &b"\n"[..]).and_then(|line| parse(line, &self.host));
                if let Some(op) = op {
                    self.take(op);
                }
                self.stop_reading();
                Poll::Ready(())
            }
        }
    }

    /// Queues an op.
    fn take(&mut self, mut op: QueuedOp) {
        let wrong = match &mut op.work {
            Work::Request(OpRequest::Command(Command::Stream(state))) => self.streams.take(state).err(),
            Work::Request(_) | Work::Wrong(_) => None,
            Work::Invalid { .. } => {
                self.host.monitor.counters.invalid_lines.increase();
                None
            }
        };
        if let Some(wrong) = wrong {
            op.work = Work::Wrong(wrong);
        }
        let relay = &self.host.context.relay;
        name_chat(&mut op, |delivery| relay.chat_of(delivery));
        self.ops.origin.queue(|ops| ops.push(op));
    }

    /// Writes a part of the next line.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let next = || self.ops.origin.lines.borrow_mut().pop();
        let Some(mut line) = self.writing.take().or_else(|| Some(Writing { text: next()?.text, written: 0 }))
        else {
            return Poll::Pending;
        };
        let rest = line.text.as_bytes().get(line.written..).unwrap_or_default();
        match Pin::new(&mut &self.stream).poll_write(cx, rest) {
            Poll::Pending => {
                self.blocked_since.get_or_insert_with(Instant::now);
                self.writing = Some(line);
                return Poll::Pending;
            }
            Poll::Ready(Ok(count)) if count > 0 => {
                self.blocked_since = None;
                line.written += count;
                if line.written < line.text.len() {
                    self.writing = Some(line);
                } else {
                    self.ops.origin.lines.borrow_mut().written(line.text.len(), false);
                }
            }
            // It has gone.
            Poll::Ready(_) => {
                self.writing = Some(line);
                self.close();
            }
        }
        Poll::Ready(())
    }

    fn stop_reading(&mut self) {
        self.has_ended = true;
        self.unsplit = 0..0;
        self.ops.origin.queue(OpQueue::end);
    }

    /// Drops all lines for the client, and those that follow. Reads nothing more. Ops that it has written are carried out.
    fn close(&mut self) {
        self.stop_reading();
        self.blocked_since = None;
        if !self.ops.origin.is_closed.replace(true) {
            let mut lines = self.ops.origin.lines.borrow_mut();
            let queued = lines.drain().count();
            let unfinished = self.writing.take();
            if let Some(line) = &unfinished {
                lines.written(line.text.len(), false);
            }
            self.host.monitor.counters.results_dropped.add(queued + usize::from(unfinished.is_some()));
        }
    }

    /// Submits the last states of the streams that the client has left unfinished.
    async fn finish_streams(&mut self) {
        let unfinished = self.streams.finish();
        let relay = &self.host.context.relay;
        let finish = async move {
            for state in unfinished {
                // The failure of a step is that of the stream: the client does not hear of it.
                let _ = submit_when_room(relay, Command::Stream(state)).await;
            }
        };
        let deadline = smol::Timer::after(FINISH_STREAMS).map(drop);
        smol::future::or(finish, deadline).await;
    }
}

/// Parses a line; `None` for a blank line.
fn parse(line: Line<'_>, host: &Host) -> Option<QueuedOp> {
    if line == Line::TooLong {
        host.monitor.counters.overlong_lines.increase();
    }
    op_of(line, host.settings.control_line_bytes)
}
