//! Secrets in the recordings of gateways that enroll, provision and connect, and in the output of `replay`.

use super::armed::{FORMATS, armed, keyed, swept, without};
use super::known::{ACCESS, ENROLLMENT, ID, SECRET, is_clean};
use crate::support::{Program, SOON, relayline};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation, UpgradeRefusal};
use serde_json::{Value, json};
use std::path::Path;

on_one_runtime! {
    c_4_no_recording_and_no_replay_holds_a_secret,
}

fn c_4_no_recording_and_no_replay_holds_a_secret(runtime: &str) {
    for (format, redacts_text) in FORMATS.into_iter().zip([false, true]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session.jsonl");
        // A refusal with a body has more to hide than a close.
        let config = ConnectorConfig::default().upgrade_refusal(UpgradeRefusal::Http);
        let config = config.gateway(ID, SECRET);
        let config = config.enroll_token(ENROLLMENT, "default").identity(ACCESS, "default");
        let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
        let mut record = armed(&["record", "--upstream", &keyed(&connector.url())], format);
        record.arg("--out").arg(&file).args(redacts_text.then_some("--redact-text"));
        let mut record = Program::start(record);
        let first: Value = serde_json::from_str(&record.line().unwrap()).unwrap();
        let url = first["listening"].as_str().unwrap();
        by_hand(runtime, url, folder.path());
        session(runtime, url, format, &connector);
        record.terminate();
        let ended = record.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        is_clean("the recorder", &(ended.stdout + &ended.stderr));

        let recording = std::fs::read_to_string(&file).unwrap();
        for passed in ["<hidden>", "\"connect\"", "\"reject\"", "hello"] {
            assert!(recording.contains(passed), "{passed}: {recording}");
        }
        assert_eq!(recording.contains("told in passing"), !redacts_text, "{recording}");
        is_clean("the recording", &recording);
        for flags in [&[][..], &["--json"], &["--check"]] {
            let mut command = relayline(["replay"]);
            command.args(flags).arg(&file);
            let ended = swept(command, "");
            assert!(ended.code == Some(0) && !ended.stdout.is_empty(), "{flags:?}: {ended:?}");
        }
    }
}

/// The exchanges, all of them through the recorder.
fn by_hand(runtime: &str, url: &str, folder: &Path) {
    let with_runtime = |words: &[&str]| {
        let mut command = armed(words, "text");
        command.args(["--runtime", runtime]);
        command
    };
    let mut enroll = with_runtime(&["enroll", "--connector-url", url, "--gateway-id", "gw-new"]);
    enroll.arg("--env-file").arg(folder.join("env"));
    let mut provision =
        with_runtime(&["provision", "--platform", "slack", "--url", url, "--gateway-id", "gw-other"]);
    without(&mut provision, &["SECRET"]);
    let policy = with_runtime(&["policy", "--url", url, "--policy", r#"{"allowOtherBots":true}"#]);
    for command in [enroll, provision, policy] {
        let ended = swept(command, "");
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

fn session(runtime: &str, url: &str, format: &str, connector: &EmbeddedConnector) {
    let mut command = armed(&["run", "--runtime", runtime, "--platform", "discord", "--bot-id", "1"], format);
    command.args(["--url", url, "--set", "backoff_first=20ms"]);
    let mut program = Program::start(command);
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, SOON).unwrap();
    while !program.line().unwrap().contains("\"connected\"") {}
    let send = json!({ "op": "send", "chat_id": "1", "content": "told in passing", "id": 1 });
    program.write(format!("{send}\n").as_bytes());
    while !program.line().unwrap().contains("\"result\"") {}
    // A connection that breaks, and a refusal that is final.
    connector.control(Act::Drop).unwrap();
    connector.wait_for(hello, SOON).unwrap();
    connector.control(Act::Revoke { on: true }).unwrap();
    let ended = program.ended();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    is_clean("a recorded gateway", &(ended.stdout + &ended.stderr));
}
