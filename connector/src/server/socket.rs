//! One gateway's WebSocket: bytes into the machine, frames out of it.

use super::hub::{Hub, Wake};
use crate::config::Limits;
use crate::values::{ConnId, Transmit};
use async_tungstenite::tokio::TokioAdapter;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, WebSocketStream};
use futures_util::StreamExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use relayline_runtime::observe::{WireEvent, WireSide};
use std::future::pending;
use std::time::Duration;

/// Transport of a WebSocket.
type Wire = TokioAdapter<TokioIo<Upgraded>>;

/// Time to write the rest and to receive the gateway's close frame, once the machine has ended a connection (L-4).
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// RFC 6455, 7.4.1: "no status code was in the close frame".
const NO_STATUS: u16 = 1005;

/// Runs the connection to its end. Returning drops the socket: that is how a connection is cut.
pub(super) async fn run(hub: &Hub, conn: ConnId, wake: &Wake, io: TokioIo<Upgraded>, limits: Limits) {
    let stream = WebSocketStream::from_raw_socket(TokioAdapter::new(io), Role::Server, Some(config(limits)));
    let (sender, receiver) = stream.await.split();
    tokio::select! {
        () = read(hub, conn, wake, receiver) => {}
        () = write(hub, conn, wake, sender) => {}
        () = async {
            wake.over.notified().await;
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        } => {}
    }
}

/// The default buffers would hold 128 KiB per connection. The message limit must be well above the line limit: a
/// message over its limit ends the connection, a line over its limit is only discarded (W-5).
fn config(limits: Limits) -> WebSocketConfig {
    let message = limits.max_line_bytes.saturating_mul(4).saturating_add(64 << 10);
    WebSocketConfig::default()
        .read_buffer_size(8192)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.write_bytes.max(1 << 20))
        .max_message_size(Some(message))
        .max_frame_size(Some(message))
}

/// Reads until the end. The library answers pings while the stream is polled.
async fn read(hub: &Hub, conn: ConnId, wake: &Wake, mut receiver: WebSocketReceiver<Wire>) {
    loop {
        let message = tokio::select! {
            biased;
            // Reading on would answer pings.
            () = wake.half_open.notified() => pending().await,
            message = receiver.next() => message,
        };
        let Some(message) = message else { return };
        match message {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                let bytes = message.into_data();
                hub.note(conn, WireEvent::Message { by: WireSide::Gateway, bytes: &bytes });
                hub.with(|machine, now| machine.handle_bytes(now, conn, &bytes));
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            // Polling goes on until the stream ends: the close frame is answered on the way.
            Ok(Message::Close(frame)) => {
                let (code, reason) = match &frame {
                    Some(frame) => (frame.code.into(), frame.reason.as_str()),
                    None => (NO_STATUS, ""),
                };
                let shown = frame.as_ref().map(|_| code);
                hub.note(conn, WireEvent::Close { by: WireSide::Gateway, code: shown, reason });
                hub.with(|machine, now| machine.handle_closed(now, conn, Some(code), reason));
            }
            Err(_) => return,
        }
    }
}

/// Writes what the machine has for this connection, in order; returns when the connection is to be cut.
async fn write(hub: &Hub, conn: ConnId, wake: &Wake, mut sender: WebSocketSender<Wire>) {
    let mut out = Vec::new();
    loop {
        let written = match hub.transmit(conn, &mut out) {
            None => {
                wake.write.notified().await;
                Ok(())
            }
            Some(Transmit::Frame { .. }) => {
                // Lines are made from JSON values and texts, so they are UTF-8.
                let message = Message::text(String::from_utf8_lossy(&out).into_owned());
                let bytes = message.clone().into_data();
                hub.note(conn, WireEvent::Message { by: WireSide::Connector, bytes: &bytes });
                sender.send(message).await
            }
            Some(Transmit::Close { code, reason, .. }) => {
                let event = WireEvent::Close { by: WireSide::Connector, code: Some(code), reason: &reason };
                hub.note(conn, event);
                sender.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await
            }
            Some(Transmit::Drop { .. }) => {
                hub.note(conn, WireEvent::Cut { by: WireSide::Connector, reason: "" });
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}
