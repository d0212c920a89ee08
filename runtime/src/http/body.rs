//! Bodies of requests.

use futures_io::AsyncRead;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use zeroize::Zeroizing;

/// Size in bytes of the pieces in which a file is read. Up to two are in memory.
const CHUNK_BYTES: usize = 32 << 10;

/// Body of a request; empty by default.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Piece to send next.
    next: Option<Bytes>,
    source: Option<FileSource>,
    /// Number of bytes left to send, including `next`.
    left: u64,
    fault: Fault,
}

/// File that is read while it is sent.
struct FileSource {
    from: Pin<Box<dyn AsyncRead + Send>>,
    length: u64,
}

/// Error in the file, once one is found.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<OnceLock<String>>);

impl Fault {
    pub(super) fn text(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    fn set(&self, text: impl fmt::Display) -> io::Error {
        // The first error is kept.
        let _ = self.0.set(text.to_string());
        io::Error::other("the file cannot be sent")
    }
}

impl Outgoing {
    /// Creates a body of bytes, which are wiped once they are sent.
    pub(super) fn bytes(bytes: Zeroizing<Vec<u8>>) -> Outgoing {
        let left = bytes.len() as u64;
        Outgoing { next: Some(Bytes::from_owner(bytes)), left, ..Outgoing::default() }
    }

    /// Creates a body from a file of `length` bytes.
    pub(super) fn source(length: u64, from: impl AsyncRead + Send + 'static) -> Outgoing {
        let source = FileSource { from: Box::pin(from), length };
        Outgoing { source: Some(source), left: length, ..Outgoing::default() }
    }

    /// Returns the shared slot for an error in the file.
    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl FileSource {
    /// Reads the next piece, of at most `most` bytes; empty at the end of the file.
    fn poll_piece(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
        let mut piece = vec![0; usize::try_from(most).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
        let read = ready!(self.from.as_mut().poll_read(cx, &mut piece))?;
        piece.truncate(read);
        Poll::Ready(Ok(piece.into()))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    /// Sends the last piece of a file only once the end of the file is confirmed: so the server never gets a complete body
    /// from a file that is too long or too short.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Outgoing { next, source, left, fault } = &mut *self;
        if let Some(source) = source {
            let length = source.length;
            if next.is_none() && *left > 0 {
                let piece = ready!(source.poll_piece(cx, *left)).map_err(|error| fault.set(error))?;
                if piece.is_empty() {
                    let had = length - *left;
                    let short = format_args!("it ended after {had} of {length} bytes");
                    return Poll::Ready(Some(Err(fault.set(short))));
                }
                *next = Some(piece);
            }
            let last = next.as_ref().is_none_or(|next| next.len() as u64 == *left);
            if last {
                let more = ready!(source.poll_piece(cx, 1)).map_err(|error| fault.set(error))?;
                if !more.is_empty() {
                    let long = format_args!("it is longer than its {length} bytes");
                    return Poll::Ready(Some(Err(fault.set(long))));
                }
            }
        }
        let piece = next.take();
        *left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if *left == 0 {
            *source = None;
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
