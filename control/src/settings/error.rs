//! Errors of a configuration.

use super::source::Source;
use crate::network::ProxyError;
use std::fmt::{self, Display};

/// Error in a configuration. It names the flag, variable or key. It is a host's mistake, never a peer's fault.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nothing is wrong: the relay is switched off, which overrides every URL. A host goes on without it.
    #[error("{0} switches the relay off: set it to true, or leave it out, to use the relay")]
    Disabled(Source),
    /// No URL was given.
    #[error("no connector URL: give {0} or set GATEWAY_RELAY_URL, as in wss://connector.example")]
    NoUrl(&'static str),
    /// A value cannot be used.
    #[error("{setting}: {problem}")]
    Invalid {
        /// The setting, by its source.
        setting: String,
        /// Problem with the value, and what to do. It quotes no value that may be secret.
        problem: String,
    },
    /// A text that goes into a request or a file holds a line break or another control character.
    #[error("{0} holds a line break or another control character: write it on one line")]
    Control(Source),
    /// A variable is not UTF-8. It must not count as unset.
    #[error("{0} is not UTF-8: set it again, or unset it")]
    NotText(String),
    /// An id is set without a secret, and there is nothing to provision one with.
    #[error(
        "{0} is set, but there is no secret to it: set GATEWAY_RELAY_SECRET or give --secret-file, or unset the id"
    )]
    NoSecret(Source),
    /// A secret is set without an id.
    #[error(
        "{0} is set, but there is no id to it: set GATEWAY_RELAY_ID or give --gateway-id, or unset the secret"
    )]
    NoId(Source),
    /// Credentials would go out in the clear.
    #[error(transparent)]
    Insecure(#[from] crate::http::Insecure),
    /// Two identities have the same platform. What is sent names a platform, so the second could not be meant.
    #[error(
        "{0} is named twice: a gateway speaks for one bot of each platform, so run a second gateway for the other"
    )]
    Twice(String),
    /// A variable about proxies cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A setting of the identity provider is set, and one that it needs is not.
    #[error("{set} is set, but {missing} is not: set both, or neither")]
    Incomplete {
        /// Source of the one that is set.
        set: Source,
        /// Name of the one that is not.
        missing: &'static str,
    },
    /// There is no enrollment token to enroll with.
    #[error(
        "no enrollment token: give --token or set GATEWAY_RELAY_ENROLL_TOKEN to what your connector's operator gave you"
    )]
    NoEnrollmentToken,
    /// There is no access token, nor a way to get one.
    #[error(
        "no access token: give --access-token-command or --access-token-file, or set GATEWAY_RELAY_ACCESS_TOKEN or \
         GATEWAY_RELAY_IDP_TOKEN_URL"
    )]
    NoAccessToken,
}

impl ConfigError {
    /// Returns an error about a setting's value, which `problem` must not quote if it may be secret.
    pub fn invalid(setting: impl Display, problem: impl Display) -> ConfigError {
        ConfigError::Invalid { setting: setting.to_string(), problem: problem.to_string() }
    }
}

/// Writes the same words as `Display`, since a `main` that returns this error prints its `Debug`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_it_prints_its_words() {
        let error = ConfigError::NoUrl("--url");
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}
