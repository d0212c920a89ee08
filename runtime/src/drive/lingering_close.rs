//! Lingering close of a connection whose peer violated the WebSocket protocol.

use super::writer::SharedWriter;
use crate::web_socket::WebSocket;
use futures_util::future::select;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Flushes the socket, whose last queued message is our close frame, and discards input until the peer closes or
/// `timeout` ends.
///
/// A socket that is dropped with unread bytes is reset, and the reset can overtake the close frame.
pub(super) async fn lingering_close(writer: SharedWriter, timeout: impl Future<Output = ()>) {
    let closing = async {
        if poll(&writer, WebSocket::poll_flush).await.is_err() {
            return;
        }
        // An error means that the peer has gone.
        let _ = poll(&writer, WebSocket::poll_shut_down).await;
        poll(&writer, WebSocket::poll_discard).await;
    };
    select(pin!(closing), pin!(timeout)).await;
}

/// Waits for an operation of the socket.
async fn poll<T>(writer: &SharedWriter, mut operation: impl FnMut(&mut WebSocket) -> Poll<T>) -> T {
    poll_fn(|cx| {
        let mut writer = writer.lock();
        writer.web_socket.set_waker(cx.waker());
        operation(&mut writer.web_socket)
    })
    .await
}
