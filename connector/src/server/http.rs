//! Port of the embedded connector: HTTP/1, and the upgrade to a WebSocket.

use super::exchange;
use super::hub::{Hub, Wake};
use super::post;
use super::socket;
use super::tls::ServerTls;
use crate::http::HttpResponse;
use crate::values::{ConnId, Upgrade};
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use relayline_core::machine::DialFailure;
use relayline_core::upgrade::Refusal;
use relayline_runtime::observe::{WireEvent, WireSide};
use relayline_runtime::serve::{Received, Server};
use relayline_tokio::Tokio;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Maximum time of a TLS handshake.
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time at the end in which gateways can answer the close frame.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves clients until the owner has dropped its handle, then closes the connections.
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

/// Serves the clients of the port. Returns only if the port cannot be used.
async fn accept(
    hub: &Arc<Hub>,
    server: &Server<Tokio>,
    listener: std::net::TcpListener,
    tls: Option<ServerTls>,
) {
    // The runtime may have no descriptor left to register the listener. No client can be accepted then.
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

/// Serves one client over any byte stream, such as a pipe in memory.
pub(super) async fn serve_stream<S>(hub: Arc<Hub>, server: Server<Tokio>, tls: Option<ServerTls>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Some(stream) = secure(tls, stream).await {
        server.serve_one(stream, |request| answer(&hub, request)).await;
    }
}

/// Byte stream of a client, over TLS or not.
trait Duplex: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin + Send {}
impl<T: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin + Send> Duplex for T {}

/// Returns the stream, after a TLS handshake if `tls` is set; `None` if the handshake fails.
async fn secure<S>(tls: Option<ServerTls>, stream: S) -> Option<Box<dyn Duplex>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = tls else { return Some(Box::new(stream.compat())) };
    let stream = tokio::time::timeout(TLS_HANDSHAKE_TIMEOUT, tls.accept(stream)).await.ok()?.ok()?;
    Some(Box::new(stream.compat()))
}

/// Answers a request: an upgrade to a WebSocket, or any other HTTP request.
async fn answer(hub: &Arc<Hub>, request: Request<Received>) -> Result<Response<Full<Bytes>>, NoResponse> {
    match websocket_key(request.headers()) {
        Some(key) => Ok(upgrade(hub, request, &key)),
        None => exchange::answer(hub, request).await.ok_or(NoResponse),
    }
}

/// Error returned when a request gets no response: the client has gone before the request was complete, or the state
/// file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the request gets no response")]
struct NoResponse;

/// Answers a request for a WebSocket. If the machine accepts it, a task serves the connection after the response.
fn upgrade(hub: &Arc<Hub>, mut request: Request<Received>, key: &str) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let (conn, wake) = hub.open();
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let has_token = authorization.is_some();
    let dial = |gateway_id| WireEvent::Dial { target: &path, gateway_id, has_token };
    match hub.with(|machine, now| machine.handle_upgrade(now, conn, &path, authorization)) {
        Upgrade::Refuse { status, body } => {
            hub.note(conn, dial(None));
            let refusal = Refusal::new(status, body.as_bytes());
            hub.note(conn, WireEvent::DialFailed(DialFailure::Refused(refusal)));
            hub.close(conn);
            let headers = vec![("content-type", "application/json".to_owned())];
            exchange::response(HttpResponse { status, headers, body: body.into() })
        }
        Upgrade::Accept { gateway } => {
            hub.note(conn, dial(Some(&gateway)));
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(run_socket(Arc::clone(hub), conn, wake, upgraded));
            switching_protocols(key)
        }
    }
}

/// Runs the WebSocket of an accepted connection, once the client has the response.
async fn run_socket(hub: Arc<Hub>, conn: ConnId, wake: Arc<Wake>, upgraded: OnUpgrade) {
    let limits = hub.read(|machine, _| machine.limits());
    if let Ok(upgraded) = upgraded.await {
        socket::run(&hub, conn, &wake, TokioIo::new(upgraded), limits).await;
    }
    // After an end by the connector it is not the gateway's.
    hub.note(conn, WireEvent::Cut { by: WireSide::Gateway, reason: "" });
    hub.close(conn);
}

/// Returns the response that accepts an upgrade with this key (RFC 6455, 4.2.2).
fn switching_protocols(key: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Returns the `Sec-WebSocket-Key` of a request for a WebSocket (RFC 6455, 4.2.1); `None` for any other request.
fn websocket_key(headers: &HeaderMap) -> Option<String> {
    let has_token = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    let is_upgrade = has_token(header::CONNECTION, "upgrade")
        && has_token(header::UPGRADE, "websocket")
        && has_token(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    is_upgrade.then(|| key.to_owned())
}
