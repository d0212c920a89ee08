//! One exchange: a connection, a request, an answer, all within its time.

use super::Answer;
use super::body::Outgoing;
use crate::causes::causes;
use crate::first_bytes::FirstBytes;
use crate::progress::Progress;
use crate::wires::{Boxed, Wires};
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

/// What is buffered of either direction, in bytes; an answer's head must fit.
const BUFFER: usize = 64 << 10;

/// An answer whose head is there, and whose body comes.
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    body: Incoming,
    /// What moves the bytes, until it is over.
    connection: Option<Boxed<hyper::Result<()>>>,
    deadline: Deadline,
}

/// The time of an exchange, from the look-up to the last byte.
struct Deadline {
    span: Duration,
    sleep: Boxed<()>,
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
    /// Sends the request; the head of the answer is there.
    pub(super) async fn begin(
        wires: &Wires,
        request: &Request,
        body: Outgoing,
    ) -> Result<Exchange, Unreachable> {
        let progress = Progress::default();
        let sleep = wires.sleep(request.timeout);
        let mut deadline = Deadline { span: request.timeout, sleep, progress: progress.clone() };
        let (response, connection) = deadline.within(converse(wires, request, body, &progress)).await?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        Ok(Exchange { status, headers: head.headers, body, connection, deadline })
    }

    /// The next bytes of the body, until there are no more.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Unreachable> {
        let Exchange { body, connection, deadline, .. } = self;
        let next = poll_fn(|cx| {
            if connection.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
                // How it ended the body tells, too.
                *connection = None;
            }
            loop {
                return match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(Ok(None)),
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Err(broken(&error))),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => Poll::Ready(Ok(Some(bytes))),
                        // Trailers mean nothing here.
                        Err(_) => continue,
                    },
                };
            }
        });
        deadline.within(next).await
    }

    /// The host's part, as long as it lasts: it counts, too.
    pub(super) async fn meanwhile<T>(
        &mut self,
        what: impl Future<Output = Result<T, Unreachable>>,
    ) -> Result<T, Unreachable> {
        self.deadline.within(what).await
    }

    /// All of the answer, its body cut off one byte above `most`.
    pub(super) async fn answer(mut self, most: usize) -> Result<Answer, Unreachable> {
        let enough = most.saturating_add(1);
        let mut body = Zeroizing::new(Vec::new());
        while body.len() < enough {
            let Some(bytes) = self.chunk().await? else { break };
            let room = enough - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok(Answer { status: self.status, headers: self.headers, body })
    }
}

type Conversation = (Response<Incoming>, Option<Boxed<hyper::Result<()>>>);

async fn converse(
    wires: &Wires,
    request: &Request,
    body: Outgoing,
    progress: &Progress,
) -> Result<Conversation, Unreachable> {
    let unfit = || Unreachable::Broken("the request is none that HTTP can carry".to_owned());
    let url: Uri = request.url.parse().map_err(|_| unfit())?;
    let secure = url.scheme_str() == Some("https");
    let host = url.host().ok_or_else(unfit)?.trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let message = message(request, &url, body).ok_or_else(unfit)?;

    let stream = FirstBytes::of(wires.reach(secure, host, port, progress).await?);
    let beginning = stream.beginning();
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(FuturesIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let mut connection: Boxed<hyper::Result<()>> = Box::pin(connection);
    let (answered, connection) = match select(pin!(sender.send_request(message)), &mut connection).await {
        Either::Left((answered, _)) => (answered, Some(connection)),
        // It is over, and so is the waiting: with an answer or without.
        Either::Right((ended, answering)) => match (answering.await, ended) {
            (Err(_), Err(why)) => (Err(why), None),
            (answered, _) => (answered, None),
        },
    };
    answered.map(|response| (response, connection)).map_err(|error| match beginning.explain() {
        Some(why) if !secure => Unreachable::Broken(why),
        Some(_) | None => broken(&error),
    })
}

/// The request as it goes over the wire.
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
    Unreachable::Broken(causes(error))
}
