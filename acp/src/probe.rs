//! Probe of an agent: `initialize`, authentication and `session/new`, for a diagnosis.

use crate::agent::{AgentInfo, initialize};
use crate::config::AcpConfig;
use crate::output::StopCause;
use crate::rpc::{self, AgentMessage};
use agent_client_protocol_schema::{
    AuthenticateRequest, ClientRequest, Error, ErrorCode, NewSessionRequest, NewSessionResponse, RequestId,
};
use serde_json::Value;

/// Diagnosis of an agent, without I/O: write each line of [`ProbeStep`]s to the agent, and pass in its lines.
#[derive(Debug)]
pub struct Probe {
    config: AcpConfig,
    state: State,
}

#[derive(Debug)]
enum State {
    Initialize,
    Authenticate(AgentInfo),
    NewSession(AgentInfo),
    Over,
}

/// Result of a line of the agent.
#[derive(Clone, PartialEq, Debug)]
pub enum ProbeStep {
    /// The agent has initialized. Write the line.
    Initialized(Box<AgentInfo>, String),
    /// The agent has accepted the authentication method. Write the line.
    Authenticated(String),
    /// The agent has opened a session: nothing is missing.
    Opened,
    /// Something is missing. The probe is over.
    Failed(ProbeFailure),
    /// The line says nothing about the step in progress. Write the line, if it is not empty.
    Ignored(String),
}

/// Failure of a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProbeFailure {
    /// Method that failed.
    pub method: &'static str,
    /// Cause, as the agent says it, and advice.
    pub why: String,
}

impl Probe {
    /// Creates a probe. Returns it and the first line to write.
    pub fn new(config: AcpConfig) -> (Probe, String) {
        let line = rpc::request(1, &initialize(&config.client_version));
        (Probe { config, state: State::Initialize }, line)
    }

    /// Returns the method whose response is awaited.
    pub fn method(&self) -> &'static str {
        match self.state {
            State::Initialize => "initialize",
            State::Authenticate(_) => "authenticate",
            State::NewSession(_) | State::Over => "session/new",
        }
    }

    /// Handles a line of the agent.
    pub fn handle_line(&mut self, line: &[u8]) -> Vec<ProbeStep> {
        rpc::read(line).into_iter().map(|message| self.handle(message)).collect()
    }

    fn handle(&mut self, message: Option<AgentMessage>) -> ProbeStep {
        let (id, result) = match message {
            Some(AgentMessage::Response { id, result }) => (id, result),
            Some(AgentMessage::Request { id, .. }) => {
                return ProbeStep::Ignored(rpc::response(&id, Err::<(), _>(Error::method_not_found())));
            }
            Some(AgentMessage::Notification { .. }) | None => return ProbeStep::Ignored(String::new()),
        };
        let method = self.method();
        match (std::mem::replace(&mut self.state, State::Over), id) {
            (State::Initialize, RequestId::Number(1)) => self.initialized(result),
            (State::Authenticate(info), RequestId::Number(2)) => match result {
                Ok(_) => ProbeStep::Authenticated(self.new_session(info)),
                Err(error) => failed(method, &error, &info),
            },
            (State::NewSession(info), RequestId::Number(3)) => {
                let opened = result.and_then(|result| {
                    serde_json::from_value(result)
                        .map(|_: NewSessionResponse| ())
                        .map_err(|error| Error::internal_error().data(Value::from(error.to_string())))
                });
                match opened {
                    Ok(()) => ProbeStep::Opened,
                    Err(error) => failed(method, &error, &info),
                }
            }
            (state, _) => {
                self.state = state;
                ProbeStep::Ignored(String::new())
            }
        }
    }

    fn initialized(&mut self, result: Result<Value, Error>) -> ProbeStep {
        let read = result
            .map_err(|error| StopCause::NotInitialized(rpc::error_text(&error)))
            .and_then(AgentInfo::read);
        let checked = read.and_then(|info| match &self.config.auth_method {
            Some(method) => info.check_auth_method(method).map(|()| (info, Some(method.clone()))),
            None => Ok((info, None)),
        });
        match checked {
            Ok((info, Some(method))) => {
                let request = ClientRequest::AuthenticateRequest(AuthenticateRequest::new(method));
                self.state = State::Authenticate(info.clone());
                ProbeStep::Initialized(Box::new(info), rpc::request(2, &request))
            }
            Ok((info, None)) => ProbeStep::Initialized(Box::new(info.clone()), self.new_session(info)),
            Err(cause) => ProbeStep::Failed(ProbeFailure { method: "initialize", why: cause.to_string() }),
        }
    }

    fn new_session(&mut self, info: AgentInfo) -> String {
        let request = NewSessionRequest::new(self.config.cwd.clone());
        let request = request.mcp_servers(self.config.mcp_servers.clone());
        self.state = State::NewSession(info);
        rpc::request(3, &ClientRequest::NewSessionRequest(request))
    }
}

fn failed(method: &'static str, error: &Error, info: &AgentInfo) -> ProbeStep {
    let advice = if error.code == ErrorCode::AuthRequired {
        format!(
            "log in with the agent's own command, or name one of its methods with --acp-auth: {}",
            info.list_auth_methods()
        )
    } else {
        format!(
            "check the agent's account and its configuration; its log is shown with -v; its authentication methods: {}",
            info.list_auth_methods()
        )
    };
    ProbeStep::Failed(ProbeFailure { method, why: format!("{}: {advice}", rpc::error_text(error)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: AcpConfig, lines: &[&str]) -> Vec<ProbeStep> {
        let (mut probe, first) = Probe::new(config);
        assert!(first.contains("\"initialize\""), "{first}");
        lines.iter().flat_map(|line| probe.handle_line(line.as_bytes())).collect()
    }

    const INITIALIZED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentInfo":{"name":"a","version":"2"},
        "authMethods":[{"id":"login","name":"Log in"}]}}"#;

    #[test]
    fn a_healthy_agent_initializes_and_opens_a_session() {
        let opened = r#"{"jsonrpc":"2.0","id":3,"result":{"sessionId":"s"}}"#;
        let chatter = r#"{"jsonrpc":"2.0","method":"session/update","params":{}}"#;
        let steps = run(AcpConfig::new("/w"), &[INITIALIZED, chatter, "junk", opened]);
        let [
            ProbeStep::Initialized(info, line),
            ProbeStep::Ignored(_),
            ProbeStep::Ignored(_),
            ProbeStep::Opened,
        ] = &steps[..]
        else {
            panic!("{steps:?}");
        };
        assert_eq!(info.name.as_deref(), Some("a 2"));
        assert!(line.contains("session/new"), "{line}");
    }

    #[test]
    fn a_missing_account_names_the_methods() {
        let refused =
            r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"Authentication required"}}"#;
        let steps = run(AcpConfig::new("/w"), &[INITIALIZED, refused]);
        let Some(ProbeStep::Failed(failure)) = steps.last() else { panic!("{steps:?}") };
        assert_eq!(failure.method, "session/new");
        assert!(failure.why.contains("--acp-auth: login (Log in)"), "{}", failure.why);
    }

    #[test]
    fn an_unknown_method_and_another_version_fail_at_once() {
        let mut config = AcpConfig::new("/w");
        config.auth_method = Some("key".to_owned());
        let steps = run(config, &[INITIALIZED]);
        assert!(
            matches!(&steps[..], [ProbeStep::Failed(failure)] if failure.why.contains("login")),
            "{steps:?}"
        );
        let other = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":2}}"#;
        let steps = run(AcpConfig::new("/w"), &[other]);
        assert!(
            matches!(&steps[..], [ProbeStep::Failed(failure)] if failure.why.contains("version 2")),
            "{steps:?}"
        );
    }

    #[test]
    fn a_request_of_the_agent_is_not_found() {
        let asked = r#"{"jsonrpc":"2.0","id":"x","method":"fs/read_text_file","params":{}}"#;
        let steps = run(AcpConfig::new("/w"), &[asked]);
        assert!(matches!(&steps[..], [ProbeStep::Ignored(line)] if line.contains("-32601")), "{steps:?}");
    }
}
