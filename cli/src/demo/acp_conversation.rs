//! Conversation with an ACP agent: plays the connector's part, and shows the messages of both sides.

use super::script::{DemoChat, Step};
use super::stage::{CHECK, ENDED, Stage, frame};
use relayline_connector::chats::Room;
use relayline_connector::{EmbeddedConnector, Observation};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Reaction on a message that the agent works on.
const WORKING: &str = "👀";
/// End of a question whose options are a numbered text.
const BY_NUMBER: &str = "Answer with a number.";

/// Message of a chat: the chat's id, and the message's.
type MessageKey = (String, String);

/// Messages of the turns in progress that are not shown yet, or not as they are.
#[derive(Default)]
struct Progress {
    /// Messages that the agent works on.
    working: BTreeSet<MessageKey>,
    /// Latest states of edited messages.
    edited: BTreeMap<MessageKey, String>,
    /// Latest states of each chat's card.
    cards: BTreeMap<String, Vec<CardStep>>,
    /// Chats with a draft that is shown.
    drafts: BTreeSet<String>,
    /// True if an answer was completed, or a turn ended, since the last step of the conversation.
    has_ended: bool,
    /// True if a person is asked something since then.
    asks: bool,
}

impl Progress {
    /// Returns true if the agent is done, or waits for a person.
    fn is_done(&self) -> bool {
        self.asks || (self.has_ended && self.working.is_empty())
    }
}

/// Step on a task card.
#[derive(Clone, PartialEq)]
struct CardStep {
    id: String,
    title: String,
    status: String,
}

pub(super) struct AcpConversation {
    pub(super) stage: Stage,
    progress: Progress,
    /// Shows each state as it comes. Otherwise only those are shown that do not depend on the time.
    is_live: bool,
}

impl AcpConversation {
    pub(super) fn new(connector: EmbeddedConnector, is_live: bool) -> Self {
        AcpConversation { stage: Stage::new(connector), progress: Progress::default(), is_live }
    }

    /// Returns the reason for which a step cannot be performed now, and what to do instead.
    pub(super) fn problem(&mut self, step: &Step) -> Option<String> {
        match (step, &self.stage.question) {
            (Step::Press(..), None) => Some(
                "nothing is asked that has buttons: say something that needs a permission, as `deploy`"
                    .to_owned(),
            ),
            (Step::Press(chat, _), Some(asked)) if asked.platform != chat.room().platform => {
                Some(format!("the question was asked in {}: answer it there", asked.platform))
            }
            (Step::Press(_, option), Some(asked)) if asked.option(option).is_none() => {
                Some(format!("the question has no option {option:?}: press {}", asked.labels()))
            }
            (Step::Command(_, name), _) if name.is_empty() => {
                Some("a slash command has a name, as in `/command status`".to_owned())
            }
            (Step::Drop, _) if self.stage.is_cut() => {
                Some("the connection is cut already: say something, and it waits in the buffer".to_owned())
            }
            _ => None,
        }
    }

    /// Performs a step, without waiting for the agent.
    pub(super) fn perform(&mut self, step: &Step) -> Result<(), String> {
        if let Some(why) = self.problem(step) {
            return Err(why);
        }
        (self.progress.has_ended, self.progress.asks) = (false, false);
        match step {
            Step::Say(chat, text) => self.stage.say(&chat.room(), text),
            Step::Interrupt(chat) => self.stage.interrupt(&chat.room()),
            Step::Press(chat, option) => self.stage.press(*chat, option),
            Step::Command(DemoChat::Discord, name) => self.stage.command(&DemoChat::Discord.room(), name),
            Step::Command(chat, name) => self.stage.say(&chat.room(), &format!("/{name}")),
            Step::Drop => self.stage.cut(),
        }
    }

    /// Waits until the agent is done, or asks something.
    pub(super) fn listen(&mut self, patience: Duration, has_ended: impl Fn() -> bool) -> Result<(), String> {
        let until = Instant::now() + patience;
        while !self.progress.is_done() {
            if has_ended() {
                return Err(ENDED.to_owned());
            }
            if Instant::now() >= until {
                return Err(format!("the agent did not answer within {} s", patience.as_secs()));
            }
            self.watch(CHECK);
        }
        if !self.progress.asks {
            self.flush();
        }
        Ok(())
    }

    /// Shows what happens, up to the first time at which nothing has happened for `time`.
    pub(super) fn watch(&mut self, time: Duration) {
        if let Some(saw) = self.stage.connector.next_observation(time) {
            self.show(&saw);
        }
        while let Some(saw) = self.stage.connector.next_observation(Duration::ZERO) {
            self.show(&saw);
        }
        if self.is_live {
            self.stage.transcript.end_idle_line();
            if self.progress.working.is_empty() {
                self.flush();
            }
        }
    }

    fn show(&mut self, saw: &Observation) {
        self.stage.show_return(saw);
        let Some(frame) = frame(saw).filter(|frame| frame["type"] == "outbound") else { return };
        let action = &frame["action"];
        let text = |name: &str| action[name].as_str().unwrap_or_default().to_owned();
        let chat_id = text("chat_id");
        let Some(room) = DemoChat::of(&chat_id).map(DemoChat::room) else { return };
        let completes = action["metadata"]["notify"] == true;
        match action["op"].as_str() {
            Some("prompt") => {
                self.progress.asks = true;
                self.stage.show_question(&room, action);
            }
            Some("send" | "follow_up") => {
                let content = text("content");
                self.progress.asks |= content.ends_with(BY_NUMBER);
                self.progress.drafts.remove(&chat_id);
                self.said(&room, &content, "");
            }
            Some("edit") if completes || self.is_live => {
                self.progress.edited.remove(&(chat_id, text("message_id")));
                self.said(&room, &text("content"), "edited");
            }
            Some("edit") => {
                self.progress.edited.insert((chat_id, text("message_id")), text("content"));
            }
            Some("draft") if action["final"] == true => {
                self.said(&room, &text("content"), "the draft, now a message");
            }
            Some("draft") if self.progress.drafts.insert(chat_id.clone()) || self.is_live => {
                self.said(&room, &text("content"), "a draft");
            }
            Some("task_card") => self.show_card(&room, action),
            Some("react") if action["emoji"] == WORKING => {
                let key = (chat_id, text("message_id"));
                if action["remove"] == true {
                    self.progress.has_ended |= self.progress.working.remove(&key);
                } else {
                    self.progress.working.insert(key);
                }
            }
            _ => {}
        }
        self.progress.has_ended |= completes;
    }

    /// Shows a message, or its next state.
    fn said(&mut self, room: &Room, text: &str, how: &str) {
        let transcript = &mut self.stage.transcript;
        if self.is_live {
            return transcript.grew(room, "agent", text, how);
        }
        let how = if how.is_empty() { String::new() } else { format!("  ({how})") };
        transcript.said(room, "agent", &format!("{}{how}", text.trim_end()));
    }

    /// Shows the first steps of a card; live, also each change of one.
    fn show_card(&mut self, room: &Room, action: &Value) {
        let chunks = action["chunks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let steps: Vec<CardStep> = chunks.iter().map(CardStep::read).collect();
        let former = self.progress.cards.insert(room.chat_id.to_owned(), steps.clone());
        let is_first = former.is_none();
        let former = former.unwrap_or_default();
        let is_shown = |step: &&CardStep| is_first || (self.is_live && !former.contains(step));
        let shown: Vec<String> = steps.iter().filter(is_shown).map(CardStep::shown).collect();
        if !shown.is_empty() {
            self.stage.transcript.said(room, "agent", &shown.join("  "));
        }
    }

    /// Shows the last states of the messages and cards of turns that have ended.
    fn flush(&mut self) {
        let Progress { edited, cards, .. } = std::mem::take(&mut self.progress);
        for ((chat_id, _), text) in edited {
            if let Some(chat) = DemoChat::of(&chat_id) {
                self.said(&chat.room(), &text, "edited");
            }
        }
        for (chat_id, steps) in cards {
            if let Some(chat) = DemoChat::of(&chat_id).filter(|_| !self.is_live) {
                let steps: Vec<String> = steps.iter().map(CardStep::shown).collect();
                self.stage.transcript.said(&chat.room(), "agent", &steps.join("  "));
            }
        }
    }
}

impl CardStep {
    fn read(chunk: &Value) -> CardStep {
        let text = |name: &str| chunk[name].as_str().unwrap_or_default().to_owned();
        CardStep { id: text("id"), title: text("title"), status: text("status") }
    }

    /// Returns the step as a card shows it.
    fn shown(&self) -> String {
        let sign = match self.status.as_str() {
            "complete" => "✔",
            "error" => "✖",
            "in_progress" => "⏳",
            _ => "○",
        };
        format!("{sign} {}", self.title)
    }
}
