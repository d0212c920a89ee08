//! Signal from the threads of the bridge to its task.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Signal that something has changed. Any thread may set it; one task waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeSignal(Arc<(AtomicWaker, AtomicBool)>);

impl ChangeSignal {
    pub(crate) fn set(&self) {
        let (waker, changed) = &*self.0;
        changed.store(true, Ordering::Release);
        waker.wake();
    }

    /// Polls for a change since it was last ready.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let (waker, changed) = &*self.0;
        waker.register(cx.waker());
        if changed.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}
