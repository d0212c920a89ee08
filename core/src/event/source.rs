//! Where an event comes from.

use super::{ChatType, Event, Field};
use std::fmt;

/// Where an event comes from: who, in which chat, on which platform. Empty ids count as absent.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub(super) event: &'a Event,
}

macro_rules! optional {
    ($($(#[$doc:meta])* $name:ident = $field:ident;)*) => {
        $($(#[$doc])* pub fn $name(&self) -> Option<&'a str> { self.event.filled(Field::$field) })*
    };
}

impl<'a> Source<'a> {
    /// The platform, by its protocol name; `relay` by default (E-1).
    pub fn platform(&self) -> &'a str {
        self.named_platform().unwrap_or("relay")
    }

    /// The platform, where the event names one.
    pub(crate) fn named_platform(&self) -> Option<&'a str> {
        self.event.filled(Field::Platform)
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

    /// The scope under its own name alone, without the older `guild_id` (S-6).
    pub(crate) fn own_scope_id(&self) -> Option<&'a str> {
        self.event.filled(Field::ScopeId)
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

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self) {
            Ok(json) => write!(f, "Source({json})"),
            Err(_) => f.write_str("Source"),
        }
    }
}
