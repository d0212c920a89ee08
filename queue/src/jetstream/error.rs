//! Errors of a queue on servers of NATS.

use crate::ledger::LoadError;
use crate::store::{FaultKind, StoreFault};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Oldest version of the server that works: it is the first that stores a batch as a whole.
pub(super) const OLDEST: (u64, u64) = (2, 12);

/// Error returned when a queue on servers of NATS cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JetStreamError {
    /// No server can be reached.
    #[error(
        "cannot connect to {servers}: {why}: check the URL, the network, and that a server of NATS runs there"
    )]
    Unreachable {
        /// Hosts and ports.
        servers: String,
        /// Cause.
        why: String,
    },
    /// A server refuses the credentials.
    #[error("{servers} refuses the credentials: check user and password, or the token, of the URL")]
    Refused {
        /// Hosts and ports.
        servers: String,
    },
    /// The file with the credentials cannot be used.
    #[error("{path}: {why}: write USER:PASSWORD or a token into its first line", path = .path.display())]
    LoginFile {
        /// The file.
        path: PathBuf,
        /// Problem.
        why: String,
    },
    /// A server is too old.
    #[error(
        "the server {server} has version {found}, and the queue needs {oldest} or newer: update it",
        oldest = format!("{}.{}", OLDEST.0, OLDEST.1)
    )]
    TooOld {
        /// Name or address of the server.
        server: String,
        /// Its version.
        found: String,
    },
    /// The servers do not store anything.
    #[error("JetStream is off at {0}: start the server with --jetstream, or enable it for the account")]
    NoJetStream(String),
    /// A stream cannot be created or used.
    #[error("the stream {name} {why}")]
    Stream {
        /// Name of the stream.
        name: String,
        /// Problem, and what to do.
        why: String,
    },
    /// There is no such queue.
    #[error("there is no queue of this gateway: check the URL and --gateway-id, or start a gateway with it")]
    Missing,
    /// The id of the gateway is too long for the name of a stream.
    #[error("the gateway's id is too long for the name of a stream: shorten it")]
    IdTooLong,
    /// Another gateway leads.
    #[error(
        "the queue at {servers} is in use by the gateway {owner}: stop that one, or wait for it with --standby"
    )]
    InUse {
        /// Hosts and ports.
        servers: String,
        /// Name of the process that leads.
        owner: String,
    },
    /// The queue has no gateway at the moment, and the request needs none.
    #[error("no gateway has the queue")]
    NoLeader,
    /// The servers do not do what they are asked.
    #[error("{0}")]
    Store(StoreFault),
    /// The content cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The queue changes faster than it can be read.
    #[error("the queue changes faster than it can be read: try again, or look at the metrics of the gateway")]
    Busy,
    /// The thread of the queue cannot be started.
    #[error("cannot start a thread for the queue: {0}")]
    Thread(#[from] io::Error),
    /// The thread of the queue has ended.
    #[error("the thread of the queue has ended: start the gateway anew")]
    Ended,
}

impl From<StoreFault> for JetStreamError {
    fn from(fault: StoreFault) -> JetStreamError {
        JetStreamError::Store(fault)
    }
}

/// Failure of a command.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another process has written.
    Conflict,
    Fault(StoreFault),
}

impl From<StoreFault> for Failure {
    fn from(fault: StoreFault) -> Failure {
        Failure::Fault(fault)
    }
}

/// Returns the server's own error within an error of the client.
pub(super) fn server_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e jetstream::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Describes an error of the servers. `action` is a verb with its object.
pub(super) fn fault(action: &str, error: &(dyn Error + 'static)) -> StoreFault {
    let code = server_error(error).map(jetstream::Error::error_code);
    let (kind, advice) = match code {
        // A limit of the stream, of the account or of the disk.
        Some(
            ErrorCode::STREAM_STORE_FAILED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::STREAM_LIMITS
            | ErrorCode::NO_LIMITS,
        ) => (FaultKind::Full, "raise the limit of the stream or of the account, or free some space"),
        Some(ErrorCode::STREAM_NOT_FOUND) => (
            FaultKind::Damaged,
            "the stream was deleted: restore it from a backup, or start the gateway anew",
        ),
        // Nobody answers if the user has no right to ask, or while servers elect a leader.
        _ => (
            FaultKind::Unavailable,
            "check the servers, the network, the gateway's id and the rights of the user, and try again",
        ),
    };
    StoreFault { kind, text: format!("cannot {action}: {error}: {advice}") }
}

/// Describes the failure of a publication.
pub(super) fn publish_failure(action: &str, error: &PublishError) -> Failure {
    match error.kind() {
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => Failure::Conflict,
        // Servers that elect a leader of the stream do not answer either.
        PublishErrorKind::StreamNotFound | PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => {
            let why = "the servers do not answer: check them, the network, and the permissions of the user";
            Failure::Fault(StoreFault {
                kind: FaultKind::Unavailable,
                text: format!("cannot {action}: {why}"),
            })
        }
        _ if server_error(error).is_some_and(is_conflict) => Failure::Conflict,
        _ => Failure::Fault(fault(action, error)),
    }
}

/// Returns true if the last sequence is another. A server that has such a message under way does not name it.
fn is_conflict(error: &jetstream::Error) -> bool {
    error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
}
