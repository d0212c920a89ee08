//! Choice of the source of access tokens.

use super::error::ConfigError;
use super::names::Names;
use super::setting::Setting;
use super::source::Source;
use super::sources::Sources;
use super::table::{self, Spec};
use crate::http::Bearer;
use crate::http::access_token::{Client, TokenEndpoint, TokenFile, TokenSource};
use crate::url::is_loopback;
use std::path::Path;
use url::Url;

/// Chooses the source of access tokens. The highest layer that sets one counts: flags, then the environment, then the env
/// file, then the configuration file. Within a layer a token overrides a command, then a file, then an identity provider.
///
/// # Errors
/// Fails if the chosen source is malformed or lacks a setting that it needs.
pub(super) fn resolve(
    sources: &Sources<'_>,
    allow_insecure: bool,
) -> Result<Option<TokenSource>, ConfigError> {
    let token = sources.find(&table::ACCESS_TOKEN);
    let command = sources.find(&table::ACCESS_TOKEN_COMMAND);
    let file = sources.find(&table::ACCESS_TOKEN_FILE);
    let token_url = sources.find(&table::IDP_TOKEN_URL);
    let client_id = sources.find(&table::IDP_CLIENT_ID);
    let client_secret = sources.find(&table::IDP_CLIENT_SECRET);
    let scope = sources.find(&table::IDP_SCOPE);
    let rank = |setting: &Option<Setting>| setting.as_ref().map(|setting| setting.source.rank());
    let endpoint = [&token_url, &client_id, &client_secret].into_iter().filter_map(rank).min();
    let first = [rank(&token), rank(&command), rank(&file), endpoint].into_iter().flatten().min();
    let is_first = |setting: &Setting| Some(setting.source.rank()) == first;
    if let Some(token) = token.filter(is_first) {
        let bearer = Bearer::new(&token.value).map_err(|error| token.invalid(error))?;
        return Ok(Some(TokenSource::Given(bearer)));
    }
    if let Some(command) = command.filter(is_first) {
        return Ok(Some(TokenSource::Command(command.secret())));
    }
    if let Some(file) = file.filter(is_first) {
        return token_file(&file).map(|file| Some(TokenSource::File(file)));
    }
    let incomplete = |set: Setting, missing: &Spec| {
        let missing = set.source.name(missing);
        Err(ConfigError::Incomplete { set: set.source, missing })
    };
    let client = match (client_id, client_secret) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (None, None) => None,
        (Some(id), None) => return incomplete(id, &table::IDP_CLIENT_SECRET),
        (None, Some(secret)) => return incomplete(secret, &table::IDP_CLIENT_ID),
    };
    match (token_url, client) {
        (None, None) => Ok(None),
        (None, Some((id, _))) => incomplete(id, &table::IDP_TOKEN_URL),
        (Some(url), client) => {
            let client = client.map(|(id, secret)| Client {
                id: id.text().to_owned(),
                secret: secret.secret(),
                scope: scope.map(|scope| scope.text().to_owned()),
            });
            let url = parse_token_url(&url, allow_insecure, sources.arguments.names)?;
            Ok(Some(TokenSource::Endpoint(TokenEndpoint::new(url, client))))
        }
    }
}

/// Parses `FILE`, or `FILE#dotted.path`. A path in a configuration file is relative to that file's folder.
fn token_file(setting: &Setting) -> Result<TokenFile, ConfigError> {
    let (path, place) = match setting.text().rsplit_once('#') {
        Some((path, place)) => (path, place.split('.').map(str::to_owned).collect()),
        None => (setting.text(), Vec::new()),
    };
    if path.is_empty() || place.iter().any(String::is_empty) {
        return Err(
            setting.invalid("no file is named: write FILE, or FILE#dotted.path for a place in a JSON file")
        );
    }
    let path = match &setting.source {
        Source::ConfigFile { file, .. } if !path.starts_with("~/") => {
            Path::new(file).with_file_name(path).to_string_lossy().into_owned()
        }
        _ => path.to_owned(),
    };
    Ok(TokenFile::new(path, place))
}

/// Parses the URL of an identity provider, to which the client's secret may go (C-6).
fn parse_token_url(setting: &Setting, allow_insecure: bool, names: Names) -> Result<Url, ConfigError> {
    let wrong =
        || setting.invalid("it must be an https URL without user-info and fragment: write https://HOST/PATH");
    let url = Url::parse(setting.text()).map_err(|_| wrong())?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_local = url.host_str().is_some_and(|host| is_loopback(host.trim_matches(['[', ']'])));
    match url.scheme() {
        "https" if is_bare => Ok(url),
        "http" if is_bare && (is_local || allow_insecure) => Ok(url),
        "http" if is_bare => Err(setting.invalid(format_args!(
            "neither https nor on this machine: use https, or {} to send credentials in the clear",
            names.give(&table::ALLOW_INSECURE)
        ))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::arguments::Arguments;
    use relayline_core::secret::Secret;

    type Environment<'a> = &'a [(&'static str, &'a str)];

    fn resolve(environment: Environment<'_>) -> Result<Option<TokenSource>, ConfigError> {
        let look_up = |name: &str| {
            let (_, value) = environment.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        };
        let arguments = Arguments { names: Names::Flags, ..Arguments::default() };
        super::resolve(&Sources::new(&arguments, &look_up), false)
    }

    const TOKEN_URL: &str = "GATEWAY_RELAY_IDP_TOKEN_URL";
    const CLIENT_ID: &str = "GATEWAY_RELAY_IDP_CLIENT_ID";
    const CLIENT_SECRET: &str = "GATEWAY_RELAY_IDP_CLIENT_SECRET";
    const URL: (&str, &str) = (TOKEN_URL, "https://idp.example/token");
    const ID: (&str, &str) = (CLIENT_ID, "me & co");
    const PASSWORD: (&str, &str) = (CLIENT_SECRET, "hunter2+\n");

    #[test]
    fn a_token_precedes_a_command_and_errors_name_the_setting() {
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
                "GATEWAY_RELAY_ACCESS_TOKEN_FILE: no file is named: write FILE, or FILE#dotted.path for a place in a JSON \
                 file",
            ),
            (
                &[ID, PASSWORD],
                "GATEWAY_RELAY_IDP_CLIENT_ID is set, but GATEWAY_RELAY_IDP_TOKEN_URL is not: set both, or neither",
            ),
            (
                &[(TOKEN_URL, "https://me:hunter2@idp.example"), ID, PASSWORD],
                "GATEWAY_RELAY_IDP_TOKEN_URL: it must be an https URL without user-info and fragment: write https://HOST/PATH",
            ),
            (
                &[(TOKEN_URL, "http://idp.example"), ID, PASSWORD],
                "GATEWAY_RELAY_IDP_TOKEN_URL: neither https nor on this machine: use https, or give --allow-insecure \
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
    fn h_9_a_path_in_a_file_is_relative_to_it() {
        let file = "/etc/relay/c.toml".to_owned();
        let source = Source::ConfigFile { file, line: 1, key: "access-token-file".into() };
        for (text, expected) in [("t", "/etc/relay/t"), ("/run/t", "/run/t"), ("~/t", "~/t")] {
            let setting = Setting::new(&table::ACCESS_TOKEN_FILE, Secret::from(text), source.clone());
            assert_eq!(token_file(&setting).unwrap().path(), expected);
        }
    }
}
