//! A request that is not a WebSocket upgrade: its body, read as far as the machine allows, and the response.

use super::hub::Hub;
use crate::http::{HttpBody, HttpHead, HttpResponse};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use relayline_runtime::serve::Received;
use std::time::Duration;
use tokio::time::timeout;

/// Maximum time to receive a body; the gateway's own limit is the same (H-7).
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a body that is read without a permit.
const SMALL: usize = 1 << 20;
/// Bounds on reading a refused body: a client that is still sending it would not read the response.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_BYTES: usize = 64 << 20;

/// Answers the request. Returns `None` if the client has gone, or if the state file could not be written.
pub(super) async fn answer(hub: &Hub, request: Request<Received>) -> Option<Response<Full<Bytes>>> {
    let (parts, mut body) = request.into_parts();
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let head = HttpHead {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        authorization: text(header::AUTHORIZATION),
        content_type: text(header::CONTENT_TYPE),
        media_filename: parts.headers.get("x-media-filename").map(HeaderValue::as_bytes),
    };
    let limit = hub.with(|machine, now| machine.http_body_limit(now, &head));
    // Reading to the end of the body frees the next client, so the permit is held until the response is built.
    let _permit = match limit > SMALL {
        true => Some(hub.uploads.acquire().await.ok()?),
        false => None,
    };
    let read = match timeout(BODY_TIMEOUT, read(&mut body, limit)).await {
        Ok(read) => read?,
        Err(_) => HttpBody::TooSlow,
    };
    if let HttpBody::TooLarge = read {
        // It does not matter whether the body is late or broken.
        let _ = timeout(DRAIN_TIMEOUT, drain(&mut body)).await;
    }
    let answer = hub.with(|machine, now| machine.handle_http(now, &head, read));
    // A response that relies on unwritten state must not be sent.
    hub.failure().is_none().then(|| response(answer))
}

/// Reads a body, holding at most `limit` bytes.
async fn read(body: &mut Received, limit: usize) -> Option<HttpBody> {
    let too_large = |length: u64| usize::try_from(length).map_or(true, |length| length > limit);
    if too_large(body.size_hint().lower()) {
        return Some(HttpBody::TooLarge);
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Some(HttpBody::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Some(HttpBody::Whole(whole.into()))
}

async fn drain(body: &mut Received) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAIN_BYTES {
            return;
        }
    }
}

/// Returns a response of the machine in hyper's form.
pub(super) fn response(answer: HttpResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !response.status().is_success() {
        // Only an admitted client keeps its connection.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in answer.headers {
        // The values come from headers or are constants.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
