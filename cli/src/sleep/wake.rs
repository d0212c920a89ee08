//! HTTP server of the wake URL: a GET of any path wakes the gateway. Requests carry nothing, and nothing of them is read.

use super::SleepGate;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use relayline_runtime::Runtime;
use relayline_runtime::serve::{Bounds, Received, Server};
use relayline_smol::Smol;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

/// Maximum number of connections: few clients wake a gateway.
const CLIENTS: usize = 16;

/// Serves the wake URL on `listener`, and never ends.
///
/// # Errors
/// The listener cannot be registered.
pub(super) async fn serve(listener: TcpListener, gate: &SleepGate) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    tracing::info!(address = %listener.local_addr()?, "wake_listening");
    let port = Smol.listen(listener)?;
    let server = Server::new(Smol, Bounds { clients: CLIENTS, ..Bounds::default() }, Arc::default());
    let answer = |request: Request<Received>| ready(Ok::<_, Infallible>(answer(request.method(), gate)));
    server.serve(port, |tcp| ready(Some(tcp)), answer, pending()).await;
    Ok(())
}

fn answer(method: &Method, gate: &SleepGate) -> Response<Full<Bytes>> {
    let (status, text) = match *method {
        Method::GET => {
            gate.request_wake();
            (StatusCode::OK, "awake\n")
        }
        // A check of the URL must not wake.
        Method::HEAD => (StatusCode::OK, ""),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed: use GET\n"),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
