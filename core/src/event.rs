//! The inbound event (E): one message somebody sent, as the connector tells it.

use crate::json;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// Where one field's text lies in the event's buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    const ABSENT: Span = Span { start: u32::MAX, len: 0 };
}

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
}

const EVENT_TEXTS: usize = 4;
const EVENT: [&str; 5] = ["text", "message_type", "message_id", "reply_to_message_id", "source"];
const SOURCE_TEXTS: usize = 19;
const SOURCE: [&str; 23] = [
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
const TEXTS: usize = EVENT_TEXTS + SOURCE_TEXTS;

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
/// in. Every field may be absent; a field of the wrong type counts as absent and costs the event nothing else (E-1).
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    buffer: String,
    spans: [Span; TEXTS],
    auto_thread_created: bool,
    is_bot: Option<bool>,
    message_is_edit: Option<bool>,
    one_to_one_verified: Option<bool>,
}

impl Event {
    /// Reads an `event` value. `None` when it is no object: then there is no content to save.
    pub fn read(raw: &str) -> Option<Event> {
        let event = json::fields(raw, &EVENT)?;
        let source = event[EVENT_TEXTS].and_then(|raw| json::fields(raw, &SOURCE)).unwrap_or([None; 23]);
        let raw_of = |at: usize| {
            let (raw, id) = if at < EVENT_TEXTS {
                (event[at], at == Field::MessageId as usize || at == Field::ReplyToMessageId as usize)
            } else {
                (source[at - EVENT_TEXTS], is_id(at))
            };
            // A number may stand for an id (W-8), but not for a name.
            raw.filter(|raw| json::kind(raw) == json::Kind::String || (id && json::is_id(raw)))
        };
        // An escape only shrinks, so the raw lengths are room enough: one allocation.
        let room = (0..TEXTS).filter_map(raw_of).map(str::len).sum();
        let mut buffer = String::with_capacity(room);
        let mut spans = [Span::ABSENT; TEXTS];
        for (at, span) in spans.iter_mut().enumerate() {
            if let Some(raw) = raw_of(at) {
                let start = buffer.len();
                json::push_text(raw, &mut buffer);
                *span = Span { start: narrow(start)?, len: narrow(buffer.len() - start)? };
            }
        }
        let flag = |at: usize| match source[SOURCE_TEXTS + at].map(json::kind) {
            Some(json::Kind::Bool(value)) => Some(value),
            Some(
                json::Kind::Null
                | json::Kind::Integer
                | json::Kind::Fraction
                | json::Kind::String
                | json::Kind::Array
                | json::Kind::Object,
            )
            | None => None,
        };
        Some(Event {
            buffer,
            spans,
            auto_thread_created: flag(0).unwrap_or(false),
            is_bot: flag(1),
            message_is_edit: flag(2),
            one_to_one_verified: flag(3),
        })
    }

    fn get(&self, field: Field) -> Option<&str> {
        let Span { start, len } = self.spans[field as usize];
        self.buffer.get(start as usize..start as usize + len as usize)
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

    /// Bytes that this event keeps alive, for the bounds of queues.
    pub fn weight(&self) -> usize {
        size_of::<Event>() + self.buffer.capacity()
    }
}

fn narrow(n: usize) -> Option<u32> {
    u32::try_from(n).ok()
}

/// Which texts of a source are ids, and so may come as integers (W-8).
fn is_id(at: usize) -> bool {
    const IDS: [Field; 10] = [
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
    ];
    IDS.iter().any(|id| *id as usize == at)
}

/// Where an event comes from: who, in which chat, on which platform. Empty ids count as absent.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    event: &'a Event,
}

macro_rules! optional {
    ($($(#[$doc:meta])* $name:ident = $field:ident;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> Option<&'a str> { self.event.filled(Field::$field) })*
    };
}

impl<'a> Source<'a> {
    /// The platform, by its protocol name; `relay` by default (E-1).
    pub fn platform(&self) -> &'a str {
        self.event.filled(Field::Platform).unwrap_or("relay")
    }

    /// The chat's id; empty when it was not said (E-1).
    pub fn chat_id(&self) -> &'a str {
        self.event.get(Field::ChatId).unwrap_or("")
    }

    /// What sort of chat it is; a direct message by default (E-1, E-3).
    pub fn chat_type(&self) -> ChatType<'a> {
        match self.chat_type_name() {
            "dm" => ChatType::Dm,
            "group" => ChatType::Group,
            "channel" => ChatType::Channel,
            "thread" => ChatType::Thread,
            "forum" => ChatType::Forum,
            other => ChatType::Other(other),
        }
    }

    /// The name of that sort, as it came; `dm` by default (E-1, E-3).
    pub fn chat_type_name(&self) -> &'a str {
        self.event.filled(Field::ChatType).unwrap_or("dm")
    }

    /// The author's name: the display name, else the user name, else the handle (E-4).
    pub fn user_name(&self) -> Option<&'a str> {
        [Field::UserDisplayName, Field::UserName, Field::UserHandle]
            .into_iter()
            .find_map(|field| self.event.filled(field))
    }

    /// The server, workspace or space that the chat belongs to: `scope_id`, else `guild_id` (E-5).
    pub fn scope_id(&self) -> Option<&'a str> {
        [Field::ScopeId, Field::GuildId].into_iter().find_map(|field| self.event.filled(field))
    }

    optional! {
        /// The chat's name.
        chat_name = ChatName;
        /// The author's id.
        user_id = UserId;
        /// The author's other id, where a platform has two.
        user_id_alt = UserIdAlt;
        /// The chat's other id, where a platform has two.
        chat_id_alt = ChatIdAlt;
        /// The thread or topic inside the chat.
        thread_id = ThreadId;
        /// The chat's topic line.
        chat_topic = ChatTopic;
        /// The chat that a thread hangs off.
        parent_chat_id = ParentChatId;
        /// The message's id as the source has it.
        message_id = SourceMessageId;
        /// The agent profile that this chat is for.
        profile = Profile;
        /// The name that an automatically created thread was given.
        auto_thread_initial_name = AutoThreadInitialName;
        /// The thread that an answer would open (S-5).
        prospective_thread_id = ProspectiveThreadId;
    }

    /// Whether the connector opened the thread for this message.
    pub fn auto_thread_created(&self) -> bool {
        self.event.auto_thread_created
    }

    /// Whether a bot wrote it; `None` when nobody said.
    pub fn is_bot(&self) -> Option<bool> {
        self.event.is_bot
    }

    /// Whether it edits an earlier message; `None` when nobody said.
    pub fn message_is_edit(&self) -> Option<bool> {
        self.event.message_is_edit
    }

    /// Whether the connector has verified that only one user reads this chat; `None` when nobody said.
    pub fn one_to_one_verified(&self) -> Option<bool> {
        self.event.one_to_one_verified
    }
}

/// The one JSON form of an event: in the bridge, in traces, in snapshots. Absent things are left out.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("text", self.text())?;
        map.serialize_entry("message_type", self.message_type_name())?;
        let mut entry = |name, value: Option<&str>| match value {
            Some(value) => map.serialize_entry(name, value),
            None => Ok(()),
        };
        entry("message_id", self.message_id())?;
        entry("reply_to_message_id", self.reply_to_message_id())?;
        map.serialize_entry("source", &self.source())?;
        map.end()
    }
}

impl Serialize for Source<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("platform", self.platform())?;
        map.serialize_entry("chat_id", self.chat_id())?;
        map.serialize_entry("chat_type", self.chat_type_name())?;
        for (name, value) in [
            ("chat_name", self.chat_name()),
            ("user_id", self.user_id()),
            ("user_name", self.user_name()),
            ("user_id_alt", self.user_id_alt()),
            ("chat_id_alt", self.chat_id_alt()),
            ("thread_id", self.thread_id()),
            ("chat_topic", self.chat_topic()),
            ("scope_id", self.scope_id()),
            ("parent_chat_id", self.parent_chat_id()),
            ("message_id", self.message_id()),
            ("profile", self.profile()),
            ("auto_thread_initial_name", self.auto_thread_initial_name()),
            ("prospective_thread_id", self.prospective_thread_id()),
        ] {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in [
            ("auto_thread_created", self.auto_thread_created().then_some(true)),
            ("is_bot", self.is_bot()),
            ("message_is_edit", self.message_is_edit()),
            ("one_to_one_verified", self.one_to_one_verified()),
        ] {
            if let Some(value) = value {
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => write!(f, "Event({json})"),
            Err(_) => f.write_str("Event"),
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => write!(f, "Source({json})"),
            Err(_) => f.write_str("Source"),
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
        assert_eq!(event.buffer, "cde");
        assert!(event.buffer.capacity() <= "\"cd\"\"e\"".len());
    }
}
