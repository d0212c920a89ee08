//! `prompt`: asks with buttons (I).

use super::define::op;
use super::format::{Named, OneOf, OrDefault, Text, formats, parse, read_id};
use super::{Behavior, Kind};
use crate::prompts::{ID_SHAPE, MAX_OPTIONS, MOST_CUSTOM_ID, PROMPT_LIFE, custom_id_length, is_id};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// Purpose of a prompt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// A question whether the agent may do something.
    Approval,
    /// A question about what the user meant.
    Clarify,
    /// A choice among options.
    #[default]
    Choice,
}

impl Named for PromptKind {
    const NAMES: &'static [&'static str] = &["approval", "clarify", "choice"];
}

/// Option of a prompt.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PromptOption {
    /// Its id: `[A-Za-z0-9_.-]{1,32}`.
    pub id: String,
    /// Label of the button.
    pub label: String,
    /// Look of the button, where the platform has looks: `primary`, `danger`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
}

op! {
    /// Asks with buttons. Completes with [`Reply::Prompted`](crate::command::Reply::Prompted); the answer comes as a
    /// delivery of its own.
    #[derive(Default)]
    pub struct Prompt: "prompt", gate Named, returns Prompt {
        chat_id,
        /// Purpose of the prompt.
        kind: PromptKind = OrDefault<OneOf<PromptKind>> as "prompt_kind",
        /// The host's own id for it, `[A-Za-z0-9_.-]{1,32}`; by default it is given one. No other open prompt may have it.
        prompt_id: Option<String> = PromptId as "prompt_id",
        /// The question.
        content: String = Text as "content",
        /// Options to choose from.
        options: Vec<PromptOption> = Options as "options",
        /// Time for which it is open, in seconds; an hour at most, and by default.
        timeout: Option<Duration> = Seconds as "timeout_s",
        reply_to,
        metadata,
        platform,
    }
}

impl Behavior for Prompt {
    fn problem(&self) -> Option<String> {
        Prompt::problem(self)
    }
}

/// Option of a prompt as a host gives it, without any further fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenOption {
    id: String,
    label: String,
    #[serde(default)]
    style: Option<String>,
}

impl From<GivenOption> for PromptOption {
    fn from(GivenOption { id, label, style }: GivenOption) -> PromptOption {
        PromptOption { id, label, style }
    }
}

formats! {
    /// Id of a prompt: the host's own, or the one that the machine has given it.
    PromptId: Option<String>, Kind::Id, Always, read |value| read_id(value).map(Some), default None,
        write |_own, name, action, context| action.field(name, context.prompt_id),;
    /// Options of a prompt.
    Options: Vec<PromptOption>, Kind::Options, Always,
        read |value| parse(value).map(|given: Vec<GivenOption>| given.into_iter().map(PromptOption::from).collect()),
        write |options, name, action, _context| action.field(name, options),
        bytes |options| options.iter().map(PromptOption::text_bytes).sum(),;
    /// Time-out of a prompt: whole seconds, rounded up, and never more than it is open (I-2).
    Seconds: Option<Duration>, Kind::Unsigned, IfSet,
        read |value| parse(value).map(|seconds| Some(Duration::from_secs(seconds))), default None,
        write |timeout, name, action, _context| {
            let time = timeout.map(|time| time.min(PROMPT_LIFE));
            action.optional(name, time.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0)))
        },;
}

impl PromptOption {
    fn text_bytes(&self) -> usize {
        self.label.len() + self.style.as_ref().map_or(0, String::len)
    }
}

impl Prompt {
    /// The same question as plain text with numbered options, for platforms without buttons (I-5). After a decline
    /// it must not be sent (O-7).
    pub fn as_text(&self) -> String {
        let mut text = self.content.clone();
        for (at, option) in self.options.iter().enumerate() {
            let gap = if at == 0 && !text.is_empty() { "\n\n" } else { "\n" };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{}{}. {}", if text.is_empty() { "" } else { gap }, at + 1, option.label);
        }
        text
    }

    /// Returns what is wrong with its ids, if anything is (I-1). The machine refuses such a prompt; who sends
    /// [`as_text`](Self::as_text) in its place asks here.
    pub fn problem(&self) -> Option<String> {
        let count = self.options.len();
        if count > MAX_OPTIONS {
            return Some(format!("the prompt has {count} options: {MAX_OPTIONS} at most"));
        }
        if let Some(id) = self.prompt_id.as_deref().filter(|id| !is_id(id)) {
            return Some(format!("{id:.64?} is no prompt id: {ID_SHAPE}"));
        }
        let mut ids = BTreeSet::new();
        for option in &self.options {
            if !is_id(&option.id) {
                return Some(format!("{:?} is no option id: {ID_SHAPE}", option.id));
            }
            let length = self.prompt_id.as_ref().map_or(0, |id| custom_id_length(id, &option.id));
            if length > MOST_CUSTOM_ID {
                return Some(format!(
                    "`hp1:<prompt_id>:<option_id>` is {length} bytes long for the option {:?}: {MOST_CUSTOM_ID} at most",
                    option.id
                ));
            }
            if !ids.insert(&option.id) {
                return Some(format!("two options have the id {:?}", option.id));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i_6_an_id_of_the_hosts_own_has_the_shape_and_length_of_all() {
        let problem = |prompt_id: &str, option_id: &str| {
            let option = PromptOption { id: option_id.into(), ..PromptOption::default() };
            let prompt_id = Some(prompt_id.to_owned());
            Prompt { prompt_id, options: vec![option], ..Prompt::default() }.problem()
        };
        assert_eq!(problem("order_7.A-b", "yes"), None);
        for bad in ["", "a b", "é", "a:b", &"x".repeat(33)] {
            assert!(problem(bad, "yes").unwrap().contains("is no prompt id: write 1 to 32"), "{bad}");
        }
        assert_eq!(problem(&"p".repeat(32), &"o".repeat(27)), None);
        let long = format!(
            "`hp1:<prompt_id>:<option_id>` is 65 bytes long for the option {:?}: 64 at most",
            "o".repeat(28)
        );
        assert_eq!(problem(&"p".repeat(32), &"o".repeat(28)), Some(long));
    }

    #[test]
    fn i_1_a_prompt_has_at_most_a_hundred_options_each_with_an_id_of_its_own() {
        let problem = |ids: &[String]| {
            let option = |id: &String| PromptOption { id: id.clone(), label: String::new(), style: None };
            Prompt { options: ids.iter().map(option).collect(), ..Prompt::default() }.problem()
        };
        let ids: Vec<String> = (0..60_000).map(|n| n.to_string()).collect();
        assert_eq!(problem(&ids[..100]), None);
        let most = "the prompt has 101 options: 100 at most";
        assert_eq!(problem(&ids[..101]).as_deref(), Some(most));
        assert_eq!(problem(&ids).as_deref(), Some("the prompt has 60000 options: 100 at most"));
        let twice = [ids[7].clone(), ids[8].clone(), ids[7].clone()];
        assert_eq!(problem(&twice).as_deref(), Some("two options have the id \"7\""));
    }

    #[test]
    fn i_5_the_same_prompt_as_numbered_text() {
        let option = |id: &str, label: &str| PromptOption { id: id.into(), label: label.into(), style: None };
        let prompt = Prompt {
            content: "Deploy?".into(),
            options: vec![option("y", "Yes"), option("n", "No")],
            ..Prompt::default()
        };
        assert_eq!(prompt.as_text(), "Deploy?\n\n1. Yes\n2. No");
        assert_eq!(Prompt { content: String::new(), ..prompt }.as_text(), "1. Yes\n2. No");
    }
}
