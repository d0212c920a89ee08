//! whatever the connector, the agent or a client sends, and however much, the process stays under 256 MiB. The
//! tests check the peak that the system reports.
#![allow(clippy::print_stdout)] // Figures are printed.

mod control;

use crate::support::{SOON, is_full, relayline};
use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{self, Message, WebSocket};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MIB: usize = 1 << 20;
/// Maximum memory of the process, in MiB.
const MOST: usize = 256;
/// Mebibytes of a flood: more than the process may use.
const FLOOD: usize = 320;

/// A write without progress for this time counts as held back.
const HELD_BACK: Duration = Duration::from_secs(2);
/// Almost the maximum length of a line.
const LONG: usize = MIB - 1024;

/// A gateway whose connector and agent are both controlled by the test.
struct Gateway {
    child: Child,
    agent: ChildStdin,
    /// Its output for the agent, as long as nobody reads it.
    unread: Option<ChildStdout>,
    connector: WebSocket<TcpStream>,
    /// Ids of the requests that the connector has received.
    requests: Receiver<String>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// Starts a gateway on discord, with every op and without a limit on texts.
    fn start(flags: &[&str]) -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let mut command = relayline(["run", "--url", &url, "--identity", "discord:1"]);
        command.args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (agent, unread) = (child.stdin.take().unwrap(), child.stdout.take());
        let (stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(HELD_BACK)).unwrap();
        let mut reader = tungstenite::accept(stream.try_clone().unwrap()).unwrap();
        let mut connector = WebSocket::from_raw_socket(stream, Role::Server, None);
        assert!(reader.read().unwrap().to_text().unwrap().contains("hello"));
        let descriptor = json!({"type": "descriptor", "descriptor": {"contract_version": 1, "platform": "discord",
            "label": "D", "max_message_length": 1 << 30, "supports_draft_streaming": false, "supports_edit": true,
            "supports_threads": true, "markdown_dialect": "discord", "len_unit": "chars",
            "supported_ops": ["prompt", "edit"]}});
        connector.send(Message::text(format!("{descriptor}\n"))).unwrap();
        let (sender, requests) = channel();
        thread::spawn(move || {
            while let Ok(message) = reader.read() {
                let Some((_, id)) =
                    message.to_text().ok().and_then(|text| text.split_once("\"requestId\":\""))
                else {
                    continue;
                };
                if sender.send(id[..32].to_owned()).is_err() {
                    return;
                }
            }
        });
        let mut gateway = Gateway { child, agent, unread, connector, requests };
        gateway.reads_one("connected");
        gateway
    }

    /// Reads one line as the agent, which must be of this event.
    fn reads_one(&mut self, event: &str) {
        let mut line = Vec::new();
        let mut byte = [0];
        let stdout = self.unread.as_mut().unwrap();
        while byte[0] != b'\n' {
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "its output ended");
            line.push(byte[0]);
        }
        assert!(String::from_utf8_lossy(&line).contains(event), "{}", String::from_utf8_lossy(&line));
    }

    /// Reads all further lines as the agent. Returns the kind of each.
    fn reads_on(&mut self) -> Receiver<String> {
        let mut stdout = BufReader::new(self.unread.take().unwrap());
        let (sender, kinds) = channel();
        thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let begin = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
                let kind = begin.split('"').nth(3).unwrap_or_default().to_owned();
                let _ = sender.send(if line.ends_with(b"\"ok\":true}\n") { "ok".to_owned() } else { kind });
                line.clear();
            }
        });
        kinds
    }

    /// Sends a line as the connector. Returns false if it is held back.
    fn says(&mut self, line: String) -> bool {
        match self.connector.send(Message::text(line + "\n")) {
            Ok(()) => true,
            Err(tungstenite::Error::Io(error)) if held_back(&error) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends lines as the connector until they are held back or amount to a flood. Returns the mebibytes sent.
    fn floods(&mut self, line: impl Fn(usize) -> Value) -> usize {
        let mut sent = 0;
        for n in 0.. {
            let line = line(n).to_string();
            let length = line.len();
            if sent >= FLOOD * MIB || !self.says(line) {
                break;
            }
            sent += length;
        }
        sent / MIB
    }

    /// Writes an op as the agent.
    fn asks(&mut self, op: &str) {
        self.agent.write_all(op.as_bytes()).and_then(|()| self.agent.write_all(b"\n")).unwrap();
    }

    /// Writes the same op until it amounts to a flood, and reads as many lines of the expected kind.
    fn asks_a_flood(&mut self, op: &Value, expected: &str) {
        let kinds = self.reads_on();
        let op = op.to_string();
        let times = FLOOD * MIB / op.len();
        for _ in 0..times {
            self.asks(&op);
        }
        for _ in 0..times {
            assert_eq!(kinds.recv_timeout(SOON).unwrap(), expected);
        }
    }

    /// Returns the peak memory so far, in MiB.
    fn peak(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
    }

    /// Asserts that it is alive, and that its peak is within the maximum.
    fn stays_small(&mut self, what: &str) {
        assert_eq!(self.child.try_wait().unwrap(), None, "{what}: it has ended");
        let peak = self.peak();
        println!("{what}: {peak} MiB at most");
        assert!(peak < MOST, "{what}: {peak} MiB, and {MOST} are too many");
    }
}

fn held_back(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Returns true if these tests run: only at full size, and where the system reports the memory of a process.
fn can_run() -> bool {
    let reason = match std::path::Path::new("/proc/self/status").exists() {
        true if is_full() => return true,
        true => "a flood takes seconds of processor time; RELAYLINE_FULL=1 runs it",
        false => "there is no /proc/self/status here",
    };
    println!("skipped: {reason}");
    false
}

fn event(n: usize, fields: Value) -> Value {
    let mut event = json!({"message_id": n.to_string(), "source": {"platform": "discord", "chat_id": "1"}});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"type": "inbound", "event": event})
}

fn entry(n: usize, mut line: Value) -> Value {
    line["bufferId"] = json!(n.to_string());
    line
}

#[test]
fn x_1_unsettled_deliveries() {
    if !can_run() {
        return;
    }
    let text = "x".repeat(LONG);
    let mut gateway = Gateway::start(&[]);
    let kinds = gateway.reads_on();
    let sent = gateway.floods(|n| entry(n, event(n, json!({ "text": text }))));
    assert!(sent < FLOOD, "it takes no more than `unsettled_bytes` allows");
    assert!(kinds.try_iter().count() >= 60, "the agent has as much as that");
    gateway.stays_small("buffered deliveries that nobody settles");
}

#[test]
fn x_1_a_host_that_never_reads() {
    if !can_run() {
        return;
    }
    let text = "x".repeat(LONG);
    let mut gateway = Gateway::start(&[]);
    let sent = gateway.floods(|n| event(n, json!({ "text": text })));
    assert!(sent < FLOOD, "it takes no more than `host_queue_bytes` allows");
    gateway.stays_small("messages that nobody reads");
    let mut gateway = Gateway::start(&["--passthrough"]);
    let headers: Vec<Value> = (0..90_000).map(|_| json!(["a", "b"])).collect();
    let forward = json!({"type": "passthrough_forward", "forward": {"platform": "p", "headers": headers}});
    assert!(gateway.floods(|_| forward.clone()) < FLOOD);
    gateway.stays_small("headers that nobody reads");
}

#[test]
fn x_1_forwards_with_huge_bodies() {
    if !can_run() {
        return;
    }
    let body = "x".repeat(LONG / 4 * 4);
    let forward = json!({"type": "passthrough_forward", "forward": {"platform": "p", "bodyB64": body}});
    let mut gateway = Gateway::start(&["--passthrough"]);
    let _kinds = gateway.reads_on();
    assert!(gateway.floods(|n| entry(n, forward.clone())) < FLOOD);
    gateway.stays_small("forwards that nobody settles");
}

#[test]
fn x_1_chats_with_large_names() {
    if !can_run() {
        return;
    }
    let (id, name) = ("i".repeat(1024), "n".repeat(120 << 10));
    let mut gateway = Gateway::start(&[]);
    let kinds = gateway.reads_on();
    let sent = gateway.floods(|n| {
        let source = json!({"platform": id, "chat_id": format!("{n}{id}"), "chat_name": name, "user_id": id,
            "scope_id": id, "profile": id, "parent_chat_id": id, "chat_topic": name});
        event(n, json!({ "source": source }))
    });
    assert_eq!(sent, FLOOD, "all of it is taken");
    assert!(kinds.recv_timeout(SOON).is_ok());
    gateway.stays_small("chats with large names");
}

#[test]
fn x_1_dead_letters() {
    if !can_run() {
        return;
    }
    let id = "b".repeat(LONG - 64);
    for reads in [true, false] {
        let mut gateway = Gateway::start(&[]);
        let _kinds = reads.then(|| gateway.reads_on());
        gateway.floods(|n| json!({"type": "inbound", "bufferId": format!("{n}{id}"), "event": 1}));
        gateway.stays_small("entries that no host can be given");
    }
}

#[test]
fn x_1_results_with_huge_texts() {
    if !can_run() {
        return;
    }
    let mut gateway = Gateway::start(&[]);
    for n in 0..FLOOD {
        gateway.asks(&json!({"op": "send", "id": n, "chat_id": "1", "content": "x"}).to_string());
    }
    let error = "x".repeat(LONG - 128);
    for _ in 0..FLOOD {
        let id = gateway.requests.recv_timeout(SOON).unwrap();
        let result = json!({"success": false, "error": error});
        let line = json!({"type": "outbound_result", "requestId": id, "result": result});
        if !gateway.says(line.to_string()) {
            break;
        }
    }
    gateway.stays_small("results that nobody reads");
}

#[test]
fn x_1_ops_with_huge_ids() {
    if !can_run() {
        return;
    }
    let id = "i".repeat(4 * MIB);
    let mut gateway = Gateway::start(&[]);
    gateway.asks_a_flood(&json!({"op": "send", "id": id, "chat_id": "1", "content": "x"}), "invalid");
    gateway.stays_small("ops with huge ids");
    let mut gateway = Gateway::start(&[]);
    gateway.asks_a_flood(&json!({"op": "get_chat_info", "id": 1, "chat_id": id}), "result");
    gateway.stays_small("ops for chats with huge ids");
}

#[test]
fn x_1_primed_chats_with_huge_texts() {
    if !can_run() {
        return;
    }
    let mut gateway = Gateway::start(&[]);
    let kinds = gateway.reads_on();
    let text = "s".repeat(MIB);
    for n in 0..FLOOD {
        let op = json!({"op": "prime", "id": n, "chat_id": n, "platform": "discord", "scope_id": text});
        gateway.asks(&op.to_string());
        assert_eq!(kinds.recv_timeout(SOON).unwrap(), "result");
    }
    gateway.stays_small("primed chats with huge texts");
}

#[test]
fn x_1_prompts_with_huge_texts_and_options() {
    if !can_run() {
        return;
    }
    let options: Vec<Value> =
        (0..20_000).map(|n| json!({"id": n.to_string(), "label": "an option among many"})).collect();
    let mut gateway = Gateway::start(&[]);
    let op = json!({"op": "prompt", "id": 1, "chat_id": "1", "content": "?", "options": options});
    gateway.asks_a_flood(&op, "result");
    gateway.stays_small("prompts with thousands of options");
    let option = json!({"id": "a", "label": "x".repeat(8 * MIB)});
    let mut gateway = Gateway::start(&[]);
    let op = json!({"op": "prompt", "id": 1, "chat_id": "1", "content": "?", "options": [option]});
    gateway.asks_a_flood(&op, "result");
    gateway.stays_small("prompts with huge labels");
}

#[test]
fn x_1_streams_with_huge_texts() {
    if !can_run() {
        return;
    }
    for (text, metadata) in [(MIB, 1), (1, MIB)] {
        let mut gateway = Gateway::start(&[]);
        let kinds = gateway.reads_on();
        let (text, note) = ("t ".repeat(text / 2 + 1), "m".repeat(metadata));
        for n in 0..FLOOD {
            let op = json!({"op": "stream", "id": n, "stream": format!("s{n}"), "chat_id": "1", "text": text,
                "metadata": {"note": note}});
            gateway.asks(&op.to_string());
            kinds.recv_timeout(SOON).unwrap();
        }
        gateway.stays_small("streams");
    }
}

#[test]
fn x_1_ops_that_are_wide_as_a_tree() {
    if !can_run() {
        return;
    }
    let list = "0,".repeat(4 * MIB);
    let op = format!(
        "{{\"op\":\"send\",\"id\":1,\"chat_id\":\"1\",\"content\":\"\",\"metadata\":{{\"m\":[{list}0]}}}}"
    );
    let mut gateway = Gateway::start(&[]);
    let kinds = gateway.reads_on();
    for _ in 0..4 {
        gateway.asks(&op);
        assert_eq!(kinds.recv_timeout(SOON).unwrap(), "result");
    }
    gateway.stays_small("ops that are wide as a tree");
}

#[test]
fn x_1_signed_deliveries_in_flight() {
    if !can_run() {
        return;
    }
    let address = {
        // An address that was just free.
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
    };
    let connector = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", connector.local_addr().unwrap());
    let mut command =
        relayline(["run", "--url", &url, "--identity", "discord:1", "--inbound-listen", &address]);
    command.args(["--set", "delivery_connections=400", "--set", "delivery_read_timeout=20s"]);
    command.env("GATEWAY_RELAY_DELIVERY_KEY", "a key");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (agent, unread) = (child.stdin.take().unwrap(), child.stdout.take());
    let (stream, _) = connector.accept().unwrap();
    let connector = WebSocket::from_raw_socket(stream, Role::Server, None);
    let mut gateway = Gateway { child, agent, unread, connector, requests: channel().1 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nx-relay-timestamp: {now}\r\nx-relay-signature: {}\r\nContent-Length: {MIB}\r\n\r\n",
        "0".repeat(64)
    );
    let body = vec![b'x'; MIB - 1];
    let mut clients = Vec::new();
    for _ in 0..FLOOD {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_write_timeout(Some(HELD_BACK)).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        // All but the last byte.
        client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body)).unwrap();
        clients.push(client);
    }
    // Requests that found room wait for their last byte. The others are answered after it.
    let mut crowded = 0;
    for client in &mut clients {
        client.write_all(b"x").unwrap();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap();
        crowded += usize::from(answer.ends_with(b"503"));
    }
    assert!(crowded > 0, "none was answered that there is no room");
    gateway.stays_small("webhook requests in flight");
}
