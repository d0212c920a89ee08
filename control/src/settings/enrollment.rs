//! Settings of an enrollment.

use super::error::ConfigError;
use super::sources::Sources;
use super::{table, token_source};
use crate::http::Base;
use crate::http::access_token::TokenSource;
use crate::http::enroll::default_gateway_id;
use crate::network::Network;
use relayline_core::secret::Secret;

/// Settings of an enrollment.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Enrollment {
    /// Base of the connector's endpoints.
    pub base: Base,
    /// Proxies and trusted certificates.
    pub network: Network,
    /// Source of the access token.
    pub source: TokenSource,
    /// Single-use enrollment token.
    pub token: Secret,
    /// Id that the gateway asks for.
    pub gateway_id: String,
    /// URL of the connector without a trailing `/`, if it was given as an argument. Only then is it written into the
    /// env file.
    pub url: Option<String>,
    /// URL that wakes the gateway; `None` if it was not given as an argument.
    pub wake_url: Option<String>,
    /// Values that look wrong, a sentence each.
    pub warnings: Vec<String>,
}

/// Resolves the settings of an enrollment. A relay that is switched off can be enrolled all the same.
///
/// # Errors
/// Names the setting that is wrong or missing.
pub fn enrollment(sources: &Sources<'_>) -> Result<Enrollment, ConfigError> {
    let url = sources.url(&table::CONNECTOR_URL)?;
    let names = sources.arguments.names;
    let token = sources.find(&table::ENROLL_TOKEN).ok_or(ConfigError::NoEnrollmentToken(names))?.secret();
    let allow_insecure = sources.bool(&table::ALLOW_INSECURE)?.unwrap_or(false);
    let source = token_source::resolve(sources, allow_insecure)?.ok_or(ConfigError::NoAccessToken(names))?;
    let id = sources.line(&table::GATEWAY_ID)?;
    let given = |spec| sources.argument(spec).map(|setting| setting.text().to_owned());
    // Both are written into the env file. A value that the file cannot hold must not use up the token.
    sources.line(&table::WAKE_URL)?;
    sources.line(&table::CONNECTOR_URL)?;
    Ok(Enrollment {
        base: sources.base(&url, allow_insecure)?,
        network: Network::resolve(sources.arguments.ca_certificates.clone(), names, sources.environment)?,
        source,
        token,
        gateway_id: id.map_or_else(
            || default_gateway_id(sources.arguments.hostname.as_deref()),
            |id| id.text().to_owned(),
        ),
        url: given(&table::CONNECTOR_URL).map(without_slash),
        wake_url: given(&table::WAKE_URL),
        warnings: sources.quote_warnings(),
    })
}

/// Removes the `/`s at the end of a URL's path. They have no meaning.
fn without_slash(mut url: String) -> String {
    let path = url.find('?').unwrap_or(url.len());
    let kept = url[..path].trim_end_matches('/').len();
    url.replace_range(kept..path, "");
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_2_a_url_is_kept_without_its_slash() {
        for (url, expected) in [
            ("https://c.example/", "https://c.example"),
            ("https://c.example", "https://c.example"),
            ("https://c.example/a//", "https://c.example/a"),
            ("https://c.example/?key=a/", "https://c.example?key=a/"),
        ] {
            assert_eq!(without_slash(url.to_owned()), expected);
        }
    }
}
