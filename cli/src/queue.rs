//! The durable queue of the program: `run --queue`, and the command `queue`.

#[cfg(feature = "sqlite")]
mod command;
mod flags;
#[cfg(feature = "sqlite")]
mod list;
// Without an engine no URL is accepted, so that the rest of these modules is not used.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod location;
#[cfg(feature = "sqlite")]
mod operate;
#[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
mod start;

#[cfg(feature = "sqlite")]
pub(crate) use command::{QueueCommand, run};
pub(crate) use flags::QueueArguments;
pub(crate) use location::QueueLocation;
pub(crate) use start::{Acquired, QueueStart};

/// Id of the queue of a gateway that has none.
pub(crate) const DEFAULT_ID: &str = "default";
