//! A machine with an agent and a relay that the test plays. It checks that each delivery is settled once.

use crate::{
    AcpConfig, AcpDelivery, AcpMachine, ChatAbilities, HostOp, HostResult, OpId, Output, SavedState,
    StopCause,
};
use relayline_core::command::{Command, Failure, FailureKind, Reply};
use relayline_core::event::{Event, Media, PromptResponse};
use relayline_core::op::{Op, TurnState};
use relayline_core::output::{DeliveryId, Outcome};
use relayline_core::time::Time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) const EDITS: ChatAbilities = ChatAbilities { task_cards: false, edits: true };

/// Command that belongs to a delivery.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Submitted {
    Text(String),
    Bracket(TurnState),
}

pub(super) struct World {
    pub(super) machine: AcpMachine,
    pub(super) now: Time,
    /// Messages to the agent that the test has not looked at.
    pub(super) written: VecDeque<Value>,
    /// Texts that chats have seen, and the test has not looked at.
    pub(super) shown: VecDeque<String>,
    /// Operations that the test answers itself, since `holds` is set.
    pub(super) held: VecDeque<(OpId, HostOp)>,
    pub(super) holds: bool,
    /// Failure of every command, if set.
    pub(super) failure: Option<FailureKind>,
    /// True if the relay has forgotten all deliveries.
    pub(super) forgets: bool,
    /// Settled deliveries.
    pub(super) settled: BTreeMap<u64, Outcome>,
    pub(super) delivered: u64,
    /// Every stream, reply and bracket, with the number of its delivery.
    pub(super) submitted: Vec<(u64, Submitted)>,
    pub(super) logs: Vec<String>,
    pub(super) stopped: Option<StopCause>,
    pub(super) saves: usize,
    /// Commands that were declared last.
    pub(super) declared: Option<Vec<Value>>,
    pub(super) agent_ends: usize,
    messages: u64,
}

pub(super) fn config() -> AcpConfig {
    AcpConfig::new("/work")
}

impl World {
    pub(super) fn new(config: AcpConfig) -> World {
        World::with_state(config, &SavedState::default())
    }

    pub(super) fn with_state(config: AcpConfig, saved: &SavedState) -> World {
        let mut world = World {
            machine: AcpMachine::new(config, saved),
            now: Time::ZERO,
            written: VecDeque::new(),
            shown: VecDeque::new(),
            held: VecDeque::new(),
            holds: false,
            failure: None,
            forgets: false,
            settled: BTreeMap::new(),
            delivered: 0,
            submitted: Vec::new(),
            logs: Vec::new(),
            stopped: None,
            saves: 0,
            declared: None,
            agent_ends: 0,
            messages: 0,
        };
        world.machine.handle_connected(world.now);
        world.drain();
        world
    }

    /// Starts a world whose agent is ready and has these capabilities.
    pub(super) fn ready(config: AcpConfig, capabilities: Value) -> World {
        let mut world = World::new(config);
        world.start_agent(capabilities);
        world
    }

    pub(super) fn start_agent(&mut self, capabilities: Value) {
        self.machine.handle_agent_started(self.now);
        self.drain();
        let request = self.request("initialize");
        assert_eq!(request["params"]["protocolVersion"], 1);
        self.respond(&request, json!({ "protocolVersion": 1, "agentCapabilities": capabilities }));
    }

    /// Performs all outputs.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Write { line, settles } => {
                    let message: Value = serde_json::from_str(&line).unwrap();
                    assert_eq!(message["jsonrpc"], "2.0");
                    assert!(!line.contains('\n'));
                    self.written.push_back(message);
                    if let Some(delivery) = settles {
                        self.settle(delivery, Outcome::Accepted);
                    }
                }
                Output::Settle { delivery, outcome } => self.settle(delivery, outcome),
                Output::Perform { id, op } if self.holds => self.held.push_back((id, op)),
                Output::Perform { id, op } => self.perform(id, op),
                Output::Save => self.saves += 1,
                Output::Declare => self.declared = self.machine.command_manifest(),
                Output::Log(log) => self.logs.push(format!("{} {}", log.event, log.why)),
                Output::EndAgent => self.agent_ends += 1,
                Output::Stop(cause) => self.stopped = Some(cause),
            }
        }
        let deadline = self.machine.deadline();
        assert!(self.machine.poll_output().is_none());
        assert_eq!(self.machine.deadline(), deadline);
    }

    fn settle(&mut self, delivery: DeliveryId, outcome: Outcome) {
        let number = delivery.number();
        assert!((1..=self.delivered).contains(&number), "delivery {number} exists");
        let former = self.settled.insert(number, outcome);
        assert_eq!(former, None, "delivery {number} is settled once");
    }

    /// Performs an operation, and passes in its result.
    pub(super) fn perform(&mut self, id: OpId, op: HostOp) {
        let HostOp::Command(command) = op else {
            return self.held.push_back((id, op));
        };
        if let Some(kind) = self.failure.filter(|_| !matches!(*command, Command::Turn(_))) {
            let failure = Failure::new(kind, "no");
            return self.machine.handle_result(self.now, id, HostResult::Command(Err(failure)));
        }
        let names_delivery = match &*command {
            Command::Stream(stream) => stream.delivery.is_some(),
            Command::Reply(_) | Command::Turn(_) => true,
            _ => false,
        };
        if self.forgets && names_delivery {
            let failure = Failure::new(FailureKind::Definite, "forgotten");
            return self.machine.handle_result(self.now, id, HostResult::Command(Err(failure)));
        }
        self.messages += 1;
        let message_id = Some(format!("m{}", self.messages));
        let sent = Reply::Sent { message_id: message_id.clone(), thread_id: None, auto_thread_name: None };
        let (shown, reply) = match *command {
            Command::Stream(stream) => {
                let name = stream.stream.split(' ').find_map(|word| word.parse().ok());
                let number = name.unwrap();
                assert!(stream.delivery.is_none_or(|delivery| delivery.number() == number));
                assert_eq!(stream.delivery.is_none(), !stream.chat_id.is_empty());
                self.submitted.push((number, Submitted::Text(stream.text.clone())));
                let mark = match (stream.last, stream.interim) {
                    (true, false) => " ■",
                    (true, true) => " □",
                    (false, _) => "…",
                };
                (Some(format!("{}{mark}", stream.text)), Reply::Done)
            }
            Command::Reply(reply) => {
                self.submitted.push((reply.delivery.number(), Submitted::Text(reply.content.clone())));
                let mark = if reply.last { " ■" } else { "" };
                (Some(format!("[{}] {}{mark}", reply.delivery.number(), reply.content)), sent)
            }
            Command::Turn(turn) => {
                self.submitted.push((turn.delivery.number(), Submitted::Bracket(turn.state)));
                let state = match turn.state {
                    TurnState::Begin => "begin",
                    TurnState::Done => "done",
                    TurnState::Failed => "failed",
                    TurnState::Stopped => "stopped",
                };
                (Some(format!("<{} {state}>", turn.delivery.number())), Reply::Done)
            }
            Command::Op(Op::Prompt(prompt)) => {
                assert_eq!(prompt.problem(), None);
                let prompt_id = prompt.prompt_id.clone().unwrap();
                (Some(format!("? {prompt_id} {}", prompt.content)), Reply::Prompted { prompt_id, message_id })
            }
            Command::Op(Op::Send(send)) => (Some(format!("[{}] {}", send.chat_id, send.content)), sent),
            Command::Op(Op::Edit(edit)) => (Some(format!("edit {}", edit.content)), Reply::Done),
            Command::Op(Op::Typing(_)) => (Some("typing".to_owned()), Reply::Done),
            other => (Some(other.name().to_owned()), sent),
        };
        self.shown.extend(shown);
        self.machine.handle_result(self.now, id, HostResult::Command(Ok(reply)));
    }

    /// Returns the next message to the agent, which must be a request of this method.
    #[track_caller]
    pub(super) fn request(&mut self, method: &str) -> Value {
        let message = self.written.pop_front().unwrap_or_else(|| panic!("no {method}; {:?}", self.logs));
        assert_eq!(message["method"], method, "{message}");
        message
    }

    pub(super) fn respond(&mut self, request: &Value, result: Value) {
        self.say(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    }

    pub(super) fn fail(&mut self, request: &Value, code: i64, message: &str) {
        let error = json!({ "code": code, "message": message });
        self.say(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }));
    }

    /// Passes in a message of the agent.
    pub(super) fn say(&mut self, message: Value) {
        self.machine.handle_line(self.now, message.to_string().as_bytes());
        self.drain();
    }

    pub(super) fn update(&mut self, session: &str, update: Value) {
        let params = json!({ "sessionId": session, "update": update });
        self.say(json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }));
    }

    pub(super) fn chunk(&mut self, session: &str, text: &str) {
        let content = json!({ "type": "text", "text": text });
        self.update(session, json!({ "sessionUpdate": "agent_message_chunk", "content": content }));
    }

    /// Returns a message of user u1 in the chat of this session.
    pub(super) fn message(&mut self, session_key: &str, text: &str) -> AcpDelivery {
        self.delivered += 1;
        let mut event = Box::new(Event::default());
        (event.text, event.source.user_id) = (text.into(), Some("u1".into()));
        (event.source.chat_id, event.message_id) = (session_key.into(), Some("message".into()));
        let id = DeliveryId::from_number(self.delivered);
        AcpDelivery { id, session_key: session_key.to_owned(), event, abilities: EDITS, is_buffered: false }
    }

    pub(super) fn deliver(&mut self, delivery: AcpDelivery) {
        self.machine.handle_delivery(self.now, delivery);
        self.drain();
    }

    /// Delivers a message.
    pub(super) fn hear(&mut self, session_key: &str, text: &str) {
        let message = self.message(session_key, text);
        self.deliver(message);
    }

    /// Delivers a message of the connector's buffer.
    pub(super) fn buffered(&mut self, session_key: &str, text: &str) {
        let message = AcpDelivery { is_buffered: true, ..self.message(session_key, text) };
        self.deliver(message);
    }

    /// Delivers a message with a file.
    pub(super) fn hear_file(&mut self, session_key: &str, mime: &str) {
        let mut message = self.message(session_key, "look");
        let mut media = Media::default();
        (media.url, media.mime) = ("https://c.example/f".into(), Some(mime.into()));
        message.event.media = vec![media];
        self.deliver(message);
    }

    /// Delivers the press of a button by a user.
    pub(super) fn press(&mut self, session_key: &str, prompt_id: &str, option_id: &str, user: &str) {
        let mut message = self.message(session_key, "");
        message.event.source.user_id = Some(user.into());
        let mut response = PromptResponse::default();
        (response.prompt_id, response.option_id) = (prompt_id.into(), option_id.into());
        message.event.prompt_response = Some(response);
        self.deliver(message);
    }

    /// Delivers a message, and opens the session `id` for it. Returns the prompt.
    #[track_caller]
    pub(super) fn open(&mut self, session_key: &str, id: &str) -> Value {
        self.hear(session_key, "hello");
        let new = self.request("session/new");
        self.respond(&new, json!({ "sessionId": id }));
        let prompt = self.request("session/prompt");
        assert_eq!(prompt["params"]["sessionId"], id);
        prompt
    }

    #[track_caller]
    pub(super) fn end_turn(&mut self, prompt: &Value) {
        self.respond(prompt, json!({ "stopReason": "end_turn" }));
    }

    pub(super) fn die(&mut self) {
        self.machine.handle_agent_ended(self.now);
        self.written.clear();
        self.drain();
    }

    /// Lets time pass, with a tick at each deadline.
    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.machine.handle_tick(self.now);
            self.drain();
            let next = self.machine.deadline();
            assert!(next.is_none_or(|next| next > self.now), "a deadline passes with its tick");
        }
        self.now = until;
    }

    /// Returns what chats have seen since the last call.
    pub(super) fn seen(&mut self) -> Vec<String> {
        self.shown.drain(..).collect()
    }
}
