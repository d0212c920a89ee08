//! `relayline run` as a child process, with its bridge controlled by the test.

pub(crate) mod proxy;

use crate::support::{Program, relayline};
use serde_json::{Value, json};

/// Id and secret of every gateway here.
pub(crate) const ID: &str = "gw-1";
pub(crate) const SECRET: &str = "s3cret";

/// A gateway as a side-car. It is killed when this is dropped.
pub(crate) struct SideCar {
    program: Program,
    /// Its output so far, for diagnostics.
    history: String,
}

impl SideCar {
    /// Starts `relayline run` with this URL and these `--set`s. Back-offs are short by default.
    pub(crate) fn start(runtime: &str, url: &str, settings: &[&str]) -> SideCar {
        SideCar::start_as(runtime, url, settings, &["discord:1"])
    }

    /// Starts it with these identities, `PLATFORM:BOT_ID`.
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

    /// Returns the next event.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self.program.line().unwrap_or_else(|| panic!("it ended; so far:\n{}", self.history));
        self.history += &format!("{line:.300}\n");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Returns the next event, which must be of this kind.
    #[track_caller]
    pub(crate) fn event(&mut self, kind: &str) -> Value {
        let event = self.next();
        assert_eq!(event["event"], kind, "{event}; so far:\n{}", self.history);
        event
    }

    /// Waits for `connected`. Connections may end for this reason before that.
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

    /// Returns the number and the text of the next message.
    #[track_caller]
    pub(crate) fn message(&mut self) -> (u64, String) {
        let event = self.event("message");
        let text = event["message"]["text"].as_str().unwrap_or_default();
        (event["delivery"].as_u64().unwrap(), text.to_owned())
    }

    /// Returns the code, the reason and the wait of the next end of a connection or dial.
    #[track_caller]
    pub(crate) fn disconnected(&mut self) -> (Option<u64>, String, Option<u64>) {
        let event = self.event("disconnected");
        let reason = event["reason"].as_str().unwrap().to_owned();
        assert!(!reason.is_empty(), "the reason always says something");
        (event["code"].as_u64(), reason, event["retry_in_ms"].as_u64())
    }

    /// Waits for these words in its log. Returns the line that contains them.
    #[track_caller]
    pub(crate) fn logged(&self, words: &str) -> String {
        self.program.logged(words);
        let log = self.program.log();
        log.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned()
    }

    pub(crate) fn settle(&mut self, op: &str, delivery: u64) {
        self.op(json!({"op": op, "delivery": delivery}));
    }

    /// Waits for the program's end. It must print nothing until then.
    #[track_caller]
    pub(crate) fn exit_code(self) -> Option<i32> {
        let ended = self.program.ended();
        assert_eq!(ended.stdout, "", "so far:\n{}", self.history);
        ended.code
    }
}
