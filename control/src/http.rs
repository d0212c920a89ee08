//! HTTP exchanges as values: a request to send, and what its answer means. Nothing here sends anything.
//!
//! Whoever does the I/O sends [`Request`] as it is: its whole time in [`Request::timeout`], no retry, **no redirect
//! followed** (H). It reads no more of the body than [`Request::max_answer`] and one byte, and hands status, headers
//! and body to the exchange's `read`. Where there is no answer, [`Request::unreachable`] makes the failure of it.

pub mod base;
pub mod boot;
pub mod enroll;
mod failure;
pub mod identity;
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

/// What a JSON exchange may take in all (H).
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest body of a JSON answer, in bytes; real ones have a few hundred.
pub const MAX_ANSWER: usize = 64 << 10;

/// A request, complete but for what the transport adds (`Host`, `Content-Length`).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL, `http` or `https`, without user-info and fragment.
    pub url: String,
    /// Headers. The values of credentials are marked as sensitive, so that `Debug` does not show them (C-4).
    pub headers: HeaderMap,
    /// What is sent behind them.
    pub body: Body,
    /// What the exchange may take, from the look-up of the name to the last byte of the answer.
    pub timeout: Duration,
    /// The largest body of an answer, in bytes.
    pub max_answer: usize,
}

/// The body of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// These bytes, which may hold secrets: they are not shown, and wiped when dropped (C-4).
    Bytes(Zeroizing<Vec<u8>>),
    /// So many bytes, which the host has: they are streamed.
    Upload(u64),
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, url, headers, body, timeout, max_answer } = self;
        let mut shown = f.debug_struct("Request");
        shown.field("method", method).field("url", &without_query(url)).field("headers", headers);
        shown.field("body", body).field("timeout", timeout).field("max_answer", max_answer).finish()
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
    /// The host and port that it goes to, for messages.
    pub fn host(&self) -> &str {
        host(&self.url)
    }

    /// What it means that no answer came.
    pub fn unreachable(&self, cause: Unreachable) -> Failure {
        Failure::Unreachable { host: self.host().to_owned(), cause }
    }

    /// A JSON POST (H).
    fn json(url: String, bearer: &Bearer, body: &impl Serialize) -> Request {
        // It cannot fail: no map in a body has keys other than texts.
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
            max_answer: MAX_ANSWER,
        }
    }
}

/// The host and port of an absolute URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Media type of JSON.
const JSON: &str = "application/json";

/// A token that a header can carry behind `Bearer`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bearer(Secret);

/// A token that no header can carry. It quotes nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadToken {
    /// Nothing but white space.
    #[error("the access token is empty")]
    Empty,
    /// Several lines or words, control characters, or no ASCII.
    #[error("the access token holds blanks, line breaks or other characters that no header carries")]
    Characters,
}

impl Bearer {
    /// Takes what was given as a token; white space around it does not count.
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

    /// A fresh upgrade token (C-1).
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
