//! Pass-through between the gateway and its connector, which alters what the bug says.

use crate::bugs::Bug;
use crate::frames::{self, WireFrame};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Opcode of a text message.
const TEXT: u8 = 1;
/// Opcode of a close frame.
pub(crate) const CLOSE: u8 = 8;
/// Opcode of a pong.
pub(crate) const PONG: u8 = 10;

/// What a bug knows of the session.
#[derive(Default)]
pub(crate) struct State {
    /// Number of dials.
    pub(crate) dials: usize,
    /// Head of the first request.
    pub(crate) first_request: String,
    /// Head of the last request.
    pub(crate) last_request: String,
    /// Address of the connector.
    pub(crate) upstream: String,
    /// True from a descriptor on this connection.
    pub(crate) has_descriptor: bool,
    /// True once any connection had a descriptor.
    pub(crate) had_descriptor: bool,
    /// True if the input has ended.
    pub(crate) has_ended: bool,
    /// True if no dial reaches the connector any more.
    pub(crate) is_dead: bool,
    /// True if the bug has cut this connection.
    pub(crate) is_cut: bool,
    /// True if the gateway has cut its last connection.
    pub(crate) was_cut: bool,
    /// Open sockets: to the connector and to the gateway.
    pub(crate) sockets: Option<(TcpStream, TcpStream)>,
    /// Requests without a result, by id, in the order of writing.
    pub(crate) pending: Vec<(String, Value)>,
    /// Values that a bug keeps, by names of its own.
    pub(crate) kept: BTreeMap<&'static str, Value>,
    /// Texts that a bug has seen.
    pub(crate) seen: BTreeSet<String>,
}

impl State {
    /// Writes a further frame to the connector.
    pub(crate) fn inject(&mut self, frame: &Value) {
        if let Some((up, _)) = &mut self.sockets {
            let payload = format!("{frame}\n").into_bytes();
            let _ = frames::write(up, &WireFrame { is_last: true, opcode: TEXT, payload }, true);
        }
    }

    /// Writes a further frame to the gateway.
    pub(crate) fn inject_down(&mut self, frame: &Value) {
        if let Some((_, down)) = &mut self.sockets {
            let payload = format!("{frame}\n").into_bytes();
            let _ = frames::write(down, &WireFrame { is_last: true, opcode: TEXT, payload }, false);
        }
    }

    /// Writes a control frame to the gateway.
    pub(crate) fn control_gateway(&mut self, opcode: u8, payload: Vec<u8>) {
        if let Some((_, down)) = &mut self.sockets {
            let _ = frames::write(down, &WireFrame { is_last: true, opcode, payload }, false);
        }
    }

    /// Cuts the connection.
    pub(crate) fn cut(&mut self) {
        self.is_cut = true;
        if let Some((up, down)) = self.sockets.take() {
            let _ = up.shutdown(Shutdown::Both);
            let _ = down.shutdown(Shutdown::Both);
        }
    }

    /// Returns true while there is a connection with a descriptor.
    pub(crate) fn is_connected(&self) -> bool {
        self.sockets.is_some() && self.has_descriptor
    }

    /// Notes a line for the agent.
    pub(crate) fn note_for_agent(&mut self, line: &Value) {
        if line["event"] == "message" {
            self.seen.insert(format!("delivery {}", line["delivery"]));
        }
    }
}

/// The proxy.
pub(crate) struct Proxy(String);

impl Proxy {
    /// Listens on a port, and passes on what comes to `upstream`.
    pub(crate) fn start(bug: &'static Bug, upstream: &str, state: Arc<Mutex<State>>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        state.lock().unwrap().upstream = upstream.trim_start_matches("ws://").to_owned();
        std::thread::spawn(move || {
            for gateway in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || pass(bug, gateway, &state));
            }
        });
        Proxy(url)
    }

    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

/// Passes one connection on, to its end.
fn pass(bug: &'static Bug, mut gateway: TcpStream, state: &Arc<Mutex<State>>) -> Option<()> {
    let request = read_head(&mut gateway).ok()?;
    let (request, upstream) = {
        let mut state = state.lock().unwrap();
        if state.is_dead {
            // Looks like a connector that is down, until the scenario ends.
            return None;
        }
        state.dials += 1;
        if state.dials == 1 {
            state.first_request.clone_from(&request);
        }
        let request = bug.request(&mut state, request);
        state.last_request.clone_from(&request);
        (request, state.upstream.clone())
    };
    let mut connector = TcpStream::connect(upstream).ok()?;
    gateway.set_nodelay(true).ok()?;
    connector.set_nodelay(true).ok()?;
    connector.write_all(request.as_bytes()).ok()?;
    let response = read_head(&mut connector).ok()?;
    if !response.starts_with("HTTP/1.1 101") {
        let length = response.to_ascii_lowercase();
        let length = length.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)];
        connector.read_exact(&mut body).ok()?;
        let response = bug.response(format!("{response}{}", String::from_utf8_lossy(&body)));
        gateway.write_all(response.as_bytes()).ok()?;
        return None;
    }
    gateway.write_all(response.as_bytes()).ok()?;
    let (up, down) = (connector.try_clone().ok()?, gateway.try_clone().ok()?);
    {
        let mut state = state.lock().unwrap();
        state.sockets = Some((up, down));
        (state.has_descriptor, state.is_cut) = (false, false);
    }
    let (mut from_connector, mut to_gateway) = (connector.try_clone().ok()?, gateway.try_clone().ok()?);
    let shared = state.clone();
    // A close frame has passed.
    let has_closed = Arc::new(AtomicBool::new(false));
    let closes = has_closed.clone();
    let thread = std::thread::spawn(move || {
        while let Ok(frame) = frames::read(&mut from_connector) {
            closes.fetch_or(frame.opcode == CLOSE, Ordering::Relaxed);
            let mut state = shared.lock().unwrap();
            let Some(frame) = from_connector_frame(bug, &mut state, frame) else { break };
            if let Some(frame) = frame
                && frames::write(&mut to_gateway, &frame, false).is_err()
            {
                break;
            }
        }
        // Before the gateway can notice it, and its agent can act on it.
        shared.lock().unwrap().sockets = None;
        let _ = to_gateway.shutdown(Shutdown::Both);
        let _ = from_connector.shutdown(Shutdown::Both);
    });
    while let Ok(frame) = frames::read(&mut gateway) {
        has_closed.fetch_or(frame.opcode == CLOSE, Ordering::Relaxed);
        let mut state = state.lock().unwrap();
        let Some(frames) = from_gateway_frame(bug, &mut state, frame) else { break };
        if frames.iter().any(|frame| frames::write(&mut connector, frame, true).is_err()) {
            break;
        }
    }
    {
        let mut state = state.lock().unwrap();
        state.was_cut |= !has_closed.load(Ordering::Relaxed) && !state.is_cut;
    }
    let _ = connector.shutdown(Shutdown::Both);
    let _ = thread.join();
    Some(())
}

/// Returns the frames in place of one of the gateway; `None` to cut the connection.
fn from_gateway_frame(bug: &Bug, state: &mut State, mut frame: WireFrame) -> Option<Vec<WireFrame>> {
    if frame.opcode > 2 {
        let passes = bug.up_control(state, frame.opcode, &mut frame.payload);
        return Some(if passes { vec![frame] } else { Vec::new() });
    }
    frame.payload = bug.up_message(state, frame.opcode, frame.payload)?;
    if frame.payload.is_empty() {
        return Some(Vec::new());
    }
    let text = String::from_utf8_lossy(&frame.payload).into_owned();
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return Some(vec![frame]) };
    if value["type"] == "outbound" {
        state.pending.push((value["requestId"].as_str().unwrap_or_default().to_owned(), value.clone()));
    }
    let is_same = |frames: &[Value]| frames.len() == 1 && frames[0] == value;
    let frames = bug.up(state, value.clone());
    let texts: Vec<String> = match is_same(&frames) {
        true => vec![text],
        false => frames.iter().map(|frame| format!("{frame}\n")).collect(),
    };
    let wire = texts.into_iter().map(|text| bug.up_text(text).into_bytes());
    Some(wire.map(|payload| WireFrame { is_last: true, opcode: TEXT, payload }).collect())
}

/// Returns the frame in place of one of the connector; `None` to cut the connection, `Some(None)` for none.
fn from_connector_frame(bug: &Bug, state: &mut State, mut frame: WireFrame) -> Option<Option<WireFrame>> {
    if frame.opcode > 2 {
        let passes = bug.down_control(state, frame.opcode, &mut frame.payload);
        return Some(passes.then_some(frame));
    }
    frame.payload = bug.message(state, frame.opcode, frame.payload)?;
    if let Ok(text) = std::str::from_utf8(&frame.payload)
        && text.ends_with('\n')
    {
        let mut altered = String::new();
        for line in text.split_inclusive('\n') {
            match serde_json::from_str::<Value>(line) {
                Ok(value) if value["type"].is_string() => {
                    let id = value["requestId"].as_str().unwrap_or_default().to_owned();
                    let is_descriptor = value["type"] == "descriptor";
                    let frames = bug.down(state, value.clone());
                    state.pending.retain(|(pending, _)| *pending != id);
                    if is_descriptor {
                        (state.has_descriptor, state.had_descriptor) = (true, true);
                    }
                    match frames.len() == 1 && frames[0] == value {
                        true => altered.push_str(line),
                        false => frames.iter().for_each(|frame| altered += &format!("{frame}\n")),
                    }
                }
                _ => altered.push_str(line),
            }
        }
        frame.payload = altered.into_bytes();
    }
    Some((!frame.payload.is_empty()).then_some(frame))
}

fn read_head(from: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Dials the connector again with the last request, and hangs up. Returns when that is done: the program may end next.
pub(crate) fn ghost_dial(state: &State) {
    let dial = || {
        let mut socket = TcpStream::connect(&state.upstream).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        socket.write_all(state.last_request.as_bytes()).ok()?;
        read_head(&mut socket).ok()
    };
    dial();
}

/// Returns an acknowledgement.
pub(crate) fn ack(id: &Value) -> Value {
    json!({"type": "inbound_ack", "bufferId": id})
}
