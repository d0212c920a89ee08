#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Durable queue between a relay gateway and its agents.
//!
//! The gateway stores each event, acknowledges it once it is stored, and hands it to an agent. An agent that crashes, a
//! gateway that is killed and a machine that loses power lose nothing that is stored.
//!
//! [`dispatcher::Dispatcher`] decides which entry goes where next. It has no clock, no random numbers and no I/O: its
//! inputs are times, arrivals, settlements and answers of the store, its outputs are commands for the store, hand-outs
//! and answers. [`store::Store`] is an engine that stores the queue: in the module `sqlite` a file, in `jetstream`
//! servers of NATS.
//!
//! # How to drive it
//!
//! 1. Create a dispatcher. Its first output is a command for the store.
//! 2. After each input drain [`poll_output`](dispatcher::Dispatcher::poll_output), and carry out each
//!    [`Output`](output::Output). Pass the answers of the store to
//!    [`handle_answer`](dispatcher::Dispatcher::handle_answer).
//! 3. Call [`handle_tick`](dispatcher::Dispatcher::handle_tick) at [`deadline`](dispatcher::Dispatcher::deadline).
//! 4. After [`Output::Leading`](output::Output::Leading) connect to the connector, and pass in what arrives as long as
//!    [`takes_arrivals`](dispatcher::Dispatcher::takes_arrivals) returns true.
//! 5. Acknowledge an arrival when [`Output::Arrived`](output::Output::Arrived) says that it is stored.
//!
//! [`driver::QueueDriver`] does steps 2 and 3 with a store.
//!
//! The same limits and inputs give the same outputs. Late and wrong settlements, unknown agents and late answers of the
//! store never cause a panic. All tables are bounded by [`QueueLimits`](config::QueueLimits), and each drop is counted in
//! [`QueueStats`](stats::QueueStats).
//!
//! # Two leaders
//!
//! The fence is the journal: each record is written only if the journal's last record is the writer's own last. The first
//! record of a leader is its epoch. A leader whose record does not fit reads the end of the journal back. If another
//! leader has written there, it stops at once: [`Output::Lost`](output::Output::Lost).

#[cfg(any(feature = "inbox", feature = "jetstream"))]
pub mod clock;
pub mod config;
pub mod dispatcher;
pub mod driver;
pub mod encoding;
pub mod fleet;
mod handouts;
mod hash;
pub mod head;
pub mod id;
#[cfg(feature = "inbox")]
pub mod inbox;
#[cfg(feature = "jetstream")]
pub mod jetstream;
pub mod ledger;
pub mod output;
pub mod record;
mod schedule;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod stats;
pub mod store;
mod writer;
