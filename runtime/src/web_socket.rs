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
/// Size of the library's read buffer, which each connection keeps. Its default of 128 KiB is too much for an idle one.
const READ_BUFFER: usize = 2 << 10;
/// Size of the buffer for a busy stream.
const READ_AHEAD: usize = 64 << 10;

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
        let stream = PolledStream {
            stream,
            close,
            waker: Waker::noop().clone(),
            is_busy: false,
            ahead: Vec::new(),
            ahead_from: 0,
        };
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
    /// True if the last read filled its room, so that there may be more.
    is_busy: bool,
    /// Bytes that are read ahead while the stream is busy. An idle stream has no buffer.
    ahead: Vec<u8>,
    /// Number of bytes of `ahead` that were taken.
    ahead_from: usize,
}

impl PolledStream {
    /// Reads into `room`, or first a larger piece of a busy stream.
    fn read_stream(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let PolledStream { stream, waker, is_busy, ahead, .. } = self;
        let cx = &mut Context::from_waker(waker);
        if !*is_busy {
            let read = blocking(stream.as_mut().poll_read(cx, room))?;
            *is_busy = read == room.len();
            return Ok(read);
        }
        ahead.resize(READ_AHEAD, 0);
        let read = blocking(stream.as_mut().poll_read(cx, ahead));
        ahead.truncate(*read.as_ref().unwrap_or(&0));
        *is_busy = ahead.len() == READ_AHEAD;
        let taken = self.take_ahead(room);
        read.map(|_| taken)
    }

    /// Takes bytes that were read ahead. Frees the buffer of a stream that is not busy any more.
    fn take_ahead(&mut self, room: &mut [u8]) -> usize {
        let left = &self.ahead[self.ahead_from..];
        let taken = left.len().min(room.len());
        room[..taken].copy_from_slice(&left[..taken]);
        self.ahead_from += taken;
        if self.ahead_from == self.ahead.len() {
            self.ahead_from = 0;
            self.ahead.clear();
            if !self.is_busy {
                self.ahead = Vec::new();
            }
        }
        taken
    }
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
        let read = match self.ahead.is_empty() {
            true => self.read_stream(room)?,
            false => self.take_ahead(room),
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_io::{AsyncRead, AsyncWrite};
    use std::pin::Pin;

    /// Stream that has some bytes, in pieces of at most `piece`, and then blocks.
    struct Pieces {
        bytes: Vec<u8>,
        from: usize,
        piece: usize,
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            room: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let length = (self.bytes.len() - self.from).min(self.piece).min(room.len());
            if length == 0 {
                return Poll::Pending;
            }
            room[..length].copy_from_slice(&self.bytes[self.from..self.from + length]);
            self.from += length;
            Poll::Ready(Ok(length))
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn all_bytes_of_a_busy_stream_are_read_and_an_idle_one_has_no_buffer() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        for (piece, room) in [(1, 3), (700, 2048), (2048, 2048), (usize::MAX, 2048), (usize::MAX, 100_000)] {
            let pieces = Pieces { bytes: bytes.clone(), from: 0, piece };
            let mut socket = WebSocket::new(Box::pin(pieces), Vec::new(), 1 << 20, 1 << 20);
            let stream = socket.socket.get_mut();
            let (mut read, mut room) = (Vec::new(), vec![0; room]);
            while let Ok(length) = stream.read(&mut room) {
                read.extend_from_slice(&room[..length]);
            }
            assert!(read == bytes, "{} bytes in pieces of {piece}", read.len());
            assert_eq!(stream.ahead.capacity(), 0, "in pieces of {piece}");
        }
    }
}
