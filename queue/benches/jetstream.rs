//! Cost of the store on servers of NATS: taking in, an entry's whole life, and the time of one commit, on one server and on
//! three. It prints nothing but a message where there is no server.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // It is a program that prints its results.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // A measurement has a clock.

#[path = "../tests/jetstream/servers.rs"]
#[allow(dead_code)] // The tests use more of it.
mod servers;

use relayline_queue::id::EntryId;
use relayline_queue::jetstream::{JetStreamQueue, JetStreamStore};
use relayline_queue::store::contract::{batch, load, write};
use relayline_queue::store::{Batch, StoreAnswer};
use servers::{Cluster, Server, program};
use std::time::{Duration, Instant};

/// Entries in a batch, as the dispatcher writes them.
const BATCH: u64 = 128;
/// Number of batches that are measured.
const BATCHES: u64 = 20;
/// Number of commits that are measured.
const COMMITS: usize = 200;
/// Size of a body.
const BODY: usize = 700;

fn open(url: &str, id: &str) -> JetStreamStore {
    let queue = JetStreamQueue::connect(&url.parse().unwrap(), id, "bench").unwrap();
    queue.prepare().unwrap();
    let mut store = queue.into_store();
    load(&mut store);
    assert_eq!(write(&mut store, batch(0, 0, &[], &["epoch"])), StoreAnswer::Written);
    store
}

fn per_second(number: u64, began: Instant) -> f64 {
    number as f64 / began.elapsed().as_secs_f64()
}

/// Stores batches of entries. Returns entries in a second.
fn taking_in(store: &mut JetStreamStore) -> f64 {
    let body = "x".repeat(BODY);
    let bodies = vec![body.as_str(); BATCH as usize];
    let began = Instant::now();
    for n in 0..BATCHES {
        assert_eq!(write(store, batch(n * BATCH, 1, &bodies, &[])), StoreAnswer::Written);
    }
    per_second(BATCHES * BATCH, began)
}

/// Writes the records of hand-outs and settlements, and removes the entries. Returns entries in a second.
fn rest_of_life(store: &mut JetStreamStore) -> f64 {
    let records = vec![r#"[1,{"done":{"entry":12345}}]"#; BATCH as usize];
    let last = BATCHES * BATCH;
    let began = Instant::now();
    for n in 0..BATCHES {
        let base = 1 + 2 * n * BATCH;
        assert_eq!(write(store, batch(last, base, &[], &records)), StoreAnswer::Written);
        let removed_entries = (n * BATCH + 1..=(n + 1) * BATCH).map(EntryId).collect();
        let settled = Batch { removed_entries, ..batch(last, base + BATCH, &[], &records) };
        assert_eq!(write(store, settled), StoreAnswer::Written);
    }
    per_second(last, began)
}

/// Returns the median time of a commit of one record.
fn commit(store: &mut JetStreamStore) -> Duration {
    let (last, base) = (BATCHES * BATCH, 1 + 2 * BATCHES * BATCH);
    let mut times: Vec<Duration> = (0..COMMITS as u64)
        .map(|n| {
            let began = Instant::now();
            assert_eq!(write(store, batch(last, base + n, &[], &["r"])), StoreAnswer::Written);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[COMMITS / 2]
}

fn measure(name: &str, url: &str) {
    let store = &mut open(url, "bench");
    let taken = taking_in(store);
    let lived = rest_of_life(store);
    let commit = commit(store);
    println!(
        "{name}: {taken:.0} entries/s taken in, {lived:.0} entries/s handed out, settled and removed, one commit {commit:?}"
    );
    let began = Instant::now();
    load(store);
    println!("{name}: {} records loaded in {:?}", 2 * BATCHES * BATCH, began.elapsed());
}

fn main() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    measure("one server", &format!("nats://{}/relay", server.address()));
    drop(server);
    let cluster = Cluster::start(&program, "");
    measure("three servers", &format!("nats://{}/relay?replicas=3", cluster.addresses()));
    drop(cluster);
    let folder = tempfile::tempdir().unwrap();
    let synced = format!(
        "jetstream {{ store_dir: {:?}, sync_interval: always }}",
        folder.path().display().to_string()
    );
    let server = Server::start(&program, &synced);
    measure("one server, sync_interval: always", &format!("nats://{}/relay", server.address()));
}
