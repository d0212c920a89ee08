//! `run --sleep-after`: when a gateway goes dormant, what wakes it, and that nothing is lost meanwhile.

use crate::acp::Acp;
use crate::bridging::Bridge;
use crate::support::{Ended, Program, SOON, relayline};
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

on_both_runtimes! {
    it_sleeps_and_a_get_wakes_it
    the_connector_wakes_it
    an_unsettled_delivery_keeps_it_awake
    an_op_wakes_it_and_is_sent
    a_signal_wakes_it
    a_status_does_not_wake_it
    it_exits_and_a_restart_gets_everything
    an_unconfirmed_sleep_leaves_it_connected
    a_host_may_resume_by_itself
    an_acp_turn_keeps_it_awake
}

/// Time without work of most tests. It is short, and no test depends on its length.
const AFTER: &str = "50ms";

/// Starts a bridge that sleeps, with these flags.
fn start(runtime: &str, flags: &[&str]) -> Bridge {
    let sleeping = ["--sleep-after", AFTER, "--wake-listen", "127.0.0.1:0"];
    Bridge::start(runtime, &[&sleeping, flags].concat())
}

impl Bridge {
    /// Waits until the gateway sleeps, and returns the line that tells the agent.
    #[track_caller]
    fn sleeps(&mut self) -> Value {
        let line = self.next();
        assert_eq!((&line["event"], &line["retry_in_ms"]), (&json!("disconnected"), &json!(null)), "{line}");
        self.sees_goodbye();
        self.program.logged("asleep");
        line
    }

    /// Sends a request to the wake URL. Returns its response.
    #[track_caller]
    fn request(&self, method: &str, path: &str) -> String {
        let address = self.program.logged("wake_listening address=");
        let mut stream = TcpStream::connect(address.trim()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// Wakes the gateway.
    #[track_caller]
    fn wake(&self) {
        let response = self.request("GET", "/any/path?x=1");
        assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\n\r\nawake\n"), "{response}");
    }

    /// Delivers a text in a direct message, which the connector buffers while the gateway sleeps.
    fn says(&mut self, text: &str) {
        let event =
            discord::dm().message(&mut self.ids, Now { unix_s: 1_718_900_000, ..Now::default() }, text);
        self.tell(Act::Inbound { event, buffered: None });
    }

    /// Reads lines up to the next message, acknowledges it, and returns its text.
    #[track_caller]
    fn heard(&mut self) -> String {
        loop {
            let line = self.next();
            if line["event"] == "message" {
                self.say(json!({"op": "ack", "delivery": line["delivery"]}));
                return line["message"]["text"].as_str().unwrap().to_owned();
            }
            assert!(["connected", "disconnected"].contains(&line["event"].as_str().unwrap()), "{line}");
        }
    }
}

/// L-13: what was sent meanwhile arrives, and so does the first message after the wake.
fn it_sleeps_and_a_get_wakes_it(runtime: &str) {
    let mut bridge = start(runtime, &[]);
    assert_eq!(bridge.sleeps()["code"], 1000);
    bridge.says("first");
    bridge.says("second");
    // A check of the URL does not wake it, and other methods are not allowed.
    assert!(bridge.request("HEAD", "/").starts_with("HTTP/1.1 200 "));
    assert!(bridge.request("POST", "/wake").starts_with("HTTP/1.1 405 "));
    // The line that tells the agent is no work: it does not wake the gateway again.
    assert!(!bridge.program.log().contains("woken"), "{}", bridge.program.log());
    assert_eq!(bridge.ask(json!({"op": "status"}))["phase"], "waiting");
    bridge.wake();
    assert_eq!((bridge.heard().as_str(), bridge.heard().as_str()), ("first", "second"));
    bridge.says("third");
    assert_eq!(bridge.heard(), "third");
    // It sleeps again, and is woken again.
    bridge.program.logged("asleep");
    bridge.says("fourth");
    bridge.wake();
    assert_eq!(bridge.heard(), "fourth");
}

/// Listens for a gateway that must tell its wake URL before it has a port. Returns the URL.
fn pass_on(gateway: Arc<OnceLock<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/wake", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            // The connector asks again if the gateway does not listen yet.
            let Some(address) = gateway.get() else { continue };
            let mut gateway = TcpStream::connect(address).unwrap();
            let (mut requests, mut to_gateway) = (client.try_clone().unwrap(), gateway.try_clone().unwrap());
            std::thread::spawn(move || io::copy(&mut requests, &mut to_gateway));
            let _ = io::copy(&mut gateway, &mut client);
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    url
}

/// The whole round: provisioning tells the connector the URL, which it requests when somebody writes.
fn the_connector_wakes_it(runtime: &str) {
    let address = Arc::<OnceLock<String>>::default();
    let url = pass_on(address.clone());
    let config = ConnectorConfig::default().identity("access", "default");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let flags = ["--provision", "always", "--gateway-id", "gw-1", "--wake-url", &url];
    let sleeping = ["--sleep-after", AFTER, "--wake-listen", "127.0.0.1:0"];
    let env = [("GATEWAY_RELAY_ACCESS_TOKEN", "access")];
    let mut bridge = Bridge::start_at(connector, runtime, &[&flags[..], &sleeping].concat(), &env);
    address.set(bridge.program.logged("wake_listening address=").trim().to_owned()).unwrap();
    for text in ["first", "second"] {
        bridge.program.logged("asleep");
        bridge.says(text);
        assert_eq!(bridge.heard(), text);
    }
    let woken = |saw: &Observation| matches!(saw, Observation::Http { method, status: Some(200), .. } if method == "GET");
    bridge.connector.wait_for(woken, SOON).unwrap();
}

fn an_unsettled_delivery_keeps_it_awake(runtime: &str) {
    let mut bridge = start(runtime, &[]);
    bridge.deliver(&discord::dm(), "work", true);
    let line = loop {
        let line = bridge.next();
        if line["event"] == "message" {
            break line;
        }
        // It may have slept before the message came.
        bridge.wake();
    };
    // Several times as long as the time without work. The gateway is still connected.
    std::thread::sleep(Duration::from_millis(250));
    let sent = bridge.ask(json!({"op": "reply", "delivery": line["delivery"], "content": "still here"}));
    assert!(sent["message_id"].is_string(), "{sent}");
    bridge.say(json!({"op": "ack", "delivery": line["delivery"]}));
    bridge.program.logged("asleep");
}

fn an_op_wakes_it_and_is_sent(runtime: &str) {
    let mut bridge = start(runtime, &[]);
    bridge.sleeps();
    bridge.say(
        json!({"op": "send", "id": "s", "platform": "discord", "chat_id": "1", "content": "good morning"}),
    );
    let result = loop {
        let line = bridge.next();
        if line["event"] == "result" {
            break line;
        }
        assert_eq!(line["event"], "connected");
    };
    assert_eq!((&result["id"], &result["ok"]), (&json!("s"), &json!(true)), "{result}");
}

fn a_signal_wakes_it(runtime: &str) {
    for signal in ["USR1", "CONT"] {
        let mut bridge = start(runtime, &[]);
        bridge.sleeps();
        let pid = bridge.program.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        assert_eq!(bridge.next()["event"], "connected", "{signal}");
    }
    // SIGTERM ends it at once.
    let mut bridge = start(runtime, &[]);
    bridge.sleeps();
    bridge.program.terminate();
    assert_eq!(bridge.program.ended().code, Some(0));
}

/// Nor do other ops that need no connection.
fn a_status_does_not_wake_it(runtime: &str) {
    let mut bridge = start(runtime, &[]);
    bridge.sleeps();
    let status = bridge.ask(json!({"op": "status"}));
    assert_eq!((&status["phase"], &status["asleep"]), (&json!("waiting"), &json!(true)));
    bridge.ask(json!({"op": "prime", "chat_id": "7", "platform": "discord"}));
    assert_eq!(bridge.ask(json!({"op": "chat", "chat_id": "7"}))["known"], true);
    bridge.wake();
    assert_eq!(bridge.next()["event"], "connected");
}

fn it_exits_and_a_restart_gets_everything(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let on_sleep = format!("echo \"$GATEWAY_RELAY_SECRET\" > {}", ran.display());
    let mut bridge = start(runtime, &["--exit-on-sleep", "--on-sleep", &on_sleep]);
    bridge.sleeps();
    bridge.says("meanwhile");
    let Bridge { program, connector, .. } = bridge;
    let Ended { code, stderr, .. } = program.ended();
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(std::fs::read_to_string(ran).unwrap(), "\n", "the command has no secret");
    let mut command = relayline(["run", "--url", &connector.url(), "--runtime", runtime]);
    command.args(["--identity", "discord:1", "--identity", "telegram:2"]);
    let program = Program::start(command);
    let mut bridge = Bridge { program, connector, ids: Ids::new([1; 32]) };
    assert_eq!(bridge.heard(), "meanwhile");
}

/// L-12, L-13: a connector that does not buffer must not lose a gateway.
fn an_unconfirmed_sleep_leaves_it_connected(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--sleep-after", "300ms", "--set", "idle_timeout=50ms"]);
    bridge.tell(Act::IdleAck { on: false });
    assert_eq!(bridge.sees()["type"], "going_idle");
    // The attempt times out meanwhile.
    std::thread::sleep(Duration::from_millis(100));
    bridge.says("hello");
    assert_eq!(bridge.heard(), "hello");
    // The hold of the attempt has ended: a lost connection is replaced at once.
    bridge.tell(Act::Drop);
    assert!(bridge.next()["retry_in_ms"].is_u64());
    assert_eq!(bridge.next()["event"], "connected");
    assert!(!bridge.program.log().contains("asleep"), "{}", bridge.program.log());
}

fn a_host_may_resume_by_itself(runtime: &str) {
    let mut bridge = start(runtime, &[]);
    bridge.sleeps();
    bridge.say(json!({"op": "resume"}));
    assert_eq!(bridge.next()["event"], "connected");
    bridge.says("hello");
    assert_eq!(bridge.heard(), "hello");
}

/// The relay has nothing to do meanwhile: only the agent works.
fn an_acp_turn_keeps_it_awake(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--sleep-after", "100ms", "--wake-listen", "127.0.0.1:0"], &[]);
    acp.say("wait 500; say done");
    assert_eq!(acp.last_text(), "done");
    assert!(!acp.program.log().contains("asleep"), "{}", acp.program.log());
    acp.program.logged("asleep");
}

#[test]
fn sleeping_flags_are_checked() {
    for (flags, code, words) in [
        (&["--wake-listen", "127.0.0.1:0"][..], 2, "wake-listen is set without sleep-after"),
        (&["--exit-on-sleep"], 2, "exit-on-sleep is set without sleep-after"),
        (&["--on-sleep", "true"], 2, "on-sleep is set without sleep-after"),
        (&["--sleep-after", "0s"], 2, "longer than 0"),
        (&["--sleep-after", "soon"], 2, "30s, 10m or 1h"),
        (&["--sleep-after", "1h", "--wake-listen", "nowhere:1:2"], 1, "--wake-listen nowhere:1:2"),
    ] {
        let mut command = relayline(["run", "--url", "ws://127.0.0.1:9", "--platform", "discord"]);
        let output = command.args(flags).args(["--exec", "cat"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {stderr}");
        assert!(stderr.contains(words), "{flags:?}: {stderr}");
    }
}
