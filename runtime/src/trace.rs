//! Logging: spans and events with stable names and fields, and at trace level the machine's inputs and outputs in the
//! format of a replay. The crate's documentation has a table of them.

use relayline_core::command::{Failure, Reply};
use relayline_core::config::Config;
use relayline_core::output::{Conn, Notice};
use relayline_core::stats::Stats;
use relayline_core::trace::Entry;
use std::borrow::Cow;
use std::time::Duration;
use tracing::{Level, Span};

const TARGET: &str = "relayline::trace";

/// Returns true if a subscriber reads trace entries. Check it before an entry is made.
pub(crate) fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::TRACE)
}

/// Logs an entry, if a subscriber reads them.
pub(crate) fn log(entry: impl FnOnce() -> Entry) {
    if is_on() {
        let entry = entry();
        tracing::trace!(target: TARGET, entry = %entry.to_string().trim_start(), "{}", entry.name());
    }
}

/// Counters that are not logged: they have an event of their own, or increase in normal operation.
pub(crate) const ORDINARY: [&str; 10] = [
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

/// Returns true if a subscriber reads the events of counters.
pub(crate) fn counts() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// Logs the counters that have increased. Most of them have no other event.
pub(crate) fn counted(before: &Stats, now: &Stats) {
    for (counter, by) in now.since(before).filter(|(counter, _)| !ORDINARY.contains(counter)) {
        tracing::debug!(counter, by, "counted");
    }
}

/// Creates the span of a gateway's drive loop.
pub(crate) fn relay(config: &Config) -> Span {
    let gateway = config.credentials.as_ref().map(|credentials| credentials.gateway_id.as_str());
    tracing::info_span!("relay", gateway)
}

/// Creates the span of one dial and its connection.
pub(crate) fn connection(relay: &Span, conn: Conn) -> Span {
    tracing::debug_span!(parent: relay, "connection", conn = conn.number())
}

/// Logs the outcome of a request and its duration.
pub(crate) fn answered(op: &str, took: Duration, result: &Result<Reply, Failure>) {
    let outcome = result.as_ref().map_or_else(|failure| failure.kind.name(), |_| "ok");
    tracing::debug!(op, outcome, after_ms = took.as_millis(), "answered");
}

/// Logs a notice: changes of the connection, stale prompts and unknown notices at info level. After a connection's first
/// dead letter the others are logged at debug level, since a faulty connector repeats them.
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
        Notice::Dormant { retry_in } => {
            tracing::info!(retry_in_ms = retry_in.map(|span| span.as_millis()), "dormant");
        }
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
        Notice::UnauthorizedAnswer { answer } => {
            let prompt_id = answer.prompt_response.as_ref().map(|response| response.prompt_id.as_str());
            tracing::info!(prompt_id, user_id = answer.source.user_id.as_deref(), "unauthorized_answer");
        }
        // Notices that a later core may add. The host gets them anyway.
        _ => tracing::info!("notice"),
    }
}

/// Truncates a peer's text for the log.
fn short(text: &str) -> &str {
    const MOST: usize = 100;
    text.char_indices().nth(MOST).map_or(text, |(end, _)| &text[..end])
}

/// Returns the names of changed fields; `None` if there are none.
fn listed(changed: &[Cow<'_, str>]) -> Option<String> {
    (!changed.is_empty()).then(|| changed.join(" "))
}
