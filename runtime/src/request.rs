//! One thing asked of the connector, as a future that can be told more before it is awaited.

use crate::shared::Handle;
use futures_channel::oneshot;
use futures_core::future::FusedFuture;
use relayline_core::command::{
    ChatInfo, Command, Delete, Draft, Edit, Failure, FailureKind, FollowUp, Interrupt, Raw, React, Reply,
    ReplyMessage, Send, SendMedia, TaskCard, TaskCardStop, ThreadCreate, ThreadRename, Typing,
};
use relayline_core::prompts::Prompt;
use serde_json::{Map, Value};
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

/// What a [`Request`] asks for; the commands of `relayline_core::command` that the connector answers.
pub trait Op: Unpin + sealed::Sealed {
    /// What comes of it.
    type Output;

    #[doc(hidden)]
    fn command(self) -> Command;

    #[doc(hidden)]
    fn output(ended: Result<Reply, Failure>) -> Self::Output;
}

mod sealed {
    #[allow(unnameable_types, reason = "nobody else is to name it")]
    pub trait Sealed {}
}

/// A prompt that is out: [`Incoming::PromptAnswer`](crate::Incoming::PromptAnswer) brings what somebody chose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prompted {
    /// Under which its answer comes.
    pub prompt_id: String,
    /// The platform's id of the message that carries it, where the connector told it.
    pub message_id: Option<String>,
}

/// What a chat is called, and what it is (O-5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChatDetails {
    /// Its name; its id where it has none.
    pub name: String,
    /// Its type; `dm` where nobody said.
    pub chat_type: String,
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

impl<O: Op> Future for Request<O> {
    type Output = O::Output;

    /// # Panics
    /// When it is polled after it has given its answer.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let this = &mut *self;
        if let Progress::New(_) = &this.progress
            && let Progress::New(op) = std::mem::replace(&mut this.progress, Progress::Done)
        {
            match this.served.submit(op.command()) {
                Ok(answer) => this.progress = Progress::Waiting(Answer::new(answer, this.served.clone())),
                Err(refused) => return Poll::Ready(O::output(Err(refused.into_parts().1))),
            }
        }
        let Progress::Waiting(answer) = &mut this.progress else { panic!("it has given its answer already") };
        let ended = ready!(Pin::new(answer).poll(cx));
        this.progress = Progress::Done;
        Poll::Ready(O::output(ended))
    }
}

impl<O: Op> FusedFuture for Request<O> {
    fn is_terminated(&self) -> bool {
        matches!(self.progress, Progress::Done)
    }
}

/// What each op comes to. A reply of another kind than its command's does not happen; it reads as an empty one.
macro_rules! ops {
    ($($op:ident as $command:ident => $output:ty, $read:expr;)*) => {$(
        impl sealed::Sealed for $op {}
        impl Op for $op {
            type Output = $output;

            fn command(self) -> Command {
                Command::$command(self)
            }

            fn output(ended: Result<Reply, Failure>) -> $output {
                $read(ended)
            }
        }
    )*};
}

type Ended = Result<Reply, Failure>;

fn done(ended: Ended) -> Result<(), Failure> {
    ended.map(drop)
}

fn sent(ended: Ended) -> Result<Option<String>, Failure> {
    ended.map(|reply| match reply {
        Reply::Sent { message_id, .. } => message_id,
        _ => None,
    })
}

fn whole(ended: Ended) -> Result<Map<String, Value>, Failure> {
    ended.map(|reply| match reply {
        Reply::Raw { result } => result,
        _ => Map::new(),
    })
}

fn thread(ended: Ended) -> Result<Option<String>, Failure> {
    ended.map(|reply| match reply {
        Reply::Thread { thread_id } => thread_id,
        _ => None,
    })
}

fn prompted(ended: Ended) -> Result<Prompted, Failure> {
    ended.map(|reply| match reply {
        Reply::Prompted { prompt_id, message_id } => Prompted { prompt_id, message_id },
        _ => Prompted { prompt_id: String::new(), message_id: None },
    })
}

fn details(ended: Ended) -> Result<ChatDetails, Failure> {
    ended.map(|reply| match reply {
        Reply::ChatInfo { name, chat_type } => ChatDetails { name, chat_type },
        _ => ChatDetails { name: String::new(), chat_type: "dm".to_owned() },
    })
}

ops! {
    Send as Send => Result<Option<String>, Failure>, sent;
    ReplyMessage as Reply => Result<Option<String>, Failure>, sent;
    Edit as Edit => Result<(), Failure>, done;
    Delete as Delete => Result<(), Failure>, done;
    // A sign that could not be shown is nothing that a host could act on.
    Typing as Typing => (), drop;
    FollowUp as FollowUp => Result<Option<String>, Failure>, sent;
    ChatInfo as ChatInfo => Result<ChatDetails, Failure>, details;
    SendMedia as SendMedia => Result<Option<String>, Failure>, sent;
    Prompt as Prompt => Result<Prompted, Failure>, prompted;
    React as React => Result<(), Failure>, done;
    ThreadCreate as ThreadCreate => Result<Option<String>, Failure>, thread;
    ThreadRename as ThreadRename => Result<(), Failure>, done;
    Draft as Draft => Result<Option<String>, Failure>, sent;
    TaskCard as TaskCard => Result<Option<String>, Failure>, sent;
    TaskCardStop as TaskCardStop => Result<(), Failure>, done;
    Raw as Raw => Result<Map<String, Value>, Failure>, whole;
    Interrupt as Interrupt => Result<(), Failure>, done;
}

mod options;
