//! Drive loop: performs the machine's actions, moves its bytes over the socket, and runs its timer.
//!
//! A round reads the clock once, holds the lock twice, and moves a batch of messages in each direction.

mod dispatch;
mod lingering_close;
mod observation;
mod open;
pub(crate) mod writer;

use crate::Runtime;
use crate::dial::{DialError, dial};
use crate::dialer::{BoxFuture, Dialer};
use crate::observe::{ObservedMachine, WireEvent, WireSide};
use crate::progress::Progress;
use crate::shared::{Release, Shared, State};
use crate::trace;
use crate::web_socket::WebSocket;
use dispatch::{Outputs, notify_host, send_answers, send_responses};
use futures_channel::oneshot;
use lingering_close::lingering_close;
use open::{OpenSocket, SocketEnd};
use relayline_core::command::Command;
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::output::{Action, Conn, Notice, Timer};
use relayline_core::secret::Secret;
use relayline_core::stats::Stats;
use relayline_core::time::{Now, Time};
use relayline_core::trace::{Entry, Ids, Lines};
use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use tracing::Span;
use writer::SharedWriter;

/// Maximum number of rounds per poll. Together with the limits on one exchange with the socket it bounds the time of a
/// poll.
const MAX_ROUNDS: usize = 64;

/// Guard that stops the webhook server when it is dropped.
pub(crate) type ServerGuard = oneshot::Sender<Infallible>;

/// Next step of the drive loop.
enum Next {
    /// It runs another round.
    Round,
    /// It waits, at most until this time.
    Wait(Option<Time>),
    /// It ends: the gateway has terminated.
    End,
}

/// State of the current socket.
enum Socket {
    None,
    Dialing { conn: Conn, dial: BoxFuture<Result<WebSocket, DialError>>, progress: Progress },
    Open(Box<OpenSocket>),
}

/// Timer of the machine.
struct DeadlineTimer {
    due: Time,
    sleep: BoxFuture<()>,
}

/// Drive loop of a gateway, as a future that completes when the gateway has terminated.
pub(crate) struct Driver<R> {
    runtime: R,
    dialer: Dialer,
    shared: Arc<Shared>,
    socket: Socket,
    /// Timer for the machine's deadline, if it is set.
    timer: Option<DeadlineTimer>,
    /// Guard of the webhook server, if there is one. Dropping it stops the server.
    _server: Option<ServerGuard>,
    /// Span of all log events.
    relay: Span,
    /// Span of the current connection's log events.
    connection: Span,
    /// Counters as of the last log event.
    counted: Stats,
    /// True once a dead letter was logged on this connection. Only the first one is logged as a warning.
    has_logged_dead_letter: bool,
    /// The machine as the observer of the wire knows it, if there is one.
    observed: Option<ObservedMachine>,
}

impl<R> fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<R: Runtime> Driver<R> {
    /// Creates the loop of a gateway. `server` stops the webhook server when it is dropped.
    pub(crate) fn new(runtime: R, dialer: Dialer, shared: Arc<Shared>, server: Option<ServerGuard>) -> Self {
        let relay = trace::relay(&shared.config.machine);
        Driver {
            runtime,
            dialer,
            shared,
            socket: Socket::None,
            timer: None,
            _server: server,
            relay,
            connection: Span::none(),
            counted: Stats::default(),
            has_logged_dead_letter: false,
            observed: None,
        }
    }

    /// Spawns the loop on its runtime.
    pub(crate) fn spawn(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self);
    }

    /// Runs the machine's timer, moves a batch of messages over the socket, and performs the machine's actions. Returns what
    /// the loop does next.
    fn run_round(&mut self, cx: &mut Context<'_>) -> Next {
        let shared = self.shared.clone();
        let now = shared.now();
        let writer = self.writer();
        let mut writer = writer.as_ref().map(SharedWriter::lock);
        let mut state = shared.lock();
        let former = state.set_driver_waker(cx.waker());
        self.fire_due_timer(&mut state, now);
        if let Some(writer) = &mut writer {
            writer.take_messages(&mut state.machine, now);
        }
        let wants_read = state.machine.wants_read();
        // The lock of the state is not held here, so that no call of the host waits for a socket.
        drop(state);
        drop((former, writer));
        let dialed = self.poll_socket(now, wants_read, cx);
        let mut state = shared.lock();
        let has_dialed = dialed.is_some();
        if let Some((conn, dialed)) = dialed {
            self.finish_dial(&mut state, now, conn, dialed);
        }
        let lingering = self.feed_machine(&mut state, now);
        let Outputs { mut answers, responses, actions } = Outputs::take(&mut state, now.mono);
        let has_acted = !actions.is_empty();
        if has_acted {
            state.holds_deliveries = true;
            let stats = counted(&state);
            drop(state);
            send_answers(mem::take(&mut answers), now.mono);
            self.log_counters(stats);
            state = self.perform_all(&shared, actions);
        }
        state.discard_deliveries(now);
        let has_more = has_dialed || has_acted || self.can_move(&state.machine);
        let next = match state.terminated {
            true => Next::End,
            false if has_more => Next::Round,
            false => Next::Wait(state.set_deadline()),
        };
        let stats = counted(&state);
        if let Some(observed) = &mut self.observed {
            observed.compare(now.mono, &state.machine);
        }
        state.release();
        // Last, since a host that gets an answer needs the lock next.
        send_answers(answers, now.mono);
        send_responses(responses);
        self.log_counters(stats);
        if let Some(writer) = lingering {
            let timeout = self.runtime.sleep(shared.config.machine.timing.close_timeout);
            self.runtime.spawn(lingering_close(writer, timeout));
        }
        next
    }

    /// Returns the writer of the open socket.
    fn writer(&self) -> Option<SharedWriter> {
        match &self.socket {
            Socket::Open(open) => Some(open.writer.clone()),
            Socket::None | Socket::Dialing { .. } => None,
        }
    }

    /// Polls the dial or the open socket. Returns the result of a dial that has ended.
    fn poll_socket(
        &mut self,
        now: Now,
        wants_read: bool,
        cx: &mut Context<'_>,
    ) -> Option<(Conn, Result<WebSocket, DialError>)> {
        match &mut self.socket {
            Socket::None => None,
            Socket::Dialing { conn, dial, .. } => match dial.as_mut().poll(cx) {
                Poll::Pending => None,
                Poll::Ready(dialed) => {
                    if dialed.is_ok() {
                        tracing::debug!("opened");
                    }
                    Some((*conn, dialed))
                }
            },
            Socket::Open(open) => {
                open.exchange(now, wants_read, &self.shared.config.machine.limits, cx);
                None
            }
        }
    }

    /// Returns true if the open socket can move another batch now.
    fn can_move(&self, machine: &RelayMachine) -> bool {
        matches!(&self.socket, Socket::Open(open) if open.can_move(machine))
    }

    /// Passes what was read to the machine. After its end the socket is dropped, or returned after a fault, to linger in a
    /// task of its own.
    fn feed_machine(&mut self, state: &mut State, now: Now) -> Option<SharedWriter> {
        let Socket::Open(open) = &mut self.socket else { return None };
        let SocketEnd { code, reason, is_fault, has_close_frame } =
            open.feed(&mut state.machine, now, &mut self.observed)?;
        let Socket::Open(open) = mem::replace(&mut self.socket, Socket::None) else { return None };
        self.note_end(now, has_close_frame, code, &reason);
        let event = IoEvent::Closed { conn: open.conn, code, reason: &reason };
        trace::log(|| Entry::io(now.mono, &event));
        state.machine.handle_io(now, event);
        is_fault.then_some(open.writer)
    }

    /// Logs the counters that have increased. Call it without the lock.
    fn log_counters(&mut self, stats: Option<Stats>) {
        if let Some(stats) = stats {
            trace::counted(&self.counted, &stats);
            self.counted = stats;
        }
    }

    /// Performs actions without the lock, and then notifies the host of them. Returns the lock.
    fn perform_all<'a>(&mut self, shared: &'a Shared, actions: Vec<Action>) -> MutexGuard<'a, State> {
        for action in &actions {
            self.perform(action);
        }
        let mut state = shared.lock();
        for action in actions {
            notify_host(&mut state, action);
        }
        state.holds_deliveries = false;
        state
    }

    /// Fires the machine's timer if it is due.
    fn fire_due_timer(&mut self, state: &mut State, now: Now) {
        let Some((due, timer)) = state.machine.deadline() else { return };
        if due > now.mono {
            return;
        }
        trace::log(|| Entry::timer(now.mono, timer));
        self.note(now.mono, WireEvent::Timer(timer));
        match mem::replace(&mut self.socket, Socket::None) {
            // The loop fails a timed-out dial itself, since only the loop knows the step at which the dial stopped, and
            // the received part of a response (L-4, L-8).
            Socket::Dialing { conn, progress, .. } if timer == Timer::Dial => {
                let error = DialError::timed_out(&progress, &self.shared.config);
                self.dial_failed(state, now, conn, &error);
            }
            socket => {
                self.socket = socket;
                state.machine.handle_tick(now);
            }
        }
    }

    /// Reports the end of a dial to the machine, and keeps the socket of one that succeeded.
    fn finish_dial(&mut self, state: &mut State, now: Now, conn: Conn, dialed: Result<WebSocket, DialError>) {
        match dialed {
            Ok(socket) => {
                trace::log(|| Entry::io(now.mono, &IoEvent::Opened { conn }));
                state.machine.handle_io(now, IoEvent::Opened { conn });
                let lines = trace::is_on().then(|| {
                    let max_line_bytes = self.shared.config.machine.limits.max_line_bytes;
                    let ids = Ids::of(&state.machine);
                    (Lines::new(conn, max_line_bytes, ids.clone()), ids)
                });
                let observer = self.observed.as_ref().map(|observed| observed.observer().clone());
                let open = OpenSocket::new(conn, socket, lines, observer);
                state.writer = open.writer.downgrade();
                self.socket = Socket::Open(Box::new(open));
            }
            Err(error) => {
                self.dial_failed(state, now, conn, &error);
                self.socket = Socket::None;
            }
        }
    }

    /// Performs the network part of an action, and logs the action. Call this without the lock: a `tracing` subscriber
    /// may call this gateway.
    fn perform(&mut self, action: &Action) {
        match action {
            Action::Dial { conn, token } => {
                self.connection = trace::connection(&self.relay, *conn);
                self.has_logged_dead_letter = false;
                self.connection.in_scope(|| tracing::debug!("dialing"));
                self.observe_dial(*conn, token.is_some());
                let progress = Progress::default();
                let dial = self.dial(token.clone(), progress.clone());
                self.socket = Socket::Dialing { conn: *conn, dial, progress };
            }
            Action::Drop { conn } => {
                let current = match &self.socket {
                    Socket::None => None,
                    Socket::Dialing { conn, .. } => Some(*conn),
                    Socket::Open(open) => Some(open.conn),
                };
                if current == Some(*conn) {
                    self.socket = Socket::None;
                    let at = self.shared.now().mono;
                    self.note(at, WireEvent::Cut { by: WireSide::Gateway, reason: "" });
                }
            }
            Action::Interrupt { session_key, chat_id } => tracing::debug!(session_key, chat_id, "interrupt"),
            Action::Notify(notice) => {
                let is_dead_letter = matches!(notice, Notice::DeadLetter { .. });
                trace::notice(notice, is_dead_letter && !self.has_logged_dead_letter);
                self.has_logged_dead_letter |= is_dead_letter;
            }
            Action::Fatal(fatal) => tracing::error!(code = fatal.code, why = fatal.message, "fatal"),
            Action::Complete { .. } | Action::Respond { .. } => {}
        }
    }

    /// Reports a failed dial to the machine.
    fn dial_failed(&self, state: &mut State, now: Now, conn: Conn, error: &DialError) {
        self.note(now.mono, WireEvent::DialFailed(error.failure()));
        let event = IoEvent::DialFailed { conn, failure: error.failure() };
        trace::log(|| Entry::io(now.mono, &event));
        state.machine.handle_io(now, event);
    }

    /// Returns the future of a dial.
    fn dial(&self, token: Option<Secret>, progress: Progress) -> BoxFuture<Result<WebSocket, DialError>> {
        let (dialer, config) = (self.dialer.clone(), self.shared.config.clone());
        Box::pin(async move { dial(&dialer, &config, token, &progress).await })
    }

    /// Sets the timer to `due`, and polls it. Returns true if it has expired.
    fn poll_timer(&mut self, due: Option<Time>, cx: &mut Context<'_>) -> bool {
        // A timer that expires early is kept: it only costs a round. Each received message moves the keep-alive
        // deadline a little (L-11), and a new timer each time would cost more.
        let is_early_enough = match (&self.timer, due) {
            (Some(timer), Some(due)) => timer.due <= due,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_early_enough {
            self.timer = due.map(|due| {
                let wait = due.since(self.shared.now().mono);
                DeadlineTimer { due, sleep: Box::pin(self.runtime.sleep(wait)) }
            });
        }
        let has_expired = self.timer.as_mut().is_some_and(|timer| timer.sleep.as_mut().poll(cx).is_ready());
        if has_expired {
            self.timer = None;
        }
        has_expired
    }
}

/// Returns the counters, if a subscriber reads them.
fn counted(state: &State) -> Option<Stats> {
    trace::counts().then(|| state.machine.stats().clone())
}

impl<R: Runtime> Future for Driver<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let relay = this.relay.clone();
        let _inside = relay.enter();
        for _ in 0..MAX_ROUNDS {
            let connection = this.connection.clone();
            match connection.in_scope(|| this.run_round(cx)) {
                Next::Round => {}
                Next::Wait(due) if this.poll_timer(due, cx) => {}
                Next::Wait(_) => return Poll::Pending,
                Next::End => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R> Drop for Driver<R> {
    /// Ends the gateway when its runtime shuts down: submits a disconnect, and reports the end of the connection. Then
    /// every pending request completes, and later ones are refused.
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let mut unanswered = Vec::new();
        state.holds_deliveries = false;
        if !state.terminated {
            let now = shared.now();
            // The result is ignored: nobody waits for the request.
            let _ = state.machine.submit(now, Command::Disconnect);
            if let Socket::Open(open) = &self.socket {
                let event =
                    IoEvent::Closed { conn: open.conn, code: None, reason: "the runtime was shut down" };
                state.machine.handle_io(now, event);
            }
            let Outputs { answers, actions, responses } = Outputs::take(&mut state, now.mono);
            drop(state);
            send_answers(answers, now.mono);
            state = shared.lock();
            for action in actions {
                notify_host(&mut state, action);
            }
            state.terminated = true;
            unanswered = responses;
        }
        state.release();
        send_responses(unanswered);
    }
}
