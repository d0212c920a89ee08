//! Workers: agents on other machines than the gateway that leads.
//!
//! [`worker::Worker`] is a worker, and [`leader::Fleet`] the side of the leader. Both are machines without I/O, and
//! exchange frames over a bus that may lose, repeat and delay them. A worker has a lease: it renews it with heartbeats, and
//! stops the ops of its agents before the leader gives its sessions away.

mod file;
mod frame;
pub mod leader;
mod line;
mod link;
#[cfg(test)]
mod tests;
pub mod worker;

pub use file::{FileAnswer, FileCall, FileRequest, MAX_FILE_BYTES};
pub use frame::{AgentClaim, WorkerMember, ask_for_members, read_members};
pub use line::NOT_LEADING;
