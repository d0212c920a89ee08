//! Rights to answer permission requests: where they are asked, and who may answer.

use crate::config::{ApprovalPolicy, ApprovalRoute, Approvals, PromptChat};
use crate::delivery::TurnOrigin;
use relayline_core::approver::platform_of;
use relayline_core::event::Source;

impl Approvals {
    /// Returns the chat in which every request is asked, if there is one.
    pub(crate) fn chat(&self) -> Option<&PromptChat> {
        match &self.policy {
            ApprovalPolicy::Ask(ApprovalRoute::Chat(chat)) => Some(chat),
            ApprovalPolicy::Ask(ApprovalRoute::TurnChat) | ApprovalPolicy::Allow | ApprovalPolicy::Deny => {
                None
            }
        }
    }

    /// Returns true if the author of an event may answer the requests of this turn. In a [`PromptChat`] the author of the
    /// turn has no other right than everybody.
    pub(crate) fn may_answer(&self, source: &Source, origin: &TurnOrigin, platforms: &[String]) -> bool {
        let platform = platform_of(source, platforms);
        let is_approver = || self.approvers.iter().any(|approver| approver.is_author_of(source, platform));
        match self.chat() {
            Some(chat) => chat.is_chat_of(source, platform) && (self.approvers.is_empty() || is_approver()),
            None => origin.is_author(source, platforms) || is_approver(),
        }
    }

    /// Returns true if a text of another session can answer the requests of this turn: its author may answer them, and they
    /// are asked where it was written.
    pub(crate) fn may_answer_by_text(
        &self,
        source: &Source,
        origin: &TurnOrigin,
        platforms: &[String],
    ) -> bool {
        // Nobody may answer outside of a chat for approvals.
        let is_asked_there = self.chat().is_some() || origin.is_place_of(source, platforms);
        is_asked_there && self.may_answer(source, origin, platforms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_core::event::Event;

    fn source(platform: &str, chat_id: &str, user_id: &str) -> Source {
        let text = format!(
            r#"{{"source":{{"platform":"{platform}","chat_id":"{chat_id}","user_id":"{user_id}","scope_id":"T1"}}}}"#
        );
        Event::read(&text).unwrap().source
    }

    fn platforms(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_chat_is_one_of_a_platform_and_a_scope() {
        let chat = |scope_id: Option<&str>| PromptChat {
            platform: "slack".to_owned(),
            chat_id: "C9".to_owned(),
            scope_id: scope_id.map(str::to_owned),
        };
        for (platform, chat_id, scope_id, expected) in [
            ("slack", "C9", None, true),
            ("slack", "C9", Some("T1"), true),
            ("slack", "C9", Some("T2"), false),
            ("slack", "C8", None, false),
            ("discord", "C9", None, false),
            ("relay", "C9", None, false),
        ] {
            let source = source(platform, chat_id, "U1");
            let both = platforms(&["slack", "discord"]);
            let is_it = chat(scope_id).is_chat_of(&source, platform_of(&source, &both));
            assert_eq!(is_it, expected, "{platform} {chat_id} {scope_id:?}");
        }
    }
}
