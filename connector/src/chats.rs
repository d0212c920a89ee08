//! Fake chats: enough of Discord, Telegram and Slack for a connector to be a plausible one.
//!
//! A [`Platform`] says what a connector tells a gateway about a platform (its capability descriptor) and in
//! which style that platform numbers its messages. A [`Room`] builds the inbound events of one chat.

pub mod discord;
mod ids;
mod platform;
mod room;
pub mod slack;
pub mod telegram;

pub(crate) use ids::unix_ms;
pub use ids::{IdStyle, Ids};
pub use platform::Platform;
use platform::ops_without;
pub use room::{Person, Room};

/// Returns the room for a user who names none: a guild's channel, a forum's topic, a channel's thread.
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

/// Every room of the fake platforms, for looking one up by its chat id.
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
