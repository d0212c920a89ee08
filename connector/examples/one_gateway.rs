//! A connector in fifty lines: it takes one gateway over a real WebSocket, sends it a message, carries out its ops and
//! prints its reply. Start it, then a gateway:
//!
//! ```text
//! cargo run -p relayline-connector --example one_gateway
//! GATEWAY_RELAY_SECRET=s3cret cargo run -- run --url ws://127.0.0.1:8765 --gateway-id gw-1 \
//!     --platform discord --bot-id 1 --exec ./agent.py
//! ```
#![allow(clippy::print_stdout)] // The reply is its output.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // A driver has a clock and a socket.
#![allow(clippy::result_large_err)] // The WebSocket library's own type of a refusal.

use async_tungstenite::tokio::accept_hdr_async;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::server::{Request, Response};
use async_tungstenite::tungstenite::protocol::CloseFrame;
use futures_util::StreamExt;
use relayline_connector::{ConnId, ConnectorConfig, ConnectorMachine, Observation, Transmit, Upgrade};
use relayline_core::time::{Now, Time};
use std::error::Error;
use std::time::{Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("the agent replied: {}", ask(TcpListener::bind("127.0.0.1:8765").await?, "hello").await?);
    Ok(())
}

/// Accepts the gateway `gw-1`, delivers `text` to it, and returns the reply.
pub(crate) async fn ask(listener: TcpListener, text: &str) -> Result<String, Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    let mut machine = ConnectorMachine::new(ConnectorConfig::default().gateway("gw-1", "s3cret"), seed);
    let (conn, started, unix_s) = (ConnId(0), Instant::now(), SystemTime::UNIX_EPOCH.elapsed()?.as_secs());
    let now = || Now { mono: Time::ZERO + started.elapsed(), unix_s: unix_s + started.elapsed().as_secs() };

    // The machine checks the gateway's token.
    let upgrade = |request: &Request, response: Response| {
        let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        match machine.handle_upgrade(now(), conn, request.uri().path(), bearer) {
            Upgrade::Accept { .. } => Ok(response),
            Upgrade::Refuse { status, body } => {
                Err(Response::builder().status(status).body(Some(body)).unwrap_or_default())
            }
        }
    };
    let mut socket = accept_hdr_async(listener.accept().await?.0, upgrade).await?;

    let (mut out, mut reply) = (Vec::new(), None);
    loop {
        // Observations come first: the output that they cause is written below.
        while let Some(observation) = machine.poll_observation() {
            let Observation::Frame { frame, .. } = observation else { continue };
            if frame["type"] == "hello" {
                machine.say(now(), text)?;
            } else if frame["action"]["op"] == "send" {
                reply = frame["action"]["content"].as_str().map(str::to_owned);
                machine.shut_down();
            }
        }
        // The machine makes every frame: the descriptor, the message, the results of the gateway's ops.
        while let Some(transmit) = machine.poll_transmit(&mut out) {
            match transmit {
                Transmit::Frame { .. } => socket.send(Message::text(str::from_utf8(&out)?)).await?,
                Transmit::Close { code, reason, .. } => {
                    socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?;
                }
                Transmit::Drop { .. } => return Err("the gateway does not read".into()),
            }
        }
        // Input, or the machine's next deadline.
        let due = machine.deadline().unwrap_or(Time::NEVER).since(now().mono);
        match timeout(due, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => machine.handle_bytes(now(), conn, text.as_bytes()),
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_)) | None) => return reply.ok_or_else(|| "the gateway did not reply".into()),
            Err(_) => machine.handle_tick(now()),
        }
    }
}
