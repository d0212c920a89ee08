#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! What it takes to trust a relay gateway: an embedded connector, recorded sessions, replays, a
//! simulation.

pub mod chats;
pub mod connector;
pub mod har;
pub mod recorder;
pub mod recording;
pub mod replay;
pub mod simulate;
pub mod testing;
