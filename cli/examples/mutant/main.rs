//! Gateway or connector with one bug, for the tests of `relayline conformance`: a proxy alters what passes between the
//! gateway, its connector and its agent.
//!
//! `mutant NAME PROGRAM ARGS…` runs a gateway behind the proxy. `mutant --connector NAME URL` is a proxy before a
//! connector: it prints its URL, and ends with its input. `mutant --list SIDE` prints each bug with the scenarios that find
//! it, and those that may find it, too.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test helper.

mod bugs;
mod frames;
mod proxy;

use bugs::Bug;
use proxy::{Proxy, State};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

/// Places at which a bug alters what passes.
pub(crate) enum Hook {
    /// A frame of the gateway.
    Up(fn(&mut State, Value) -> Vec<Value>),
    /// A frame of the connector, if it is JSON with a type.
    Down(fn(&mut State, Value) -> Vec<Value>),
    /// The text of a WebSocket message of the gateway.
    UpText(fn(String) -> String),
    /// A WebSocket message of the connector: its opcode and its payload. `None` cuts the connection.
    Message(fn(&mut State, u8, Vec<u8>) -> Option<Vec<u8>>),
    /// A WebSocket message of the gateway, in the same way. An empty one is dropped.
    UpMessage(fn(&mut State, u8, Vec<u8>) -> Option<Vec<u8>>),
    /// A control frame of the gateway. False drops it.
    UpControl(fn(&mut State, u8, &mut Vec<u8>) -> bool),
    /// A control frame of the connector. False drops it.
    DownControl(fn(&mut State, u8, &mut Vec<u8>) -> bool),
    /// The head of the gateway's request.
    Request(fn(&mut State, String) -> String),
    /// The connector's response that refuses it.
    Response(fn(String) -> String),
    /// A line for the agent.
    ToAgent(fn(&mut State, Value) -> Vec<Value>),
    /// A line of the agent.
    FromAgent(fn(&mut State, Value) -> Vec<Value>),
    /// Further arguments of the gateway.
    Arguments(&'static [&'static str]),
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    match name.as_str() {
        // So the suite appends `--set`, as for the program itself.
        "--version" => {
            println!("relayline mutant");
            return ExitCode::SUCCESS;
        }
        "--list" => {
            let side = arguments.next().expect("gateway or connector");
            for bug in if side == "connector" { bugs::of_connectors() } else { bugs::of_gateways() } {
                println!("{}\t{}\t{}", bug.name, bug.found_by.join(","), bug.related.join(","));
            }
            return ExitCode::SUCCESS;
        }
        "--connector" => {
            let name = arguments.next().expect("the name of a bug");
            let bug = bugs::of_connectors().find(|bug| bug.name == name).expect("the name of a bug");
            let upstream = arguments.next().expect("the URL of a connector");
            let proxy = Proxy::start(bug, &upstream, Arc::default());
            println!("{}", proxy.url());
            // The proxy works until the input ends.
            let _ = std::io::stdin().lock().lines().map_while(Result::ok).count();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let bug: &'static Bug = bugs::of_gateways().find(|bug| bug.name == name).expect("the name of a bug");
    let state = Arc::new(Mutex::new(State::default()));
    let upstream = std::env::var("GATEWAY_RELAY_URL").unwrap();
    let proxy = Proxy::start(bug, &upstream, state.clone());
    let program = arguments.next().expect("a program");
    let mut child = Command::new(program)
        .args(arguments)
        // After those of the suite: the last value of a limit counts.
        .args(bug.arguments())
        .env("GATEWAY_RELAY_URL", proxy.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let shared = state.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            for line in altered(&line, |value| bug.line_of_agent(&mut shared.lock().unwrap(), value)) {
                if writeln!(to, "{line}").is_err() {
                    return;
                }
            }
        }
        shared.lock().unwrap().has_ended = true;
    });
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { break };
        let lines = altered(&line, |value| {
            let mut state = state.lock().unwrap();
            state.note_for_agent(&value);
            bug.line_for_agent(&mut state, value)
        });
        for line in lines {
            println!("{line}");
        }
    }
    let code = child.wait().unwrap().code().unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Returns the lines in place of a line. One that is not JSON remains.
fn altered(line: &str, alter: impl FnOnce(Value) -> Vec<Value>) -> Vec<String> {
    match serde_json::from_str(line) {
        Ok(value) => alter(value).iter().map(Value::to_string).collect(),
        Err(_) => vec![line.to_owned()],
    }
}
