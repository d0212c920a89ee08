//! `task_card`: shows the steps of a turn as a card.

use super::define::op;
use super::format::{Computed, Objects, OptionalId, Unwritten};
use super::{Behavior, Placement};
use crate::command::Metadata;
use crate::output::DeliveryId;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Implements the behavior of an op about the card of a chat, or of the turn that a delivery began.
macro_rules! card_of_a_delivery {
    () => {
        fn problem_as_given(&self) -> Option<String> {
            $crate::op::task_card::chat_or_delivery(&self.chat_id, self.delivery)
        }

        fn answers(&mut self) -> Option<$crate::op::Answers<'_>> {
            Some($crate::op::Answers {
                delivery: self.delivery?,
                chat_id: &mut self.chat_id,
                reply_to: &mut self.reply_to,
                metadata: &mut self.metadata,
                platform: &mut self.platform,
            })
        }
    };
}

/// Writes the card's id, the host's or the default.
macro_rules! write_card_id {
    ($op:ident) => {
        impl $op {
            fn write_card_id(&self, action: &mut $crate::encode::Object<'_>, _: &$crate::op::Context<'_>) {
                let (given, message) = (self.card_id.as_deref(), self.reply_to.as_deref());
                action.field("card_id", $crate::op::task_card::card_id(given, message, &self.metadata));
            }
        }
    };
}

pub(super) use {card_of_a_delivery, write_card_id};

op! {
    /// Shows the steps of a turn as a card, or updates the card. Completes with
    /// [`Reply::Sent`](crate::command::Reply::Sent).
    pub struct TaskCard: "task_card", gate Named, returns Message {
        optional_chat_id,
        delivery,
        /// Id of the card. By default `turn:` and the id of the message that the card belongs to: `reply_to`, else the
        /// metadata's `message_id` or `reply_to_message_id`; without any, `turn:root`.
        card_id?: Option<Id> = Computed<OptionalId> as "card_id" => write_card_id,
        /// Id of the message that the card belongs to. Slack shows the card in its thread.
        reply_to?: Option<Id> = Unwritten<OptionalId> as "reply_to",
        /// All steps, as the platform's connector reads them: objects with `id`, `title` and `status`, for instance.
        chunks: Vec<Map<String, Value>> = Objects as "chunks",
        metadata,
        platform,
    }
}

impl Behavior for TaskCard {
    card_of_a_delivery!();

    fn placement(&self) -> Placement<'_> {
        Placement::Card(self.reply_to.as_deref())
    }
}

write_card_id!(TaskCard);

/// Returns what is missing if neither a chat nor a delivery is named.
pub(super) fn chat_or_delivery(chat_id: &str, delivery: Option<DeliveryId>) -> Option<String> {
    let is_missing = chat_id.is_empty() && delivery.is_none();
    is_missing.then(|| "missing field `chat_id`, or `delivery` in its place".to_owned())
}

/// Returns the id of a card on the wire (O-16).
pub(super) fn card_id<'a>(
    given: Option<&'a str>,
    reply_to: Option<&str>,
    metadata: &Metadata,
) -> Cow<'a, str> {
    if let Some(id) = given.filter(|id| !id.is_empty()) {
        return id.into();
    }
    let named = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
    let own = |name: &str| match metadata.get(name) {
        Some(Value::String(id)) => named(id),
        Some(Value::Number(id)) => named(&id.to_string()),
        _ => None,
    };
    let message = reply_to.and_then(named).or_else(|| own("message_id")).or_else(|| own("reply_to_message_id"));
    format!("turn:{}", message.as_deref().unwrap_or("root")).into()
}
