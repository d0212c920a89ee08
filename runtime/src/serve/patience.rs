//! A client's connection, as far as there is patience with it: one that reads nothing of its answers is let go.

use crate::wires::Boxed;
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A connection, and how to wait for a client that does not read.
pub(super) struct Patient<T, S> {
    tcp: T,
    sleep: S,
    /// Since when nothing could be written.
    waits: Option<Boxed<()>>,
}

impl<T, S: FnMut() -> Boxed<()>> Patient<T, S> {
    /// `sleep` gives what a write may wait for.
    pub(super) fn new(tcp: T, sleep: S) -> Self {
        Patient { tcp, sleep, waits: None }
    }

    /// What has come of a write: it fails when it has waited for too long.
    fn bear_with<O>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<O>>) -> Poll<io::Result<O>> {
        if polled.is_ready() {
            self.waits = None;
            return polled;
        }
        let over = self.waits.get_or_insert_with(&mut self.sleep).as_mut().poll(cx);
        over.map(|()| Err(io::Error::new(ErrorKind::TimedOut, "the client reads nothing of its answers")))
    }
}

impl<T: AsyncRead + Unpin, S: Unpin> AsyncRead for Patient<T, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_read_vectored(cx, buffers)
    }
}

impl<T: AsyncWrite + Unpin, S: FnMut() -> Boxed<()> + Unpin> AsyncWrite for Patient<T, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.bear_with(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.bear_with(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tcp).poll_flush(cx);
        self.bear_with(cx, polled)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tcp).poll_close(cx);
        self.bear_with(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::io::AsyncWriteExt;
    use futures_util::{FutureExt, task::noop_waker};
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::rc::Rc;

    /// A client that takes so many bytes, and no more.
    struct Takes(Rc<Cell<usize>>);

    impl AsyncWrite for Takes {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            match self.0.get().min(bytes.len()) {
                0 => Poll::Pending,
                taken => {
                    self.0.set(self.0.get() - taken);
                    Poll::Ready(Ok(taken))
                }
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn x_1_a_client_that_reads_nothing_is_let_go_and_one_that_reads_slowly_is_not() {
        let takes = Rc::new(Cell::new(3));
        let (is_over, naps) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let nap = || {
            naps.set(naps.get() + 1);
            let is_over: Boxed<()> = if is_over.get() { Box::pin(ready(())) } else { Box::pin(pending()) };
            is_over
        };
        let mut client = Patient::new(Takes(takes.clone()), nap);
        let waker = noop_waker();
        let cx = &mut Context::from_waker(&waker);
        let mut write = client.write_all(b"12345678");
        for _ in 0..2 {
            assert!(write.poll_unpin(cx).is_pending());
        }
        assert_eq!(naps.get(), 1, "one nap, however often it is asked");
        // Whatever is read begins the wait anew.
        takes.set(3);
        assert!(write.poll_unpin(cx).is_pending());
        assert_eq!(naps.get(), 2);
        is_over.set(true);
        takes.set(1);
        let Poll::Ready(Err(error)) = write.poll_unpin(cx) else { panic!("it waits on") };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
