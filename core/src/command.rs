//! Commands of a host, and their results.

mod check;

pub use check::MAX_ID_BYTES;
pub(crate) use check::{id_problem, too_large};

use crate::json;
use crate::op::{Behavior, Fields, Interrupt, Op, ReplyMessage, StreamReply, Turn};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// Metadata of an op. Fields that the host does not set are filled in from the chat memory.
pub type Metadata = Map<String, Value>;

/// Command of a host. Each accepted command completes exactly once.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Requests an op.
    Op(Op),
    /// Streams a reply: see [`StreamReply`].
    Stream(StreamReply),
    /// Replies to a delivery: see [`ReplyMessage`].
    Reply(ReplyMessage),
    /// Begins or ends a turn: see [`Turn`].
    Turn(Turn),
    /// Interrupts a turn: see [`Interrupt`].
    Interrupt(Interrupt),
    /// Asks the connector to buffer events. Completes with [`Reply::Idle`].
    GoIdle,
    /// Asks the connector to buffer events, closes the connection once it confirms, and dials again later. Completes
    /// with [`Reply::Idle`].
    GoDormant,
    /// Holds redials for this time, at most `hold_most`. Completes with [`Reply::Done`] at once; refused during a
    /// disconnect.
    Hold(Duration),
    /// Lifts the hold and resumes delivery, dialing at once where idle, dormant or waiting. Completes with
    /// [`Reply::Done`] at once; refused during a disconnect.
    Resume,
    /// Disconnects for good within the budget. Completes with [`Reply::Done`] when nothing is left.
    Disconnect,
}

impl Command {
    /// Returns the command as an op, if it is defined as one.
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

    /// Returns true if it changes the connection, and says nothing in a chat.
    pub(crate) fn is_about_connection(&self) -> bool {
        matches!(
            self,
            Command::GoIdle | Command::GoDormant | Command::Hold(_) | Command::Resume | Command::Disconnect
        )
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

    /// Returns the id of the command's chat, or `None` if it does not name one.
    pub fn chat_id(&self) -> Option<&str> {
        self.as_behavior()?.target_chat().filter(|id| !id.is_empty())
    }
}

/// Number of a request: a counter, and the second half of its id on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// Returns the counter.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Thread that a connector created for an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AutoThread {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Result of a request that succeeded.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Done, without further details.
    Done,
    /// The message was sent.
    Sent {
        /// Platform's id of the message, if the connector sent it.
        message_id: Option<String>,
        /// Thread that the message is in, if the connector sent it. If `auto_thread_name` is set, the connector has
        /// just created the thread for the message.
        thread_id: Option<String>,
        /// Name of the thread that the connector created.
        auto_thread_name: Option<String>,
    },
    /// The prompt is open.
    Prompted {
        /// Id of the prompt. The answer has the same id.
        prompt_id: String,
        /// Platform's id of the message that carries the prompt, if the connector sent it.
        message_id: Option<String>,
    },
    /// The thread is open.
    Thread {
        /// Id of the thread, if the connector sent it.
        thread_id: Option<String>,
    },
    /// Name and type of a chat.
    ChatInfo {
        /// Name of the chat, or its id if it has no name.
        name: String,
        /// Type of the chat; `dm` if unknown.
        chat_type: String,
    },
    /// A streamed reply is complete.
    Streamed {
        /// Platform's ids of its messages in order, as far as the connector sent them.
        message_ids: Vec<String>,
        /// Last thread that the connector created for one of the messages.
        auto_thread: Option<AutoThread>,
    },
    /// Complete answer of the connector to a raw action.
    Raw {
        /// Object `result` of the answer.
        result: Map<String, Value>,
    },
    /// Result of going idle. If it was not confirmed in time, nothing has changed.
    Idle {
        /// True if it was confirmed in time.
        confirmed: bool,
    },
}

impl Reply {
    /// Returns the number of bytes of the connector's texts in it.
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

/// Kind of a failure. The enum is exhaustive because a host decides for each kind whether to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// The request was never written. It is safe to retry.
    Definite,
    /// The request was written, but the answer is missing or ambiguous. It may have been carried out.
    Ambiguous,
    /// The connector's policy forbids the request. Do not send the same content by another op.
    Declined,
    /// The chat's platform does not support the request. It was never written.
    Unsupported,
    /// The connector reported that the request failed.
    Rejected,
}

impl FailureKind {
    /// Returns the name of the kind in the bridge and in traces.
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

/// Error of a request that failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Failure {
    /// Kind of the failure.
    pub kind: FailureKind,
    /// Description of the failure, as the connector worded it if it did.
    pub message: String,
    /// Error code of the connector, if it sent one.
    pub code: Option<String>,
}

impl Failure {
    /// Returns the number of bytes of the connector's texts in it.
    pub(crate) fn weight(&self) -> usize {
        self.message.len() + self.code.as_ref().map_or(0, String::len)
    }

    /// Creates a failure without a code.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
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
    /// True if earlier commands take up the room that this one needs.
    pub(crate) is_backpressure: bool,
}

impl Refusal {
    /// Creates a refusal that is lifted when earlier commands end.
    pub(crate) fn full(message: String) -> Self {
        Refusal { failure: Failure::definite(message), is_backpressure: true }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal { failure, is_backpressure: false }
    }
}

/// Error returned when a command is refused on submission. Nothing was written, and the command can be taken back
/// with [`into_parts`](Self::into_parts).
#[derive(Clone, PartialEq, Debug)]
pub struct NotAccepted(Box<(Command, Refusal)>);

impl NotAccepted {
    pub(crate) fn new(command: Command, refusal: impl Into<Refusal>) -> Self {
        NotAccepted(Box::new((command, refusal.into())))
    }

    /// Returns the failure. It is definite or unsupported.
    pub fn failure(&self) -> &Failure {
        &self.0.1.failure
    }

    /// Returns true if earlier commands take up all the room (`max_in_flight`, `write_queue_bytes`). The same command
    /// can be accepted once one of them has ended or was written.
    pub fn is_backpressure(&self) -> bool {
        self.0.1.is_backpressure
    }

    /// Returns the command and the failure.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{FollowUp, SendMessage};

    /// A program that runs several bots finds a command's bot by its chat.
    #[test]
    fn a_command_names_its_chat_if_it_has_one() {
        let send = |chat_id: &str| Command::from(SendMessage::new(chat_id, ""));
        let stream = Command::Stream(StreamReply::new("", "").chat_id("s"));
        assert_eq!((send("c").chat_id(), stream.chat_id()), (Some("c"), Some("s")));
        let follow_up = Command::from(FollowUp::new("k", "", ""));
        let interrupt = Command::from(Interrupt { session_key: "k".into(), reason: None });
        for command in [send(""), follow_up, interrupt, Command::GoIdle, Command::Disconnect] {
            assert_eq!(command.chat_id(), None, "{}", command.name());
        }
    }

    /// The weight bounds the actions that the driver does not poll.
    #[test]
    fn x_1_a_results_weight_includes_the_connectors_texts() {
        let text = |length: usize| Some("x".repeat(length));
        let sent =
            |message_id, thread_id, auto_thread_name| Reply::Sent { message_id, thread_id, auto_thread_name };
        let auto_thread = Some(AutoThread { id: "x".repeat(3), name: "x".repeat(40) });
        let message_ids = vec!["x".repeat(500), "x".repeat(6000)];
        let result = serde_json::json!({"name": "x".repeat(1000)}).as_object().cloned().unwrap_or_default();
        for (reply, weight) in [
            (Reply::Done, 0),
            (Reply::Idle { confirmed: true }, 0),
            (sent(text(3), text(40), text(500)), 543),
            (sent(None, None, None), 0),
            (Reply::Prompted { prompt_id: "p".into(), message_id: text(3) }, 3),
            (Reply::Thread { thread_id: text(3) }, 3),
            (Reply::ChatInfo { name: "x".repeat(3), chat_type: "x".repeat(40) }, 43),
            (Reply::Streamed { message_ids: message_ids.clone(), auto_thread }, 6543),
            (Reply::Streamed { message_ids, auto_thread: None }, 6500),
        ] {
            assert_eq!(reply.weight(), weight, "{reply:?}");
        }
        assert!(Reply::Raw { result }.weight() >= 1000);
        let failure = |code| Failure { code, ..Failure::definite("four") };
        assert_eq!((failure(None).weight(), failure(text(30)).weight()), (4, 34));
    }

    #[test]
    fn a_refused_command_has_its_reason() {
        let refused = NotAccepted::new(Command::Resume, Failure::definite("the relay is disconnected"));
        assert_eq!(refused.to_string(), "the relay is disconnected");
    }
}
