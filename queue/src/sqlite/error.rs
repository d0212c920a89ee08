//! Errors of a queue in a file.

use crate::store::{FaultKind, StoreFault};
use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Error returned when a queue file cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// A system call failed.
    #[error("cannot {action} {path}: {source}: check the path and its permissions", path = .path.display())]
    Io {
        /// Action that failed.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Another process has the queue.
    #[error(
        "the queue {path} is in use by {}: stop that process, name another file, or wait for it with --standby",
        process(*.pid), path = .path.display()
    )]
    InUse {
        /// File of the queue.
        path: PathBuf,
        /// Id of the process, if it is known.
        pid: Option<u32>,
    },
    /// Other users can read or write a file of the queue.
    #[error("{path} has mode {mode:04o}, and it holds what people say: run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Permission bits of its mode.
        mode: u32,
    },
    /// It is not a regular file.
    #[error("{} is not a regular file: name another one", .0.display())]
    NotAFile(PathBuf),
    /// Its content is not that of SQLite, and other users can read it.
    #[error("{} is not a queue, and is left as it is: name another file", .0.display())]
    NotADatabase(PathBuf),
    /// The file system may be on another machine.
    #[error(
        "{path} is on a file system of the kind {kind}, which may be remote, and SQLite needs a local one: \
         name a file on a local disk",
        path = .path.display()
    )]
    Remote {
        /// Folder of the queue.
        path: PathBuf,
        /// Kind of the file system.
        kind: &'static str,
    },
    /// It is an SQLite file of another program.
    #[error("{} is a database of another program, and is left as it is: name another file", .0.display())]
    Foreign(PathBuf),
    /// A newer version of this program wrote it.
    #[error(
        "{path} has version {found} of the schema, and this program knows {known}: use a newer version of this program",
        path = .path.display()
    )]
    NewerSchema {
        /// File of the queue.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Latest version that this program knows.
        known: i64,
    },
    /// A setting of SQLite on which durability depends is not in force.
    #[error("SQLite does not accept {pragma} = {wanted} for {path}, it has {found}: name a file on another disk", path = .path.display())]
    Setting {
        /// File of the queue.
        path: PathBuf,
        /// Name of the setting.
        pragma: &'static str,
        /// Value that is needed.
        wanted: &'static str,
        /// Value that is in force.
        found: String,
    },
    /// SQLite reports an error.
    #[error("{0}")]
    Database(StoreFault),
    /// There is no such queue.
    #[error("there is no queue {}: check the path, or start a gateway with it", .0.display())]
    Missing(PathBuf),
    /// Too many requests of operators wait for the gateway.
    #[error(
        "{0} requests wait for the gateway of the queue: start it, or wait until it has carried them out"
    )]
    TooManyRequests(i64),
}

/// Names a process.
fn process(pid: Option<u32>) -> String {
    pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
}

impl SqliteError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SqliteError {
        let path = path.to_owned();
        move |source| SqliteError::Io { action, path, source }
    }

    pub(super) fn database(path: &Path) -> impl Fn(rusqlite::Error) -> SqliteError {
        let path = path.to_owned();
        move |error| SqliteError::Database(fault(&path, &error))
    }
}

/// Describes an error of SQLite.
pub(super) fn fault(path: &Path, error: &rusqlite::Error) -> StoreFault {
    let path = path.display();
    let (kind, text) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            (FaultKind::Full, format!("the disk of the queue {path} is full: free some space"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            FaultKind::ReadOnly,
            format!("the queue {path} cannot be written: make the file and its folder writable"),
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            FaultKind::Damaged,
            format!("the queue {path} is damaged ({error}): restore it from a backup, or move it away"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            FaultKind::Unavailable,
            format!("another process keeps the queue {path} locked: end that process"),
        ),
        _ => (FaultKind::Unavailable, format!("SQLite cannot use the queue {path}: {error}: check its disk")),
    };
    StoreFault { kind, text }
}
