//! Tests of the core's public items.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

mod allocations;
mod documents;
mod memory;
mod served;
mod split;
