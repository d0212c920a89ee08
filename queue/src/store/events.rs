//! Events of a store's thread on their way to its owner.

use super::{StoreAnswer, StoreFault};
use crate::id::{CommandId, RequestId};
use crate::output::OperatorRequest;
use crate::store::FaultKind;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Event for the owner of the store.
#[derive(Debug)]
pub(crate) enum Event {
    /// Answer to a command.
    Answer(CommandId, Box<StoreAnswer>),
    /// Request of an operator.
    Request(RequestId, OperatorRequest),
}

/// Events that nobody has polled. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Event>,
    waker: Option<Waker>,
    /// True once the thread has ended.
    has_ended: bool,
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in between leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events, and wakes the task that waits for them.
    pub(crate) fn add(&self, new: impl IntoIterator<Item = Event>) {
        let waker = {
            let mut inner = self.lock();
            let before = inner.queue.len();
            inner.queue.extend(new);
            if inner.queue.len() == before { None } else { inner.waker.take() }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Adds the answer to a command that no thread carries out.
    pub(crate) fn refuse(&self, id: CommandId) {
        let text = "the thread of the queue has ended: start the gateway anew".to_owned();
        let fault = StoreFault { kind: FaultKind::Unavailable, text };
        self.add([Event::Answer(id, Box::new(StoreAnswer::Failed(fault)))]);
    }

    /// Wakes the task that waits, without an event.
    #[cfg(feature = "jetstream")]
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns the next event, or arranges that the task is woken for it.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut inner = self.lock();
        match inner.queue.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Returns true once the thread has ended.
    #[cfg(feature = "sqlite")]
    pub(crate) fn have_ended(&self) -> bool {
        self.lock().has_ended
    }
}

/// Notes the end of the thread when it is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct EndOfThread(pub(crate) Events);

impl Drop for EndOfThread {
    fn drop(&mut self) {
        self.0.lock().has_ended = true;
        let waker = self.0.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
