//! Cost of the queue in a file, beside a bare loop of the same statements in the same batches. The ratios are printed.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement that cannot go on should stop.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // It reads a clock.

use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::dispatcher::{Arrival, Dispatcher};
use relayline_queue::head::EntryHead;
use relayline_queue::id::{AgentId, ArrivalId, DedupeKey, EntryId};
use relayline_queue::output::{Output, Settlement};
use relayline_queue::record::Record;
use relayline_queue::sqlite::{QueueLock, SqliteStore};
use relayline_queue::store::Store;
use relayline_queue::store::contract::next_answer;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::Instant;

/// Number of entries of a round.
const ENTRIES: u64 = 30_000;
/// Number of rounds. The median counts.
const ROUNDS: usize = 5;
/// Size of a body, about that of a message with its source.
const BODY: usize = 600;
const SESSIONS: u64 = 200;

/// Measures something in a new file. Returns the number a second.
type Measured = fn(&Path) -> f64;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let batch = QueueLimits::default().batch_size as u64;
    let pairs: [(&str, Measured, Measured); 2] =
        [("taking in", take_in_bare, take_in), ("an entry's whole life", live_bare, live)];
    for (name, bare, ours) in pairs {
        let (mut bares, mut queues) = (Vec::new(), Vec::new());
        // They take turns, so that a slow disk slows both.
        for _ in 0..ROUNDS {
            let folder = tempfile::tempdir().unwrap();
            bares.push(bare(&folder.path().join("bare.db")));
            queues.push(ours(&folder.path().join("queue.db")));
        }
        let (bare, ours) = (median(bares), median(queues));
        println!("{name}, batches of {batch}: {ours:.0} a second, bare {bare:.0}, ratio {:.2}", ours / bare);
    }
    let folder = tempfile::tempdir().unwrap();
    let (hand_out, commit) = latency(&folder.path().join("queue.db"), &folder.path().join("bare.db"));
    println!("at rest: {hand_out:.2} ms to the hand-out, {commit:.2} ms for a bare commit");
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[allow(clippy::cast_precision_loss)]
fn rate(number: u64, start: Instant) -> f64 {
    number as f64 / start.elapsed().as_secs_f64()
}

fn key(number: u64) -> DedupeKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    DedupeKey(key)
}

fn session(number: u64) -> Box<str> {
    format!("agent:main:discord:group:{}", number % SESSIONS).into()
}

/// Opens a database with the tables and the settings of the queue.
fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    let settings = "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA secure_delete = on;
        CREATE TABLE entries (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
        CREATE TABLE journal (seq INTEGER PRIMARY KEY, record BLOB NOT NULL);";
    connection.execute_batch(settings).unwrap();
    connection
}

fn head(number: u64) -> EntryHead {
    EntryHead { epoch: 1, session: session(number), size: BODY as u64, key: Some(key(number)), memory: None }
}

fn insert_entry(connection: &Connection, id: u64) {
    let sql = "INSERT INTO entries (id, head, body) VALUES (?, ?, ?)";
    let parameters = params![i64::try_from(id).unwrap(), &*head(id).encode(), [b'x'; BODY]];
    connection.prepare_cached(sql).unwrap().execute(parameters).unwrap();
}

fn insert_record(connection: &Connection, seq: u64, record: &Record) {
    let sql = "INSERT INTO journal (seq, record) VALUES (?, ?)";
    let parameters = params![i64::try_from(seq).unwrap(), &*record.encode()];
    connection.prepare_cached(sql).unwrap().execute(parameters).unwrap();
}

/// Commits entries in batches.
fn take_in_bare(path: &Path) -> f64 {
    let connection = bare(path);
    let batch = QueueLimits::default().batch_size as u64;
    let start = Instant::now();
    let mut id = 0;
    while id < ENTRIES {
        let transaction = connection.unchecked_transaction().unwrap();
        for _ in 0..batch {
            id += 1;
            insert_entry(&transaction, id);
        }
        transaction.commit().unwrap();
    }
    rate(ENTRIES, start)
}

/// Commits the three writes of entries in batches: an entry, its attempt, and its settlement with its removal.
fn live_bare(path: &Path) -> f64 {
    let connection = bare(path);
    let batch = QueueLimits::default().batch_size as u64;
    let start = Instant::now();
    let (mut id, mut seq) = (0, 0);
    while id < ENTRIES {
        let first = id;
        let transaction = connection.unchecked_transaction().unwrap();
        for _ in 0..batch {
            id += 1;
            insert_entry(&transaction, id);
        }
        transaction.commit().unwrap();
        let transaction = connection.unchecked_transaction().unwrap();
        for id in first + 1..=id {
            seq += 1;
            insert_record(&transaction, seq, &Record::HandOut { entry: EntryId(id), attempt: 1 });
        }
        transaction.commit().unwrap();
        let transaction = connection.unchecked_transaction().unwrap();
        for id in first + 1..=id {
            seq += 1;
            let (entry, key) = (EntryId(id), Some(key(id)));
            insert_record(&transaction, seq, &Record::Settled { entry, key, memory: None, relaxes: None });
            let id = i64::try_from(id).unwrap();
            transaction.prepare_cached("DELETE FROM entries WHERE id = ?").unwrap().execute([id]).unwrap();
        }
        transaction.commit().unwrap();
    }
    rate(ENTRIES, start)
}

/// Dispatcher on a file.
struct Queue {
    dispatcher: Dispatcher,
    store: SqliteStore,
    under_way: usize,
    arrivals: u64,
    stored: u64,
    handed_out: u64,
    settled: u64,
}

impl Queue {
    fn open(path: &Path) -> Queue {
        let store = SqliteStore::open(QueueLock::acquire(path).unwrap()).unwrap();
        let dispatcher = Dispatcher::new(QueueLimits::default(), "bench", Time::ZERO);
        let (under_way, arrivals, stored, handed_out, settled) = (0, 0, 0, 0, 0);
        let mut queue = Queue { dispatcher, store, under_way, arrivals, stored, handed_out, settled };
        queue.drain();
        while !queue.dispatcher.is_leading() {
            queue.wait();
        }
        queue
    }

    fn drain(&mut self) {
        while let Some(output) = self.dispatcher.poll_output() {
            match output {
                Output::Store { id, command } => {
                    self.store.submit(id, command);
                    self.under_way += 1;
                }
                Output::Arrived { result, .. } => {
                    result.unwrap();
                    self.stored += 1;
                }
                Output::HandOut(hand_out) => {
                    self.handed_out += 1;
                    self.dispatcher.settle(Time::ZERO, hand_out.id, Settlement::Done);
                }
                Output::Settled { .. } => self.settled += 1,
                _ => {}
            }
        }
    }

    fn arrive(&mut self) {
        self.arrivals += 1;
        let number = self.arrivals;
        let (id, key, body) = (ArrivalId(number), Some(key(number)), [b'x'; BODY].as_slice().into());
        let arrival = Arrival { id, session: session(number), key, body, memory: None };
        self.dispatcher.handle_arrival(Time::ZERO, arrival);
        self.drain();
    }

    /// Lets events arrive while they are taken, else waits for the store.
    fn step(&mut self) {
        if self.arrivals < ENTRIES && self.dispatcher.takes_arrivals() {
            self.arrive();
        } else {
            self.wait();
        }
    }

    fn wait(&mut self) {
        assert!(self.under_way > 0, "something is under way");
        let (id, answer) = next_answer(&mut self.store);
        self.under_way -= 1;
        self.dispatcher.handle_answer(Time::ZERO, id, answer);
        self.drain();
    }
}

fn take_in(path: &Path) -> f64 {
    let mut queue = Queue::open(path);
    let start = Instant::now();
    while queue.stored < ENTRIES {
        queue.step();
    }
    rate(ENTRIES, start)
}

fn live(path: &Path) -> f64 {
    let mut queue = Queue::open(path);
    for id in ["a", "b", "c", "d"] {
        queue.dispatcher.handle_agent_ready(Time::ZERO, &AgentId::new(id));
    }
    let start = Instant::now();
    while queue.settled < ENTRIES {
        queue.step();
    }
    rate(ENTRIES, start)
}

/// Returns the time from an arrival to its hand-out, and that of a bare commit, in milliseconds.
fn latency(path: &Path, bare_path: &Path) -> (f64, f64) {
    let mut queue = Queue::open(path);
    queue.dispatcher.handle_agent_ready(Time::ZERO, &AgentId::new("a"));
    let connection = bare(bare_path);
    let (mut hand_outs, mut commits) = (Vec::new(), Vec::new());
    for number in 1..=300 {
        let start = Instant::now();
        queue.arrive();
        while queue.handed_out < number {
            queue.wait();
        }
        hand_outs.push(start.elapsed().as_secs_f64() * 1000.0);
        while queue.settled < number {
            queue.wait();
        }
        let start = Instant::now();
        insert_entry(&connection, number);
        commits.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    (median(hand_outs), median(commits))
}
