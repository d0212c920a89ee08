//! Signed deliveries on their way to the gateways' own endpoints.

use super::hub::Hub;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Uri;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use relayline_core::http::{Body, Request};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Posts what the machine has, until it is dropped.
pub(super) async fn all(hub: &Arc<Hub>) {
    loop {
        let changed = hub.posts.notified();
        while let Some(post) = hub.post() {
            let hub = Arc::clone(hub);
            tokio::spawn(async move {
                let time = post.request.timeout;
                let outcome = match timeout(time, send(post.request)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(format!("no complete answer within {} s", time.as_secs())),
                };
                let outcome =
                    outcome.as_ref().map(|(status, body)| (*status, &body[..])).map_err(String::as_str);
                hub.with(|machine, _| machine.handle_posted(post.id, outcome));
            });
        }
        changed.await;
    }
}

async fn send(request: Request) -> Result<(u16, Bytes), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let uri: Uri = request.url.parse().map_err(|error| text(&error))?;
    if uri.scheme_str() != Some("http") {
        return Err("this connector posts to http endpoints only".to_owned());
    }
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream =
        TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await.map_err(|error| text(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
    let connection = tokio::spawn(connection);
    let body = match request.body {
        Body::Bytes(ref bytes) => Bytes::copy_from_slice(bytes),
        Body::Empty | Body::Upload(_) => Bytes::new(),
    };
    let mut head = hyper::Request::post(uri.path_and_query().map_or("/", |target| target.as_str()))
        .header("host", request.host());
    for (name, value) in &request.headers {
        head = head.header(*name, value.expose());
    }
    let sent = head.body(Full::new(body)).map_err(|error| text(&error))?;
    let answer = sender.send_request(sent).await.map_err(|error| text(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), request.max_answer).collect().await;
    connection.abort();
    // A body that is broken or too large says nothing, but the status does.
    Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
}
