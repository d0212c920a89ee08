//! `demo --durable`: a gateway and its agent are killed in the middle of a turn, and the message comes again.

use super::stage::frame;
use super::transcript::Transcript;
use super::{GATEWAY, durable_agent};
use crate::exec::own_program;
use crate::gateway::RuntimeName;
use crate::temporary_folder::TemporaryFolder;
use crate::{fail, random};
use clap::ValueEnum;
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

/// Maximum time of a step before the demo ends with an error.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Plays the crash. Prints errors, and returns the exit code.
pub(super) fn run(runtime: RuntimeName) -> ExitCode {
    match play(runtime) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

/// Gateway with its agent. It is killed when this is dropped, as by `kill -9`.
struct Gateway(Child);

impl Gateway {
    fn start(runtime: RuntimeName, url: &str, secret: &str, queue: &Path) -> Result<Gateway, String> {
        let program = own_program().map_err(|error| format!("this program cannot be found: {error}"))?;
        let runtime =
            runtime.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(["-q", "run", "--url", url, "--runtime", &runtime, "--gateway-id", GATEWAY]);
        command.args(["--platform", "discord", "--set", "backoff_first=100ms", "--queue"]);
        command
            .arg(format!("sqlite:{}", queue.display()))
            .arg("--exec")
            .arg(&program)
            .arg(durable_agent::NAME);
        command.env("GATEWAY_RELAY_SECRET", secret).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Gateway).map_err(|error| format!("the gateway does not start: {error}"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It fails if the gateway has ended, which is the same.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn play(runtime: RuntimeName) -> Result<(), String> {
    let folder = TemporaryFolder::create()
        .map_err(|error| format!("a folder in {}: {error}", std::env::temp_dir().display()))?;
    let mut transcript = Transcript::new();
    let secret = random::hex::<16>().map_err(|error| error.to_string())?;
    let config = ConnectorConfig::default().gateway(GATEWAY, secret.clone());
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0")
        .map_err(|error| format!("the demo's connector cannot listen on 127.0.0.1: {error}"))?;
    let queue = folder.path().join("inbox.db");
    transcript.remark(&format!("connector  {} (on this machine)", connector.url()));
    let first = Gateway::start(runtime, &connector.url(), &secret, &queue)?;
    sees(&connector, |frame| frame["type"] == "hello")?;
    transcript.remark(&format!("gateway    process {} with the queue inbox.db, and an agent", first.0.id()));
    let (room, text) = (discord::guild_channel(), "book the flight");
    let event = room.message(&mut Ids::new([7; 32]), Now { unix_s: crate::unix_s(), ..Now::default() }, text);
    transcript.said(&room, room.person.name, text);
    connector.control(Act::Inbound { event, buffered: Some(true) }).map_err(|error| error.to_string())?;
    sees(&connector, |frame| frame["type"] == "inbound_ack")?;
    transcript.aside("stored and acknowledged: the connector has forgotten it");
    // The agent shows that it has begun.
    sees(&connector, |frame| frame["action"]["op"] == "typing" || frame["action"]["op"] == "react")?;
    transcript.aside("the agent works on it");
    drop(first);
    transcript.aside("kill -9: the gateway and the agent are gone, in the middle of the turn");
    let second = Gateway::start(runtime, &connector.url(), &secret, &queue)?;
    sees(&connector, |frame| frame["type"] == "hello")?;
    transcript.aside(&format!("a new gateway, process {}, opens the same queue", second.0.id()));
    let answer = sees(&connector, |frame| frame["action"]["op"] == "send")?;
    transcript.said(&room, "agent", answer["action"]["content"].as_str().unwrap_or_default());
    transcript.remark("the turn is done once more, marked as redelivered");
    Ok(())
}

/// Waits for a frame of the gateway.
fn sees(connector: &EmbeddedConnector, wanted: impl Fn(&Value) -> bool) -> Result<Value, String> {
    let saw = connector.wait_for(|saw: &Observation| frame(saw).is_some_and(&wanted), TIMEOUT);
    let saw = saw.map_err(|missed| missed.to_string())?;
    Ok(frame(&saw).cloned().unwrap_or_default())
}
