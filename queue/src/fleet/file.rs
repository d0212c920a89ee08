//! Files of agents: the leader reads and writes them through the worker that runs the agent.

use super::frame::{Lease, MAX_BYTES};
use crate::id::HandOutId;
use serde::{Deserialize, Serialize};

/// Maximum number of bytes in a [`FileRequest::Write`] and in a [`FileAnswer::Read`].
pub const MAX_FILE_BYTES: usize = MAX_BYTES;

/// Request of a leader for a file on the machine of an agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileRequest {
    /// Open a file of the agent: [`FileAnswer::Opened`].
    Open {
        /// Path as the agent wrote it.
        path: String,
    },
    /// Create a file of the agent: [`FileAnswer::Created`]. It replaces one of the same path once it is finished.
    Create {
        /// Path as the agent wrote it.
        path: String,
    },
    /// Create a file of a message, for as long as the agent has the hand-out: [`FileAnswer::Created`], or
    /// [`FileAnswer::Placed`] if it is there already.
    Place {
        /// The hand-out.
        id: HandOutId,
        /// Name of the file.
        name: String,
    },
    /// Read what follows: [`FileAnswer::Read`].
    Read {
        /// The file.
        file: u64,
    },
    /// Write the bytes of the request: [`FileAnswer::Done`].
    Write {
        /// The file.
        file: u64,
    },
    /// Finish a file that was written: [`FileAnswer::Done`], or [`FileAnswer::Placed`] for a file of a message.
    Finish {
        /// The file.
        file: u64,
    },
    /// Forget a file: [`FileAnswer::Done`]. What was written to an unfinished one is removed.
    Close {
        /// The file.
        file: u64,
    },
}

/// Answer to a [`FileRequest`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileAnswer {
    /// The file can be read.
    Opened {
        /// Number by which further requests name it.
        file: u64,
        /// Its length.
        bytes: u64,
        /// Its name, without folders.
        name: String,
    },
    /// The file can be written.
    Created {
        /// Number by which further requests name it.
        file: u64,
    },
    /// The file of a message is there.
    Placed {
        /// Its path on the machine of the agent.
        path: String,
    },
    /// The bytes of the answer come next in the file. None are the end.
    Read,
    /// It is done.
    Done,
    /// It has failed.
    Failed {
        /// Reason for people.
        why: String,
    },
}

/// Request that a worker has to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileCall {
    pub(super) agent: String,
    pub(super) number: u64,
    /// Lease of the leader that asks. Its numbers are not those of another leader.
    pub(super) lease: Lease,
}

impl FileCall {
    /// Returns the agent whose file it is.
    pub fn agent(&self) -> &str {
        &self.agent
    }
}
