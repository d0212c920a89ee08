//! `relayline run` as a child, its bridge in the test's hands.

pub(crate) mod proxy;

use crate::support::{Program, relayline};
use serde_json::{Value, json};

/// The id and secret of every gateway here.
pub(crate) const ID: &str = "gw-1";
pub(crate) const SECRET: &str = "s3cret";

/// A gateway as a side-car. It is killed when it is dropped.
pub(crate) struct SideCar {
    program: Program,
    /// What it has printed so far, for who has to find out what went wrong.
    history: String,
}

impl SideCar {
    /// Runs `relayline run` against this URL, with these `--set`s; back-offs are short unless they say otherwise.
    pub(crate) fn start(runtime: &str, url: &str, settings: &[&str]) -> SideCar {
        SideCar::start_as(runtime, url, settings, &["discord:1"])
    }

    /// The same for these identities, `PLATFORM:BOT_ID`.
    pub(crate) fn start_as(runtime: &str, url: &str, settings: &[&str], identities: &[&str]) -> SideCar {
        let mut command = relayline(["run", "--runtime", runtime]);
        for identity in identities {
            command.args(["--identity", identity]);
        }
        command.args(["--url", url]).env("GATEWAY_RELAY_ID", ID).env("GATEWAY_RELAY_SECRET", SECRET);
        for setting in ["backoff_first=20ms", "backoff_most=50ms"].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        SideCar { program: Program::start(command), history: String::new() }
    }

    /// Writes an op.
    pub(crate) fn op(&mut self, op: Value) {
        self.program.write(format!("{op}\n").as_bytes());
    }

    /// The next event; none skipped.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self.program.line().unwrap_or_else(|| panic!("it ended; so far:\n{}", self.history));
        self.history += &format!("{line:.300}\n");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
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

    /// The rest of the line that holds these words in its log, once it is there, with what comes before them.
    #[track_caller]
    pub(crate) fn logged(&self, words: &str) -> String {
        self.program.logged(words);
        let log = self.program.log();
        log.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned()
    }

    pub(crate) fn settle(&mut self, op: &str, delivery: u64) {
        self.op(json!({"op": op, "delivery": delivery}));
    }

    /// Waits for the program's end; nothing may be printed until then.
    #[track_caller]
    pub(crate) fn exit_code(self) -> Option<i32> {
        let ended = self.program.ended();
        assert_eq!(ended.stdout, "", "so far:\n{}", self.history);
        ended.code
    }
}
