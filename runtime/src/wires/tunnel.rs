//! A tunnel through an HTTP proxy (RFC 9110, 9.3.6).

use super::Stream;
use crate::causes::causes;
use futures_util::future::join;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode};
use relayline_core::secret::Secret;
use smol_hyper::rt::FuturesIo;

/// Asks the proxy at the other end of `stream` for a tunnel. The error says why there is none.
pub(super) async fn open(
    stream: Stream,
    host: &str,
    port: u16,
    authorization: Option<&Secret>,
) -> Result<Stream, String> {
    let broken = |error: hyper::Error| format!("the connection broke ({})", causes(&error));
    let (mut sender, connection) = http1::handshake(FuturesIo::new(stream)).await.map_err(broken)?;
    let request = connect(host, port, authorization).ok_or("its user and password cannot be a header")?;
    // Only the status counts. With the sender and the body gone the connection ends, whatever the answer was.
    let asked = async move { sender.send_request(request).await.map(|answer| answer.status()) };
    let (status, ended) = join(asked, connection.without_shutdown()).await;
    let status = status.map_err(broken)?;
    if !status.is_success() {
        return Err(refused(status));
    }
    let parts = ended.map_err(broken)?;
    // Whoever is behind it waits for us to speak first.
    match parts.read_buf.is_empty() {
        true => Ok(parts.io.into_inner()),
        false => Err("it sent more than an answer".to_owned()),
    }
}

fn connect(host: &str, port: u16, authorization: Option<&Secret>) -> Option<Request<Empty<Bytes>>> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = Request::connect(&target).header(HOST, &target).body(Empty::new()).ok()?;
    if let Some(secret) = authorization {
        let mut value = HeaderValue::try_from(secret.expose()).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    Some(request)
}

fn refused(status: StatusCode) -> String {
    let advice = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "give it a user and password that it knows, as in http://user:password@proxy.example:3128"
        }
        _ => "it does not let this host through: ask who runs it, or name the host in NO_PROXY",
    };
    format!("it answered {status}; {advice}")
}
