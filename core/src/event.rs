//! Inbound events: messages that users sent, as the connector forwards them.

mod context;
mod kinds;
mod media;
mod read;
mod record;
mod source;
mod stable_key;
mod stored;
#[cfg(test)]
mod tests;

pub use compact_str::CompactString;
pub use kinds::{ChatType, MediaKind, MessageType, TargetKind};
pub use media::Media;
pub(crate) use record::Part;
pub use source::{Source, UNNAMED_PLATFORM};
pub use stable_key::StableKey;

use record::record;

record! {
    /// An inbound event.
    ///
    /// Every field may be absent. A field of the wrong type counts as absent. The JSON form is the same in the
    /// bridge, in traces and in snapshots.
    pub struct Event {
        /// Text of the message; empty by default.
        pub text: CompactString = text "text",
        /// Kind of the message; text by default.
        pub message_type: MessageType = kind "message_type",
        /// Platform's id of the message.
        pub message_id: Option<CompactString> = id "message_id",
        /// Id of the message that this one answers.
        pub reply_to_message_id: Option<CompactString> = id "reply_to_message_id",
        /// Origin of the message.
        pub source: Source,
        /// Message that this one answers, as far as the connector sent it.
        pub reply_to: Option<ReplyTo>,
        /// Attachments, in the order of `media_urls`.
        pub media: Vec<Media>,
        /// Surrounding messages as one text, one line each. A message cannot forge another's line. They are not
        /// repeated in `text`.
        pub context: Option<CompactString>,
        /// True if the connector could not fetch the surrounding messages.
        pub context_error: bool = is_set "context_error",
        /// Answer to a prompt; only one with both ids counts.
        pub prompt_response: Option<PromptResponse>,
        /// True if the message is an interaction: a command, a button or a form. Answer it with a follow-up of the
        /// kind [`INTERACTION_TOKEN`](crate::passthrough::INTERACTION_TOKEN) under its session key, or with a plain
        /// message.
        #[serde(rename = "interaction")]
        pub is_interaction: bool,
        /// Values chosen from a select menu, in order.
        pub values: Vec<CompactString>,
        /// Target of a command of a context menu. A target message is also [`reply_to`](Self::reply_to), and its
        /// attachments are the event's.
        pub target: Option<Target>,
        /// True if the message came through an authenticated relay: the dials carry credentials, or the message
        /// itself is signed. The gateway sets the field; a value from the connector is ignored.
        pub via_authenticated_relay: bool,
        /// JSON that the event was received as, if [`Config::raw_events`](crate::config::Config::raw_events) is set:
        /// the connector's `event`, or the `forward` of an interaction. It is one line; `NaN` and infinities become
        /// null, and lone surrogates U+FFFD.
        #[serde(skip)]
        pub raw: Option<Box<str>>,
    }
}

record! {
    /// Message that an event answers.
    pub struct ReplyTo {
        /// Text of the message.
        pub text: Option<CompactString> = name "text",
        /// Name of the author.
        pub author: Option<CompactString> = name "author",
        /// True if this gateway's bot wrote the message; `None` if unknown.
        pub is_own: Option<bool> = flag "is_own",
    }
}

record! {
    /// Answer to a prompt.
    pub struct PromptResponse {
        /// Id of the prompt.
        pub prompt_id: CompactString,
        /// Id of the option that was chosen.
        pub option_id: CompactString,
        /// Text of the option.
        pub label: Option<CompactString>,
        /// Id of the message that carries the prompt.
        pub prompt_message_id: Option<CompactString>,
    }
}

record! {
    /// Target of a command of a context menu.
    pub struct Target {
        /// Kind of the target.
        pub kind: TargetKind,
        /// Id of the target on the platform.
        pub id: CompactString,
        /// Name of a user, if the interaction has it.
        pub name: Option<CompactString>,
    }
}

impl Event {
    /// Returns the id of the message, by the event or by its source.
    pub fn any_message_id(&self) -> Option<&CompactString> {
        self.message_id.as_ref().or(self.source.message_id.as_ref())
    }

    /// Replaces the text.
    pub(crate) fn say(&mut self, text: &str, message_type: MessageType) {
        self.text = text.into();
        self.message_type = message_type;
    }

    /// Makes the message's own id its thread, unless it has a thread already or has no id (S-7).
    pub(crate) fn begin_thread(&mut self) {
        if self.source.thread_id.is_none() {
            self.source.thread_id = self.any_message_id().cloned();
        }
    }

    /// Returns the number of bytes that the event keeps alive. Queues are bounded by it.
    pub fn weight(&self) -> usize {
        size_of::<Event>() + self.heap()
    }
}

/// Names of the fields that are read of an event and of its parts.
pub(crate) const FIELDS: &[&[&str]] = &[Event::FIELDS, &[read::SOURCE], &read::NESTED];
pub(crate) const SOURCE_FIELDS: &[&[&str]] = &[Source::FIELDS, &source::FALLBACKS];
pub(crate) const REPLY_FIELDS: &[&[&str]] = &[ReplyTo::FIELDS];
pub(crate) const PROMPT_FIELDS: &[&[&str]] = &[&read::PROMPT_RESPONSE];
pub(crate) const MEDIA_FIELDS: &[&[&str]] = &[&media::FIELDS];
