//! What is logged: spans and events with stable names and fields, and at trace level the machine's inputs and outputs,
//! as the lines that a replay prints. The table is in the crate's documentation.

use relayline_core::command::{Failure, Reply};
use relayline_core::config::Config;
use relayline_core::output::{Conn, Notice};
use relayline_core::stats::Stats;
use relayline_core::trace::Entry;
use std::borrow::Cow;
use std::time::Duration;
use tracing::{Level, Span};

const TARGET: &str = "relayline::trace";

/// Whether anybody looks. It is worth asking before an entry is made.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// Logs an entry, if anybody looks.
pub(crate) fn log(entry: impl FnOnce() -> Entry) {
    if is_on() {
        let entry = entry();
        tracing::trace!(target: TARGET, entry = %entry.to_string().trim_start(), "{}", entry.event.name());
    }
}

/// Counters of what is logged under a name of its own, or is no news.
const ORDINARY: [&str; 10] = [
    "dials",
    "handshakes",
    "refusals",
    "credentials_refused",
    "error_frames",
    "frames_in",
    "frames_out",
    "delivered",
    "acks",
    "http_requests",
];

/// Whether anybody looks at what is counted.
pub(crate) fn counts() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// What was counted since: of much that is passed over nothing else tells.
pub(crate) fn counted(before: &Stats, now: &Stats) {
    for (counter, by) in now.since(before).filter(|(counter, _)| !ORDINARY.contains(counter)) {
        tracing::debug!(counter, by, "counted");
    }
}

/// The span of all that one gateway's drive loop does.
pub(crate) fn relay(config: &Config) -> Span {
    let gateway = config.credentials.as_ref().map(|credentials| credentials.gateway_id.as_str());
    tracing::info_span!("relay", gateway)
}

/// The span of one dial and what comes of it.
pub(crate) fn connection(relay: &Span, conn: Conn) -> Span {
    tracing::debug_span!(parent: relay, "connection", conn = conn.number())
}

/// How a request ended, and after how long.
pub(crate) fn answered(op: &str, took: Duration, result: &Result<Reply, Failure>) {
    let outcome = result.as_ref().map_or_else(|failure| failure.kind.name(), |_| "ok");
    tracing::debug!(op, outcome, after_ms = took.as_millis(), "answered");
}

/// A quiet day prints almost nothing: the connection's comings and goings. A connector that writes what cannot be used
/// writes it again and again: after a connection's first dead letter the others are for who looks closely.
pub(crate) fn notice(notice: &Notice, first_letter: bool) {
    match notice {
        Notice::Connected { descriptor, changed } => {
            tracing::info!(platform = descriptor.platform, changed = listed(changed), "connected");
        }
        Notice::Platform { descriptor, changed } => {
            tracing::info!(platform = descriptor.platform, changed = listed(changed), "platform");
        }
        Notice::Disconnected { code, reason, retry_in } => {
            let retry_in_ms = retry_in.map(|span| span.as_millis());
            tracing::info!(code, reason, retry_in_ms, "disconnected");
        }
        Notice::Dormant { retry_in } => tracing::info!(retry_in_ms = retry_in.as_millis(), "dormant"),
        Notice::Resumed => tracing::info!("resumed"),
        Notice::Stopped => tracing::debug!("stopped"),
        Notice::ConnectorError { text } => tracing::warn!(text, "connector_error"),
        Notice::UnknownFrame { kind, .. } => tracing::debug!(kind, "unknown_frame"),
        Notice::DeadLetter { reason, buffer_id, .. } => {
            let buffer_id = buffer_id.as_deref().map(short);
            match first_letter {
                true => tracing::warn!(reason, buffer_id, "dead_letter"),
                false => tracing::debug!(reason, buffer_id, "dead_letter"),
            }
        }
        Notice::StalePrompt { answer } => {
            let prompt_id = answer.prompt_response.as_ref().map(|response| response.prompt_id.as_str());
            tracing::info!(prompt_id, "stale_prompt");
        }
        // The core's notices may grow; the host gets them all the same.
        _ => tracing::info!("notice"),
    }
}

/// As much of a peer's text as a line of the log has room for.
fn short(text: &str) -> &str {
    const MOST: usize = 100;
    text.char_indices().nth(MOST).map_or(text, |(end, _)| &text[..end])
}

/// The names of what changed; nothing where nothing did.
fn listed(changed: &[Cow<'_, str>]) -> Option<String> {
    (!changed.is_empty()).then(|| changed.join(" "))
}
