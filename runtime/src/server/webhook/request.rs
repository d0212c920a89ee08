//! One webhook request: reads its head and body, and sends the machine's answer.

use crate::Runtime;
use crate::serve::Received;
use crate::shared::Shared;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use relayline_core::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER};
use relayline_core::webhook::{Body, WebhookRequest, WebhookResponse};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum number of bytes read and discarded of a body that is not kept, so that a client that is still sending reads
/// its answer instead of a reset.
const MAX_DISCARDED: u64 = 4 << 20;

/// Result of reading a body.
enum BodyRead {
    Whole(Vec<u8>),
    TooLong,
    TooSlow,
    /// Other bodies take up the whole budget.
    NoRoom,
}

/// Share of a body in the budget of all bodies.
pub(super) struct BodyBudget<'a> {
    /// Bytes of all bodies in memory.
    all: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> BodyBudget<'a> {
    fn new(all: &'a AtomicUsize) -> Self {
        BodyBudget { all, bytes: 0 }
    }

    /// Counts more bytes. Returns false, and does not count them, if the budget is used up.
    fn take(&mut self, bytes: usize, max: usize) -> bool {
        let has_room = self.all.fetch_add(bytes, Ordering::Relaxed) < max;
        if has_room {
            self.bytes += bytes;
        } else {
            self.all.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }
}

impl BodyBudget<'_> {
    /// Releases the share.
    fn release(&mut self) {
        self.all.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for BodyBudget<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Answers a request. `body_bytes` counts the bytes of all bodies in memory.
///
/// # Errors
/// The client disconnected during its request.
pub(super) async fn answer<R: Runtime>(
    runtime: &R,
    shared: &Shared,
    body_bytes: &AtomicUsize,
    request: Request<Received>,
) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let wanted = shared.lock().machine.wants_body(shared.now(), &webhook_request(&head, Body::Whole(b"")));
    let max = if wanted { shared.config.server.delivery_body } else { 0 };
    let mut budget = BodyBudget::new(body_bytes);
    let outcome = if head.headers.contains_key(EXPECT) && body.size_hint().lower() > max as u64 {
        // The client waits for 100 Continue, which it does not get.
        BodyRead::TooLong
    } else {
        let late = runtime.sleep(shared.config.server.delivery_read_timeout);
        let room = shared.config.server.delivery_bytes;
        match select(pin!(read(body, max, &mut budget, room)), pin!(late)).await {
            Either::Left((read, _)) => read?,
            Either::Right(((), _)) => BodyRead::TooSlow,
        }
    };
    let is_whole = matches!(outcome, BodyRead::Whole(_));
    let body = match &outcome {
        BodyRead::Whole(bytes) => Body::Whole(bytes),
        BodyRead::TooLong | BodyRead::TooSlow | BodyRead::NoRoom if !wanted => Body::Whole(b""),
        BodyRead::TooLong => Body::TooLong,
        BodyRead::TooSlow => Body::TooSlow,
        BodyRead::NoRoom => Body::NoRoom,
    };
    let answer = shared.handle_webhook(webhook_request(&head, body));
    drop(outcome);
    drop(budget);
    let answer = answer.await;
    tracing::debug!(status = answer.status(), why = %answer, "delivery");
    // Only a signed request keeps its connection. An incomplete body is not verified.
    let is_signed = wanted && is_whole && !matches!(answer, WebhookResponse::Unsigned(_));
    Ok(response(&answer, is_signed))
}

/// Returns the request as the machine reads it.
fn webhook_request<'a>(head: &'a Parts, body: Body<'a>) -> WebhookRequest<'a> {
    // A header that is not text is malformed, not missing.
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let mut request = WebhookRequest::new(head.method.as_str(), head.uri.path(), body);
    (request.timestamp, request.signature) = (header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER));
    request
}

/// Reads a body up to its end or a limit. Keeps it if it has at most `max` bytes, and if all bodies in memory have at most
/// `room` bytes. Counts it in `budget`.
async fn read(
    mut body: Received,
    max: usize,
    budget: &mut BodyBudget<'_>,
    room: usize,
) -> hyper::Result<BodyRead> {
    let (mut kept, mut left) = (Vec::new(), max);
    let mut discarded = 0;
    let (mut too_long, mut no_room) = (false, false);
    let end = |too_long: bool| if too_long { BodyRead::TooLong } else { BodyRead::NoRoom };
    while let Some(frame) = body.frame().await {
        // Trailers are ignored.
        let Ok(bytes) = frame?.into_data() else { continue };
        too_long |= bytes.len() > left;
        no_room |= !too_long && !no_room && !budget.take(bytes.len(), room);
        if too_long || no_room {
            kept = Vec::new();
            budget.release();
            discarded += bytes.len() as u64;
            if discarded > MAX_DISCARDED {
                return Ok(end(too_long));
            }
        } else {
            left -= bytes.len();
            kept.extend_from_slice(&bytes);
        }
    }
    Ok(if too_long || no_room { end(too_long) } else { BodyRead::Whole(kept) })
}

fn response(answer: &WebhookResponse, keep_alive: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body().into_owned()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(allow) = answer.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if !keep_alive {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
