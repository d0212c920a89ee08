//! One request: its head, its body as far as it is wanted, and the machine's answer.

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

/// Bytes beyond what is kept of a body that are read and thrown away, so that a client that is still sending gets to
/// read its answer instead of a reset.
const LINGER: u64 = 4 << 20;

/// What came of a body.
enum Came {
    Whole(Vec<u8>),
    TooLong,
    TooSlow,
    /// Other bodies take all the room.
    NoRoom,
}

/// Bytes of a body that are counted as long as they are kept.
pub(super) struct Kept<'a> {
    /// Bytes of all bodies that are being read.
    all: &'a AtomicUsize,
    bytes: usize,
}

impl<'a> Kept<'a> {
    fn new(all: &'a AtomicUsize) -> Self {
        Kept { all, bytes: 0 }
    }

    /// Counts more bytes; `false`, and they are not counted, when there is no room for them.
    fn take(&mut self, bytes: usize, most: usize) -> bool {
        let has_room = self.all.fetch_add(bytes, Ordering::Relaxed) < most;
        if has_room {
            self.bytes += bytes;
        } else {
            self.all.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }
}

impl Kept<'_> {
    /// None of it is kept any more.
    fn forget(&mut self) {
        self.all.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Answers a request. It fails when the client goes away in the middle of it.
pub(super) async fn answer<R: Runtime>(
    runtime: &R,
    shared: &Shared,
    request: Request<Received>,
) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let wanted = shared.lock().machine.wants_body(shared.now(), &asked(&head, Body::Whole(b"")));
    let most = if wanted { shared.config.server.delivery_body } else { 0 };
    let mut kept = Kept::new(&shared.body_bytes);
    let came = if head.headers.contains_key(EXPECT) && body.size_hint().lower() > most as u64 {
        // It waits to be asked for its body, and will not be.
        Came::TooLong
    } else {
        let late = runtime.sleep(shared.config.server.delivery_read_timeout);
        let room = shared.config.server.delivery_bytes;
        match select(pin!(read(body, most, &mut kept, room)), pin!(late)).await {
            Either::Left((came, _)) => came?,
            Either::Right(((), _)) => Came::TooSlow,
        }
    };
    let is_whole = matches!(came, Came::Whole(_));
    let body = match &came {
        Came::Whole(bytes) => Body::Whole(bytes),
        Came::TooLong | Came::TooSlow | Came::NoRoom if !wanted => Body::Whole(b""),
        Came::TooLong => Body::TooLong,
        Came::TooSlow => Body::TooSlow,
        Came::NoRoom => Body::NoRoom,
    };
    let answer = shared.handle_webhook(asked(&head, body));
    drop(came);
    drop(kept);
    let answer = answer.await;
    tracing::debug!(status = answer.status(), why = %answer, "delivery");
    // Only whoever signs keeps a connection; a body that is not whole is not verified.
    let is_signed = wanted && is_whole && !matches!(answer, WebhookResponse::Unsigned(_));
    Ok(response(&answer, is_signed))
}

/// What the machine is asked.
fn asked<'a>(head: &'a Parts, body: Body<'a>) -> WebhookRequest<'a> {
    // A header that is no text is malformed, not missing.
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    WebhookRequest {
        method: head.method.as_str(),
        path: head.uri.path(),
        timestamp: header(TIMESTAMP_HEADER),
        signature: header(SIGNATURE_HEADER),
        body,
    }
}

/// Reads a body to its end, or as far as it is borne with. It is kept when it is at most `most` bytes, and all bodies
/// that are being read are within `room`; in `counted` as long as somebody has it.
async fn read(mut body: Received, most: usize, counted: &mut Kept<'_>, room: usize) -> hyper::Result<Came> {
    let (mut kept, mut left) = (Vec::new(), most);
    let mut lingered = 0;
    let (mut too_long, mut no_room) = (false, false);
    let end = |too_long: bool| if too_long { Came::TooLong } else { Came::NoRoom };
    while let Some(frame) = body.frame().await {
        // Trailers mean nothing here.
        let Ok(bytes) = frame?.into_data() else { continue };
        too_long |= bytes.len() > left;
        no_room |= !too_long && !no_room && !counted.take(bytes.len(), room);
        if too_long || no_room {
            kept = Vec::new();
            counted.forget();
            lingered += bytes.len() as u64;
            if lingered > LINGER {
                return Ok(end(too_long));
            }
        } else {
            left -= bytes.len();
            kept.extend_from_slice(&bytes);
        }
    }
    Ok(if too_long || no_room { end(too_long) } else { Came::Whole(kept) })
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
