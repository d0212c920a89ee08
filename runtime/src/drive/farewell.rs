//! The end of a connection whose peer broke the WebSocket protocol: it is told so, and gets the time to read it.

use crate::dial::Socket;
use futures_util::future::select;
use futures_util::{AsyncReadExt, AsyncWriteExt, SinkExt};
use std::pin::pin;

/// Sends what is queued, our close frame last, and reads on until the peer ends the connection or `patience` is over.
///
/// A socket that is dropped with unread bytes is reset, and a reset can overtake the close frame.
pub(super) async fn farewell(mut socket: Socket, patience: impl Future<Output = ()>) {
    let parting = async {
        if socket.flush().await.is_err() {
            return;
        }
        let mut stream = socket.into_inner();
        // Errors mean that the peer is gone already.
        let _ = stream.close().await;
        let mut scratch = vec![0; 8 << 10];
        while let Ok(1..) = stream.read(&mut scratch).await {}
    };
    select(pin!(parting), pin!(patience)).await;
}
