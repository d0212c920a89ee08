//! `react`: puts a reaction on a message, or removes it.

use super::Behavior;
use super::define::op;
use super::format::{Flag, OrDefault, Text};

op! {
    /// Puts a reaction on a message, or removes it. Completes with [`Reply::Done`](crate::command::Reply::Done).
    pub struct React: "react", gate Named, returns Nothing {
        chat_id,
        message_id,
        /// Emoji of the reaction.
        emoji: String = Text as "emoji",
        /// Removes the reaction.
        remove?: bool = OrDefault<Flag> as "remove",
        metadata,
        platform,
    }
}

impl Behavior for React {}
