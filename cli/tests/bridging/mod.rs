//! `relayline run` with its bridge in the test's hands, and an embedded connector at its other end.
#![allow(dead_code)] // Each test file uses a part of it.

use crate::support::{Ended, Program, SOON, relayline};
use relayline_core::time::Now;
use relayline_harness::chats::{Ids, Room};
use relayline_harness::connector::{Act, ClosedBy, ConnectorConfig, EmbeddedConnector, Saw};
use serde_json::{Value, json};

/// The program as a side-car, and the connector that it talks to.
pub(crate) struct Bridge {
    pub(crate) program: Program,
    pub(crate) connector: EmbeddedConnector,
    pub(crate) ids: Ids,
}

impl Bridge {
    /// Connected as discord and telegram.
    pub(crate) fn start(runtime: &str, flags: &[&str]) -> Bridge {
        let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
        let url = connector.url();
        let mut command = relayline(["run", "--url", &url, "--runtime", runtime]);
        command.args(["--identity", "discord:1", "--identity", "telegram:2", "--set", "backoff_first=20ms"]);
        command.args(flags);
        let mut bridge = Bridge { program: Program::start(command), connector, ids: Ids::new([0; 32]) };
        for _ in 0..2 {
            assert_eq!(bridge.next()["event"], "connected");
        }
        bridge
    }

    pub(crate) fn tell(&self, act: Act) {
        self.connector.control(act).unwrap();
    }

    pub(crate) fn deliver(&mut self, room: &Room, text: &str, buffered: bool) {
        let event = room.message(&mut self.ids, Now { unix_s: 1_718_900_000, ..Now::default() }, text);
        self.tell(Act::Inbound { event, buffered: Some(buffered) });
    }

    pub(crate) fn say(&mut self, line: Value) {
        self.program.write(format!("{line}\n").as_bytes());
    }

    /// The next line; `event` is its first field.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self.program.line().expect("the bridge goes on");
        assert!(line.starts_with("{\"event\":\""), "{line}");
        serde_json::from_str(&line).unwrap()
    }

    /// Says an op and gives its result without what is in every result; other lines in front of it are an error.
    #[track_caller]
    pub(crate) fn ask(&mut self, mut op: Value) -> Value {
        op["id"] = json!("ask");
        self.say(op);
        self.result("ask")
    }

    #[track_caller]
    pub(crate) fn result(&mut self, id: &str) -> Value {
        let mut line = self.next();
        assert_eq!((&line["event"], &line["id"]), (&json!("result"), &json!(id)), "{line}");
        let ok = line["ok"].as_bool().unwrap();
        let [kept, other] = if ok { ["result", "error"] } else { ["error", "result"] };
        assert_eq!(line.get(other), None, "{line}");
        line[kept].take()
    }

    /// The next frame that the connector sees, hellos not counted.
    #[track_caller]
    pub(crate) fn sees(&self) -> Value {
        let wanted = |saw: &Saw| matches!(saw, Saw::Frame { frame, .. } if frame["type"] != "hello");
        match self.connector.wait_for(wanted, SOON) {
            Ok(Saw::Frame { frame, .. }) => frame,
            other => panic!("{other:?}"),
        }
    }

    /// The connector has seen a good end.
    #[track_caller]
    pub(crate) fn sees_goodbye(&self) {
        assert_eq!(self.sees()["type"], "going_idle");
        let closed = |saw: &Saw| matches!(saw, Saw::Closed { by: ClosedBy::Gateway, code: Some(1000), .. });
        self.connector.wait_for(closed, SOON).unwrap_or_else(|missed| panic!("{missed}"));
    }

    /// It ends well, and its last line says that the connection was closed on purpose.
    #[track_caller]
    pub(crate) fn ends_well(self) {
        let Ended { code, stdout, stderr } = self.program.ended();
        assert_eq!(code, Some(0), "{stderr}");
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["retry_in_ms"]), (&json!("disconnected"), &json!(null)), "{last}");
    }
}
