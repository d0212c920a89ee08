//! Bodies that report the progress of a request to its connection's slot.

use super::slots::SlotHandle;
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Body of a request.
pub struct Received {
    body: Incoming,
    conn: SlotHandle,
}

impl Received {
    pub(super) fn new(body: Incoming, conn: SlotHandle) -> Received {
        conn.head_received();
        let received = Received { body, conn };
        received.check_end();
        received
    }

    fn check_end(&self) {
        if self.body.is_end_stream() {
            self.conn.request_received();
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").finish_non_exhaustive()
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.conn.request_received(),
            Some(Ok(_)) => self.check_end(),
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Body of a response. hyper drops it once it has read all of it, which reports the response as ready.
pub(super) struct ResponseBody<B> {
    body: Either<B, Full<Bytes>>,
    conn: SlotHandle,
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: Either<B, Full<Bytes>>, conn: SlotHandle) -> ResponseBody<B> {
        ResponseBody { body, conn }
    }
}

impl<B> Drop for ResponseBody<B> {
    fn drop(&mut self) {
        self.conn.response_ready();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Either::Left(body) => Pin::new(body).poll_frame(cx),
            Either::Right(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Either::Left(body) => body.is_end_stream(),
            Either::Right(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Either::Left(body) => body.size_hint(),
            Either::Right(body) => body.size_hint(),
        }
    }
}
