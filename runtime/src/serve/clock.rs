//! A runtime's timers, as hyper asks for them.

use crate::Runtime;
use crate::wires::Boxed;
use hyper::rt::{Sleep, Timer};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A runtime's clock.
pub(super) struct Clock<R>(pub(super) R);

/// A timer that may be shared, as hyper demands; it has one owner, so the lock is never waited for.
struct Nap(Mutex<Boxed<()>>);

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl Sleep for Nap {}

impl<R: Runtime> Timer for Clock<R> {
    fn sleep(&self, span: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(Mutex::new(Box::pin(self.0.sleep(span)))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}
