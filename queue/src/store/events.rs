//! Answers and requests of a store's thread on their way to its owner.

use super::{FaultKind, StoreAnswer, StoreFault};
use crate::id::{CommandId, RequestId};
use crate::output::OperatorRequest;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Answers and requests that nobody has taken. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    answers: VecDeque<(CommandId, StoreAnswer)>,
    requests: VecDeque<(RequestId, OperatorRequest)>,
    waker: Option<Waker>,
    /// True once the thread has ended.
    has_ended: bool,
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in between leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and wakes the task that waits for it.
    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let waker = {
            let mut inner = self.lock();
            change(&mut inner);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Adds the answer to a command.
    pub(crate) fn answer(&self, id: CommandId, answer: StoreAnswer) {
        self.change(|inner| inner.answers.push_back((id, answer)));
    }

    /// Adds the answer to a command that no thread carries out.
    pub(crate) fn refuse(&self, id: CommandId) {
        let text = "the thread of the queue has ended: start the gateway anew".to_owned();
        self.answer(id, StoreAnswer::Failed(StoreFault { kind: FaultKind::Unavailable, text }));
    }

    /// Adds a request of an operator.
    pub(crate) fn request(&self, id: RequestId, request: OperatorRequest) {
        self.change(|inner| inner.requests.push_back((id, request)));
    }

    /// Wakes the task that waits, without an event.
    #[cfg(feature = "jetstream")]
    pub(crate) fn wake(&self) {
        self.change(|_| ());
    }

    /// Returns the next answer, or arranges that the task is woken for it, and for a request.
    pub(crate) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<(CommandId, StoreAnswer)> {
        let mut inner = self.lock();
        match inner.answers.pop_front() {
            Some(answer) => Poll::Ready(answer),
            None => {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Returns the next request of an operator.
    pub(crate) fn take_request(&self) -> Option<(RequestId, OperatorRequest)> {
        self.lock().requests.pop_front()
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
        self.0.change(|inner| inner.has_ended = true);
    }
}
