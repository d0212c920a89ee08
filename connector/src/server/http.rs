//! The port: HTTP/1, and the upgrade to a WebSocket.

use super::exchange;
use super::hub::Hub;
use super::post;
use super::socket;
use super::tls::ServerTls;
use crate::values::Upgrade;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use relayline_runtime::serve::{Received, Server};
use relayline_tokio::Tokio;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Maximum time of a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the gateways to answer the close frame at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until the owner has dropped its handle.
pub(super) async fn serve(
    hub: Arc<Hub>,
    server: Server<Tokio>,
    listener: std::net::TcpListener,
    tls: Option<ServerTls>,
) {
    tokio::select! {
        () = accept(&hub, &server, listener, tls) => {}
        () = run_timer(&hub) => {}
        () = post::run(&hub) => {}
        () = hub.stopped.notified() => {}
    }
    hub.with(|machine, _| machine.shut_down());
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, async {
        while hub.connections() > 0 {
            hub.ended.notified().await;
        }
    })
    .await;
}

async fn accept(
    hub: &Arc<Hub>,
    server: &Server<Tokio>,
    listener: std::net::TcpListener,
    tls: Option<ServerTls>,
) {
    // Fails only outside a runtime, where nothing can be accepted.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let open = |tcp: Compat<TcpStream>| secure(tls.clone(), tcp.into_inner());
    server.serve(listener, open, |request| answer(hub, request), pending()).await;
}

/// Ticks the machine at its deadlines.
async fn run_timer(hub: &Hub) {
    loop {
        let changed = hub.timer.notified();
        match hub.deadline() {
            None => changed.await,
            Some(deadline) => tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(hub.until(deadline)) => hub.with(|machine, now| machine.handle_tick(now)),
            },
        }
    }
}

/// Serves a connection without a socket.
pub(super) async fn serve_stream<S>(hub: Arc<Hub>, server: Server<Tokio>, tls: Option<ServerTls>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Some(stream) = secure(tls, stream).await {
        server.serve_one(stream, |request| answer(&hub, request)).await;
    }
}

/// A byte stream, over TLS or not.
trait Duplex: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin + Send {}
impl<T: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin + Send> Duplex for T {}

/// Puts TLS on a connection if configured. Returns `None` if the handshake fails.
async fn secure<S>(tls: Option<ServerTls>, stream: S) -> Option<Box<dyn Duplex>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else { return Some(Box::new(stream.compat())) };
    let stream = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await.ok()?.ok()?;
    Some(Box::new(stream.compat()))
}

async fn answer(hub: &Arc<Hub>, request: Request<Received>) -> Result<Response<Full<Bytes>>, Gone> {
    match websocket_key(request.headers()) {
        Some(key) => Ok(upgrade(hub, request, &key)),
        None => exchange::answer(hub, request).await.ok_or(Gone),
    }
}

/// Error returned when the client has gone before its request was complete.
#[derive(Debug, thiserror::Error)]
#[error("the request ended before its time")]
struct Gone;

fn upgrade(hub: &Arc<Hub>, mut request: Request<Received>, key: &str) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let (conn, wake) = hub.open();
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match hub.with(|machine, now| machine.handle_upgrade(now, conn, &path, authorization)) {
        Upgrade::Refuse { status, body } => {
            hub.close(conn);
            json(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), body)
        }
        Upgrade::Accept { .. } => {
            let limits = hub.with(|machine, _| machine.limits());
            let upgrade = hyper::upgrade::on(&mut request);
            let hub = Arc::clone(hub);
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    socket::run(&hub, conn, &wake, TokioIo::new(upgraded), limits).await;
                }
                hub.close(conn);
            });
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
            if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
            response
        }
    }
}

/// Returns the key of a request for a WebSocket (RFC 6455, 4.2.1).
fn websocket_key(headers: &HeaderMap) -> Option<String> {
    let says = |name: HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let asks = says(header::CONNECTION, "upgrade")
        && says(header::UPGRADE, "websocket")
        && says(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    asks.then(|| key.to_owned())
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
