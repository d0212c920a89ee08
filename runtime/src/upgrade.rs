//! One request that asks for an upgrade, and its answer: the upgraded stream, or a refusal with its body.

use crate::causes::causes;
use crate::first_bytes::FirstBytes;
use crate::progress::Progress;
use crate::wires::Stream;
use futures_util::future::{Either, select};
use http_body_util::Empty;
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, Connection};
use hyper::header::{HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::response::Parts;
use hyper::{Method, Request, Response};
use relayline_core::upgrade::Refusal;
use smol_hyper::rt::FuturesIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};

/// Maximum number of bytes of an answer's head.
const HEAD: usize = 64 << 10;

type Connected = Connection<FuturesIo<FirstBytes>, Empty<Bytes>>;

/// Answer to a request for an upgrade.
pub(crate) enum Answered {
    /// The protocol is switched.
    Switched {
        head: Parts,
        stream: Stream,
        /// Bytes that came after the head.
        read_ahead: Bytes,
    },
    /// The request is refused.
    Refused(Refused),
}

/// Answer that refuses an upgrade.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) head: Parts,
    /// Decoded body, at most [`MAX_BODY`](relayline_core::upgrade::MAX_BODY) bytes of it.
    pub(crate) body: Vec<u8>,
    /// Whether `body` is the whole body.
    pub(crate) is_whole: bool,
}

impl Refused {
    /// Starts with the head; nothing of the body has come.
    fn of(head: &Parts) -> Refused {
        Refused { head: head.clone(), body: Vec::new(), is_whole: false }
    }

    /// Returns the refusal as the core judges it.
    pub(crate) fn refusal(&self) -> Refusal<'_> {
        refusal(&self.head, &self.body, self.is_whole)
    }
}

/// Returns what the core needs to judge a refusal.
pub(crate) fn refusal<'a>(head: &'a Parts, body: &'a [u8], is_whole: bool) -> Refusal<'a> {
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    Refusal {
        status: head.status.as_u16(),
        body,
        is_whole,
        has_challenge: head.headers.contains_key(WWW_AUTHENTICATE),
        retry_after: text(RETRY_AFTER),
        location: text(LOCATION),
    }
}

/// Sends `request` over `stream` and reads its answer. Interim answers (100, 103) are skipped.
///
/// The time is the caller's to limit. `progress` has the refusal as far as it has come.
///
/// # Errors
/// Describes how the connection or the answer broke before the head was complete.
pub(crate) async fn ask(
    stream: Stream,
    request: Request<Empty<Bytes>>,
    progress: &Progress,
) -> Result<Answered, String> {
    let broken = |error: hyper::Error| format!("the connection broke ({})", causes(&error));
    let stream = FirstBytes::of(stream);
    let beginning = stream.beginning();
    let (mut sender, mut connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        // Servers that compare names byte by byte know `Authorization`, and proxies know any case.
        .title_case_headers(request.method() != Method::CONNECT)
        // A request or an answer that is passed on keeps its own.
        .preserve_header_case(true)
        .handshake(FuturesIo::new(stream))
        .await
        .map_err(broken)?;
    let (head, body) = match head(sender.send_request(request), &mut connection).await {
        Ok(response) => response.into_parts(),
        Err(error) => return Err(beginning.explain().unwrap_or_else(|| broken(error))),
    };
    // With a switch the connection's part in it is over: it has stopped after the head.
    let is_switch = head.extensions.get::<hyper::upgrade::OnUpgrade>().is_some();
    if is_switch {
        drop((sender, body));
        poll_fn(|cx| connection.poll_without_shutdown(cx)).await.map_err(broken)?;
        let parts = connection.into_parts();
        return Ok(Answered::Switched {
            head,
            stream: parts.io.into_inner().into_stream(),
            read_ahead: parts.read_buf,
        });
    }
    progress.refused(Refused::of(&head));
    read_body(body, &mut connection, progress).await;
    Ok(Answered::Refused(progress.take_refused().unwrap_or_else(|| Refused::of(&head))))
}

/// Waits for the head of the answer, moving the bytes of the connection meanwhile.
async fn head(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: &mut Connected,
) -> hyper::Result<Response<Incoming>> {
    match select(pin!(answer), poll_fn(|cx| connection.poll_without_shutdown(cx))).await {
        Either::Left((answered, _)) => answered,
        // The connection is over, and so is the waiting: with an answer or without one.
        Either::Right((ended, answering)) => match (answering.await, ended) {
            (Err(_), Err(why)) => Err(why),
            (answered, _) => answered,
        },
    }
}

/// Reads the body into the refusal of `progress`, up to its end, an error or the limit.
async fn read_body(mut body: Incoming, connection: &mut Connected, progress: &Progress) {
    let mut is_over = false;
    loop {
        let frame = poll_fn(|cx| {
            if !is_over {
                // How the connection ended shows in the body, too.
                is_over = connection.poll_without_shutdown(cx).is_ready();
            }
            Pin::new(&mut body).poll_frame(cx)
        });
        let more = match frame.await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => progress.extend_body(&bytes),
                // Trailers mean nothing here.
                Err(_) => true,
            },
            Some(Err(_)) => false,
            None => {
                progress.end_body();
                false
            }
        };
        if !more {
            return;
        }
    }
}
