//! Runs every example against the embedded connector, as a process of its own. Each runtime's tests include this file,
//! and name their crate `relayline`.
//!
//! An example reads its environment, which a test cannot change for itself. So the test runs its own program again with
//! that environment, and there one of the tests below runs the example's `main`.

use crate::relayline;
use relayline_connector::chats::{Ids, Room, discord, telegram};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::secret::Secret;
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(30);
/// Variable that names the example to run.
const EXAMPLE: &str = "RELAYLINE_EXAMPLE";

macro_rules! examples {
    ($($name:ident)*) => {$(
        mod $name {
            use super::relayline;

            include!(concat!("../../../examples/", stringify!($name), ".rs"));

            /// Runs the example in its own process. Does nothing without that variable.
            #[test]
            fn process() {
                if std::env::var(super::EXAMPLE).as_deref() == Ok(stringify!($name)) {
                    main().unwrap();
                }
            }
        }
    )*};
}

examples! { echo streaming approval platforms webhook }

/// An example that runs, and the connector that it has dialed.
struct Running {
    connector: EmbeddedConnector,
    child: Child,
    ids: Ids,
}

/// Returns a command that runs an example in a process of its own.
fn process<V: AsRef<OsStr>>(name: &str, url: &str, environment: &[(&str, V)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("GATEWAY_RELAY_") {
            command.env_remove(variable);
        }
    }
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    command.args(["--exact", &format!("{module}::{name}::process"), "--nocapture"]);
    command.env(EXAMPLE, name).env("GATEWAY_RELAY_URL", url);
    command.envs([("GATEWAY_RELAY_ID", "gw-1"), ("GATEWAY_RELAY_SECRET", "s3cret")]);
    command
        .env("GATEWAY_RELAY_PLATFORMS", "discord,telegram")
        .envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

impl Running {
    fn start(name: &str, environment: &[(&str, &str)]) -> Running {
        let accounts = ConnectorConfig::default().gateway("gw-1", "s3cret").identity("acc3ss", "acme");
        let connector = EmbeddedConnector::start(accounts, "127.0.0.1:0").unwrap();
        let child = process(name, &connector.url(), environment).spawn().unwrap();
        let running = Running { connector, child, ids: Ids::new([0; 32]) };
        for platform in ["discord", "telegram"] {
            assert_eq!(running.sees(|frame| frame["type"] == "hello")["platform"], platform);
        }
        running
    }

    fn event(&mut self, room: &Room, text: &str) -> serde_json::Map<String, Value> {
        room.message(&mut self.ids, Now { unix_s: 1_718_900_000, ..Now::default() }, text)
    }

    /// Delivers an event through the buffer, so that the example's acknowledgement can be seen.
    fn deliver(&mut self, event: serde_json::Map<String, Value>) {
        self.connector.control(Act::Inbound { event, buffered: Some(true) }).unwrap();
    }

    #[track_caller]
    fn sees(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let of_interest =
            |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if wanted(frame));
        match self.connector.wait_for(of_interest, SOON) {
            Ok(Observation::Frame { frame, .. }) => frame,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the next action, and checks its op.
    #[track_caller]
    fn action(&self, op: &str) -> Value {
        let mut frame = self.sees(|frame| frame["type"] == "outbound");
        assert_eq!(frame["action"]["op"], op, "{frame}");
        frame["action"].take()
    }

    #[track_caller]
    fn acknowledges(&self) {
        self.sees(|frame| frame["type"] == "inbound_ack");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An agent runs until it is killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_echo_answers() {
    let mut agent = Running::start("echo", &[]);
    let event = agent.event(&discord::dm(), "hello");
    agent.deliver(event);
    agent.acknowledges();
    let action = agent.action("send");
    assert_eq!(action["content"], "you said: hello");
    assert!(action["reply_to"].is_string());
    // L-10: revoked, it ends, and not well.
    agent.connector.control(Act::Revoke { on: true }).unwrap();
    assert!(!agent.child.wait().unwrap().success());
}

/// H-4: a host with an access token and no secret requests one before it dials. This connector admits nobody else.
#[test]
fn h_4_an_agent_without_a_secret_is_provisioned() {
    let environment = [
        ("GATEWAY_RELAY_ID", "gw-2"),
        ("GATEWAY_RELAY_SECRET", " "),
        ("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss"),
    ];
    // The gateway has sent its hello when this returns.
    drop(Running::start("echo", &environment));
}

/// A variable that is not UTF-8 must not count as unset: the agent would dial unauthenticated.
#[cfg(unix)]
#[test]
fn h_9_a_variable_that_is_not_utf_8_stops_an_agent() {
    let secret = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"s3cret\xff");
    let environment = [("GATEWAY_RELAY_SECRET", OsStr::new(secret))];
    let ended = process("echo", "ws://127.0.0.1:9", &environment).output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && stderr.contains("GATEWAY_RELAY_SECRET is not UTF-8"), "{stderr}");
}

#[test]
fn the_streaming_agent_shows_its_whole_answer() {
    let mut agent = Running::start("streaming", &[]);
    let whole = "You said: one two three";
    for (room, shows) in [(telegram::topic(), "draft"), (discord::dm(), "send")] {
        let event = agent.event(&room, "one two three");
        agent.deliver(event);
        let first = agent.action(shows);
        assert!(whole.starts_with(first["content"].as_str().unwrap()), "{first}");
        // O-12: the draft vanishes there, so the answer is a message of its own.
        if shows == "draft" || first["content"] != whole {
            let ends = if shows == "draft" { "send" } else { "edit" };
            agent.sees(|frame| frame["action"]["op"] == ends && frame["action"]["content"] == whole);
        }
        agent.acknowledges();
    }
}

#[test]
fn the_approval_agent_asks_and_takes_the_answer() {
    let mut agent = Running::start("approval", &[]);
    let event = agent.event(&discord::guild_channel(), "deploy");
    agent.deliver(event);
    let prompt = agent.action("prompt");
    assert_eq!((&prompt["content"], &prompt["prompt_kind"]), (&json!("Shall I deploy?"), &json!("approval")));
    agent.acknowledges();
    let mut event = agent.event(&discord::guild_channel(), "/yes");
    let chosen = json!({"prompt_id": prompt["prompt_id"], "option_id": "yes", "label": "Do it"});
    event.insert("prompt_response".to_owned(), chosen);
    agent.deliver(event);
    assert_eq!(agent.action("send")["content"], "Done.");
    agent.acknowledges();
    // I-5: from the next handshake on, the platform has no buttons.
    let mut descriptor = relayline_connector::chats::Platform::named("discord").descriptor;
    descriptor.insert("supported_ops".to_owned(), json!(["send"]));
    agent.connector.control(Act::Descriptor { descriptor, platform: None }).unwrap();
    agent.connector.control(Act::Drop).unwrap();
    agent.sees(|frame| frame["type"] == "hello" && frame["platform"] == "telegram");
    let event = agent.event(&discord::guild_channel(), "roll back");
    agent.deliver(event);
    assert_eq!(agent.action("send")["content"], "Shall I roll back?\n\n1. Do it\n2. Leave it");
}

#[test]
fn the_agent_of_several_platforms_adapts_to_each() {
    let mut agent = Running::start("platforms", &[]);
    for room in [discord::dm(), telegram::topic()] {
        let event = agent.event(&room, "well done");
        agent.deliver(event);
        let frame = agent.sees(|frame| frame["type"] == "outbound");
        assert_eq!((&frame["action"]["op"], &frame["platform"]), (&json!("react"), &json!(room.platform)));
        agent.acknowledges();
    }
    let mut descriptor = relayline_connector::chats::Platform::named("telegram").descriptor;
    descriptor.insert("supported_ops".to_owned(), json!(["send"]));
    agent.connector.control(Act::Descriptor { descriptor, platform: None }).unwrap();
    agent.connector.control(Act::Drop).unwrap();
    agent.sees(|frame| frame["type"] == "hello" && frame["platform"] == "telegram");
    for (room, op) in [(telegram::topic(), "send"), (discord::dm(), "react")] {
        let event = agent.event(&room, "well done");
        agent.deliver(event);
        agent.action(op);
        agent.acknowledges();
    }
}

/// H-6: a signed webhook request is answered over the connection.
#[test]
fn h_6_the_webhook_agent_answers_a_signed_request() {
    use relayline_core::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    // A port that was just free.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let environment =
        [("GATEWAY_RELAY_INBOUND_LISTEN", address.as_str()), ("GATEWAY_RELAY_DELIVERY_KEY", "k3y")];
    let mut agent = Running::start("webhook", &environment);
    // L-17: once it answers this message its handshake is complete, so it can answer a webhook request.
    let event = agent.event(&discord::dm(), "first");
    agent.deliver(event);
    agent.action("send");
    let event = Value::Object(agent.event(&discord::dm(), "posted"));
    let body = json!({"type": "message", "event": event}).to_string();
    let unix_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // C-3
    let signature = sign(body.as_bytes(), &Secret::new("k3y".to_owned()), unix_s);
    for (signature, status) in [("0".repeat(64), "401"), (signature, "200")] {
        let mut client = TcpStream::connect(&address).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{TIMESTAMP_HEADER}: {unix_s}\r\n\
             {SIGNATURE_HEADER}: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    assert_eq!(agent.action("send")["content"], "delivered: posted");
}
