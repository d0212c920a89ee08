//! The machine's inputs and outputs as log lines, at trace level: the lines that a replay prints.

use relayline_core::trace::Entry;
use tracing::Level;

const TARGET: &str = "relayline::trace";

/// Whether anybody looks. It is worth asking before an entry is made.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// Logs an entry, if anybody looks.
pub(crate) fn log(entry: impl FnOnce() -> Entry) {
    if is_on() {
        let entry = entry();
        tracing::trace!(target: TARGET, entry = %entry.to_string().trim_start(), "{}", entry.what.name());
    }
}
