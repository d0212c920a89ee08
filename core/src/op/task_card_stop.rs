//! `task_card_stop`: ends a task card.

use super::define::op;
use super::format::{Computed, OptionalId, Unwritten};
use super::task_card::{card_of_a_delivery, write_card_id};
use super::Behavior;

op! {
    /// Ends a task card. Completes with [`Reply::Done`](crate::command::Reply::Done).
    #[derive(Default)]
    pub struct TaskCardStop: "task_card_stop", gate TaskCards, returns Nothing {
        optional_chat_id,
        delivery,
        /// Id of the card. By default as for `task_card`.
        card_id?: Option<Id> = Computed<OptionalId> as "card_id" => write_card_id,
        /// Id of the message that the card belongs to.
        reply_to?: Option<Id> = Unwritten<OptionalId> as "reply_to",
        metadata,
        platform,
    }
}

impl Behavior for TaskCardStop {
    card_of_a_delivery!();
}

write_card_id!(TaskCardStop);
