//! An open socket: messages out while it takes them, bytes in while the machine does.

use crate::causes::causes;
use crate::dial::{Socket, message_room};
use crate::shared::Shared;
use crate::trace;
use async_tungstenite::tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use futures_core::Stream;
use futures_sink::Sink;
use relayline_core::machine::IoEvent;
use relayline_core::output::{Conn, Transmit};
use relayline_core::trace::{Entry, Ids, Lines};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Messages written per turn: a host that asks without end must not keep the loop from reading, or from its timers.
const MOST_WRITES: usize = 64;
/// Bytes that the machine is given at once: what a host calls meanwhile waits for the lock.
const MOST_BYTES: usize = 64 << 10;

/// An open socket.
pub(super) struct Open {
    pub(super) conn: Conn,
    pub(super) socket: Socket,
    /// A message that the machine has not taken in whole, and how much of it it has.
    pub(super) unread: Option<(Bytes, usize)>,
    /// What the trace knows of it, when somebody looked as it was opened.
    pub(super) lines: Option<(Lines, Ids)>,
}

/// How a socket ended: the peer's close code, if it sent one, and why.
pub(super) struct End {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
    /// Whether the peer broke the WebSocket protocol, and a close frame that says so is queued.
    pub(super) is_fault: bool,
}

impl End {
    fn of(code: Option<u16>, reason: impl Into<String>) -> End {
        End { code, reason: reason.into(), is_fault: false }
    }
}

impl Open {
    /// Writes while the socket takes messages, reads while the machine takes bytes. Whether anything moved; `Err`
    /// at the socket's end.
    pub(super) fn exchange(
        &mut self,
        shared: &Shared,
        frame: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Result<bool, End> {
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
            Poll::Ready(Some(Err(error))) => return Err(self.fail(&error, shared)),
            Poll::Ready(None) => return Err(End::of(None, "the connection ended without a close frame")),
        };
        match message {
            Message::Text(text) => self.read(shared, text.into()),
            Message::Binary(bytes) => self.read(shared, bytes),
            Message::Close(close) => {
                // Nothing comes after it. Our answer is queued: it goes out with this flush, or not at all, since a
                // peer that neither reads nor ends the TCP connection must not hold up the next dial.
                let _ = Pin::new(&mut self.socket).poll_flush(cx);
                return Err(match (self.socket.get_ref().peer_close(), close) {
                    // As it was sent: the library puts 1002 in the place of codes that a peer must not send.
                    (Some((code, reason)), Some(_)) => End::of(Some(code), reason),
                    (None, Some(close)) => End::of(Some(close.code.into()), close.reason.as_str()),
                    (_, None) => End::of(None, "closed by the peer, without a code"),
                });
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                shared.lock().machine.handle_io(shared.now(), IoEvent::Alive { conn: self.conn });
            }
        }
        Ok(true)
    }

    /// Answers an error of the WebSocket with the close frame that belongs to it (RFC 6455, 7.4.1).
    fn fail(&mut self, error: &WsError, shared: &Shared) -> End {
        let limits = &shared.config.machine.limits;
        let (code, reason) = match error {
            WsError::Capacity(CapacityError::MessageTooLong { size, .. }) => (
                CloseCode::Size,
                format!(
                    "a WebSocket message of {size} bytes is over the limit of {} (four times `max_line_bytes`, 16 MiB \
                     at least): raise `max_line_bytes` to take it; closed with 1009",
                    message_room(limits)
                ),
            ),
            WsError::Utf8(_) => {
                (CloseCode::Invalid, "a WebSocket text message was not UTF-8; closed with 1007".to_owned())
            }
            WsError::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
            ) => return End::of(None, causes(error)),
            WsError::Protocol(_) => (CloseCode::Protocol, format!("{}; closed with 1002", causes(error))),
            _ => return End::of(None, causes(error)),
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::default() };
        // Where our own close frame is out already, there is nothing to add.
        let is_fault = Pin::new(&mut self.socket).start_send(Message::Close(Some(frame))).is_ok();
        // A close frame can be at fault itself, by a reason that is not UTF-8.
        let code = self.socket.get_ref().peer_close().map(|(code, _)| code);
        End { code, reason, is_fault }
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
