//! `delete`: deletes a message.

use super::Behavior;
use super::define::op;

op! {
    /// Deletes a message. Completes with [`Reply::Done`](crate::command::Reply::Done).
    pub struct DeleteMessage: "delete", gate Named, returns Nothing {
        chat_id,
        message_id,
        metadata,
        platform,
    }
}

impl Behavior for DeleteMessage {}
