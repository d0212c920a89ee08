//! Access tokens: credentials of a gateway before it has its own.

mod token_file;

pub use token_file::{TokenFile, TokenFileError};

use super::failure::{judge, said};
use super::{BadToken, Bearer, Body, Failure, JSON, MAX_RESPONSE, Request, TIMEOUT};
use ::http::Method;
use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use relayline_core::json;
use relayline_core::secret::Secret;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// Source of an access token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenSource {
    /// The token itself.
    Given(Bearer),
    /// A command that prints the token: see [`from_output`]. Its text may contain a password, so it is not shown.
    Command(Secret),
    /// A file that contains the token.
    File(TokenFile),
    /// An identity provider that issues the token.
    Endpoint(TokenEndpoint),
}

/// Token endpoint of an identity provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenEndpoint {
    url: Url,
    /// Client whose credentials are presented. `None` if the endpoint issues tokens without any.
    client: Option<Client>,
}

/// OAuth2 client of an identity provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    pub(crate) scope: Option<String>,
}

/// Error returned when an identity provider issues no token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The provider refused.
    #[error("the identity provider {host} refused (status {status}): {why}")]
    Refused {
        /// Host and port.
        host: String,
        /// Status of the response.
        status: u16,
        /// OAuth2 `error` and `error_description`.
        why: String,
    },
    /// The response has no usable `access_token`.
    #[error("unexpected response from the identity provider {0}: it holds no usable access_token")]
    NoToken(String),
    /// The response is not a token, although the whole response should be one.
    #[error(
        "unexpected response from {0}: no token; without a client id and secret it was asked with a plain GET: set \
         GATEWAY_RELAY_IDP_CLIENT_ID and GATEWAY_RELAY_IDP_CLIENT_SECRET if it takes client credentials"
    )]
    NotAmbient(String),
    /// A redirect. It is not followed.
    #[error(
        "the identity provider {host} answered with a redirect (status {status}), which is not followed: check \
         GATEWAY_RELAY_IDP_TOKEN_URL"
    )]
    Redirect {
        /// Host and port.
        host: String,
        /// Status, 300 to 399.
        status: u16,
    },
    /// The exchange failed.
    #[error("the identity provider: {0}")]
    Failed(#[from] Failure),
}

/// Reads the token that a command printed: its output without surrounding white space.
pub fn from_output(output: &[u8]) -> Result<Bearer, BadToken> {
    let text = std::str::from_utf8(output).map_err(|_| BadToken::Characters)?;
    Bearer::new(&Secret::from(text))
}

impl TokenEndpoint {
    /// Creates an endpoint. The URL must not contain user-info or a fragment.
    pub(crate) fn new(url: Url, client: Option<Client>) -> TokenEndpoint {
        TokenEndpoint { url, client }
    }

    /// Returns the request to the identity provider.
    pub fn request(&self) -> Request {
        let mut headers = HeaderMap::new();
        let (method, body) = match &self.client {
            Some(client) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                headers.insert(ACCEPT, HeaderValue::from_static(JSON));
                (Method::POST, Body::Bytes(client.form()))
            }
            None => {
                headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/plain"));
                (Method::GET, Body::Empty)
            }
        };
        let url = self.url.as_str().to_owned();
        Request { method, url, headers, body, timeout: TIMEOUT, max_response: MAX_RESPONSE }
    }

    /// Reads the response.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Bearer, IdentityError> {
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
        let scope = self.scope.as_deref().unwrap_or_default();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.id);
        form.append_pair("client_secret", self.secret.expose());
        if !scope.is_empty() {
            form.append_pair("scope", scope);
        }
        Zeroizing::new(form.finish().into_bytes())
    }
}

/// Returns true if a body is a bare token: three base64url segments (a JWT), or a long word of that alphabet. The
/// page of a login form is neither.
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
    use crate::http::headers;

    fn endpoint(client: Option<Client>) -> TokenEndpoint {
        TokenEndpoint::new(Url::parse("https://idp.example/token").unwrap(), client)
    }

    #[test]
    fn a_commands_output_is_a_token() {
        assert_eq!(from_output(b" t \n"), Bearer::new(&Secret::new("t")));
        assert_eq!(
            (from_output(b""), from_output(b"\xff")),
            (Err(BadToken::Empty), Err(BadToken::Characters))
        );
    }

    #[test]
    fn client_credentials_become_a_token() {
        let client = endpoint(Some(Client {
            id: "me & co".into(),
            secret: "hunter2+".into(),
            scope: Some("relay enroll".into()),
        }));
        let request = client.request();
        assert_eq!((&request.method, request.url.as_str()), (&Method::POST, "https://idp.example/token"));
        assert!(!format!("{client:?} {request:?}").contains("hunter2"));
        let Body::Bytes(form) = request.body else { panic!("a body") };
        assert_eq!(
            std::str::from_utf8(&form).unwrap(),
            "grant_type=client_credentials&client_id=me+%26+co&client_secret=hunter2%2B&scope=relay+enroll"
        );
        let read = |status, body: &[u8]| {
            client.read(status, &headers(&[("location", "https://evil.example")]), body)
        };
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
                "the identity provider: unexpected response from idp.example: not a JSON object, check the URL",
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

    /// The request is a plain GET, and the body is the token. Any other page at a wrong URL is not a token.
    #[test]
    fn h_8_an_ambient_endpoint_gives_the_token_itself() {
        let endpoint = endpoint(None);
        let request = endpoint.request();
        assert_eq!((request.method, request.url.as_str()), (Method::GET, "https://idp.example/token"));
        assert_eq!((request.body, request.timeout.as_secs(), request.max_response), (Body::Empty, 15, 65536));
        let read = |status, body: &str| endpoint.read(status, &HeaderMap::new(), body.as_bytes());
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
        let moved = endpoint.read(302, &headers(&[("location", "https://evil.example")]), long.as_bytes());
        assert!(matches!(moved, Err(IdentityError::Redirect { status: 302, .. })));
    }
}
