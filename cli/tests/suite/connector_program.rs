//! `relayline connector` as a child process, with its bridge controlled by the test.

use crate::support::{Ended, Program, relayline};
use relayline_connector::script::is_part_of;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// The program. It is killed when this is dropped.
pub(crate) struct Connector {
    pub(crate) program: Program,
    pub(crate) url: String,
    /// Its output so far, for diagnostics.
    history: String,
}

impl Connector {
    /// Starts `relayline connector` with these flags on a free port.
    #[track_caller]
    pub(crate) fn start(flags: &[&str]) -> Connector {
        let mut command = relayline(["connector", "--listen", "127.0.0.1:0"]);
        command.args(flags);
        let mut connector =
            Connector { program: Program::start(command), url: String::new(), history: String::new() };
        let first = connector.next();
        assert_eq!(first["saw"], "listening", "{first}");
        connector.url = first["url"].as_str().unwrap().to_owned();
        connector
    }

    pub(crate) fn tell(&mut self, line: Value) {
        self.program.write(format!("{line}\n").as_bytes());
    }

    /// Returns the next line.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self
            .program
            .line()
            .unwrap_or_else(|| panic!("it ended; so far:\n{}\n{}", self.history, self.program.log()));
        self.history += &format!("{line:.300}\n");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Returns the next line that contains `part`. Skips others.
    #[track_caller]
    pub(crate) fn sees(&mut self, part: Value) -> Value {
        for _ in 0..10_000 {
            let seen = self.next();
            if is_part_of(&part, &seen) {
                return seen;
            }
        }
        panic!("no {part}; so far:\n{}", self.history);
    }

    /// Returns the next frame of this type. Skips other observations.
    #[track_caller]
    pub(crate) fn frame(&mut self, kind: &str) -> Value {
        self.sees(json!({"saw": "frame", "frame": {"type": kind}}))["frame"].take()
    }

    /// Kills it with SIGKILL, which it cannot handle.
    pub(crate) fn kill(self) {
        drop(self.program);
    }

    pub(crate) fn ended(self) -> Ended {
        self.program.ended()
    }

    /// Posts a body with a bearer. Returns status and body of the answer.
    pub(crate) fn post(&self, path: &str, bearer: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("ws://").unwrap()).unwrap();
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {}",
            body.len()
        );
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}
