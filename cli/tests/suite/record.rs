//! `relayline record` between a real gateway and a real connector, each in a process of its own, and `replay` of the
//! recordings.

use crate::side_car::{ID, SECRET, SideCar};
use crate::support::{Ended, Program, relayline};
use serde_json::{Value, json};
use std::path::Path;

on_one_runtime! {
    a_recorded_session_replays_and_holds_no_secret c_4_a_session_with_redacted_texts_replays_the_same,
    a_full_disk_does_not_break_the_session,
}

fn connector() -> (Program, String) {
    let gateway = format!("{ID}={SECRET}");
    let mut connector =
        Program::start(relayline(["connector", "--gateway", &gateway, "--platform", "discord"]));
    let listening: Value = serde_json::from_str(&connector.line().unwrap()).unwrap();
    (connector, listening["url"].as_str().unwrap().to_owned())
}

fn record(upstream: &str, out: &Path, more: &[&str]) -> (Program, String) {
    let mut command = relayline(["record", "--upstream", upstream, "--out"]);
    command.arg(out).args(more);
    let mut record = Program::start(command);
    let listening: Value = serde_json::from_str(&record.line().unwrap()).unwrap();
    (record, listening["listening"].as_str().unwrap().to_owned())
}

/// Waits until the connector has received a frame of this kind.
fn saw(connector: &mut Program, kind: &str) {
    loop {
        let saw: Value = serde_json::from_str(&connector.line().expect("it goes on")).unwrap();
        if saw["frame"]["type"] == kind {
            return;
        }
    }
}

/// Plays a conversation: messages, answers, buffered events with their acknowledgements, an interrupt, a cut and a
/// close, each with a re-dial.
fn converse(runtime: &str, url: &str, connector: &mut Program) {
    let mut gateway = SideCar::start(runtime, url, &[]);
    gateway.event("connected");
    let tell = |connector: &mut Program, what: Value| connector.write(format!("{what}\n").as_bytes());
    let inbound = |text: &str, buffered: bool| {
        let source = json!({"platform": "discord", "chat_id": "77", "user_id": "5"});
        let event = json!({"text": text, "message_id": text, "source": source, "webhook_token": "t0psecret"});
        json!({"do": "inbound", "event": event, "buffered": buffered})
    };
    tell(connector, inbound("one", false));
    assert_eq!(gateway.message().1, "one");
    gateway.op(json!({"op": "send", "id": 1, "chat_id": "77", "content": "you said: \u{e9}\n\"one\""}));
    assert_eq!(gateway.event("result")["ok"], true);
    for text in ["two", "three"] {
        tell(connector, inbound(text, true));
        let (delivery, got) = gateway.message();
        assert_eq!(got, text);
        gateway.settle("ack", delivery);
        saw(connector, "inbound_ack");
    }
    tell(connector, json!({"do": "interrupt", "session_key": "agent:main:discord:dm:77"}));
    gateway.event("interrupt");
    for (what, code) in [(json!({"do": "drop"}), None), (json!({"do": "close", "code": 1012}), Some(1012))] {
        tell(connector, what);
        assert_eq!(gateway.disconnected().0, code);
        gateway.event("connected");
    }
    tell(connector, inbound("four", false));
    assert_eq!(gateway.message().1, "four");
    gateway.op(json!({"op": "typing", "id": 2, "chat_id": "77"}));
    assert_eq!(gateway.event("result")["ok"], true);
    gateway.op(json!({"op": "disconnect"}));
    assert_eq!(gateway.disconnected().0, Some(1000));
    assert_eq!(gateway.exit_code(), Some(0));
}

fn ended(record: Program) -> Ended {
    record.terminate();
    record.ended()
}

fn a_recorded_session_replays_and_holds_no_secret(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.jsonl");
    let (mut connector, upstream) = connector();
    let (record, url) = record(&upstream, &file, &["--rotate", "1K"]);
    converse(runtime, &url, &mut connector);
    let ended = ended(record);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);

    // C-4: none of its files contains the secret, a token, or a value that a frame labels as secret.
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for secret in [SECRET, "Z3ctMTox", "t0psecret"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        files += 1;
    }
    assert!(files > 2, "it is in several files");
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(first.contains("Bearer <hidden>") && first.contains("\"gateway_id\":\"gw-1\""), "{first}");

    replays(&file);
}

/// Asserts that the recording passes its check, and that the whole session is played.
fn replays(file: &Path) {
    let mut replay = relayline(["replay", "--check"]);
    replay.arg(file);
    let ended = Program::start(replay).ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "ok session\n"), "{}", ended.stderr);
    let mut replay = relayline(["replay"]);
    replay.arg(file);
    let trace = Program::start(replay).ended().stdout;
    for (what, times) in
        [("dial      #", 3), ("message   delivery", 4), ("interrupt agent", 1), ("settled   delivery", 2)]
    {
        assert_eq!(trace.matches(what).count(), times, "{what}: {trace}");
    }
}

fn c_4_a_session_with_redacted_texts_replays_the_same(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.jsonl");
    let (mut connector, upstream) = connector();
    let (record, url) = record(&upstream, &file, &["--redact-text"]);
    converse(runtime, &url, &mut connector);
    let ended = ended(record);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = std::fs::read_to_string(&file).unwrap();
    let said =
        ["one", "two", "three", "four", "you", "said", "webhook", "t0psecret", SECRET, ID, "127.0.0.1"];
    // Pseudonyms may contain a short word by chance, but not as a whole word.
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && !".-_".contains(c)).collect();
    for word in said {
        assert!(!words.contains(&word), "{word}: {text}");
    }
    assert!(!text.contains("dm:77") && !text.contains("\\\"77\\\""), "{text}");
    for stays in [
        "xxx xxxxx ø\\\\nxxxxx",
        "\\\"op\\\":\\\"send\\\"",
        "agent:main:discord:dm:",
        "\"code\":1012",
        "Bearer <hidden>",
    ] {
        assert!(text.contains(stays), "{stays}: {text}");
    }
    replays(&file);
}

/// A full disk ends the recording, not the session. The user is told once.
fn a_full_disk_does_not_break_the_session(runtime: &str) {
    if !cfg!(target_os = "linux") {
        eprintln!("there is no /dev/full here");
        return;
    }
    let (mut connector, upstream) = connector();
    let (record, url) = record(&upstream, Path::new("/dev/full"), &[]);
    converse(runtime, &url, &mut connector);
    let ended = ended(record);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("/dev/full: No space left on device").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("0 lines in 1 file(s); "), "{}", ended.stderr);
}

#[test]
fn an_impossible_recording_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious.jsonl");
    std::fs::write(&precious, "precious").unwrap();
    let missing = folder.path().join("missing/session.jsonl");
    let new = folder.path().join("new.jsonl");
    for (upstream, out, code, expected) in [
        ("ws://127.0.0.1:9", &precious, 1, "it exists and is not empty: name another file, or remove it"),
        ("ws://127.0.0.1:9", &missing, 1, "No such file or directory"),
        ("ftp://c.example", &new, 2, "is not a ws, wss, http or https URL"),
        ("ws://c.example", &new, 2, "use a wss URL, or give --allow-insecure"),
    ] {
        let mut command = relayline(["record", "--upstream", upstream, "--out"]);
        command.arg(out);
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
}
