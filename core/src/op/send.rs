//! `send`: sends a message.

use super::define::op;
use super::format::Text;
use super::{Behavior, Placement};

op! {
    /// Sends a message. Completes with [`Reply::Sent`](crate::command::Reply::Sent).
    #[derive(Default)]
    pub struct SendMessage: "send", gate Always, returns Message {
        chat_id,
        /// Text of the message. The connector refuses a text over the platform's limit; [`crate::split::split`] cuts it.
        content: String = Text as "content",
        reply_to,
        metadata,
        platform,
    }
}

impl Behavior for SendMessage {
    fn placement(&self) -> Placement<'_> {
        Placement::Message(self.reply_to.as_deref())
    }
}
