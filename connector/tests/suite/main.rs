//! The connector's machine in virtual time, and the embedded connector over real sockets.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

mod bench;
mod control;
mod durable;
#[cfg(feature = "server")]
mod endpoints;
mod example;
mod habits;
mod http;
mod machine;
#[cfg(feature = "server")]
mod server;
mod wakes;
mod webhooks;
mod workbench;
