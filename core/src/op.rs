//! Ops: what a host asks a connector to do. Each file below this one defines one op, and the table here lists them.
//!
//! To add an op, write its file and its row of the table. The machine, the bridge, the development connector, the
//! simulator, the fuzzers and the JSON Schemas follow the definition.

mod define;
mod format;
pub mod returns;
#[cfg(test)]
mod tests;

use crate::anchor::Anchor;
use crate::chats::Chat;
use crate::command::{Command, Metadata, too_large};
use crate::config::Limits;
use crate::encode::{self, Object};
use crate::output::DeliveryId;
pub use format::{Field, InFrame, Kind, read_id};
pub use returns::{ChatDetails, Prompted, Returns};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Definition of an op.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// Name of the op, on the wire and in the bridge.
    pub name: &'static str,
    /// Documentation of the op, in lines.
    pub doc: &'static str,
    /// Condition under which a platform offers it.
    pub gate: Gate,
    /// Kind of its result.
    pub returns: Returns,
    /// Its fields.
    pub fields: &'static [Field],
    /// Reads the op from its fields, without `op`. Fields that it does not know are left in place.
    ///
    /// # Errors
    /// Returns what is wrong with a field, or which one is missing.
    pub read: fn(&mut Map<String, Value>) -> Result<Command, String>,
}

impl Definition {
    /// Returns whether a platform offers the op: `names` says whether its descriptor names an op, `edits` and
    /// `drafts` are the descriptor's `supports_edit` and `supports_draft_streaming`.
    pub fn is_offered(&self, names: impl Fn(&str) -> bool, edits: bool, drafts: bool) -> bool {
        match self.gate {
            Gate::Always => true,
            Gate::Edits => edits,
            Gate::Named => names(self.name),
            Gate::NamedDrafts => drafts && names(self.name),
            Gate::TaskCards => names("task_card"),
        }
    }
}

/// Condition under which a platform offers an op.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// None: every platform does.
    Always,
    /// The descriptor has `supports_edit`.
    Edits,
    /// The descriptor names the op in `supported_ops`.
    Named,
    /// The descriptor names the op, and has `supports_draft_streaming`.
    NamedDrafts,
    /// The descriptor names `task_card`.
    TaskCards,
}

/// A type of op. Its result is that of [`OpType::Returns`].
pub trait OpType: Into<Command> {
    /// Kind of its result.
    type Returns: returns::Typed;
    /// Its definition.
    const DEFINITION: Definition;
}

/// An op that can answer a message.
pub trait WithReplyTo {
    /// Sets the id of the message that it answers.
    fn set_reply_to(&mut self, message_id: String);
}

/// An op with metadata of the host's own.
pub trait WithMetadata {
    /// Returns the metadata.
    fn metadata_mut(&mut self) -> &mut Metadata;
}

/// An op that can name its platform.
pub trait WithPlatform {
    /// Sets the platform.
    fn set_platform(&mut self, name: String);
}

/// The fields of an op, as the definition says. Implemented by `op!`.
pub(crate) trait Fields {
    fn definition(&self) -> &'static Definition;

    fn chat_id(&self) -> Option<&str> {
        None
    }

    fn platform(&self) -> Option<&str> {
        None
    }

    fn metadata(&self) -> Option<&Metadata> {
        None
    }

    /// Returns what is wrong with the length of an id.
    fn id_problem(&self) -> Option<String>;

    /// Returns the minimum number of bytes of its texts in a frame; ids and metadata do not count.
    fn text_bytes(&self) -> usize;

    /// Writes its fields, except `chat_id` and `metadata`.
    fn write_fields(&self, action: &mut Object<'_>, context: &Context<'_>);
}

/// Behavior of an op beyond its fields.
pub(crate) trait Behavior: Fields {
    /// Returns what is wrong with the combination of the fields that a host gave. Each field alone has been checked.
    fn problem_as_given(&self) -> Option<String> {
        None
    }

    /// Returns what is wrong with it, in time that does not grow with it. Does not depend on the machine's state.
    fn problem(&self) -> Option<String> {
        None
    }

    /// Returns whether the machine cuts its texts to what can be written.
    fn is_cut(&self) -> bool {
        false
    }

    /// Returns what is wrong with it, or that it is too large for the write queue.
    fn problem_within(&self, limits: &Limits) -> Option<String> {
        let problem = self.id_problem().or_else(|| self.problem());
        // JSON never makes a text shorter.
        let is_too_large = !self.is_cut() && self.text_bytes() > limits.write_queue_bytes;
        problem.or_else(|| is_too_large.then(|| too_large(limits)))
    }

    /// Returns why it must not be written even if the platform offers it.
    fn refusal(&self) -> Option<&'static str> {
        None
    }

    /// Returns the chat that it is for, where it names one.
    fn target_chat(&self) -> Option<&str> {
        self.chat_id()
    }

    /// Returns the platform that the op names.
    fn target_platform(&self) -> Option<&str> {
        self.platform()
    }

    /// Returns where it goes.
    fn destination(&self) -> Destination<'_> {
        match self.target_chat() {
            Some(chat_id) => Destination::Chat { chat_id: chat_id.into(), platform: self.platform() },
            None => Destination::Nowhere,
        }
    }

    /// Returns how Slack's connectors place it where the host has not placed it (M-8).
    fn placement(&self) -> Placement<'_> {
        Placement::AsGiven
    }

    /// Returns the agent profile that it belongs to, if that is not its chat's (M-4).
    fn profile(&self) -> Option<&str> {
        None
    }

    /// Returns whether it is about a thread, whose scope is that of its parent chat (M-5).
    fn is_about_thread(&self) -> bool {
        false
    }

    /// Returns the delivery that it answers, and the fields that the delivery fills in if they are not set.
    fn answers(&mut self) -> Option<Answers<'_>> {
        None
    }

    /// Writes the action's fields.
    fn write(&self, action: &mut Object<'_>, context: &Context<'_>) {
        action.field("op", self.definition().name);
        if let Destination::Chat { chat_id, .. } = self.destination() {
            action.field("chat_id", chat_id);
        }
        self.write_fields(action, context);
        if let Some(own) = self.metadata() {
            let profile = context.profile(self.profile());
            encode::metadata(action.key("metadata"), own, context.chat, profile, context.anchor);
        }
    }
}

/// Destination of an op.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Destination<'a> {
    /// A chat, on the platform that it names.
    Chat { chat_id: Cow<'a, str>, platform: Option<&'a str> },
    /// A session, on a platform if this gateway fronts it (M-4).
    Session { platform: Option<&'a str> },
    /// No particular destination.
    Nowhere,
}

impl Destination<'_> {
    pub(crate) fn chat_id(&self) -> Option<&str> {
        match self {
            Destination::Chat { chat_id, .. } => Some(chat_id),
            Destination::Session { .. } | Destination::Nowhere => None,
        }
    }
}

/// Placement of an op by Slack's connectors (M-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Placement<'a> {
    /// As its fields say.
    AsGiven,
    /// In the thread of this message.
    Message(Option<&'a str>),
    /// In the place of the part before it, which answers this message.
    Continues(Option<&'a str>),
    /// In the thread of this message, like a task card.
    Card(Option<&'a str>),
    /// Below the newest message of a direct chat.
    NewestMessage,
}

/// Delivery that an op answers, and the fields that the delivery fills in if they are not set (M-7).
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    pub(crate) delivery: DeliveryId,
    pub(crate) chat_id: &'a mut String,
    pub(crate) reply_to: &'a mut Option<String>,
    pub(crate) metadata: &'a mut Metadata,
    pub(crate) platform: &'a mut Option<String>,
}

/// Circumstances under which an op is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Memory of its chat (M-2).
    pub(crate) chat: Option<&'a Chat>,
    /// Its placement (M-8).
    pub(crate) anchor: Anchor<'a>,
    /// Id of a prompt.
    pub(crate) prompt_id: &'a str,
}

impl<'a> Context<'a> {
    /// Returns the agent profile to name: the op's own, else its chat's (M-4).
    pub(crate) fn profile<'p>(&self, own: Option<&'p str>) -> Option<&'p str>
    where
        'a: 'p,
    {
        let remembered = || self.chat.and_then(|chat| chat.profile.as_deref());
        own.or_else(remembered).filter(|name| *name != "default")
    }
}

/// Lists the ops and the commands that are defined as ops are.
macro_rules! table {
    (
        ops { $($op:ident: $op_module:ident::$op_type:ident,)* }
        commands { $($command:ident: $command_module:ident::$command_type:ident,)* }
    ) => {
        $(mod $op_module;)*
        $(mod $command_module;)*
        $(pub use $op_module::$op_type;)*
        $(pub use $command_module::$command_type;)*

        /// An op that goes out as the `action` of an `outbound` frame.
        #[derive(Clone, PartialEq, Debug)]
        #[non_exhaustive]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($op_type), "`].")] $op($op_type),)*
        }

        impl Op {
            pub(crate) fn as_behavior(&self) -> &dyn Behavior {
                match self {
                    $(Op::$op(op) => op,)*
                }
            }

            fn as_behavior_mut(&mut self) -> &mut dyn Behavior {
                match self {
                    $(Op::$op(op) => op,)*
                }
            }
        }

        $(impl From<$op_type> for Op {
            fn from(op: $op_type) -> Op {
                Op::$op(op)
            }
        })*
        $(impl From<$op_type> for Command {
            fn from(op: $op_type) -> Command {
                Command::Op(Op::$op(op))
            }
        })*
        $(impl From<$command_type> for Command {
            fn from(command: $command_type) -> Command {
                Command::$command(command)
            }
        })*

        /// Definitions of all ops that go out as actions.
        pub const OPS: &[Definition] = &[$(<$op_type as OpType>::DEFINITION),*];

        /// Definitions of the commands that a host gives as ops and that the machine carries out itself.
        pub const COMMANDS: &[Definition] = &[$(<$command_type as OpType>::DEFINITION),*];
    };
}

table! {
    ops {
        Send: send::SendMessage,
        Edit: edit::EditMessage,
        Delete: delete::DeleteMessage,
        Typing: typing::Typing,
        FollowUp: follow_up::FollowUp,
        GetChatInfo: get_chat_info::GetChatInfo,
        SendMedia: send_media::SendMedia,
        Prompt: prompt::Prompt,
        React: react::React,
        ThreadCreate: thread_create::ThreadCreate,
        ThreadRename: thread_rename::ThreadRename,
        Draft: draft::Draft,
        TaskCard: task_card::TaskCard,
        TaskCardStop: task_card_stop::TaskCardStop,
        Raw: raw::Raw,
    }
    commands {
        Reply: reply::ReplyMessage,
        Turn: turn::Turn,
        Stream: stream::StreamReply,
        Interrupt: interrupt::Interrupt,
    }
}

pub use prompt::{PromptKind, PromptOption};
pub use send_media::MediaKind;
pub use turn::TurnState;

/// Returns the definition of an op or a command by its name.
pub fn definition(name: &str) -> Option<&'static Definition> {
    OPS.iter().chain(COMMANDS).find(|definition| definition.name == name)
}

impl Op {
    /// Returns the op's definition.
    pub fn definition(&self) -> &'static Definition {
        self.as_behavior().definition()
    }

    /// Returns the chat that it is for, where it names one.
    pub fn chat_id(&self) -> Option<&str> {
        self.as_behavior().target_chat()
    }

    /// Returns the platform that the op names.
    pub fn platform(&self) -> Option<&str> {
        self.as_behavior().target_platform()
    }

    pub(crate) fn refusal(&self) -> Option<&'static str> {
        self.as_behavior().refusal()
    }

    pub(crate) fn destination(&self) -> Destination<'_> {
        self.as_behavior().destination()
    }

    pub(crate) fn is_about_thread(&self) -> bool {
        self.as_behavior().is_about_thread()
    }

    pub(crate) fn answers(&mut self) -> Option<Answers<'_>> {
        self.as_behavior_mut().answers()
    }

    /// Returns its placement in a chat (M-8). `reply_in_thread` is the setting of that name.
    pub(crate) fn anchor<'a>(&'a self, chat: Option<&'a Chat>, reply_in_thread: bool) -> Anchor<'a> {
        let op = self.as_behavior();
        match op.metadata() {
            Some(metadata) => Anchor::of(op.placement(), metadata, op.platform(), chat, reply_in_thread),
            None => Anchor::AsGiven,
        }
    }

    pub(crate) fn write(&self, action: &mut Object<'_>, context: &Context<'_>) {
        self.as_behavior().write(action, context);
    }
}
