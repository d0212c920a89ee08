//! Origin of an event.

use super::read;
use super::record::record;
use super::{ChatType, CompactString};

/// Name that stands for the platform of an event or a gateway that does not name one.
pub const UNNAMED_PLATFORM: &str = "relay";

/// Names of the fields that stand in for others: for `user_name` (E-4) and for `scope_id` (E-5).
pub(crate) const FALLBACKS: [&str; 3] = ["user_display_name", "user_handle", "guild_id"];

record! {
    /// Origin of an event: who, in which chat, on which platform. Empty ids count as absent.
    pub struct Source {
        /// Protocol name of the platform; `relay` where the event names none.
        pub platform: CompactString = text "platform",
        /// Id of the chat; empty where the event names none.
        pub chat_id: CompactString = id_or_empty "chat_id",
        /// Kind of the chat; a direct message by default.
        pub chat_type: ChatType = kind "chat_type",
        /// Name of the chat.
        pub chat_name: Option<CompactString> = name "chat_name",
        /// Id of the author.
        pub user_id: Option<CompactString> = id "user_id",
        /// Name of the author: the display name, else the user name, else the handle.
        pub user_name: Option<CompactString> = name "user_name",
        /// Alternative id of the author, on platforms with two ids.
        pub user_id_alt: Option<CompactString> = id "user_id_alt",
        /// Alternative id of the chat, on platforms with two ids.
        pub chat_id_alt: Option<CompactString> = id "chat_id_alt",
        /// Thread or topic inside the chat.
        pub thread_id: Option<CompactString> = id "thread_id",
        /// Topic line of the chat.
        pub chat_topic: Option<CompactString> = name "chat_topic",
        /// Server, workspace or space that the chat belongs to: `scope_id`, else `guild_id`.
        pub scope_id: Option<CompactString> = id "scope_id",
        /// Parent chat of a thread.
        pub parent_chat_id: Option<CompactString> = id "parent_chat_id",
        /// Id of the message, as named by the source.
        pub message_id: Option<CompactString> = id "message_id",
        /// Agent profile of the chat.
        pub profile: Option<CompactString> = name "profile",
        /// Initial name of an automatically created thread.
        pub auto_thread_initial_name: Option<CompactString> = name "auto_thread_initial_name",
        /// Thread that an answer would open.
        pub prospective_thread_id: Option<CompactString> = id "prospective_thread_id",
        /// True if the connector opened the thread for this message.
        pub auto_thread_created: bool = is_set "auto_thread_created",
        /// True if a bot wrote the message; `None` if unknown.
        pub is_bot: Option<bool> = flag "is_bot",
        /// True if the message edits an earlier one; `None` if unknown.
        pub message_is_edit: Option<bool> = flag "message_is_edit",
        /// True if the connector has verified that only one user reads this chat; `None` if unknown.
        pub one_to_one_verified: Option<bool> = flag "one_to_one_verified",
        /// True if the platform is a default and not the event's own.
        #[serde(skip)]
        pub(crate) is_platform_assumed: bool,
        /// True if the scope was read from the older field `guild_id`.
        #[serde(skip)]
        pub(crate) is_scope_a_guild: bool,
    }
}

impl Source {
    /// Completes the source by the raw values of [`FALLBACKS`].
    pub(super) fn fall_back(&mut self, [display_name, handle, guild_id]: [Option<&str>; FALLBACKS.len()]) {
        let user_name = self.user_name.take();
        self.user_name = display_name.and_then(read::name).or(user_name).or(handle.and_then(read::name));
        if self.scope_id.is_none() {
            self.scope_id = guild_id.and_then(read::id);
            self.is_scope_a_guild = self.scope_id.is_some();
        }
    }

    /// Names a platform where the event names none.
    pub(super) fn assume_platform(&mut self) {
        self.is_platform_assumed = self.platform.is_empty();
        if self.is_platform_assumed {
            self.platform = CompactString::const_new(UNNAMED_PLATFORM);
        }
    }

    /// Returns the platform, where the event names one.
    pub(crate) fn named_platform(&self) -> Option<&str> {
        (!self.is_platform_assumed).then_some(&*self.platform)
    }

    /// Returns the scope under its own name alone, without the older `guild_id` (S-6).
    pub(crate) fn own_scope_id(&self) -> Option<&str> {
        self.scope_id.as_deref().filter(|_| !self.is_scope_a_guild)
    }
}
