//! Open socket: batches of messages between the machine and the WebSocket, with back-pressure.

use super::writer::{MAX_MESSAGES, SharedWriter};
use crate::dial::message_room;
use crate::error_chain::error_chain;
use crate::observe::{DialObserver, ObservedMachine, WireEvent, WireSide};
use crate::trace;
use crate::web_socket::WebSocket;
use relayline_core::config::Limits;
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::output::Conn;
use relayline_core::time::Now;
use relayline_core::trace::{Ids, Lines};
use std::collections::VecDeque;
use std::task::{Context, Poll};
use tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Message, Utf8Bytes};

/// Maximum number of bytes passed to the machine under one lock, since the host's calls wait for it.
const MAX_READ_BYTES: usize = 64 << 10;

/// An open socket.
pub(super) struct OpenSocket {
    pub(super) conn: Conn,
    pub(super) writer: SharedWriter,
    /// Messages that the machine has not read.
    unread: VecDeque<Bytes>,
    /// Number of bytes of the first unread message that the machine has read.
    unread_from: usize,
    /// True if a ping or a pong was received since the last [`feed`](Self::feed).
    is_alive: bool,
    /// End of the socket. The machine learns of it after all unread messages.
    end: Option<SocketEnd>,
    /// True if the socket has no message now, and wakes the task for the next one.
    is_read_pending: bool,
    /// True if the socket takes no more bytes now, and wakes the task when it does.
    is_write_pending: bool,
    /// Lines of the trace, if it was enabled when the socket opened.
    lines: Option<Lines>,
}

/// End of a socket: the peer's close code, if it sent one, and the reason.
pub(super) struct SocketEnd {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
    /// True if the peer violated the WebSocket protocol, and a close frame is queued.
    pub(super) is_fault: bool,
    /// True if the peer sent a close frame.
    pub(super) has_close_frame: bool,
}

/// Number of messages for which an empty batch keeps memory.
const KEPT_MESSAGES: usize = 4;

impl SocketEnd {
    fn of(code: Option<u16>, reason: impl Into<String>) -> SocketEnd {
        SocketEnd { code, reason: reason.into(), is_fault: false, has_close_frame: code.is_some() }
    }
}

impl OpenSocket {
    /// Wraps a socket. `trace` is the state of the trace, if it is enabled.
    pub(super) fn new(
        conn: Conn,
        web_socket: WebSocket,
        trace: Option<(Lines, Ids)>,
        observer: Option<DialObserver>,
    ) -> OpenSocket {
        let (lines, ids) = trace.unzip();
        OpenSocket {
            conn,
            writer: SharedWriter::new(web_socket, ids, observer),
            unread: VecDeque::new(),
            unread_from: 0,
            is_alive: false,
            end: None,
            is_read_pending: false,
            is_write_pending: false,
            lines,
        }
    }

    /// Writes the queued messages, and if `wants_read` reads a batch of messages. Call it without the lock.
    ///
    /// nothing is read while the machine is full, and the keep-alive clock pauses. A socket that fails meanwhile is
    /// detected once there is room again. To detect it sooner would lose the bytes received before the failure.
    pub(super) fn exchange(&mut self, now: Now, wants_read: bool, limits: &Limits, cx: &mut Context<'_>) {
        let writer = self.writer.clone();
        let mut writer = writer.lock();
        writer.web_socket.set_waker(cx.waker());
        writer.flush();
        self.is_write_pending = writer.web_socket.is_blocked();
        self.is_read_pending = false;
        if !wants_read || !self.unread.is_empty() {
            return;
        }
        let web_socket = &mut writer.web_socket;
        let mut bytes = 0;
        while self.end.is_none() && self.unread.len() < MAX_MESSAGES && bytes < MAX_READ_BYTES {
            match web_socket.poll_read() {
                Poll::Pending => {
                    self.is_read_pending = true;
                    break;
                }
                Poll::Ready(Ok(Message::Text(text))) => bytes += self.receive(now, text.into()),
                Poll::Ready(Ok(Message::Binary(binary))) => bytes += self.receive(now, binary),
                Poll::Ready(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.is_alive = true;
                }
                Poll::Ready(Ok(Message::Close(close))) => self.end = Some(closed(web_socket, close)),
                Poll::Ready(Err(error)) => self.end = Some(fail(web_socket, &error, limits)),
            }
        }
    }

    /// Keeps a message for the machine. Returns its length.
    fn receive(&mut self, now: Now, bytes: Bytes) -> usize {
        if let Some(lines) = &mut self.lines {
            for entry in lines.received(now.mono, &bytes) {
                trace::log(|| entry);
            }
        }
        let length = bytes.len();
        self.unread.push_back(bytes);
        length
    }

    /// Passes unread messages to the machine, up to a bound, while it reads. Returns the end of the socket after the last
    /// one, once the machine would read on.
    pub(super) fn feed(
        &mut self,
        machine: &mut RelayMachine,
        now: Now,
        observed: &mut Option<ObservedMachine>,
    ) -> Option<SocketEnd> {
        if std::mem::take(&mut self.is_alive) {
            machine.handle_io(now, IoEvent::Alive { conn: self.conn });
        }
        let mut room = MAX_READ_BYTES;
        while let Some(bytes) = self.unread.front()
            && room > 0
            && machine.wants_read()
        {
            if let Some(observed) = observed
                && self.unread_from == 0
            {
                let event = WireEvent::Message { by: WireSide::Connector, bytes };
                observed.observer().note(now.mono, event);
            }
            let unread = &bytes[self.unread_from..];
            let taken = machine.handle_bytes(now, self.conn, &unread[..unread.len().min(room)]);
            room -= taken;
            if taken < unread.len() {
                self.unread_from += taken;
            } else {
                self.unread.pop_front();
                self.unread_from = 0;
            }
            if let Some(observed) = observed {
                observed.compare(now.mono, machine);
            }
        }
        if self.unread.is_empty() {
            // A burst must not leave memory that the next single message does not need.
            self.unread.shrink_to(KEPT_MESSAGES);
        }
        if self.unread.is_empty() && machine.wants_read() { self.end.take() } else { None }
    }

    /// Returns true if another batch can be moved now.
    pub(super) fn can_move(&self, machine: &RelayMachine) -> bool {
        let can_read = !self.is_read_pending || !self.unread.is_empty();
        (can_read && machine.wants_read()) || (machine.has_output() && !self.is_write_pending)
    }
}

/// Returns the end of the socket after the peer's close frame.
fn closed(web_socket: &mut WebSocket, close: Option<CloseFrame>) -> SocketEnd {
    // Nothing follows a close frame. Our answer is queued and flushed once: a peer that neither reads nor closes the
    // TCP connection must not delay the next dial.
    let _ = web_socket.poll_flush();
    match (web_socket.peer_close(), close) {
        // The code as sent: the library replaces codes that a peer must not send by 1002.
        (Some((code, reason)), Some(_)) => SocketEnd::of(Some(code), reason),
        (None, Some(close)) => SocketEnd::of(Some(close.code.into()), close.reason.as_str()),
        (_, None) => {
            SocketEnd { has_close_frame: true, ..SocketEnd::of(None, "closed by the peer, without a code") }
        }
    }
}

/// Queues the close frame for a WebSocket error (RFC 6455, 7.4.1), and returns the end of the socket.
fn fail(web_socket: &mut WebSocket, error: &WsError, limits: &Limits) -> SocketEnd {
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
        WsError::Protocol(_) => (CloseCode::Protocol, format!("{}; closed with 1002", error_chain(error))),
        WsError::ConnectionClosed | WsError::AlreadyClosed => {
            return SocketEnd::of(None, "the connection ended without a close frame");
        }
        _ => return SocketEnd::of(None, error_chain(error)),
    };
    let frame = CloseFrame { code, reason: Utf8Bytes::default() };
    // It fails if our close frame was sent already.
    let is_fault = web_socket.queue(Message::Close(Some(frame))).is_ok();
    // The close frame itself can be invalid: its reason may not be UTF-8.
    let code = web_socket.peer_close().map(|(code, _)| code);
    SocketEnd { code, reason, is_fault, has_close_frame: code.is_some() }
}
