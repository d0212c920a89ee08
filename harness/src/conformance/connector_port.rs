//! Port of the player's connector: upgrades and WebSockets, whose bytes go to the player.

use super::socket::{self, SocketContent, SocketInput, SocketOutput};
use async_tungstenite::tokio::TokioAdapter;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::Role;
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
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Input of the player from its port.
#[derive(Debug)]
pub(super) enum PortInput {
    /// A request for a WebSocket.
    Upgrade { path: String, authorization: Option<Secret>, answer: oneshot::Sender<UpgradeAnswer> },
    /// An input of a socket.
    Socket(SocketInput),
}

/// Answer to a request for a WebSocket.
#[derive(Debug)]
pub(super) enum UpgradeAnswer {
    /// Switch protocols. The socket then carries out what comes.
    Accept { conn: u32, outputs: mpsc::Receiver<SocketOutput> },
    /// Refuse with this response.
    Refuse { status: u16, headers: Vec<(String, String)>, body: String },
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

/// Runs the WebSocket of an accepted upgrade.
async fn run(
    inputs: mpsc::Sender<PortInput>,
    conn: u32,
    outputs: mpsc::Receiver<SocketOutput>,
    upgraded: OnUpgrade,
) {
    let (sender, mut received) = mpsc::channel(1);
    let socket = async {
        match upgraded.await {
            Ok(upgraded) => {
                let io = TokioAdapter::new(TokioIo::new(upgraded));
                socket::run(io, Role::Server, conn, sender, outputs).await;
            }
            Err(_) => drop(sender.send(SocketInput { conn, content: SocketContent::Closed(None) }).await),
        }
    };
    let forward = async {
        while let Some(input) = received.recv().await {
            if inputs.send(PortInput::Socket(input)).await.is_err() {
                // The scenario is over.
                return;
            }
        }
    };
    // Both end with the socket.
    tokio::join!(socket, forward);
}
