//! Role of a connector for many gateways: it gives each some traffic, and answers its pings.

use crate::{Result, report};
use async_tungstenite::tokio::accept_async;
use async_tungstenite::tungstenite::Message;
use futures_util::StreamExt;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use relayline_bench::events::Frame;
use relayline_bench::machine::DESCRIPTOR;
use relayline_bench::process::allow_connections;
use relayline_bench::reports::{Listening, Served, TRAFFIC_EVENTS};
use relayline_bench::requests::{request_id, write_result};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Number of chats that the events of a gateway come from, in turn.
const CHATS: u64 = 5;

/// Accepts `count` gateways, over TLS with a new certificate if `with_tls`, and reports the number of their pings once all
/// have left.
pub(crate) async fn serve(count: usize, with_tls: bool) -> Result<()> {
    allow_connections(count)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let (tls, certificate) = with_tls.then(new_tls).transpose()?.unzip();
    report(&Listening { port, certificate })?;
    let mut connections = JoinSet::new();
    for _ in 0..count {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tls: Option<TlsAcceptor> = tls.clone();
        connections.spawn(async move {
            match tls {
                Some(tls) => converse(tls.accept(stream).await?).await,
                None => converse(stream).await,
            }
        });
    }
    let mut pings = 0;
    while let Some(ended) = connections.join_next().await {
        pings += ended??;
    }
    report(&Served { pings })
}

/// Creates a certificate for this computer. Returns the server's side of TLS with it, and the certificate in PEM form.
fn new_tls() -> Result<(TlsAcceptor, String)> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    Ok((TlsAcceptor::from(Arc::new(config)), cert.pem()))
}

/// Sends the events, and answers requests until the gateway leaves. Returns the number of its pings.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<u64> {
    let mut socket = accept_async(stream).await?;
    socket.next().await.ok_or("a gateway says no hello")??;
    socket.send(Message::text(format!("{DESCRIPTOR}\n"))).await?;
    let mut event = Frame::long();
    for number in 0..TRAFFIC_EVENTS {
        let frame = str::from_utf8(event.with(number, number % CHATS))?;
        socket.send(Message::text(frame)).await?;
    }
    drop(event);
    let mut pings = 0;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Ping(_) => pings += 1,
            Message::Text(text) => {
                if let Some(id) = request_id(text.as_bytes()) {
                    let mut result = Vec::new();
                    write_result(id, &mut result);
                    socket.send(Message::text(String::from_utf8(result)?)).await?;
                }
            }
            _ => {}
        }
    }
    Ok(pings)
}
