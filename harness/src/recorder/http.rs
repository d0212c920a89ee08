//! The recorder's port: forwards requests to the connector, and joins two sockets after an upgrade.

use super::RecorderWarning;
use super::encoder::{UpgradeRejection, WireEvent};
use super::pump;
use super::redactor::Progress;
use super::upstream::Upstream;
use super::writer::Writer;
use crate::recording::Side;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use relayline_core::secret::Secret;
use relayline_runtime::http::{Client, UpgradeAnswer, Upgraded};
use relayline_runtime::serve::{Received, Server};
use relayline_tokio::Tokio;
use serde_json::json;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use zeroize::Zeroizing;

/// Maximum number of WebSockets. A further one is answered 503.
pub(super) const SOCKETS: u32 = 1024;
/// Time for open connections to end when the recorder does.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum size of a response that is searched for credentials.
const MAX_ISSUED_BYTES: usize = 64 << 10;

/// Headers of this hop that are not forwarded (RFC 9110, 7.6.1). The recorder answers `Expect` itself.
const NOT_FORWARDED: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

type Body = UnsyncBoxBody<Bytes, BodyError>;
type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// State shared by all connections.
pub(super) struct Shared {
    pub(super) writer: Writer,
    pub(super) upstream: Upstream,
    pub(super) client: Client,
    pub(super) stopped: watch::Receiver<bool>,
    /// Permits for WebSockets.
    pub(super) sockets: Arc<Semaphore>,
    pub(super) complain: Arc<dyn Fn(RecorderWarning) + Send + Sync>,
    /// True if the unreachable connector was reported.
    pub(super) is_unreachable: AtomicBool,
}

impl Shared {
    /// Returns the connector's response, and reports a failure.
    fn report_failure<T>(&self, answer: Result<T, String>) -> Result<T, String> {
        let was_unreachable = self.is_unreachable.swap(answer.is_err(), Ordering::Relaxed);
        if let Err(problem) = &answer
            && !was_unreachable
        {
            (self.complain)(RecorderWarning::Unreachable(problem.clone()));
        }
        answer
    }
}

/// Serves until the recorder stops.
pub(super) async fn serve(shared: Arc<Shared>, server: Server<Tokio>, listener: std::net::TcpListener) {
    // Fails only outside a runtime, where nothing can be accepted.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut stopped = shared.stopped.clone();
    let answer = |request| async { Ok::<_, Infallible>(answer(Arc::clone(&shared), request).await) };
    tokio::select! {
        () = server.serve(listener, |tcp| ready(Some(tcp)), answer, pending()) => {}
        // This also ends when the recorder is dropped.
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    // Each connection is stopped, and is recorded as open.
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, shared.sockets.acquire_many(SOCKETS)).await;
}

async fn answer(shared: Arc<Shared>, mut request: Request<Received>) -> Response<Body> {
    if !asks_for_websocket(request.headers()) {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let authorizations = request.headers().get_all(header::AUTHORIZATION);
        for value in authorizations {
            shared
                .writer
                .record(0, WireEvent::Authorized(Secret::new(String::from_utf8_lossy(value.as_bytes()))));
        }
        let response = match shared.report_failure(forward(&shared, request).await) {
            Ok(response) if issues_credentials(&path) => {
                response.map(|body| record_issued(body, &shared.writer))
            }
            Ok(response) => response.map(|body| body.map_err(BodyError::from).boxed_unsync()),
            Err(problem) => failure(StatusCode::BAD_GATEWAY, unreachable(&problem)),
        };
        let status = response.status().as_u16();
        shared.writer.record(0, WireEvent::Answered { method, path, status });
        return without_own(response);
    }
    let mut dial = PendingUpgrade::new(&shared.writer, &request);
    let mut refuse = |status: StatusCode, body: String| {
        let refused = UpgradeRejection {
            status: status.as_u16(),
            body: body.clone().into_bytes(),
            ..UpgradeRejection::default()
        };
        dial.refused(refused);
        failure(status, body)
    };
    let Ok(permit) = Arc::clone(&shared.sockets).try_acquire_owned() else {
        let error = format!("the recorder has {SOCKETS} sockets open: close some, or try again later");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error }).to_string());
    };
    let gateway = hyper::upgrade::on(&mut request);
    match shared.report_failure(forward_upgrade(&shared, request).await) {
        Err(problem) => refuse(StatusCode::BAD_GATEWAY, unreachable(&problem)),
        Ok(UpgradeAnswer { head, outcome: Upgraded::Switched(connector) }) => {
            let stopped = shared.stopped.clone();
            tokio::spawn(async move {
                if let Ok(gateway) = gateway.await {
                    let number = dial.open();
                    pump::run(&shared.writer, number, TokioIo::new(gateway), connector.compat(), stopped)
                        .await;
                }
                drop(permit);
            });
            Response::from_parts(head, whole(Bytes::new()))
        }
        Ok(UpgradeAnswer { mut head, outcome: Upgraded::Refused { body, is_whole } }) => {
            let text = |name: HeaderName| {
                head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            dial.refused(UpgradeRejection {
                status: head.status.as_u16(),
                body: body.clone(),
                is_cut: !is_whole,
                has_challenge: head.headers.contains_key(header::WWW_AUTHENTICATE),
                retry_after: text(header::RETRY_AFTER),
                location: text(header::LOCATION),
            });
            head.headers.remove(header::CONTENT_LENGTH);
            let body = if is_whole { whole(body) } else { cut(body, &mut head.headers) };
            without_own(Response::from_parts(head, body))
        }
    }
}

/// Returns the head of a request for the connector.
fn head_for(upstream: &Upstream, mut parts: request::Parts) -> Result<request::Parts, String> {
    let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
    parts.uri = upstream.target(asked).parse::<Uri>().map_err(|error| error.to_string())?;
    let host = HeaderValue::from_str(upstream.authority()).map_err(|error| error.to_string())?;
    parts.headers.insert(header::HOST, host);
    Ok(parts)
}

/// Forwards an upgrade to the connector.
async fn forward_upgrade(shared: &Shared, request: Request<Received>) -> Result<UpgradeAnswer, String> {
    let mut parts = head_for(&shared.upstream, request.into_parts().0)?;
    // Compressed frames could not be read.
    parts.headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    let answer = shared.client.pass_upgrade(&shared.upstream.url, parts).await;
    answer.map_err(|why| why.to_string())
}

/// Forwards a request to the connector.
async fn forward(
    Shared { upstream, client, .. }: &Shared,
    request: Request<Received>,
) -> Result<Response<Incoming>, String> {
    let (parts, body) = request.into_parts();
    let issues_credentials = issues_credentials(parts.uri.path());
    let mut parts = head_for(upstream, parts)?;
    if issues_credentials {
        // A compressed response could not be read.
        parts.headers.remove(header::ACCEPT_ENCODING);
    }
    NOT_FORWARDED.iter().for_each(|name| drop(parts.headers.remove(name)));
    let stream = client.connect(&upstream.url).await.map_err(|why| why.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream.compat()))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // A failure shows in the response.
        let _ = connection.await;
    });
    sender.send_request(Request::from_parts(parts, body)).await.map_err(|error| error.to_string())
}

/// Returns true if a response for this path may issue credentials (H-1, H-4).
fn issues_credentials(path: &str) -> bool {
    ["/relay/enroll", "/relay/provision"].iter().any(|known| path.trim_end_matches('/').ends_with(known))
}

/// Returns a response body that issues credentials. The writer gets it before the gateway has received all of it.
fn record_issued(body: Incoming, writer: &Writer) -> Body {
    let (writer, mut answer, mut progress) =
        (writer.clone(), Zeroizing::new(Vec::new()), Progress::default());
    let body = body.map_frame(move |frame| {
        let room = MAX_ISSUED_BYTES - answer.len();
        if let Some(piece) = frame.data_ref().filter(|piece| piece.len() <= room && !progress.is_whole()) {
            answer.extend_from_slice(piece);
            progress.read(piece);
            if progress.is_whole() {
                writer.record(0, WireEvent::Issued(Secret::new(String::from_utf8_lossy(&answer))));
            }
        }
        frame
    });
    body.map_err(BodyError::from).boxed_unsync()
}

/// Returns true if a request asks for a WebSocket (RFC 6455, 4.2.1). The connector validates it.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("websocket"))
}

fn without_own(mut response: Response<Body>) -> Response<Body> {
    NOT_FORWARDED.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    response
}

/// Returns an incomplete body that must not look complete to the gateway (L-8): its `Content-Length` is too large. It
/// has no chunks, because many WebSocket clients take the bytes after the head unchanged.
fn cut(body: Vec<u8>, headers: &mut HeaderMap) -> Body {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len() + 1));
    let ended = BodyError::from("the connector's answer was not whole");
    let frames = [Ok(Frame::data(Bytes::from(body))), Err(ended)];
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

fn failure(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn unreachable(problem: &str) -> String {
    json!({ "error": format!("the recorder cannot reach the connector: {problem}") }).to_string()
}

/// A dial without a recorded end. If it is dropped before the response, its gateway has gone.
struct PendingUpgrade {
    writer: Writer,
    number: u32,
    is_settled: bool,
}

impl PendingUpgrade {
    fn new(writer: &Writer, request: &Request<Received>) -> PendingUpgrade {
        let number = writer.dial();
        let value = |value: &HeaderValue| Secret::new(String::from_utf8_lossy(value.as_bytes()));
        let headers = request.headers().iter().map(|(name, held)| (name.as_str().to_owned(), value(held)));
        let path = request.uri().path_and_query().map_or("/", |asked| asked.as_str()).to_owned();
        writer.record(number, WireEvent::Connect { path, headers: headers.collect(), gateway_id: None });
        PendingUpgrade { writer: writer.clone(), number, is_settled: false }
    }

    /// Marks the dial as open. The socket's task records its end.
    fn open(mut self) -> u32 {
        self.is_settled = true;
        self.number
    }

    fn refused(&mut self, refused: UpgradeRejection) {
        if !std::mem::replace(&mut self.is_settled, true) {
            self.writer.record(self.number, WireEvent::Reject(refused));
            self.writer.record(self.number, WireEvent::Over { note: None });
        }
    }
}

impl Drop for PendingUpgrade {
    fn drop(&mut self) {
        if !self.is_settled {
            self.writer.record(self.number, WireEvent::Cut { by: Side::Gateway });
            self.writer.record(self.number, WireEvent::Over { note: None });
        }
    }
}
