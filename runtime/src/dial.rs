//! One dial: a connection and the upgrade on it. The machine interprets the result.

use crate::dialer::Dialer;
use crate::progress::Progress;
use crate::upgrade::{Refused, UpgradeOutcome, ask};
use crate::web_socket::WebSocket;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use relayline_control::config::GatewayConfig;
use relayline_control::http::Unreachable;
use relayline_control::url::DialUrl;
use relayline_core::config::Limits;
use relayline_core::machine::DialFailure;
use relayline_core::secret::Secret;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

/// Cause of a failed dial.
#[derive(Clone, Debug)]
pub(crate) enum DialError {
    /// There was no answer to the upgrade. Holds the reason.
    Unanswered(String),
    /// The upgrade was answered with another status than 101.
    Refused(Refused),
}

impl DialError {
    fn unanswered(url: &DialUrl, cause: &Unreachable) -> DialError {
        DialError::Unanswered(format!("{}:{}: {cause}", url.host(), url.port()))
    }

    /// Creates the error of a dial that timed out, from its progress.
    pub(crate) fn timed_out(progress: &Progress, config: &GatewayConfig) -> DialError {
        match progress.take_refused() {
            // While the tunnel is being opened, a refusal comes from the proxy, not from the connector.
            Some(refused) if !progress.is_at_proxy() => DialError::Refused(refused),
            _ => DialError::unanswered(&config.url, &progress.timed_out(config.machine.timing.dial_timeout)),
        }
    }

    /// Returns the failure as the core represents it.
    pub(crate) fn failure(&self) -> DialFailure<'_> {
        match self {
            DialError::Unanswered(reason) => DialFailure::Unanswered(reason),
            DialError::Refused(refused) => DialFailure::Refused(refused.refusal()),
        }
    }
}

/// Minimum size limit of one WebSocket message. A message over the limit ends the connection, so the limit is far
/// above `max_line_bytes`: an overlong line must be discarded alone (W-5).
const LEAST_MESSAGE_ROOM: usize = 16 << 20;

/// Returns the size limit of one WebSocket message.
pub(crate) fn message_room(limits: &Limits) -> usize {
    limits.max_line_bytes.saturating_mul(4).max(LEAST_MESSAGE_ROOM)
}

pub(crate) async fn dial(
    dialer: &Dialer,
    config: &GatewayConfig,
    token: Option<Secret>,
    progress: &Progress,
) -> Result<WebSocket, DialError> {
    let answered = upgrade(dialer, &config.url, token, progress).await;
    match answered.map_err(|cause| DialError::unanswered(&config.url, &cause))? {
        UpgradeOutcome::Refused(refused) => Err(DialError::Refused(refused)),
        UpgradeOutcome::Switched { stream, read_ahead, .. } => {
            let limits = &config.machine.limits;
            Ok(WebSocket::new(stream, read_ahead.into(), message_room(limits), limits.write_queue_bytes))
        }
    }
}

/// Connects, asks for the upgrade and checks a 101.
pub(crate) async fn upgrade(
    dialer: &Dialer,
    url: &DialUrl,
    token: Option<Secret>,
    progress: &Progress,
) -> Result<UpgradeOutcome, Unreachable> {
    let key = generate_key();
    let request = request(url, token, &key).map_err(Unreachable::Upgrade)?;
    let stream = dialer.connect(url.is_secure(), url.host(), url.port(), progress).await?;
    let answered = ask(stream, request, progress).await.map_err(Unreachable::Upgrade)?;
    if let UpgradeOutcome::Switched { head, .. } = &answered {
        verify(&head.headers, &key).map_err(Unreachable::Upgrade)?;
    }
    Ok(answered)
}

fn request(url: &DialUrl, token: Option<Secret>, key: &str) -> Result<Request<Empty<Bytes>>, String> {
    let unfit = || format!("{url} cannot be asked for over HTTP: check the URL");
    let uri: Uri = url.as_str().parse().map_err(|_| unfit())?;
    let authority = uri.authority().ok_or_else(unfit)?;
    let mut request = Request::get(uri.path_and_query().map_or("/", PathAndQuery::as_str))
        .header(HOST, authority.as_str())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key)
        .body(Empty::new())
        .map_err(|_| unfit())?;
    if let Some(token) = token {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| "the token cannot be a header".to_owned())?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

/// Checks the head of a 101 (RFC 6455, 4.1).
fn verify(headers: &HeaderMap, key: &str) -> Result<(), String> {
    let bad = |what: &str| {
        Err(format!("it was answered 101, but {what}: check the URL, and the proxies before the connector"))
    };
    let says = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if !says(UPGRADE, "websocket") {
        return bad("without `Upgrade: websocket`");
    }
    if !says(CONNECTION, "upgrade") {
        return bad("without `Connection: Upgrade`");
    }
    match headers.get(SEC_WEBSOCKET_ACCEPT) {
        None => return bad("without `Sec-WebSocket-Accept`"),
        Some(accept) if accept.as_bytes().trim_ascii() != derive_accept_key(key.as_bytes()).as_bytes() => {
            return bad("`Sec-WebSocket-Accept` is not for the key that was sent");
        }
        Some(_) => {}
    }
    if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) || headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return bad("with a subprotocol or an extension that was not asked for");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_upgrade_answers_are_checked() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let check = |changes: &[(&'static str, Option<&str>)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in good {
                headers.insert(name, HeaderValue::from_static(value));
            }
            for (name, value) in changes {
                match value {
                    Some(value) => drop(headers.insert(*name, HeaderValue::from_str(value).unwrap())),
                    None => drop(headers.remove(*name)),
                }
            }
            verify(&headers, key)
        };
        assert_eq!(check(&[]), Ok(()));
        for (name, value, expected) in [
            ("upgrade", None, "without `Upgrade: websocket`"),
            ("upgrade", Some("h2c"), "without `Upgrade: websocket`"),
            ("connection", None, "without `Connection: Upgrade`"),
            ("connection", Some("close"), "without `Connection: Upgrade`"),
            ("sec-websocket-accept", None, "without `Sec-WebSocket-Accept`"),
            ("sec-websocket-accept", Some("x"), "`Sec-WebSocket-Accept` is not for the key"),
            ("sec-websocket-extensions", Some("permessage-deflate"), "that was not asked for"),
            ("sec-websocket-protocol", Some("chat"), "that was not asked for"),
        ] {
            let error = check(&[(name, value)]).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
