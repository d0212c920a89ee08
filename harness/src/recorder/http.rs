//! The port: each request goes on to the connector, and an upgrade becomes two sockets that are joined.

use super::Trouble;
use super::pump;
use super::redact;
use super::scribe::Event;
use super::upstream::Upstream;
use super::writer::Writer;
use crate::recording::By;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use relayline_core::secret::Secret;
use relayline_runtime::http::Client;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::compat::FuturesAsyncReadCompatExt;

/// A client that does not finish its request's head in this time is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS: u32 = 1024;
/// How long open connections may take to end when the recorder does.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much of the body of a refusal is passed on and recorded.
const MOST_REFUSAL: usize = 1 << 20;

/// What is this hop's own (RFC 9110, 7.6.1), and no other's. `Expect` is answered here.
const OWN: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// What all connections share.
pub(super) struct Shared {
    pub(super) writer: Writer,
    pub(super) upstream: Upstream,
    pub(super) client: Client,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) complain: Arc<dyn Fn(Trouble) + Send + Sync>,
    /// That it is so has been told.
    pub(super) is_unreachable: AtomicBool,
}

impl Shared {
    /// The connector's answer, or that there is none, which is told.
    async fn forward(
        &self,
        request: Request<Incoming>,
        upgrades: bool,
    ) -> Result<Response<Incoming>, String> {
        let answer = forward(self, request, upgrades).await;
        let was_unreachable = self.is_unreachable.swap(answer.is_err(), Ordering::Relaxed);
        if let Err(problem) = &answer
            && !was_unreachable
        {
            (self.complain)(Trouble::Unreachable(problem.clone()));
        }
        answer
    }
}

/// Serves until it is stopped.
pub(super) async fn serve(shared: Arc<Shared>, listener: std::net::TcpListener) {
    // Only fails outside a runtime; then there is nothing to accept with.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let mut stopped = shared.stopped.clone();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match (permit, stream) {
            (Ok(permit), Ok((stream, _))) => {
                tokio::spawn(converse(Arc::clone(&shared), Arc::new(permit), stream));
            }
            // Out of file descriptors, most likely: some will come free.
            (_, Err(_)) | (Err(_), _) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    // Each has been told, and says in the recording that it was open.
    let _ = tokio::time::timeout(GOODBYE, room.acquire_many(CONNECTIONS)).await;
}

/// One connection of a gateway, until its last request is answered or it has become a WebSocket.
async fn converse(shared: Arc<Shared>, permit: Arc<OwnedSemaphorePermit>, stream: TcpStream) {
    // Without it small frames wait for the acknowledgement of the last; where it cannot be set they do.
    let _ = stream.set_nodelay(true);
    let mut stopped = shared.stopped.clone();
    let service = service_fn(move |request| {
        let (shared, permit) = (Arc::clone(&shared), Arc::clone(&permit));
        async move { Ok::<_, Infallible>(answer(shared, permit, request).await) }
    });
    let served = server::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // An error here is the client's: it went away, or it does not speak HTTP.
        _ = served => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    permit: Arc<OwnedSemaphorePermit>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    if !asks_for_websocket(request.headers()) {
        let asked = format!("{} {}", request.method(), redact::path(request.uri().path()));
        let response = match shared.forward(request, false).await {
            Ok(response) => response.map(BodyExt::boxed_unsync),
            Err(problem) => unreachable(&problem),
        };
        let text = format!("{asked} was answered {}", response.status().as_u16());
        shared.writer.record(0, Event::Note(text));
        return without_own(response);
    }
    let mut dial = Dialing::new(&shared.writer, &request);
    let gateway = hyper::upgrade::on(&mut request);
    match shared.forward(request, true).await {
        Err(problem) => {
            let response = unreachable(&problem);
            dial.refused(response.status(), unreachable_body(&problem).into_bytes());
            response
        }
        Ok(mut response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let connector = hyper::upgrade::on(&mut response);
            let stopped = shared.stopped.clone();
            tokio::spawn(async move {
                if let Ok((gateway, connector)) = futures_util::try_join!(gateway, connector) {
                    let number = dial.open();
                    let (gateway, connector) = (TokioIo::new(gateway), TokioIo::new(connector));
                    pump::run(&shared.writer, number, gateway, connector, stopped).await;
                }
                drop(permit);
            });
            response.map(BodyExt::boxed_unsync)
        }
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            let body = beginning(body).await;
            dial.refused(parts.status, body.clone().into());
            without_own(Response::from_parts(parts, whole(body)))
        }
    }
}

/// Asks the connector what was asked here.
async fn forward(
    Shared { upstream, client, .. }: &Shared,
    request: Request<Incoming>,
    is_upgrade: bool,
) -> Result<Response<Incoming>, String> {
    let (mut parts, body) = request.into_parts();
    let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
    parts.uri = upstream.target(asked).parse::<Uri>().map_err(|error| error.to_string())?;
    let host = HeaderValue::from_str(upstream.authority()).map_err(|error| error.to_string())?;
    parts.headers.insert(header::HOST, host);
    if is_upgrade {
        // What is compressed could not be read; no side needs it.
        parts.headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    } else {
        OWN.iter().for_each(|name| drop(parts.headers.remove(name)));
    }
    let stream = client.connect(&upstream.url).await.map_err(|why| why.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream.compat()))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // What goes wrong here shows in the answer, or in the socket.
        let _ = connection.with_upgrades().await;
    });
    sender.send_request(Request::from_parts(parts, body)).await.map_err(|error| error.to_string())
}

/// Whether a request asks for a WebSocket (RFC 6455, 4.2.1). The connector says whether it does so rightly.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("websocket"))
}

fn without_own(mut response: Response<Body>) -> Response<Body> {
    OWN.iter().for_each(|name| drop(response.headers_mut().remove(name)));
    response
}

/// The body of a refusal. It goes on whole, with its length in the head: many a WebSocket client takes what stands
/// behind the head as it is, and would read the sizes of chunks as a part of the text.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut kept = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        let room = MOST_REFUSAL - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if kept.len() == MOST_REFUSAL {
            break;
        }
    }
    kept.into()
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

fn unreachable(problem: &str) -> Response<Body> {
    let mut response = Response::new(whole(unreachable_body(problem)));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn unreachable_body(problem: &str) -> String {
    json!({ "error": format!("the recorder cannot reach the connector: {problem}") }).to_string()
}

/// A dial whose end is not recorded yet. Dropped before it was answered, its gateway went away.
struct Dialing {
    writer: Writer,
    number: u32,
    is_settled: bool,
}

impl Dialing {
    fn new(writer: &Writer, request: &Request<Incoming>) -> Dialing {
        let number = writer.dial();
        let value = |value: &HeaderValue| Secret::new(String::from_utf8_lossy(value.as_bytes()));
        let headers = request.headers().iter().map(|(name, held)| (name.as_str().to_owned(), value(held)));
        let path = request.uri().path_and_query().map_or("/", |asked| asked.as_str()).to_owned();
        writer.record(number, Event::Connect { path, headers: headers.collect() });
        Dialing { writer: writer.clone(), number, is_settled: false }
    }

    /// It is a socket now, and whoever has it says how it ends.
    fn open(mut self) -> u32 {
        self.is_settled = true;
        self.number
    }

    fn refused(&mut self, status: StatusCode, body: Vec<u8>) {
        if !std::mem::replace(&mut self.is_settled, true) {
            self.writer.record(self.number, Event::Reject { status: status.as_u16(), body });
            self.writer.record(self.number, Event::Over { note: None });
        }
    }
}

impl Drop for Dialing {
    fn drop(&mut self) {
        if !self.is_settled {
            self.writer.record(self.number, Event::Cut { by: By::Gateway });
            self.writer.record(self.number, Event::Over { note: None });
        }
    }
}
