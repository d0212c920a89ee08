//! What is wrong with a configuration.

use super::sources::Source;
use super::token_source::SourceError;
use crate::http::policy::PolicyError;
use crate::network::ProxyError;
use crate::url::UrlError;
use std::fmt;

/// What is wrong with a configuration, naming the argument, variable or key. A host's mistake, never a peer's fault.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nothing is wrong: somebody has switched the relay off, which beats every URL (H-9). A host goes on without it.
    #[error("{0} switches the relay off: set it to true, or leave it out, to use the relay")]
    Disabled(Source),
    /// No URL was given.
    #[error("no connector URL: give {0} or set GATEWAY_RELAY_URL, as in wss://connector.example")]
    NoUrl(&'static str),
    /// The URL cannot be dialled (L-1).
    #[error("{from}: {error}")]
    Url {
        /// Where it came from.
        from: Source,
        /// What is wrong with it.
        error: UrlError,
    },
    /// An id without a secret (L-2), and nothing to provision one with (H-4).
    #[error(
        "{0} is set, but there is no secret to it: set GATEWAY_RELAY_SECRET or give --secret-file, or unset the id"
    )]
    NoSecret(Source),
    /// A secret without an id (L-2).
    #[error(
        "{0} is set, but there is no id to it: set GATEWAY_RELAY_ID or give --gateway-id, or unset the secret"
    )]
    NoId(Source),
    /// Credentials would go out in the clear (C-6).
    #[error(transparent)]
    Insecure(#[from] crate::http::Insecure),
    /// An identity without a platform, or a platform without its name.
    #[error("{from}: {value:?} names no platform: write PLATFORM or PLATFORM:BOT_ID")]
    Identity {
        /// Where it came from.
        from: Source,
        /// What was given.
        value: String,
    },
    /// Two identities of one platform: what is sent names a platform (M-3), so that the second could never be meant.
    #[error(
        "{0} is named twice: a gateway speaks for one bot of each platform, so run a second gateway for the other"
    )]
    Twice(String),
    /// The bot ids are no JSON object of the right shape.
    #[error("GATEWAY_RELAY_BOT_IDS: {0}: write {{\"discord\": {{\"botId\": \"123\"}}}}")]
    BotIds(String),
    /// A variable that is about proxies.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A file of certificates that cannot be used.
    #[error("{from}: {problem}")]
    CaFile {
        /// The argument or variable, and the file.
        from: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `--set` or the file's `[set]`: no `=`, an unknown name, or a bad value.
    #[error("{setting}: {problem}")]
    Setting {
        /// What was given, and where.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// One of a few words was wanted.
    #[error("{from}: {value:?} is none of {wanted}")]
    Word {
        /// Where it came from.
        from: Source,
        /// What was given.
        value: String,
        /// What would do.
        wanted: &'static str,
    },
    /// The address for signed deliveries is none.
    #[error("{from}: {value:?} is no address to listen on: write HOST:PORT, as in 0.0.0.0:8787")]
    Listen {
        /// Where it came from.
        from: Source,
        /// What was given.
        value: String,
    },
    /// A text that goes into a request or a file holds a line break or another control character.
    #[error("{0} holds a line break or another control character: write it on one line")]
    Control(Source),
    /// The policies cannot be used (H-5).
    #[error("{from}: {error}")]
    Policy {
        /// Where they came from.
        from: Source,
        /// What is wrong with them.
        error: PolicyError,
    },
    /// Where the identity token should come from cannot be used (H-8).
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no enrollment token to enroll with (H-1).
    #[error(
        "no enrollment token: give --token or set GATEWAY_RELAY_ENROLL_TOKEN to what your connector's operator gave you"
    )]
    NoEnrollmentToken,
    /// There is no identity token, nor a way to get one (H-8).
    #[error(
        "no access token: give --access-token-command or --access-token-file, or set GATEWAY_RELAY_ACCESS_TOKEN or \
         GATEWAY_RELAY_IDP_TOKEN_URL"
    )]
    NoSource,
    /// A variable is no text. It must not count as unset.
    #[error("{0} is not UTF-8: set it again, or unset it")]
    NotText(String),
    /// The configuration file is no TOML, or holds what no configuration holds. The line is not quoted, since it may
    /// hold a secret.
    #[error("{file}:{line}: {problem}")]
    File {
        /// Its name, as it was given.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// The same words as `Display`: a `main` that returns this error prints it so, and somebody has to know what to do.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
