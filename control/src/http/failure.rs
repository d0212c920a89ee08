//! Why an exchange brought nothing, in words that say what to do.

use super::MAX_ANSWER;
use ::http::header::{AsHeaderName, HeaderMap, LOCATION};
use relayline_core::json;
use relayline_core::redact::redact;
use relayline_core::secret::Secret;
use relayline_core::time::in_words;
use std::ops::Deref;
use url::Url;
use zeroize::Zeroizing;

/// Why no answer came at all: what the I/O has to say.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The name has no address.
    #[error("its name cannot be looked up ({0}): check the URL and the network's DNS")]
    Name(String),
    /// Nothing takes connections there.
    #[error("no connection ({0}): is the connector running, and the port right?")]
    Connect(String),
    /// TLS failed, for want of a certificate to trust perhaps. The text says what to do.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The proxy before it cannot be reached, or lets nobody through.
    #[error("the proxy {proxy}: {why}")]
    Proxy {
        /// Host, port and the variable that names it.
        proxy: String,
        /// Why, and what to do.
        why: String,
    },
    /// The upgrade was not answered as a WebSocket server does. The text says what to do.
    #[error("the upgrade failed: {0}")]
    Upgrade(String),
    /// It took too long.
    #[error("no complete answer within {}", in_words(*.0))]
    TimedOut(std::time::Duration),
    /// It broke in the middle.
    #[error("the connection broke ({0})")]
    Broken(String),
}

/// Why an exchange brought nothing, whatever it is about. Texts of the peer's stand in it on one line, cut to 200
/// characters, and without the secrets that were sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No answer.
    #[error("could not reach {host}: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Why.
        cause: Unreachable,
    },
    /// A redirect, which is never followed: credentials stay with the host they were meant for.
    #[error(
        "{host} answered with a redirect to {to} (status {status}), which is not followed: set GATEWAY_RELAY_URL to \
         the connector's own address"
    )]
    Redirect {
        /// Host and port.
        host: String,
        /// 300 to 399.
        status: u16,
        /// The host that it points to, or "another path".
        to: String,
    },
    /// The answer is larger than any real one.
    #[error("{host} answered with more than {most} bytes: this is no connector's answer, check the URL")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The limit.
        most: usize,
    },
    /// Another status than success.
    #[error("{host} answered with status {status}{}", .error.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Status {
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
        /// The answer's `error`.
        error: Option<String>,
    },
    /// Success, but not what a connector says.
    #[error("unexpected response from {host}: no JSON object, check the URL")]
    NotJson {
        /// Host and port.
        host: String,
    },
}

/// The text of a JSON answer, when its status is a success and it is an object.
pub(super) fn judge<'a>(
    host: &str,
    status: u16,
    headers: &HeaderMap,
    body: &'a [u8],
    hidden: &[&Secret],
) -> Result<Object<'a>, Failure> {
    let host = || host.to_owned();
    if body.len() > MAX_ANSWER {
        return Err(Failure::TooLarge { host: host(), most: MAX_ANSWER });
    }
    match status {
        200..=299 => {
            let text = std::str::from_utf8(body).ok().map(str::trim);
            text.and_then(object).ok_or_else(|| Failure::NotJson { host: host() })
        }
        300..=399 => Err(Failure::Redirect { host: host(), status, to: target(headers) }),
        _ => Err(Failure::Status { host: host(), status, error: said(body, "error", hidden) }),
    }
}

/// The text of a JSON object, as it came or repaired (W-11). It may hold secrets: a repaired copy is wiped when dropped.
pub(super) enum Object<'a> {
    AsItCame(&'a str),
    Mended(Zeroizing<String>),
}

impl Deref for Object<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Object::AsItCame(text) => text,
            Object::Mended(text) => text,
        }
    }
}

fn object(text: &str) -> Option<Object<'_>> {
    let is_object = |text: &str| json::fields(text, &[]).is_some();
    if is_object(text) {
        return Some(Object::AsItCame(text));
    }
    let mended = Zeroizing::new(json::mend(text)?);
    is_object(&mended).then_some(Object::Mended(mended))
}

/// The host that a redirect points to; the rest of the URL may be anything.
fn target(headers: &HeaderMap) -> String {
    let location = header(headers, LOCATION).and_then(|location| Url::parse(location).ok());
    let host = location.as_ref().and_then(Url::host_str);
    host.map_or_else(|| "another path".to_owned(), str::to_owned)
}

/// Returns the text of a header, if it is one.
pub(super) fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The text that the peer gave under `name`, fit for a message.
pub(super) fn said(body: &[u8], name: &str, hidden: &[&Secret]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut room = String::new();
    let [raw] = json::peer_fields(text.trim(), &mut room, &[name])?;
    let mut text = json::string(raw?)?;
    // A server that repeats what it was sent must not make us print it (C-4).
    for secret in hidden.iter().filter(|secret| !secret.is_blank()) {
        text = redact(text, secret);
    }
    let one_line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let text: String = one_line.collect::<Vec<_>>().join(" ").chars().take(200).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_core::token;

    /// C-4: whatever a server repeats of what it was sent, it is not shown.
    #[test]
    fn c_4_what_a_server_repeats_is_hidden() {
        let secret = Secret::from("s\"3+/cr&t\n");
        let minted = |at| token::mint("gw-1", &Secret::from("s\"3+/cr&t\n"), at, 300).expose().to_owned();
        let others = token::mint("gw-1", &Secret::from("other"), 1000, 300).expose().to_owned();
        for (said_by_peer, expected) in [
            ("no: s\"3+/cr&t!", "no: <hidden>!".to_owned()),
            (r#"no: {"a":"s\"3+/cr&t"}"#, r#"no: {"a":"<hidden>"}"#.to_owned()),
            ("no: a=b&c=s%223%2B%2Fcr%26t", "no: a=b&c=<hidden>".to_owned()),
            (&format!("Bearer {}, {}", minted(1000), minted(2000)), "Bearer <hidden>, <hidden>".to_owned()),
            (&others, others.clone()),
            ("nothing of it", "nothing of it".to_owned()),
        ] {
            let body = serde_json::json!({ "error": said_by_peer }).to_string();
            assert_eq!(said(body.as_bytes(), "error", &[&secret]), Some(expected));
        }
    }
}
