//! Commands of the store on a connection.

use super::error::fault;
use super::place::{FileId, file_id};
use super::schema::BUSY_TIMEOUT;
use crate::encoding::Bytes;
use crate::id::{EntryId, PieceId, RecordSeq, RequestId};
use crate::output::{OperatorRequest, RequestRefused};
use crate::store::request_text::{parse_request, result_name};
use crate::store::{Batch, FaultKind, Loaded, READ_BACK, ReadBack, StoreAnswer, StoreCommand, StoreFault};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum number of requests that are read at once.
const MAX_REQUESTS: i64 = 64;

/// Connection of the process that has the queue.
pub(super) struct Engine {
    path: PathBuf,
    connection: Connection,
    /// Identity of the file that is open.
    file: Option<FileId>,
    /// Last request that was read.
    last_request: i64,
    /// Number that changes when another process has written.
    seen_version: Option<i64>,
}

type SqlResult<T> = rusqlite::Result<T>;

impl Engine {
    pub(super) fn new(path: &Path, connection: Connection) -> Engine {
        connection.set_prepared_statement_cache_capacity(32);
        let file = file_id(path);
        Engine { path: path.to_owned(), connection, file, last_request: 0, seen_version: None }
    }

    /// Carries out a command.
    pub(super) fn execute(&mut self, command: StoreCommand) -> StoreAnswer {
        if let Err(fault) = self.check_file() {
            return StoreAnswer::Failed(fault);
        }
        let answer = match command {
            StoreCommand::Load => load(&self.connection).map(|loaded| StoreAnswer::Loaded(Box::new(loaded))),
            StoreCommand::Write(batch) => self.write(&batch),
            StoreCommand::ReadBack { after_entry, after_record } => {
                let end = read_back(&self.connection, after_entry, after_record, READ_BACK);
                end.map(|end| StoreAnswer::ReadBack(Box::new(end)))
            }
            StoreCommand::ReadBody(id) => read_body(&self.connection, id).map(StoreAnswer::Body),
        };
        answer.unwrap_or_else(|error| StoreAnswer::Failed(fault(&self.path, &error)))
    }

    /// Checks that the open file is still the one at its path: a commit to a file that is gone would be lost.
    fn check_file(&self) -> Result<(), StoreFault> {
        if file_id(&self.path) == self.file {
            return Ok(());
        }
        let path = self.path.display();
        let text = format!(
            "the queue {path} was moved, removed or replaced: put the file back, or start the gateway anew"
        );
        Err(StoreFault { kind: FaultKind::Unavailable, text })
    }

    fn write(&mut self, batch: &Batch) -> SqlResult<StoreAnswer> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (last_entry, last_record) = last_numbers(&transaction)?;
        if (last_entry, last_record) != (batch.after_entry, batch.after_record) {
            return Ok(StoreAnswer::Conflict);
        }
        insert(&transaction, batch)?;
        remove(&transaction, batch)?;
        transaction.commit()?;
        Ok(StoreAnswer::Written)
    }

    /// Returns the connection, to make it fail.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the requests that operators have left since the last look.
    pub(super) fn requests(&mut self) -> Result<Vec<(RequestId, OperatorRequest)>, StoreFault> {
        self.read_requests().map_err(|error| fault(&self.path, &error))
    }

    fn read_requests(&mut self) -> SqlResult<Vec<(RequestId, OperatorRequest)>> {
        let version = self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.seen_version == Some(version) {
            return Ok(Vec::new());
        }
        let sql = "SELECT id, request FROM requests WHERE id > ? AND result IS NULL ORDER BY id LIMIT ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![self.last_request, MAX_REQUESTS], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        let rows: Vec<(i64, String)> = rows.collect::<SqlResult<_>>()?;
        // There may be more than are read at once.
        if rows.len() < usize::try_from(MAX_REQUESTS).unwrap_or(0) {
            self.seen_version = Some(version);
        }
        let mut requests = Vec::new();
        for (id, text) in rows {
            self.last_request = id;
            match parse_request(&text) {
                Some(request) => requests.push((RequestId(id.unsigned_abs()), request)),
                // A newer program may know it. Its sender learns that this one does not.
                None => _ = finish(&self.connection, id, "unsupported")?,
            }
        }
        Ok(requests)
    }

    /// Stores the result of a request, which its sender reads.
    pub(super) fn finish_request(
        &mut self,
        id: RequestId,
        result: Result<(), RequestRefused>,
    ) -> Result<(), StoreFault> {
        let written = finish(&self.connection, number(id.0), result_name(result));
        written.map(|_| ()).map_err(|error| fault(&self.path, &error))
    }

    /// Moves the log into the database and empties it: it may still have texts of entries that are removed.
    pub(super) fn tidy(&mut self) {
        // Best effort: a reader may keep the log in use, and is not waited for. The next time will do.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let _ = self.connection.busy_timeout(BUSY_TIMEOUT);
    }
}

fn finish(connection: &Connection, id: i64, result: &str) -> SqlResult<usize> {
    connection.execute("UPDATE requests SET result = ? WHERE id = ?", params![result, id])
}

/// Converts a number for SQLite, whose integers are signed.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> SqlResult<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

fn bytes(row: &Row<'_>, column: usize) -> SqlResult<Bytes> {
    // An empty blob may come as NULL.
    Ok(row.get_ref(column)?.as_bytes_or_null()?.unwrap_or_default().into())
}

/// Inserts what is new. Numbers and places follow the last ones.
fn insert(transaction: &Transaction<'_>, batch: &Batch) -> SqlResult<()> {
    let mut statement =
        transaction.prepare_cached("INSERT INTO entries (id, head, body) VALUES (?, ?, ?)")?;
    let mut id = batch.after_entry;
    for entry in &batch.entries {
        id = id.next();
        statement.execute(params![number(id.0), &*entry.head, &*entry.body])?;
    }
    let sql = "INSERT OR REPLACE INTO pieces (epoch, number, piece) VALUES (?, ?, ?)";
    let mut statement = transaction.prepare_cached(sql)?;
    for (id, piece) in &batch.pieces {
        statement.execute(params![number(id.epoch), number(id.number), &**piece])?;
    }
    let mut statement = transaction.prepare_cached("INSERT INTO journal (seq, record) VALUES (?, ?)")?;
    let mut seq = batch.after_record;
    for record in &batch.records {
        seq = seq.next();
        statement.execute(params![number(seq.0), &**record])?;
    }
    Ok(())
}

/// Removes what the batch says. A last number is kept before its row goes.
fn remove(transaction: &Transaction<'_>, batch: &Batch) -> SqlResult<()> {
    let last_entry = EntryId(batch.after_entry.0 + batch.entries.len() as u64);
    if batch.removed_entries.contains(&last_entry) {
        keep_number(transaction, "entry", last_entry.0)?;
    }
    let mut statement = transaction.prepare_cached("DELETE FROM entries WHERE id = ?")?;
    for id in &batch.removed_entries {
        statement.execute([number(id.0)])?;
    }
    if let Some(upto) = batch.removed_records {
        let last_record = RecordSeq(batch.after_record.0 + batch.records.len() as u64);
        if upto >= last_record {
            keep_number(transaction, "record", last_record.0)?;
        }
        transaction.prepare_cached("DELETE FROM journal WHERE seq <= ?")?.execute([number(upto.0)])?;
    }
    let mut statement = transaction.prepare_cached("DELETE FROM pieces WHERE epoch = ? AND number = ?")?;
    for id in &batch.removed_pieces {
        statement.execute([number(id.epoch), number(id.number)])?;
    }
    Ok(())
}

fn keep_number(transaction: &Transaction<'_>, name: &str, last: u64) -> SqlResult<()> {
    let sql = "INSERT OR REPLACE INTO numbers (name, last) VALUES (?, ?)";
    transaction.prepare_cached(sql)?.execute(params![name, number(last)]).map(|_| ())
}

/// Returns the last entry and the last record that were ever stored.
fn last_numbers(connection: &Connection) -> SqlResult<(EntryId, RecordSeq)> {
    let sql = "SELECT max(ifnull((SELECT max(id) FROM entries), 0), ifnull((SELECT last FROM numbers WHERE name = 'entry'), 0)),
                      max(ifnull((SELECT max(seq) FROM journal), 0), ifnull((SELECT last FROM numbers WHERE name = 'record'), 0))";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_one([], |row| Ok((EntryId(unsigned(row, 0)?), RecordSeq(unsigned(row, 1)?))))
}

/// Reads everything but the bodies, as it is at one time.
pub(super) fn load(connection: &Connection) -> SqlResult<Loaded> {
    let transaction = connection.unchecked_transaction()?;
    let end = end_of(&transaction, EntryId(0), RecordSeq(0), i64::MAX)?;
    let mut statement =
        transaction.prepare_cached("SELECT epoch, number, piece FROM pieces ORDER BY epoch, number")?;
    let pieces = statement.query_map([], |row| {
        let id = PieceId { epoch: unsigned(row, 0)?, number: unsigned(row, 1)? };
        Ok((id, bytes(row, 2)?))
    })?;
    let ReadBack { entries, last_entry, records, last_record } = end;
    Ok(Loaded { entries, last_entry, records, last_record, pieces: pieces.collect::<SqlResult<_>>()? })
}

fn read_back(
    connection: &Connection,
    after_entry: EntryId,
    after_record: RecordSeq,
    most: usize,
) -> SqlResult<ReadBack> {
    let transaction = connection.unchecked_transaction()?;
    end_of(&transaction, after_entry, after_record, i64::try_from(most).unwrap_or(i64::MAX))
}

fn end_of(
    connection: &Connection,
    after_entry: EntryId,
    after_record: RecordSeq,
    most: i64,
) -> SqlResult<ReadBack> {
    let (last_entry, last_record) = last_numbers(connection)?;
    let rows = |sql: &str, after: u64| -> SqlResult<Vec<(u64, Bytes)>> {
        let mut statement = connection.prepare_cached(sql)?;
        let rows =
            statement.query_map([number(after), most], |row| Ok((unsigned(row, 0)?, bytes(row, 1)?)))?;
        rows.collect()
    };
    let entries = rows("SELECT id, head FROM entries WHERE id > ? ORDER BY id LIMIT ?", after_entry.0)?;
    let records = rows("SELECT seq, record FROM journal WHERE seq > ? ORDER BY seq LIMIT ?", after_record.0)?;
    Ok(ReadBack {
        entries: entries.into_iter().map(|(id, head)| (EntryId(id), head)).collect(),
        last_entry,
        records: records.into_iter().map(|(seq, record)| (RecordSeq(seq), record)).collect(),
        last_record,
    })
}

pub(super) fn read_body(connection: &Connection, id: EntryId) -> SqlResult<Option<Bytes>> {
    let mut statement = connection.prepare_cached("SELECT body FROM entries WHERE id = ?")?;
    statement.query_one([number(id.0)], |row| bytes(row, 0)).optional()
}
