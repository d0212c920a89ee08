//! What a host asks of a machine, and how it ends (O).

mod check;

pub use check::MAX_ID_BYTES;
pub(crate) use check::{id_problem, too_large};

use crate::json;
use crate::op::{Behavior, Fields, Interrupt, Op, ReplyMessage, StreamReply, Turn};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// What goes beside an op, as the host wants it; what is remembered of the chat is added where it is not set (M-2).
pub type Metadata = Map<String, Value>;

/// Something that a host can ask for. Each accepted command completes exactly once.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Asks the connector for an op.
    Op(Op),
    /// See [`StreamReply`].
    Stream(StreamReply),
    /// See [`ReplyMessage`].
    Reply(ReplyMessage),
    /// See [`Turn`].
    Turn(Turn),
    /// See [`Interrupt`].
    Interrupt(Interrupt),
    /// Asks the connector to buffer from now on. Completes with [`Reply::Idle`].
    GoIdle,
    /// Asks the connector to buffer, and closes the connection once it confirms, to dial again later. Completes with
    /// [`Reply::Idle`].
    GoDormant,
    /// Holds re-dials for that long, at most `hold_most`. Completes with [`Reply::Done`] at once; refused during a
    /// disconnect.
    Hold(Duration),
    /// Lifts the hold and resumes delivery, dialing at once where idle, dormant or waiting. Completes with
    /// [`Reply::Done`] at once; refused during a disconnect.
    Resume,
    /// Disconnects for good within the budget. Completes with [`Reply::Done`] when nothing is left.
    Disconnect,
}

impl Command {
    /// Returns the command as an op, where it is defined as one.
    fn as_behavior(&self) -> Option<&dyn Behavior> {
        match self {
            Command::Op(op) => Some(op.as_behavior()),
            Command::Stream(stream) => Some(stream),
            Command::Reply(reply) => Some(reply),
            Command::Turn(turn) => Some(turn),
            Command::Interrupt(interrupt) => Some(interrupt),
            Command::GoIdle
            | Command::GoDormant
            | Command::Hold(_)
            | Command::Resume
            | Command::Disconnect => None,
        }
    }

    /// Returns the command's name in the bridge and in traces.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Op(op) => op.definition().name,
            Command::Stream(stream) => stream.definition().name,
            Command::Reply(reply) => reply.definition().name,
            Command::Turn(turn) => turn.definition().name,
            Command::Interrupt(interrupt) => interrupt.definition().name,
            Command::GoIdle => "go_idle",
            Command::GoDormant => "go_dormant",
            Command::Hold(_) => "hold",
            Command::Resume => "resume",
            Command::Disconnect => "disconnect",
        }
    }

    /// Returns the id of the chat that it is for, where it names one.
    pub fn chat_id(&self) -> Option<&str> {
        self.as_behavior()?.target_chat().filter(|id| !id.is_empty())
    }
}

/// The number of a request: a counter, and the second half of its id on the wire (O-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// The counter.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Thread that a connector has made for an answer (O-18).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AutoThread {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// How a request ended well.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// It is done, and there is nothing to tell.
    Done,
    /// It was sent.
    Sent {
        /// The platform's id of the message, where the connector told it.
        message_id: Option<String>,
        /// Thread that the message is in, where the connector told it. Beside `auto_thread_name` it is a thread that
        /// the connector has just made for the message.
        thread_id: Option<String>,
        /// Name of the thread that the connector has made.
        auto_thread_name: Option<String>,
    },
    /// A prompt is open (I-2).
    Prompted {
        /// Under which its answer comes.
        prompt_id: String,
        /// The platform's id of the message that carries it, where the connector told it.
        message_id: Option<String>,
    },
    /// A thread is open.
    Thread {
        /// Its id, where the connector told it.
        thread_id: Option<String>,
    },
    /// What a chat is called and what it is (O-5).
    ChatInfo {
        /// Its name; its id where it has none.
        name: String,
        /// Its type; `dm` where nobody said.
        chat_type: String,
    },
    /// A streamed reply is all out.
    Streamed {
        /// The platform's ids of its messages, in order, as far as the connector told them.
        message_ids: Vec<String>,
        /// The last thread that the connector has made for one of them, and its name.
        auto_thread: Option<AutoThread>,
    },
    /// The connector's whole answer to an action that went out as it is.
    Raw {
        /// The `result` object.
        result: Map<String, Value>,
    },
    /// Whether going idle was confirmed in time (L-12). If not, all stays as it was.
    Idle {
        /// Whether it was.
        confirmed: bool,
    },
}

impl Reply {
    /// Bytes of the connector's words in it.
    pub(crate) fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Reply::Sent { message_id, thread_id, auto_thread_name } => {
                text(message_id) + text(thread_id) + text(auto_thread_name)
            }
            Reply::Prompted { message_id, .. } => text(message_id),
            Reply::Thread { thread_id } => text(thread_id),
            Reply::ChatInfo { name, chat_type } => name.len() + chat_type.len(),
            Reply::Streamed { message_ids, auto_thread } => {
                let thread = auto_thread.as_ref().map_or(0, |thread| thread.id.len() + thread.name.len());
                message_ids.iter().map(String::len).sum::<usize>() + thread
            }
            Reply::Raw { result } => json::weight_of_fields(result),
            Reply::Done | Reply::Idle { .. } => 0,
        }
    }
}

/// In which of five ways a request failed (O-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// It was never written: sending it again is safe.
    Definite,
    /// It was written, and the answer never came or came as ambiguous: it may have been carried out.
    Ambiguous,
    /// The connector's policy forbids it; the same content is not to be sent by another op (O-7).
    Declined,
    /// The chat's platform does not offer it (O-9); never written.
    Unsupported,
    /// The connector answered that it failed.
    Rejected,
}

impl FailureKind {
    /// The kind's name in the bridge and in traces.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Definite => "definite",
            FailureKind::Ambiguous => "ambiguous",
            FailureKind::Declined => "declined",
            FailureKind::Unsupported => "unsupported",
            FailureKind::Rejected => "rejected",
        }
    }
}

/// How a request failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which of the five ways.
    pub kind: FailureKind,
    /// What happened; the connector's own words where it has any.
    pub message: String,
    /// The connector's code, if it gave one.
    pub code: Option<String>,
}

impl Failure {
    /// Bytes of the connector's words in it.
    pub(crate) fn weight(&self) -> usize {
        self.message.len() + self.code.as_ref().map_or(0, String::len)
    }

    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), code: None }
    }

    pub(crate) fn definite(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Definite, message)
    }
}

/// Reason for which a command is refused.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    /// Whether earlier commands take up the room that this one needs.
    pub(crate) for_want_of_room: bool,
}

impl Refusal {
    /// A refusal that ends as earlier commands do.
    pub(crate) fn full(message: String) -> Self {
        Refusal { failure: Failure::definite(message), for_want_of_room: true }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal { failure, for_want_of_room: false }
    }
}

/// A command that was refused on the spot: nothing was written, and the command comes back (O-6, O-8, O-9).
#[derive(Clone, PartialEq, Debug)]
pub struct NotAccepted(Box<(Command, Refusal)>);

impl NotAccepted {
    pub(crate) fn new(command: Command, refusal: impl Into<Refusal>) -> Self {
        NotAccepted(Box::new((command, refusal.into())))
    }

    /// Why: definite, or unsupported.
    pub fn failure(&self) -> &Failure {
        &self.0.1.failure
    }

    /// Whether it was refused because earlier commands take up all the room (`max_in_flight`, `write_queue_bytes`).
    /// The same command can be accepted once one of them has ended or was written.
    pub fn is_for_want_of_room(&self) -> bool {
        self.0.1.for_want_of_room
    }

    /// The command, and why it was refused.
    pub fn into_parts(self) -> (Command, Failure) {
        let (command, refusal) = *self.0;
        (command, refusal.failure)
    }
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

impl std::error::Error for NotAccepted {}
