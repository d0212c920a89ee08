//! The examples on tokio.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

use relayline_tokio as relayline;

#[path = "../../runtime/tests/examples/mod.rs"]
mod examples;
