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
pub use room::{Person, Room};

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
