//! Errors of starting and connecting a gateway.

use relayline_control::http::Insecure;
use relayline_control::http::boot::KnownAlready;
use relayline_control::settings::ConfigError;
use relayline_core::machine::CREDENTIALS_REJECTED;
use std::io;

/// Error returned when a gateway cannot be started, or does not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The credentials would be sent unencrypted.
    #[error(transparent)]
    Insecure(#[from] Insecure),
    /// The configured certificates cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// The caller is not on the runtime.
    #[error("call this within the async runtime: {0}")]
    NoRuntime(io::Error),
    /// The system cannot provide random numbers.
    #[error("no randomness: {0}")]
    NoRandomness(String),
    /// The configuration has an address for webhook requests, and the feature `webhook` is off.
    #[error(
        "webhook requests cannot be served: this program is built without the feature `webhook` of its relayline crate: \
         enable it, or set no address for them (GATEWAY_RELAY_INBOUND_LISTEN)"
    )]
    NoWebhooks,
    /// The connector knows the gateway already, and the gateway has no secret.
    #[error(transparent)]
    KnownAlready(#[from] KnownAlready),
    /// The first dial failed. The gateway is not started.
    #[error("not connected: {reason}{}", advice(*.code))]
    NotConnected {
        /// Close code, if there was one.
        code: Option<u16>,
        /// Cause of the failure.
        reason: String,
    },
    /// The connector has revoked the gateway's credentials.
    #[error("not connected: the gateway is revoked: enroll it again, or give it other credentials")]
    Revoked,
    /// The gateway was disconnected before it was connected.
    #[error("not connected: the gateway was disconnected")]
    Disconnected,
}

/// Returns what to do about a close code.
fn advice(code: Option<u16>) -> &'static str {
    match code {
        Some(CREDENTIALS_REJECTED) => " (closed with 4401): check the gateway's id and secret, and the clock",
        _ => "",
    }
}

/// Error returned when a gateway does not connect again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The host has disconnected it.
    #[error("the gateway was disconnected")]
    Disconnected,
    /// The connector has revoked its credentials.
    #[error("the gateway is revoked: enroll it again, or give it other credentials")]
    Revoked,
}

impl From<Closed> for ConnectError {
    fn from(closed: Closed) -> ConnectError {
        match closed {
            Closed::Disconnected => ConnectError::Disconnected,
            Closed::Revoked => ConnectError::Revoked,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> io::Error {
        io::Error::other(error)
    }
}
