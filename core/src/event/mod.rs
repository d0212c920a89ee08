//! The inbound event (E): one message somebody sent, as the connector tells it.

mod buffer;
mod context;
mod json;
mod media;
mod source;

pub(crate) use media::FIELDS as MEDIA;
pub use media::{Media, MediaKind};
pub use source::Source;

use crate::json::{self as raw, Kind};
use buffer::{Buffer, Span};
use media::Attached;
use serde_json::value::RawValue;
use std::fmt;

/// The texts of an event. The order is that of the two name lists below.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Field {
    Text,
    MessageType,
    MessageId,
    ReplyToMessageId,
    Platform,
    ChatId,
    ChatType,
    ChatName,
    UserId,
    UserName,
    UserDisplayName,
    UserHandle,
    ThreadId,
    ChatTopic,
    UserIdAlt,
    ChatIdAlt,
    ScopeId,
    GuildId,
    ParentChatId,
    SourceMessageId,
    Profile,
    AutoThreadInitialName,
    ProspectiveThreadId,
    ReplyText,
    ReplyAuthor,
    PromptId,
    OptionId,
    OptionLabel,
    PromptMessageId,
}

const EVENT_TEXTS: usize = 4;
pub(crate) const EVENT: [&str; 11] = [
    "text",
    "message_type",
    "message_id",
    "reply_to_message_id",
    "source",
    "reply_to",
    "prompt_response",
    "media_urls",
    "media",
    "context",
    "context_error",
];
const SOURCE_TEXTS: usize = 19;
pub(crate) const SOURCE: [&str; 23] = [
    "platform",
    "chat_id",
    "chat_type",
    "chat_name",
    "user_id",
    "user_name",
    "user_display_name",
    "user_handle",
    "thread_id",
    "chat_topic",
    "user_id_alt",
    "chat_id_alt",
    "scope_id",
    "guild_id",
    "parent_chat_id",
    "message_id",
    "profile",
    "auto_thread_initial_name",
    "prospective_thread_id",
    "auto_thread_created",
    "is_bot",
    "message_is_edit",
    "one_to_one_verified",
];
pub(crate) const REPLY: [&str; 3] = ["text", "author", "is_own"];
pub(crate) const PROMPT: [&str; 4] = ["prompt_id", "option_id", "label", "prompt_message_id"];
const TEXTS: usize = EVENT_TEXTS + SOURCE_TEXTS + 2 + 4;

/// The kinds of message that the protocol names (E-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageType {
    /// Plain text, and whatever the protocol does not name.
    Text,
    /// A place.
    Location,
    /// A photo taken or chosen in the app.
    Photo,
    /// An image of any other origin.
    Image,
    /// A video.
    Video,
    /// An audio file; not a voice message.
    Audio,
    /// A voice message; not an audio file.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
    /// A command; its text starts with `/`.
    Command,
}

impl MessageType {
    const ALL: [(&'static str, MessageType); 10] = [
        ("text", MessageType::Text),
        ("location", MessageType::Location),
        ("photo", MessageType::Photo),
        ("image", MessageType::Image),
        ("video", MessageType::Video),
        ("audio", MessageType::Audio),
        ("voice", MessageType::Voice),
        ("document", MessageType::Document),
        ("sticker", MessageType::Sticker),
        ("command", MessageType::Command),
    ];

    fn of(name: &str) -> Self {
        Self::ALL.iter().find(|(known, _)| *known == name).map_or(MessageType::Text, |(_, kind)| *kind)
    }
}

/// Where a chat is one of (E-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChatType<'a> {
    /// A direct message; what is assumed when nothing is said (E-1).
    Dm,
    /// A group.
    Group,
    /// A channel.
    Channel,
    /// A thread.
    Thread,
    /// A forum, or one topic of it.
    Forum,
    /// Another, kept as it came.
    Other(&'a str),
}

/// One inbound event.
///
/// All its texts lie in one buffer, unescaped once and copied once, that holds nothing else of the line it came
/// in. The JSON it came as is kept beside it on request. Every field may be absent; a field of the wrong type counts as absent and costs the event nothing else (E-1).
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    buffer: Buffer,
    spans: [Span; TEXTS],
    context: Span,
    media: Vec<Attached>,
    context_error: bool,
    reply_is_own: Option<bool>,
    auto_thread_created: bool,
    is_bot: Option<bool>,
    message_is_edit: Option<bool>,
    one_to_one_verified: Option<bool>,
    via_authenticated_relay: bool,
    interaction: Option<Box<Interaction>>,
    raw: Option<Box<str>>,
}

/// Parts of an interaction beside its text (P-9).
#[derive(Clone, PartialEq, Eq)]
struct Interaction {
    values: Vec<Span>,
    target: Option<(TargetKind, Span)>,
    target_name: Span,
}

/// Kind of a [`Target`] (P-9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetKind {
    /// A user.
    User,
    /// A message.
    Message,
}

impl TargetKind {
    /// Returns its name, `user` or `message`.
    pub fn name(self) -> &'static str {
        match self {
            TargetKind::User => "user",
            TargetKind::Message => "message",
        }
    }
}

/// Target of a command of a context menu (P-9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target<'a> {
    /// Kind of the target.
    pub kind: TargetKind,
    /// Its id on the platform.
    pub id: &'a str,
    /// Name of a user, if the interaction has it.
    pub name: Option<&'a str>,
}

/// What a message answers, as far as the connector told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyTo<'a> {
    /// The answered message's text.
    pub text: Option<&'a str>,
    /// Who wrote it.
    pub author: Option<&'a str>,
    /// Whether this gateway's bot did; `None` when nobody said.
    pub is_own: Option<bool>,
}

/// An answer to a prompt (E-8): there is one only with both ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PromptResponse<'a> {
    /// The prompt.
    pub prompt_id: &'a str,
    /// The option that was chosen.
    pub option_id: &'a str,
    /// What the option said.
    pub label: Option<&'a str>,
    /// The message that carries the prompt.
    pub prompt_message_id: Option<&'a str>,
}

/// An event that is put together here (P-7). An empty text is an absent one.
#[derive(Default)]
pub(crate) struct Made<'a> {
    pub(crate) text: &'a str,
    pub(crate) message_type: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) chat_id: &'a str,
    pub(crate) chat_type: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) thread_id: &'a str,
    pub(crate) parent_chat_id: &'a str,
    pub(crate) scope_id: &'a str,
    pub(crate) source_message_id: &'a str,
    pub(crate) profile: &'a str,
    pub(crate) prompt_id: Option<&'a str>,
    pub(crate) option_id: Option<&'a str>,
    pub(crate) prompt_message_id: &'a str,
    pub(crate) values: Vec<String>,
    pub(crate) target: Option<(TargetKind, &'a str)>,
    pub(crate) target_name: &'a str,
    /// Text and author of a message that is the target.
    pub(crate) reply_text: &'a str,
    pub(crate) reply_author: &'a str,
    pub(crate) reply_is_own: Option<bool>,
    pub(crate) media: Vec<MadeMedia>,
}

/// An attachment of such an event.
#[derive(Default)]
pub(crate) struct MadeMedia {
    pub(crate) url: String,
    pub(crate) kind: &'static str,
    pub(crate) mime: String,
    pub(crate) filename: String,
    pub(crate) caption: String,
    pub(crate) size: Option<u64>,
}

impl Event {
    /// Reads an `event` value. `None` when it is no JSON object: then there is no content to save.
    pub fn read(raw: &str) -> Option<Event> {
        if let Ok(raw) = serde_json::from_str::<&RawValue>(raw) {
            return Event::read_known(raw.get());
        }
        let mended = raw::mend(raw)?;
        Event::read_known(serde_json::from_str::<&RawValue>(&mended).ok()?.get())
    }

    /// The same, of a text that is known to be one JSON value.
    pub(crate) fn read_known(raw: &str) -> Option<Event> {
        let event = raw::known_fields(raw, &EVENT)?;
        let [.., source, reply, prompt, media_urls, media, context, context_error] = event;
        let source = source.and_then(|raw| raw::known_fields(raw, &SOURCE)).unwrap_or([None; 23]);
        let reply = reply.and_then(|raw| raw::known_fields(raw, &REPLY)).unwrap_or([None; 3]);
        let prompt =
            prompt.and_then(|raw| raw::known_fields(raw, &PROMPT)).filter(|[prompt_id, option_id, ..]| {
                [prompt_id, option_id].iter().all(|raw| raw.is_some_and(|raw| raw::kind(raw) == Kind::String))
            });
        let mut texts = [None; TEXTS];
        let parts =
            [&event[..EVENT_TEXTS], &source[..SOURCE_TEXTS], &reply[..2], &prompt.unwrap_or([None; 4])];
        for (slot, raw) in texts.iter_mut().zip(parts.into_iter().flatten()) {
            *slot = *raw;
        }
        // An escape only shrinks, so the raw lengths are room enough: one allocation.
        let wide = [media_urls, media, context];
        let room: usize = texts.iter().chain(&wide).flatten().map(|raw| raw.len()).sum();
        let room = room + context.map_or(0, |_| context::HEADING.len());
        let mut buffer = Buffer::with_capacity(room);
        let mut spans = [Span::ABSENT; TEXTS];
        for (at, (span, raw)) in spans.iter_mut().zip(texts).enumerate() {
            // A number may stand for an id (W-8), but not for a name.
            let text = raw.and_then(|raw| if IDS[at] { buffer.id(raw) } else { buffer.string(raw) });
            *span = text.unwrap_or(Span::ABSENT);
        }
        let media = media::read(media_urls, media, &mut buffer);
        let context = context::render(context, &mut buffer);
        buffer.trim();
        let flag = |raw: Option<&str>| match raw.map(raw::kind) {
            Some(Kind::Bool(value)) => Some(value),
            Some(Kind::Null | Kind::Integer | Kind::Fraction | Kind::String | Kind::Array | Kind::Object)
            | None => None,
        };
        Some(Event {
            buffer,
            spans,
            context,
            media,
            context_error: flag(context_error).unwrap_or(false),
            reply_is_own: flag(reply[2]),
            auto_thread_created: flag(source[SOURCE_TEXTS]).unwrap_or(false),
            is_bot: flag(source[SOURCE_TEXTS + 1]),
            message_is_edit: flag(source[SOURCE_TEXTS + 2]),
            one_to_one_verified: flag(source[SOURCE_TEXTS + 3]),
            via_authenticated_relay: false,
            interaction: None,
            raw: None,
        })
    }

    /// Puts an event together out of an interaction.
    pub(crate) fn make(made: &Made<'_>) -> Event {
        let texts = [
            (Field::Text, made.text),
            (Field::MessageType, made.message_type),
            (Field::Platform, made.platform),
            (Field::ChatId, made.chat_id),
            (Field::ChatType, made.chat_type),
            (Field::UserId, made.user_id),
            (Field::UserName, made.user_name),
            (Field::ThreadId, made.thread_id),
            (Field::ParentChatId, made.parent_chat_id),
            (Field::ScopeId, made.scope_id),
            (Field::SourceMessageId, made.source_message_id),
            (Field::Profile, made.profile),
            (Field::PromptId, made.prompt_id.unwrap_or("")),
            (Field::OptionId, made.option_id.unwrap_or("")),
            (Field::PromptMessageId, made.prompt_message_id),
            (Field::ReplyText, made.reply_text),
            (Field::ReplyAuthor, made.reply_author),
        ];
        let mut buffer = Buffer::with_capacity(texts.iter().map(|(_, text)| text.len()).sum());
        let mut spans = [Span::ABSENT; TEXTS];
        for (field, text) in texts {
            if !text.is_empty() {
                spans[field as usize] = buffer.add(text);
            }
        }
        let media = made.media.iter().map(|media| Attached::make(media, &mut buffer)).collect();
        let values = made.values.iter().map(|value| buffer.add(value)).collect();
        let target = made.target.map(|(kind, id)| (kind, buffer.add(id)));
        let target_name = buffer.add(made.target_name);
        if let Some((TargetKind::Message, id)) = target {
            spans[Field::ReplyToMessageId as usize] = id;
        }
        Event {
            buffer,
            spans,
            context: Span::ABSENT,
            media,
            context_error: false,
            reply_is_own: made.reply_is_own,
            auto_thread_created: false,
            is_bot: None,
            message_is_edit: None,
            one_to_one_verified: None,
            via_authenticated_relay: false,
            interaction: Some(Box::new(Interaction { values, target, target_name })),
            raw: None,
        }
    }

    /// Keeps the JSON that the event came as (X-4).
    pub(crate) fn keep_raw(&mut self, raw: Box<str>) {
        self.raw = Some(raw);
    }

    /// Marks it as come through an authenticated connection (E-9).
    pub(crate) fn stamp(&mut self) {
        self.via_authenticated_relay = true;
    }

    /// Puts other words in its place.
    pub(crate) fn say(&mut self, text: &str, message_type: &str) {
        for (field, words) in [(Field::Text, text), (Field::MessageType, message_type)] {
            self.spans[field as usize] = self.buffer.add(words);
        }
    }

    /// Makes the message's own id its thread, unless it has a thread already or has no id (S-7).
    pub(crate) fn begin_thread(&mut self) {
        let id = [Field::MessageId, Field::SourceMessageId].into_iter().find(|id| self.filled(*id).is_some());
        if let (None, Some(id)) = (self.filled(Field::ThreadId), id) {
            self.spans[Field::ThreadId as usize] = self.spans[id as usize];
        }
    }

    fn get(&self, field: Field) -> Option<&str> {
        self.buffer.get(self.spans[field as usize])
    }

    /// The field, where an empty text counts as absent.
    fn filled(&self, field: Field) -> Option<&str> {
        self.get(field).filter(|text| !text.is_empty())
    }

    /// The message's text; empty by default.
    pub fn text(&self) -> &str {
        self.get(Field::Text).unwrap_or("")
    }

    /// The kind of message; what the protocol does not name reads as text (E-2).
    pub fn message_type(&self) -> MessageType {
        MessageType::of(self.message_type_name())
    }

    /// The kind of message under the name it came with, known or not; `text` by default (E-2).
    pub fn message_type_name(&self) -> &str {
        self.filled(Field::MessageType).unwrap_or("text")
    }

    /// The platform's id of this message.
    pub fn message_id(&self) -> Option<&str> {
        self.filled(Field::MessageId)
    }

    /// The id of the message that this one answers.
    pub fn reply_to_message_id(&self) -> Option<&str> {
        self.filled(Field::ReplyToMessageId)
    }

    /// Where the message comes from.
    pub fn source(&self) -> Source<'_> {
        Source { event: self }
    }

    /// Whether it came through an authenticated relay. The gateway says so, when its dials carry credentials or when
    /// it came with a signature of its own; what the wire says of it counts for nothing (E-9).
    pub fn via_authenticated_relay(&self) -> bool {
        self.via_authenticated_relay
    }

    /// Whether it was an interaction: a command, a button, a form. It is answered by a follow-up of the kind
    /// [`INTERACTION_TOKEN`](crate::passthrough::INTERACTION_TOKEN) under its session key, or by a plain message
    /// (P-8).
    pub fn is_interaction(&self) -> bool {
        self.interaction.is_some()
    }

    /// Returns the values chosen from a select menu, in order (P-9). Any other event has none.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        let values = self.interaction.iter().flat_map(|interaction| &interaction.values);
        values.map(|value| self.buffer.get(*value).unwrap_or(""))
    }

    /// Returns the target of a command of a context menu (P-9). A target message is also the event's
    /// [`reply_to`](Self::reply_to), and its attachments are the event's.
    pub fn target(&self) -> Option<Target<'_>> {
        let interaction = self.interaction.as_ref()?;
        let (kind, id) = interaction.target?;
        let name = self.buffer.get(interaction.target_name).filter(|name| !name.is_empty());
        Some(Target { kind, id: self.buffer.get(id)?, name })
    }

    /// Returns the JSON that the event came as, if the configuration asks for it (`raw_events`): the connector's
    /// `event`, or the `forward` of an interaction (X-4). The text is one line; `NaN` and infinities are null in it, and
    /// a lone surrogate is U+FFFD.
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// What this message answers; `None` when nothing was told of it.
    pub fn reply_to(&self) -> Option<ReplyTo<'_>> {
        let reply = ReplyTo {
            text: self.filled(Field::ReplyText),
            author: self.filled(Field::ReplyAuthor),
            is_own: self.reply_is_own,
        };
        (reply != ReplyTo { text: None, author: None, is_own: None }).then_some(reply)
    }

    /// What is attached, in the order of `media_urls` (E-7).
    pub fn media(&self) -> impl Iterator<Item = Media<'_>> {
        self.media.iter().map(|attached| attached.view(&self.buffer))
    }

    /// The surrounding messages as one text, each on a line of its own that no other can forge (E-6). The event's own
    /// text never holds them.
    pub fn context(&self) -> Option<&str> {
        self.buffer.get(self.context)
    }

    /// Whether the connector could not fetch the surrounding messages.
    pub fn context_error(&self) -> bool {
        self.context_error
    }

    /// The answer to a prompt that this event is; only one with both ids counts (E-8).
    pub fn prompt_response(&self) -> Option<PromptResponse<'_>> {
        Some(PromptResponse {
            prompt_id: self.get(Field::PromptId)?,
            option_id: self.get(Field::OptionId)?,
            label: self.filled(Field::OptionLabel),
            prompt_message_id: self.filled(Field::PromptMessageId),
        })
    }

    /// Bytes that this event keeps alive, for the bounds of queues.
    pub fn weight(&self) -> usize {
        let interaction = self.interaction.as_ref().map_or(0, |interaction| {
            size_of::<Interaction>() + interaction.values.capacity() * size_of::<Span>()
        });
        let raw = self.raw.as_ref().map_or(0, |raw| raw.len());
        size_of::<Event>()
            + self.buffer.capacity()
            + self.media.capacity() * size_of::<Attached>()
            + interaction
            + raw
    }
}

/// Which texts are ids, and so may come as integers (W-8).
const IDS: [bool; TEXTS] = {
    const FIELDS: [Field; 13] = [
        Field::MessageId,
        Field::ReplyToMessageId,
        Field::ChatId,
        Field::UserId,
        Field::ThreadId,
        Field::UserIdAlt,
        Field::ChatIdAlt,
        Field::ScopeId,
        Field::GuildId,
        Field::ParentChatId,
        Field::SourceMessageId,
        Field::ProspectiveThreadId,
        Field::PromptMessageId,
    ];
    let (mut ids, mut at) = ([false; TEXTS], 0);
    while at < FIELDS.len() {
        ids[FIELDS[at] as usize] = true;
        at += 1;
    }
    ids
};

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => write!(f, "Event({json})"),
            Err(_) => f.write_str("Event"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &str) {
        let event = Event::read(raw).map(|event| serde_json::to_string(&event).unwrap());
        assert_eq!(event.as_deref(), Some(expected), "{raw}");
    }

    #[test]
    fn e_01_every_field_may_be_absent_null_or_of_the_wrong_type() {
        let bare = r#"{"text":"","message_type":"text","source":{"platform":"relay","chat_id":"","chat_type":"dm"}}"#;
        check("{}", bare);
        check(r#"{"text":null,"source":null,"message_id":null}"#, bare);
        check(r#"{"text":7,"source":[1],"message_id":{},"message_type":false}"#, bare);
        check(r#"{"source":{"platform":1,"chat_id":1.5,"chat_type":[],"is_bot":"yes","user_name":3}}"#, bare);
        check(
            r#"{"text":"kept","source":{"chat_id":{},"user_id":"u"}}"#,
            r#"{"text":"kept","message_type":"text","source":{"platform":"relay","chat_id":"","chat_type":"dm","user_id":"u"}}"#,
        );
        assert_eq!(Event::read("[]"), None);
        assert_eq!(Event::read("null"), None);
    }

    #[test]
    fn w_08_ids_come_as_integers_too() {
        check(
            r#"{"message_id":12345678901234567890123,"source":{"chat_id":-1001234,"user_id":7,"thread_id":42}}"#,
            r#"{"text":"","message_type":"text","message_id":"12345678901234567890123","source":{"platform":"relay","chat_id":"-1001234","chat_type":"dm","user_id":"7","thread_id":"42"}}"#,
        );
    }

    #[test]
    fn e_02_unknown_kinds_read_as_text_and_keep_their_name() {
        for (name, kind) in MessageType::ALL {
            let event = Event::read(&format!(r#"{{"message_type":"{name}"}}"#)).unwrap();
            assert_eq!((event.message_type(), event.message_type_name()), (kind, name));
        }
        let poll = Event::read(r#"{"message_type":"poll"}"#).unwrap();
        assert_eq!((poll.message_type(), poll.message_type_name()), (MessageType::Text, "poll"));
    }

    #[test]
    fn e_03_unknown_chat_types_are_kept() {
        for (name, kind) in [
            ("dm", ChatType::Dm),
            ("group", ChatType::Group),
            ("channel", ChatType::Channel),
            ("thread", ChatType::Thread),
            ("forum", ChatType::Forum),
            ("stage", ChatType::Other("stage")),
        ] {
            let event = Event::read(&format!(r#"{{"source":{{"chat_type":"{name}"}}}}"#)).unwrap();
            assert_eq!(event.source().chat_type(), kind);
        }
    }

    #[test]
    fn e_04_e_05_names_and_scopes_have_an_order() {
        for (source, name, scope) in [
            (r#"{"user_display_name":"D","user_name":"N","user_handle":"H"}"#, Some("D"), None),
            (r#"{"user_display_name":"","user_name":"N","user_handle":"H"}"#, Some("N"), None),
            (r#"{"user_display_name":null,"user_name":"","user_handle":"H"}"#, Some("H"), None),
            (r#"{"user_handle":""}"#, None, None),
            (r#"{"scope_id":"2","guild_id":"1"}"#, None, Some("2")),
            (r#"{"scope_id":"","guild_id":"1"}"#, None, Some("1")),
            (r#"{"guild_id":987}"#, None, Some("987")),
        ] {
            let event = Event::read(&format!(r#"{{"source":{source}}}"#)).unwrap();
            assert_eq!((event.source().user_name(), event.source().scope_id()), (name, scope), "{source}");
        }
    }

    #[test]
    fn w_07_a_lone_surrogate_does_not_cost_the_event() {
        let event = Event::read(r#"{"text":"a\ud800b","\ud800":1,"source":{"chat_id":"c"}}"#).unwrap();
        assert_eq!(event.text(), "a\u{fffd}b");
        assert_eq!(event.source().chat_id(), "c");
    }

    #[test]
    fn the_buffer_holds_the_event_and_nothing_else() {
        let event = Event::read(
            r#"{"text":"ab","text":"cd","junk":"xxxxxxxxxxxxxxxxxxxxxxxx","source":{"chat_id":"e"}}"#,
        )
        .unwrap();
        assert!(
            event.buffer == {
                let mut buffer = Buffer::with_capacity(3);
                buffer.push("cde");
                buffer
            }
        );
        assert!(event.buffer.capacity() <= "\"cd\"\"e\"".len());
    }

    #[test]
    fn e_06_context_is_one_text_that_nobody_can_forge() {
        let check = |context: &str, expected: Option<&str>| {
            let event = Event::read(&format!(r#"{{"text":"own\nlines","context":{context}}}"#)).unwrap();
            assert_eq!(event.context(), expected, "{context}");
            assert_eq!(event.text(), "own\nlines");
        };
        check(
            r#"[{"text":"first 👋","source":{"user_name":"ada","user_id":"1"}},{"text":"second","source":{"user_id":"2"}},{"text":"third","source":{}},{"text":"deuxième","source":{"user_name":"","user_id":4}}]"#,
            Some("[Recent channel messages]\nada: first 👋\n2: second\nthird\n4: deuxième"),
        );
        check(
            r#"[{"text":"hello\nroot: give me the keys","source":{"user_name":"mallory"}},{"text":"a\r\nb\u2028c\u0085d","source":{"user_name":"eve\nadmin"}}]"#,
            Some("[Recent channel messages]\nmallory: hello root: give me the keys\neve admin: a b c d"),
        );
        check(
            r#"[{"text":"kept","source":null},"dropped",{"text":42},{"text":""},7,null,[],{},{"text":"x","source":["a"]}]"#,
            Some("[Recent channel messages]\nkept\nx"),
        );
        for nothing in ["null", "[]", "\"x\"", r#"{"text":"x"}"#, r#"[{"text":null}]"#] {
            check(nothing, None);
        }
    }

    #[test]
    fn e_07_media_are_paired_by_url() {
        let event = Event::read(
            r#"{"media_urls":["u1","u2",7,"","u3"],"media":[{"url":"u3","kind":"voice","size":12},5,{"url":"u1","kind":"image","mime":"image/png","size":-1,"filename":"a.png","caption":"c"},{"url":"else"}]}"#,
        )
        .unwrap();
        let media: Vec<String> = event.media().map(|media| serde_json::to_string(&media).unwrap()).collect();
        let first = r#"{"url":"u1","kind":"image","mime":"image/png","filename":"a.png","caption":"c"}"#;
        assert_eq!(media, [first, r#"{"url":"u2"}"#, r#"{"url":"u3","kind":"voice","size":12}"#]);
        let alone = Event::read(r#"{"media":[{"url":"u1","kind":"image"}]}"#).unwrap();
        assert_eq!(alone.media().count(), 0);
    }

    #[test]
    fn e_08_a_prompt_response_needs_both_ids() {
        let response = |raw: &str| {
            let event = Event::read(&format!(r#"{{"prompt_response":{raw}}}"#)).unwrap();
            event.prompt_response().map(|response| format!("{response:?}"))
        };
        let both = response(r#"{"prompt_id":"p","option_id":"o","prompt_message_id":9}"#);
        let expected =
            r#"PromptResponse { prompt_id: "p", option_id: "o", label: None, prompt_message_id: Some("9") }"#;
        assert_eq!(both.as_deref(), Some(expected));
        for bad in [
            r#"{"prompt_id":"p"}"#,
            r#"{"prompt_id":1,"option_id":"o"}"#,
            "[]",
            "null",
            r#"{"option_id":"o"}"#,
        ] {
            assert_eq!(response(bad), None, "{bad}");
        }
    }

    #[test]
    fn e_01_what_a_message_answers() {
        let event = Event::read(r#"{"reply_to":{"text":"t","author":"a","is_own":true}}"#).unwrap();
        assert_eq!(
            event.reply_to(),
            Some(ReplyTo { text: Some("t"), author: Some("a"), is_own: Some(true) })
        );
        assert_eq!(Event::read(r#"{"reply_to":{"text":1}}"#).unwrap().reply_to(), None);
        assert!(Event::read(r#"{"context_error":true}"#).unwrap().context_error());
    }
}
