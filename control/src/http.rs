//! HTTP exchanges as values: requests to send, and readers of their responses. Nothing here performs I/O.
//!
//! The caller sends a [`Request`] unchanged, within [`Request::timeout`], without retries, and **follows no
//! redirect**. It reads at most [`Request::max_response`] bytes of the body and one more, and passes status, headers
//! and body to the exchange's `read`. If there is no response, [`Request::unreachable`] makes the failure.

pub mod access_token;
pub mod base;
pub mod boot;
pub mod enroll;
mod failure;
mod issued;
pub mod media;
pub mod policy;
pub mod provision;

pub use base::{Base, Insecure};
pub use failure::{Failure, Unreachable};
pub use issued::Issued;

use crate::url::without_query;
use ::http::Method;
use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use relayline_core::config::Credentials;
use relayline_core::secret::Secret;
use relayline_core::token::{self, TOKEN_TTL_S};
use serde::Serialize;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// Time-out of a JSON exchange.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum size of the body of a JSON response, in bytes.
pub const MAX_RESPONSE: usize = 64 << 10;

/// A complete request, except for headers that the transport adds (`Host`, `Content-Length`).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Absolute URL, `http` or `https`, without user-info and fragment.
    pub url: String,
    /// Headers. Values of credentials are marked as sensitive, so that `Debug` hides them.
    pub headers: HeaderMap,
    /// Body of the request.
    pub body: Body,
    /// Time-out of the whole exchange, from the name look-up to the last byte of the response.
    pub timeout: Duration,
    /// Maximum size of the response's body, in bytes.
    pub max_response: usize,
}

/// Body of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// No body.
    Empty,
    /// These bytes. They may contain secrets, so they are not shown, and wiped when dropped.
    Bytes(Zeroizing<Vec<u8>>),
    /// This number of bytes, streamed by the host.
    Upload(u64),
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, url, headers, body, timeout, max_response } = self;
        let mut shown = f.debug_struct("Request");
        shown.field("method", method).field("url", &without_query(url)).field("headers", headers);
        shown.field("body", body).field("timeout", timeout).field("max_response", max_response).finish()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({} hidden)", bytes.len()),
            Body::Upload(length) => write!(f, "Upload({length})"),
        }
    }
}

impl Request {
    /// Returns the host and port of the URL, for messages.
    pub fn host(&self) -> &str {
        host(&self.url)
    }

    /// Returns the failure of a request that was not answered.
    pub fn unreachable(&self, cause: Unreachable) -> Failure {
        Failure::Unreachable { host: self.host().to_owned(), cause }
    }

    /// Creates a JSON POST (H).
    fn json(url: String, bearer: &Bearer, body: &impl Serialize) -> Request {
        // This cannot fail: the keys of all maps in a body are strings.
        let json = serde_json::to_vec(body).unwrap_or_default();
        let headers = [
            (AUTHORIZATION, bearer.header()),
            (CONTENT_TYPE, HeaderValue::from_static(JSON)),
            (ACCEPT, HeaderValue::from_static(JSON)),
        ];
        Request {
            method: Method::POST,
            url,
            headers: HeaderMap::from_iter(headers),
            body: Body::Bytes(Zeroizing::new(json)),
            timeout: TIMEOUT,
            max_response: MAX_RESPONSE,
        }
    }
}

/// Returns the host and port of an absolute URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Media type of JSON.
const JSON: &str = "application/json";

/// Token of an `Authorization: Bearer` header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bearer(Secret);

/// Error returned when a token cannot be sent in a header. It does not quote the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadToken {
    /// The token is empty or white space.
    #[error("the access token is empty")]
    Empty,
    /// The token has blanks, control characters or characters that are not ASCII.
    #[error("the access token holds blanks, line breaks or other characters that no header carries")]
    Characters,
}

impl Bearer {
    /// Creates the bearer of a token. White space around the token is ignored.
    pub fn new(token: &Secret) -> Result<Bearer, BadToken> {
        let token = token.expose().trim();
        if token.is_empty() {
            return Err(BadToken::Empty);
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadToken::Characters);
        }
        Ok(Bearer(Secret::from(token)))
    }

    /// Mints a fresh upgrade token.
    pub fn mint(credentials: &Credentials, unix_s: u64) -> Bearer {
        Bearer(token::mint(&credentials.gateway_id, &credentials.secret, unix_s, TOKEN_TTL_S))
    }

    fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(["Bearer ", self.0.expose()].concat());
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            unreachable!("`new` lets no other token in")
        };
        value.set_sensitive(true);
        value
    }
}

/// Returns headers of these names and values.
#[cfg(test)]
fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_4_a_request_shows_no_secret() {
        let bearer = Bearer::new(&Secret::new(" hunter2\n")).unwrap();
        let request = Request::json("https://c.example/x".into(), &bearer, &["hunter2"]);
        assert_eq!(request.headers[AUTHORIZATION], "Bearer hunter2");
        assert_eq!(request.body, Body::Bytes(Zeroizing::new(b"[\"hunter2\"]".to_vec())));
        let shown = format!("{request:?} {bearer:?}");
        assert!(!shown.contains("hunter2") && shown.contains("Bytes(11 hidden)"), "{shown}");
        assert_eq!(request.host(), "c.example");
    }

    #[test]
    fn a_token_must_fit_a_header() {
        for (token, expected) in [
            ("", BadToken::Empty),
            (" \n", BadToken::Empty),
            ("two words", BadToken::Characters),
            ("a\r\nX-Evil: 1", BadToken::Characters),
            ("schlüssel", BadToken::Characters),
        ] {
            assert_eq!(Bearer::new(&Secret::new(token)), Err(expected), "{token:?}");
        }
    }
}
