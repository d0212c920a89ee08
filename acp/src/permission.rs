//! Open permission requests of a turn: what people are asked, and which answers count.

use crate::fields::MAX_ID_BYTES;
use crate::texts::{ANSWER_BY_NUMBER, cut, one_line};
use agent_client_protocol_schema::{
    PermissionOption, PermissionOptionId, PermissionOptionKind, RequestId, RequestPermissionOutcome,
    RequestPermissionRequest, RequestPermissionResponse, SelectedPermissionOutcome,
};
use relayline_core::op::{Prompt, PromptKind, PromptOption};
use relayline_core::time::Time;
use serde_json::Value;

/// Maximum number of options of a request. A request with more, or without any, is cancelled.
const MAX_OPTIONS: usize = 20;
/// Maximum lengths in the prompt, in characters.
const MAX_LABEL: usize = 80;
const MAX_TITLE: usize = 500;
const MAX_INPUT: usize = 700;
/// Maximum number of users who are informed that they may not answer.
const MAX_INFORMED: usize = 8;

/// Option of a permission request.
#[derive(Clone, PartialEq, Debug)]
struct Choice {
    id: PermissionOptionId,
    kind: PermissionOptionKind,
    /// Name on one line; it can be empty.
    name: String,
}

/// Permission request that waits for an answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Permission {
    /// The agent's id of the request.
    pub(crate) request: RequestId,
    /// Number of its prompt.
    pub(crate) number: u64,
    options: Vec<Choice>,
    /// First line of the question.
    pub(crate) title: String,
    question: String,
    /// Description of the turn, where other people are asked.
    about: Option<String>,
    pub(crate) expires: Time,
    /// True once the chat of its turn is informed that others are asked.
    pub(crate) is_announced: bool,
    /// Users who were informed that they may not answer.
    informed: Vec<String>,
}

impl Permission {
    /// Reads a request; `None` if its options cannot be shown, or if it has an overlong id.
    pub(crate) fn new(
        request: RequestId,
        asked: &RequestPermissionRequest,
        number: u64,
        expires: Time,
    ) -> Option<Permission> {
        if asked.options.is_empty() || asked.options.len() > MAX_OPTIONS {
            return None;
        }
        let is_overlong = |id: &str| id.len() > MAX_ID_BYTES;
        let has_overlong_id = matches!(&request, RequestId::Str(id) if is_overlong(id));
        if has_overlong_id || asked.options.iter().any(|option| is_overlong(&option.option_id.0)) {
            return None;
        }
        let choice = |option: &PermissionOption| Choice {
            id: option.option_id.clone(),
            kind: option.kind,
            name: one_line(&option.name, MAX_LABEL),
        };
        let options = asked.options.iter().map(choice).collect();
        let (title, question) = question(asked);
        let (about, is_announced, informed) = (None, false, Vec::new());
        Some(Permission { request, number, options, title, question, about, expires, is_announced, informed })
    }

    /// Says in the question which turn it is about.
    pub(crate) fn describe_turn(&mut self, description: &str) {
        self.about = Some(format!("For {description}:\n"));
    }

    /// Returns the prompt with a button for each option.
    pub(crate) fn prompt(&self, chat_id: &str, prompt_id: &str) -> Prompt {
        let options: Vec<PromptOption> = self
            .options
            .iter()
            .enumerate()
            .map(|(at, option)| {
                let label = option.name.clone();
                let label = if label.is_empty() { format!("Option {}", at + 1) } else { label };
                PromptOption::new((at + 1).to_string(), label).style(style(option.kind))
            })
            .collect();
        let question = format!("{}{}", self.about.as_deref().unwrap_or_default(), self.question);
        Prompt::new(chat_id, question, options).kind(PromptKind::Approval).prompt_id(prompt_id)
    }

    /// Returns the same as text.
    pub(crate) fn as_text(&self) -> String {
        format!("{}\n{ANSWER_BY_NUMBER}", self.prompt("", "p").as_text())
    }

    /// Returns the option that a button or a text names: its number, or for a text its name as well.
    pub(crate) fn choice(&self, text: &str) -> Option<PermissionOptionId> {
        let text = text.trim();
        // An option can be without a name, and a message without a text.
        if text.is_empty() {
            return None;
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let at = text.parse::<usize>().ok().filter(|_| is_number).and_then(|number| number.checked_sub(1));
        let by_name = || self.options.iter().find(|option| option.name.eq_ignore_ascii_case(text));
        let option = at.map_or_else(by_name, |at| self.options.get(at));
        option.map(|option| option.id.clone())
    }

    /// Notes that this user is informed that the answer does not count. Returns true the first time.
    pub(crate) fn note_informed(&mut self, user_id: &str) -> bool {
        let is_new =
            self.informed.len() < MAX_INFORMED && self.informed.iter().all(|informed| informed != user_id);
        if is_new {
            self.informed.push(user_id.to_owned());
        }
        is_new
    }
}

/// Returns the style of a button.
fn style(kind: PermissionOptionKind) -> &'static str {
    match kind {
        PermissionOptionKind::AllowOnce | PermissionOptionKind::AllowAlways => "primary",
        _ => "danger",
    }
}

/// Separates the number of a prompt, as in `1 #7`, from an answer by text.
pub(crate) fn split_number(text: &str) -> (&str, Option<u64>) {
    let text = text.trim();
    let numbered = text.rsplit_once('#').and_then(|(answer, number)| {
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        Some((answer.trim_end(), number.parse().ok().filter(|_| is_number)?))
    });
    numbered.map_or((text, None), |(answer, number)| (answer, Some(number)))
}

/// Returns the question, and its first line alone: the title of the tool call, and its input.
fn question(asked: &RequestPermissionRequest) -> (String, String) {
    let fields = &asked.tool_call.fields;
    let title = fields.title.as_deref().map(|title| one_line(title, MAX_TITLE)).unwrap_or_default();
    let title = if title.is_empty() { "The agent asks for a permission".to_owned() } else { title };
    let input = fields.raw_input.as_ref().filter(|input| !is_empty(input)).map(Value::to_string);
    // Fewer than three backticks in a row: the input cannot end its own block.
    let input = input.map(|input| cut(input, MAX_INPUT).replace("```", "`\u{200b}``"));
    let title = format!("🔐 {title}");
    let question = match input {
        Some(input) => format!("{title}\n```json\n{input}\n```"),
        None => title.clone(),
    };
    (title, question)
}

fn is_empty(input: &Value) -> bool {
    input.is_null() || input.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Returns the option that allows, or rejects, everything: once where that is offered.
pub(crate) fn automatic(asked: &RequestPermissionRequest, allows: bool) -> Option<PermissionOptionId> {
    let wanted = if allows {
        [PermissionOptionKind::AllowOnce, PermissionOptionKind::AllowAlways]
    } else {
        [PermissionOptionKind::RejectOnce, PermissionOptionKind::RejectAlways]
    };
    let option = |kind| asked.options.iter().find(|option| option.kind == kind);
    wanted.into_iter().find_map(option).map(|option| option.option_id.clone())
}

/// Returns the answer for the agent: the option, or `None` for a cancelled request.
pub(crate) fn outcome(option: Option<PermissionOptionId>) -> RequestPermissionResponse {
    RequestPermissionResponse::new(match option {
        Some(option) => RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(option)),
        None => RequestPermissionOutcome::Cancelled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_client_protocol_schema::{ToolCallUpdate, ToolCallUpdateFields};
    use serde_json::json;

    fn request(kinds: &[PermissionOptionKind]) -> RequestPermissionRequest {
        let options = kinds.iter().enumerate().map(|(at, kind)| {
            PermissionOption::new(format!("the agent's id {at}"), format!("Name {at}"), *kind)
        });
        let mut fields = ToolCallUpdateFields::new();
        fields.title = Some("Run\nrm -r /".to_owned());
        fields.raw_input = Some(json!({ "command": "``` rm" }));
        RequestPermissionRequest::new("s", ToolCallUpdate::new("t", fields), options.collect())
    }

    fn permission() -> Permission {
        let asked = request(&[PermissionOptionKind::AllowOnce, PermissionOptionKind::RejectOnce]);
        Permission::new(RequestId::Number(1), &asked, 1, Time::ZERO).unwrap()
    }

    #[test]
    fn i_1_any_request_becomes_a_valid_prompt() {
        let prompt = permission().prompt("c", "acp-1");
        assert_eq!(prompt.problem(), None);
        assert_eq!((prompt.kind, prompt.options[0].id.as_str()), (PromptKind::Approval, "1"));
        assert_eq!(prompt.options[1].style.as_deref(), Some("danger"));
        assert!(prompt.content.starts_with("🔐 Run rm -r /\n```json\n"), "{}", prompt.content);
        assert_eq!(prompt.content.matches("```").count(), 2, "{}", prompt.content);
        assert!(permission().as_text().ends_with("1. Name 0\n2. Name 1\nAnswer with a number."));
    }

    #[test]
    fn an_answer_is_a_number_or_a_name() {
        let choice = |text| permission().choice(text).map(|id| id.0.to_string());
        let (first, second) = (Some("the agent's id 0".to_owned()), Some("the agent's id 1".to_owned()));
        assert_eq!((choice("1"), choice(" 2\n"), choice("name 1")), (first, second.clone(), second));
        for other in ["", "0", "3", "-1", "+1", "yes", "1 2"] {
            assert_eq!(choice(other), None, "{other}");
        }
    }

    #[test]
    fn an_answer_can_name_the_number_of_its_prompt() {
        for (text, expected) in [
            (" 1 ", ("1", None)),
            ("1 #7", ("1", Some(7))),
            ("Allow#12 ", ("Allow", Some(12))),
            ("#7", ("", Some(7))),
            ("1 #", ("1 #", None)),
            ("1 #+7", ("1 #+7", None)),
            ("1 #7x", ("1 #7x", None)),
            ("1 #99999999999999999999", ("1 #99999999999999999999", None)),
        ] {
            assert_eq!(split_number(text), expected, "{text}");
        }
    }

    #[test]
    fn an_option_without_a_name_is_not_named_by_an_empty_text() {
        let mut asked = request(&[PermissionOptionKind::AllowOnce]);
        asked.options[0].name = " ".to_owned();
        let permission = Permission::new(RequestId::Number(1), &asked, 1, Time::ZERO).unwrap();
        assert_eq!(permission.choice(" "), None);
        assert!(permission.choice("1").is_some() && permission.as_text().contains("1. Option 1"));
    }

    #[test]
    fn x_1_a_request_with_an_overlong_id_or_name_is_bounded() {
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let mut asked = request(&[PermissionOptionKind::AllowOnce]);
        assert_eq!(Permission::new(RequestId::Str(long.clone()), &asked, 1, Time::ZERO), None);
        asked.options[0].name = long.clone();
        let permission = Permission::new(RequestId::Number(1), &asked, 1, Time::ZERO).unwrap();
        assert_eq!(permission.options[0].name.chars().count(), MAX_LABEL);
        asked.options[0].option_id = long.into();
        assert_eq!(Permission::new(RequestId::Number(1), &asked, 1, Time::ZERO), None);
    }

    #[test]
    fn an_unattended_gateway_decides_for_once_first() {
        use PermissionOptionKind::{AllowAlways, AllowOnce, RejectAlways};
        let decided = |kinds: &[_], allows| automatic(&request(kinds), allows).map(|id| id.0.to_string());
        let id = |at: usize| Some(format!("the agent's id {at}"));
        assert_eq!(decided(&[AllowAlways, AllowOnce], true), id(1));
        assert_eq!(decided(&[AllowAlways], true), id(0));
        assert_eq!(decided(&[AllowOnce, RejectAlways], false), id(1));
        assert_eq!(decided(&[AllowOnce], false), None);
    }

    #[test]
    fn a_request_without_options_cannot_be_shown() {
        let many = vec![PermissionOptionKind::AllowOnce; 21];
        for kinds in [&[][..], &many] {
            assert_eq!(Permission::new(RequestId::Number(1), &request(kinds), 1, Time::ZERO), None);
        }
    }

    #[test]
    fn a_user_is_informed_once_and_not_too_many_are() {
        let mut permission = permission();
        assert!(permission.note_informed("a") && !permission.note_informed("a"));
        let informed = (0..100).filter(|user| permission.note_informed(&user.to_string())).count();
        assert_eq!(informed, MAX_INFORMED - 1);
    }
}
