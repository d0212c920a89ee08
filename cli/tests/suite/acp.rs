//! `relayline run --acp` with a scripted agent (`cli/examples/acp_agent.rs`) and an embedded connector.
//!
//! The text of a message is the agent's script. No test sleeps: each step waits for its own effect.

mod approvals;
mod failures;
mod files;
mod process;
mod sdks;
mod setup;
mod turns;

use crate::support::{Program, SOON, relayline};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Scripted agent. Cargo builds examples with the tests of a package, but not for a single test target.
pub(crate) static AGENT: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_relayline")).with_file_name("examples");
    let agent = folder.join("acp_agent");
    if !agent.exists() {
        let target = folder.parent().and_then(std::path::Path::parent).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--locked",
            "-p",
            "relayline",
            "--example",
            "acp_agent",
            "--target-dir",
        ]);
        assert!(build.arg(target).status().unwrap().success());
    }
    agent
});

/// Session key of the messages of [`Acp::say`].
const KEY: &str = "agent:main:discord:dm:c1";

/// A gateway with the scripted agent, and its connector.
pub(crate) struct Acp {
    pub(crate) program: Program,
    connector: EmbeddedConnector,
    messages: u64,
}

impl Acp {
    /// Starts a gateway that is connected as discord and slack. `features` are those of the agent.
    pub(crate) fn start(runtime: &str, flags: &[&str], features: &[&str]) -> Acp {
        let config = ConnectorConfig::default().gateway("gw-1", "SECRET");
        let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
        let acp = Acp::start_at(connector, runtime, flags, features);
        for _ in 0..2 {
            acp.sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
        }
        acp
    }

    fn start_at(connector: EmbeddedConnector, runtime: &str, flags: &[&str], features: &[&str]) -> Acp {
        let mut command = command(&connector.url(), runtime, flags);
        command.args(["--acp", "--"]).arg(&*AGENT).args(features);
        Acp { program: Program::start(command), connector, messages: 0 }
    }

    /// Ends the gateway, and starts it again at the same connector.
    fn restart(self, runtime: &str, flags: &[&str], features: &[&str]) -> Acp {
        let Acp { program, connector, .. } = self;
        program.terminate();
        assert_eq!(program.ended().code, Some(0));
        Acp::start_at(connector, runtime, flags, features)
    }

    fn tell(&self, act: Act) {
        self.connector.control(act).unwrap();
    }

    #[track_caller]
    pub(crate) fn sees(&self, wanted: impl FnMut(&Observation) -> bool) -> Observation {
        self.connector
            .wait_for(wanted, SOON)
            .unwrap_or_else(|missed| panic!("{missed}\n{}", self.program.log()))
    }

    /// Delivers a message of user u1 in the dm c1.
    pub(crate) fn say(&mut self, text: &str) {
        self.say_with(text, json!({}));
    }

    /// Delivers a message with these fields besides, or instead of the usual ones.
    fn say_with(&mut self, text: &str, fields: Value) {
        self.messages += 1;
        let mut event = json!({
            "text": text, "message_id": format!("msg-{}", self.messages),
            "source": { "platform": "discord", "chat_id": "c1", "user_id": "u1" },
        });
        let fields = fields.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(fields);
        let event: Map<String, Value> = event.as_object().unwrap().clone();
        self.tell(Act::Inbound { event, buffered: None });
    }

    /// Presses a button of the last prompt as a user.
    fn press(&self, option_id: &str, user_id: &str) {
        let press = json!({"do": "press", "option_id": option_id, "user_id": user_id});
        self.tell(serde_json::from_value(press).unwrap());
    }

    /// Presses a button, and the buttons stay.
    fn press_in_vain(&self, option_id: &str, user_id: &str) {
        let press = json!({"do": "press", "option_id": option_id, "user_id": user_id, "stays_open": true});
        self.tell(serde_json::from_value(press).unwrap());
    }

    /// Returns the actions up to the first one that `wanted` accepts, that one included.
    #[track_caller]
    fn actions_until(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut actions = Vec::new();
        self.sees(|saw| {
            let Observation::Frame { frame, .. } = saw else { return false };
            if frame["type"] != "outbound" {
                return false;
            }
            actions.push(frame["action"].clone());
            wanted(&frame["action"])
        });
        actions
    }

    /// Returns the texts up to the one that completes the turn, each with its op.
    #[track_caller]
    fn texts(&self) -> Vec<String> {
        let actions = self.actions_until(|action| action["metadata"]["notify"] == true);
        let text = |action: &Value| {
            let content = action["content"].as_str()?;
            let op = action["op"].as_str()?;
            (op != "typing").then(|| format!("{op} {content}"))
        };
        actions.iter().filter_map(text).collect()
    }

    /// Delivers a message, and returns the text that completes its turn.
    #[track_caller]
    fn answer(&mut self, text: &str) -> String {
        self.say(text);
        self.last_text()
    }

    /// Returns the text that completes the turn.
    #[track_caller]
    pub(crate) fn last_text(&self) -> String {
        let last = self.texts().pop().unwrap();
        last.split_once(' ').unwrap().1.to_owned()
    }

    #[track_caller]
    fn exit_code(self) -> Option<i32> {
        self.program.terminate();
        self.program.ended().code
    }
}

/// Returns `relayline run` with credentials, as discord and slack. Flags of the agent are to follow.
fn command(url: &str, runtime: &str, flags: &[&str]) -> Command {
    let mut command = relayline(["run", "--runtime", runtime, "--url", url, "--gateway-id", "gw-1"]);
    command.args(["--identity", "discord:1", "--identity", "slack:2"]).env("GATEWAY_RELAY_SECRET", "SECRET");
    for setting in
        ["stream_interval=1ms", "acp_answer_interval=1ms", "agent_restart_first=1ms", "disconnect_budget=2s"]
    {
        command.args(["--set", setting]);
    }
    command.args(flags);
    command
}
