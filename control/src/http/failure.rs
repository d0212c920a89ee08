//! Failures of HTTP exchanges, with messages that say what to do.

use super::MAX_RESPONSE;
use ::http::header::{AsHeaderName, HeaderMap, LOCATION};
use relayline_core::json;
use relayline_core::redact::redact;
use relayline_core::secret::Secret;
use relayline_core::time::format_span;
use std::ops::Deref;
use url::Url;
use zeroize::Zeroizing;

/// Error returned when a request is not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The host name has no address.
    #[error("its name cannot be looked up ({0}): check the URL and the network's DNS")]
    Name(String),
    /// The connection was not accepted.
    #[error("no connection ({0}): is the connector running, and the port right?")]
    Connect(String),
    /// TLS failed. The text says what to do.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The proxy cannot be reached, or refuses the tunnel.
    #[error("the proxy {proxy}: {why}")]
    Proxy {
        /// Host and port of the proxy, and the variable that names it.
        proxy: String,
        /// Reason, and what to do.
        why: String,
    },
    /// The upgrade was not answered as by a WebSocket server. The text says what to do.
    #[error("the upgrade failed: {0}")]
    Upgrade(String),
    /// The exchange timed out.
    #[error("no complete answer within {}", format_span(*.0))]
    TimedOut(std::time::Duration),
    /// The connection broke.
    #[error("the connection broke ({0})")]
    Broken(String),
}

/// Error returned when an exchange fails. Texts of the peer are quoted on one line, cut to 200 characters, without
/// the secrets that were sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The request was not answered.
    #[error("could not reach {host}: {cause}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// Cause of the failure.
        cause: Unreachable,
    },
    /// A redirect. It is not followed, since credentials must stay with their host.
    #[error(
        "{host} answered with a redirect to {to} (status {status}), which is not followed: set GATEWAY_RELAY_URL to \
         the connector's own address"
    )]
    Redirect {
        /// Host and port.
        host: String,
        /// Status, 300 to 399.
        status: u16,
        /// Host that it points to, or `another path`.
        to: String,
    },
    /// The response is larger than the limit.
    #[error("{host} answered with more than {most} bytes: this is not a connector's answer, check the URL")]
    TooLarge {
        /// Host and port.
        host: String,
        /// Limit in bytes.
        most: usize,
    },
    /// A status that is not a success.
    #[error("{host} answered with status {status}{}", .error.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Status {
        /// Host and port.
        host: String,
        /// Status of the response.
        status: u16,
        /// Field `error` of the response.
        error: Option<String>,
    },
    /// A success whose body is not valid JSON of a connector.
    #[error("unexpected response from {host}: not a JSON object, check the URL")]
    NotJson {
        /// Host and port.
        host: String,
    },
}

/// Returns the text of a JSON response if its status is a success and its body is an object.
pub(super) fn judge<'a>(
    host: &str,
    status: u16,
    headers: &HeaderMap,
    body: &'a [u8],
    hidden: &[&Secret],
) -> Result<Object<'a>, Failure> {
    let host = || host.to_owned();
    if body.len() > MAX_RESPONSE {
        return Err(Failure::TooLarge { host: host(), most: MAX_RESPONSE });
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

/// Text of a JSON object, as received or repaired (W-11). It may contain secrets, so a repaired copy is wiped when
/// dropped.
pub(super) enum Object<'a> {
    AsItCame(&'a str),
    Repaired(Zeroizing<String>),
}

impl Deref for Object<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Object::AsItCame(text) => text,
            Object::Repaired(text) => text,
        }
    }
}

fn object(text: &str) -> Option<Object<'_>> {
    let is_object = |text: &str| json::fields(text, &[]).is_some();
    if is_object(text) {
        return Some(Object::AsItCame(text));
    }
    let repaired = Zeroizing::new(json::repair(text)?);
    is_object(&repaired).then_some(Object::Repaired(repaired))
}

/// Returns the host that a redirect points to. The rest of the URL is not shown, since it may contain anything.
fn target(headers: &HeaderMap) -> String {
    let location = header(headers, LOCATION).and_then(|location| Url::parse(location).ok());
    let host = location.as_ref().and_then(Url::host_str);
    host.map_or_else(|| "another path".to_owned(), str::to_owned)
}

/// Returns the text of a header, if it is one.
pub(super) fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the text that the peer sent under `name`, prepared for a message.
pub(super) fn said(body: &[u8], name: &str, hidden: &[&Secret]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut room = String::new();
    let [raw] = json::peer_fields(text.trim(), &mut room, &[name])?;
    let mut text = json::string(raw?)?;
    // A server that echoes its input must not make us print a secret (C-4).
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

    /// C-4: a server that echoes the request does not make us show a secret.
    #[test]
    fn c_4_an_echoed_secret_is_hidden() {
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
