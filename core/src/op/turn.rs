//! `turn`: brackets the turn that a delivery began.

use super::Behavior;
use super::define::op;
use super::format::{Delivery, Named, OneOf};
use crate::output::DeliveryId;
use serde::{Deserialize, Serialize};

/// State of a turn.
///
/// Signs of a turn are best effort: a sign that the platform does not support, or that cannot be written, is left
/// out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// The agent works on it: 👀 is put on the message, and the typing sign is kept up.
    Begin,
    /// It succeeded: ✅ replaces 👀.
    Done,
    /// It failed: ❌ replaces 👀.
    Failed,
    /// The user stopped it: 👀 is removed. Streamed replies to the delivery end with what is shown.
    Stopped,
}

impl Named for TurnState {
    const NAMES: &'static [&'static str] = &["begin", "done", "failed", "stopped"];
}

op! {
    /// Brackets the turn that a delivery began. Completes with [`Reply::Done`](crate::command::Reply::Done) at once.
    #[derive(Copy, Eq)]
    pub struct Turn: "turn", gate Always, returns Nothing {
        /// Delivery that began it.
        delivery: DeliveryId = Delivery as "delivery",
        /// State to enter.
        state: TurnState = OneOf<TurnState> as "state",
    }
}

impl Behavior for Turn {}
