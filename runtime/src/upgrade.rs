//! Upgrade request and its answer: the upgraded stream, or a refusal with its body.

use crate::dialer::ByteStream;
use crate::error_chain::error_chain;
use crate::prefix_capture::PrefixCapture;
use crate::progress::Progress;
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

type Connected = Connection<FuturesIo<PrefixCapture>, Empty<Bytes>>;

/// Answer to a request for an upgrade.
pub(crate) enum UpgradeOutcome {
    /// The protocol is switched.
    Switched {
        head: Parts,
        stream: ByteStream,
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
    /// True if `body` is the whole body.
    pub(crate) is_whole: bool,
}

impl Refused {
    /// Creates a refusal with an empty body.
    fn of(head: &Parts) -> Refused {
        Refused { head: head.clone(), body: Vec::new(), is_whole: false }
    }

    /// Returns the refusal as the core represents it.
    pub(crate) fn refusal(&self) -> Refusal<'_> {
        refusal(&self.head, &self.body, self.is_whole)
    }
}

/// Returns the refusal as the core represents it.
pub(crate) fn refusal<'a>(head: &'a Parts, body: &'a [u8], is_whole: bool) -> Refusal<'a> {
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let mut refusal = Refusal::new(head.status.as_u16(), body);
    refusal.is_whole = is_whole;
    refusal.has_challenge = head.headers.contains_key(WWW_AUTHENTICATE);
    (refusal.retry_after, refusal.location) = (text(RETRY_AFTER), text(LOCATION));
    refusal
}

/// Sends `request` over `stream` and reads its answer. Interim answers (100, 103) are skipped.
///
/// The caller limits the time. `progress` holds the received part of a refusal.
///
/// # Errors
/// Describes the failure of the connection or the answer before the head was complete.
pub(crate) async fn ask(
    stream: ByteStream,
    request: Request<Empty<Bytes>>,
    progress: &Progress,
) -> Result<UpgradeOutcome, String> {
    let broken = |error: hyper::Error| format!("the connection broke ({})", error_chain(&error));
    let stream = PrefixCapture::of(stream);
    let prefix = stream.prefix();
    let (mut sender, mut connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        // Some servers compare names byte by byte and expect `Authorization`. Proxies accept any case.
        .title_case_headers(request.method() != Method::CONNECT)
        // A forwarded request or answer keeps the case of its headers.
        .preserve_header_case(true)
        .handshake(FuturesIo::new(stream))
        .await
        .map_err(broken)?;
    let (head, body) = match head(sender.send_request(request), &mut connection).await {
        Ok(response) => response.into_parts(),
        Err(error) => return Err(prefix.explain().unwrap_or_else(|| broken(error))),
    };
    // After a switch the connection has stopped after the head.
    let is_switch = head.extensions.get::<hyper::upgrade::OnUpgrade>().is_some();
    if is_switch {
        drop((sender, body));
        poll_fn(|cx| connection.poll_without_shutdown(cx)).await.map_err(broken)?;
        let parts = connection.into_parts();
        return Ok(UpgradeOutcome::Switched {
            head,
            stream: parts.io.into_inner().into_stream(),
            read_ahead: parts.read_buf,
        });
    }
    progress.refused(Refused::of(&head));
    read_body(body, &mut connection, progress).await;
    Ok(UpgradeOutcome::Refused(progress.take_refused().unwrap_or_else(|| Refused::of(&head))))
}

/// Waits for the head of the answer while driving the connection.
async fn head(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: &mut Connected,
) -> hyper::Result<Response<Incoming>> {
    match select(pin!(answer), poll_fn(|cx| connection.poll_without_shutdown(cx))).await {
        Either::Left((answered, _)) => answered,
        // The connection has ended, so the answer resolves, too.
        Either::Right((ended, answering)) => match (answering.await, ended) {
            (Err(_), Err(why)) => Err(why),
            (answered, _) => answered,
        },
    }
}

/// Reads the body into the refusal of `progress` up to its end, an error or the limit.
async fn read_body(mut body: Incoming, connection: &mut Connected, progress: &Progress) {
    let mut is_over = false;
    loop {
        let frame = poll_fn(|cx| {
            if !is_over {
                // The body reports how the connection ended.
                is_over = connection.poll_without_shutdown(cx).is_ready();
            }
            Pin::new(&mut body).poll_frame(cx)
        });
        let more = match frame.await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => progress.extend_body(&bytes),
                // Trailers are ignored.
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
