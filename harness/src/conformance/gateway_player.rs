//! Player against a gateway: its connector on a port, and its agent on the program's stdin and stdout.

use super::connector_port::{PortInput, UpgradeAnswer};
use super::journal::{Journal, Lane};
use super::play::Player;
use super::program::{Program, ProgramCommand, ProgramOutput};
use super::scenario::Scenario;
use super::socket::{SocketContent, SocketInput, SocketOutput};
use super::verdict::Verdict;
use crate::recording::{Data, LineContent, Rejection, Side as RecordedSide};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use relayline_connector::{
    Act, ConnId, ConnectorConfig, ConnectorMachine, Control, Transmit, Upgrade, UpgradeRefusal,
};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Id of the gateway under test.
const GATEWAY: &str = "conformance";
/// Time for the program to end after the last step, before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of lines that may wait for the player, and of messages for a socket.
const WAITING: usize = 1024;

/// Response to the next upgrades.
struct NextRefusal {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    times: u64,
}

/// The player.
pub(super) struct GatewayPlayer {
    machine: ConnectorMachine,
    origin: Instant,
    inputs: mpsc::Receiver<PortInput>,
    lines: mpsc::Receiver<ProgramOutput>,
    program: Option<Program>,
    sockets: BTreeMap<u32, mpsc::Sender<SocketOutput>>,
    next_conn: u32,
    refusal: Option<NextRefusal>,
    /// Time of the last end of a connection or dial.
    last_end: Option<Instant>,
    /// Connection that the player has ended itself. Its end was that time, not the one of the socket's report.
    ended_conn: Option<u32>,
    journal: Journal,
    secret: Secret,
    leaked: bool,
    ended: Option<String>,
}

impl GatewayPlayer {
    /// Starts the program, whose connector is at `url`.
    pub(super) fn start(
        scenario: &Scenario,
        words: Vec<String>,
        url: &str,
        inputs: mpsc::Receiver<PortInput>,
    ) -> std::io::Result<GatewayPlayer> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let secret = Secret::new(HEXLOWER.encode(&seed));
        getrandom::fill(&mut seed)?;
        let mut config = ConnectorConfig::default().gateway(GATEWAY, secret.clone());
        if scenario.connector.refuses_by_http {
            config = config.upgrade_refusal(UpgradeRefusal::Http);
        }
        let platforms: Vec<&str> = scenario.identities.iter().map(|(name, _)| name.as_str()).collect();
        let bots: Map<String, Value> =
            scenario.identities.iter().map(|(name, bot)| (name.clone(), json!({"botId": bot}))).collect();
        let mut env: Vec<(String, String)> = [
            ("URL", url.to_owned()),
            ("ID", GATEWAY.to_owned()),
            ("SECRET", secret.expose().to_owned()),
            ("PLATFORMS", platforms.join(",")),
            ("BOT_IDS", Value::Object(bots).to_string()),
        ]
        .map(|(name, value)| (format!("GATEWAY_RELAY_{name}"), value))
        .into();
        env.extend(scenario.env.clone());
        let (outputs, lines) = mpsc::channel(WAITING);
        let program = ProgramCommand { words, env }.start(outputs)?;
        Ok(GatewayPlayer {
            machine: ConnectorMachine::new(config, seed),
            origin: Instant::now(),
            inputs,
            lines,
            program: Some(program),
            sockets: BTreeMap::new(),
            next_conn: 0,
            refusal: None,
            last_end: None,
            ended_conn: None,
            journal: Journal::new(),
            secret,
            leaked: false,
            ended: None,
        })
    }

    fn now(&self) -> Now {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let us = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono: Time::from_micros(us), unix_s }
    }

    /// Gives the machine an input, and passes its outputs on.
    fn with<T>(&mut self, input: impl FnOnce(&mut ConnectorMachine, Now) -> T) -> T {
        let now = self.now();
        let result = input(&mut self.machine, now);
        self.pass_on(&Map::new());
        result
    }

    /// Passes the machine's outputs on. A dial gets the further fields.
    fn pass_on(&mut self, dial: &Map<String, Value>) {
        while let Some(observation) = self.machine.poll_observation() {
            let Ok(Value::Object(mut entry)) = serde_json::to_value(&observation) else { continue };
            if entry.get("saw").is_some_and(|saw| saw == "dial") {
                entry.extend(dial.clone());
            }
            self.journal.note(Lane::Protocol, Value::Object(entry));
        }
        let mut line = Vec::new();
        while let Some(transmit) = self.machine.poll_transmit(&mut line) {
            let (conn, output) = match transmit {
                Transmit::Frame { conn } => {
                    let data = Data::Text(String::from_utf8_lossy(&line).into_owned());
                    (conn, SocketOutput::Message(data))
                }
                Transmit::Close { conn, code, reason } => (conn, SocketOutput::Close(code, reason)),
                Transmit::Drop { conn } => (conn, SocketOutput::Drop),
            };
            self.send(conn.0, output);
        }
    }

    fn send(&mut self, conn: u32, output: SocketOutput) {
        let dial = Some(conn);
        match output.clone() {
            SocketOutput::Message(data) => self.journal.record(LineContent::Connector(data)),
            SocketOutput::Close(code, reason) => {
                (self.last_end, self.ended_conn) = (Some(Instant::now()), Some(conn));
                let by = RecordedSide::Connector;
                self.journal.record(LineContent::Close { by, dial, code: Some(code), reason });
            }
            SocketOutput::Drop => {
                (self.last_end, self.ended_conn) = (Some(Instant::now()), Some(conn));
                self.journal.record(LineContent::Drop { by: RecordedSide::Connector, dial });
            }
            SocketOutput::Ping => {}
            SocketOutput::Stall => {
                self.journal.record(LineContent::Note("the connector stops reading and writing".to_owned()));
            }
        }
        // A gateway that does not read is cut off: what waits for it is bounded. A socket that has ended reports it itself.
        if let Some(socket) = self.sockets.get(&conn)
            && socket.try_send(output).is_err()
        {
            self.sockets.remove(&conn);
        }
    }

    fn handle_port(&mut self, input: PortInput) {
        match input {
            PortInput::Upgrade { path, authorization, answer } => {
                let reply = self.upgrade(&path, authorization.as_ref());
                // Fails if the gateway has gone.
                let _ = answer.send(reply);
            }
            PortInput::Socket(SocketInput { conn, content }) => self.handle_socket(conn, content),
        }
    }

    fn handle_socket(&mut self, conn: u32, content: SocketContent) {
        match content {
            SocketContent::Message(data) => {
                let text = self.journal.note_message("dial", conn, &data);
                self.leaked |= text.contains(self.secret.expose());
                self.journal.record(LineContent::Gateway(data.clone()));
                self.with(|machine, now| machine.handle_bytes(now, ConnId(conn), data.bytes()));
            }
            SocketContent::Pong => {}
            SocketContent::Ping => self.journal.note(Lane::Wire, json!({"saw": "ping", "dial": conn})),
            SocketContent::Closed(close) => {
                if self.ended_conn != Some(conn) {
                    self.last_end = Some(Instant::now());
                }
                if let Some((code, reason)) = &close {
                    let (by, reason) = (RecordedSide::Gateway, reason.clone());
                    self.journal.record(LineContent::Close {
                        by,
                        dial: Some(conn),
                        code: Some(*code),
                        reason,
                    });
                }
                let (code, reason) =
                    close.map_or((None, String::new()), |(code, reason)| (Some(code), reason));
                self.with(|machine, now| machine.handle_closed(now, ConnId(conn), code, &reason));
                self.sockets.remove(&conn);
            }
        }
    }

    fn upgrade(&mut self, path: &str, authorization: Option<&Secret>) -> UpgradeAnswer {
        let now = self.now();
        let mut fields = Map::new();
        fields.insert("path".to_owned(), path.into());
        fields.insert("has_token".to_owned(), authorization.is_some().into());
        if let Some(end) = self.last_end {
            let ms = u64::try_from(end.elapsed().as_millis()).unwrap_or(u64::MAX);
            fields.insert("after_ms".to_owned(), ms.into());
        }
        if let Some(expires) = authorization.and_then(expiry) {
            let seconds = i64::try_from(expires).unwrap_or(i64::MAX) - i64::try_from(now.unix_s).unwrap_or(0);
            fields.insert("expires_in_s".to_owned(), seconds.into());
        }
        self.next_conn += 1;
        let conn = self.next_conn;
        let connect = LineContent::Connect {
            url_path: path.to_owned(),
            dial: Some(conn),
            authorization: None,
            headers: Map::new(),
            clock_unix_s: None,
        };
        self.journal.record(connect);
        let (status, headers, body) = match self.refusal.take() {
            Some(mut refusal) => {
                let answer = (refusal.status, refusal.headers.clone(), refusal.body.clone());
                fields.insert("saw".to_owned(), "dial".into());
                fields.insert("status".to_owned(), refusal.status.into());
                self.journal.note(Lane::Protocol, Value::Object(fields));
                refusal.times -= 1;
                self.refusal = Some(refusal).filter(|refusal| refusal.times > 0);
                answer
            }
            None => {
                let authorization = authorization.map(Secret::expose);
                match self.machine.handle_upgrade(now, ConnId(conn), path, authorization) {
                    Upgrade::Accept { .. } => {
                        let (sender, outputs) = mpsc::channel(WAITING);
                        self.sockets.insert(conn, sender);
                        self.pass_on(&fields);
                        return UpgradeAnswer::Accept { conn, outputs };
                    }
                    Upgrade::Refuse { status, body } => {
                        self.pass_on(&fields);
                        let json = ("content-type".to_owned(), "application/json".to_owned());
                        (status, vec![json], body)
                    }
                }
            }
        };
        self.last_end = Some(Instant::now());
        let answer = Rejection::new(status, Some(body.clone()));
        self.journal.record(LineContent::Reject { dial: Some(conn), answer });
        UpgradeAnswer::Refuse { status, headers, body }
    }

    async fn handle_output(&mut self, output: Option<ProgramOutput>) {
        match output {
            Some(ProgramOutput::Line(line)) => {
                let text = String::from_utf8_lossy(&line).into_owned();
                self.leaked |= text.contains(self.secret.expose());
                self.journal.record(LineContent::Note(format!("agent reads {text}")));
                let entry = serde_json::from_str(&text).ok().filter(Value::is_object);
                let entry = entry.unwrap_or_else(|| json!({"event": "unreadable", "line": text}));
                self.journal.note(Lane::Bridge, entry);
            }
            Some(ProgramOutput::End) | None if self.ended.is_none() => {
                let Some(program) = self.program.as_mut() else { return };
                let ended = tokio::time::timeout(END_TIMEOUT, program.ended()).await;
                let mut entry =
                    ended.unwrap_or_else(|_| json!({"event": "exit", "code": null, "hangs": true}));
                self.leaked |= program.log().contains(self.secret.expose());
                let code = entry.get("code").map(ToString::to_string).unwrap_or_default();
                if let Some(fields) = entry.as_object_mut() {
                    fields.insert("leaks_secret".to_owned(), self.leaked.into());
                }
                self.ended = Some(format!("the program has ended with code {code}"));
                self.journal.record(LineContent::Note(format!("the program has ended with code {code}")));
                self.journal.note(Lane::Bridge, entry);
            }
            Some(ProgramOutput::End) | None => {}
        }
    }

    /// Ends the program: its input ends, and after a while it is killed.
    pub(super) async fn finish(&mut self) {
        if let Some(program) = self.program.as_mut() {
            program.end_input();
        }
        let until = Instant::now() + END_TIMEOUT;
        while self.ended.is_none() && self.pump(until).await {}
        if let Some(program) = self.program.as_mut() {
            program.kill();
            let _ = tokio::time::timeout(END_TIMEOUT, program.ended()).await;
        }
    }

    /// Replaces the gateway's secret in a verdict.
    pub(super) fn redact(&self, verdict: &mut Verdict) {
        verdict.redact(&self.secret);
    }

    /// Returns the recording of the session and the last lines of the program's stderr, without the secret.
    pub(super) fn into_evidence(self, title: &str) -> (String, String) {
        let log = self.program.as_ref().map(Program::log).unwrap_or_default();
        let hidden = |text: String| text.replace(self.secret.expose(), "<hidden>");
        (hidden(self.journal.recording(title)), hidden(log))
    }

    /// Returns the newest open connection.
    fn newest(&self) -> Result<u32, String> {
        self.sockets.keys().last().copied().ok_or_else(|| "the gateway is not connected".to_owned())
    }
}

impl Player for GatewayPlayer {
    async fn act(&mut self, act: Map<String, Value>) -> Result<(), String> {
        let text = |name: &str| act.get(name).and_then(Value::as_str).map(str::to_owned);
        match act.get("do").and_then(Value::as_str).unwrap_or_default() {
            "frame" => {
                let frame = act.get("frame").cloned().unwrap_or_default().to_string();
                let length = act.get("pad").and_then(Value::as_u64).unwrap_or(0);
                let pad = "x".repeat(usize::try_from(length).unwrap_or(0));
                let text = format!("{}\n", frame.replace("${pad}", &pad));
                self.with(|machine, now| machine.control(now, Act::Raw { text }))
                    .map_err(|error| error.to_string())
            }
            "binary" => {
                let conn = self.newest()?;
                let bytes = match (text("text"), text("b64")) {
                    (Some(text), _) => text.into_bytes(),
                    (None, Some(b64)) => BASE64.decode(b64.as_bytes()).map_err(|error| error.to_string())?,
                    (None, None) => return Err("`binary` needs `text` or `b64`".to_owned()),
                };
                self.send(conn, SocketOutput::Message(Data::Binary(bytes)));
                Ok(())
            }
            "stall" => {
                let conn = self.newest()?;
                self.send(conn, SocketOutput::Stall);
                Ok(())
            }
            "end_input" => {
                if let Some(program) = self.program.as_mut() {
                    program.end_input();
                }
                Ok(())
            }
            "kill" => {
                if let Some(program) = self.program.as_mut() {
                    program.kill();
                }
                Ok(())
            }
            "refuse_upgrade" => {
                let headers = act.get("headers").and_then(Value::as_object).into_iter().flatten();
                let headers =
                    headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
                self.refusal = Some(NextRefusal {
                    status: act
                        .get("status")
                        .and_then(Value::as_u64)
                        .and_then(|n| u16::try_from(n).ok())
                        .unwrap_or(503),
                    headers: headers.collect(),
                    body: text("body").unwrap_or_default(),
                    times: act.get("times").and_then(Value::as_u64).unwrap_or(1).max(1),
                });
                Ok(())
            }
            _ => {
                let control = Control::from_fields(act).map_err(|error| error.to_string())?;
                self.with(|machine, now| machine.control(now, control)).map_err(|error| error.to_string())
            }
        }
    }

    fn agent(&mut self, line: &Value) {
        self.journal.record(LineContent::Note(format!("agent writes {line}")));
        if let Some(program) = &self.program {
            program.write(line);
        }
    }

    async fn inbound(&mut self, _: &Map<String, Value>, _: bool) -> Result<(), String> {
        Err("a gateway's scenario uses `do`".to_owned())
    }

    async fn pump(&mut self, until: Instant) -> bool {
        let deadline = self.machine.deadline().map(|at| self.origin + Duration::from_micros(at.as_micros()));
        let wake = deadline.map_or(until, |deadline| deadline.min(until));
        tokio::select! {
            biased;
            Some(input) = self.inputs.recv() => self.handle_port(input),
            output = self.lines.recv(), if self.ended.is_none() => self.handle_output(output).await,
            () = tokio::time::sleep_until(wake) => {
                if Instant::now() >= until {
                    return false;
                }
                self.with(|machine, now| machine.handle_tick(now));
            }
        }
        true
    }

    fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    fn end(&self) -> Option<String> {
        self.ended.clone()
    }
}

/// Returns the time at which an upgrade token expires, in Unix seconds (C-1).
fn expiry(authorization: &Secret) -> Option<u64> {
    let token = authorization.expose().strip_prefix("Bearer ")?;
    let token = BASE64URL_NOPAD.decode(token.trim_end_matches('=').as_bytes()).ok()?;
    let text = String::from_utf8(token).ok()?;
    text.rsplit(':').nth(1)?.parse().ok()
}
