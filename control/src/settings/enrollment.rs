//! What an enrolment needs, from arguments, environment and file (H-1, H-9).

use super::sources::{Name, Sources};
use super::{Arguments, ConfigError, Files, names, plain};
use crate::http::Base;
use crate::http::enroll::default_gateway_id;
use crate::http::identity::TokenSource;
use crate::network::Network;
use relayline_core::secret::Secret;

/// What an enrolment needs.
#[derive(Clone, PartialEq, Debug)]
pub struct Enrollment {
    /// Whom to ask.
    pub base: Base,
    /// Proxies, and whose certificates are trusted.
    pub network: Network,
    /// Where the access token comes from.
    pub source: TokenSource,
    /// The single-use token.
    pub token: Secret,
    /// The id that the gateway wants.
    pub gateway_id: String,
    /// The connector's URL if it was given as an argument, without a `/` at its end: only then it goes into the env file
    /// (H-2).
    pub url: Option<String>,
    /// What wakes the gateway, as it was given.
    pub wake_url: Option<String>,
    /// Values that look wrong, a sentence each.
    pub warnings: Vec<String>,
}

/// Resolves what an enrolment needs: argument, else environment, else files (H-9). A relay that is switched off can be
/// enrolled all the same.
pub fn enrollment(
    arguments: &Arguments,
    environment: &dyn Fn(&str) -> Option<String>,
    files: &Files<'_>,
) -> Result<Enrollment, ConfigError> {
    let sources = Sources::read(environment, files)?;
    let url = super::url(arguments.url.as_deref(), "--connector-url", &sources)?;
    let token = sources.find(arguments.enroll_token.as_ref().map(Secret::expose), &names::ENROLL_TOKEN);
    let token = token.ok_or(ConfigError::NoEnrollmentToken)?.secret();
    let allow_insecure = super::allow_insecure(arguments, &sources)?;
    let source =
        super::token_source::resolve(arguments, &sources, allow_insecure)?.ok_or(ConfigError::NoSource)?;
    let id = plain(sources.find(arguments.gateway_id.as_deref(), &names::GATEWAY_ID))?;
    let given = |argument: &Option<String>| {
        argument.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    // Both go into the env file, and what that cannot hold must not use up the token.
    plain(sources.find(arguments.wake_url.as_deref(), &names::WAKE_URL))?;
    plain(sources.find(arguments.url.as_deref(), &Name { flag: "--connector-url", ..names::URL }))?;
    Ok(Enrollment {
        base: Base::new(&url, allow_insecure)?,
        network: Network::resolve(arguments.ca_certificates.clone(), environment)?,
        source,
        token,
        gateway_id: id.unwrap_or_else(|| default_gateway_id(arguments.hostname.as_deref())),
        url: given(&arguments.url).map(without_slash),
        wake_url: given(&arguments.wake_url),
        warnings: sources.quoted(),
    })
}

/// A URL without the `/` at the end of its path, which says nothing.
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
