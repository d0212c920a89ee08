//! Tests of the store in a file.

use super::engine::Engine;
use super::{QueueLock, RequestState, SqliteError, SqliteReader, SqliteStore, place, schema};
use crate::config::QueueLimits;
use crate::head::EntryHead;
use crate::id::{CommandId, EntryId, RecordSeq, RequestId};
use crate::output::{OperatorRequest, RequestRefused};
use crate::record::Record;
use crate::store::contract::{self, batch, body, load, write};
use crate::store::{Batch, FaultKind, NewEntry, Store, StoreAnswer, StoreCommand};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, Waker};
use tempfile::TempDir;

fn open(path: &Path) -> Result<SqliteStore, SqliteError> {
    SqliteStore::open(QueueLock::acquire(path)?)
}

/// Returns a folder and the path of a queue in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db");
    (folder, path)
}

/// Returns an engine without its thread.
fn engine(path: &Path) -> Engine {
    place::prepare(path).unwrap();
    Engine::new(path, schema::open(path).unwrap())
}

fn fault(answer: StoreAnswer) -> (FaultKind, String) {
    match answer {
        StoreAnswer::Failed(fault) => (fault.kind, fault.text),
        other => panic!("a fault, not {other:?}"),
    }
}

fn writing(batch: Batch) -> StoreCommand {
    StoreCommand::Write(Box::new(batch))
}

#[test]
fn it_fulfils_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    contract::check(&mut || {
        number += 1;
        open(&folder.path().join(format!("{number}.db"))).unwrap()
    });
}

#[test]
fn durable_settings_are_in_force() {
    let (_folder, path) = place();
    let engine = engine(&path);
    let number = |pragma: &str| {
        let sql = format!("PRAGMA {pragma}");
        engine.connection().query_one(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((number("synchronous"), number("secure_delete"), number("trusted_schema")), (2, 1, 0));
    let mode = "PRAGMA journal_mode";
    let mode: String = engine.connection().query_one(mode, [], |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), number("user_version")), ("wal", schema::VERSION));
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let (_folder, path) = place();
    let mut store = open(&path).unwrap();
    assert_eq!(write(&mut store, batch(0, 0, &["a", "b"], &["r"])), StoreAnswer::Written);
    let removal = Batch { removed_entries: vec![EntryId(2)], ..batch(2, 1, &[], &[]) };
    assert_eq!(write(&mut store, removal), StoreAnswer::Written);
    let before = load(&mut store);
    drop(store);
    let mut store = open(&path).unwrap();
    assert_eq!(load(&mut store), before);
    assert_eq!(before.last_entry, EntryId(2));
    assert_eq!(contract::answer(&mut store, StoreCommand::ReadBody(EntryId(1))), body("a"));
}

#[cfg(unix)]
#[test]
fn all_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = place();
    let mut store = open(&path).unwrap();
    assert_eq!(write(&mut store, batch(0, 0, &["a"], &["r"])), StoreAnswer::Written);
    let mut names = Vec::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["inbox.db", "inbox.db-shm", "inbox.db-wal", "inbox.db.lock"]);
    drop(store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.contains("inbox.db has mode 0644, and it holds what people say: run `chmod 600 "),
        "{error}"
    );
    assert!(matches!(SqliteReader::open(&path), Err(SqliteError::Exposed { .. })));
}

#[test]
fn one_process_has_a_queue() {
    let (_folder, path) = place();
    let store = open(&path).unwrap();
    assert!(matches!(open(&path), Err(SqliteError::InUse { pid: Some(_), .. })));
    let lock = store.close();
    assert!(matches!(open(&path), Err(SqliteError::InUse { .. })));
    drop(lock);
    assert!(open(&path).is_ok());
}

#[test]
fn files_of_others_are_refused_and_unchanged() {
    let (_folder, path) = place();
    drop(open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    let newer = fs::read(&path).unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.contains("has version 2 of the schema, and this program knows 1: use a newer version"),
        "{error}"
    );
    assert!(matches!(SqliteReader::open(&path), Err(SqliteError::NewerSchema { found: 2, known: 1, .. })));
    assert_eq!(fs::read(&path).unwrap(), newer);

    let (_folder, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let foreign = fs::read(&path).unwrap();
    assert!(matches!(open(&path), Err(SqliteError::Foreign(_))));
    assert_eq!(fs::read(&path).unwrap(), foreign);
}

#[test]
fn a_damaged_file_is_refused_and_unchanged() {
    let damage = |bytes: &mut Vec<u8>, at: usize| {
        let end = bytes.len().min(at + 3000);
        bytes[at..end].fill(0xA5);
    };
    let many = vec!["some text of a person that takes room"; 2000];
    for at in [0, 4096, 40_000] {
        let (_folder, path) = place();
        let mut store = open(&path).unwrap();
        assert_eq!(write(&mut store, batch(0, 0, &many, &many)), StoreAnswer::Written);
        drop(store);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes, at);
        fs::write(&path, &bytes).unwrap();
        let error = open(&path).unwrap_err();
        let SqliteError::Database(fault) = &error else { panic!("{at}: {error}") };
        assert_eq!(fault.kind, FaultKind::Damaged, "{at}: {error}");
        assert!(error.to_string().contains("restore it from a backup, or move it away"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

/// A limit of pages has the effect of a full disk.
#[test]
fn a_full_disk_passes() {
    let (_folder, path) = place();
    let mut engine = engine(&path);
    let limit = |engine: &Engine, pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        engine.connection().query_one(&sql, [], |_| Ok(())).unwrap();
    };
    limit(&engine, 12);
    let large = "x".repeat(100_000);
    let (kind, text) = fault(engine.execute(writing(batch(0, 0, &["a", &large], &["r"]))));
    assert_eq!(kind, FaultKind::Full);
    assert!(text.ends_with("is full: free some space"), "{text}");
    let end = StoreCommand::ReadBack { after_entry: EntryId(0), after_record: RecordSeq(0) };
    let StoreAnswer::ReadBack(end) = engine.execute(end) else { panic!("the end") };
    assert_eq!((end.entries.len(), end.last_record), (0, RecordSeq(0)));
    limit(&engine, 1000);
    assert_eq!(engine.execute(writing(batch(0, 0, &["a", &large], &["r"]))), StoreAnswer::Written);
}

#[test]
fn a_read_only_file_passes() {
    let (_folder, path) = place();
    let mut engine = engine(&path);
    engine.connection().pragma_update(None, "query_only", true).unwrap();
    let (kind, text) = fault(engine.execute(writing(batch(0, 0, &["a"], &[]))));
    assert_eq!(kind, FaultKind::ReadOnly);
    assert!(text.ends_with("make the file and its folder writable"), "{text}");
    engine.connection().pragma_update(None, "query_only", false).unwrap();
    assert_eq!(engine.execute(writing(batch(0, 0, &["a"], &[]))), StoreAnswer::Written);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_moved_away_is_not_written() {
    let (folder, path) = place();
    let mut engine = engine(&path);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    let (kind, text) = fault(engine.execute(writing(batch(0, 0, &["a"], &[]))));
    assert_eq!(kind, FaultKind::Unavailable);
    assert!(text.contains("was moved, removed or replaced: put the file back"), "{text}");
    fs::write(&path, "").unwrap();
    assert!(matches!(engine.execute(StoreCommand::Load), StoreAnswer::Failed(_)));
    fs::rename(&elsewhere, &path).unwrap();
    assert_eq!(engine.execute(writing(batch(0, 0, &["a"], &[]))), StoreAnswer::Written);
}

#[test]
fn removed_texts_are_overwritten() {
    let (folder, path) = place();
    let secret = "a very private text of 37 characters.";
    let finds = || {
        let files = fs::read_dir(folder.path()).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        files.into_iter().any(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    };
    let mut store = open(&path).unwrap();
    assert_eq!(write(&mut store, batch(0, 0, &[secret], &[])), StoreAnswer::Written);
    assert!(finds());
    let removal = Batch { removed_entries: vec![EntryId(1)], ..batch(1, 0, &[], &[]) };
    assert_eq!(write(&mut store, removal), StoreAnswer::Written);
    drop(store);
    assert!(!finds());
}

/// The same without an end of the process, and with a reader that keeps an earlier state for a while.
#[test]
fn an_idle_queue_empties_its_log() {
    let (_folder, path) = place();
    let mut engine = engine(&path);
    assert_eq!(engine.execute(writing(batch(0, 0, &["a"], &["r"]))), StoreAnswer::Written);
    let reader = schema::open_beside(&path, false).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entries;").unwrap();
    assert_eq!(engine.execute(writing(batch(1, 1, &["b"], &["r"]))), StoreAnswer::Written);
    let log = || fs::metadata(super::lock::beside(&path, "-wal")).unwrap().len();
    engine.tidy();
    assert!(log() > 0);
    reader.execute_batch("COMMIT").unwrap();
    engine.tidy();
    assert_eq!(log(), 0);
}

#[test]
fn a_reader_sees_entries_while_the_queue_is_in_use() {
    let (_folder, path) = place();
    assert!(matches!(SqliteReader::open(&path), Err(SqliteError::Missing(_))));
    let mut store = open(&path).unwrap();
    let head = EntryHead { epoch: 1, session: "s".into(), size: 4, key: None, memory: None };
    let records =
        [Record::Epoch { epoch: 1, leader: "x".into() }, Record::HandOut { entry: EntryId(1), attempt: 1 }];
    let written = Batch {
        entries: vec![NewEntry { head: head.encode(), body: b"text".as_slice().into() }],
        records: records.iter().map(Record::encode).collect(),
        ..Batch::default()
    };
    assert_eq!(write(&mut store, written), StoreAnswer::Written);
    let reader = SqliteReader::open(&path).unwrap();
    assert_eq!(reader.owner().unwrap(), Some(Some(std::process::id())));
    let ledger = reader.ledger(&QueueLimits::default()).unwrap();
    let (id, entry) = ledger.entries().next().unwrap();
    assert_eq!((id, &*entry.session, entry.attempts), (EntryId(1), "s", 1));
    assert_eq!(reader.body(id).unwrap().as_deref(), Some(b"text".as_slice()));
    assert_eq!(reader.body(EntryId(2)).unwrap(), None);
    // It also works without a gateway.
    drop(store);
    assert_eq!(reader.owner().unwrap(), None);
    assert_eq!(reader.ledger(&QueueLimits::default()).unwrap().len(), 1);
}

/// Waits for the next request. The thread wakes the task, so that no time passes.
fn next_request(store: &mut SqliteStore) -> (RequestId, OperatorRequest) {
    loop {
        let waker = contract::waker();
        let answer = store.poll_answer(&mut Context::from_waker(&waker));
        if let Some(request) = store.take_request() {
            return request;
        }
        if answer.is_pending() {
            std::thread::park();
        }
    }
}

#[test]
fn requests_of_operators_reach_the_owner() {
    let (_folder, path) = place();
    let mut store = open(&path).unwrap();
    let reader = SqliteReader::open(&path).unwrap();
    let retry = OperatorRequest::Retry(EntryId(7));
    let id = reader.request(retry).unwrap();
    assert_eq!(reader.request_state(id).unwrap(), RequestState::Pending);
    assert_eq!(next_request(&mut store), (id, retry));
    store.finish_request(id, Err(RequestRefused::Unknown));
    // The thread carries out one job after the other.
    load(&mut store);
    let refused = RequestState::Finished(Err(RequestRefused::Unknown));
    assert_eq!(reader.request_state(id).unwrap(), refused);
    // One that was left while no gateway had the queue.
    drop(store);
    let id = reader.request(OperatorRequest::Drop(EntryId(1))).unwrap();
    let mut store = open(&path).unwrap();
    assert_eq!(next_request(&mut store), (id, OperatorRequest::Drop(EntryId(1))));
    // One of a newer program.
    let other = schema::open_beside(&path, true).unwrap();
    other.execute("INSERT INTO requests (request) VALUES ('pause')", []).unwrap();
    let unknown = RequestId(other.last_insert_rowid().unsigned_abs());
    let known = reader.request(retry).unwrap();
    assert_eq!(next_request(&mut store), (known, retry));
    assert_eq!(reader.request_state(unknown).unwrap(), RequestState::Unsupported);
}

#[test]
fn requests_reach_an_owner_that_is_busy() {
    let (_folder, path) = place();
    let mut store = open(&path).unwrap();
    let reader = SqliteReader::open(&path).unwrap();
    let retry = OperatorRequest::Retry(EntryId(7));
    let id = reader.request(retry).unwrap();
    for n in 0..64 {
        store.submit(CommandId(n), StoreCommand::ReadBody(EntryId(1)));
    }
    assert_eq!(next_request(&mut store), (id, retry));
}

#[test]
fn requests_are_bounded() {
    let (_folder, path) = place();
    drop(open(&path).unwrap());
    let reader = SqliteReader::open(&path).unwrap();
    let other = schema::open_beside(&path, true).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                INSERT INTO requests (request) SELECT 'retry 1' FROM n";
    other.execute(fill, []).unwrap();
    let error = reader.request(OperatorRequest::Retry(EntryId(1))).unwrap_err();
    assert!(matches!(error, SqliteError::TooManyRequests(1000)), "{error}");
    // Results that nobody has read make room.
    other.execute("UPDATE requests SET result = 'done'", []).unwrap();
    for _ in 0..3 {
        reader.request(OperatorRequest::Retry(EntryId(1))).unwrap();
    }
    let rows: i64 = other.query_one("SELECT count(*) FROM requests", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1001);
}

#[test]
fn an_event_of_a_stopped_thread_is_a_fault() {
    let (_folder, path) = place();
    let mut store = open(&path).unwrap();
    store.worker.stop();
    assert!(store.has_failed());
    store.submit(CommandId(1), StoreCommand::Load);
    let Poll::Ready((CommandId(1), answer)) = store.poll_answer(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("an answer")
    };
    assert_eq!(fault(answer).1, "the thread of the queue has ended: start the gateway anew");
}
