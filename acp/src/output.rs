//! Outputs of the machine, and the results of the operations that it asks for.

use relayline_core::command::{Command, Failure, Reply};
use relayline_core::event::Media;
use relayline_core::output::{DeliveryId, Outcome};
use std::path::PathBuf;

/// Number of an operation. The first is 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub(crate) u64);

impl OpId {
    /// Returns the number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Output for the host. The enum is exhaustive because a host that skips an output breaks a session.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Write this line to the agent, and a newline after it. It can contain secrets of MCP servers: do not log it.
    Write {
        /// JSON without a newline.
        line: String,
        /// Delivery to settle: accepted once the line is written, refused if it cannot be written.
        settles: Option<DeliveryId>,
    },
    /// Perform an operation, and pass in its result.
    Perform {
        /// Number of the operation.
        id: OpId,
        /// The operation.
        op: HostOp,
    },
    /// Settle a delivery. Each delivery is settled once, by this output or by [`Write`](Self::Write).
    Settle {
        /// The delivery.
        delivery: DeliveryId,
        /// Its outcome.
        outcome: Outcome,
    },
    /// Save [`AcpMachine::state`](crate::AcpMachine::state): it has changed.
    Save,
    /// Declare [`AcpMachine::command_manifest`](crate::AcpMachine::command_manifest) from the next connection on: it has
    /// changed.
    Declare,
    /// Log this.
    Log(LogEntry),
    /// End the agent's process: it does not answer. Its end is passed in as any other.
    EndAgent,
    /// Stop the gateway. The machine does nothing more.
    Stop(StopCause),
}

/// Operation on the relay.
#[derive(Clone, PartialEq, Debug)]
pub enum HostOp {
    /// Submit this command. While there is no room for it among the requests in flight, it waits.
    Command(Box<Command>),
    /// Fetch a file of a message into a local file.
    Fetch {
        /// The file.
        media: Box<Media>,
        /// Maximum size of a file whose content is read, too, in bytes; 0 for none.
        inline: usize,
    },
}

/// Result of an operation.
#[derive(Clone, PartialEq, Debug)]
pub enum HostResult {
    /// Result of a command.
    Command(Result<Reply, Failure>),
    /// The file, or the error, which is logged.
    Fetch(Result<Fetched, String>),
}

/// File that was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// Absolute path of the local file.
    pub path: PathBuf,
    /// MIME type that its server sent, if any.
    pub mime: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Content, if it is not larger than the operation's `inline`.
    pub content: Option<Vec<u8>>,
}

/// Entry for the host's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Level.
    pub level: LogLevel,
    /// Name of the event.
    pub event: &'static str,
    /// Details for the operator. It can contain text of the agent: at most 1000 characters, on one line.
    pub why: String,
}

/// Level of a [`LogEntry`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    /// Details for developers.
    Debug,
    /// Ordinary events.
    Info,
    /// Events that an operator should see.
    Warn,
}

/// Reason to stop the gateway.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopCause {
    /// The agent speaks another version of the protocol.
    #[error(
        "the agent speaks version {0} of the Agent Client Protocol, and this gateway speaks 1: use another release of the agent"
    )]
    Version(u16),
    /// The agent does not have the configured authentication method.
    #[error("{0}")]
    UnknownAuthMethod(String),
    /// The agent refused to authenticate.
    #[error("the agent refused to authenticate: {0}")]
    NotAuthenticated(String),
    /// The agent refused `initialize`.
    #[error("the agent refused to initialize: {0}")]
    NotInitialized(String),
}

impl StopCause {
    /// Returns true if the configuration is the cause: another agent or another flag is needed, and a retry is useless.
    pub fn is_configuration(&self) -> bool {
        matches!(self, StopCause::Version(_) | StopCause::UnknownAuthMethod(_))
    }
}
