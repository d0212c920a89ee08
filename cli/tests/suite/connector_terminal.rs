//! Lines typed at `relayline connector` in a terminal.

use crate::connector_program::Connector;
use crate::side_car::{ID, SECRET, SideCar};
use crate::support::{SOON, relayline};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Returns both ends of a terminal: the test types into the first, the second is the program's.
pub(crate) fn terminal() -> (File, File) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let controller = openpt(flags).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let other = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    (controller.into(), other.into())
}

/// `relayline connector` with a terminal as its stdin. It is killed when this is dropped.
struct Typed {
    child: Child,
    terminal: File,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

pub(crate) fn lines_of(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

impl Typed {
    fn start(flags: &[&str]) -> (Typed, String) {
        let (terminal, stdin) = terminal();
        let mut command = relayline(["connector", "--listen", "127.0.0.1:0"]);
        command.args(flags).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (lines, errors) =
            (lines_of(child.stdout.take().unwrap()), lines_of(child.stderr.take().unwrap()));
        let typed = Typed { child, terminal, lines, errors };
        let first: Value = serde_json::from_str(&typed.lines.recv_timeout(SOON).unwrap()).unwrap();
        (typed, first["url"].as_str().unwrap().to_owned())
    }

    fn types(&mut self, line: &str) {
        self.terminal.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn error(&self) -> String {
        self.errors.recv_timeout(SOON).unwrap()
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn on_a_terminal_a_bare_line_is_a_message_from_a_user() {
    let (mut connector, url) = Typed::start(&["--gateway", &format!("{ID}={SECRET}")]);
    // Nobody is connected yet: the message waits in the buffer, and the first platform is discord.
    connector.types("  hello there  ");
    let mut gateway = SideCar::start("tokio", &url, &[]);
    gateway.event("connected");
    let event = gateway.event("message");
    let source = &event["message"]["source"];
    assert_eq!((&event["message"]["text"], &source["platform"]), (&json!("hello there"), &json!("discord")));
    assert!(source["user_id"].is_string() && source["chat_id"].is_string(), "{event}");
    gateway.settle("ack", event["delivery"].as_u64().unwrap());
    // It is answered in its chat. An empty line is ignored, and a slash begins a command.
    gateway.op(json!({"op": "reply", "id": "r", "delivery": event["delivery"], "content": "hi"}));
    connector.types("");
    connector.types("/status now");
    let mut heard = [gateway.next(), gateway.next()];
    heard.sort_by_key(|event| event["event"].to_string());
    let [message, result] = heard;
    assert_eq!(result["ok"], true, "{result}");
    assert_eq!(
        (&message["message"]["text"], &message["message"]["message_type"]),
        (&json!("/status now"), &json!("command"))
    );
    // It may have come through the buffer, after the first.
    gateway.settle("ack", message["delivery"].as_u64().unwrap());
    // JSON is an instruction, and malformed JSON an error.
    connector.types(r#"{"do":"inbound","event":{"text":"as JSON"}}"#);
    assert_eq!(gateway.message().1, "as JSON");
    connector.types(r#"{"do":"#);
    let error = connector.error();
    assert!(error.contains("line 5: not a JSON object, like {\"do\":\"drop\"}"), "{error}");
    connector.types("still there");
    assert_eq!(gateway.message().1, "still there");
}

/// A gateway that fronts another platform gets the message on that platform.
#[test]
fn on_a_terminal_the_user_is_on_the_gateways_platform() {
    let flags = ["--gateway", &format!("{ID}={SECRET}"), "--gateway", "other=secret"];
    let (mut connector, url) = Typed::start(&flags);
    connector.types("anybody?");
    let error = connector.error();
    assert!(error.contains("line 1: which gateway?") && error.contains("`other`"), "{error}");
    let mut gateway = SideCar::start_as("tokio", &url, &[], &["telegram:2"]);
    gateway.event("connected");
    connector.types("hello");
    let event = gateway.event("message");
    assert_eq!(event["message"]["source"]["platform"], "telegram", "{event}");
}

#[test]
fn without_a_terminal_a_bare_line_is_an_error() {
    let mut connector = Connector::start(&[]);
    connector.program.write(b"hello\n");
    let said = connector.program.logged("line 1: ");
    assert!(
        said.contains("not a JSON object") && said.contains(r#"write {"do":"inbound","event":{"#),
        "{said}"
    );
    connector.tell(json!({"do": "revoke", "gateway": "nobody"}));
    connector.program.logged("line 2: there is no gateway `nobody`");
}
