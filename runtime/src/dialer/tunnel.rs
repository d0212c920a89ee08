//! Tunnel through an HTTP proxy (RFC 9110, 9.3.6).

use super::ByteStream;
use crate::progress::Progress;
use crate::upgrade::{Refused, UpgradeOutcome, ask};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use relayline_core::secret::Secret;

/// Opens a tunnel through the proxy at the other end of `stream`.
///
/// # Errors
/// Describes why the proxy did not open the tunnel.
pub(super) async fn open(
    stream: ByteStream,
    host: &str,
    port: u16,
    authorization: Option<&Secret>,
    progress: &Progress,
) -> Result<ByteStream, String> {
    let request = connect(host, port, authorization).ok_or("its user and password cannot be a header")?;
    match ask(stream, request, progress).await? {
        UpgradeOutcome::Refused(refused) => Err(refusal(&refused, authorization)),
        // The target of the tunnel sends nothing before we do.
        UpgradeOutcome::Switched { head, stream, read_ahead } if head.status.is_success() => {
            match read_ahead.is_empty() {
                true => Ok(stream),
                false => Err("it sent more than an answer".to_owned()),
            }
        }
        UpgradeOutcome::Switched { head, .. } => Err(format!("it answered CONNECT with {}", head.status)),
    }
}

fn connect(host: &str, port: u16, authorization: Option<&Secret>) -> Option<Request<Empty<Bytes>>> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = Request::connect(&target).header(HOST, &target).body(Empty::new()).ok()?;
    if let Some(secret) = authorization {
        let mut value = HeaderValue::try_from(secret.expose()).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    Some(request)
}

fn refusal(refused: &Refused, authorization: Option<&Secret>) -> String {
    let advice = match refused.head.status.as_u16() {
        407 => "give it a user and password that it knows, as in http://user:password@proxy.example:3128",
        _ => "it does not let this host through: ask who runs it, or name the host in NO_PROXY",
    };
    // C-4: a proxy may repeat the credentials in its answer. Redacts the header and its encoded part.
    let encoded = authorization.and_then(|secret| secret.expose().split(' ').next_back()).map(Secret::from);
    let hidden: Vec<&Secret> = authorization.into_iter().chain(&encoded).collect();
    let refusal = refused.refusal();
    let said = refusal.said(&hidden).map(|said| format!(" (it said: {said})")).unwrap_or_default();
    format!("it answered {}; {advice}{said}", refusal.status_line())
}
