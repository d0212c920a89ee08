//! `typing`: shows, words or clears the typing sign.

use super::define::op;
use super::format::OptionalText;
use super::{Behavior, Placement};

op! {
    /// Shows the typing sign, sets its text, or clears it. Completes with
    /// [`Reply::Done`](crate::command::Reply::Done) for any answer of the connector.
    pub struct Typing: "typing", gate Always, returns NeverFails {
        chat_id,
        /// Status phrase. `None` shows the plain sign; the empty text clears the status, on Slack only.
        content?: Option<String> = OptionalText as "content",
        metadata,
        platform,
    }
}

impl Behavior for Typing {
    fn placement(&self) -> Placement<'_> {
        Placement::NewestMessage
    }
}
