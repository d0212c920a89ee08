//! Turns and answers of a recorded host: calls that are states of one stream, calls that are replies, and the messages
//! that they answer.
//!
//! Only calls, their results and observed events are used, never the recorded gateway's frames. A wrong frame thus
//! does not change the replay.

use crate::recording::{CallOutcome, LineContent, Recording};
use relayline_core::op::TurnState;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Cursor that the public gateway appends to the text of an unfinished message.
pub(crate) const CURSOR: &str = " ▉";

/// A turn of the recorded host.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) chat_id: String,
    /// Message that began it. An interaction has none.
    pub(crate) message_id: Option<String>,
    /// Id of the interaction that began it.
    pub(crate) interaction_id: Option<String>,
    is_open: bool,
}

/// An answer: a stream or a reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) chat_id: String,
    /// Turn, as an index in [`RecordedAnswers::turns`].
    pub(crate) turn: Option<usize>,
    /// Message that it answers.
    pub(crate) message_id: Option<String>,
    /// Thread of that message.
    pub(crate) thread_id: Option<String>,
    /// True if another answer of the same turn follows, which makes this one a segment (M-7).
    pub(crate) goes_on: bool,
    /// Message or turn that the host's metadata names.
    identity: Option<String>,
    draft_id: Option<Value>,
    /// Message that shows it, while edits are possible.
    shown_by: Option<String>,
    /// Text of its finished messages, and of the current one.
    base: String,
    shown: String,
    /// Outcome, once it has ended.
    ended: Option<bool>,
}

/// Meaning of a call.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Step {
    /// Beginning of a turn.
    Begin { turn: usize },
    /// End of a turn.
    End { turn: usize, state: TurnState },
    /// Stop of a turn: its streams end with the shown text (O-13).
    Stop { answer: usize },
    /// Whole text of a stream so far.
    State { answer: usize, text: String, last: bool },
    /// Answer in one message.
    Reply { answer: usize },
    /// Repetition of a failed answer.
    Again { answer: usize },
}

impl Step {
    /// Returns its answer.
    pub(crate) fn answer(&self) -> Option<usize> {
        match self {
            Step::Begin { .. } | Step::End { .. } => None,
            Step::Stop { answer }
            | Step::State { answer, .. }
            | Step::Reply { answer }
            | Step::Again { answer } => Some(*answer),
        }
    }
}

/// Turns and answers of a recording, with the steps by the position of their line.
#[derive(Debug, Default)]
pub(crate) struct RecordedAnswers {
    pub(crate) turns: Vec<Turn>,
    pub(crate) all: Vec<Answer>,
    pub(crate) steps: BTreeMap<usize, Step>,
    /// Last platform of each chat.
    platforms: BTreeMap<String, String>,
    /// Thread of each message, by chat and id.
    threads: BTreeMap<(String, String), Option<String>>,
    /// Last interaction in each chat.
    interactions: BTreeMap<String, String>,
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Arguments of a call, with derived values.
struct AnswerCall<'a> {
    args: &'a Map<String, Value>,
    chat_id: String,
    content: String,
    metadata: Map<String, Value>,
    reply_to: Option<String>,
    /// True if the call returned success.
    succeeded: bool,
    message_id: Option<String>,
}

impl<'a> AnswerCall<'a> {
    fn new(args: &'a Map<String, Value>, ended: &CallOutcome) -> Option<Self> {
        let result = match ended {
            CallOutcome::Result(result) => Some(result),
            CallOutcome::Raised { .. } | CallOutcome::Unknown => None,
        };
        Some(AnswerCall {
            args,
            chat_id: text(args, "chat_id")?,
            content: text(args, "content").unwrap_or_default(),
            metadata: args.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            reply_to: text(args, "reply_to"),
            succeeded: result.is_some_and(|result| result["success"] == true),
            message_id: result.and_then(|result| result["message_id"].as_str()).map(str::to_owned),
        })
    }

    /// Returns the message that the metadata names.
    fn identity(&self) -> Option<String> {
        text(&self.metadata, "message_id").or_else(|| text(&self.metadata, "reply_to_message_id"))
    }

    /// Returns the message that it answers.
    fn answers(&self) -> Option<String> {
        text(&self.metadata, "reply_to_message_id").or_else(|| self.reply_to.clone())
    }

    fn says(&self, name: &str) -> bool {
        self.metadata.get(name) == Some(&Value::Bool(true))
    }

    fn without_cursor(&self) -> &str {
        self.content.strip_suffix(CURSOR).unwrap_or(&self.content)
    }
}

impl RecordedAnswers {
    pub(super) fn of(recording: &Recording) -> RecordedAnswers {
        let mut answers = RecordedAnswers::default();
        for (at, line) in recording.lines.iter().enumerate() {
            match &line.what {
                LineContent::HostEvent { kind, event, .. } if kind == "message" => {
                    answers.record_event(event)
                }
                LineContent::HostCall { call, args, ended, .. } => {
                    if let Some(called) = AnswerCall::new(args, ended)
                        && let Some(step) = answers.step(call, &called)
                    {
                        answers.steps.insert(at, step);
                    }
                }
                _ => {}
            }
        }
        answers.find_segments();
        answers
    }

    /// Returns true if a chat was seen on Slack.
    pub(crate) fn is_slack(&self, chat_id: &str) -> bool {
        self.platforms.get(chat_id).is_some_and(|platform| platform == "slack")
    }

    fn record_event(&mut self, event: &Value) {
        let source = &event["source"];
        let Some(chat_id) = source["chat_id"].as_str() else { return };
        let platform = source["platform"].as_str().unwrap_or_default();
        self.platforms.insert(chat_id.to_owned(), platform.to_owned());
        let message_id = event["message_id"].as_str().unwrap_or_default();
        if let Some(id) = source["message_id"].as_str().filter(|_| message_id.is_empty()) {
            self.interactions.insert(chat_id.to_owned(), id.to_owned());
        }
        let thread_id = source["thread_id"].as_str().map(str::to_owned);
        self.threads.insert((chat_id.to_owned(), message_id.to_owned()), thread_id);
    }

    /// Returns the thread of a message that the host received.
    pub(crate) fn thread_of(&self, chat_id: &str, message_id: Option<&str>) -> Option<String> {
        self.threads.get(&(chat_id.to_owned(), message_id.unwrap_or_default().to_owned())).cloned().flatten()
    }

    fn step(&mut self, call: &str, called: &AnswerCall<'_>) -> Option<Step> {
        match call {
            "on_processing_start" => {
                let message_id = text(called.args, "message_id");
                let chat_id = called.chat_id.clone();
                let interaction = self.interactions.get(&chat_id).cloned();
                let interaction_id = interaction.filter(|_| message_id.is_none());
                self.turns.push(Turn { chat_id, message_id, interaction_id, is_open: true });
                Some(Step::Begin { turn: self.turns.len() - 1 })
            }
            "on_processing_complete" => {
                let message_id = text(called.args, "message_id");
                let turn =
                    self.open_turn(|turn| turn.chat_id == called.chat_id && turn.message_id == message_id)?;
                self.turns[turn].is_open = false;
                let state = match called.args.get("outcome").and_then(Value::as_str) {
                    Some("success") => TurnState::Done,
                    Some("failure") => TurnState::Failed,
                    Some(_) | None => TurnState::Stopped,
                };
                Some(Step::End { turn, state })
            }
            "abandon_open_draft" => {
                let answer = self.named(called)?;
                self.all[answer].ended = Some(true);
                Some(Step::Stop { answer })
            }
            "send_draft" => {
                let draft_id = called.args.get("draft_id").cloned();
                let answer = match self.named(called).filter(|at| self.all[*at].draft_id == draft_id) {
                    Some(answer) => answer,
                    None => self.begin(called, draft_id),
                };
                let text = format!("{}{}", self.all[answer].base, called.content);
                Some(Step::State { answer, text, last: false })
            }
            "edit_message" => self.edit(called),
            "send" => self.send(called),
            _ => None,
        }
    }

    fn open_turn(&self, is_it: impl Fn(&Turn) -> bool) -> Option<usize> {
        self.turns.iter().rposition(|turn| turn.is_open && is_it(turn))
    }

    /// Returns the open turn of a call.
    fn turn_of(&self, called: &AnswerCall<'_>) -> Option<usize> {
        let message = called.answers().or_else(|| called.identity());
        self.open_turn(|turn| {
            turn.chat_id == called.chat_id && (message.is_none() || turn.message_id == message)
        })
    }

    fn begin(&mut self, called: &AnswerCall<'_>, draft_id: Option<Value>) -> usize {
        let turn = self.turn_of(called);
        let message_id = match turn {
            Some(turn) => self.turns[turn].message_id.clone(),
            None => called.answers(),
        };
        self.all.push(Answer {
            chat_id: called.chat_id.clone(),
            turn,
            thread_id: self.thread_of(&called.chat_id, message_id.as_deref()),
            message_id,
            goes_on: false,
            identity: called.identity(),
            draft_id,
            shown_by: None,
            base: String::new(),
            shown: String::new(),
            ended: None,
        });
        self.all.len() - 1
    }

    fn last(&self, is_it: impl Fn(&Answer) -> bool) -> Option<usize> {
        self.all.iter().rposition(is_it)
    }

    /// Returns the unfinished stream that a call's metadata names.
    fn named(&self, called: &AnswerCall<'_>) -> Option<usize> {
        let identity = called.identity();
        self.last(|answer| {
            answer.ended.is_none() && answer.chat_id == called.chat_id && answer.identity == identity
        })
    }

    fn edit(&mut self, called: &AnswerCall<'_>) -> Option<Step> {
        let message_id = text(called.args, "message_id")?;
        let answer = self.last(|answer| {
            answer.ended.is_none()
                && answer.chat_id == called.chat_id
                && answer.shown_by.as_ref() == Some(&message_id)
        })?;
        let last = called.args.get("finalize") == Some(&Value::Bool(true));
        let it = &mut self.all[answer];
        let text = format!("{}{}", it.base, called.without_cursor());
        if called.succeeded {
            called.without_cursor().clone_into(&mut it.shown);
        }
        if last {
            it.ended = Some(called.succeeded);
        }
        Some(Step::State { answer, text, last })
    }

    fn send(&mut self, called: &AnswerCall<'_>) -> Option<Step> {
        if called.args.get("interim") == Some(&Value::Bool(true)) {
            return None;
        }
        if called.says("expect_edits") {
            let answer = match self.named(called) {
                Some(answer) => answer,
                None => self.begin(called, None),
            };
            let it = &mut self.all[answer];
            if it.shown_by.is_some() {
                it.base += &std::mem::take(&mut it.shown);
            }
            let text = format!("{}{}", it.base, called.without_cursor());
            if called.succeeded {
                it.shown_by.clone_from(&called.message_id);
                called.without_cursor().clone_into(&mut it.shown);
            }
            return Some(Step::State { answer, text, last: false });
        }
        if let Some(answer) = self.ends(called) {
            let it = &mut self.all[answer];
            it.ended = Some(called.succeeded);
            // After failed edits the rest is sent as a new message.
            let is_rest = it.shown_by.is_some() && !called.content.starts_with(&it.shown);
            let shown = if is_rest { it.shown.as_str() } else { "" };
            let text = format!("{}{shown}{}", it.base, called.content);
            if is_rest || it.shown_by.is_none() {
                return Some(Step::State { answer, text, last: true });
            }
            // The whole text is sent again: the host abandons the shown message.
            return Some(self.reply(called));
        }
        let turn = self.turn_of(called);
        let identity = called.identity();
        let failed = self.last(|answer| {
            let is_named = identity.is_some() && answer.identity == identity;
            answer.ended == Some(false)
                && answer.chat_id == called.chat_id
                && (is_named || turn.is_some() && answer.turn == turn)
        });
        if let Some(answer) = failed {
            return Some(Step::Again { answer });
        }
        (turn.is_some() && called.says("notify")).then(|| self.reply(called))
    }

    /// Returns the stream that a send ends: the one that its metadata names, else the one whose message it answers, or
    /// on Slack the only one with an open draft.
    fn ends(&self, called: &AnswerCall<'_>) -> Option<usize> {
        let is_named = called.identity().is_some();
        if let Some(answer) = self.named(called).filter(|_| is_named || called.says("notify")) {
            return Some(answer);
        }
        if is_named {
            return None;
        }
        let is_open = |answer: &&Answer| answer.ended.is_none() && answer.chat_id == called.chat_id;
        if called.says("notify") && called.reply_to.is_some() {
            return self.last(|answer| is_open(&answer) && answer.message_id == called.reply_to);
        }
        let drafted =
            |answer: &Answer| is_open(&answer) && answer.draft_id.is_some() && answer.shown_by.is_none();
        let is_only = self.all.iter().filter(|answer| drafted(answer)).count() == 1;
        self.last(drafted).filter(|_| is_only && self.is_slack(&called.chat_id))
    }

    fn reply(&mut self, called: &AnswerCall<'_>) -> Step {
        let answer = self.begin(called, None);
        self.all[answer].ended = Some(called.succeeded);
        Step::Reply { answer }
    }

    /// Marks answers with another answer of their turn after them. An answer after a failed one is its repetition.
    fn find_segments(&mut self) {
        let steps: Vec<&Step> = self.steps.values().collect();
        for (at, step) in steps.iter().enumerate() {
            let ends = matches!(step, Step::State { last: true, .. } | Step::Reply { .. });
            let Some(answer) = step.answer().filter(|_| ends) else { continue };
            let turn = self.all[answer].turn;
            let follows = steps[at + 1..].iter().any(|step| {
                let is_answer = matches!(step, Step::State { .. } | Step::Reply { .. });
                is_answer
                    && step.answer().is_some_and(|later| later != answer && self.all[later].turn == turn)
            });
            self.all[answer].goes_on = turn.is_some() && follows && self.all[answer].ended == Some(true);
        }
    }
}
