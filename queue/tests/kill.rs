//! A process that has the queue is killed at random times. What it has confirmed is there afterwards.
//!
//! The killed process is this test program, started again with a variable that names the queue.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::dispatcher::{Arrival, Dispatcher};
use relayline_queue::id::{AgentId, ArrivalId, CommandId, DedupeKey};
use relayline_queue::ledger::EntryState;
use relayline_queue::output::{Output, Settlement, Stored};
use relayline_queue::sqlite::{QueueLock, SqliteReader, SqliteStore};
use relayline_queue::store::{Store, StoreAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Variable with the path of the queue, for the process that is killed.
const QUEUE: &str = "RELAYLINE_QUEUE_KILL";

/// Number of times that the process is killed.
const KILLS: u64 = 12;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn next_answer(store: &mut SqliteStore) -> (CommandId, StoreAnswer) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match store.poll_answer(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

fn key(number: u64) -> DedupeKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    DedupeKey(key)
}

/// Limits under which much happens in a short time.
fn limits() -> QueueLimits {
    let mut limits = QueueLimits::default();
    (limits.snapshot_records, limits.agent_window, limits.max_attempts) = (50, 8, 1000);
    limits.redeliver_after = std::time::Duration::from_millis(1);
    limits
}

/// Stores numbered events, settles them, refuses some before, and reports each confirmation as a line, until it is killed.
fn work(path: &Path) {
    let mut store = SqliteStore::open(QueueLock::acquire(path).unwrap()).unwrap();
    let leader = std::process::id().to_string();
    let mut dispatcher = Dispatcher::new(limits(), &leader, Time::ZERO);
    let mut numbers = 0;
    // Its clock counts the steps.
    let mut now = Time::ZERO;
    let mut under_way = 0;
    loop {
        now = now + std::time::Duration::from_millis(1);
        dispatcher.handle_tick(now);
        while let Some(output) = dispatcher.poll_output() {
            match output {
                Output::Store { id, command } => {
                    store.submit(id, command);
                    under_way += 1;
                }
                Output::Leading { .. } => {
                    report("leading", 0);
                    dispatcher.handle_agent_ready(now, &AgentId::new("a"));
                }
                Output::Arrived { arrival, result } => match result.unwrap() {
                    Stored::New(_) => report("stored", arrival.0),
                    Stored::Duplicate => report("known", arrival.0),
                },
                Output::HandOut(hand_out) => {
                    let attempt = u64::from(hand_out.id.attempt);
                    report(&format!("seen {}", hand_out.id.entry), attempt);
                    let is_refused = hand_out.id.entry.0 % 4 == 0 && attempt % 2 == 1;
                    dispatcher.settle(
                        now,
                        hand_out.id,
                        match is_refused {
                            true => Settlement::Refused("not yet".to_owned()),
                            false => Settlement::Done,
                        },
                    );
                }
                Output::Settled { hand_out, result } => {
                    result.unwrap();
                    if dispatcher.ledger().entry(hand_out.entry).is_none() {
                        report("settled", hand_out.entry.0);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        if dispatcher.takes_arrivals() && dispatcher.usage().pending_entries < 4 {
            // After a restart it begins anew: what was stored is known.
            numbers += 1;
            let (session, body) = (format!("s{}", numbers % 5), numbers.to_string());
            let (id, key) = (ArrivalId(numbers), Some(key(numbers)));
            let body = body.into_bytes().into();
            dispatcher.handle_arrival(now, Arrival { id, session: session.into(), key, body, memory: None });
        } else if under_way > 0 {
            let (id, answer) = next_answer(&mut store);
            under_way -= 1;
            dispatcher.handle_answer(now, id, answer);
        }
    }
}

fn report(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {number}").unwrap();
    out.flush().unwrap();
}

/// Does nothing, unless this process was started to be killed.
#[test]
fn works_until_it_is_killed() {
    #[allow(clippy::disallowed_methods)] // The variable distinguishes the process.
    if let Some(path) = std::env::var_os(QUEUE) {
        work(Path::new(&path));
    }
}

#[test]
fn what_was_confirmed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db");
    let mut stored = BTreeSet::new();
    let mut settled = BTreeSet::new();
    let mut attempts: BTreeMap<u64, u64> = BTreeMap::new();
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "works_until_it_is_killed", "--nocapture"])
            .env(QUEUE, &path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A number of lines that is another one each time, also in the middle of a batch.
        let most = 40 + kill * 997 % 2500;
        let mut seen = 0;
        let mut take = |line: &str| {
            let (what, number) = line.rsplit_once(' ').unwrap_or(("", ""));
            let Ok(number) = number.parse::<u64>() else { return };
            match what {
                // The process stores all events anew: one that is lost would not be known.
                "stored" => assert!(stored.insert(number), "{number} is stored again"),
                "settled" => _ = settled.insert(number),
                _ => {
                    let Some(entry) = what.strip_prefix("seen ") else { return };
                    let entry: u64 = entry.parse().unwrap();
                    assert!(!settled.contains(&entry), "entry {entry} is settled and handed out again");
                    let last = attempts.insert(entry, number).unwrap_or(0);
                    assert!(number > last, "attempt {number} of entry {entry} after {last}");
                }
            }
        };
        while seen < most {
            let line = lines.next().expect("the process works until it is killed").unwrap();
            take(&line);
            seen += 1;
        }
        child.kill().unwrap();
        // What is still in the pipe was confirmed before.
        for line in lines.map_while(Result::ok) {
            take(&line);
        }
        child.wait().unwrap();
        let reader = SqliteReader::open(&path).unwrap();
        assert_eq!(reader.owner().unwrap(), None);
        let ledger = reader.ledger(&limits()).unwrap();
        for (id, entry) in ledger.entries() {
            assert!(!settled.contains(&id.0), "entry {id} is settled and still there");
            assert_ne!(entry.state, EntryState::Dead);
            let seen = attempts.get(&id.0).copied().unwrap_or(0);
            assert!(
                u64::from(entry.attempts) >= seen,
                "entry {id} has {} of {seen} attempts",
                entry.attempts
            );
        }
    }
    assert!(settled.len() > 100 && stored.len() > 200, "{} settled, {} stored", settled.len(), stored.len());
    println!("{KILLS} kills: {} stored, {} settled", stored.len(), settled.len());
}
