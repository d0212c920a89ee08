//! Lingering close of a connection whose peer violated the WebSocket protocol.

use crate::web_socket::WebSocket;
use futures_util::future::select;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use std::future::poll_fn;
use std::pin::pin;

/// Flushes the socket, whose last queued message is our close frame, and discards input until the peer closes or
/// `timeout` ends.
///
/// A socket that is dropped with unread bytes is reset, and the reset can overtake the close frame.
pub(super) async fn lingering_close(mut socket: WebSocket, timeout: impl Future<Output = ()>) {
    let closing = async {
        let flushed = poll_fn(|cx| {
            socket.set_waker(cx.waker());
            socket.poll_flush()
        });
        if flushed.await.is_err() {
            return;
        }
        let mut stream = socket.into_stream();
        // An error means that the peer has gone.
        let _ = stream.close().await;
        let mut scratch = vec![0; 8 << 10];
        while let Ok(1..) = stream.read(&mut scratch).await {}
    };
    select(pin!(closing), pin!(timeout)).await;
}
