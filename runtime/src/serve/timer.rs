//! Runtime's timers for hyper.

use crate::Runtime;
use crate::dialer::BoxFuture;
use hyper::rt::{Sleep, Timer};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// hyper timer of a runtime.
pub(super) struct HyperTimer<R>(pub(super) R);

/// Timer that is `Sync`, as hyper requires. It has one owner, so the lock is never contended.
struct TimerFuture(Mutex<BoxFuture<()>>);

impl Future for TimerFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

impl Sleep for TimerFuture {}

impl<R: Runtime> Timer for HyperTimer<R> {
    fn sleep(&self, span: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(TimerFuture(Mutex::new(Box::pin(self.0.sleep(span)))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}
