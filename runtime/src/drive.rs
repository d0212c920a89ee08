//! The drive loop: does what the machine says, and decides nothing.

use crate::Runtime;
use crate::causes::causes;
use crate::dial::{DialError, Socket, dial};
use crate::shared::{Shared, Sign, State, Waiting, wake};
use crate::trace;
use crate::watch::wake_all;
use crate::wires::{Boxed, Wires};
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use futures_channel::oneshot;
use futures_core::Stream;
use futures_sink::Sink;
use relayline_core::command::Command;
use relayline_core::delivery::Answer;
use relayline_core::machine::IoEvent;
use relayline_core::output::{Action, Conn, Notice, Transmit};
use relayline_core::secret::Secret;
use relayline_core::time::Time;
use relayline_core::trace::{Entry, Ids, Lines};
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll};
use tracing::Span;

/// Turns per wake-up before others get their chance. With the two bounds below it caps the work of one.
const MOST_TURNS: usize = 64;
/// Messages written per turn: a host that asks without end must not keep the loop from reading, or from its timers.
const MOST_WRITES: usize = 64;
/// Bytes that the machine is given at once: what a host calls meanwhile waits for the lock.
const MOST_BYTES: usize = 64 << 10;

/// What the loop has of the network.
enum Line {
    None,
    Dialing { conn: Conn, dial: Boxed<Result<Socket, DialError>> },
    Open(Box<Open>),
}

/// An open socket.
struct Open {
    conn: Conn,
    socket: Socket,
    /// A message that the machine has not taken in whole, and how much of it it has.
    unread: Option<(Bytes, usize)>,
    /// What the trace knows of it, when somebody looked as it was opened.
    lines: Option<(Lines, Ids)>,
}

/// Who waits for the answer to an HTTP request, and the answer.
type Response = (Option<oneshot::Sender<Answer>>, Answer);

/// How a socket ended: the peer's close code, if it sent one, and why.
struct End {
    code: Option<u16>,
    reason: String,
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
        let relay = trace::relay(&shared.config);
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
            Line::Dialing { conn, dial } => match dial.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(dialled) => {
                    let conn = *conn;
                    self.dialled(conn, dialled);
                    true
                }
            },
            Line::Open(open) => match open.exchange(&self.shared, &mut self.frame, cx) {
                Ok(moved) => moved,
                Err(End { code, reason }) => {
                    let event = IoEvent::Closed { conn: open.conn, code, reason: &reason };
                    let now = self.shared.now();
                    trace::log(|| Entry::io(now.mono, &event));
                    self.shared.lock().machine.handle_io(now, event);
                    self.line = Line::None;
                    true
                }
            },
        };
        obeyed || moved
    }

    /// Does what is due and what the machine wants done, and fills the host's queue.
    fn obey(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let now = shared.now();
        if let Some((_, timer)) = state.machine.deadline().filter(|(due, _)| *due <= now.mono) {
            trace::log(|| Entry::timer(now.mono, timer));
            state.machine.handle_tick(now);
        }
        let (answered, actions, responses) = answer(state, now.mono);
        let mut done = answered || !actions.is_empty() || !responses.is_empty();
        let mut state = shared.lock();
        for action in actions {
            self.act(&mut state, action);
        }
        done |= state.deliver(now, &shared.config);
        let (host, watchers) = (state.host_if_news(), state.show());
        drop(state);
        wake(host);
        wake_all(watchers);
        respond(responses);
        done
    }

    fn dialled(&mut self, conn: Conn, dialled: Result<Socket, DialError>) {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        match dialled {
            Ok(socket) => {
                tracing::debug!("opened");
                trace::log(|| Entry::io(now.mono, &IoEvent::Opened { conn }));
                state.machine.handle_io(now, IoEvent::Opened { conn });
                let lines = trace::is_on().then(|| {
                    let most = self.shared.config.limits.max_line_bytes;
                    (Lines::new(conn, most, Ids::of(&state.machine)), Ids::of(&state.machine))
                });
                self.line = Line::Open(Box::new(Open { conn, socket, unread: None, lines }));
            }
            Err(DialError { status, body, reason }) => {
                let event = IoEvent::DialFailed { conn, status, body: &body, reason: &reason };
                trace::log(|| Entry::io(now.mono, &event));
                state.machine.handle_io(now, event);
                self.line = Line::None;
            }
        }
    }

    fn act(&mut self, state: &mut State, action: Action) {
        match action {
            Action::Dial { conn, token } => {
                self.connection = trace::connection(&self.relay, conn);
                self.connection.in_scope(|| tracing::debug!("dialing"));
                self.line = Line::Dialing { conn, dial: self.dial(token) };
            }
            Action::Drop { conn } => {
                let current = match &self.line {
                    Line::None => None,
                    Line::Dialing { conn, .. } => Some(*conn),
                    Line::Open(open) => Some(open.conn),
                };
                if current == Some(conn) {
                    self.line = Line::None;
                }
            }
            Action::Complete { .. }
            | Action::Respond { .. }
            | Action::Interrupt { .. }
            | Action::Notify(_)
            | Action::Fatal(_) => {
                tell(state, action);
            }
        }
    }

    fn dial(&self, token: Option<Secret>) -> Boxed<Result<Socket, DialError>> {
        let (wires, config) = (self.wires.clone(), self.shared.config.clone());
        Box::pin(async move { dial(&wires, &config, token).await })
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

/// Takes what the machine wants done. The answers to requests among it are given at once: so they are there before the
/// host hears of what has ended them. Whether there was one, the other actions, and the answers to HTTP requests, which
/// are for [`respond`] once those are done.
///
/// Not under the lock, for an answer wakes who waits for it, and a waker's code is not ours.
fn answer(mut state: MutexGuard<'_, State>, at: Time) -> (bool, Vec<Action>, Vec<Response>) {
    let (mut answers, mut responses, mut actions) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(action) = state.machine.poll_action() {
        trace::log(|| Entry::action(at, &action));
        match action {
            Action::Complete { id, result } => answers.push((state.waiting.remove(&id), result)),
            Action::Respond { id, answer } => responses.push((state.unanswered.remove(&id), answer)),
            other => actions.push(other),
        }
    }
    let State { watched, machine, .. } = &mut *state;
    watched.see(machine);
    drop(state);
    let answered = !answers.is_empty();
    for (waiting, result) in answers {
        let Some(Waiting { sender, op, since }) = waiting else { continue };
        trace::answered(op, at.since(since), &result);
        // Who has given up on the answer does not get it.
        let _ = sender.send(result);
    }
    (answered, actions, responses)
}

/// Gives HTTP clients their answers, once the host has what they are the answers to.
fn respond(responses: Vec<Response>) {
    for (client, answer) in responses {
        // A client that has gone away does not get it.
        let _ = client.map(|client| client.send(answer));
    }
}

/// What an action means to the host. The network's mean nothing to it, and answers are given already.
fn tell(state: &mut State, action: Action) {
    match action {
        Action::Dial { .. } | Action::Drop { .. } | Action::Complete { .. } | Action::Respond { .. } => {}
        Action::Interrupt { session_key, chat_id } => {
            tracing::debug!(session_key, chat_id, "interrupt");
            state.sign(Sign::Interrupt { session_key, chat_id });
        }
        Action::Notify(notice) => {
            trace::notice(&notice);
            state.over |= matches!(notice, Notice::Stopped);
            state.watched.heard(&notice);
            state.sign(Sign::Notice(notice));
        }
        Action::Fatal(fatal) => {
            tracing::error!(code = fatal.code, why = fatal.message, "fatal");
            state.fatal = Some(fatal);
            state.over = true;
        }
    }
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
        let (host, watchers) = (state.host.take(), state.show());
        drop(state);
        wake(host);
        wake_all(watchers);
        respond(unanswered);
    }
}

impl Open {
    /// Writes while the socket takes messages, reads while the machine takes bytes. Whether anything moved; `Err`
    /// at the socket's end.
    fn exchange(&mut self, shared: &Shared, frame: &mut Vec<u8>, cx: &mut Context<'_>) -> Result<bool, End> {
        let wrote = self.write(shared, frame, cx);
        // nothing is read while the machine is full, and the clock for silence rests. So a socket that dies
        // meanwhile is found out when there is room again; not sooner, or what has come over it by then were lost.
        if !shared.lock().machine.wants_read() {
            return Ok(wrote);
        }
        if let Some((bytes, at)) = self.unread.take() {
            let taken = self.feed(shared, bytes, at);
            return Ok(wrote || taken > 0);
        }
        let message = match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Pending => return Ok(wrote),
            Poll::Ready(Some(Ok(message))) => message,
            Poll::Ready(Some(Err(error))) => return Err(End { code: None, reason: causes(&error) }),
            Poll::Ready(None) => {
                let reason = "the connection ended without a close frame".to_owned();
                return Err(End { code: None, reason });
            }
        };
        match message {
            Message::Text(text) => self.read(shared, text.into()),
            Message::Binary(bytes) => self.read(shared, bytes),
            Message::Close(close) => {
                // Nothing comes after it. Our answer is queued: it goes out with this flush, or not at all, since a
                // peer that neither reads nor ends the TCP connection must not hold up the next dial.
                let _ = Pin::new(&mut self.socket).poll_flush(cx);
                return Err(match close {
                    Some(close) => {
                        End { code: Some(close.code.into()), reason: close.reason.as_str().to_owned() }
                    }
                    None => End { code: None, reason: "closed by the peer, without a code".to_owned() },
                });
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                shared.lock().machine.handle_io(shared.now(), IoEvent::Alive { conn: self.conn });
            }
        }
        Ok(true)
    }

    /// Writes while the socket takes messages, up to a bound: whether it took any.
    fn write(&mut self, shared: &Shared, frame: &mut Vec<u8>, cx: &mut Context<'_>) -> bool {
        let mut wrote = false;
        for _ in 0..MOST_WRITES {
            // An error of the write side is the read side's to tell: it knows of the peer's close frame.
            let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(cx) else { break };
            let now = shared.now();
            let transmit = shared.lock().machine.poll_transmit(now, frame);
            if let (Some(transmit), Some((_, ids))) = (&transmit, &self.lines) {
                trace::log(|| Entry::transmit(now.mono, transmit, frame, ids));
            }
            let message = match transmit {
                None => break,
                // Frames are JSON, so they are UTF-8.
                Some(Transmit::Frame { .. }) => Message::Text(
                    Utf8Bytes::try_from(Bytes::copy_from_slice(frame))
                        .unwrap_or_else(|_| Utf8Bytes::from_static("\n")),
                ),
                Some(Transmit::Ping { .. }) => Message::Ping(Bytes::new()),
                Some(Transmit::Close { code, reason, .. }) => Message::Close(Some(CloseFrame {
                    code: code.into(),
                    reason: Utf8Bytes::from_static(reason),
                })),
            };
            wrote = true;
            if Pin::new(&mut self.socket).start_send(message).is_err() {
                break;
            }
        }
        // Pending or failed: the next poll, or the read side, finds out.
        let _ = Pin::new(&mut self.socket).poll_flush(cx);
        wrote
    }

    fn read(&mut self, shared: &Shared, bytes: Bytes) {
        let now = shared.now();
        if let Some((lines, _)) = &mut self.lines {
            for entry in lines.received(now.mono, &bytes) {
                trace::log(|| entry);
            }
        }
        self.feed(shared, bytes, 0);
    }

    /// Gives the machine some of what stands from `at` on, and keeps the rest; how much it took.
    fn feed(&mut self, shared: &Shared, bytes: Bytes, at: usize) -> usize {
        let some = &bytes[at..bytes.len().min(at + MOST_BYTES)];
        let taken = shared.lock().machine.handle_bytes(shared.now(), self.conn, some);
        if at + taken < bytes.len() {
            self.unread = Some((bytes, at + taken));
        }
        taken
    }
}
