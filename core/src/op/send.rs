//! `send`: sends a message.

use super::define::op;
use super::format::{Format, ReplyTo, Text};
use super::{Behavior, Context, Placement};
use crate::encode::Object;

op! {
    /// Sends a message. Completes with [`Reply::Sent`](crate::command::Reply::Sent).
    pub struct SendMessage: "send", gate Always, returns Message {
        chat_id,
        /// Text of the message. The connector refuses a text over the platform's limit; [`crate::split::split`] cuts it.
        content: String = Text as "content",
        /// Id of the message that it answers.
        reply_to?: Option<Id> = ReplyTo as "reply_to" => write_reply_to,
        metadata,
        platform,
    } and {
        /// Continues where an earlier message ended: it does not point at the message that it answers, but is placed as
        /// if it did.
        continues: bool,
    }
}

impl Behavior for SendMessage {
    fn placement(&self) -> Placement<'_> {
        let message = self.reply_to.as_deref();
        if self.continues { Placement::Continues(message) } else { Placement::Message(message) }
    }
}

impl SendMessage {
    fn write_reply_to(&self, action: &mut Object<'_>, context: &Context<'_>) {
        let named = if self.continues { &None } else { &self.reply_to };
        ReplyTo::write(named, "reply_to", action, context);
    }
}
