//! The drive loop: does what the machine says, and decides nothing.

use crate::Runtime;
use crate::dial::{DialError, Socket, dial, full};
use crate::shared::{Shared, Sign, State, wake};
use async_tungstenite::tungstenite::error::Error as WsError;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use futures_core::Stream;
use futures_sink::Sink;
use relayline_core::machine::IoEvent;
use relayline_core::output::{Action, Conn, Notice, Transmit};
use relayline_core::secret::Secret;
use relayline_core::time::Time;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Turns per wake-up before others get their chance.
const MOST_TURNS: usize = 64;

/// What the loop has of the network.
enum Line {
    None,
    Dialing { conn: Conn, dial: Boxed<Result<Socket, DialError>> },
    Open(Open),
}

/// An open socket.
struct Open {
    conn: Conn,
    socket: Socket,
    /// A message that the machine has not taken in whole, and how much of it it has.
    unread: Option<(Bytes, usize)>,
    /// The peer's close frame, told when the socket ends.
    close: Option<(u16, String)>,
}

pub(crate) struct Driver<R> {
    runtime: R,
    shared: Arc<Shared>,
    line: Line,
    /// The timer that is set, and for when.
    timer: Option<(Time, Boxed<()>)>,
    frame: Vec<u8>,
}

impl<R> fmt::Debug for Driver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl<R: Runtime> Driver<R> {
    pub(crate) fn new(runtime: R, shared: Arc<Shared>) -> Self {
        Driver { runtime, shared, line: Line::None, timer: None, frame: Vec::new() }
    }

    pub(crate) fn spawn(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self);
    }

    /// One round: what is due, what the machine wants done, the socket. Whether anything was done.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        let now = shared.now();
        if state.machine.deadline().is_some_and(|(due, _)| due <= now.mono) {
            state.machine.handle_tick(now);
        }
        let mut done = false;
        while let Some(action) = state.machine.poll_action() {
            self.act(&mut state, action);
            done = true;
        }
        done |= self.deliver(&mut state);
        let host = if done { state.host.take() } else { None };
        done |= match &mut self.line {
            Line::None => false,
            Line::Dialing { conn, dial } => match dial.as_mut().poll(cx) {
                Poll::Pending => false,
                Poll::Ready(Ok(socket)) => {
                    let conn = *conn;
                    self.line = Line::Open(Open { conn, socket, unread: None, close: None });
                    state.machine.handle_io(now, IoEvent::Opened { conn });
                    true
                }
                Poll::Ready(Err(DialError { status, body, reason })) => {
                    let event = IoEvent::DialFailed { conn: *conn, status, body: &body, reason: &reason };
                    state.machine.handle_io(now, event);
                    self.line = Line::None;
                    true
                }
            },
            Line::Open(open) => {
                let ended = open.exchange(&shared, &mut state, &mut self.frame, cx, &mut done);
                if let Err((code, reason)) = ended {
                    let event = IoEvent::Closed { conn: open.conn, code, reason: &reason };
                    state.machine.handle_io(shared.now(), event);
                    self.line = Line::None;
                    done = true;
                }
                false
            }
        };
        drop(state);
        wake(host);
        done
    }

    fn act(&mut self, state: &mut State, action: Action) {
        match action {
            Action::Dial { conn, token } => self.line = Line::Dialing { conn, dial: self.dial(token) },
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
            Action::Complete { id, result } => {
                if let Some(waiting) = state.waiting.remove(&id) {
                    // Who has given up on the answer does not get it.
                    let _ = waiting.send(result);
                }
            }
            Action::Interrupt { session_key, chat_id } => {
                tracing::debug!(session_key, chat_id, "interrupt");
                state.sign(Sign::Interrupt { session_key, chat_id });
            }
            Action::Notify(notice) => {
                log(&notice);
                state.over |= matches!(notice, Notice::Stopped);
                state.sign(Sign::Notice(notice));
            }
            Action::Fatal(fatal) => {
                tracing::error!(code = fatal.code, why = fatal.message, "fatal");
                state.fatal = Some(fatal);
                state.over = true;
            }
        }
    }

    fn dial(&self, token: Option<Secret>) -> Boxed<Result<Socket, DialError>> {
        let config = self.shared.config.clone();
        let connect = self.runtime.connect(config.url.host().to_owned(), config.url.port());
        Box::pin(async move { dial::<R>(connect, &config, token).await })
    }

    /// Fills the host's queue.
    fn deliver(&self, state: &mut State) -> bool {
        let mut any = false;
        while !state.deaf && state.queue.len() < self.shared.config.limits.host_queue {
            let Some(delivery) = state.machine.poll_delivery(self.shared.now()) else { break };
            state.queue.push_back(delivery);
            any = true;
        }
        any
    }

    /// Sets the timer for the machine's deadline; whether it has run out already.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.shared.lock().machine.deadline().map(|(due, _)| due);
        if self.timer.as_ref().map(|(due, _)| *due) != due {
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

impl<R: Runtime> Future for Driver<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.lock().driver = Some(cx.waker().clone());
        for _ in 0..MOST_TURNS {
            let done = this.turn(cx);
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
    /// Whether it ended or its runtime was shut down: nobody waits for ever.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.waiting.clear();
        let host = state.host.take();
        drop(state);
        wake(host);
    }
}

/// How a socket ended: the peer's close code, if it sent one, and why.
type End = (Option<u16>, String);

impl Open {
    /// Writes while the socket takes messages, reads while the machine takes bytes. `Err` at the socket's end.
    fn exchange(
        &mut self,
        shared: &Shared,
        state: &mut State,
        frame: &mut Vec<u8>,
        cx: &mut Context<'_>,
        done: &mut bool,
    ) -> Result<(), End> {
        // An error of the write side is the read side's to tell: it knows of the peer's close frame.
        while let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(cx) {
            let Some(transmit) = state.machine.poll_transmit(shared.now(), frame) else { break };
            let message = match transmit {
                // Frames are JSON, so they are UTF-8.
                Transmit::Frame { .. } => Message::Text(
                    Utf8Bytes::try_from(Bytes::copy_from_slice(frame))
                        .unwrap_or_else(|_| Utf8Bytes::from_static("\n")),
                ),
                Transmit::Ping { .. } => Message::Ping(Bytes::new()),
                Transmit::Close { code, reason, .. } => Message::Close(Some(CloseFrame {
                    code: code.into(),
                    reason: Utf8Bytes::from_static(reason),
                })),
            };
            *done = true;
            if Pin::new(&mut self.socket).start_send(message).is_err() {
                break;
            }
        }
        // Pending or failed: the next poll, or the read side, finds out.
        let _ = Pin::new(&mut self.socket).poll_flush(cx);

        if let Some((bytes, at)) = &mut self.unread {
            let taken = if state.machine.wants_read() {
                state.machine.handle_bytes(shared.now(), self.conn, &bytes[*at..])
            } else {
                0
            };
            *at += taken;
            *done |= taken > 0;
            if *at < bytes.len() {
                return Ok(());
            }
            self.unread = None;
        }
        if !state.machine.wants_read() {
            return Ok(());
        }
        match Pin::new(&mut self.socket).poll_next(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Some(Ok(message))) => {
                *done = true;
                match message {
                    Message::Text(text) => self.read(shared, state, text.into()),
                    Message::Binary(bytes) => self.read(shared, state, bytes),
                    Message::Close(close) => {
                        self.close = close.map(|close| (close.code.into(), close.reason.as_str().to_owned()));
                    }
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                        state.machine.handle_io(shared.now(), IoEvent::Alive { conn: self.conn });
                    }
                }
                Ok(())
            }
            Poll::Ready(Some(Err(error))) => Err(self.end(Some(&error))),
            Poll::Ready(None) => Err(self.end(None)),
        }
    }

    fn read(&mut self, shared: &Shared, state: &mut State, bytes: Bytes) {
        let taken = state.machine.handle_bytes(shared.now(), self.conn, &bytes);
        if taken < bytes.len() {
            self.unread = Some((bytes, taken));
        }
    }

    /// What the peer's close frame said counts more than how the bytes ended.
    fn end(&mut self, error: Option<&WsError>) -> End {
        match (self.close.take(), error) {
            (Some((code, reason)), _) => (Some(code), reason),
            (None, Some(error)) => (None, full(error)),
            (None, None) => (None, "the connection ended without a close frame".to_owned()),
        }
    }
}

/// A quiet day prints almost nothing: the connection's comings and goings.
fn log(notice: &Notice) {
    match notice {
        Notice::Connected { descriptor, changed } => {
            tracing::info!(platform = descriptor.platform, changed = changed.join(" "), "connected");
        }
        Notice::Platform { descriptor, changed } => {
            tracing::info!(platform = descriptor.platform, changed = changed.join(" "), "platform");
        }
        Notice::Disconnected { code, reason, retry_in } => {
            let retry_in_ms = retry_in.map(|span| span.as_millis());
            tracing::info!(code, reason, retry_in_ms, "disconnected");
        }
        Notice::Dormant { retry_in } => tracing::info!(retry_in_ms = retry_in.as_millis(), "dormant"),
        Notice::Resumed => tracing::info!("resumed"),
        Notice::Stopped => tracing::debug!("stopped"),
        Notice::DeadLetter { reason, buffer_id } => tracing::warn!(reason, buffer_id, "dead_letter"),
        // The core's notices may grow; the host gets them all the same.
        _ => tracing::info!("notice"),
    }
}
