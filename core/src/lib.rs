#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! The gateway side of the relay protocol, as a pure state machine.

pub mod line;
pub mod secret;
pub mod time;
pub mod token;
