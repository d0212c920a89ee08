//! Player against a connector: a gateway whose frames are the scenario's.

use super::against_connector::ConnectorTarget;
use super::journal::{Journal, Lane};
use super::play::Player;
use super::socket::{self, SocketContent, SocketInput, SocketOutput};
use crate::recording::{Data, LineContent, Rejection, Side as RecordedSide};
use async_tungstenite::tungstenite::protocol::Role;
use data_encoding::BASE64;
use relayline_core::line::{Line, LineSplitter};
use relayline_core::secret::Secret;
use relayline_core::token::{TOKEN_TTL_S, mint};
use relayline_runtime::http::{Client, Upgraded};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Maximum time of a dial.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum time of the command that has the connector deliver a message.
const INBOUND_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the connector to answer the close frame at the end.
const END_TIMEOUT: Duration = Duration::from_millis(1500);
/// Maximum length of a connector's line.
const MAX_LINE_BYTES: usize = 4 << 20;
/// Number of messages that may wait for the player, or for a socket.
const WAITING: usize = 1024;

/// Time for the next entry of the buffer to come, at the end.
const ENTRY_TIMEOUT: Duration = Duration::from_millis(300);
/// Maximum number of entries that are acknowledged at the end.
const MAX_UNACKED: usize = 100;
/// Maximum length of a message that a finding quotes, in characters.
const MAX_LAST_CHARS: usize = 200;

/// An open connection.
struct Connection {
    outputs: mpsc::Sender<SocketOutput>,
    lines: LineSplitter,
    /// Text of the last message.
    last: String,
}

/// The player.
pub(super) struct ConnectorPlayer {
    client: Client,
    target: ConnectorTarget,
    inputs: mpsc::Receiver<SocketInput>,
    sender: mpsc::Sender<SocketInput>,
    connections: BTreeMap<u32, Connection>,
    dials: u32,
    journal: Journal,
    /// Part of the text of each message of this scenario.
    nonce: String,
    /// Ids of entries of this scenario that are not acknowledged.
    unacked: BTreeSet<String>,
}

impl ConnectorPlayer {
    /// Creates a player. Messages of its scenario have the nonce in their texts.
    pub(super) fn new(target: &ConnectorTarget, nonce: &str) -> Result<ConnectorPlayer, String> {
        let client = relayline_tokio::http_client(&target.network).map_err(|error| error.to_string())?;
        let (sender, inputs) = mpsc::channel(WAITING);
        Ok(ConnectorPlayer {
            client,
            target: target.clone(),
            inputs,
            sender,
            connections: BTreeMap::new(),
            dials: 0,
            journal: Journal::new(),
            nonce: nonce.to_owned(),
            unacked: BTreeSet::new(),
        })
    }

    /// Acknowledges what the scenario has left, closes all connections, and returns the recording.
    pub(super) async fn finish(mut self, title: &str) -> String {
        // What is left would hold up the next scenario. The next entry comes after the ack.
        while let (Some(id), Some(conn)) = (self.unacked.pop_first(), self.connections.keys().last()) {
            let ack = json!({"type": "inbound_ack", "bufferId": id});
            self.send(*conn, SocketOutput::Message(Data::Text(format!("{ack}\n"))));
            let until = Instant::now() + ENTRY_TIMEOUT;
            while self.unacked.is_empty() && self.pump(until).await {}
        }
        let open: Vec<u32> = self.connections.keys().copied().collect();
        for conn in open {
            self.send(conn, SocketOutput::Close(1000, String::new()));
        }
        let until = Instant::now() + END_TIMEOUT;
        while !self.connections.is_empty() && self.pump(until).await {}
        self.journal.recording(title).replace(self.target.secret.expose(), "<hidden>")
    }

    /// Dials, and says hello if the act does not forbid it.
    async fn dial(&mut self, act: &Map<String, Value>) -> Result<(), String> {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (id, secret) = (self.target.gateway_id.as_str(), &self.target.secret);
        let token = match act.get("token").and_then(Value::as_str).unwrap_or("valid") {
            "valid" => Some(mint(id, secret, unix_s, TOKEN_TTL_S)),
            "expired" => Some(mint(id, secret, unix_s.saturating_sub(3600), TOKEN_TTL_S)),
            "wrong" => Some(mint(id, &Secret::from("not the secret"), unix_s, TOKEN_TTL_S)),
            "foreign" => Some(mint(&format!("{id}-other"), secret, unix_s, TOKEN_TTL_S)),
            "malformed" => Some(Secret::from("bm90IGEgdG9rZW4")),
            "none" => None,
            other => return Err(format!("`token`: there is no {other:?}")),
        };
        self.dials += 1;
        let conn = self.dials;
        let connect = LineContent::Connect {
            url_path: "/relay".to_owned(),
            dial: Some(conn),
            authorization: None,
            headers: Map::new(),
            clock_unix_s: None,
        };
        self.journal.record(connect);
        let answer = self.client.upgrade(&self.target.url, token, DIAL_TIMEOUT).await;
        let answer = answer.map_err(|error| format!("the connector cannot be reached: {error}"))?;
        match answer.outcome {
            Upgraded::Refused { body, .. } => {
                let status = answer.head.status.as_u16();
                let text = String::from_utf8_lossy(&body).into_owned();
                let error =
                    serde_json::from_str::<Value>(&text).ok().and_then(|body| body.get("error").cloned());
                self.journal.note(
                    Lane::Protocol,
                    json!({"saw": "refused", "conn": conn, "status": status, "error": error, "body": text}),
                );
                let answer = Rejection::new(status, Some(text));
                self.journal.record(LineContent::Reject { dial: Some(conn), answer });
            }
            Upgraded::Switched(stream) => {
                let (outputs, receiver) = mpsc::channel(WAITING);
                tokio::spawn(socket::run(stream, Role::Client, conn, self.sender.clone(), receiver));
                let lines = LineSplitter::new(MAX_LINE_BYTES);
                self.connections.insert(conn, Connection { outputs, lines, last: String::new() });
                self.journal.note(Lane::Protocol, json!({"saw": "open", "conn": conn}));
                if act.get("hello").and_then(Value::as_bool) != Some(false) {
                    let (platform, bot) = (&self.target.platform, &self.target.bot_id);
                    let hello = json!({"type": "hello", "platform": platform, "botId": bot});
                    self.send(conn, SocketOutput::Message(Data::Text(format!("{hello}\n"))));
                }
            }
        }
        Ok(())
    }

    /// Notes entries of the buffer, which must be acknowledged.
    fn note_entry(&mut self, frame: &Value) {
        let is_own = frame.pointer("/event/text").and_then(Value::as_str);
        if let Some(id) = frame.get("bufferId").and_then(Value::as_str)
            && is_own.is_some_and(|text| text.contains(&self.nonce))
            && self.unacked.len() < MAX_UNACKED
        {
            self.unacked.insert(id.to_owned());
        }
    }

    fn send(&mut self, conn: u32, output: SocketOutput) {
        match output.clone() {
            SocketOutput::Message(data) => self.journal.record(LineContent::Gateway(data)),
            SocketOutput::Close(code, reason) => {
                let (by, dial) = (RecordedSide::Gateway, Some(conn));
                self.journal.record(LineContent::Close { by, dial, code: Some(code), reason });
            }
            SocketOutput::Drop => {
                self.journal.record(LineContent::Drop { by: RecordedSide::Gateway, dial: Some(conn) });
            }
            SocketOutput::Ping | SocketOutput::Stall => {}
        }
        // A connector that does not read is cut off. A socket that has ended reports it itself.
        if let Some(connection) = self.connections.get(&conn)
            && connection.outputs.try_send(output).is_err()
        {
            self.connections.remove(&conn);
        }
    }

    fn handle(&mut self, SocketInput { conn, content }: SocketInput) {
        match content {
            SocketContent::Ping => {}
            SocketContent::Pong => self.journal.note(Lane::Wire, json!({"saw": "pong", "conn": conn})),
            SocketContent::Message(data) => {
                let text = self.journal.note_message("conn", conn, &data);
                let mut last: String = text.chars().take(MAX_LAST_CHARS).collect();
                if last.len() < text.len() {
                    last.push('…');
                }
                self.journal.record(LineContent::Connector(data.clone()));
                let Some(connection) = self.connections.get_mut(&conn) else { return };
                connection.last = last;
                let mut frames = Vec::new();
                let mut input = data.bytes();
                while let Some(line) = connection.lines.next(&mut input) {
                    let Line::Whole(line) = line else { continue };
                    let text = String::from_utf8_lossy(line);
                    if text.trim().is_empty() {
                        continue;
                    }
                    let entry = match serde_json::from_str::<Value>(&text).ok().filter(Value::is_object) {
                        Some(frame) => {
                            frames.push(frame.clone());
                            json!({"saw": "frame", "conn": conn, "frame": frame})
                        }
                        None => json!({"saw": "unreadable", "conn": conn, "line": text}),
                    };
                    self.journal.note(Lane::Protocol, entry);
                }
                frames.iter().for_each(|frame| self.note_entry(frame));
            }
            SocketContent::Closed(close) => {
                self.connections.remove(&conn);
                let (code, reason) =
                    close.map_or((None, String::new()), |(code, reason)| (Some(code), reason));
                if let Some(code) = code {
                    let (by, dial) = (RecordedSide::Connector, Some(conn));
                    let reason = reason.clone();
                    self.journal.record(LineContent::Close { by, dial, code: Some(code), reason });
                }
                let entry = json!({"saw": "closed", "conn": conn, "code": code, "reason": reason});
                self.journal.note(Lane::Protocol, entry);
            }
        }
    }
}

impl Player for ConnectorPlayer {
    async fn act(&mut self, act: Map<String, Value>) -> Result<(), String> {
        let text = |name: &str| act.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = text("do").unwrap_or_default();
        if name == "dial" {
            return self.dial(&act).await;
        }
        let newest = self.connections.keys().last().copied();
        let conn = newest.ok_or_else(|| "the connection has ended".to_owned())?;
        let output = match name.as_str() {
            "frame" => {
                let frame = act.get("frame").cloned().unwrap_or_default();
                if let Some(id) = frame.get("bufferId").and_then(Value::as_str) {
                    self.unacked.remove(id);
                }
                SocketOutput::Message(Data::Text(format!("{frame}\n")))
            }
            "raw" => SocketOutput::Message(Data::Text(text("text").unwrap_or_default())),
            "binary" => {
                let bytes = match text("b64") {
                    Some(b64) => BASE64.decode(b64.as_bytes()).map_err(|error| error.to_string())?,
                    None => text("text").unwrap_or_default().into_bytes(),
                };
                SocketOutput::Message(Data::Binary(bytes))
            }
            "ping" => SocketOutput::Ping,
            "close" => {
                let code = act.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
                SocketOutput::Close(code.unwrap_or(1000), text("reason").unwrap_or_default())
            }
            // The reader of scenarios refuses others.
            _ => SocketOutput::Drop,
        };
        self.send(conn, output);
        Ok(())
    }

    fn agent(&mut self, _: &Value) {}

    async fn inbound(&mut self, event: &Map<String, Value>, buffered: bool) -> Result<(), String> {
        let command = self.target.inbound_command.clone().unwrap_or_default();
        let line = json!({"do": "inbound", "event": event, "buffered": buffered});
        self.journal.record(LineContent::Note(format!("--inbound-command reads {line}")));
        let field = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let source = event.get("source");
        let mut child = Command::new("sh")
            .args(["-c", &command])
            .env("INBOUND_TEXT", field(event.get("text")))
            .env("INBOUND_CHAT_ID", field(source.and_then(|source| source.get("chat_id"))))
            .env("INBOUND_PLATFORM", &self.target.platform)
            .env("INBOUND_BUFFERED", if buffered { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("--inbound-command: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input is fine.
            let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
        }
        let status = tokio::time::timeout(INBOUND_TIMEOUT, child.wait()).await;
        match status {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("--inbound-command failed: {status}")),
            Ok(Err(error)) => Err(format!("--inbound-command: {error}")),
            Err(_) => Err(format!("--inbound-command has not ended within {INBOUND_TIMEOUT:?}")),
        }
    }

    async fn pump(&mut self, until: Instant) -> bool {
        match tokio::time::timeout_at(until, self.inputs.recv()).await {
            Ok(Some(input)) => {
                self.handle(input);
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    fn end(&self) -> Option<String> {
        let is_over = self.dials > 0 && self.connections.is_empty();
        is_over.then(|| "no connection is open".to_owned())
    }

    fn unfinished(&self) -> Option<String> {
        let connection =
            self.connections.values().rfind(|connection| connection.lines.pending_bytes() > 0)?;
        Some(format!("a frame has no newline at its end, and is not read: {}", connection.last))
    }
}
