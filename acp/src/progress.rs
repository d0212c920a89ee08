//! Progress of a turn: the agent's tool calls and its plan, as a task card, as one edited line, or as a typing sign.

use crate::config::AcpLimits;
use crate::delivery::{ChatAbilities, TurnOrigin};
use crate::texts::{cut, one_line};
use agent_client_protocol_schema::{
    Plan, PlanEntryStatus, ToolCall, ToolCallStatus, ToolCallUpdate, ToolCallUpdateFields,
};
use relayline_core::command::Command;
use relayline_core::op::{EditMessage, ReplyMessage, TaskCard, TaskCardStop, Typing};
use relayline_core::time::Time;
use serde_json::{Map, Value, json};

/// Maximum length of a step's title, in characters.
const MAX_TITLE: usize = 120;
/// Maximum length of a step's id, in characters.
const MAX_STEP_ID: usize = 128;

#[derive(Clone, PartialEq, Eq, Debug)]
struct TurnStep {
    id: String,
    title: String,
    status: Status,
    is_planned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Pending,
    Running,
    Done,
    Failed,
}

impl Status {
    /// Returns the name in a task card.
    fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "in_progress",
            Status::Done => "complete",
            Status::Failed => "error",
        }
    }

    fn has_ended(self) -> bool {
        matches!(self, Status::Done | Status::Failed)
    }
}

fn status_of(status: ToolCallStatus) -> Status {
    match status {
        ToolCallStatus::InProgress => Status::Running,
        ToolCallStatus::Completed => Status::Done,
        ToolCallStatus::Failed => Status::Failed,
        _ => Status::Pending,
    }
}

/// Steps of a turn, and what is shown of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct TurnProgress {
    steps: Vec<TurnStep>,
    /// Number of ended steps that made room for others, and of those that had failed.
    removed: (usize, usize),
    is_dirty: bool,
    /// True while the result of a command is awaited.
    is_waiting: bool,
    /// Time from which the next state can be shown.
    next: Time,
    /// True if a card or a line is shown.
    is_shown: bool,
    /// Id of the message with the line.
    line_id: Option<String>,
    /// True if the line cannot be shown: it has no id, or could not be sent.
    has_no_line: bool,
    /// True once the last state is shown.
    is_over: bool,
}

impl TurnProgress {
    /// Adds a tool call, or replaces the one with its id. Returns the number of steps that are not shown.
    pub(crate) fn tool_call(&mut self, call: &ToolCall, limits: &AcpLimits) -> u64 {
        let step = TurnStep {
            id: cut(call.tool_call_id.0.to_string(), MAX_STEP_ID),
            title: one_line(&call.title, MAX_TITLE),
            status: status_of(call.status),
            is_planned: false,
        };
        self.put(step, limits)
    }

    /// Updates a tool call. One that is not known is added.
    pub(crate) fn tool_update(&mut self, update: &ToolCallUpdate, limits: &AcpLimits) -> u64 {
        let ToolCallUpdateFields { title, status, .. } = &update.fields;
        let id = cut(update.tool_call_id.0.to_string(), MAX_STEP_ID);
        let known = self.steps.iter().find(|step| step.id == id && !step.is_planned);
        let title = match (title, known) {
            (Some(title), _) => one_line(title, MAX_TITLE),
            (None, Some(known)) => known.title.clone(),
            (None, None) => id.clone(),
        };
        let status = status.map(status_of).or(known.map(|known| known.status)).unwrap_or(Status::Running);
        self.put(TurnStep { id, title, status, is_planned: false }, limits)
    }

    /// Replaces the plan.
    pub(crate) fn plan(&mut self, plan: &Plan, limits: &AcpLimits) -> u64 {
        let mut former: Vec<TurnStep> = Vec::new();
        self.steps.retain(|step| {
            if step.is_planned {
                former.push(step.clone());
            }
            !step.is_planned
        });
        let entries = plan.entries.iter().enumerate().take(limits.acp_steps).map(|(at, entry)| TurnStep {
            id: format!("plan-{at}"),
            title: one_line(&entry.content, MAX_TITLE),
            status: match entry.status {
                PlanEntryStatus::InProgress => Status::Running,
                PlanEntryStatus::Completed => Status::Done,
                _ => Status::Pending,
            },
            is_planned: true,
        });
        let entries: Vec<TurnStep> = entries.collect();
        self.is_dirty |= entries != former;
        self.steps.splice(0..0, entries);
        let beyond = plan.entries.len().saturating_sub(limits.acp_steps) as u64;
        beyond + self.evict(limits)
    }

    fn put(&mut self, step: TurnStep, limits: &AcpLimits) -> u64 {
        match self.steps.iter_mut().find(|known| known.id == step.id && known.is_planned == step.is_planned) {
            Some(known) if *known == step => return 0,
            Some(known) => *known = step,
            None => self.steps.push(step),
        }
        self.is_dirty = true;
        self.evict(limits)
    }

    /// Removes the oldest ended steps, else the oldest, while there are too many. Steps of the plan stay: they fit, and the
    /// next plan would bring them back.
    fn evict(&mut self, limits: &AcpLimits) -> u64 {
        let mut dropped = 0;
        while self.steps.len() > limits.acp_steps {
            let ended = self.steps.iter().position(|step| !step.is_planned && step.status.has_ended());
            let oldest = || self.steps.iter().position(|step| !step.is_planned);
            let Some(at) = ended.or_else(oldest) else { break };
            let step = self.steps.remove(at);
            self.removed.0 += usize::from(step.status.has_ended());
            self.removed.1 += usize::from(step.status == Status::Failed);
            dropped += 1;
        }
        dropped
    }

    /// Returns the next command that shows the progress. `ended` is set once the turn has ended, and true if it
    /// succeeded.
    pub(crate) fn next(
        &mut self,
        now: Time,
        limits: &AcpLimits,
        origin: &TurnOrigin,
        ended: Option<bool>,
    ) -> Option<Command> {
        if self.is_waiting || self.is_over {
            return None;
        }
        let Some(succeeded) = ended else {
            if !self.is_dirty || now < self.next {
                return None;
            }
            (self.is_dirty, self.is_waiting) = (false, true);
            self.next = now + limits.acp_progress_interval;
            return Some(self.state(origin));
        };
        if origin.abilities.task_cards && self.is_shown {
            self.is_waiting = true;
            if self.close_steps(succeeded) || self.is_dirty {
                self.is_dirty = false;
                return Some(self.state(origin));
            }
            self.is_over = true;
            let stop = TaskCardStop::new().delivery(origin.delivery);
            return Some(stop.chat_id(origin.chat_id.as_str()).into());
        }
        self.is_over = true;
        let message_id = self.line_id.clone()?;
        self.is_waiting = true;
        Some(self.edit(origin, message_id, self.summary(succeeded)))
    }

    /// Ends the steps that the agent left open. Returns true if there were any.
    fn close_steps(&mut self, succeeded: bool) -> bool {
        let mut changed = false;
        for step in self.steps.iter_mut().filter(|step| !step.status.has_ended()) {
            // A step that was not begun stays as it is.
            if step.status == Status::Running {
                step.status = if succeeded { Status::Done } else { Status::Failed };
                changed = true;
            }
        }
        changed
    }

    fn state(&mut self, origin: &TurnOrigin) -> Command {
        let ChatAbilities { task_cards, edits } = origin.abilities;
        if task_cards {
            self.is_shown = true;
            let card = TaskCard::new(self.chunks()).delivery(origin.delivery);
            return card.chat_id(origin.chat_id.as_str()).into();
        }
        match &self.line_id {
            Some(id) => self.edit(origin, id.clone(), self.line()),
            None if edits && !self.has_no_line => {
                self.is_shown = true;
                Command::Reply(ReplyMessage::new(origin.delivery, self.line()).last(false))
            }
            None => {
                let mut typing = Typing::new(origin.chat_id.as_str()).metadata(origin.metadata());
                typing.platform = origin.platform();
                typing.into()
            }
        }
    }

    fn edit(&self, origin: &TurnOrigin, message_id: String, text: String) -> Command {
        let edit = EditMessage::new(origin.chat_id.as_str(), message_id, text);
        let mut edit = edit.metadata(origin.metadata());
        edit.platform = origin.platform();
        edit.into()
    }

    /// Notes the result of the command that `next` returned: the id of the message, if there is one.
    pub(crate) fn finished(&mut self, message_id: Option<String>) {
        self.is_waiting = false;
        if self.is_shown && self.line_id.is_none() {
            self.has_no_line = message_id.is_none();
            self.line_id = message_id;
        }
    }

    /// Returns true if no result is awaited and nothing is left to show.
    pub(crate) fn is_over(&self) -> bool {
        !self.is_waiting && self.is_over
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        (self.is_dirty && !self.is_waiting && !self.is_over).then_some(self.next)
    }

    fn chunks(&self) -> Vec<Map<String, Value>> {
        let chunk = |step: &TurnStep| {
            let fields = [("id", step.id.as_str()), ("title", &step.title), ("status", step.status.name())];
            fields.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
        };
        self.steps.iter().map(chunk).collect()
    }

    /// Returns the numbers of steps, of ended ones and of failed ones.
    fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(Status) -> bool| self.steps.iter().filter(|step| wanted(step.status)).count();
        let (ended, failed) = self.removed;
        (
            self.steps.len() + ended,
            count(Status::has_ended) + ended,
            count(|status| status == Status::Failed) + failed,
        )
    }

    /// Returns the progress in one line.
    fn line(&self) -> String {
        let (all, ended, _) = self.counts();
        let current = self.steps.iter().rev().find(|step| step.status == Status::Running);
        let title = current.or(self.steps.last()).map_or("", |step| step.title.as_str());
        format!("⏳ {title} ({ended} of {all} done)")
    }

    /// Returns the line that is left when the turn has ended.
    fn summary(&self, succeeded: bool) -> String {
        let (all, _, failed) = self.counts();
        let sign = if succeeded { "✔" } else { "✖" };
        let steps = if all == 1 { "1 step".to_owned() } else { format!("{all} steps") };
        let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        format!("{sign} {steps}{failed}")
    }
}

#[cfg(test)]
mod tests;
