//! A queue as another process sees it: in a file, or on servers.

use super::list::{Owner, StreamSummary};
use super::location::QueueLocation;
use super::operate::unbounded;
use relayline_queue::encoding::Bytes;
use relayline_queue::id::EntryId;
#[cfg(feature = "jetstream")]
use relayline_queue::jetstream::JetStreamQueue;
use relayline_queue::ledger::Ledger;
#[cfg(feature = "sqlite")]
use relayline_queue::sqlite::SqliteReader;

/// Queue that is read, and that stays as it is.
pub(super) enum QueueReader {
    #[cfg(feature = "sqlite")]
    File(SqliteReader),
    #[cfg(feature = "jetstream")]
    Servers(Box<JetStreamQueue>),
}

impl QueueReader {
    /// Opens a queue. On servers it is that of a gateway.
    ///
    /// # Errors
    /// There is no such queue, or it cannot be read.
    pub(super) fn open(location: &QueueLocation, gateway_id: Option<&str>) -> Result<QueueReader, String> {
        match location {
            #[cfg(feature = "sqlite")]
            QueueLocation::File(path) => {
                let _ = gateway_id;
                SqliteReader::open(path).map(QueueReader::File).map_err(|error| error.to_string())
            }
            #[cfg(not(feature = "sqlite"))]
            QueueLocation::File(_) => Err("this program was built without SQLite".to_owned()),
            #[cfg(feature = "jetstream")]
            QueueLocation::Servers(url) => {
                let id = gateway_id.unwrap_or(super::DEFAULT_ID);
                let queue = JetStreamQueue::connect(url, id, &super::process_name());
                let queue = queue.map_err(|error| error.to_string())?;
                // One that is not there is not created.
                queue.streams().map_err(|error| error.to_string())?;
                Ok(QueueReader::Servers(Box::new(queue)))
            }
        }
    }

    /// Reads the state of the queue.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn ledger(&self) -> Result<Ledger, String> {
        match self {
            #[cfg(feature = "sqlite")]
            QueueReader::File(reader) => reader.ledger(&unbounded()).map_err(|error| error.to_string()),
            #[cfg(feature = "jetstream")]
            QueueReader::Servers(queue) => queue.ledger(&unbounded()).map_err(|error| error.to_string()),
        }
    }

    /// Reads the body of an entry.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn body(&self, id: EntryId) -> Result<Option<Bytes>, String> {
        match self {
            #[cfg(feature = "sqlite")]
            QueueReader::File(reader) => reader.body(id).map_err(|error| error.to_string()),
            #[cfg(feature = "jetstream")]
            QueueReader::Servers(queue) => queue.body(id).map_err(|error| error.to_string()),
        }
    }

    /// Returns the process that has the queue, if one has it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn owner(&self) -> Result<Option<Owner>, String> {
        match self {
            #[cfg(feature = "sqlite")]
            QueueReader::File(reader) => {
                let owner = reader.owner().map_err(|error| error.to_string())?;
                Ok(owner.map(|pid| pid.map_or(Owner::Unknown, Owner::Process)))
            }
            #[cfg(feature = "jetstream")]
            QueueReader::Servers(queue) => {
                let owner = queue.owner().map_err(|error| error.to_string())?;
                Ok(owner.map(Owner::Named))
            }
        }
    }

    /// Returns the state of the streams of a queue on servers; a file has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn streams(&self) -> Result<Vec<StreamSummary>, String> {
        match self {
            #[cfg(feature = "sqlite")]
            QueueReader::File(_) => Ok(Vec::new()),
            #[cfg(feature = "jetstream")]
            QueueReader::Servers(queue) => {
                let streams = queue.streams().map_err(|error| error.to_string())?;
                Ok(streams.into_iter().map(Into::into).collect())
            }
        }
    }
}
