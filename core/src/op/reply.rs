//! `reply`: answers a delivery by its number.

use super::Behavior;
use super::define::op;
use super::format::{Delivery, FlagOrTrue, Text};
use crate::output::DeliveryId;

op! {
    /// Answers a delivery by its number alone: chat, platform, thread and anchor are the delivery's. Completes with
    /// [`Reply::Sent`](crate::command::Reply::Sent).
    ///
    /// The last [`reply_targets`](crate::config::Limits::reply_targets) deliveries can be answered, whether they are
    /// settled or not.
    pub struct ReplyMessage: "reply", gate Always, returns Message {
        /// Delivery that it answers.
        delivery: DeliveryId = Delivery as "delivery",
        /// Text of the answer. The connector refuses a text over the platform's limit; [`crate::split::split`] cuts it.
        content: String = Text as "content",
        /// Completes the turn's answer: then `metadata.notify` says so. True by default.
        last?: bool = FlagOrTrue as "final",
        metadata,
    } and {
        /// Continues where an earlier reply ended: it does not point at the message again.
        continues: bool,
    }
}

impl Behavior for ReplyMessage {}
