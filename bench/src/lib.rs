//! What the benches measure: the machine, and hand-written code for the same.
#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.

pub mod events;
pub mod machine;
pub mod workloads;
