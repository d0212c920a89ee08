//! Results of ops: one type for each kind of result.

use crate::command::{Failure, Reply};
use serde_json::{Map, Value};

/// Kind of an op's result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    /// Success alone.
    Nothing,
    /// Success, whatever the connector answers.
    NeverFails,
    /// Id of a message.
    Message,
    /// Id of a thread.
    Thread,
    /// Name and type of a chat.
    ChatInfo,
    /// Id of a prompt, and of its message.
    Prompt,
    /// Complete result of the connector.
    Raw,
    /// Success as soon as the frame is written: nobody answers.
    Written,
}

/// Kind of result, as a type.
pub trait Typed {
    /// Result of the op.
    type Output;
    /// The kind.
    const KIND: Returns;

    /// Converts the machine's result. A reply of another kind reads as an empty one.
    fn output(ended: Result<Reply, Failure>) -> Self::Output;
}

/// An open prompt. Its answer arrives as a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Prompted {
    /// Id of the prompt. The answer has the same id.
    pub prompt_id: String,
    /// Platform's id of the message that carries the prompt, if the connector sent it.
    pub message_id: Option<String>,
}

/// Name and type of a chat.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ChatDetails {
    /// Name of the chat, or its id if it has no name.
    pub name: String,
    /// Type of the chat; `dm` if the connector did not send it.
    pub chat_type: String,
}

macro_rules! typed {
    ($($(#[$doc:meta])* $name:ident -> $output:ty, $read:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Typed for $name {
            type Output = $output;
            const KIND: Returns = Returns::$name;

            fn output(ended: Result<Reply, Failure>) -> $output {
                $read(ended)
            }
        }
    )*};
}

typed! {
    /// Success alone.
    Nothing -> Result<(), Failure>, |ended: Result<Reply, Failure>| ended.map(drop);
    /// Success, whatever the connector answers: a host could not act on a failure.
    NeverFails -> (), drop;
    /// Id of the new message, if the connector sent it.
    Message -> Result<Option<String>, Failure>, |ended: Result<Reply, Failure>| ended.map(|reply| match reply {
        Reply::Sent { message_id, .. } => message_id,
        _ => None,
    });
    /// Id of the new thread, if the connector sent it.
    Thread -> Result<Option<String>, Failure>, |ended: Result<Reply, Failure>| ended.map(|reply| match reply {
        Reply::Thread { thread_id } => thread_id,
        _ => None,
    });
    /// Name and type of a chat.
    ChatInfo -> Result<ChatDetails, Failure>, |ended: Result<Reply, Failure>| ended.map(|reply| match reply {
        Reply::ChatInfo { name, chat_type } => ChatDetails { name, chat_type },
        _ => ChatDetails { name: String::new(), chat_type: "dm".to_owned() },
    });
    /// Id of a prompt, and of its message.
    Prompt -> Result<Prompted, Failure>, |ended: Result<Reply, Failure>| ended.map(|reply| match reply {
        Reply::Prompted { prompt_id, message_id } => Prompted { prompt_id, message_id },
        _ => Prompted { prompt_id: String::new(), message_id: None },
    });
    /// Complete result of the connector.
    Raw -> Result<Map<String, Value>, Failure>, |ended: Result<Reply, Failure>| ended.map(|reply| match reply {
        Reply::Raw { result } => result,
        _ => Map::new(),
    });
    /// Success as soon as the frame is written.
    Written -> Result<(), Failure>, |ended: Result<Reply, Failure>| ended.map(drop);
}
