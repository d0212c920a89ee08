//! C-4: the secret and the tokens minted with it stay where they belong, however much is logged.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

mod support;

use relayline_harness::connector::{Act, ConnectorConfig, EmbeddedConnector, Saw};
use support::{Program, SOON, relayline};

on_both_runtimes! {
    c_4_neither_secret_nor_token_is_printed
    c_4_a_child_gets_no_secret
}

const SECRET: &str = "hunter2-the-secret";
/// How every token of the gateway begins: `gw-1:1` in base64url, up to the first digit of the time (C-1).
const TOKEN: &str = "Z3ctMTox";

#[track_caller]
fn is_clean(text: &str) {
    for (at, line) in text.lines().enumerate() {
        // The trace says that there is a token, and hides it.
        let line = line.replace("authorization: Bearer <hidden>", "");
        for word in [SECRET, TOKEN, "Bearer", "uthorization"] {
            assert!(!line.contains(word), "line {}: {line}", at + 1);
        }
    }
}

fn c_4_neither_secret_nor_token_is_printed(runtime: &str) {
    for format in ["text", "json"] {
        let config = ConnectorConfig::default().gateway("gw-1", SECRET);
        let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
        let mut command = relayline(["run", "-vv", "--log-format", format, "--runtime", runtime]);
        command.args(["--url", &connector.url(), "--gateway-id", "gw-1", "--set", "backoff_first=20ms"]);
        command.env("GATEWAY_RELAY_SECRET", SECRET).env("RUST_LOG", "trace");
        let mut program = Program::start(command);
        let hello = |saw: &Saw| matches!(saw, Saw::Frame { frame, .. } if frame["type"] == "hello");
        connector.wait_for(hello, SOON).unwrap();
        program.write(b"{\"op\":\"send\",\"chat_id\":\"1\",\"content\":\"x\",\"id\":1}\nrubbish\n");
        // A connection that breaks, a token that expires, a refusal, and the second that is final.
        for act in [Act::Drop, Act::Expire] {
            connector.control(act).unwrap();
            connector.wait_for(hello, SOON).unwrap();
        }
        connector.control(Act::Revoke { on: true }).unwrap();
        let ended = program.ended();
        // It did say something, and not only what it always says.
        assert!(ended.stderr.contains("connected") && ended.stderr.contains("DEBUG"), "{}", ended.stderr);
        assert!(ended.stderr.contains("sent      #1 "), "the trace is in it: {}", ended.stderr);
        assert!(ended.stdout.contains("\"event\":\"invalid\""), "{}", ended.stdout);
        is_clean(&ended.stderr);
        is_clean(&ended.stdout);
    }
}

fn c_4_a_child_gets_no_secret(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("environment");
    let connector =
        EmbeddedConnector::start(ConnectorConfig::default().gateway("gw-1", SECRET), "127.0.0.1:0");
    let connector = connector.unwrap();
    let script = format!("env > {}", seen.display());
    let mut command = relayline(["run", "--runtime", runtime, "--exec", "sh", "-c", &script]);
    command.env("GATEWAY_RELAY_URL", connector.url()).env("GATEWAY_RELAY_ID", "gw-1");
    for name in [
        "SECRET",
        "DELIVERY_KEY",
        "ENROLL_TOKEN",
        "ACCESS_TOKEN",
        "ACCESS_TOKEN_COMMAND",
        "IDP_CLIENT_SECRET",
        "CLIENT_SECRET",
    ] {
        command.env(format!("GATEWAY_RELAY_{name}"), SECRET);
    }
    let ended = Program::start(command).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let environment = std::fs::read_to_string(seen).unwrap();
    assert!(environment.contains("GATEWAY_RELAY_ID=gw-1\n"), "{environment}");
    is_clean(&environment);
}
