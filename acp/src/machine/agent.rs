//! The agent's life: `initialize`, authentication, its messages and its end.

use super::AcpMachine;
use crate::agent::{AgentInfo, initialize};
use crate::output::{LogLevel, Output, StopCause};
use crate::rpc::{self, AgentMessage};
use crate::session::{Opening, SessionPhase};
use crate::turn::{TurnEnd, TurnPhase};
use agent_client_protocol_schema::{
    AuthenticateRequest, CLIENT_METHOD_NAMES, CancelRequestNotification, ClientRequest, Error, RequestId,
};
use relayline_core::time::Time;
use serde_json::Value;

/// State of the agent.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum AgentPhase {
    /// There is no process, or it is being ended.
    Down,
    /// `initialize` or `authenticate` has no response.
    Starting,
    Ready(Box<AgentInfo>),
    /// The gateway was asked to stop.
    Unusable,
}

/// Request without a response.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct SentRequest {
    pub(super) purpose: RequestUse,
    pub(super) expires: Option<Time>,
    /// Number of lines that the agent had written before.
    pub(super) lines_before: u64,
}

/// Purpose of a request.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum RequestUse {
    Initialize,
    Authenticate(Box<AgentInfo>),
    /// Opens the session of this key.
    Open(String, Opening),
    /// Nothing depends on it.
    Close,
    /// The turn of the session of this key.
    Prompt(String),
}

impl AcpMachine {
    /// Returns the description of the agent, while it is ready.
    pub fn agent(&self) -> Option<&AgentInfo> {
        match &self.agent {
            AgentPhase::Ready(info) => Some(info),
            AgentPhase::Down | AgentPhase::Starting | AgentPhase::Unusable => None,
        }
    }

    /// Handles the start of the agent's process.
    pub fn handle_agent_started(&mut self, now: Time) {
        if self.agent != AgentPhase::Down {
            return;
        }
        self.agent = AgentPhase::Starting;
        let expires = now + self.config.limits.acp_start_timeout;
        self.request(&initialize(&self.config.client_version), RequestUse::Initialize, Some(expires));
    }

    /// Handles a line of the agent, without its newline.
    pub fn handle_line(&mut self, now: Time, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.lines += 1;
        for message in rpc::read(line) {
            match message {
                Some(AgentMessage::Request { id, method, params }) => {
                    self.handle_request(now, id, &method, params)
                }
                Some(AgentMessage::Notification { method, params }) => {
                    self.handle_notification(now, &method, params);
                }
                Some(AgentMessage::Response { id, result }) => self.handle_response(now, &id, result),
                None => {
                    self.stats.invalid_lines += 1;
                    self.log(LogLevel::Debug, "acp_invalid_line", &String::from_utf8_lossy(line));
                }
            }
        }
    }

    /// Handles a line of the agent that was longer than the host's limit, and was discarded.
    pub fn handle_overlong_line(&mut self) {
        self.lines += 1;
        self.stats.overlong_lines += 1;
        self.log(LogLevel::Warn, "acp_overlong_line", "a line of the agent was too long, and was discarded");
    }

    /// Handles the end of the agent's process. Interrupted turns are reported in their chats; messages that wait are
    /// prompted once another process is ready.
    pub fn handle_agent_ended(&mut self, now: Time) {
        self.stats.agent_deaths += 1;
        if self.agent != AgentPhase::Unusable {
            self.agent = AgentPhase::Down;
        }
        self.requests.clear();
        self.by_id.clear();
        for key in self.keys(|_| true) {
            let Some(session) = self.sessions.get_mut(&key) else { continue };
            session.phase = SessionPhase::Closed;
            match session.turn.as_ref().map(|turn| &turn.phase) {
                Some(TurnPhase::Fetching { .. }) => self.return_turn(&key),
                Some(TurnPhase::Prompted) => self.turn_ended(now, &key, TurnEnd::AgentDied),
                Some(&TurnPhase::Cancelling { end, .. }) => self.turn_ended(now, &key, end),
                Some(TurnPhase::Closing(_)) | None => {}
            }
            self.tidy(&key);
        }
    }

    /// Writes a request.
    pub(super) fn request(&mut self, request: &ClientRequest, purpose: RequestUse, expires: Option<Time>) {
        let line = self.prepare(request, purpose, expires);
        self.write(line);
    }

    /// Registers a request, and returns its line.
    pub(super) fn prepare(
        &mut self,
        request: &ClientRequest,
        purpose: RequestUse,
        expires: Option<Time>,
    ) -> String {
        self.next_request += 1;
        let sent = SentRequest { purpose, expires, lines_before: self.lines };
        self.requests.insert(self.next_request, sent);
        rpc::request(self.next_request, request)
    }

    fn handle_request(&mut self, now: Time, id: RequestId, method: &str, params: Value) {
        if method != CLIENT_METHOD_NAMES.session_request_permission {
            self.stats.unknown_requests += 1;
            self.log(LogLevel::Debug, "acp_unknown_request", method);
            return self.write(rpc::response(&id, Err::<(), _>(Error::method_not_found())));
        }
        match serde_json::from_value(params) {
            Ok(asked) => self.handle_permission(now, id, &asked),
            Err(error) => {
                self.stats.invalid_payloads += 1;
                let error = Error::invalid_params().data(Value::from(error.to_string()));
                self.write(rpc::response(&id, Err::<(), _>(error)));
            }
        }
    }

    fn handle_notification(&mut self, now: Time, method: &str, params: Value) {
        if method == CLIENT_METHOD_NAMES.session_update {
            self.handle_update(now, params);
        } else if method == rpc::CANCEL_REQUEST {
            match serde_json::from_value::<CancelRequestNotification>(params) {
                Ok(cancelled) => self.permission_withdrawn(now, &cancelled.request_id),
                Err(_) => self.stats.invalid_payloads += 1,
            }
        } else {
            self.stats.unknown_notifications += 1;
            self.log(LogLevel::Debug, "acp_unknown_notification", method);
        }
    }

    fn handle_response(&mut self, now: Time, id: &RequestId, result: Result<Value, Error>) {
        let sent = match id {
            RequestId::Number(number) => self.requests.remove(number),
            RequestId::Null | RequestId::Str(_) => None,
        };
        let Some(SentRequest { purpose, .. }) = sent else {
            self.stats.stray_responses += 1;
            return;
        };
        match purpose {
            RequestUse::Initialize => self.initialized(now, result),
            RequestUse::Authenticate(info) => match result {
                Ok(_) => self.ready(now, *info),
                Err(error) => self.stop(StopCause::NotAuthenticated(rpc::error_text(&error))),
            },
            RequestUse::Open(key, how) => self.session_opened(now, &key, how, result),
            RequestUse::Close => {}
            RequestUse::Prompt(key) => self.prompt_answered(now, &key, result),
        }
    }

    fn initialized(&mut self, now: Time, result: Result<Value, Error>) {
        let info = result
            .map_err(|error| StopCause::NotInitialized(rpc::error_text(&error)))
            .and_then(AgentInfo::read);
        let info = match info {
            Ok(info) => info,
            Err(cause) => return self.stop(cause),
        };
        let Some(method) = self.config.auth_method.clone() else { return self.ready(now, info) };
        if let Err(cause) = info.check_auth_method(&method) {
            return self.stop(cause);
        }
        let expires = now + self.config.limits.acp_start_timeout;
        let request = ClientRequest::AuthenticateRequest(AuthenticateRequest::new(method));
        self.request(&request, RequestUse::Authenticate(Box::new(info)), Some(expires));
    }

    fn ready(&mut self, now: Time, info: AgentInfo) {
        let name = info.name.clone().unwrap_or_else(|| "an agent without a name".to_owned());
        self.log(LogLevel::Info, "acp_ready", &name);
        let unsupported = info.unsupported(&self.config.mcp_servers).join(", ");
        if !unsupported.is_empty() {
            let why = format!("the agent does not support the transport of these MCP servers: {unsupported}");
            self.log(LogLevel::Warn, "acp_mcp_servers", &why);
        }
        self.agent = AgentPhase::Ready(Box::new(info));
        self.pump(now);
    }

    fn stop(&mut self, cause: StopCause) {
        self.agent = AgentPhase::Unusable;
        self.outputs.push_back(Output::Stop(cause));
    }

    pub(super) fn expire_requests(&mut self, now: Time) {
        let is_due = |sent: &SentRequest| sent.expires.is_some_and(|expires| expires <= now);
        let due = self.requests.iter().filter(|(_, sent)| is_due(sent)).map(|(number, _)| *number);
        for number in due.collect::<Vec<_>>() {
            let Some(SentRequest { purpose, lines_before, .. }) = self.requests.remove(&number) else {
                continue;
            };
            match purpose {
                RequestUse::Initialize | RequestUse::Authenticate(_) => self.end_agent("acp_no_start"),
                // It hangs: messages wait for the next process.
                RequestUse::Open(_, Opening::New) if self.lines == lines_before => {
                    self.end_agent("acp_hangs");
                }
                RequestUse::Open(key, how) => {
                    let late = Error::internal_error().data(Value::from("no answer in time"));
                    self.session_opened(now, &key, how, Err(late));
                }
                RequestUse::Close | RequestUse::Prompt(_) => {}
            }
        }
    }

    /// Ends the agent's process, which does not answer. Its end follows, and another process.
    fn end_agent(&mut self, event: &'static str) {
        if self.agent != AgentPhase::Down {
            self.log(LogLevel::Warn, event, "the agent did not answer in time, and is restarted");
            self.agent = AgentPhase::Down;
            self.outputs.push_back(Output::EndAgent);
        }
    }
}
