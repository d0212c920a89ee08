//! One thing asked of the connector, as a future that can be told more before it is awaited.

use crate::shared::Handle;
use futures_channel::oneshot;
use futures_core::future::FusedFuture;
use relayline_core::command::{Failure, FailureKind, Reply};
use relayline_core::op::OpType;
use relayline_core::op::returns::Typed;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The answer to a command that was submitted: the future of [`Relay::submit`](crate::Relay::submit).
///
/// Cancel-safe: dropping it gives up on the answer, not on the command, which goes out all the same.
#[derive(Debug)]
#[must_use = "without it nobody learns whether it failed"]
pub struct Answer {
    answer: oneshot::Receiver<Result<Reply, Failure>>,
    /// Whoever waits is there to be served.
    _served: Arc<Handle>,
}

impl Answer {
    pub(crate) fn new(answer: oneshot::Receiver<Result<Reply, Failure>>, served: Arc<Handle>) -> Self {
        Answer { answer, _served: served }
    }
}

impl Future for Answer {
    type Output = Result<Reply, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| {
            Err(Failure {
                kind: FailureKind::Ambiguous,
                message: "the relay was dropped before the answer came".to_owned(),
                code: None,
            })
        }))
    }
}

/// Something asked of the connector: a future that submits it when it is first polled, and then waits for the answer.
/// What else there is to say of it is said before, as in
/// `relay.send("42", "on my way").reply_to("1001").await`.
///
/// It fails in one of the five ways of O-3, which [`Failure::kind`] tells apart.
///
/// Cancel-safe: dropped before it was polled it asks for nothing; dropped later it gives up on the answer, not on
/// what was asked, which goes out all the same.
#[must_use = "nothing is asked until it is awaited"]
pub struct Request<O> {
    served: Arc<Handle>,
    progress: Progress<O>,
}

enum Progress<O> {
    /// Not submitted yet.
    New(O),
    Waiting(Answer),
    Done,
}

impl<O> fmt::Debug for Request<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = match &self.progress {
            Progress::New(_) => "new",
            Progress::Waiting(_) => "waiting",
            Progress::Done => "done",
        };
        f.debug_struct("Request").field("progress", &progress).finish_non_exhaustive()
    }
}

impl<O> Request<O> {
    pub(crate) fn new(served: Arc<Handle>, op: O) -> Self {
        Request { served, progress: Progress::New(op) }
    }

    /// Says more of it, as long as it is not submitted.
    fn with(mut self, change: impl FnOnce(&mut O)) -> Self {
        match &mut self.progress {
            Progress::New(op) => change(op),
            Progress::Waiting(_) | Progress::Done => {}
        }
        self
    }
}

impl<O: OpType + Unpin> Future for Request<O> {
    type Output = <O::Returns as Typed>::Output;

    /// # Panics
    /// When it is polled after it has given its answer.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Progress::New(_) = &this.progress
            && let Progress::New(op) = std::mem::replace(&mut this.progress, Progress::Done)
        {
            match this.served.submit(op.into()) {
                Ok(answer) => this.progress = Progress::Waiting(Answer::new(answer, this.served.clone())),
                Err(refused) => return Poll::Ready(O::Returns::output(Err(refused.into_parts().1))),
            }
        }
        let Progress::Waiting(answer) = &mut this.progress else { panic!("it has given its answer already") };
        let ended = ready!(Pin::new(answer).poll(cx));
        this.progress = Progress::Done;
        Poll::Ready(O::Returns::output(ended))
    }
}

impl<O: OpType + Unpin> FusedFuture for Request<O> {
    fn is_terminated(&self) -> bool {
        matches!(self.progress, Progress::Done)
    }
}

mod options;
