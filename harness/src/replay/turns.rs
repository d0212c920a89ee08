//! Replay of the recorded host's turns: turn states, replies and streams for the machine's deliveries.

use super::player::Player;
use super::recorded_answers::{Answer, Step};
use super::session::Frame;
use super::trace;
use crate::recording::LineContent;
use relayline_core::command::{Command, Failure, FailureKind, Metadata, Reply, RequestId};
use relayline_core::event::Event;
use relayline_core::op::{Op, ReplyMessage, SendMessage, StreamReply, Turn, TurnState};
use relayline_core::output::DeliveryId;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A message that the machine delivered.
#[derive(Debug)]
struct DeliveredMessage {
    chat_id: String,
    message_id: Option<String>,
    id: DeliveryId,
    /// True if a turn has begun with it.
    begun: bool,
}

/// State of the recorded host's turns.
#[derive(Debug, Default)]
pub(super) struct TurnReplay {
    delivered: Vec<DeliveredMessage>,
    /// Deliveries of the turns that have begun.
    began: BTreeMap<usize, DeliveryId>,
    /// Answers of the pending requests.
    waits: BTreeMap<RequestId, usize>,
    /// Answers that were declined (O-7).
    declined: BTreeSet<usize>,
    /// Chat and thread of prompt answers that the host has not acknowledged.
    chosen: Vec<(String, Option<String>)>,
}

impl TurnReplay {
    /// Records a delivered message.
    pub(super) fn deliver(&mut self, id: DeliveryId, message: &Event) {
        let chat_id = message.source.chat_id.to_string();
        let message_id = message.message_id.as_ref().map(ToString::to_string);
        self.delivered.push(DeliveredMessage { chat_id, message_id, id, begun: false });
    }

    /// Records an answer to a prompt.
    pub(super) fn choose(&mut self, answer: &Event) {
        let source = &answer.source;
        let thread_id = source.thread_id.as_ref().map(ToString::to_string);
        self.chosen.push((source.chat_id.to_string(), thread_id));
    }

    /// Records the end of a request.
    pub(super) fn complete(&mut self, id: RequestId, result: &Result<Reply, Failure>) {
        let answer = self.waits.remove(&id);
        if let (Some(answer), Err(Failure { kind: FailureKind::Declined, .. })) = (answer, result) {
            self.declined.insert(answer);
        }
    }

    /// Forgets everything, for a new process.
    pub(super) fn forget(&mut self) {
        *self = TurnReplay::default();
    }
}

impl Player<'_> {
    /// Plays a call that is a step of a turn. Returns false for another call.
    pub(super) fn turn_step(&mut self, at: usize, call: &str, args: &Map<String, Value>) -> bool {
        let session = self.session.clone();
        let Some(step) = session.answers.steps.get(&at) else { return false };
        match step {
            Step::Begin { turn } => self.begin_turn(call, *turn),
            Step::End { turn, state } => self.set_turn(call, Some(*turn), *state),
            Step::Stop { answer } => {
                self.set_turn(call, session.answers.all[*answer].turn, TurnState::Stopped);
            }
            Step::State { .. } | Step::Reply { .. } | Step::Again { .. } if self.is_over(step) => {
                self.run.withheld.insert(at);
                self.trace(trace::withheld_call(self.now, call));
            }
            Step::State { answer, text, last } => self.state(at, call, args, *answer, text, *last),
            Step::Reply { answer } | Step::Again { answer } => return self.reply(call, args, *answer),
        }
        true
    }

    /// Returns true if the host knows that nothing more of an answer may be sent (O-7).
    fn is_over(&self, step: &Step) -> bool {
        let answers = &self.session.answers;
        let turn = |answer: usize| answers.all[answer].turn;
        step.answer().is_some_and(|answer| {
            let same = |declined: &usize| {
                *declined == answer || turn(answer).is_some() && turn(*declined) == turn(answer)
            };
            self.turns.declined.iter().any(same)
        })
    }

    fn begin_turn(&mut self, call: &str, turn: usize) {
        let session = self.session.clone();
        let wanted = &session.answers.turns[turn];
        let is_it = |delivered: &&mut DeliveredMessage| {
            !delivered.begun
                && delivered.chat_id == wanted.chat_id
                && delivered.message_id == wanted.message_id
        };
        let delivered = self.turns.delivered.iter_mut().rev().find(is_it).map(|delivered| {
            delivered.begun = true;
            delivered.id
        });
        if let Some(delivery) = delivered {
            self.turns.began.insert(turn, delivery);
        }
        self.set_turn(call, Some(turn), TurnState::Begin);
    }

    /// A turn without a delivery is skipped: an earlier copy of its message began it already.
    fn set_turn(&mut self, call: &str, turn: Option<usize>, state: TurnState) {
        match turn.and_then(|turn| self.turns.began.get(&turn).copied()) {
            Some(delivery) => {
                self.is_turn = true;
                self.submit(call, Command::Turn(Turn::new(delivery, state)));
                self.is_turn = false;
            }
            None => self.trace(trace::no_command(self.now, call)),
        }
    }

    /// Returns the delivery of an answer.
    fn delivery_of(&self, answer: &Answer) -> Option<DeliveryId> {
        if let Some(turn) = answer.turn {
            return self.turns.began.get(&turn).copied();
        }
        let message_id = answer.message_id.as_ref()?;
        let is_it = |delivered: &&DeliveredMessage| {
            delivered.chat_id == answer.chat_id && delivered.message_id.as_ref() == Some(message_id)
        };
        self.turns.delivered.iter().rev().find(is_it).map(|delivered| delivered.id)
    }

    fn state(
        &mut self,
        at: usize,
        call: &str,
        args: &Map<String, Value>,
        answer: usize,
        text: &str,
        last: bool,
    ) {
        let session = self.session.clone();
        let of = &session.answers.all[answer];
        let delivery = self.delivery_of(of);
        let mut metadata = self.own_metadata(args, of, delivery.is_some());
        metadata.remove("expect_edits");
        metadata.remove("notify");
        if of.goes_on {
            // A segment is a separate message that does not end the turn (M-7).
            metadata.insert("notify".to_owned(), Value::Bool(false));
        }
        let reply_to = args.get("reply_to").and_then(Value::as_str).filter(|_| delivery.is_none());
        let mut stream =
            StreamReply::new(answer.to_string(), text).chat_id(&of.chat_id).last(last).metadata(metadata);
        (stream.delivery, stream.reply_to) = (delivery, reply_to.map(str::to_owned));
        let before = self.frames_written();
        self.submit_for(call, Command::Stream(stream), answer);
        if self.turns.declined.contains(&answer) && self.frames_written() == before {
            self.run.withheld.insert(at);
        }
    }

    fn frames_written(&self) -> usize {
        self.run.dials.last().map_or(0, |dialed| dialed.frames.len())
    }

    /// Plays a reply. Returns false if there is no delivery to answer.
    fn reply(&mut self, call: &str, args: &Map<String, Value>, answer: usize) -> bool {
        let session = self.session.clone();
        let of = &session.answers.all[answer];
        let Some(delivery) = self.delivery_of(of) else { return false };
        let mut metadata = self.own_metadata(args, of, !of.goes_on);
        metadata.remove("notify");
        let content = args.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
        let reply = ReplyMessage::new(delivery, content).last(!of.goes_on).metadata(metadata);
        self.submit_for(call, Command::Reply(reply), answer);
        true
    }

    /// Returns the metadata that the host sets itself. Fields that the delivery implies are left to the machine (M-7).
    fn own_metadata(&self, args: &Map<String, Value>, answer: &Answer, is_placed: bool) -> Metadata {
        let mut metadata = args.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, value) in [("thread_id", &answer.thread_id), ("reply_to_message_id", &answer.message_id)] {
            let said = metadata.get(name).and_then(Value::as_str);
            if is_placed && said.is_some() && said == value.as_deref() {
                metadata.remove(name);
            }
        }
        self.add_settings(&answer.chat_id, &mut metadata, true, true);
        metadata
    }

    /// Adds the metadata that the recorded host's settings imply for Slack (M-9).
    fn add_settings(&self, chat_id: &str, metadata: &mut Metadata, unfurls: bool, hints: bool) {
        if !self.session.answers.is_slack(chat_id) {
            return;
        }
        if unfurls {
            metadata.extend(self.slack.unfurls.clone());
        }
        if hints && !self.slack.format_hints.is_empty() && !metadata.contains_key("format_hints") {
            metadata.insert("format_hints".to_owned(), json!(self.slack.format_hints));
        }
    }

    /// Returns a command with the recorded host's settings.
    pub(super) fn as_set(&self, mut command: Command) -> Command {
        match &mut command {
            Command::Op(Op::Send(send)) => self.add_settings(&send.chat_id, &mut send.metadata, true, true),
            Command::Op(Op::SendMedia(media)) => {
                self.add_settings(&media.chat_id, &mut media.metadata, true, false)
            }
            Command::Op(Op::Edit(edit)) => self.add_settings(&edit.chat_id, &mut edit.metadata, false, true),
            Command::Op(Op::Draft(draft)) => {
                self.add_settings(&draft.chat_id, &mut draft.metadata, false, true)
            }
            _ => {}
        }
        command
    }

    /// Returns the first action that the recorded gateway wrote for a call.
    pub(super) fn wrote_for(&self, at: usize) -> Option<&Value> {
        let mut wrote = self.session.dials.iter().flat_map(|dial| &dial.wrote);
        let first = wrote
            .find(|frame| frame.cause.as_ref().is_some_and(|cause| cause.call == Some(at) && cause.nth == 0));
        first.map(|frame| &frame.value["action"])
    }

    /// Acknowledges prompt answers as the recorded gateway did by itself. The machine leaves this to its host, so the
    /// host does it when it is notified, with the recorded text.
    pub(super) fn acknowledge_choices(&mut self, at: usize, dial: usize) {
        let mut chosen = std::mem::take(&mut self.turns.chosen);
        chosen.dedup_by(|later, earlier| later.0 == earlier.0);
        for (chat_id, thread_id) in chosen.into_iter().filter(|_| !self.session.wire_only) {
            self.acknowledge(at, dial, &chat_id, thread_id.as_deref());
        }
    }

    fn acknowledge(&mut self, at: usize, dial: usize, chat_id: &str, thread_id: Option<&str>) {
        let session = self.session.clone();
        let dial = &session.dials[dial];
        let until = dial.choice_after(at, chat_id);
        let own = |frame: &&Frame| {
            frame.is_own_send_to(chat_id) && at < frame.line && until.is_none_or(|until| frame.line < until)
        };
        let words = |frame: &Frame| frame.value["action"]["content"].as_str().unwrap_or_default().to_owned();
        let mut said: Vec<String> = dial.wrote.iter().filter(own).map(words).collect();
        // Repeated and empty texts are left out.
        said.dedup();
        if said.is_empty() {
            said.push("acknowledged".to_owned());
        }
        for content in said {
            let mut metadata = Metadata::new();
            if let Some(thread_id) = thread_id {
                metadata.insert("thread_id".to_owned(), json!(thread_id));
            }
            let send = SendMessage::new(chat_id, content).metadata(metadata);
            let command = self.as_set(Command::Op(Op::Send(send)));
            self.submit("acknowledge", command);
        }
    }

    /// Returns true if the recorded host took a buffered entry without a recorded acknowledgement.
    pub(super) fn took_without_ack(&self, entry: &str, message: Option<&Event>) -> bool {
        let acks = |frame: &Frame| {
            frame.line >= self.line && frame.kind() == "inbound_ack" && frame.value["bufferId"] == entry
        };
        if self.session.dials.iter().flat_map(|dial| &dial.wrote).any(acks) {
            return false;
        }
        self.recording.lines.iter().skip(self.line).any(|line| {
            let raised = line.rest.contains_key("handler_raised");
            match &line.what {
                LineContent::HostEvent { kind, event, .. } if kind == "message" => {
                    message.is_some_and(|message| {
                        !raised
                            && event["message_id"].as_str() == message.message_id.as_deref()
                            && event["source"]["chat_id"].as_str() == Some(&*message.source.chat_id)
                            && event["text"].as_str() == Some(&*message.text)
                    })
                }
                LineContent::HostEvent { kind, .. } if kind == "passthrough" => {
                    line.rest.get("buffer_id").is_some_and(|id| id == entry)
                }
                _ => false,
            }
        })
    }

    /// Submits a command for an answer.
    fn submit_for(&mut self, call: &str, command: Command, answer: usize) {
        self.answering = Some(answer);
        self.submit(call, command);
        self.answering = None;
    }

    /// Remembers the answer of an accepted request.
    pub(super) fn note_answer(&mut self, id: RequestId) {
        if let Some(answer) = self.answering {
            self.turns.waits.insert(id, answer);
        }
    }
}

/// Settings of the recorded host for Slack.
#[derive(Clone, Debug, Default)]
pub(super) struct SlackSettings {
    unfurls: Metadata,
    format_hints: Metadata,
}

impl SlackSettings {
    /// Reads the settings. `hints_are_read` is true if Slack's connector supports format hints.
    pub(super) fn read(settings: &Map<String, Value>, hints_are_read: bool) -> SlackSettings {
        let flag = |name: &&str| Some((String::from(*name), Value::Bool(flag(settings.get(*name)?)?)));
        let unfurls = ["unfurl_links", "unfurl_media"].iter().filter_map(flag).collect();
        let hints = ["rich_blocks", "markdown_blocks"].iter().filter_map(flag);
        let format_hints = hints.filter(|(_, is_on)| hints_are_read && *is_on == true).collect();
        SlackSettings { unfurls, format_hints }
    }
}

/// Reads a boolean setting, which may be a word.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
