//! A connector's socket controlled by the test, which decides when it is read.

use super::wiring::Wiring;
use super::{SOON, Wire, config, connect};
use crate::Kit;
use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{self, Message, WebSocket};
use relayline_connector::chats::Platform;
use relayline_runtime::{Inbox, Relay};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};

/// Address that a gateway dials, and the wiring to it.
pub(crate) struct Peer(TcpListener, Wiring);

/// Connection of a gateway.
pub(crate) struct Link(pub(crate) WebSocket<TcpStream>);

impl Peer {
    pub(crate) fn listen(wire: Wire) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wiring = Wiring::to(wire, listener.local_addr().unwrap());
        Peer(listener, wiring)
    }

    pub(crate) fn url(&self) -> String {
        self.1.url.clone()
    }

    /// Starts a gateway that dials it.
    pub(crate) fn connect(&self, kit: &Kit, settings: &[(&str, &str)]) -> (Relay, Inbox) {
        connect(kit, self.1.wire, config(&self.url(), settings), self.1.opener())
    }

    /// Accepts the next connection and completes its handshake.
    pub(crate) fn accept(&self) -> Link {
        let (stream, _) = self.0.accept().unwrap();
        // A missing or unread message must not block a test for ever.
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        let mut wire = Link(tungstenite::accept(stream).unwrap());
        for platform in ["discord", "telegram"] {
            assert_eq!(wire.frame().unwrap()["platform"], platform);
            wire.say(&json!({"type": "descriptor", "descriptor": Platform::named(platform).descriptor}));
        }
        wire
    }
}

impl Link {
    /// Splits the connection into an end for reading and an end for writing.
    pub(crate) fn split(self) -> (Link, Link) {
        let writer = WebSocket::from_raw_socket(self.0.get_ref().try_clone().unwrap(), Role::Server, None);
        (self, Link(writer))
    }

    /// Returns the next frame; `None` at the end of the connection.
    pub(crate) fn frame(&mut self) -> Option<Value> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Returns the next request's id and content. They are cut out of the text, since parsing thousands of frames is
    /// slow.
    pub(crate) fn request(&mut self) -> Option<(String, String)> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => {
                    let field = |name: &str| {
                        let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
                        Some(rest.split_once('"')?.0.to_owned())
                    };
                    if let (Some(id), Some(content)) = (field("requestId"), field("content")) {
                        return Some((id, content));
                    }
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) fn say(&mut self, frame: &Value) {
        self.say_lines(format!("{frame}\n"));
    }

    /// Sends complete lines as one message (W-1).
    pub(crate) fn say_lines(&mut self, lines: String) {
        self.0.send(Message::text(lines)).unwrap();
    }

    /// Answers a request with success.
    pub(crate) fn answer(&mut self, request: &Value) {
        let result = json!({"success": true, "message_id": request["requestId"]});
        self.say(&json!({"type": "outbound_result", "requestId": request["requestId"], "result": result}));
    }
}

/// Returns the line of a live message without an id.
pub(crate) fn inbound_line(text: &str) -> String {
    format!("{{\"type\":\"inbound\",\"event\":{{\"text\":\"{text}\",\"source\":{{\"chat_id\":\"1\"}}}}}}\n")
}

/// Returns the line of a successful result. The message's id is the request's.
pub(crate) fn result_line(id: &str) -> String {
    format!(
        "{{\"type\":\"outbound_result\",\"requestId\":\"{id}\",\"result\":{{\"success\":true,\"message_id\":\"{id}\"}}}}\n"
    )
}

/// Returns the frame of a live message.
pub(crate) fn inbound(text: &str) -> Value {
    let source = json!({"platform": "discord", "chat_id": "1", "user_id": "2"});
    json!({"type": "inbound", "event": {"text": text, "message_id": format!("m-{text}"), "source": source}})
}

/// Returns the frame of a buffered message.
pub(crate) fn buffered(text: &str, id: &str) -> Value {
    let mut frame = inbound(text);
    frame["bufferId"] = json!(id);
    frame
}
