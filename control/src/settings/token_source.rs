//! Choice of the source of identity tokens (H-8).

use super::sources::{Name, Setting, Source, Sources};
use super::{Arguments, names};
use crate::http::BadToken;
use crate::http::Bearer;
use crate::http::identity::{Client, TokenEndpoint, TokenFile, TokenSource};
use crate::url::is_loopback;
use relayline_core::secret::Secret;
use std::path::Path;
use url::Url;

/// Error in the settings that say where identity tokens come from. No request is made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    /// The token that was given is none.
    #[error("{from}: {error}")]
    Given {
        /// Where it came from.
        from: Source,
        /// What is wrong with it.
        error: BadToken,
    },
    /// Some settings of the identity provider are set, and others that they need are not.
    #[error("{set} is set, but {missing} is not: set both, or neither")]
    Half {
        /// One that is set.
        set: Source,
        /// One that is not.
        missing: &'static str,
    },
    /// The file is not named.
    #[error("{0} names no file: write FILE, or FILE#dotted.path for a place in a JSON file")]
    File(Source),
    /// The provider's URL is none, or has what no such URL has. It is not quoted: there may be a password in it.
    #[error("{0} is no https URL without user-info and fragment")]
    Url(Source),
    /// The client's secret would go out in the clear (C-6).
    #[error(
        "{0} is neither https nor on this machine: use https, or give --allow-insecure to send credentials in the clear"
    )]
    Insecure(Source),
}

/// Chooses the source of identity tokens: a token, else a command, else a file, else an identity provider. A flag
/// overrides whatever the environment says, and the environment whatever the configuration file says.
///
/// # Errors
/// The chosen source is malformed, or lacks a setting that it needs.
pub(super) fn resolve(
    arguments: &Arguments,
    sources: &Sources<'_>,
    allow_insecure: bool,
) -> Result<Option<TokenSource>, SourceError> {
    let argument = |secret: &Option<Secret>, name| sources.find(secret.as_ref().map(Secret::expose), name);
    let token = argument(&arguments.access_token, &names::ACCESS_TOKEN);
    let command = argument(&arguments.access_token_command, &names::ACCESS_TOKEN_COMMAND);
    let file = sources.find(arguments.access_token_file.as_deref(), &names::ACCESS_TOKEN_FILE);
    let token_url = sources.find(None, &names::IDP_TOKEN_URL);
    let client_id = sources.find(None, &names::IDP_CLIENT_ID);
    let client_secret = sources.find(None, &names::IDP_CLIENT_SECRET);
    let scope = sources.find(None, &names::IDP_SCOPE);
    let rank = |found: &Option<Setting>| found.as_ref().map(|found| found.from.rank());
    let endpoint = [&token_url, &client_id, &client_secret].into_iter().filter_map(rank).min();
    let first = [rank(&token), rank(&command), rank(&file), endpoint].into_iter().flatten().min();
    let is_first = |found: &Setting| Some(found.from.rank()) == first;
    if let Some(Setting { value, from }) = token.filter(is_first) {
        let bearer = Bearer::new(&value).map_err(|error| SourceError::Given { from, error })?;
        return Ok(Some(TokenSource::Given(bearer)));
    }
    if let Some(command) = command.filter(is_first) {
        return Ok(Some(TokenSource::Command(command.secret())));
    }
    if let Some(file) = file.filter(is_first) {
        return token_file(&file).map(|file| Some(TokenSource::File(file)));
    }
    let half = |set: Setting, missing: &Name| {
        let missing = set.from.calls(missing);
        Err(SourceError::Half { set: set.from, missing })
    };
    let client = match (client_id, client_secret) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (None, None) => None,
        (Some(id), None) => return half(id, &names::IDP_CLIENT_SECRET),
        (None, Some(secret)) => return half(secret, &names::IDP_CLIENT_ID),
    };
    match (token_url, client) {
        (None, None) => Ok(None),
        (None, Some((id, _))) => half(id, &names::IDP_TOKEN_URL),
        (Some(url), client) => {
            let client = client.map(|(id, secret)| Client {
                id: id.text().to_owned(),
                secret: secret.secret(),
                scope: scope.map(|scope| scope.text().to_owned()),
            });
            let url = token_url_of(&url, allow_insecure)?;
            Ok(Some(TokenSource::Endpoint(TokenEndpoint::new(url, client))))
        }
    }
}

/// Parses `FILE`, or `FILE#dotted.path`. A path in a configuration file begins at that file's folder.
fn token_file(found: &Setting) -> Result<TokenFile, SourceError> {
    let (path, place) = match found.text().rsplit_once('#') {
        Some((path, place)) => (path, place.split('.').map(str::to_owned).collect()),
        None => (found.text(), Vec::new()),
    };
    if path.is_empty() || place.iter().any(String::is_empty) {
        return Err(SourceError::File(found.from.clone()));
    }
    let path = match &found.from {
        Source::File { file, .. } if !path.starts_with("~/") => {
            Path::new(file).with_file_name(path).to_string_lossy().into_owned()
        }
        _ => path.to_owned(),
    };
    Ok(TokenFile::new(path, place))
}

fn token_url_of(found: &Setting, allow_insecure: bool) -> Result<Url, SourceError> {
    let from = || found.from.clone();
    let url = Url::parse(found.text()).map_err(|_| SourceError::Url(from()))?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let local = url.host_str().is_some_and(|host| is_loopback(host.trim_matches(['[', ']'])));
    match url.scheme() {
        "https" if plain => Ok(url),
        "http" if plain && (local || allow_insecure) => Ok(url),
        "http" if plain => Err(SourceError::Insecure(from())),
        _ => Err(SourceError::Url(from())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Files;

    type Environment<'a> = &'a [(&'static str, &'a str)];

    fn resolve(environment: Environment<'_>) -> Result<Option<TokenSource>, SourceError> {
        let look_up = |name: &str| {
            let (_, value) = environment.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        };
        let sources = Sources::read(&look_up, &Files::default()).unwrap();
        super::resolve(&Arguments::default(), &sources, false)
    }

    const TOKEN_URL: &str = "GATEWAY_RELAY_IDP_TOKEN_URL";
    const CLIENT_ID: &str = "GATEWAY_RELAY_IDP_CLIENT_ID";
    const CLIENT_SECRET: &str = "GATEWAY_RELAY_IDP_CLIENT_SECRET";
    const URL: (&str, &str) = (TOKEN_URL, "https://idp.example/token");
    const ID: (&str, &str) = (CLIENT_ID, "me & co");
    const PASSWORD: (&str, &str) = (CLIENT_SECRET, "hunter2+\n");

    #[test]
    fn where_an_identity_token_comes_from() {
        let token = ("GATEWAY_RELAY_ACCESS_TOKEN", "t");
        let command = ("GATEWAY_RELAY_ACCESS_TOKEN_COMMAND", "print-token");
        let given = |token: &str| TokenSource::Given(Bearer::new(&Secret::new(token)).unwrap());
        assert_eq!(resolve(&[]), Ok(None));
        assert_eq!(resolve(&[token, command, URL, ID, PASSWORD]), Ok(Some(given("t"))));
        assert_eq!(resolve(&[command, URL]), Ok(Some(TokenSource::Command("print-token".into()))));
        for (environment, expected) in [
            (
                &[URL, ID][..],
                "GATEWAY_RELAY_IDP_CLIENT_ID is set, but GATEWAY_RELAY_IDP_CLIENT_SECRET is not: set both, or neither",
            ),
            (
                &[PASSWORD],
                "GATEWAY_RELAY_IDP_CLIENT_SECRET is set, but GATEWAY_RELAY_IDP_CLIENT_ID is not: set both, or neither",
            ),
            (
                &[("GATEWAY_RELAY_ACCESS_TOKEN_FILE", "#place")],
                "GATEWAY_RELAY_ACCESS_TOKEN_FILE names no file: write FILE, or FILE#dotted.path for a place in a JSON \
                 file",
            ),
            (
                &[ID, PASSWORD],
                "GATEWAY_RELAY_IDP_CLIENT_ID is set, but GATEWAY_RELAY_IDP_TOKEN_URL is not: set both, or neither",
            ),
            (
                &[(TOKEN_URL, "https://me:hunter2@idp.example"), ID, PASSWORD],
                "GATEWAY_RELAY_IDP_TOKEN_URL is no https URL without user-info and fragment",
            ),
            (
                &[(TOKEN_URL, "http://idp.example"), ID, PASSWORD],
                "GATEWAY_RELAY_IDP_TOKEN_URL is neither https nor on this machine: use https, or give --allow-insecure \
                 to send credentials in the clear",
            ),
            (
                &[("GATEWAY_RELAY_ACCESS_TOKEN", "a b")],
                "GATEWAY_RELAY_ACCESS_TOKEN: the access token holds blanks, line breaks or other characters that no \
                 header carries",
            ),
        ] {
            assert_eq!(resolve(environment).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn h_9_a_path_in_a_file_begins_at_that_file() {
        let from =
            Source::File { file: "/etc/relay/c.toml".into(), line: 1, key: "access-token-file".into() };
        for (text, expected) in [("t", "/etc/relay/t"), ("/run/t", "/run/t"), ("~/t", "~/t")] {
            let found = Setting { value: Secret::from(text), from: from.clone() };
            assert_eq!(token_file(&found).unwrap().path(), expected);
        }
    }
}
