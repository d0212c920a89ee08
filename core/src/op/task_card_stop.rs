//! `task_card_stop`: ends a task card (O-16).

use super::define::op;
use super::format::{Computed, OptionalId, Unwritten};
use super::task_card::{card_id, chat_or_delivery};
use super::{Answers, Behavior};
use crate::encode::Object;

op! {
    /// Ends a task card. Completes with [`Reply::Done`](crate::command::Reply::Done).
    #[derive(Default)]
    pub struct TaskCardStop: "task_card_stop", gate TaskCards, returns Nothing {
        optional_chat_id,
        delivery,
        /// Id of the card. By default as for `task_card`.
        card_id: Option<String> = Computed<OptionalId> as "card_id" => write_card_id,
        /// Id of the message that the card belongs to.
        reply_to: Option<String> = Unwritten<OptionalId> as "reply_to",
        metadata,
        platform,
    }
}

impl Behavior for TaskCardStop {
    fn problem_as_given(&self) -> Option<String> {
        chat_or_delivery(&self.chat_id, self.delivery)
    }

    fn answers(&mut self) -> Option<Answers<'_>> {
        Some(Answers {
            delivery: self.delivery?,
            chat_id: &mut self.chat_id,
            reply_to: &mut self.reply_to,
            metadata: &mut self.metadata,
            platform: &mut self.platform,
        })
    }
}

impl TaskCardStop {
    fn write_card_id(&self, action: &mut Object<'_>) {
        let id = card_id(self.card_id.as_deref(), self.reply_to.as_deref(), &self.metadata);
        action.field("card_id", id);
    }
}
