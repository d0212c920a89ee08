//! Access of another process: `relayline queue status`, `list`, `dead`, `retry` and `drop`.

use super::engine::{load, read_body};
use super::error::SqliteError;
use super::lock::{QueueLock, resolve};
use super::{place, schema};
use crate::config::QueueLimits;
use crate::encoding::Bytes;
use crate::id::{EntryId, RequestId};
use crate::ledger::{Ledger, LoadError};
use crate::output::{OperatorRequest, RequestRefused};
use crate::store::request_text::{parse_result, request_text};
use rusqlite::{OptionalExtension, params};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Maximum number of requests that wait for the gateway.
const MAX_REQUESTS: i64 = 1000;

/// View of a queue for a process that does not have it. It changes nothing but the requests.
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
}

/// Error returned when a queue cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// Its content cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// State of a request that was left for the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestState {
    /// The gateway has not carried it out.
    Pending,
    /// The gateway has carried it out, or refused it.
    Finished(Result<(), RequestRefused>),
    /// The gateway does not know requests of this kind.
    Unsupported,
}

impl SqliteReader {
    /// Opens a queue.
    ///
    /// # Errors
    /// There is no such file, other users can read it, or it is not a queue that this version knows.
    pub fn open(path: &Path) -> Result<SqliteReader, SqliteError> {
        if !path.exists() {
            return Err(SqliteError::Missing(path.to_owned()));
        }
        let path = resolve(path)?;
        place::check_files(&path)?;
        schema::open_beside(&path, false)?;
        Ok(SqliteReader { path })
    }

    /// Returns the id of the process that has the queue, if one has it: `Some(None)` if it is not known.
    ///
    /// # Errors
    /// The lock file cannot be opened.
    pub fn owner(&self) -> Result<Option<Option<u32>>, SqliteError> {
        QueueLock::owner(&self.path)
    }

    /// Reads the state of the queue, as it is at one time.
    ///
    /// # Errors
    /// The file or its content cannot be read.
    pub fn ledger(&self, limits: &QueueLimits) -> Result<Ledger, ReadError> {
        let connection = schema::open_beside(&self.path, false)?;
        let loaded = load(&connection).map_err(SqliteError::database(&self.path))?;
        Ok(Ledger::read(limits, &loaded)?)
    }

    /// Reads the body of an entry: texts of people. `None` if there is no such entry.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn body(&self, id: EntryId) -> Result<Option<Bytes>, SqliteError> {
        let connection = schema::open_beside(&self.path, false)?;
        read_body(&connection, id).map_err(SqliteError::database(&self.path))
    }

    /// Leaves a request for the gateway that has the queue, or for the next one.
    ///
    /// # Errors
    /// The file cannot be written, or a thousand requests wait already.
    pub fn request(&self, request: OperatorRequest) -> Result<RequestId, SqliteError> {
        let failed = SqliteError::database(&self.path);
        let mut connection = schema::open_beside(&self.path, true)?;
        let transaction = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(&failed)?;
        let waiting = "SELECT count(*) FROM requests WHERE result IS NULL";
        let waiting: i64 = transaction.query_one(waiting, [], |row| row.get(0)).map_err(&failed)?;
        if waiting >= MAX_REQUESTS {
            return Err(SqliteError::TooManyRequests(waiting));
        }
        // Those whose senders did not wait for the result.
        let old = "DELETE FROM requests WHERE result IS NOT NULL
                   AND id <= (SELECT max(id) FROM requests) - ?";
        transaction.execute(old, [MAX_REQUESTS]).map_err(&failed)?;
        transaction
            .execute("INSERT INTO requests (request) VALUES (?)", [request_text(request)])
            .map_err(&failed)?;
        let id = transaction.last_insert_rowid().unsigned_abs();
        transaction.commit().map_err(&failed)?;
        Ok(RequestId(id))
    }

    /// Returns the state of a request. A finished one is removed.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn request_state(&self, id: RequestId) -> Result<RequestState, SqliteError> {
        let failed = SqliteError::database(&self.path);
        let connection = schema::open_beside(&self.path, true)?;
        let id = i64::try_from(id.0).unwrap_or(i64::MAX);
        let result = connection
            .query_one("SELECT result FROM requests WHERE id = ?", [id], |row| {
                row.get::<_, Option<String>>(0)
            })
            .optional()
            .map_err(&failed)?
            .flatten();
        let Some(result) = result else { return Ok(RequestState::Pending) };
        connection.execute("DELETE FROM requests WHERE id = ?", params![id]).map_err(&failed)?;
        Ok(parse_result(&result).map_or(RequestState::Unsupported, RequestState::Finished))
    }
}
