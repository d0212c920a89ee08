//! Tests of a gateway on tokio: the suite of every runtime, over real sockets, and the examples.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

#[path = "../../../runtime/tests/behaviour/suite.rs"]
mod behaviour;
#[path = "../../../runtime/tests/examples/suite.rs"]
mod examples;

use behaviour::{SOON, Stage, Wire};
use relayline_connector::Act;
use relayline_control::config::GatewayConfig;
use relayline_control::network::Network;
use relayline_core::command::FailureKind;
use relayline_runtime::CurrentRuntime;
use relayline_tokio as relayline;
use relayline_tokio::http::Client;
use relayline_tokio::{Builder, Inbox, Relay, Tokio, connect, http_client, start};
use std::time::Duration;

/// Functions of tokio that the suite needs.
struct Kit(tokio::runtime::Runtime);

impl Kit {
    fn new() -> Kit {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Kit(builder.worker_threads(1).enable_all().build().unwrap())
    }

    fn connect(&self, config: GatewayConfig) -> (Relay, Inbox) {
        let _inside = self.0.enter();
        start(config).unwrap()
    }

    fn runtime(&self) -> Tokio {
        let _inside = self.0.enter();
        Tokio::current().unwrap()
    }

    fn http_client(&self, network: &Network) -> Client {
        let _inside = self.0.enter();
        http_client(network).unwrap()
    }

    /// Runs a future to its end. Panics if it takes longer than a test may wait.
    #[track_caller]
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(async { tokio::time::timeout(SOON, future).await }).expect("it takes too long")
    }
}

#[test]
fn a_start_needs_a_runtime() {
    let Stage { relay, .. } = Stage::new(Wire::Tcp, &[]);
    let error = start(relay.config().clone()).unwrap_err();
    assert!(error.to_string().contains("no reactor running"), "{error}");
}

/// O-3, O-4: when a runtime is shut down, the drive loop is dropped. Nothing waits for ever, and written requests are
/// ambiguous.
#[test]
fn o_4_a_runtime_shutdown_leaves_nothing_pending() {
    let stage = Stage::new(Wire::Tcp, &[]);
    stage.connector.control(Act::Delay { op: "send".into(), ms: 600_000 }).unwrap();
    let answer = stage.submit("written");
    stage.sees_outbound("written");
    let Stage { kit, relay, mut inbox, .. } = stage;
    kit.0.shutdown_timeout(Duration::ZERO);

    let after = Kit::new();
    assert_eq!(after.block_on(answer).unwrap_err().kind, FailureKind::Ambiguous);
    assert_eq!(after.block_on(relay.send("1", "late")).unwrap_err().kind, FailureKind::Definite);
    after.block_on(relay.disconnect());
    let mut rest = Vec::new();
    after.block_on(async {
        while let Some(incoming) = futures_util::StreamExt::next(&mut inbox).await {
            rest.push(format!("{incoming:?}"));
        }
    });
    assert!(rest.last().is_some_and(|last| last == "Notice(Stopped)"), "{rest:?}");
}
