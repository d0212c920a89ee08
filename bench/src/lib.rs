//! Subjects of the benches: the machine, and hand-written code for the same frames. Also what the two programs of this
//! crate tell each other, and how they measure processes.
#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.

pub mod events;
pub mod machine;
pub mod process;
pub mod reports;
pub mod requests;
pub mod workloads;
