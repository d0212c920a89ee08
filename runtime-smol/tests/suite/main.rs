//! Tests of a gateway on smol: the suite of every runtime, over real sockets, and the examples.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

#[path = "../../../runtime/tests/behaviour/suite.rs"]
mod behaviour;
#[path = "../../../runtime/tests/examples/suite.rs"]
mod examples;

use behaviour::SOON;
use relayline_control::config::GatewayConfig;
use relayline_control::network::Network;
use relayline_smol as relayline;
use relayline_smol::http::Client;
use relayline_smol::{Builder, Inbox, Relay, Smol, connect, http_client, start};

/// Functions of smol that the suite needs.
struct Kit;

impl Kit {
    fn new() -> Kit {
        Kit
    }

    fn connect(&self, config: GatewayConfig) -> (Relay, Inbox) {
        start(config).unwrap()
    }

    fn runtime(&self) -> Smol {
        Smol
    }

    fn http_client(&self, network: &Network) -> Client {
        http_client(network).unwrap()
    }

    /// Runs a future to its end. Panics if it takes longer than a test may wait.
    #[track_caller]
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let late = async {
            smol::Timer::after(SOON).await;
            None
        };
        smol::block_on(smol::future::or(async { Some(future.await) }, late)).expect("it takes too long")
    }
}
