//! The durable queue of the program: `run --queue`, and the command `queue`.

mod command;
mod flags;
mod list;
mod location;
#[cfg(feature = "sqlite")]
mod operate;
mod start;

pub(crate) use command::{QueueCommand, run};
pub(crate) use flags::QueueArguments;
pub(crate) use location::QueueLocation;
pub(crate) use start::{Acquired, QueueStart};

/// Id of the queue of a gateway that has none.
pub(crate) const DEFAULT_ID: &str = "default";
