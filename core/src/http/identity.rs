//! Identity tokens: how a gateway shows whose it is before it has credentials of its own (H-8).

mod token_file;

pub use token_file::{TokenFile, TokenFileError};

use super::failure::{judge, said};
use super::{BadToken, Bearer, Body, Failure, Headers, MAX_ANSWER, Method, Request, TIMEOUT, Value};
use crate::json;
use crate::secret::Secret;
use crate::settings::{Found, Name, Origin, names};
use crate::url::is_loopback;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// Where an identity token comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenSource {
    /// It was given.
    Given(Bearer),
    /// A command prints it: [`from_output`]. Its text may hold a password, and so is not shown (C-4).
    Command(Secret),
    /// It is in a file.
    File(TokenFile),
    /// An identity provider issues it.
    Endpoint(TokenEndpoint),
}

/// URL that an identity provider issues tokens at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenEndpoint {
    url: Url,
    /// Who asks, by OAuth2's client credentials; `None` where whoever reaches the endpoint may have a token.
    client: Option<Client>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Client {
    id: String,
    secret: Secret,
    scope: Option<String>,
}

/// What is wrong with where an identity token should come from. A host's mistake: no request is made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    /// The token that was given is none.
    #[error("{from}: {error}")]
    Given {
        /// Where it came from.
        from: Origin,
        /// What is wrong with it.
        error: BadToken,
    },
    /// Some settings of the identity provider are set, and others that they need are not.
    #[error("{set} is set, but {missing} is not: set both, or neither")]
    Half {
        /// One that is set.
        set: Origin,
        /// One that is not.
        missing: &'static str,
    },
    /// The file is not named.
    #[error("{0} names no file: write FILE, or FILE#dotted.path for a place in a JSON file")]
    File(Origin),
    /// The provider's URL is none, or has what no such URL has. It is not quoted: there may be a password in it.
    #[error("{0} is no https URL without user-info and fragment")]
    Url(Origin),
    /// The client's secret would go out in the clear (C-6).
    #[error(
        "{0} is neither https nor on this machine: use https, or give --allow-insecure to send credentials in the clear"
    )]
    Insecure(Origin),
}

/// Why an identity provider issued no token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It says no.
    #[error("the identity provider {host} refused (status {status}): {why}")]
    Refused {
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
        /// OAuth2's `error` and `error_description`.
        why: String,
    },
    /// Success without a usable `access_token`.
    #[error("unexpected response from the identity provider {0}: it holds no usable access_token")]
    NoToken(String),
    /// Success without a token, where the whole answer should be one.
    #[error(
        "unexpected response from {0}: no token; without a client id and secret it was asked with a plain GET: set \
         GATEWAY_RELAY_IDP_CLIENT_ID and GATEWAY_RELAY_IDP_CLIENT_SECRET if it takes client credentials"
    )]
    NotAmbient(String),
    /// A redirect. What it says of the connector's URL holds for the provider's, too.
    #[error(
        "the identity provider {host} answered with a redirect (status {status}), which is not followed: check \
         GATEWAY_RELAY_IDP_TOKEN_URL"
    )]
    Redirect {
        /// Host and port.
        host: String,
        /// 300 to 399.
        status: u16,
    },
    /// What can befall any exchange.
    #[error("the identity provider: {0}")]
    Failed(#[from] Failure),
}

/// What was found that says where an identity token comes from.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) token: Option<Found>,
    pub(crate) command: Option<Found>,
    pub(crate) file: Option<Found>,
    pub(crate) token_url: Option<Found>,
    pub(crate) client_id: Option<Found>,
    pub(crate) client_secret: Option<Found>,
    pub(crate) scope: Option<Found>,
}

impl TokenSource {
    /// Where an identity token comes from, as far as anything says so: a token that was given, else a command's
    /// output, else a file, else an identity provider; but any of them as an argument goes before all in the
    /// environment, and those before all in the file.
    pub(crate) fn resolve(
        settings: Settings,
        allow_insecure: bool,
    ) -> Result<Option<TokenSource>, SourceError> {
        let Settings { token, command, file, token_url, client_id, client_secret, scope } = settings;
        let rank = |found: &Option<Found>| found.as_ref().map(|found| found.from.rank());
        let endpoint = [&token_url, &client_id, &client_secret].into_iter().filter_map(rank).min();
        let first = [rank(&token), rank(&command), rank(&file), endpoint].into_iter().flatten().min();
        let is_first = |found: &Found| Some(found.from.rank()) == first;
        if let Some(Found { value, from }) = token.filter(is_first) {
            let bearer = Bearer::new(&value).map_err(|error| SourceError::Given { from, error })?;
            return Ok(Some(TokenSource::Given(bearer)));
        }
        if let Some(command) = command.filter(is_first) {
            return Ok(Some(TokenSource::Command(command.secret())));
        }
        if let Some(file) = file.filter(is_first) {
            return TokenFile::named(&file).map(|file| Some(TokenSource::File(file)));
        }
        let half = |set: Found, missing: &Name| {
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
            (Some(url), client) => Ok(Some(TokenSource::Endpoint(TokenEndpoint {
                url: parse_token_url(&url, allow_insecure)?,
                client: client.map(|(id, secret)| Client {
                    id: id.text().to_owned(),
                    secret: secret.secret(),
                    scope: scope.map(|scope| scope.text().to_owned()),
                }),
            }))),
        }
    }
}

/// The token that a command has printed: all of its output, but for white space around it.
pub fn from_output(output: &[u8]) -> Result<Bearer, BadToken> {
    let text = std::str::from_utf8(output).map_err(|_| BadToken::Characters)?;
    Bearer::new(&Secret::from(text))
}

fn parse_token_url(found: &Found, allow_insecure: bool) -> Result<Url, SourceError> {
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

impl TokenEndpoint {
    /// What to send to the identity provider.
    pub fn request(&self) -> Request {
        let plain = |text: &str| Value::Plain(text.to_owned());
        let (method, headers, body) = match &self.client {
            Some(client) => {
                let form = plain("application/x-www-form-urlencoded");
                let headers = vec![("content-type", form), ("accept", plain("application/json"))];
                (Method::Post, headers, Body::Bytes(client.form()))
            }
            None => (Method::Get, vec![("accept", plain("application/json, text/plain"))], Body::Empty),
        };
        let url = self.url.as_str().to_owned();
        Request { method, url, headers, body, timeout: TIMEOUT, max_answer: MAX_ANSWER }
    }

    /// What the answer means.
    pub fn read(&self, status: u16, headers: Headers<'_>, body: &[u8]) -> Result<Bearer, IdentityError> {
        let host = super::host(self.url.as_str());
        let ambient = self.client.is_none();
        if ambient && (200..=299).contains(&status) && is_bare_token(body) {
            return from_output(body).map_err(|_| IdentityError::NotAmbient(host.to_owned()));
        }
        let hidden: Vec<&Secret> = self.client.iter().map(|client| &client.secret).collect();
        let text = judge(host, status, headers, body, &hidden).map_err(|failure| match failure {
            Failure::Redirect { host, status, .. } => IdentityError::Redirect { host, status },
            Failure::NotJson { host } if ambient => IdentityError::NotAmbient(host),
            Failure::Status { host, status, error: Some(error) } => {
                let more = said(body, "error_description", &hidden);
                let why = more.map_or_else(|| error.clone(), |more| format!("{error}: {more}"));
                IdentityError::Refused { host, status, why }
            }
            other => other.into(),
        })?;
        let token = json::fields(&text, &["access_token"]).and_then(|[raw]| raw.and_then(json::string));
        let token = token.map(Secret::new).and_then(|token| Bearer::new(&token).ok());
        token.ok_or_else(|| IdentityError::NoToken(host.to_owned()))
    }
}

impl Client {
    fn form(&self) -> Zeroizing<Vec<u8>> {
        // Three bytes for each of theirs at most: what grows leaves copies behind.
        let scope = self.scope.as_deref().unwrap_or_default();
        let most = 3 * (self.id.len() + self.secret.expose().len() + scope.len()) + 128;
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(most));
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.id);
        form.append_pair("client_secret", self.secret.expose());
        if !scope.is_empty() {
            form.append_pair("scope", scope);
        }
        Zeroizing::new(form.finish().into_bytes())
    }
}

/// Whether an answer is nothing but a token: three base64url segments (a JWT), or a long word of their letters. A page
/// of a login form is neither.
fn is_bare_token(body: &[u8]) -> bool {
    const SHORTEST: usize = 32;
    let body = body.trim_ascii();
    let is_segment =
        |part: &[u8]| !part.is_empty() && part.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b));
    match body.split(|b| *b == b'.').collect::<Vec<_>>()[..] {
        [word] => word.len() >= SHORTEST && is_segment(word),
        [header, claims, signature] => [header, claims, signature].into_iter().all(is_segment),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Environment<'a> = &'a [(&'static str, &'a str)];

    fn resolve(environment: Environment<'_>) -> Result<Option<TokenSource>, SourceError> {
        let find = |name: &Name| {
            let variable = name.variable.unwrap();
            let (_, value) = environment.iter().find(|(known, _)| *known == variable)?;
            Some(Found { value: Secret::from(*value), from: Origin::Variable(variable) })
        };
        let settings = Settings {
            token: find(&names::ACCESS_TOKEN),
            command: find(&names::ACCESS_TOKEN_COMMAND),
            file: find(&names::ACCESS_TOKEN_FILE),
            token_url: find(&names::IDP_TOKEN_URL),
            client_id: find(&names::IDP_CLIENT_ID),
            client_secret: find(&names::IDP_CLIENT_SECRET),
            scope: find(&names::IDP_SCOPE),
        };
        TokenSource::resolve(settings, false)
    }

    const TOKEN_URL: &str = "GATEWAY_RELAY_IDP_TOKEN_URL";
    const CLIENT_ID: &str = "GATEWAY_RELAY_IDP_CLIENT_ID";
    const CLIENT_SECRET: &str = "GATEWAY_RELAY_IDP_CLIENT_SECRET";
    const SCOPE: &str = "GATEWAY_RELAY_IDP_SCOPE";
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
        assert_eq!(from_output(b" t \n"), Bearer::new(&Secret::new("t")));
        assert_eq!(
            (from_output(b""), from_output(b"\xff")),
            (Err(BadToken::Empty), Err(BadToken::Characters))
        );
    }

    #[test]
    fn client_credentials_become_a_token() {
        let scope = (SCOPE, "relay enroll");
        let Ok(Some(TokenSource::Endpoint(client))) = resolve(&[URL, ID, PASSWORD, scope]) else {
            panic!("client credentials");
        };
        let request = client.request();
        assert_eq!((request.method, request.url.as_str()), (Method::Post, "https://idp.example/token"));
        assert!(!format!("{client:?} {request:?}").contains("hunter2"));
        let Body::Bytes(form) = request.body else { panic!("a body") };
        assert_eq!(
            std::str::from_utf8(&form).unwrap(),
            "grant_type=client_credentials&client_id=me+%26+co&client_secret=hunter2%2B&scope=relay+enroll"
        );
        let read = |status, body: &[u8]| client.read(status, &[("Location", "https://evil.example")], body);
        let token = Bearer::new(&Secret::new("jwt")).unwrap();
        assert_eq!(read(200, br#"{"access_token":"jwt","token_type":"Bearer"}"#), Ok(token));
        let none =
            "unexpected response from the identity provider idp.example: it holds no usable access_token";
        for (status, body, expected) in [
            (200, &b"{}"[..], none),
            (200, br#"{"access_token":"a b"}"#, none),
            (
                200,
                b"jwt",
                "the identity provider: unexpected response from idp.example: no JSON object, check the URL",
            ),
            (
                401,
                br#"{"error":"invalid_client","error_description":"hunter2+ is wrong"}"#,
                "the identity provider idp.example refused (status 401): invalid_client: <hidden> is wrong",
            ),
            (503, b"", "the identity provider: idp.example answered with status 503"),
            (
                308,
                b"",
                "the identity provider idp.example answered with a redirect (status 308), which is not followed: \
                 check GATEWAY_RELAY_IDP_TOKEN_URL",
            ),
        ] {
            assert_eq!(read(status, body).unwrap_err().to_string(), expected);
        }
    }

    /// A plain GET, and a body that is the token. Whatever else there may be under a wrong URL is none.
    #[test]
    fn h_8_an_ambient_endpoint_gives_the_token_itself() {
        let Ok(Some(TokenSource::Endpoint(endpoint))) = resolve(&[URL]) else { panic!("an endpoint") };
        let request = endpoint.request();
        assert_eq!((request.method, request.url.as_str()), (Method::Get, "https://idp.example/token"));
        assert_eq!((request.body, request.timeout.as_secs(), request.max_answer), (Body::Empty, 15, 65536));
        let read = |status, body: &str| endpoint.read(status, &[], body.as_bytes());
        let long = "A-_9".repeat(8);
        for token in ["eyJh.eyJz.c2ln", &long] {
            assert_eq!(read(200, &format!(" {token}\n")), Ok(Bearer::new(&Secret::from(token)).unwrap()));
        }
        let opaque = Bearer::new(&Secret::from("opaque+/=")).unwrap();
        assert_eq!(read(200, r#"{"access_token":"opaque+/=","expires_in":60}"#), Ok(opaque));
        let none = "unexpected response from idp.example: no token; without a client id and secret it was asked with a \
                    plain GET: set GATEWAY_RELAY_IDP_CLIENT_ID and GATEWAY_RELAY_IDP_CLIENT_SECRET if it takes client \
                    credentials";
        for body in
            ["", "<html>", "short", &long[1..], "a.b", "a.b.", "a.b.c.d", "a b.c.d", &long.replace('-', "+")]
        {
            assert_eq!(read(200, body).unwrap_err().to_string(), none, "{body}");
        }
        for (status, body, expected) in [
            (
                200,
                "{}",
                "unexpected response from the identity provider idp.example: it holds no usable access_token",
            ),
            (404, &long, "the identity provider: idp.example answered with status 404"),
            (401, r#"{"error":"no"}"#, "the identity provider idp.example refused (status 401): no"),
        ] {
            assert_eq!(read(status, body).unwrap_err().to_string(), expected, "{body}");
        }
        let moved = endpoint.read(302, &[("Location", "https://evil.example")], long.as_bytes());
        assert!(matches!(moved, Err(IdentityError::Redirect { status: 302, .. })));
    }
}
