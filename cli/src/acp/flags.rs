//! Flags of `--acp`.

use super::file_error;
use crate::approvals::{self, PromptPolicy};
use crate::random;
use clap::{Args, ValueEnum};
use relayline_acp::{
    AcpConfig, AcpLimits, ApprovalPolicy, ApprovalRoute, Approvals, Busy, McpServer, PromptChat, SavedState,
};
use relayline_runtime::files;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of agents that speak the Agent Client Protocol.
#[derive(Debug, Args)]
#[command(next_help_heading = "Agent Client Protocol")]
pub(crate) struct AcpArguments {
    /// Program that speaks the Agent Client Protocol (ACP), with its arguments. It must be the last flag.
    ///
    /// A -- before the program is allowed, as in --acp -- claude-agent-acp. Files of messages are put into a temporary folder,
    /// or into --media-dir.
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true,
        conflicts_with_all = ["auto_ack", "passthrough", "media_anywhere"])]
    acp: Vec<String>,

    /// Authentication method of the ACP agent to use after its start; none by default.
    #[arg(long, value_name = "METHOD", requires = "acp")]
    acp_auth: Option<String>,

    /// Working folder of the ACP agent's sessions; the current folder by default.
    #[arg(long, value_name = "DIR", requires = "acp")]
    cwd: Option<PathBuf>,

    /// File with the MCP servers of each session: a JSON list in ACP's form.
    #[arg(long, value_name = "FILE", requires = "acp")]
    mcp_servers: Option<PathBuf>,

    /// File in which the sessions are remembered over restarts of the gateway; in memory by default.
    ///
    /// It also remembers the agent's commands, which are declared to Discord from the next start on.
    #[arg(long, value_name = "FILE", requires = "acp")]
    acp_state: Option<PathBuf>,

    /// Maximum number of sessions that are open at the ACP agent; 32 by default.
    #[arg(long, value_name = "NUMBER", requires = "acp")]
    max_sessions: Option<String>,

    /// Show thoughts, usage and unknown updates of the ACP agent in the chat.
    #[arg(long, requires = "acp")]
    acp_verbose: bool,

    /// Chat in which people are asked for approvals, in place of the chat of the turn.
    ///
    /// PLATFORM:CHAT, as in discord:1234, or PLATFORM:SCOPE/CHAT with the server or workspace of a chat that the gateway has
    /// not seen before, as in slack:T0123/C0456. Everybody in that chat may answer, or only each --approver. Without --acp
    /// it is the chat of the agent's prompts of the kind approval that do not name one in their field to.
    #[arg(long, value_name = "CHAT", value_parser = approvals::chat)]
    approval_chat: Option<PromptChat>,

    /// User who may answer permission requests, as USER or PLATFORM:USER. Repeatable.
    ///
    /// In the chat of a turn its author may answer, too. In the chat of --approval-chat nobody else may. Without --acp these
    /// are the users who may press a button of a prompt that is shown in another chat than its own.
    #[arg(long, value_name = "USER")]
    approver: Vec<String>,

    /// Maximum time that a permission request waits for an answer, as in 90s or 10m; 10m by default.
    #[arg(long, value_name = "TIME", requires = "acp")]
    approval_timeout: Option<String>,

    /// Allow or reject every permission request without asking; a person is asked by default.
    #[arg(long, value_enum, value_name = "DECISION", requires = "acp", conflicts_with = "approval_chat")]
    approve: Option<Approve>,

    /// Handling of a message for a session whose turn is in progress.
    #[arg(long, value_enum, default_value_t = BusyFlag::Enqueue, value_name = "HOW", requires = "acp")]
    busy: BusyFlag,
}

/// Decision about all permission requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Approve {
    Allow,
    Deny,
}

/// Handling of messages for a busy session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BusyFlag {
    Enqueue,
    Interrupt,
    Reject,
}

impl AcpArguments {
    /// Returns the agent's program and its arguments; empty without `--acp`.
    pub(crate) fn command(&self) -> &[String] {
        match self.acp.as_slice() {
            [dashes, command @ ..] if dashes == "--" => command,
            command => command,
        }
    }

    /// Returns true if `--acp` is given.
    pub(crate) fn is_given(&self) -> bool {
        !self.acp.is_empty()
    }

    /// Returns the limits that have a flag, as texts of `--set`.
    pub(crate) fn limits(&self) -> Vec<String> {
        let limit = |name: &str, value: &Option<String>| Some(format!("{name}={}", value.as_ref()?));
        [limit("acp_sessions", &self.max_sessions), limit("acp_approval_timeout", &self.approval_timeout)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Returns the file of the state.
    pub(crate) fn state(&self) -> Option<&Path> {
        self.acp_state.as_deref()
    }

    /// Returns the warning about decisions that nobody makes, if there are any.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        self.approve.map(|approve| match approve {
            Approve::Allow => {
                "--approve allow: every permission request of the agent is allowed without asking"
            }
            Approve::Deny => {
                "--approve deny: every permission request of the agent is rejected without asking"
            }
        })
    }

    /// Returns the machine's configuration.
    ///
    /// # Errors
    /// A folder or a file cannot be used, or the program is missing.
    pub(crate) fn config(&self, limits: &AcpLimits) -> Result<AcpConfig, String> {
        if self.command().is_empty() {
            return Err("--acp: name the agent's program, as in --acp -- claude-agent-acp".to_owned());
        }
        let folder = self.cwd.as_deref().unwrap_or(Path::new("."));
        let cwd = absolute(folder)
            .map_err(|error| file_error("--cwd", folder, format_args!("{error}; name a folder")))?;
        let mut config = AcpConfig::new(cwd);
        config.client_version = env!("CARGO_PKG_VERSION").to_owned();
        config.mcp_servers = self.mcp_servers.as_deref().map(mcp_servers).transpose()?.unwrap_or_default();
        config.auth_method.clone_from(&self.acp_auth);
        config.busy = match self.busy {
            BusyFlag::Enqueue => Busy::Enqueue,
            BusyFlag::Interrupt => Busy::Interrupt,
            BusyFlag::Reject => Busy::Reject,
        };
        config.verbose = self.acp_verbose;
        config.prompt_prefix = prompt_prefix()?;
        config.limits = limits.clone();
        Ok(config)
    }

    /// Returns the chat in which people are asked for approvals, and the users who may answer there, and logs a warning about
    /// them.
    ///
    /// # Errors
    /// A platform is not one of the gateway's, or a user is not named.
    pub(crate) fn prompt_policy(&self, platforms: &[String]) -> Result<PromptPolicy, String> {
        let chat = self.approval_chat.as_ref();
        chat.map_or(Ok(()), |chat| approvals::check_fronted(chat, platforms))?;
        let approvers = self.approver.iter().map(|user| approvals::approver(user, platforms));
        let approvers = approvers.collect::<Result<Arc<[_]>, _>>()?;
        approvals::check_approvers(&approvers, chat)?;
        if let Some(warning) = approvals::warning(&approvers, chat, platforms) {
            tracing::warn!(warning, "configuration");
        }
        Ok(PromptPolicy { chat: chat.cloned(), approvers })
    }

    /// Returns the handling of permission requests by a gateway on these platforms.
    ///
    /// # Errors
    /// See [`prompt_policy`](Self::prompt_policy).
    pub(crate) fn approvals(&self, platforms: &[String]) -> Result<Approvals, String> {
        let mut approvals = Approvals::default();
        let PromptPolicy { chat, approvers } = self.prompt_policy(platforms)?;
        approvals.approvers = approvers.to_vec();
        approvals.policy = match (self.approve, chat) {
            (Some(Approve::Allow), _) => ApprovalPolicy::Allow,
            (Some(Approve::Deny), _) => ApprovalPolicy::Deny,
            (None, Some(chat)) => ApprovalPolicy::Ask(ApprovalRoute::Chat(chat)),
            (None, None) => approvals.policy,
        };
        Ok(approvals)
    }

    /// Reads the saved state; an empty one without a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a saved state.
    pub(crate) fn saved(&self) -> Result<SavedState, String> {
        let Some(path) = self.state() else { return Ok(SavedState::default()) };
        let wrong = |error: &dyn std::fmt::Display| file_error("--acp-state", path, error);
        let text = match super::session_file::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(SavedState::default()),
            Err(error) => return Err(wrong(&error)),
        };
        SavedState::parse(&text).map_err(|error| wrong(&error))
    }
}

/// Returns the absolute path of a folder.
fn absolute(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.canonicalize()?;
    if path.is_dir() {
        Ok(path)
    } else {
        Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"))
    }
}

/// Reads the MCP servers.
fn mcp_servers(path: &Path) -> Result<Vec<McpServer>, String> {
    let wrong = |what: &dyn std::fmt::Display| file_error("--mcp-servers", path, what);
    let contents = files::read(path).map_err(|error| wrong(&error))?;
    // Environments and headers of servers can have secrets.
    if let Some(warning) = contents.warning(format_args!("--mcp-servers {}", path.display()), path) {
        tracing::warn!(warning, "configuration");
    }
    let text = contents.text().map_err(|error| wrong(&error))?;
    serde_json::from_str(text).map_err(|error| {
        let form = r#"[{"name":"files","command":"/usr/bin/mcp-files","args":[],"env":[]}]"#;
        wrong(&format_args!("it is not a list of MCP servers: {error}; write {form}"))
    })
}

/// Returns a prefix of prompt ids that no other process has.
pub(crate) fn prompt_prefix() -> Result<String, String> {
    let random = random::hex::<5>().map_err(|error| format!("the system has no randomness: {error}"))?;
    Ok(format!("acp{random}"))
}
