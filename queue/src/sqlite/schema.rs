//! Opening the database: its settings, its tables, and their versions.

use super::error::SqliteError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Mark of a queue in the database's header: `RLQ` and a number.
const APPLICATION_ID: i64 = 0x524C_5101;

/// Steps to each version of the schema from the one before. A step never changes once it is released.
const MIGRATIONS: [&str; 1] = [
    // The last numbers are in `numbers` once the rows that had them are gone.
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
     CREATE TABLE journal (seq INTEGER PRIMARY KEY, record BLOB NOT NULL);
     CREATE TABLE pieces (epoch INTEGER, number INTEGER, piece BLOB NOT NULL, PRIMARY KEY (epoch, number)) WITHOUT ROWID;
     CREATE TABLE numbers (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE requests (id INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT NOT NULL, result TEXT);",
];

/// Version of the schema that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Time for which a lock of another connection is waited for.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the database for the process that has the queue, and brings its schema up to date.
pub(super) fn open(path: &Path) -> Result<Connection, SqliteError> {
    let failed = SqliteError::database(path);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Before anything is changed: the file may be another program's, or newer.
    let version = check_version(path, &connection)?;
    check_content(path, &connection)?;
    set(path, &connection, "journal_mode", "wal", "wal")?;
    set(path, &connection, "synchronous", "full", "2")?;
    set(path, &connection, "secure_delete", "on", "1")?;
    if cfg!(target_vendor = "apple") {
        // Without them a sync does not reach the disk there.
        set(path, &connection, "fullfsync", "on", "1")?;
        set(path, &connection, "checkpoint_fullfsync", "on", "1")?;
    }
    if version < VERSION {
        let steps = usize::try_from(version).unwrap_or_default();
        let transaction = connection.transaction().map_err(&failed)?;
        for step in MIGRATIONS.iter().skip(steps) {
            transaction.execute_batch(step).map_err(&failed)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(&failed)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
    }
    Ok(connection)
}

/// Opens the database for another process, which reads it or leaves a request.
pub(super) fn open_beside(path: &Path, is_writing: bool) -> Result<Connection, SqliteError> {
    let flags = if is_writing { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let connection = connect(path, flags)?;
    match check_version(path, &connection)? {
        VERSION => Ok(connection),
        // The owner migrates it.
        _ => Err(SqliteError::Missing(path.to_owned())),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, SqliteError> {
    let failed = SqliteError::database(path);
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(&failed)?;
    Ok(connection)
}

/// Returns the version of the schema; 0 for an empty file.
fn check_version(path: &Path, connection: &Connection) -> Result<i64, SqliteError> {
    let failed = SqliteError::database(path);
    let number =
        |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).map_err(&failed);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let is_empty = number("schema_version")? == 0;
    match (is_empty, application) {
        (true, 0) if version == 0 => Ok(0),
        (_, APPLICATION_ID) if version > VERSION => {
            Err(SqliteError::NewerSchema { path: path.to_owned(), found: version, known: VERSION })
        }
        (_, APPLICATION_ID) => Ok(version),
        _ => Err(SqliteError::Foreign(path.to_owned())),
    }
}

/// Checks that the database is not damaged.
fn check_content(path: &Path, connection: &Connection) -> Result<(), SqliteError> {
    let checked = connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
    let found = checked.map_err(SqliteError::database(path))?;
    if found == "ok" {
        return Ok(());
    }
    let damaged = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(SqliteError::database(path)(rusqlite::Error::SqliteFailure(damaged, Some(found))))
}

/// Changes a setting, and reads it back.
fn set(
    path: &Path,
    connection: &Connection,
    pragma: &'static str,
    value: &'static str,
    wanted: &'static str,
) -> Result<(), SqliteError> {
    let failed = SqliteError::database(path);
    // Some settings answer with their value, and some do not.
    connection.pragma_update_and_check(None, pragma, value, |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(failed(error)),
    })?;
    let found = connection.pragma_query_value(None, pragma, |row| {
        let value = row.get_ref(0)?;
        Ok(value.as_str().map(str::to_owned).or_else(|_| value.as_i64().map(|number| number.to_string())))
    });
    let found = found.map_err(&failed)?.unwrap_or_default();
    if found == wanted {
        return Ok(());
    }
    Err(SqliteError::Setting { path: path.to_owned(), pragma, wanted: value, found })
}
