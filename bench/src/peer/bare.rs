//! WebSocket client without a gateway: it reads messages, or sends frames that are encoded in advance.

use crate::Result;
use crate::hand_written::{HELLO, connect};
use crate::meter::{RoundTripMeter, ThroughputMeter};
use async_tungstenite::tokio::TokioAdapter;
use async_tungstenite::tungstenite::{Message, Utf8Bytes};
use async_tungstenite::{WebSocketStream, client_async};
use futures_util::{AsyncRead, AsyncWrite, StreamExt};
use relayline_bench::reports::{RoundTrips, Throughput, WARM_UP_ROUND_TRIPS};
use relayline_bench::requests::Outbound;
use std::time::Instant;

/// Reads events on tokio without parsing them, and measures `count` of them.
pub(crate) async fn receive(port: u16, count: u64) -> Result<Throughput> {
    let mut socket = connect(port).await?;
    tokio::spawn(async move {
        // The descriptor.
        read_text(&mut socket).await?;
        let mut meter = ThroughputMeter::new(count);
        loop {
            read_text(&mut socket).await?;
            if let Some(report) = meter.count()? {
                return Ok(report);
            }
        }
    })
    .await?
}

/// Measures `count` round trips on tokio.
pub(crate) async fn request_on_tokio(port: u16, count: u64) -> Result<RoundTrips> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    request(TokioAdapter::new(stream), count).await
}

/// Measures `count` round trips on smol.
pub(crate) async fn request_on_smol(port: u16, count: u64) -> Result<RoundTrips> {
    let stream = smol::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    request(stream, count).await
}

async fn request<S: AsyncRead + AsyncWrite + Unpin>(stream: S, count: u64) -> Result<RoundTrips> {
    let (mut socket, _) = client_async("ws://127.0.0.1/relay", stream).await?;
    socket.send(Message::text(HELLO)).await?;
    // The descriptor.
    read_text(&mut socket).await?;
    let mut frame = Vec::new();
    Outbound::new().write(&mut frame);
    let frame = Utf8Bytes::try_from(frame)?;
    let mut meter = RoundTripMeter::new();
    for _ in 0..WARM_UP_ROUND_TRIPS + count {
        let message = Message::Text(frame.clone());
        let started = Instant::now();
        socket.send(message).await?;
        read_text(&mut socket).await?;
        meter.count(started);
    }
    meter.report()
}

async fn read_text<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Result<Utf8Bytes> {
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message? {
            return Ok(text);
        }
    }
    Err("the connection ended".into())
}
