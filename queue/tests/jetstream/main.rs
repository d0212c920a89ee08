//! The store on real servers of NATS, one and three: the contract of stores, faults of servers and of the network, and the
//! right to lead. Without a server these tests are skipped.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Tests have a clock.

mod contracts;
mod faults;
mod leading;
mod logins;
mod proxy;
mod reading;
mod servers;

use relayline_queue::jetstream::{JetStreamError, JetStreamQueue, JetStreamStore, NatsUrl};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Maximum time for anything that is awaited.
const WITHIN: Duration = Duration::from_secs(60);

/// Waits until something is there.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + WITHIN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn url(text: &str) -> NatsUrl {
    text.parse().unwrap()
}

/// Returns an id that no other queue of this test program has.
fn new_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("gateway.{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// Opens a queue whose streams exist afterwards.
fn open(url: &NatsUrl, id: &str) -> JetStreamQueue {
    eventually("a queue", || {
        let opened = JetStreamQueue::connect(url, id, "test");
        // A cluster needs a moment to elect its leader.
        opened.and_then(|queue| queue.prepare().map(|()| queue)).map_err(|error| eprintln!("{error}")).ok()
    })
}

/// Opens a store without the right to lead, which the store does not need.
fn store(url: &NatsUrl, id: &str) -> JetStreamStore {
    open(url, id).into_store()
}

/// Waits until this process may lead.
fn acquire(queue: &JetStreamQueue, is_standby: bool) -> Result<(), JetStreamError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(queue.acquire(is_standby))
}
