//! What is sent behind a request's head.

use futures_io::AsyncRead;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use zeroize::Zeroizing;

/// How much of a file is in memory at a time, in bytes; twice while it is written.
const CHUNK: usize = 32 << 10;

/// The body of a request. The default is none.
#[derive(Default)]
pub(super) struct Outgoing {
    /// What comes next.
    next: Option<Bytes>,
    source: Option<Source>,
    /// Bytes that are still to be handed out, `next` among them.
    left: u64,
    fault: Fault,
}

/// A file that is read as it is sent.
struct Source {
    from: Pin<Box<dyn AsyncRead + Send>>,
    length: u64,
}

/// What is wrong with the file, once it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<OnceLock<String>>);

impl Fault {
    pub(super) fn text(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    fn is(&self, text: impl fmt::Display) -> io::Error {
        // The first counts; there is only one.
        let _ = self.0.set(text.to_string());
        io::Error::other("the file cannot be sent")
    }
}

impl Outgoing {
    /// These bytes, wiped when they are sent.
    pub(super) fn bytes(bytes: Zeroizing<Vec<u8>>) -> Outgoing {
        let left = bytes.len() as u64;
        Outgoing { next: Some(Bytes::from_owner(bytes)), left, ..Outgoing::default() }
    }

    /// A file of so many bytes.
    pub(super) fn source(length: u64, from: impl AsyncRead + Send + 'static) -> Outgoing {
        let source = Source { from: Box::pin(from), length };
        Outgoing { source: Some(source), left: length, ..Outgoing::default() }
    }

    /// Where a fault of the file will be told.
    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl Source {
    /// The next piece, at least a byte unless all is read; at the end of the file an empty one.
    fn poll_piece(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
        let mut piece = vec![0; usize::try_from(most).unwrap_or(CHUNK).min(CHUNK)];
        let read = ready!(self.from.as_mut().poll_read(cx, &mut piece))?;
        piece.truncate(read);
        Poll::Ready(Ok(piece.into()))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    /// The last piece of a file goes out only once it is certain that there is no more: so one that is too long is
    /// never complete to the other side, as little as one that is too short.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Outgoing { next, source, left, fault } = &mut *self;
        if let Some(source) = source {
            let length = source.length;
            if next.is_none() && *left > 0 {
                let piece = ready!(source.poll_piece(cx, *left)).map_err(|error| fault.is(error))?;
                if piece.is_empty() {
                    let had = length - *left;
                    let short = format_args!("it ended after {had} of {length} bytes");
                    return Poll::Ready(Some(Err(fault.is(short))));
                }
                *next = Some(piece);
            }
            let last = next.as_ref().is_none_or(|next| next.len() as u64 == *left);
            if last {
                let more = ready!(source.poll_piece(cx, 1)).map_err(|error| fault.is(error))?;
                if !more.is_empty() {
                    let long = format_args!("it goes on behind its {length} bytes");
                    return Poll::Ready(Some(Err(fault.is(long))));
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
