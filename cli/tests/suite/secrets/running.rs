//! A full session of `run`, with its secret from each possible source.

use super::armed::{FORMATS, armed, keyed, without};
use super::known::{
    DELIVERY_KEY, FILE_SECRET, ID, ISSUED_SECRET, OLD_DELIVERY_KEY, SECRET, TOML_SECRET, is_clean,
};
use crate::support::{Program, SOON};
use relayline_connector::chats::{Ids, slack};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation, Webhook};
use std::path::Path;
use std::process::Command;

on_both_runtimes! {
    c_4_a_whole_session_prints_no_secret
}

/// Sets the source of the gateway's secret.
type Place = fn(&mut Command, &Path);

const PLACES: [(&str, Place); 3] = [
    (SECRET, |_, _| {}),
    (FILE_SECRET, |command, folder| {
        let file = folder.join("secret");
        std::fs::write(&file, format!("{FILE_SECRET}\n")).unwrap();
        command.arg("--secret-file").arg(file);
    }),
    (TOML_SECRET, |command, folder| {
        let file = folder.join("relayline.toml");
        let text = format!(
            "secret = '{TOML_SECRET}'\ndelivery-key = ['{DELIVERY_KEY}']\naccess-token = '{ISSUED_SECRET}'\n\
             [idp]\nclient-secret = '{OLD_DELIVERY_KEY}'\n"
        );
        std::fs::write(&file, text).unwrap();
        without(command, &["SECRET", "DELIVERY_KEY", "ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"]);
        without(command, &["IDP_CLIENT_SECRET", "IDP_CLIENT_ID", "IDP_TOKEN_URL"]);
        command.arg("--config").arg(file);
        command.env("GATEWAY_RELAY_IDP_CLIENT_ID", "the-client");
        command.env("GATEWAY_RELAY_IDP_TOKEN_URL", "https://idp.example/token");
    }),
];

fn c_4_a_whole_session_prints_no_secret(runtime: &str) {
    for (at, (secret, place)) in PLACES.into_iter().enumerate() {
        for format in FORMATS {
            // The file's own tokens and keys are among those searched for. Nothing else about them matters.
            let folder = tempfile::tempdir().unwrap();
            let config = ConnectorConfig::default().gateway(ID, secret).delivery_key(ID, DELIVERY_KEY);
            let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
            let mut command =
                armed(&["run", "--runtime", runtime, "--platform", "slack", "--bot-id", "B1"], format);
            command.args(["--url", &keyed(&connector.url()), "--set", "backoff_first=20ms"]);
            command.args(["--inbound-listen", "127.0.0.1:0"]);
            place(&mut command, folder.path());
            session(command, &connector, at);
        }
    }
}

fn session(command: Command, connector: &EmbeddedConnector, at: usize) {
    let mut program = Program::start(command);
    let mut stdout = String::new();
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, SOON).unwrap();
    deliver(&program, connector);
    program.write(
        b"{\"op\":\"send\",\"chat_id\":\"1\",\"content\":\"x\",\"id\":1}\nrubbish\n{\"op\":\"nothing\"}\n",
    );
    program.write(
        b"{\"op\":\"send_media\",\"chat_id\":\"1\",\"media_kind\":\"image\",\"source_url\":\"https://x/a\",\"id\":2}\n",
    );
    read_until(&mut program, &mut stdout, "\"id\":2");
    // A broken connection, an expired token, and a final refusal.
    for act in [Act::Drop, Act::Expire] {
        connector.control(act).unwrap();
        connector.wait_for(hello, SOON).unwrap();
    }
    connector.control(Act::Revoke { on: true }).unwrap();
    let ended = program.ended();
    stdout += &ended.stdout;
    assert_eq!(ended.code, Some(3), "{at}: {}", ended.stderr);
    for said in ["\"connected\"", "\"invalid\"", "by hand", "\"fatal\""] {
        assert!(stdout.contains(said), "{at}, {said}: {stdout}");
    }
    for logged in ["inbound_listening", "DEBUG", "dial ", "sent ", "401"] {
        assert!(ended.stderr.contains(logged), "{at}, {logged}: {}", ended.stderr);
    }
    is_clean("stderr", &ended.stderr);
    is_clean("stdout", &stdout);
}

/// Sends signed webhook requests, one of them with a key that the gateway does not have.
fn deliver(program: &Program, connector: &EmbeddedConnector) {
    // The address comes after the event's name in one format, and before it in the other.
    program.logged("inbound_listening");
    let log = program.log();
    let line = log.lines().find(|line| line.contains("inbound_listening")).unwrap();
    let (_, port) = line.split_once("127.0.0.1:").unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let now = relayline_core::time::Now { unix_s: 1_718_900_000, ..Default::default() };
    let event = slack::dm().message(&mut Ids::new([0; 32]), now, "by hand");
    for (key, status) in [(ISSUED_SECRET, 401), (DELIVERY_KEY, 200)] {
        let delivery = Webhook::event(event.clone()).url(format!("http://127.0.0.1:{port}")).key(key);
        connector.control(Act::Deliver(delivery)).unwrap();
        let answered = connector.wait_for(|saw| matches!(saw, Observation::Http { .. }), SOON).unwrap();
        assert!(
            matches!(answered, Observation::Http { status: Some(got), .. } if got == status),
            "{answered:?}"
        );
    }
}

fn read_until(program: &mut Program, stdout: &mut String, words: &str) {
    while !stdout.contains(words) {
        let line = program.line().unwrap_or_else(|| panic!("it ended:\n{stdout}{}", program.log()));
        *stdout += &line;
        stdout.push('\n');
    }
}
