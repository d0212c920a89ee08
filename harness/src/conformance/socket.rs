//! A WebSocket of the player, on either side.

use crate::recording::Data;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use futures_util::{AsyncRead, AsyncWrite, StreamExt};
use std::future::pending;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Time to wait for the peer's close frame after ours.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of a message of the peer.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// RFC 6455, 7.4.1: no status code was in the close frame.
const NO_STATUS: u16 = 1005;

/// Input from a socket.
#[derive(Debug)]
pub(super) struct SocketInput {
    pub(super) conn: u32,
    pub(super) content: SocketContent,
}

/// Content of an input.
#[derive(Debug)]
pub(super) enum SocketContent {
    /// A message.
    Message(Data),
    /// A ping.
    Ping,
    /// A pong.
    Pong,
    /// The end of the connection; the code and reason of the peer's close frame, if it sent one.
    Closed(Option<(u16, String)>),
}

/// Output on one socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum SocketOutput {
    /// Send a message.
    Message(Data),
    /// Send a ping.
    Ping,
    /// Send a close frame, and wait for the peer's.
    Close(u16, String),
    /// Cut the TCP connection.
    Drop,
    /// Neither read nor write from now on, not even pongs.
    Stall,
}

/// Runs a WebSocket to its end, which is the last input. Returning drops the TCP connection.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    role: Role,
    conn: u32,
    inputs: mpsc::Sender<SocketInput>,
    mut outputs: mpsc::Receiver<SocketOutput>,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let mut stream = WebSocketStream::from_raw_socket(io, role, Some(config)).await;
    let mut deadline = None;
    let mut close = None;
    loop {
        let read = tokio::select! {
            output = outputs.recv() => {
                let written = match output {
                    Some(SocketOutput::Message(Data::Text(text))) => stream.send(Message::text(text)).await,
                    Some(SocketOutput::Message(Data::Binary(bytes))) => stream.send(Message::binary(bytes)).await,
                    Some(SocketOutput::Ping) => stream.send(Message::Ping(Vec::new().into())).await,
                    Some(SocketOutput::Close(code, reason)) => {
                        deadline.get_or_insert(Instant::now() + CLOSE_TIMEOUT);
                        stream.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await
                    }
                    Some(SocketOutput::Stall) => {
                        // Until the player drops the socket.
                        while !matches!(outputs.recv().await, None | Some(SocketOutput::Drop)) {}
                        break;
                    }
                    Some(SocketOutput::Drop) | None => break,
                };
                match written {
                    Ok(()) => continue,
                    Err(_) => break,
                }
            }
            read = stream.next() => read,
            () = until(deadline) => break,
        };
        let content = match read {
            Some(Ok(Message::Text(text))) => SocketContent::Message(Data::Text(text.as_str().to_owned())),
            Some(Ok(Message::Binary(bytes))) => SocketContent::Message(Data::Binary(bytes.to_vec())),
            Some(Ok(Message::Ping(_))) => SocketContent::Ping,
            Some(Ok(Message::Pong(_))) => SocketContent::Pong,
            Some(Ok(Message::Close(frame))) => {
                close = Some(match frame {
                    Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned()),
                    None => (NO_STATUS, String::new()),
                });
                continue;
            }
            Some(Ok(Message::Frame(_))) => continue,
            Some(Err(_)) | None => break,
        };
        if inputs.send(SocketInput { conn, content }).await.is_err() {
            break;
        }
    }
    // Fails if the scenario is over.
    let _ = inputs.send(SocketInput { conn, content: SocketContent::Closed(close) }).await;
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}
