//! Bodies of requests: bytes, or a file that is read while it is sent.

use futures_io::AsyncRead;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use zeroize::Zeroizing;

/// Maximum size in bytes of a piece of a file. Three are in memory at most: the buffer, the next piece, and the piece
/// that is being sent.
const CHUNK_BYTES: usize = 32 << 10;

/// Body of a request; empty by default.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Piece to send next.
    next: Option<Bytes>,
    /// File that the further pieces come from; `None` once all of it is sent.
    source: Option<FileSource>,
    /// Number of bytes left to send, including `next`.
    left: u64,
    /// Slot for an error in the file.
    fault: Fault,
}

/// File that is read while it is sent.
struct FileSource {
    from: Pin<Box<dyn AsyncRead + Send>>,
    /// Length that the request announces, in bytes.
    length: u64,
    /// Buffer of [`CHUNK_BYTES`] to read into, empty before the first read. It is reused, so that it is zeroed once.
    buffer: Vec<u8>,
}

/// Slot for the first error in the file. Clones share it: hyper's error does not tell this error from others.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<OnceLock<String>>);

impl Fault {
    /// Returns the error, if there is one.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Records an error, and returns the error for hyper.
    fn record(&self, error: &io::Error) -> io::Error {
        // The slot keeps the first error.
        let _ = self.0.set(error.to_string());
        io::Error::other("the file cannot be sent")
    }
}

impl Outgoing {
    /// Creates a body of bytes, which are wiped once they are sent.
    pub(super) fn bytes(bytes: Zeroizing<Vec<u8>>) -> Outgoing {
        let left = bytes.len() as u64;
        Outgoing { next: Some(Bytes::from_owner(bytes)), left, ..Outgoing::default() }
    }

    /// Creates a body from a file of `length` bytes. A file of another length is an error.
    pub(super) fn source(length: u64, from: impl AsyncRead + Send + 'static) -> Outgoing {
        let source = FileSource { from: Box::pin(from), length, buffer: Vec::new() };
        Outgoing { source: Some(source), left: length, ..Outgoing::default() }
    }

    /// Returns the slot for an error in the file.
    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl FileSource {
    /// Reads the next piece, of at most `max` bytes; empty at the end of the file.
    fn poll_piece(&mut self, cx: &mut Context<'_>, max: u64) -> Poll<io::Result<Bytes>> {
        self.buffer.resize(CHUNK_BYTES, 0);
        let max = usize::try_from(max).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let read = ready!(self.from.as_mut().poll_read(cx, &mut self.buffer[..max]))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(&self.buffer[..read])))
    }
}

impl Outgoing {
    /// Reads the piece of the file to send next, if the body has a file. The last piece is ready only once the end of
    /// the file is confirmed: otherwise the server would get a complete body from a file that is too long.
    ///
    /// # Errors
    /// The file cannot be read, or its length is wrong.
    fn poll_file(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(source) = &mut self.source else { return Poll::Ready(Ok(())) };
        let length = source.length;
        if self.next.is_none() && self.left > 0 {
            let piece = ready!(source.poll_piece(cx, self.left))?;
            if piece.is_empty() {
                let sent = length - self.left;
                let error = format!("it ended after {sent} of {length} bytes");
                return Poll::Ready(Err(io::Error::other(error)));
            }
            self.next = Some(piece);
        }
        let is_last = self.next.as_ref().is_none_or(|next| next.len() as u64 == self.left);
        if is_last && !ready!(source.poll_piece(cx, 1))?.is_empty() {
            return Poll::Ready(Err(io::Error::other(format!("it is longer than its {length} bytes"))));
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Err(error) = ready!(self.poll_file(cx)) {
            return Poll::Ready(Some(Err(self.fault.record(&error))));
        }
        let piece = self.next.take();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.left == 0 {
            self.source = None;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.source.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
