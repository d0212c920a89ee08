//! `draft`: shows a growing answer as a draft.

use super::Behavior;
use super::define::op;
use super::format::{Flag, Integer, Text};

op! {
    /// Shows a growing answer as a draft. Completes with [`Reply::Sent`](crate::command::Reply::Sent).
    pub struct Draft: "draft", gate NamedDrafts, returns Message {
        chat_id,
        /// Id of the draft. All states of one growing answer share it.
        draft_id: i64 = Integer as "draft_id",
        /// All of the text so far.
        content: String = Text as "content",
        /// Marks the last state, which becomes a message.
        last?: bool = Flag as "final",
        metadata,
        platform,
    }
}

impl Behavior for Draft {}
