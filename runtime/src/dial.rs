//! One dial: a connection, and the upgrade on it. What it comes to is the machine's to judge.

use crate::causes::causes;
use crate::wires::{Stream, Wires};
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::error::Error as WsError;
use async_tungstenite::tungstenite::http::HeaderValue;
use async_tungstenite::tungstenite::http::header::AUTHORIZATION;
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use async_tungstenite::{WebSocketStream, client_async_with_config};
use relayline_core::config::Config;
use relayline_core::secret::Secret;
use std::fmt;

/// An upgraded socket.
pub(crate) type Socket = WebSocketStream<Stream>;

/// A dial that came to nothing.
#[derive(Debug)]
pub(crate) struct DialError {
    /// The answer's status, when there was an answer.
    pub(crate) status: Option<u16>,
    /// What came with it.
    pub(crate) body: Vec<u8>,
    pub(crate) reason: String,
}

impl DialError {
    fn new(reason: impl fmt::Display) -> Self {
        DialError { status: None, body: Vec::new(), reason: reason.to_string() }
    }
}

/// The least room for one WebSocket message. One that goes over the room ends the connection, so it is far above
/// `max_line_bytes`: an overlong line must cost no more than itself (W-5).
const LEAST_MESSAGE_ROOM: usize = 16 << 20;

pub(crate) async fn dial(wires: &Wires, config: &Config, token: Option<Secret>) -> Result<Socket, DialError> {
    let url = &config.url;
    let reached = wires.reach(url.is_secure(), url.host(), url.port()).await;
    let stream =
        reached.map_err(|cause| DialError::new(format_args!("{}:{}: {cause}", url.host(), url.port())))?;
    let mut request = url.as_str().into_client_request().map_err(|error| upgrade_error(&error))?;
    if let Some(token) = token {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| DialError::new("the token cannot be a header"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    let room = config.limits.max_line_bytes.saturating_mul(4).max(LEAST_MESSAGE_ROOM);
    let settings = WebSocketConfig::default()
        // The default buffer costs 128 KiB a connection and is no faster.
        .read_buffer_size(8 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(config.limits.write_queue_bytes.saturating_add(64 << 10))
        .max_message_size(Some(room))
        .max_frame_size(Some(room));
    match client_async_with_config(request, stream, Some(settings)).await {
        Ok((socket, _)) => Ok(socket),
        Err(error) => Err(upgrade_error(&error)),
    }
}

fn upgrade_error(error: &WsError) -> DialError {
    match error {
        WsError::Http(answer) => DialError {
            status: Some(answer.status().as_u16()),
            body: answer.body().clone().unwrap_or_default(),
            reason: match answer.status().as_u16() {
                401 => {
                    "the upgrade was answered 401 Unauthorized: check the gateway's id and secret".to_owned()
                }
                _ => format!("the upgrade was answered {}", answer.status()),
            },
        },
        error => DialError::new(format_args!("the upgrade failed: {}", causes(error))),
    }
}
