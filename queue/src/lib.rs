#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Durable queue between a relay gateway and its agents.
//!
//! The gateway stores each event, acknowledges it once it is stored, and hands it to an agent. An agent that crashes, a
//! gateway that is killed and a machine that loses power lose nothing that is stored.

pub mod encoding;
pub mod head;
pub mod id;
pub mod record;
pub mod store;
