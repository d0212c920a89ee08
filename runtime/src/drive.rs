//! The drive loop: does what the machine says, and decides nothing.

mod farewell;
mod open;
mod outcome;

use crate::Runtime;
use crate::dial::{DialError, Socket, dial};
use crate::progress::Progress;
use crate::shared::{Shared, State, wake};
use crate::trace;
use crate::watch::wake_all;
use crate::wires::{Boxed, Wires};
use farewell::farewell;
use futures_channel::oneshot;
use open::{End, Open};
use outcome::{answer, respond, tell};
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

/// Turns per wake-up before others get their chance. With the two bounds of an open socket it caps the work of one.
const MOST_TURNS: usize = 64;
/// What the loop has of the network.
enum Line {
    None,
    Dialing { conn: Conn, dial: Boxed<Result<Socket, DialError>>, progress: Progress },
    Open(Box<Open>),
}

pub(crate) struct Driver<R> {
    runtime: R,
    wires: Wires,
    shared: Arc<Shared>,
    line: Line,
    /// The timer that is set, and for when.
    timer: Option<(Time, Boxed<()>)>,
    frame: Vec<u8>,
    /// The server of signed deliveries ends when this is dropped, if there is one.
    _server: Option<oneshot::Sender<Infallible>>,
    /// What is logged is logged in these.
    relay: Span,
    connection: Span,
    /// What was logged of what was counted.
    counted: Stats,
    /// Whether a dead letter was logged on this connection.
    had_dead_letter: bool,
}

impl<R> fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<R: Runtime> Driver<R> {
    pub(crate) fn new(
        runtime: R,
        wires: Wires,
        shared: Arc<Shared>,
        server: Option<oneshot::Sender<Infallible>>,
    ) -> Self {
        let relay = trace::relay(&shared.config.machine);
        Driver {
            runtime,
            wires,
            shared,
            line: Line::None,
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

    /// One round: what is due, what the machine wants done, the network. Whether anything was done.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        let obeyed = self.obey();
        // The network is polled without the lock: nothing that the host calls waits for a socket.
        let moved = match &mut self.line {
            Line::None => false,
            Line::Dialing { conn, dial, .. } => match dial.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(dialled) => {
                    let conn = *conn;
                    self.dialled(conn, dialled);
                    true
                }
            },
            Line::Open(open) => match open.exchange(&self.shared, &mut self.frame, cx) {
                Ok(moved) => moved,
                Err(End { code, reason, is_fault }) => {
                    let event = IoEvent::Closed { conn: open.conn, code, reason: &reason };
                    let now = self.shared.now();
                    trace::log(|| Entry::io(now.mono, &event));
                    self.shared.lock().machine.handle_io(now, event);
                    let line = mem::replace(&mut self.line, Line::None);
                    if let Line::Open(open) = line
                        && is_fault
                    {
                        let patience = self.runtime.sleep(self.shared.config.machine.timing.close_timeout);
                        self.runtime.spawn(farewell(open.socket, patience));
                    }
                    true
                }
            },
        };
        obeyed || moved
    }

    /// Does what is due and what the machine wants done, and wakes a host that waits for what has come.
    fn obey(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let crowded = state.turn();
        let now = shared.now();
        if let Some((_, timer)) = state.machine.deadline().filter(|(due, _)| *due <= now.mono) {
            trace::log(|| Entry::timer(now.mono, timer));
            match mem::replace(&mut self.line, Line::None) {
                // The loop knows what the dial was waiting for, and how much of an answer has come (L-4, L-8).
                Line::Dialing { conn, progress, .. } if timer == Timer::Dial => {
                    let error = DialError::timed_out(&progress, &shared.config);
                    dial_failed(&mut state, now, conn, &error);
                }
                line => {
                    self.line = line;
                    state.machine.handle_tick(now);
                }
            }
        }
        let stats = trace::counts().then(|| state.machine.stats().clone());
        let (answered, actions, responses) = answer(state, now.mono);
        wake_all(crowded);
        if let Some(stats) = stats {
            trace::counted(&self.counted, &stats);
            self.counted = stats;
        }
        let mut done = answered || !actions.is_empty() || !responses.is_empty();
        for action in &actions {
            self.act(action);
        }
        let mut state = shared.lock();
        for action in actions {
            tell(&mut state, action);
        }
        done |= state.drain_if_deaf(now);
        let (host, watchers) = (state.host_if_news(), state.show());
        drop(state);
        wake(host);
        wake_all(watchers);
        respond(responses);
        done
    }

    fn dialled(&mut self, conn: Conn, dialled: Result<Socket, DialError>) {
        if dialled.is_ok() {
            tracing::debug!("opened");
        }
        let now = self.shared.now();
        let mut state = self.shared.lock();
        match dialled {
            Ok(socket) => {
                trace::log(|| Entry::io(now.mono, &IoEvent::Opened { conn }));
                state.machine.handle_io(now, IoEvent::Opened { conn });
                let lines = trace::is_on().then(|| {
                    let most = self.shared.config.machine.limits.max_line_bytes;
                    (Lines::new(conn, most, Ids::of(&state.machine)), Ids::of(&state.machine))
                });
                self.line = Line::Open(Box::new(Open { conn, socket, unread: None, lines }));
            }
            Err(error) => {
                dial_failed(&mut state, now, conn, &error);
                self.line = Line::None;
            }
        }
    }

    /// What the network has to do with an action, and what is logged of it. Not under the lock, for who looks at what is
    /// logged may ask this gateway how it does.
    fn act(&mut self, action: &Action) {
        match action {
            Action::Dial { conn, token } => {
                self.connection = trace::connection(&self.relay, *conn);
                self.had_dead_letter = false;
                self.connection.in_scope(|| tracing::debug!("dialing"));
                let progress = Progress::default();
                let dial = self.dial(token.clone(), progress.clone());
                self.line = Line::Dialing { conn: *conn, dial, progress };
            }
            Action::Drop { conn } => {
                let current = match &self.line {
                    Line::None => None,
                    Line::Dialing { conn, .. } => Some(*conn),
                    Line::Open(open) => Some(open.conn),
                };
                if current == Some(*conn) {
                    self.line = Line::None;
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

    fn dial(&self, token: Option<Secret>, progress: Progress) -> Boxed<Result<Socket, DialError>> {
        let (wires, config) = (self.wires.clone(), self.shared.config.clone());
        Box::pin(async move { dial(&wires, &config, token, &progress).await })
    }

    /// Sets the timer for the machine's deadline; whether it has run out already.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.shared.lock().machine.deadline().map(|(due, _)| due);
        // A timer that rings too early is harmless. So it stays while it rings in time: with each message that
        // comes the silence is due a little later (L-11), which is not worth a new timer.
        let in_time = match (&self.timer, due) {
            (Some((rings, _)), Some(due)) => *rings <= due,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !in_time {
            self.timer = due.map(|due| {
                let span = due.since(self.shared.now().mono);
                (due, Box::pin(self.runtime.sleep(span)) as Boxed<()>)
            });
        }
        let rang = self.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if rang {
            self.timer = None;
        }
        rang
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
        let former = this.shared.lock().driver.replace(cx.waker().clone());
        drop(former);
        for _ in 0..MOST_TURNS {
            let connection = this.connection.clone();
            let done = connection.in_scope(|| this.turn(cx));
            if this.shared.lock().over {
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
    /// Where its runtime was shut down, nobody will do anything any more: to the machine that is a disconnect whose
    /// connection ends at once. So every request has its answer, and later ones are refused.
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let mut unanswered = Vec::new();
        if !state.over {
            let now = shared.now();
            // It is not over, so it is accepted; nobody waits for its answer.
            let _ = state.machine.submit(now, Command::Disconnect);
            if let Line::Open(open) = &self.line {
                let event =
                    IoEvent::Closed { conn: open.conn, code: None, reason: "the runtime was shut down" };
                state.machine.handle_io(now, event);
            }
            let (_, actions, responses) = answer(state, now.mono);
            state = shared.lock();
            for action in actions {
                tell(&mut state, action);
            }
            state.over = true;
            unanswered = responses;
        }
        let (host, watchers, crowded) = (state.host.take(), state.show(), state.turn());
        drop(state);
        wake(host);
        wake_all(watchers);
        wake_all(crowded);
        respond(unanswered);
    }
}
