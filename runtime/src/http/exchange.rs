//! HTTP exchange: a connection, a request and a response, within a deadline.

use super::HttpResponse;
use super::body::Outgoing;
use crate::dialer::{BoxFuture, Dialer};
use crate::error_chain::error_chain;
use crate::prefix_capture::PrefixCapture;
use crate::progress::Progress;
use futures_util::future::{Either, select};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Response, Uri};
use relayline_control::http::{Request, Unreachable};
use smol_hyper::rt::FuturesIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use zeroize::Zeroizing;

/// Size of the buffer of each direction, in bytes. A response's head must fit.
const BUFFER_BYTES: usize = 64 << 10;

/// Response whose head was received, and whose body is being received.
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    body: Incoming,
    /// Future that drives the connection; `None` once it has ended.
    connection: Option<BoxFuture<hyper::Result<()>>>,
    deadline: Deadline,
}

/// Deadline of an exchange, from the look-up to the last byte.
struct Deadline {
    span: Duration,
    sleep: BoxFuture<()>,
    progress: Progress,
}

impl Deadline {
    async fn within<T>(
        &mut self,
        what: impl Future<Output = Result<T, Unreachable>>,
    ) -> Result<T, Unreachable> {
        match select(pin!(what), &mut self.sleep).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(self.progress.timed_out(self.span)),
        }
    }
}

impl Exchange {
    /// Sends a request, and waits for the head of the response.
    pub(super) async fn begin(
        dialer: &Dialer,
        request: &Request,
        body: Outgoing,
    ) -> Result<Exchange, Unreachable> {
        let progress = Progress::default();
        let sleep = dialer.sleep(request.timeout);
        let mut deadline = Deadline { span: request.timeout, sleep, progress: progress.clone() };
        let (response, connection) = deadline.within(send_request(dialer, request, body, &progress)).await?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        Ok(Exchange { status, headers: head.headers, body, connection, deadline })
    }

    /// Returns the next bytes of the body; `None` at its end.
    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, Unreachable> {
        let Exchange { body, connection, deadline, .. } = self;
        let next = poll_fn(|cx| {
            if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
                // The body reports how the connection ended.
                *connection = None;
            }
            loop {
                return match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(Ok(None)),
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Err(broken(&error))),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => Poll::Ready(Ok(Some(bytes))),
                        // Trailers are ignored.
                        Err(_) => continue,
                    },
                };
            }
        });
        deadline.within(next).await
    }

    /// Waits for a future of the host within the deadline of the exchange.
    pub(super) async fn within_deadline<T>(
        &mut self,
        what: impl Future<Output = Result<T, Unreachable>>,
    ) -> Result<T, Unreachable> {
        self.deadline.within(what).await
    }

    /// Reads the whole response. The body is truncated one byte above `most`.
    pub(super) async fn answer(mut self, most: usize) -> Result<HttpResponse, Unreachable> {
        let enough = most.saturating_add(1);
        let mut body = Zeroizing::new(Vec::new());
        while body.len() < enough {
            let Some(bytes) = self.next_chunk().await? else { break };
            let room = enough - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok(HttpResponse { status: self.status, headers: self.headers, body })
    }
}

type HeadAndConnection = (Response<Incoming>, Option<BoxFuture<hyper::Result<()>>>);

async fn send_request(
    dialer: &Dialer,
    request: &Request,
    body: Outgoing,
    progress: &Progress,
) -> Result<HeadAndConnection, Unreachable> {
    let unfit = || Unreachable::Broken("the request is not valid HTTP".to_owned());
    let url: Uri = request.url.parse().map_err(|_| unfit())?;
    let secure = url.scheme_str() == Some("https");
    let host = url.host().ok_or_else(unfit)?.trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let message = message(request, &url, body).ok_or_else(unfit)?;

    let stream = PrefixCapture::of(dialer.connect(secure, host, port, progress).await?);
    let prefix = stream.prefix();
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .handshake(FuturesIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let mut connection: BoxFuture<hyper::Result<()>> = Box::pin(connection);
    let (answered, connection) = match select(pin!(sender.send_request(message)), &mut connection).await {
        Either::Left((answered, _)) => (answered, Some(connection)),
        // The connection has ended, so the response resolves, too.
        Either::Right((ended, answering)) => match (answering.await, ended) {
            (Err(_), Err(why)) => (Err(why), None),
            (answered, _) => (answered, None),
        },
    };
    answered.map(|response| (response, connection)).map_err(|error| match prefix.explain() {
        Some(why) if !secure => Unreachable::Broken(why),
        Some(_) | None => broken(&error),
    })
}

/// Returns the request in hyper's form.
fn message(request: &Request, url: &Uri, body: Outgoing) -> Option<hyper::Request<Outgoing>> {
    let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
    let mut message = hyper::Request::builder().method(request.method.clone()).uri(path).body(body).ok()?;
    let headers = message.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(url.authority()?.as_str()).ok()?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.extend(request.headers.clone());
    Some(message)
}

fn broken(error: &hyper::Error) -> Unreachable {
    Unreachable::Broken(error_chain(error))
}
