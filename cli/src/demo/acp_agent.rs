//! Scripted agent of `demo --acp`: a process of this program that speaks the Agent Client Protocol on stdin and stdout.
//!
//! A message with the word `deploy` shows a tool call, a request for permission and a streamed answer. Every other message
//! is repeated.

use crate::agent_output::each_line;
use agent_client_protocol_schema::{
    AGENT_METHOD_NAMES, AgentNotification, AgentRequest, CancelNotification, ContentBlock, ContentChunk,
    Error, Implementation, InitializeResponse, JsonRpcMessage, NewSessionResponse, Notification,
    PermissionOption, PermissionOptionKind, PromptRequest, PromptResponse, ProtocolVersion, Request,
    RequestId, RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse, Response,
    SessionId, SessionNotification, SessionUpdate, StopReason, ToolCall, ToolCallStatus, ToolCallUpdate,
    ToolCallUpdateFields,
};
use relayline_core::line::Line;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// First argument of this program when it runs as this agent.
pub(crate) const NAME: &str = "__demo-agent";

/// Time that each step of the agent takes.
const STEP: Duration = Duration::from_millis(300);
/// Time between two parts of an answer.
const WORDS: Duration = Duration::from_millis(200);
/// Id of the option that allows a tool call.
const ALLOW: &str = "allow";

/// Returns true if this process was started as this agent.
pub(crate) fn is_requested() -> bool {
    std::env::args_os().nth(1).is_some_and(|name| name == NAME)
}

/// Serves the gateway until it closes stdin.
pub(crate) fn run() -> ExitCode {
    let agent = Agent::default();
    each_line(&mut io::stdin(), |line| {
        if let Line::Whole(line) = line
            && let Ok(message) = serde_json::from_slice(line)
        {
            agent.handle(message);
        }
    });
    ExitCode::SUCCESS
}

/// Message of the gateway.
#[derive(Deserialize)]
struct Message {
    id: Option<RequestId>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
}

/// Input of a turn.
enum TurnInput {
    /// The option that a person chose; `None` for a cancelled request.
    Answer(Option<String>),
    Cancel,
}

/// Sessions of the agent, shared by its turns. Each turn has a thread.
#[derive(Clone, Default)]
struct Agent(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    sessions: u64,
    /// Turns in progress by their sessions.
    turns: BTreeMap<Arc<str>, Sender<TurnInput>>,
    /// Sessions of open requests by their numbers.
    asked: BTreeMap<i64, Arc<str>>,
    requests: i64,
}

impl Agent {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, message: Message) {
        let Message { id, method, params, result } = message;
        match (method.as_deref(), id) {
            (Some(method), Some(id)) => self.handle_request(id, method, params),
            (Some(method), None) if method == AGENT_METHOD_NAMES.session_cancel => {
                if let Ok(cancel) = serde_json::from_value::<CancelNotification>(params) {
                    self.pass(&cancel.session_id.0, TurnInput::Cancel);
                }
            }
            (None, Some(RequestId::Number(number))) => {
                let answer = serde_json::from_value::<RequestPermissionResponse>(result);
                let option = match answer.map(|answer| answer.outcome) {
                    Ok(RequestPermissionOutcome::Selected(chosen)) => Some(chosen.option_id.0.to_string()),
                    Ok(_) | Err(_) => None,
                };
                let session = self.lock().asked.remove(&number);
                if let Some(session) = session {
                    self.pass(&session, TurnInput::Answer(option));
                }
            }
            _ => {}
        }
    }

    fn handle_request(&self, id: RequestId, method: &str, params: Value) {
        let names = AGENT_METHOD_NAMES;
        if method == names.initialize {
            let info = Implementation::new("demo-agent", env!("CARGO_PKG_VERSION"));
            respond(id, Ok(InitializeResponse::new(ProtocolVersion::V1).agent_info(info)));
        } else if method == names.session_new {
            let mut shared = self.lock();
            shared.sessions += 1;
            respond(id, Ok(NewSessionResponse::new(format!("demo-{}", shared.sessions))));
        } else if method == names.session_prompt {
            match serde_json::from_value(params) {
                Ok(prompt) => self.begin_turn(id, prompt),
                Err(_) => respond::<()>(id, Err(Error::invalid_params())),
            }
        } else {
            respond::<()>(id, Err(Error::method_not_found()));
        }
    }

    fn begin_turn(&self, id: RequestId, prompt: PromptRequest) {
        let (sender, inputs) = channel();
        let session = prompt.session_id;
        self.lock().turns.insert(session.0.clone(), sender);
        let text = prompt.prompt.iter().rev().find_map(|block| match block {
            ContentBlock::Text(text) => Some(text.text.clone()),
            _ => None,
        });
        let turn = Turn { agent: self.clone(), session: session.clone(), inputs };
        let agent = self.clone();
        std::thread::spawn(move || {
            let stopped = match turn.play(text.as_deref().unwrap_or_default()) {
                Ok(()) => StopReason::EndTurn,
                Err(Cancelled) => StopReason::Cancelled,
            };
            agent.lock().turns.remove(&session.0);
            respond(id, Ok(PromptResponse::new(stopped)));
        });
    }

    /// Passes an input to the turn of a session. Without one it is too late.
    fn pass(&self, session: &str, input: TurnInput) {
        if let Some(turn) = self.lock().turns.get(session) {
            let _ = turn.send(input);
        }
    }
}

/// The turn was cancelled, or the gateway has gone.
struct Cancelled;

/// Turn of a session.
struct Turn {
    agent: Agent,
    session: SessionId,
    inputs: Receiver<TurnInput>,
}

impl Turn {
    fn play(&self, text: &str) -> Result<(), Cancelled> {
        if !text.to_lowercase().contains("deploy") {
            return self
                .say(&format!("You said “{}”. Say `deploy`, and I ask for a permission.", text.trim()));
        }
        self.step("read", "Read CHANGELOG.md", ToolCallStatus::InProgress);
        self.pause(STEP)?;
        self.step("read", "Read CHANGELOG.md", ToolCallStatus::Completed);
        match self.ask("Run ./deploy.sh 1.4.2")?.as_deref() {
            Some(ALLOW) => {
                self.step("deploy", "Run ./deploy.sh 1.4.2", ToolCallStatus::InProgress);
                self.pause(STEP)?;
                self.step("deploy", "Run ./deploy.sh 1.4.2", ToolCallStatus::Completed);
                self.say("Version 1.4.2 is live. It took 41 s, all checks pass, and nobody had to wait.")
            }
            Some(_) => self.say("All right: nothing was deployed."),
            None => self.say("Nobody has answered, so nothing was deployed."),
        }
    }

    /// Reports a tool call.
    fn step(&self, id: &str, title: &str, status: ToolCallStatus) {
        self.update(SessionUpdate::ToolCall(ToolCall::new(id.to_owned(), title).status(status)));
    }

    /// Writes an answer a few words at a time, like a model.
    fn say(&self, text: &str) -> Result<(), Cancelled> {
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        for words in words.chunks(3) {
            self.update(SessionUpdate::AgentMessageChunk(ContentChunk::new(words.concat().into())));
            self.pause(WORDS)?;
        }
        Ok(())
    }

    fn update(&self, update: SessionUpdate) {
        let update =
            AgentNotification::SessionNotification(SessionNotification::new(self.session.clone(), update));
        write(Notification { method: update.method().into(), params: Some(&update) });
    }

    /// Asks for a permission. Returns the id of the chosen option; `None` if nobody chose one.
    fn ask(&self, title: &str) -> Result<Option<String>, Cancelled> {
        let mut fields = ToolCallUpdateFields::new();
        fields.title = Some(title.to_owned());
        let options = vec![
            PermissionOption::new(ALLOW, "Allow", PermissionOptionKind::AllowOnce),
            PermissionOption::new("reject", "Reject", PermissionOptionKind::RejectOnce),
        ];
        let call = ToolCallUpdate::new("deploy", fields);
        let request = RequestPermissionRequest::new(self.session.clone(), call, options);
        let request = AgentRequest::RequestPermissionRequest(request);
        let number = {
            let mut shared = self.agent.lock();
            shared.requests += 1;
            let number = shared.requests;
            shared.asked.insert(number, self.session.0.clone());
            number
        };
        let (id, method) = (RequestId::Number(number), request.method().into());
        write(Request { id, method, params: Some(&request) });
        match self.inputs.recv() {
            Ok(TurnInput::Answer(option)) => Ok(option),
            Ok(TurnInput::Cancel) | Err(_) => Err(Cancelled),
        }
    }

    fn pause(&self, time: Duration) -> Result<(), Cancelled> {
        let until = Instant::now() + time;
        loop {
            match self.inputs.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                // The answer to an earlier request.
                Ok(TurnInput::Answer(_)) => {}
                Ok(TurnInput::Cancel) | Err(RecvTimeoutError::Disconnected) => return Err(Cancelled),
            }
        }
    }
}

fn respond<T: Serialize>(id: RequestId, result: Result<T, Error>) {
    write(Response::new(id, result));
}

/// Writes a message on a line. A closed stdout is not an error: stdin ends, too.
fn write(message: impl Serialize) {
    let line = serde_json::to_string(&JsonRpcMessage::wrap(message)).unwrap_or_default();
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
