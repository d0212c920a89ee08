//! `edit`: changes a message.

use super::Behavior;
use super::define::op;
use super::format::Text;

op! {
    /// Changes a message that was sent. Completes with [`Reply::Done`](crate::command::Reply::Done).
    pub struct EditMessage: "edit", gate Edits, returns Nothing {
        chat_id,
        message_id,
        /// New text of the message.
        content: String = Text as "content",
        metadata,
        platform,
    }
}

impl Behavior for EditMessage {}
