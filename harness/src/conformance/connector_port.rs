//! Port of the player's connector: upgrades and WebSockets, whose bytes go to the player.

use crate::recording::Data;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::TokioAdapter;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use relayline_core::secret::Secret;
use relayline_runtime::CurrentRuntime;
use relayline_runtime::serve::{Bounds, Received, Server};
use relayline_tokio::Tokio;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Time to wait for the gateway's close frame after ours.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum size of a message of the gateway.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// RFC 6455, 7.4.1: no status code was in the close frame.
const NO_STATUS: u16 = 1005;

/// Input of the player from its port.
#[derive(Debug)]
pub(super) enum PortInput {
    /// A request for a WebSocket.
    Upgrade { path: String, authorization: Option<Secret>, answer: oneshot::Sender<UpgradeAnswer> },
    /// A message.
    Message { conn: u32, data: Data },
    /// A ping.
    Ping { conn: u32 },
    /// The end of a connection; the code and reason of the gateway's close frame, if it sent one.
    Closed { conn: u32, close: Option<(u16, String)> },
}

/// Answer to a request for a WebSocket.
#[derive(Debug)]
pub(super) enum UpgradeAnswer {
    /// Switch protocols. The socket then carries out what comes.
    Accept { conn: u32, outputs: mpsc::UnboundedReceiver<SocketOutput> },
    /// Refuse with this response.
    Refuse { status: u16, headers: Vec<(String, String)>, body: String },
}

/// Output on one socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum SocketOutput {
    /// Send a message.
    Message(Data),
    /// Send a close frame, and wait for the gateway's.
    Close(u16, String),
    /// Cut the TCP connection.
    Drop,
    /// Neither read nor write from now on, not even pongs.
    Stall,
}

/// A port that listens.
pub(super) struct ConnectorPort {
    listener: TcpListener,
    server: Server<Tokio>,
    inputs: mpsc::Sender<PortInput>,
}

impl ConnectorPort {
    /// Listens on a free port of this machine. Inputs go to `inputs`.
    pub(super) async fn bind(inputs: mpsc::Sender<PortInput>) -> io::Result<ConnectorPort> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let tokio = Tokio::current().map_err(io::Error::other)?;
        Ok(ConnectorPort { listener, server: Server::new(tokio, Bounds::default(), Arc::default()), inputs })
    }

    /// Returns the URL for the gateway.
    pub(super) fn url(&self) -> io::Result<String> {
        Ok(format!("ws://{}", self.listener.local_addr()?))
    }

    /// Serves without end.
    pub(super) async fn serve(self) {
        let answer = |request| async { Ok::<_, Infallible>(answer(self.inputs.clone(), request).await) };
        self.server.serve(self.listener, |tcp| ready(Some(tcp)), answer, pending()).await;
    }
}

async fn answer(inputs: mpsc::Sender<PortInput>, mut request: Request<Received>) -> Response<Full<Bytes>> {
    let text = |name| {
        let value: Option<&header::HeaderValue> = request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let Some(key) = text(header::SEC_WEBSOCKET_KEY) else {
        return response(
            StatusCode::NOT_FOUND.as_u16(),
            &[],
            "this connector serves WebSockets only".to_owned(),
        );
    };
    let (path, authorization) =
        (request.uri().path().to_owned(), text(header::AUTHORIZATION).map(Secret::new));
    let upgraded = hyper::upgrade::on(&mut request);
    let (sender, receiver) = oneshot::channel();
    let sent = inputs.send(PortInput::Upgrade { path, authorization, answer: sender }).await;
    match (sent, receiver.await) {
        (Ok(()), Ok(UpgradeAnswer::Accept { conn, outputs })) => {
            tokio::spawn(run(inputs, conn, outputs, upgraded));
            let mut response = response(101, &[], String::new());
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
            if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            }
            response
        }
        (Ok(()), Ok(UpgradeAnswer::Refuse { status, headers, body })) => response(status, &headers, body),
        // The scenario is over.
        (Err(_), _) | (_, Err(_)) => response(503, &[], "the scenario is over".to_owned()),
    }
}

fn response(status: u16, headers: &[(String, String)], body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Runs a WebSocket to its end. Returning drops the TCP connection.
async fn run(
    inputs: mpsc::Sender<PortInput>,
    conn: u32,
    mut outputs: mpsc::UnboundedReceiver<SocketOutput>,
    upgraded: OnUpgrade,
) {
    let mut close = None;
    if let Ok(upgraded) = upgraded.await {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let io = TokioAdapter::new(TokioIo::new(upgraded));
        let mut stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let mut deadline = None;
        loop {
            let read = tokio::select! {
                output = outputs.recv() => match output {
                    Some(SocketOutput::Message(data)) => {
                        let message = match data {
                            Data::Text(text) => Message::text(text),
                            Data::Binary(bytes) => Message::binary(bytes),
                        };
                        match stream.send(message).await {
                            Ok(()) => continue,
                            Err(_) => break,
                        }
                    }
                    Some(SocketOutput::Close(code, reason)) => {
                        deadline.get_or_insert(tokio::time::Instant::now() + CLOSE_TIMEOUT);
                        let frame = CloseFrame { code: code.into(), reason: reason.into() };
                        match stream.close(Some(frame)).await {
                            Ok(()) => continue,
                            Err(_) => break,
                        }
                    }
                    Some(SocketOutput::Drop) | None => break,
                    Some(SocketOutput::Stall) => {
                        // Until the player drops the socket.
                        while !matches!(outputs.recv().await, None | Some(SocketOutput::Drop)) {}
                        break;
                    }
                },
                read = stream.next() => read,
                () = until(deadline) => break,
            };
            let input = match read {
                Some(Ok(Message::Text(text))) => {
                    PortInput::Message { conn, data: Data::Text(text.as_str().to_owned()) }
                }
                Some(Ok(Message::Binary(bytes))) => {
                    PortInput::Message { conn, data: Data::Binary(bytes.to_vec()) }
                }
                Some(Ok(Message::Ping(_))) => PortInput::Ping { conn },
                Some(Ok(Message::Close(frame))) => {
                    close = Some(match frame {
                        Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned()),
                        None => (NO_STATUS, String::new()),
                    });
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(_)) | None => break,
            };
            if inputs.send(input).await.is_err() {
                break;
            }
        }
    }
    // Fails if the scenario is over.
    let _ = inputs.send(PortInput::Closed { conn, close }).await;
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}
