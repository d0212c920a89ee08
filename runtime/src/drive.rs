//! Drive loop: carries out the machine's decisions.

mod lingering_close;
mod open;
mod outcome;

use crate::Runtime;
use crate::dial::{DialError, WebSocket, dial};
use crate::dialer::{BoxFuture, Dialer};
use crate::progress::Progress;
use crate::shared::{Shared, State, wake};
use crate::trace;
use crate::watch::wake_all;
use futures_channel::oneshot;
use lingering_close::lingering_close;
use open::{OpenSocket, SocketEnd};
use outcome::{complete_requests, notify_host, send_responses};
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

/// Maximum number of rounds per wake-up. With the two bounds of an open socket it bounds the time of one poll.
const MAX_ROUNDS: usize = 64;

/// Stops the webhook server when it is dropped.
pub(crate) type ServerGuard = oneshot::Sender<Infallible>;

/// State of the current socket.
enum Socket {
    None,
    Dialing { conn: Conn, dial: BoxFuture<Result<WebSocket, DialError>>, progress: Progress },
    Open(Box<OpenSocket>),
}

pub(crate) struct Driver<R> {
    runtime: R,
    dialer: Dialer,
    shared: Arc<Shared>,
    socket: Socket,
    /// Timer that is set, and its deadline.
    timer: Option<(Time, BoxFuture<()>)>,
    frame: Vec<u8>,
    _server: Option<ServerGuard>,
    /// Spans of the log events.
    relay: Span,
    connection: Span,
    /// Counters as of the last log event.
    counted: Stats,
    /// True once a dead letter was logged on this connection.
    had_dead_letter: bool,
}

impl<R> fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<R: Runtime> Driver<R> {
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
            had_dead_letter: false,
        }
    }

    pub(crate) fn spawn(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self);
    }

    /// Runs the machine's timer and actions, then polls the socket. Returns true if anything was done.
    fn run_round(&mut self, cx: &mut Context<'_>) -> bool {
        let worked = self.run_machine();
        // The lock is not held, so that no call of the host waits for a socket.
        let moved = match &mut self.socket {
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
                Err(SocketEnd { code, reason, is_fault }) => {
                    let event = IoEvent::Closed { conn: open.conn, code, reason: &reason };
                    let now = self.shared.now();
                    trace::log(|| Entry::io(now.mono, &event));
                    self.shared.lock().machine.handle_io(now, event);
                    let socket = mem::replace(&mut self.socket, Socket::None);
                    if let Socket::Open(open) = socket
                        && is_fault
                    {
                        let patience = self.runtime.sleep(self.shared.config.machine.timing.close_timeout);
                        self.runtime.spawn(lingering_close(open.web_socket, patience));
                    }
                    true
                }
            },
        };
        worked || moved
    }

    /// Runs the machine's due timer, performs its actions, and wakes the host if there is something for it.
    fn run_machine(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let room_waiters = state.begin_round();
        let now = shared.now();
        if let Some((_, timer)) = state.machine.deadline().filter(|(due, _)| *due <= now.mono) {
            trace::log(|| Entry::timer(now.mono, timer));
            match mem::replace(&mut self.socket, Socket::None) {
                // L-4, L-8: the loop knows the step that the dial waited for, and the received part of an answer.
                Socket::Dialing { conn, progress, .. } if timer == Timer::Dial => {
                    let error = DialError::timed_out(&progress, &shared.config);
                    dial_failed(&mut state, now, conn, &error);
                }
                socket => {
                    self.socket = socket;
                    state.machine.handle_tick(now);
                }
            }
        }
        let stats = trace::counts().then(|| state.machine.stats().clone());
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
                    let most = self.shared.config.machine.limits.max_line_bytes;
                    (Lines::new(conn, most, Ids::of(&state.machine)), Ids::of(&state.machine))
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

    /// Performs the network part of an action, and logs it. Call it without the lock: a `tracing` subscriber may call
    /// this gateway.
    fn perform(&mut self, action: &Action) {
        match action {
            Action::Dial { conn, token } => {
                self.connection = trace::connection(&self.relay, *conn);
                self.had_dead_letter = false;
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
                let is_letter = matches!(notice, Notice::DeadLetter { .. });
                trace::notice(notice, is_letter && !self.had_dead_letter);
                self.had_dead_letter |= is_letter;
            }
            Action::Fatal(fatal) => tracing::error!(code = fatal.code, why = fatal.message, "fatal"),
            Action::Complete { .. } | Action::Respond { .. } => {}
        }
    }

    fn dial(&self, token: Option<Secret>, progress: Progress) -> BoxFuture<Result<WebSocket, DialError>> {
        let (dialer, config) = (self.dialer.clone(), self.shared.config.clone());
        Box::pin(async move { dial(&dialer, &config, token, &progress).await })
    }

    /// Sets the timer to the machine's deadline. Returns true if it has expired.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.shared.lock().machine.deadline().map(|(due, _)| due);
        // A timer that expires early is harmless, and it is kept: each received message moves the keep-alive deadline a
        // little (L-11), which is not worth a new timer.
        let in_time = match (&self.timer, due) {
            (Some((set, _)), Some(due)) => *set <= due,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !in_time {
            self.timer = due.map(|due| {
                let span = due.since(self.shared.now().mono);
                (due, Box::pin(self.runtime.sleep(span)) as BoxFuture<()>)
            });
        }
        let expired = self.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if expired {
            self.timer = None;
        }
        expired
    }
}

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
        drop(former);
        for _ in 0..MAX_ROUNDS {
            let connection = this.connection.clone();
            let done = connection.in_scope(|| this.run_round(cx));
            if this.shared.lock().terminated {
                return Poll::Ready(());
            }
            if !done && !this.wait(cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R> Drop for Driver<R> {
    /// Ends the gateway when its runtime shuts down: submits a disconnect, and the connection ends at once. Every
    /// pending request completes, and later ones are refused.
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let mut unanswered = Vec::new();
        if !state.terminated {
            let now = shared.now();
            // A gateway that is not terminated accepts it. Nobody waits for the answer.
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
