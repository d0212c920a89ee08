//! Lingering close of a connection whose peer violated the WebSocket protocol.

use crate::dial::WebSocket;
use futures_util::future::select;
use futures_util::{AsyncReadExt, AsyncWriteExt, SinkExt};
use std::pin::pin;

/// Flushes the socket, whose last queued message is our close frame, and discards input until the peer closes or
/// `timeout` ends.
///
/// A socket that is dropped with unread bytes is reset, and the reset can overtake the close frame.
pub(super) async fn lingering_close(mut socket: WebSocket, timeout: impl Future<Output = ()>) {
    let closing = async {
        if socket.flush().await.is_err() {
            return;
        }
        let mut stream = socket.into_inner();
        // An error means that the peer has gone.
        let _ = stream.close().await;
        let mut scratch = vec![0; 8 << 10];
        while let Ok(1..) = stream.read(&mut scratch).await {}
    };
    select(pin!(closing), pin!(timeout)).await;
}
