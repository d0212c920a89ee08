//! Fake chats on Discord, Telegram and Slack.
//!
//! A [`Platform`] is a capability descriptor and a style of message ids. A [`Room`] builds the inbound events of one
//! chat, with ids from [`Ids`].

pub mod discord;
mod ids;
mod platform;
mod room;
pub mod slack;
pub mod telegram;

pub(crate) use ids::unix_ms;
pub use ids::{IdStyle, Ids};
pub use platform::Platform;
pub use room::{Person, Room};

impl Platform {
    /// Returns the fake platform of that name, else a [`generic`](Self::generic) one.
    pub fn named(name: &str) -> Self {
        match name {
            "discord" => discord::platform(),
            "telegram" => telegram::platform(),
            "slack" => slack::platform(),
            other => Platform::generic(other),
        }
    }

    /// Returns the three fake platforms.
    pub fn fakes() -> Vec<Self> {
        vec![discord::platform(), telegram::platform(), slack::platform()]
    }
}

/// Returns the default room of a platform's users: a guild's channel, a forum's topic, or a channel's thread.
pub fn lobby(platform: &str) -> Option<Room> {
    match platform {
        "discord" => Some(discord::guild_channel()),
        "telegram" => Some(telegram::topic()),
        "slack" => Some(slack::thread()),
        _ => None,
    }
}

/// Returns a direct message on a platform without edits, drafts and threads.
pub fn guest() -> Room {
    Room {
        platform: "sms",
        ids: IdStyle::Counter,
        chat_id: "+15550100",
        chat_type: "dm",
        chat_name: None,
        topic: None,
        scope_id: None,
        thread_id: None,
        parent_chat_id: None,
        person: Person { id: "+15550100", name: "max" },
    }
}

/// Returns every room of the fake platforms.
pub fn rooms() -> Vec<Room> {
    vec![
        discord::guild_channel(),
        discord::thread(),
        discord::dm(),
        telegram::supergroup(),
        telegram::topic(),
        telegram::dm(),
        slack::channel(),
        slack::thread(),
        slack::dm(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_1_every_descriptor_has_the_required_fields() {
        for platform in Platform::fakes().into_iter().chain([Platform::named("matrix")]) {
            let field = |name: &str| platform.descriptor.get(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(field("contract_version"), 1);
            assert_eq!(field("platform"), platform.name.as_str());
            assert!(field("max_message_length").as_u64().is_some_and(|limit| limit >= 2000));
            for name in ["label", "markdown_dialect", "len_unit"] {
                assert!(field(name).is_string(), "{name}");
            }
            for name in ["supports_draft_streaming", "supports_edit", "supports_threads"] {
                assert!(field(name).is_boolean(), "{name}");
            }
        }
    }
}
