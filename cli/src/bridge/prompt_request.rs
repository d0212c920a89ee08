//! Prompts of the agent: where each is shown, which may be another chat than the one that asks.

use super::execution::is_known;
use super::op::{OpRequest, id, optional_id};
use super::parts::PartedText;
use relayline_acp::PromptChat;
use relayline_core::approver::Approver;
use relayline_core::command::{Command, Failure};
use relayline_core::event::UNNAMED_PLATFORM;
use relayline_core::op::{Op, Prompt, PromptKind, SendMessage};
use relayline_runtime::Relay;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Op `prompt`, before it is known where its question is shown.
#[derive(Debug)]
pub(super) struct PromptRequest {
    /// The prompt, for the chat that asks.
    pub(super) prompt: Prompt,
    /// True if the question is sent as text with numbered options.
    pub(super) is_text: bool,
    /// Chat in which it is shown; that of the prompt by default.
    pub(super) to: Option<PromptChat>,
}

/// Field `to` of a prompt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenChat {
    platform: String,
    #[serde(deserialize_with = "id")]
    chat_id: String,
    #[serde(default, deserialize_with = "optional_id")]
    scope_id: Option<String>,
}

/// Reads the field `to`.
///
/// # Errors
/// Returns what is wrong with it.
pub(super) fn read_chat(value: Value) -> Result<PromptChat, String> {
    let GivenChat { platform, chat_id, scope_id } =
        serde_json::from_value(value).map_err(|error| format!("`to`: {error}"))?;
    for (name, text) in [("platform", &platform), ("chat_id", &chat_id)] {
        if text.is_empty() {
            return Err(format!("`to`: `{name}` is empty: name the chat in which the prompt is shown"));
        }
    }
    Ok(PromptChat { platform, chat_id, scope_id: scope_id.filter(|scope| !scope.is_empty()) })
}

impl PromptRequest {
    /// Returns the chat whose order it keeps: the one in which it is shown.
    pub(super) fn chat_id(&self) -> &str {
        self.to.as_ref().map_or(&self.prompt.chat_id, |to| &to.chat_id)
    }

    /// Shows a question of the kind `approval` in this chat, unless the agent has named one.
    pub(super) fn route(&mut self, approvals: Option<&PromptChat>) {
        if self.to.is_none() && self.prompt.kind == PromptKind::Approval {
            self.to = approvals.cloned();
        }
    }

    /// Lets only these users answer, if there are any, where it is shown in another chat than its own (I-8).
    pub(super) fn restrict(&mut self, approvers: &Arc<[Approver]>) {
        if self.to.is_some() {
            self.prompt.approvers = approvers.clone();
        }
    }

    /// Returns the op that shows the question. Another chat is remembered like one in which somebody wrote (M-2).
    ///
    /// # Errors
    /// A definite failure if the chat cannot be remembered (M-6).
    pub(super) fn place(self, relay: &Relay) -> Result<OpRequest, Failure> {
        let PromptRequest { mut prompt, is_text, to } = self;
        if let Some(to) = to {
            remember(relay, &to)?;
            prompt.chat_id = to.chat_id;
            prompt.platform = Some(to.platform);
            // A message of the chat that asks.
            prompt.reply_to = None;
            if let Some(scope_id) = to.scope_id {
                prompt.metadata.remove("guild_id");
                prompt.metadata.insert("scope_id".to_owned(), scope_id.into());
            }
        }
        if !is_text {
            return Ok(OpRequest::Command(Command::Op(Op::Prompt(prompt))));
        }
        let mut send = SendMessage::new(&prompt.chat_id, prompt.as_text()).metadata(prompt.metadata);
        (send.reply_to, send.platform) = (prompt.reply_to, prompt.platform);
        Ok(OpRequest::Parts(PartedText::Send(send)))
    }
}

/// Remembers the platform and the scope of a chat that was never seen there. A chat on a platform that is not fronted is not
/// remembered: the op is refused for it.
fn remember(relay: &Relay, to: &PromptChat) -> Result<(), Failure> {
    let identities = &relay.config().machine.identities;
    let known = relay.chat(&to.chat_id).filter(is_known);
    let is_known_there = known.as_ref().is_some_and(|chat| chat.platform == *to.platform);
    if is_known_there || identities.iter().all(|identity| identity.platform != *to.platform) {
        return Ok(());
    }
    // Ids of chats are unique within one platform only.
    let mut chat = known.filter(|chat| chat.platform == UNNAMED_PLATFORM).unwrap_or_default();
    chat.platform = to.platform.as_str().into();
    chat.scope = to.scope_id.as_deref().map(Into::into).or(chat.scope);
    relay.prime(&to.chat_id, chat)
}

#[cfg(test)]
mod tests {
    use super::super::op::read;
    use super::*;

    fn asked(line: &str) -> Result<PromptRequest, String> {
        match read(line.as_bytes()).unwrap().asked {
            Ok(OpRequest::Prompt(request)) => Ok(*request),
            other => Err(format!("{other:?}")),
        }
    }

    fn prompt(fields: &str) -> String {
        format!(
            r#"{{"op":"prompt","chat_id":"1","content":"?","options":[{{"id":"a","label":"A"}}]{fields}}}"#
        )
    }

    fn chat(platform: &str, chat_id: &str, scope_id: Option<&str>) -> PromptChat {
        let (platform, chat_id) = (platform.to_owned(), chat_id.to_owned());
        PromptChat { platform, chat_id, scope_id: scope_id.map(str::to_owned) }
    }

    #[test]
    fn i_7_a_prompt_names_the_chat_that_shows_it() {
        for (to, expected) in [
            ("", None),
            (r#","to":null"#, None),
            (r#","to":{"platform":"slack","chat_id":"C9"}"#, Some(chat("slack", "C9", None))),
            (
                r#","to":{"platform":"slack","chat_id":"C9","scope_id":"T1"}"#,
                Some(chat("slack", "C9", Some("T1"))),
            ),
            // W-8: an id of any length.
            (
                r#","to":{"platform":"p","chat_id":-1001234567890123456789012345,"scope_id":null}"#,
                Some(chat("p", "-1001234567890123456789012345", None)),
            ),
        ] {
            let request = asked(&prompt(to)).unwrap();
            assert_eq!(request.chat_id(), expected.as_ref().map_or("1", |to| &to.chat_id));
            assert_eq!(request.to, expected, "{to}");
        }
    }

    #[test]
    fn i_7_a_wrong_chat_is_refused_with_its_reason() {
        for (to, reason) in [
            (r#"{"platform":"slack"}"#, "missing field `chat_id`"),
            (r#"{"chat_id":"C9"}"#, "missing field `platform`"),
            (r#"{"platform":"","chat_id":"C9"}"#, "`platform` is empty"),
            (r#"{"platform":"slack","chat_id":""}"#, "`chat_id` is empty"),
            (r#"{"platform":"slack","chat_id":1.5}"#, "an id is a string or an integer"),
            (r#"{"platform":"slack","chat_id":"C9","thread_id":"t"}"#, "unknown field `thread_id`"),
            (r#""slack:C9""#, "expected struct"),
        ] {
            let problem = asked(&prompt(&format!(r#","to":{to}"#))).unwrap_err();
            assert!(problem.contains("`to`: ") && problem.contains(reason), "{to}: {problem}");
        }
    }

    #[test]
    fn i_7_only_approvals_have_a_default_chat() {
        let approvals = chat("slack", "C9", None);
        for (fields, expected) in [
            (r#","prompt_kind":"approval""#, Some("C9")),
            (r#","prompt_kind":"approval","as_text":true"#, Some("C9")),
            (r#","prompt_kind":"approval","to":{"platform":"p","chat_id":"C1"}"#, Some("C1")),
            (r#","prompt_kind":"choice""#, None),
            ("", None),
        ] {
            let mut request = asked(&prompt(fields)).unwrap();
            request.route(Some(&approvals));
            assert_eq!(request.to.map(|to| to.chat_id).as_deref(), expected, "{fields}");
        }
    }
}
