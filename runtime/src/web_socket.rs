//! WebSocket that one task polls.

use crate::close_capture::CloseCapture;
use crate::dialer::ByteStream;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::task::{Context, Poll, Waker};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message};

/// Maximum number of bytes that messages may add to the write buffer before it is flushed.
const MAX_UNFLUSHED: usize = 64 << 10;
/// Size of the read buffer. The library's default takes 128 KiB per connection and is no faster.
const READ_BUFFER: usize = 8 << 10;

/// WebSocket that one task polls, so that one waker serves reads and writes.
pub(crate) struct WebSocket {
    socket: tungstenite::WebSocket<PolledStream>,
    /// Number of bytes of the messages since the last complete flush.
    unflushed: usize,
    /// True while the write buffer is not flushed.
    wants_flush: bool,
    /// True if the last flush is pending.
    is_blocked: bool,
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

impl WebSocket {
    /// Wraps an upgraded stream. `read_ahead` is the part of it that was read already. A message may have
    /// `max_message_bytes`, and `max_write_bytes` is the largest message to write.
    pub(crate) fn new(
        stream: ByteStream,
        read_ahead: Vec<u8>,
        max_message_bytes: usize,
        max_write_bytes: usize,
    ) -> WebSocket {
        // A pong needs some room, too.
        let write_room = max_write_bytes.saturating_add(2 * MAX_UNFLUSHED);
        let settings = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Only a flush writes, so a batch of messages is one write.
            .write_buffer_size(write_room - 1)
            .max_write_buffer_size(write_room)
            .max_message_size(Some(max_message_bytes))
            .max_frame_size(Some(max_message_bytes));
        let mut close = CloseCapture::default();
        close.read(&read_ahead);
        let stream = PolledStream { stream, close, waker: Waker::noop().clone() };
        let socket =
            tungstenite::WebSocket::from_partially_read(stream, read_ahead, Role::Client, Some(settings));
        WebSocket { socket, unflushed: 0, wants_flush: false, is_blocked: false }
    }

    /// Sets the task that is woken when the socket can make progress. Call it first in each poll.
    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        self.socket.get_mut().waker.clone_from(waker);
    }

    /// Reads the next message.
    pub(crate) fn poll_read(&mut self) -> Poll<Result<Message, Error>> {
        let polled = unblocked(self.socket.read());
        // The library has queued the answer to a ping or a close frame.
        self.wants_flush |= matches!(polled, Poll::Ready(Ok(Message::Ping(_) | Message::Close(_))));
        polled
    }

    /// Returns true if the socket takes no more bytes now. It wakes the task when it does.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Returns true if another message can be queued before the next flush.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_blocked && self.unflushed < MAX_UNFLUSHED
    }

    /// Queues a message. [`poll_flush`](Self::poll_flush) writes it.
    ///
    /// # Errors
    /// Our close frame was queued already, or the connection has ended.
    pub(crate) fn queue(&mut self, message: Message) -> Result<(), Error> {
        self.unflushed = self.unflushed.saturating_add(message.len());
        self.wants_flush = true;
        match unblocked(self.socket.write(message)) {
            Poll::Ready(queued) => queued,
            Poll::Pending => Ok(()),
        }
    }

    /// Writes all queued messages. It costs nothing if there are none.
    ///
    /// # Errors
    /// The connection has ended. The next read has the cause, with the peer's close frame.
    pub(crate) fn poll_flush(&mut self) -> Poll<Result<(), Error>> {
        if !self.wants_flush {
            return Poll::Ready(Ok(()));
        }
        let polled = unblocked(self.socket.flush());
        self.is_blocked = polled.is_pending();
        if !self.is_blocked {
            (self.wants_flush, self.unflushed) = (false, 0);
        }
        polled
    }

    /// Returns the code and the reason of the peer's close frame as it was sent; `None` if there was none, or it had no
    /// code.
    pub(crate) fn peer_close(&self) -> Option<(u16, String)> {
        self.socket.get_ref().close.peer_close()
    }

    /// Shuts down the writing side of the connection.
    pub(crate) fn poll_shut_down(&mut self) -> Poll<io::Result<()>> {
        let PolledStream { stream, waker, .. } = self.socket.get_mut();
        stream.as_mut().poll_close(&mut Context::from_waker(waker))
    }

    /// Reads bytes and discards them until the connection has ended.
    pub(crate) fn poll_discard(&mut self) -> Poll<()> {
        let mut scratch = [0; 1 << 10];
        loop {
            match self.socket.get_mut().read(&mut scratch) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

/// Returns `Pending` if the operation would block.
fn unblocked<T>(result: Result<T, Error>) -> Poll<Result<T, Error>> {
    match result {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// Byte stream with blocking traits, whose operations fail with `WouldBlock` and wake the task later.
struct PolledStream {
    stream: ByteStream,
    /// Capture of the peer's close frame.
    close: CloseCapture,
    waker: Waker,
}

/// Returns the error `WouldBlock` for `Pending`.
fn blocking<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl Read for PolledStream {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(&self.waker);
        let read = blocking(self.stream.as_mut().poll_read(cx, room))?;
        self.close.read(&room[..read]);
        Ok(read)
    }
}

impl Write for PolledStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let cx = &mut Context::from_waker(&self.waker);
        blocking(self.stream.as_mut().poll_write(cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        let cx = &mut Context::from_waker(&self.waker);
        blocking(self.stream.as_mut().poll_flush(cx))
    }
}
