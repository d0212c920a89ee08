//! One driver for tests of a machine: it feeds inputs in any order, and asserts what must hold whatever comes.
//!
//! Fuzzers and properties feed it what no gateway would; tests with a purpose use it as a socket, a host and a clock.

mod driver;
pub mod frames;
mod lanes;

pub use driver::{Driver, Input, Output, small_limits};
pub use lanes::lanes;
