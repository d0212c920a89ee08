//! The behaviour of a gateway on tokio, over real sockets.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

#[path = "../../runtime/tests/behaviour/mod.rs"]
mod behaviour;

use behaviour::{SOON, Stage};
use relayline_core::config::Config;
use relayline_tokio::{Inbox, Relay, connect};

/// What the suite needs of a runtime.
struct Kit(tokio::runtime::Runtime);

impl Kit {
    fn new() -> Kit {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Kit(builder.worker_threads(1).enable_all().build().unwrap())
    }

    fn connect(&self, config: Config) -> (Relay, Inbox) {
        let _inside = self.0.enter();
        connect(config).unwrap()
    }

    /// Runs a future to its end, for as long as a test may wait for anything.
    #[track_caller]
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(async { tokio::time::timeout(SOON, future).await }).expect("it takes too long")
    }
}

#[test]
fn connect_needs_a_runtime() {
    let Stage { relay, .. } = Stage::new(&[]);
    let error = connect(relay.config().clone()).unwrap_err();
    assert!(error.to_string().contains("no reactor running"), "{error}");
}
