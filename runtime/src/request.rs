//! Requests to the connector as futures.

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

/// Future of the reply to a command, returned by [`Relay::submit`](crate::Relay::submit).
///
/// Cancel-safe: dropping it discards the reply. The command is sent all the same.
#[derive(Debug)]
#[must_use = "the failure of the command is lost unless it is awaited"]
pub struct PendingReply {
    answer: oneshot::Receiver<Result<Reply, Failure>>,
    /// Keeps the gateway connected.
    _handle: Arc<Handle>,
}

impl PendingReply {
    pub(crate) fn new(answer: oneshot::Receiver<Result<Reply, Failure>>, handle: Arc<Handle>) -> Self {
        PendingReply { answer, _handle: handle }
    }
}

impl Future for PendingReply {
    type Output = Result<Reply, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| {
            Err(Failure::new(FailureKind::Ambiguous, "the relay was dropped before the answer came"))
        }))
    }
}

/// Request to the connector: a builder of options, and a future that submits the request at its first poll and resolves
/// to the reply, as in `relay.send("42", "on my way").reply_to("1001").await`.
///
/// A failure is a [`Failure`] of one of five kinds.
///
/// Cancel-safe: dropped before its first poll it sends nothing. Dropped later it discards the reply, and the request is
/// sent all the same.
#[must_use = "a request is not sent until it is awaited"]
pub struct Request<O> {
    handle: Arc<Handle>,
    state: RequestState<O>,
}

enum RequestState<O> {
    /// Not submitted yet.
    New(O),
    Waiting(PendingReply),
    Done,
}

impl<O> fmt::Debug for Request<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            RequestState::New(_) => "new",
            RequestState::Waiting(_) => "waiting",
            RequestState::Done => "done",
        };
        f.debug_struct("Request").field("state", &state).finish_non_exhaustive()
    }
}

impl<O> Request<O> {
    pub(crate) fn new(handle: Arc<Handle>, op: O) -> Self {
        Request { handle, state: RequestState::New(op) }
    }

    /// Changes the op, unless it was submitted.
    fn with(mut self, change: impl FnOnce(&mut O)) -> Self {
        match &mut self.state {
            RequestState::New(op) => change(op),
            RequestState::Waiting(_) | RequestState::Done => {}
        }
        self
    }
}

impl<O: OpType + Unpin> Future for Request<O> {
    type Output = <O::Returns as Typed>::Output;

    /// # Panics
    /// Polled after completion.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let RequestState::New(_) = &this.state
            && let RequestState::New(op) = std::mem::replace(&mut this.state, RequestState::Done)
        {
            match this.handle.submit(op.into()) {
                Ok(answer) => {
                    this.state = RequestState::Waiting(PendingReply::new(answer, this.handle.clone()))
                }
                Err(refused) => return Poll::Ready(O::Returns::output(Err(refused.into_parts().1))),
            }
        }
        let RequestState::Waiting(answer) = &mut this.state else {
            panic!("request polled after completion")
        };
        let ended = ready!(Pin::new(answer).poll(cx));
        this.state = RequestState::Done;
        Poll::Ready(O::Returns::output(ended))
    }
}

impl<O: OpType + Unpin> FusedFuture for Request<O> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, RequestState::Done)
    }
}

mod options;
