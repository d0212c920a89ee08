//! A driver for tests of a machine. It feeds inputs in any order and asserts the invariants that hold for any input.
//!
//! Fuzzers and property tests feed inputs that no gateway would see. Other tests use the driver as a socket, a host
//! and a clock.

mod driver;
pub mod frames;
mod lanes;

pub use driver::{Driver, Input, Output, small_limits};
pub use lanes::lanes;
