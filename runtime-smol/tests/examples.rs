//! The examples on smol.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

use relayline_smol as relayline;

#[path = "../../runtime/tests/examples/mod.rs"]
mod examples;
