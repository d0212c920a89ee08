//! Reading a queue that changes meanwhile.

use super::servers::{Server, program};
use super::{new_id, open, store, url};
use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::dispatcher::{Arrival, Dispatcher};
use relayline_queue::id::{AgentId, ArrivalId};
use relayline_queue::jetstream::{JetStreamStore, NatsUrl};
use relayline_queue::output::{Output, Settlement};
use relayline_queue::store::Store;
use relayline_queue::store::contract::{load, next_answer};
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of records between two snapshots.
const SNAPSHOT_RECORDS: usize = 500;

/// Stores and settles entries until it is stopped, with a snapshot after every few records.
fn lead(mut store: JetStreamStore, is_stopped: &AtomicBool) -> u64 {
    let mut limits = QueueLimits::default();
    limits.snapshot_records = SNAPSHOT_RECORDS;
    let mut dispatcher = Dispatcher::new(limits, "leader", Time::ZERO);
    let mut arrivals = 0;
    loop {
        while let Some(output) = dispatcher.poll_output() {
            match output {
                Output::Store { id, command } => store.submit(id, command),
                Output::Leading { .. } => dispatcher.handle_agent_ready(Time::ZERO, &AgentId::new("a")),
                Output::HandOut(hand_out) => {
                    dispatcher.settle(Time::ZERO, hand_out.id, Settlement::Done);
                }
                Output::Arrived { result, .. } => _ = result.unwrap(),
                Output::Settled { result, .. } => result.unwrap(),
                other => panic!("{other:?}"),
            }
        }
        if is_stopped.load(Ordering::Relaxed) {
            return arrivals;
        }
        if dispatcher.takes_arrivals() {
            arrivals += 1;
            let (session, body) = (format!("s{}", arrivals % 5).into(), b"text".as_slice().into());
            let arrival = Arrival { id: ArrivalId(arrivals), session, key: None, body, memory: None };
            dispatcher.handle_arrival(Time::ZERO, arrival);
        } else {
            let (id, answer) = next_answer(&mut store);
            dispatcher.handle_answer(Time::ZERO, id, answer);
        }
    }
}

/// Calls a function while a leader writes, which must not end meanwhile.
fn while_one_leads(read: impl FnOnce(&NatsUrl, &str)) {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    let id = new_id();
    let store = store(&url, &id);
    let is_stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let leader = scope.spawn(|| lead(store, &is_stopped));
        let end = StopOnDrop(&is_stopped);
        read(&url, &id);
        drop(end);
        let arrivals = leader.join().unwrap();
        assert!(arrivals > SNAPSHOT_RECORDS as u64, "snapshots are written meanwhile: {arrivals}");
    });
}

/// Stops the leader even if an assertion fails: the scope waits for it.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The streams are not read at one time: between two of them a snapshot replaces what the first one refers to.
#[test]
fn a_queue_that_changes_is_read() {
    while_one_leads(|url, id| {
        let reader = open(url, id);
        let mut failures = Vec::new();
        for _ in 0..100 {
            failures.extend(reader.ledger(&QueueLimits::default()).err().map(|error| error.to_string()));
        }
        assert!(failures.is_empty(), "{} of 100 readings: {failures:?}", failures.len());
    });
}

/// Leaves out what is written during a reading. Otherwise a gateway that takes over from one which still writes would find the
/// queue damaged.
#[test]
fn a_reading_has_an_end() {
    while_one_leads(|url, id| {
        let mut reader = store(url, id);
        for _ in 0..50 {
            let loaded = load(&mut reader);
            let last = loaded.records.last().map_or(loaded.last_record, |(seq, _)| *seq);
            assert_eq!(last, loaded.last_record);
            let last = loaded.entries.last().map_or(loaded.last_entry, |(id, _)| *id);
            assert!(last <= loaded.last_entry, "{last} after {}", loaded.last_entry);
        }
    });
}
