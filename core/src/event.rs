//! The inbound event (E): one message somebody sent, as the connector tells it.

mod context;
mod kinds;
mod media;
mod read;
mod record;
mod source;
#[cfg(test)]
mod tests;

pub use compact_str::CompactString;
pub use kinds::{ChatType, MediaKind, MessageType, TargetKind};
pub use media::Media;
pub(crate) use record::Part;
pub use source::Source;

use record::record;

record! {
    /// One inbound event.
    ///
    /// Every field may be absent. A field of the wrong type counts as absent, and costs the event nothing else (E-1). As
    /// JSON it is the one form of the bridge, of traces and of snapshots.
    pub struct Event {
        /// Text of the message; empty by default.
        pub text: CompactString = text "text",
        /// Kind of the message; text by default (E-2).
        pub message_type: MessageType = kind "message_type",
        /// The platform's id of the message.
        pub message_id: Option<CompactString> = id "message_id",
        /// Id of the message that this one answers.
        pub reply_to_message_id: Option<CompactString> = id "reply_to_message_id",
        /// Origin of the message.
        pub source: Source,
        /// The message that this one answers, as far as the connector told.
        pub reply_to: Option<ReplyTo>,
        /// Attachments, in the order of `media_urls` (E-7).
        pub media: Vec<Media>,
        /// The surrounding messages as one text, each on a line of its own that no other can forge (E-6). The event's own
        /// text never holds them.
        pub context: Option<CompactString>,
        /// The connector could not fetch the surrounding messages.
        pub context_error: bool = is_set "context_error",
        /// Answer to a prompt; only one with both ids counts (E-8).
        pub prompt_response: Option<PromptResponse>,
        /// The message was an interaction: a command, a button, a form. It is answered by a follow-up of the kind
        /// [`INTERACTION_TOKEN`](crate::passthrough::INTERACTION_TOKEN) under its session key, or by a plain message (P-8).
        #[serde(rename = "interaction")]
        pub is_interaction: bool,
        /// Values chosen from a select menu, in order (P-9).
        pub values: Vec<CompactString>,
        /// Target of a command of a context menu (P-9). A target message is also [`reply_to`](Self::reply_to), and its
        /// attachments are the event's.
        pub target: Option<Target>,
        /// The message came through an authenticated relay. The gateway says so, when its dials carry credentials or when
        /// the message came with a signature of its own; what the wire says of it counts for nothing (E-9).
        pub via_authenticated_relay: bool,
        /// The JSON that the event came as, if the configuration asks for it (`raw_events`): the connector's `event`, or
        /// the `forward` of an interaction. The text is one line; `NaN` and infinities are null in it, and a lone
        /// surrogate is U+FFFD.
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
        /// This gateway's bot wrote the message; `None` where the connector did not say.
        pub is_own: Option<bool> = flag "is_own",
    }
}

record! {
    /// Answer to a prompt (E-8).
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
    /// Target of a command of a context menu (P-9).
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

    /// Returns the bytes that the event keeps alive, for the bounds of queues.
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
