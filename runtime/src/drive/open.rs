//! Open socket: writes and reads with back-pressure.

use crate::dial::{WebSocket, message_room};
use crate::error_chain::error_chain;
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

/// Maximum number of messages written per round, so that a busy host does not starve reads and timers.
const MAX_WRITES: usize = 64;
/// Maximum number of bytes passed to the machine under one lock, since the host's calls wait for it.
const MAX_READ_BYTES: usize = 64 << 10;

/// An open socket.
pub(super) struct OpenSocket {
    pub(super) conn: Conn,
    pub(super) web_socket: WebSocket,
    /// Message that the machine has read in part, and the number of bytes read.
    pub(super) unread: Option<(Bytes, usize)>,
    /// State of the trace, if it was enabled when the socket opened.
    pub(super) lines: Option<(Lines, Ids)>,
}

/// End of a socket: the peer's close code, if it sent one, and the reason.
pub(super) struct SocketEnd {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
    /// True if the peer violated the WebSocket protocol, and a close frame is queued.
    pub(super) is_fault: bool,
}

impl SocketEnd {
    fn of(code: Option<u16>, reason: impl Into<String>) -> SocketEnd {
        SocketEnd { code, reason: reason.into(), is_fault: false }
    }
}

impl OpenSocket {
    /// Writes while the socket accepts messages, and reads while the machine accepts bytes. Returns true if anything was
    /// written or read.
    ///
    /// # Errors
    /// The socket has ended.
    pub(super) fn exchange(
        &mut self,
        shared: &Shared,
        frame: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Result<bool, SocketEnd> {
        let wrote = self.write(shared, frame, cx);
        // nothing is read while the machine is full, and the keep-alive clock pauses. A socket that fails meanwhile
        // is detected once there is room again. To detect it sooner would lose the bytes received before the failure.
        if !shared.lock().machine.wants_read() {
            return Ok(wrote);
        }
        if let Some((bytes, at)) = self.unread.take() {
            let taken = self.feed(shared, bytes, at);
            return Ok(wrote || taken > 0);
        }
        let message = match Pin::new(&mut self.web_socket).poll_next(cx) {
            Poll::Pending => return Ok(wrote),
            Poll::Ready(Some(Ok(message))) => message,
            Poll::Ready(Some(Err(error))) => return Err(self.fail(&error, shared)),
            Poll::Ready(None) => {
                return Err(SocketEnd::of(None, "the connection ended without a close frame"));
            }
        };
        match message {
            Message::Text(text) => self.read(shared, text.into()),
            Message::Binary(bytes) => self.read(shared, bytes),
            Message::Close(close) => {
                // Nothing follows a close frame. Our answer is queued and flushed once: a peer that neither reads nor
                // closes the TCP connection must not delay the next dial.
                let _ = Pin::new(&mut self.web_socket).poll_flush(cx);
                return Err(match (self.web_socket.get_ref().peer_close(), close) {
                    // The code as sent: the library replaces codes that a peer must not send by 1002.
                    (Some((code, reason)), Some(_)) => SocketEnd::of(Some(code), reason),
                    (None, Some(close)) => SocketEnd::of(Some(close.code.into()), close.reason.as_str()),
                    (_, None) => SocketEnd::of(None, "closed by the peer, without a code"),
                });
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                shared.lock().machine.handle_io(shared.now(), IoEvent::Alive { conn: self.conn });
            }
        }
        Ok(true)
    }

    /// Queues the close frame for a WebSocket error (RFC 6455, 7.4.1), and returns the end of the socket.
    fn fail(&mut self, error: &WsError, shared: &Shared) -> SocketEnd {
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
            ) => return SocketEnd::of(None, error_chain(error)),
            WsError::Protocol(_) => {
                (CloseCode::Protocol, format!("{}; closed with 1002", error_chain(error)))
            }
            _ => return SocketEnd::of(None, error_chain(error)),
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::default() };
        // It fails if our close frame was sent already.
        let is_fault = Pin::new(&mut self.web_socket).start_send(Message::Close(Some(frame))).is_ok();
        // The close frame itself can be invalid: its reason may not be UTF-8.
        let code = self.web_socket.get_ref().peer_close().map(|(code, _)| code);
        SocketEnd { code, reason, is_fault }
    }

    /// Writes while the socket accepts messages, up to a bound. Returns true if it accepted any.
    fn write(&mut self, shared: &Shared, frame: &mut Vec<u8>, cx: &mut Context<'_>) -> bool {
        let mut wrote = false;
        for _ in 0..MAX_WRITES {
            // The read side reports errors of the write side, since it knows the peer's close frame.
            let Poll::Ready(Ok(())) = Pin::new(&mut self.web_socket).poll_ready(cx) else { break };
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
            if Pin::new(&mut self.web_socket).start_send(message).is_err() {
                break;
            }
        }
        // If it is pending or fails, the next poll or the read side handles it.
        let _ = Pin::new(&mut self.web_socket).poll_flush(cx);
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

    /// Passes bytes from `at` on to the machine, and keeps the rest. Returns the number of bytes that it read.
    fn feed(&mut self, shared: &Shared, bytes: Bytes, at: usize) -> usize {
        let some = &bytes[at..bytes.len().min(at + MAX_READ_BYTES)];
        let taken = shared.lock().machine.handle_bytes(shared.now(), self.conn, some);
        if at + taken < bytes.len() {
            self.unread = Some((bytes, at + taken));
        }
        taken
    }
}
