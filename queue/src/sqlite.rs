//! Queue in an SQLite file on this machine.
//!
//! One process has the file: [`QueueLock`] is the lock beside it. [`SqliteStore`] is its [`Store`], and
//! [`SqliteReader`] is for other processes, which list entries or leave requests.
//!
//! A commit is durable when its answer comes: the log is synced with each (`journal_mode=wal`, `synchronous=full`), and
//! both settings are read back at start. The files have mode 0600, and removed entries are overwritten
//! (`secure_delete`). The log is emptied when the queue is idle.

mod engine;
mod error;
mod lock;
mod place;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod worker;

pub use error::SqliteError;
pub use lock::QueueLock;
pub use reader::{ReadError, RequestState, SqliteReader};

use crate::id::{CommandId, RequestId};
use crate::output::{OperatorRequest, RequestRefused};
use crate::store::{Store, StoreAnswer, StoreCommand};
use engine::Engine;
use std::task::{Context, Poll};
use worker::Worker;

/// Store in an SQLite file. One thread has the connection.
///
/// When it is dropped, it carries out what was submitted, and releases the lock.
#[derive(Debug)]
pub struct SqliteStore {
    worker: Worker,
    /// Dropped last: the thread must have ended before another process has the queue.
    lock: QueueLock,
}

impl SqliteStore {
    /// Opens a queue that this process has locked. A missing file is created.
    ///
    /// # Errors
    /// Other users can read a file of the queue, its file system may be remote, it is damaged, another program's or
    /// newer, or SQLite does not accept a setting on which durability depends.
    pub fn open(lock: QueueLock) -> Result<SqliteStore, SqliteError> {
        let path = lock.path();
        place::prepare(path)?;
        let connection = schema::open(path)?;
        // The log and its index exist now.
        place::check_files(path)?;
        let worker = Worker::start(Engine::new(path, connection));
        let worker = worker.map_err(SqliteError::io("start a thread for", path))?;
        Ok(SqliteStore { worker, lock })
    }

    /// Returns true if the thread has ended by a panic. Then every command fails.
    pub fn has_failed(&self) -> bool {
        self.worker.events.have_ended()
    }

    /// Ends the thread once it has carried out what was submitted. Returns the lock, which drops with its value.
    pub fn close(mut self) -> QueueLock {
        self.worker.stop();
        let SqliteStore { worker, lock } = self;
        drop(worker);
        lock
    }
}

impl Store for SqliteStore {
    fn submit(&mut self, id: CommandId, command: StoreCommand) {
        self.worker.submit(id, command);
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(CommandId, StoreAnswer)> {
        self.worker.events.poll_answer(cx)
    }

    fn take_request(&mut self) -> Option<(RequestId, OperatorRequest)> {
        self.worker.events.take_request()
    }

    fn finish_request(&mut self, id: RequestId, result: Result<(), RequestRefused>) {
        self.worker.finish_request(id, result);
    }
}
