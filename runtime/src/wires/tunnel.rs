//! A tunnel through an HTTP proxy (RFC 9110, 9.3.6).

use super::Stream;
use crate::progress::Progress;
use crate::upgrade::{Answered, Refused, ask};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use relayline_core::secret::Secret;

/// Asks the proxy at the other end of `stream` for a tunnel. The error says why there is none.
pub(super) async fn open(
    stream: Stream,
    host: &str,
    port: u16,
    authorization: Option<&Secret>,
    progress: &Progress,
) -> Result<Stream, String> {
    let request = connect(host, port, authorization).ok_or("its user and password cannot be a header")?;
    match ask(stream, request, progress).await? {
        Answered::Refused(refused) => Err(refusal(&refused, authorization)),
        // The target waits for us to speak first.
        Answered::Switched { head, stream, read_ahead } if head.status.is_success() => {
            match read_ahead.is_empty() {
                true => Ok(stream),
                false => Err("it sent more than an answer".to_owned()),
            }
        }
        Answered::Switched { head, .. } => Err(format!("it answered CONNECT with {}", head.status)),
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
    // A proxy that repeats what it was sent must not make us print it (C-4): neither the header nor its last word.
    let word = authorization.and_then(|secret| secret.expose().split(' ').next_back()).map(Secret::from);
    let hidden: Vec<&Secret> = authorization.into_iter().chain(&word).collect();
    let refusal = refused.refusal();
    let said = refusal.said(&hidden).map(|said| format!(" (it said: {said})")).unwrap_or_default();
    format!("it answered {}; {advice}{said}", refusal.status_line())
}
