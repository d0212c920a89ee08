//! Tests of the harness, and of rules whose tests need it.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

mod har;
mod http_clients;
mod mutations;
mod negotiation;
mod no_platform_crypto;
mod properties;
mod recorder;
mod redact_text;
mod replay;
mod replay_format;
mod replay_october;
mod replay_wire;
mod rules;
mod schemas;
mod shown;
mod simulate;

/// Returns true if tests run at full size (`RELAYLINE_FULL`, set by `.ci/run` and `.ci/full`) instead of on a sample.
fn is_full() -> bool {
    std::env::var_os("RELAYLINE_FULL").is_some()
}
