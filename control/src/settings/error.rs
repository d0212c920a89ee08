//! Errors of a configuration.

use super::names::Names;
use super::source::Source;
use super::table;
use crate::network::ProxyError;
use std::fmt::{self, Display};

/// Error in a configuration. It names the argument, variable or key. The cause is always the host's input, never a peer.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not a mistake: the relay is switched off, which overrides every URL. A host continues without the relay.
    #[error("{0} switches the relay off: set it to true, or leave it out, to use the relay")]
    Disabled(Source),
    /// No URL was given.
    #[error("no connector URL: {give} or set GATEWAY_RELAY_URL, as in wss://connector.example")]
    NoUrl {
        /// Instruction for setting one, as in `give --url`.
        give: String,
    },
    /// A value cannot be used.
    #[error("{setting}: {problem}")]
    Invalid {
        /// Setting, by its source.
        setting: String,
        /// Problem with the value, and what to do. It quotes no value that may be secret.
        problem: String,
    },
    /// A text for a request or a file contains a line break or another control character.
    #[error("{0} holds a line break or another control character: write it on one line")]
    Control(Source),
    /// A variable is not UTF-8. It must not count as unset.
    #[error("{0} is not UTF-8: set it again, or unset it")]
    NotText(String),
    /// An id is set without a secret, and no secret can be provisioned.
    #[error(
        "{id} is set, but there is no secret for it: set GATEWAY_RELAY_SECRET or {}, or unset the id",
        .names.give(&table::SECRET)
    )]
    NoSecret {
        /// Source of the id.
        id: Source,
        /// Names of settings in the message.
        names: Names,
    },
    /// A secret is set without an id.
    #[error(
        "{secret} is set, but there is no id for it: set GATEWAY_RELAY_ID or {}, or unset the secret",
        .names.give(&table::GATEWAY_ID)
    )]
    NoId {
        /// Source of the secret.
        secret: Source,
        /// Names of settings in the message.
        names: Names,
    },
    /// Credentials would be sent unencrypted.
    #[error(transparent)]
    Insecure(#[from] crate::http::Insecure),
    /// Two identities have the same platform. Frames name only the platform, so the second identity could not be
    /// addressed.
    #[error(
        "{0} is named twice: a gateway speaks for one bot of each platform, so run a second gateway for the other"
    )]
    Twice(String),
    /// A variable about proxies cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A setting of the identity provider is set, but one that it needs is not.
    #[error("{set} is set, but {missing} is not: set both, or neither")]
    Incomplete {
        /// Source of the one that is set.
        set: Source,
        /// Name of the one that is not.
        missing: &'static str,
    },
    /// There is no enrollment token.
    #[error(
        "no enrollment token: {} or set GATEWAY_RELAY_ENROLL_TOKEN to what your connector's operator gave you",
        .0.give(&table::ENROLL_TOKEN)
    )]
    NoEnrollmentToken(Names),
    /// There is no access token, and no way to get one.
    #[error(
        "no access token: {}, or set GATEWAY_RELAY_ACCESS_TOKEN or GATEWAY_RELAY_IDP_TOKEN_URL",
        .0.give_access_token()
    )]
    NoAccessToken(Names),
}

impl ConfigError {
    /// Returns an error about a setting's value, which `problem` must not quote if it may be secret.
    pub fn invalid(setting: impl Display, problem: impl Display) -> ConfigError {
        ConfigError::Invalid { setting: setting.to_string(), problem: problem.to_string() }
    }
}

/// Prints the text of `Display`, since a `main` that returns this error prints its `Debug`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_the_message() {
        let error = ConfigError::NoUrl { give: Names::Flags.give(&table::URL) };
        assert_eq!(format!("{error:?}"), error.to_string());
    }
}
