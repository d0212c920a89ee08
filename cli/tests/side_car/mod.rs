//! `relayline run` as a child, its bridge in the test's hands.

pub(crate) mod proxy;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing waits for it to pass.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The id and secret of every gateway here.
pub(crate) const ID: &str = "gw-1";
pub(crate) const SECRET: &str = "s3cret";

/// What the child printed.
enum Printed {
    Out(String),
    Err(String),
    End,
}

/// A gateway as a side-car. It is killed when it is dropped.
pub(crate) struct SideCar {
    child: Child,
    stdin: ChildStdin,
    printed: Receiver<Printed>,
    /// All of it so far, for who has to find out what went wrong.
    history: String,
}

impl SideCar {
    /// Runs `relayline run` against this URL, with these `--set`s; losses are short ones unless they say otherwise.
    pub(crate) fn start(runtime: &str, url: &str, settings: &[&str]) -> SideCar {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relayline"));
        command.args(["run", "--runtime", runtime, "--platform", "discord", "--bot-id", "1", "--url", url]);
        for setting in ["backoff_first=20ms", "backoff_most=50ms"].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        for variable in ["RUST_LOG", "GATEWAY_RELAY_URL", "GATEWAY_RELAY_PLATFORMS", "GATEWAY_RELAY_BOT_IDS"]
        {
            command.env_remove(variable);
        }
        command.env("GATEWAY_RELAY_ID", ID).env("GATEWAY_RELAY_SECRET", SECRET);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, printed) = channel();
        read(child.stdout.take().unwrap(), Printed::Out, &sender);
        read(child.stderr.take().unwrap(), Printed::Err, &sender);
        let stdin = child.stdin.take().unwrap();
        SideCar { child, stdin, printed, history: String::new() }
    }

    /// Writes an op.
    pub(crate) fn op(&mut self, op: Value) {
        writeln!(self.stdin, "{op}").unwrap();
    }

    /// The next event; none skipped.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let until = Instant::now() + SOON;
        loop {
            match self.printed.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Printed::Out(line)) => {
                    self.history += &format!("{:.300}\n", line);
                    return serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                }
                Ok(Printed::Err(line)) => self.history += &format!("stderr: {line}\n"),
                Ok(Printed::End) => {}
                Err(_) => panic!("nothing more came; so far:\n{}", self.history),
            }
        }
    }

    /// The next event, which must be of this kind.
    #[track_caller]
    pub(crate) fn event(&mut self, kind: &str) -> Value {
        let event = self.next();
        assert_eq!(event["event"], kind, "{event}; so far:\n{}", self.history);
        event
    }

    /// Waits for `connected` through the ends of connections for this reason, of which there may be some.
    #[track_caller]
    pub(crate) fn connected_through(&mut self, reason: &str) {
        for _ in 0..20 {
            let event = self.next();
            if event["event"] == "connected" {
                return;
            }
            assert_eq!((&event["event"], &event["reason"]), (&json!("disconnected"), &json!(reason)));
        }
        panic!("it does not connect; so far:\n{}", self.history);
    }

    /// A message; its number and text.
    #[track_caller]
    pub(crate) fn message(&mut self) -> (u64, String) {
        let event = self.event("message");
        let text = event["message"]["text"].as_str().unwrap_or_default();
        (event["delivery"].as_u64().unwrap(), text.to_owned())
    }

    /// The end of a connection, or a dial that failed: code, reason, and when it dials again.
    #[track_caller]
    pub(crate) fn disconnected(&mut self) -> (Option<u64>, String, Option<u64>) {
        let event = self.event("disconnected");
        let reason = event["reason"].as_str().unwrap().to_owned();
        assert!(!reason.is_empty(), "the reason always says something");
        (event["code"].as_u64(), reason, event["retry_in_ms"].as_u64())
    }

    pub(crate) fn settle(&mut self, op: &str, delivery: u64) {
        self.op(json!({"op": op, "delivery": delivery}));
    }

    /// Waits for the program's end; nothing may be printed until then.
    #[track_caller]
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut ends = 0;
        while ends < 2 {
            match self.printed.recv_timeout(SOON) {
                Ok(Printed::Out(line)) => panic!("{line}; so far:\n{}", self.history),
                Ok(Printed::Err(line)) => self.history += &format!("stderr: {line}\n"),
                Ok(Printed::End) => ends += 1,
                Err(_) => panic!("it does not end; so far:\n{}", self.history),
            }
        }
        // Both its outputs are closed: it has ended, or is about to.
        self.child.wait().unwrap().code()
    }
}

impl Drop for SideCar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(from: impl Read + Send + 'static, kind: fn(String) -> Printed, to: &Sender<Printed>) {
    let to = to.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(kind(line)).is_err() {
                return;
            }
        }
        let _ = to.send(Printed::End);
    });
}
