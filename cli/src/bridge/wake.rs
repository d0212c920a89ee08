//! How the threads of the bridge wake its task.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Says that something has changed. Any thread may call it; one task waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wake(Arc<(AtomicWaker, AtomicBool)>);

impl Wake {
    pub(super) fn wake(&self) {
        let (waker, changed) = &*self.0;
        changed.store(true, Ordering::Release);
        waker.wake();
    }

    /// Ready when something has changed since it was last ready.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let (waker, changed) = &*self.0;
        waker.register(cx.waker());
        if changed.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}
