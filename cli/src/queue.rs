//! The durable queue of the program: `run --queue`, and the command `queue`.

#[cfg(any(feature = "jetstream", feature = "sqlite"))]
mod command;
mod flags;
#[cfg(feature = "jetstream")]
mod fleet;
#[cfg(any(feature = "jetstream", feature = "sqlite"))]
mod list;
// Without an engine no URL is accepted, so that the rest of these modules is not used.
#[cfg_attr(not(any(feature = "jetstream", feature = "sqlite")), allow(dead_code))]
mod location;
#[cfg(any(feature = "jetstream", feature = "sqlite"))]
mod operate;
#[cfg(any(feature = "jetstream", feature = "sqlite"))]
mod reader;
#[cfg_attr(not(any(feature = "jetstream", feature = "sqlite")), allow(dead_code))]
mod start;

#[cfg(any(feature = "jetstream", feature = "sqlite"))]
pub(crate) use command::{QueueCommand, run};
pub(crate) use flags::QueueArguments;
#[cfg(feature = "jetstream")]
pub(crate) use flags::jobs;
pub(crate) use location::QueueLocation;
pub(crate) use start::{Acquired, QueueStart};

/// Id of the queue of a gateway that has none.
pub(crate) const DEFAULT_ID: &str = "default";

/// Returns the name of this process for people on other machines.
#[cfg(feature = "jetstream")]
pub(crate) fn process_name() -> String {
    format!("{}/{}", gethostname::gethostname().to_string_lossy(), std::process::id())
}

/// Returns a name for a worker that no other one has, with that of the machine for people.
#[cfg(feature = "jetstream")]
pub(crate) fn worker_name() -> Result<String, String> {
    let host = gethostname::gethostname();
    // It is a part of subjects.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let host: String =
        host.to_string_lossy().chars().map(|c| if is_plain(c) { c } else { '-' }).take(40).collect();
    random_name(&host)
}

/// Returns a name for a process that no other process has.
#[cfg(feature = "jetstream")]
pub(crate) fn random_name(prefix: &str) -> Result<String, String> {
    let random = crate::random::hex::<6>().map_err(|error| format!("no randomness: {error}"))?;
    Ok(format!("{prefix}-{random}"))
}
