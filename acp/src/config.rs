//! Configuration of the machine.

use agent_client_protocol_schema::McpServer;
use relayline_core::approver::Approver;
use relayline_core::command::Metadata;
use relayline_core::event::Source;
use relayline_core::limits;
use relayline_core::op::SendMessage;
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of an [`AcpMachine`](crate::AcpMachine). `Debug` does not print its MCP servers, which can have secrets.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct AcpConfig {
    /// Version of this program, which the agent gets.
    pub client_version: String,
    /// Working folder of the agent's sessions: an absolute path.
    pub cwd: PathBuf,
    /// MCP servers of each session; none by default.
    pub mcp_servers: Vec<McpServer>,
    /// Method to authenticate with after `initialize`; none by default.
    pub auth_method: Option<String>,
    /// Handling of permission requests; the author of the turn is asked by default.
    pub approvals: Approvals,
    /// Handling of messages for a session whose turn is in progress; they are queued by default.
    pub busy: Busy,
    /// Time at which a delivery is settled; when its prompt is written by default.
    pub settling: Settling,
    /// Shows thoughts, usage and unknown updates in the chat, too; false by default.
    pub verbose: bool,
    /// Prefix of the ids of prompts, `[A-Za-z0-9_-]{1,16}`. It must be unique to this process, so that an answer to a
    /// prompt of an earlier process is not taken for another's.
    pub prompt_prefix: String,
    /// Platforms that the gateway fronts. Operations for the chats of these platforms name them; none by default.
    pub platforms: Vec<String>,
    /// Limits and time-outs.
    pub limits: AcpLimits,
}

impl fmt::Debug for AcpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AcpConfig { cwd, mcp_servers, auth_method, approvals, busy, settling, verbose, limits, .. } =
            self;
        f.debug_struct("AcpConfig")
            .field("cwd", cwd)
            .field("mcp_servers", &mcp_servers.len())
            .field("auth_method", auth_method)
            .field("approvals", approvals)
            .field("busy", busy)
            .field("settling", settling)
            .field("verbose", verbose)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

impl AcpConfig {
    /// Creates a configuration with defaults. `cwd` is an absolute path.
    pub fn new(cwd: impl Into<PathBuf>) -> AcpConfig {
        AcpConfig {
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            cwd: cwd.into(),
            mcp_servers: Vec::new(),
            auth_method: None,
            approvals: Approvals::default(),
            busy: Busy::default(),
            settling: Settling::default(),
            verbose: false,
            prompt_prefix: "acp".to_owned(),
            platforms: Vec::new(),
            limits: AcpLimits::default(),
        }
    }
}

/// Handling of the agent's permission requests.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Approvals {
    /// Decision, or whom to ask; the chat of the turn by default.
    pub policy: ApprovalPolicy,
    /// Users who may answer: besides the author of the turn in the chat of the turn, and alone in a
    /// [`PromptChat`]. If there are none, everybody in a [`PromptChat`] may answer.
    pub approvers: Vec<Approver>,
}

impl Default for Approvals {
    fn default() -> Self {
        Approvals { policy: ApprovalPolicy::Ask(ApprovalRoute::TurnChat), approvers: Vec::new() }
    }
}

/// Decision about permission requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApprovalPolicy {
    /// Ask a person.
    Ask(ApprovalRoute),
    /// Allow everything, once where the agent offers it.
    Allow,
    /// Reject everything, once where the agent offers it.
    Deny,
}

/// Destination of the prompt for a permission request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ApprovalRoute {
    /// The chat of the message that began the turn.
    TurnChat,
    /// Always this chat. The author of a turn has no right to answer there as its author.
    Chat(PromptChat),
}

/// Chat in which prompts are shown, whichever chat they are for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromptChat {
    /// Platform of the chat, which the gateway fronts.
    pub platform: String,
    /// Id of the chat.
    pub chat_id: String,
    /// Server or workspace of the chat; `None` if the platform has none, or if the gateway knows it from a message.
    pub scope_id: Option<String>,
}

impl PromptChat {
    /// Returns the metadata of an op for this chat.
    pub(crate) fn metadata(&self) -> Metadata {
        let scope = self.scope_id.iter().map(|id| ("scope_id".to_owned(), Value::from(id.as_str())));
        scope.collect()
    }

    /// Returns a message for this chat.
    pub(crate) fn send(&self, text: String) -> SendMessage {
        let mut send = SendMessage::new(self.chat_id.as_str(), text).metadata(self.metadata());
        send.platform = Some(self.platform.clone());
        send
    }

    /// Returns true if this is the chat of an event. `platform` is the platform of the event.
    pub(crate) fn is_chat_of(&self, source: &Source, platform: Option<&str>) -> bool {
        let is_same_scope = match (&self.scope_id, &source.scope_id) {
            (Some(own), Some(other)) => own == other.as_str(),
            (None, _) | (_, None) => true,
        };
        platform == Some(self.platform.as_str()) && self.chat_id == source.chat_id.as_str() && is_same_scope
    }
}

/// Handling of a message for a session that is busy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Busy {
    /// Prompt it after the turn in progress.
    #[default]
    Enqueue,
    /// Cancel the turn in progress, and prompt it then.
    Interrupt,
    /// Answer it with one line, and do not prompt it.
    Reject,
}

/// Time at which a delivery is settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Settling {
    /// When its prompt is written to the agent.
    #[default]
    PromptWritten,
    /// When its turn has ended: accepted, or refused if the agent could not do it.
    TurnEnded,
}

limits! {
    /// Limits and time-outs of the sessions and turns of an ACP agent.
    pub struct AcpLimits {
        /// Maximum number of sessions that are open at the ACP agent. The one that is idle for longest makes room; 32 by
        /// default.
        acp_sessions: Size = 32, least 1;
        /// Maximum number of sessions whose id is remembered to resume them; 4096 by default.
        acp_known_sessions: Size = 4096, least 1;
        /// Maximum number of messages of one session that wait for their turn. Further ones are answered with one line;
        /// 16 by default.
        acp_session_waiting: Size = 16, least 1;
        /// Maximum number of messages of all sessions that wait for their turn. Further ones are refused;
        /// 1024 by default.
        acp_waiting: Size = 1024, least 1;
        /// Maximum number of bytes of these messages; 8 MiB by default.
        acp_waiting_bytes: Size = 8 << 20, least 1;
        /// Maximum number of bytes of an answer. The rest is dropped; 131072 by default.
        acp_answer_bytes: Size = 128 << 10, least 1024;
        /// Maximum number of steps of a turn that are shown. The oldest ended one makes room; 64 by default.
        acp_steps: Size = 64, least 1;
        /// Maximum number of open permission requests of a turn. Further ones are cancelled; 8 by default.
        acp_permissions: Size = 8, least 1;
        /// Maximum number of files of a message that are fetched. Further ones are only named; 8 by default.
        acp_files: Size = 8, least 0;
        /// Maximum number of bytes of the images and sounds of a message that are passed to the agent within the prompt.
        /// Those beyond are passed as links to local files; 4 MiB by default.
        acp_inline_bytes: Size = 4 << 20, least 0;
        /// Maximum number of bytes of local files of messages. The oldest makes room; 256 MiB by default.
        acp_file_bytes: Size = 256 << 20, least 1;
        /// Maximum number of commands of the agent that are declared; 100 by default.
        acp_commands: Size = 100, least 0;
        /// Maximum time of `initialize` and of `authenticate`, after which the agent is restarted; 60 s by default.
        acp_start_timeout: Time = Duration::from_secs(60), least limits::MIN_INTERVAL;
        /// Maximum time to fetch the files of a message, after which they are only named; 5 min by default.
        acp_fetch_timeout: Time = Duration::from_secs(300), least limits::MIN_INTERVAL;
        /// Maximum time to open a session; 60 s by default.
        acp_session_timeout: Time = Duration::from_secs(60), least limits::MIN_INTERVAL;
        /// Maximum time of a turn in which the agent reports nothing and asks nothing, after which the turn is cancelled;
        /// 30 min by default.
        acp_silence_timeout: Time = Duration::from_secs(30 * 60), least limits::MIN_INTERVAL;
        /// Maximum time that a permission request waits for an answer (`--approval-timeout`); 10 min by default.
        acp_approval_timeout: Time = Duration::from_secs(600), least limits::MIN_INTERVAL;
        /// Maximum time from a cancellation to the end of the turn, after which the session is abandoned; 10 s by
        /// default.
        acp_cancel_timeout: Time = Duration::from_secs(10), least limits::MIN_INTERVAL;
        /// Minimum time between two states of a growing answer; 250 ms by default.
        acp_answer_interval: Time = Duration::from_millis(250), least limits::MIN_INTERVAL;
        /// Minimum time between two states of the progress of a turn; 2 s by default.
        acp_progress_interval: Time = Duration::from_secs(2), least limits::MIN_INTERVAL;
        /// Maximum time that the end of an answer waits for a connection; 5 min by default.
        acp_answer_patience: Time = Duration::from_secs(300), least limits::MIN_INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_client_protocol_schema::{HttpHeader, McpServerHttp};

    #[test]
    fn c_4_debug_hides_the_mcp_servers() {
        let header = HttpHeader::new("Authorization", "Bearer hunter2");
        let server = McpServerHttp::new("files", "https://me.example?key=hunter2").headers(vec![header]);
        let mut config = AcpConfig::new("/work");
        config.mcp_servers = vec![McpServer::Http(server)];
        let machine = crate::AcpMachine::new(config.clone(), &crate::SavedState::default());
        for text in [format!("{config:?}"), format!("{machine:?}")] {
            assert!(!text.contains("hunter2") && text.contains("mcp_servers: 1"), "{text}");
        }
    }
}
