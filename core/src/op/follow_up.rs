//! `follow_up`: answers under a capability of a session.

use super::define::op;
use super::format::{Name, Text};
use super::{Behavior, Destination};
use crate::session_key::profile_of;

op! {
    /// Answers under a capability of a session, an interaction token for instance. Completes with
    /// [`Reply::Sent`](crate::command::Reply::Sent).
    pub struct FollowUp: "follow_up", gate Always, returns Message {
        /// Key of the session whose capability is used.
        session_key: String = Text as "session_key",
        /// Capability, as in `discord.interaction_token`. The part before the first dot is the platform.
        kind: String = Name as "kind",
        /// Text of the answer.
        content: String = Text as "content",
        metadata,
    }
}

impl Behavior for FollowUp {
    fn destination(&self) -> Destination<'_> {
        Destination::Session { platform: self.kind.split_once('.').map(|(platform, _)| platform) }
    }

    fn profile(&self) -> Option<&str> {
        profile_of(&self.session_key)
    }
}
