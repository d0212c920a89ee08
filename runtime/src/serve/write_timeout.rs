//! Write timeout of a client's connection, for clients that do not read their answers.

use crate::dialer::BoxFuture;
use futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Connection whose writes time out.
pub(super) struct WriteTimeout<T, S> {
    tcp: T,
    sleep: S,
    /// Timer of the pending write.
    timer: Option<BoxFuture<()>>,
}

impl<T, S: FnMut() -> BoxFuture<()>> WriteTimeout<T, S> {
    /// Wraps a connection. `sleep` creates the timer of each write that is pending.
    pub(super) fn new(tcp: T, sleep: S) -> Self {
        WriteTimeout { tcp, sleep, timer: None }
    }

    /// Returns the result of a write, or an error if the write has been pending for too long.
    fn poll_deadline<O>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<O>>) -> Poll<io::Result<O>> {
        if polled.is_ready() {
            self.timer = None;
            return polled;
        }
        let expired = self.timer.get_or_insert_with(&mut self.sleep).as_mut().poll(cx);
        expired.map(|()| Err(io::Error::new(ErrorKind::TimedOut, "the client does not read its answers")))
    }
}

impl<T: AsyncRead + Unpin, S: Unpin> AsyncRead for WriteTimeout<T, S> {
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

impl<T: AsyncWrite + Unpin, S: FnMut() -> BoxFuture<()> + Unpin> AsyncWrite for WriteTimeout<T, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.poll_deadline(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.poll_deadline(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tcp).poll_flush(cx);
        self.poll_deadline(cx, polled)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tcp).poll_close(cx);
        self.poll_deadline(cx, polled)
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

    /// Client that reads the given number of bytes.
    struct LimitedReader(Rc<Cell<usize>>);

    impl AsyncWrite for LimitedReader {
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
    fn x_1_only_a_client_that_reads_nothing_times_out() {
        let takes = Rc::new(Cell::new(3));
        let (is_over, timers) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let new_timer = || {
            timers.set(timers.get() + 1);
            let is_over: BoxFuture<()> =
                if is_over.get() { Box::pin(ready(())) } else { Box::pin(pending()) };
            is_over
        };
        let mut client = WriteTimeout::new(LimitedReader(takes.clone()), new_timer);
        let waker = noop_waker();
        let cx = &mut Context::from_waker(&waker);
        let mut write = client.write_all(b"12345678");
        for _ in 0..2 {
            assert!(write.poll_unpin(cx).is_pending());
        }
        assert_eq!(timers.get(), 1, "one timer for several polls");
        // Any progress restarts the timer.
        takes.set(3);
        assert!(write.poll_unpin(cx).is_pending());
        assert_eq!(timers.get(), 2);
        is_over.set(true);
        takes.set(1);
        let Poll::Ready(Err(error)) = write.poll_unpin(cx) else { panic!("it is still pending") };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
