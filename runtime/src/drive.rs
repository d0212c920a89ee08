//! Drive loop: performs the machine's actions, moves its bytes over the socket, and runs its timer.

mod dispatch;
mod lingering_close;
mod open;

use crate::Runtime;
use crate::dial::{DialError, WebSocket, dial};
use crate::dialer::{BoxFuture, Dialer};
use crate::progress::Progress;
use crate::shared::{Shared, State, wake};
use crate::trace;
use crate::watch::wake_all;
use dispatch::{complete_requests, notify_host, send_responses};
use futures_channel::oneshot;
use lingering_close::lingering_close;
use open::{OpenSocket, SocketEnd};
use relayline_core::command::Command;
use relayline_core::machine::IoEvent;
use relayline_core::output::{Action, Conn, Notice, Timer};
use relayline_core::secret::Secret;
use relayline_core::stats::Stats;
use relayline_core::time::{Now, Time};
use relayline_core::trace::{Entry, Ids, Lines};
use std::convert::Infallible;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tracing::Span;

/// Maximum number of rounds per poll. Together with the limits on one exchange with the socket it bounds the time of a
/// poll.
const MAX_ROUNDS: usize = 64;

/// Guard that stops the webhook server when it is dropped.
pub(crate) type ServerGuard = oneshot::Sender<Infallible>;

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
    /// Reusable buffer of a frame to write.
    frame: Vec<u8>,
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
            frame: Vec::new(),
            _server: server,
            relay,
            connection: Span::none(),
            counted: Stats::default(),
            has_logged_dead_letter: false,
        }
    }

    /// Spawns the loop on its runtime.
    pub(crate) fn spawn(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self);
    }

    /// Runs the machine's timer and actions, then polls the socket. Returns true if anything was done.
    fn run_round(&mut self, cx: &mut Context<'_>) -> bool {
        let worked = self.run_machine();
        // The lock is not held here, so that no call of the host waits for a socket.
        let moved = self.poll_socket(cx);
        worked || moved
    }

    /// Polls the dial or the open socket. Returns true if anything was done.
    fn poll_socket(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.socket {
            Socket::None => false,
            Socket::Dialing { conn, dial, .. } => match dial.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(dialed) => {
                    let conn = *conn;
                    self.finish_dial(conn, dialed);
                    true
                }
            },
            Socket::Open(open) => match open.exchange(&self.shared, &mut self.frame, cx) {
                Ok(moved) => moved,
                Err(end) => {
                    self.end_socket(end);
                    true
                }
            },
        }
    }

    /// Reports the end of the open socket to the machine, and drops the socket. After a fault the socket lingers in a
    /// task of its own.
    fn end_socket(&mut self, end: SocketEnd) {
        let Socket::Open(open) = mem::replace(&mut self.socket, Socket::None) else { return };
        let SocketEnd { code, reason, is_fault } = end;
        let event = IoEvent::Closed { conn: open.conn, code, reason: &reason };
        let now = self.shared.now();
        trace::log(|| Entry::io(now.mono, &event));
        self.shared.lock().machine.handle_io(now, event);
        if is_fault {
            let timeout = self.runtime.sleep(self.shared.config.machine.timing.close_timeout);
            self.runtime.spawn(lingering_close(open.web_socket, timeout));
        }
    }

    /// Runs the machine's due timer, performs its actions, and wakes the host if there is something for it. Returns
    /// true if anything was done.
    fn run_machine(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let room_waiters = state.begin_round();
        let now = shared.now();
        self.fire_due_timer(&mut state, now);
        let stats = trace::counts().then(|| state.machine.stats().clone());
        // Releases the lock.
        let (answered, actions, responses) = complete_requests(state, now.mono);
        wake_all(room_waiters);
        if let Some(stats) = stats {
            trace::counted(&self.counted, &stats);
            self.counted = stats;
        }
        let mut done = answered || !actions.is_empty() || !responses.is_empty();
        for action in &actions {
            self.perform(action);
        }
        let mut state = shared.lock();
        for action in actions {
            notify_host(&mut state, action);
        }
        done |= state.discard_deliveries(now);
        let (host, watchers) = (state.take_ready_host(), state.publish());
        drop(state);
        wake(host);
        wake_all(watchers);
        send_responses(responses);
        done
    }

    /// Fires the machine's timer if it is due.
    fn fire_due_timer(&mut self, state: &mut State, now: Now) {
        let Some((due, timer)) = state.machine.deadline() else { return };
        if due > now.mono {
            return;
        }
        trace::log(|| Entry::timer(now.mono, timer));
        match mem::replace(&mut self.socket, Socket::None) {
            // The loop fails a timed-out dial itself, since only the loop knows the step at which the dial stopped, and
            // the received part of a response (L-4, L-8).
            Socket::Dialing { conn, progress, .. } if timer == Timer::Dial => {
                let error = DialError::timed_out(&progress, &self.shared.config);
                dial_failed(state, now, conn, &error);
            }
            socket => {
                self.socket = socket;
                state.machine.handle_tick(now);
            }
        }
    }

    /// Reports the end of a dial to the machine, and keeps the socket of one that succeeded.
    fn finish_dial(&mut self, conn: Conn, dialed: Result<WebSocket, DialError>) {
        if dialed.is_ok() {
            tracing::debug!("opened");
        }
        let now = self.shared.now();
        let mut state = self.shared.lock();
        match dialed {
            Ok(socket) => {
                trace::log(|| Entry::io(now.mono, &IoEvent::Opened { conn }));
                state.machine.handle_io(now, IoEvent::Opened { conn });
                let lines = trace::is_on().then(|| {
                    let max_line_bytes = self.shared.config.machine.limits.max_line_bytes;
                    let ids = Ids::of(&state.machine);
                    (Lines::new(conn, max_line_bytes, ids.clone()), ids)
                });
                self.socket =
                    Socket::Open(Box::new(OpenSocket { conn, web_socket: socket, unread: None, lines }));
            }
            Err(error) => {
                dial_failed(&mut state, now, conn, &error);
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

    /// Returns the future of a dial.
    fn dial(&self, token: Option<Secret>, progress: Progress) -> BoxFuture<Result<WebSocket, DialError>> {
        let (dialer, config) = (self.dialer.clone(), self.shared.config.clone());
        Box::pin(async move { dial(&dialer, &config, token, &progress).await })
    }

    /// Sets the timer to the machine's deadline, and polls it. Returns true if it has expired.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.shared.lock().machine.deadline().map(|(due, _)| due);
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

/// Reports a failed dial to the machine.
fn dial_failed(state: &mut State, now: Now, conn: Conn, error: &DialError) {
    let event = IoEvent::DialFailed { conn, failure: error.failure() };
    trace::log(|| Entry::io(now.mono, &event));
    state.machine.handle_io(now, event);
}

impl<R: Runtime> Future for Driver<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let relay = this.relay.clone();
        let _inside = relay.enter();
        let former = this.shared.lock().driver_waker.replace(cx.waker().clone());
        // A waker is foreign code, so it is dropped without the lock.
        drop(former);
        for _ in 0..MAX_ROUNDS {
            let connection = this.connection.clone();
            let done = connection.in_scope(|| this.run_round(cx));
            if this.shared.lock().terminated {
                return Poll::Ready(());
            }
            if !done && !this.poll_timer(cx) {
                return Poll::Pending;
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
        if !state.terminated {
            let now = shared.now();
            // The result is ignored: nobody waits for the request.
            let _ = state.machine.submit(now, Command::Disconnect);
            if let Socket::Open(open) = &self.socket {
                let event =
                    IoEvent::Closed { conn: open.conn, code: None, reason: "the runtime was shut down" };
                state.machine.handle_io(now, event);
            }
            let (_, actions, responses) = complete_requests(state, now.mono);
            state = shared.lock();
            for action in actions {
                notify_host(&mut state, action);
            }
            state.terminated = true;
            unanswered = responses;
        }
        let (host, watchers, room_waiters) = (state.host_waker.take(), state.publish(), state.begin_round());
        drop(state);
        wake(host);
        wake_all(watchers);
        wake_all(room_waiters);
        send_responses(unanswered);
    }
}
