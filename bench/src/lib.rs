//! Subjects of the benches: the machine, and hand-written code for the same frames.
#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.

pub mod events;
pub mod machine;
pub mod requests;
pub mod workloads;
