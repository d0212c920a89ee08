#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Tests of a relay gateway: recorded sessions, replays, scenarios of conformance, and a simulation against
//! [`ConnectorMachine`](relayline_connector::ConnectorMachine).

pub mod conformance;
pub mod har;
pub mod live;
pub mod recorder;
pub mod recording;
pub mod replay;
pub mod simulate;
pub mod testing;
pub mod view;
