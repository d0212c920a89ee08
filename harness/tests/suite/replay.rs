//! Plays every recorded session through the machine, checks it, and keeps its trace as a snapshot.

use crate::is_full;
use relayline_harness::recording::{LineContent, Recording};
use relayline_harness::replay::{self, Cut, Drain, Entry, ReplayOptions, ReplayRun};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

fn harness() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the recordings of a folder below `harness/`, by name, whatever the working folder of the tests.
fn folder(name: &str) -> Vec<Recording> {
    let files = std::fs::read_dir(harness().join(name)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        files.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".jsonl")).collect();
    names.sort();
    names.iter().map(|file| load(&format!("{name}/{file}"))).collect()
}

/// Returns all recordings of the early versions.
fn early() -> Vec<Recording> {
    let recordings = folder("recordings");
    assert!(recordings.len() >= 33, "the recordings are there");
    recordings
}

/// Returns all recordings.
fn recordings() -> Vec<Recording> {
    let october = folder("recordings/2026-10");
    assert!(october.len() >= 46, "the recordings are there");
    early().into_iter().chain(october).collect()
}

/// Returns a recording by its path in the repository.
fn load(path: &str) -> Recording {
    let bytes = std::fs::read(harness().join(path)).unwrap();
    Recording::read(path, &bytes).unwrap()
}

fn play(recording: &Recording, options: ReplayOptions) -> ReplayRun {
    replay::play(recording, options).unwrap()
}

fn text(run: &ReplayRun) -> String {
    run.trace.iter().fold(String::new(), |mut text, entry| {
        writeln!(text, "{entry}").unwrap();
        text
    })
}

/// Returns the lanes of a trace separately: the events that an interrupt overtakes depend on when outputs are taken
/// (L-16).
fn lanes(run: &ReplayRun) -> Vec<String> {
    let lane = |names: &[&str]| {
        let entries = run.trace.iter().filter(|entry| names.contains(&entry.name()));
        entries.map(|entry| format!("{entry}\n")).collect::<String>()
    };
    vec![
        lane(&["received", "overlong", "opened", "closed", "host", "timer", "settled"]),
        lane(&["sent", "close", "ping"]),
        lane(&["message"]),
        lane(&["interrupt", "completed", "notice", "dial", "drop", "fatal"]),
    ]
}

/// The replay of each recording equals it, except for differences that rules require.
#[test]
fn every_replay_equals_its_recording() {
    let mut failed = String::new();
    for recording in recordings() {
        let run = play(&recording, ReplayOptions::default());
        let verdict = replay::check(&recording, &run);
        if !verdict.passes() {
            writeln!(failed, "{verdict}").unwrap();
        }
    }
    assert!(failed.is_empty(), "\n{failed}");
}

#[test]
fn traces() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(harness().join("../snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for recording in early() {
            let run = play(&recording, ReplayOptions::default());
            insta::assert_snapshot!(format!("replay__{}", recording.name()), text(&run));
        }
    });
}

/// W-1: with whole messages, single bytes or random pieces, the machine does the same at the same times.
#[test]
fn w_1_cuts_of_messages_do_not_change_the_trace() {
    let cuts = [Cut::Bytes, Cut::Random(1), Cut::Random(0x5EED), Cut::Random(u64::MAX)];
    for recording in recordings() {
        let whole = play(&recording, ReplayOptions::default());
        for cut in cuts {
            let cut_up = play(&recording, ReplayOptions::cut(cut));
            assert_eq!(text(&cut_up), text(&whole), "{} {cut:?}", recording.name());
            // Also with its outputs taken after every piece, as a driver might.
            let impatient = play(&recording, ReplayOptions::cut(cut).drain(Drain::Pieces));
            assert_eq!(lanes(&impatient), lanes(&whole), "{} {cut:?}", recording.name());
            assert!(replay::check(&recording, &impatient).passes(), "{} {cut:?}", recording.name());
        }
    }
}

/// A recording of the wire alone, as a recorder writes it, drives the machine in the same way.
#[test]
fn a_recording_of_the_wire_is_enough() {
    for mut recording in recordings() {
        recording.lines.retain(|line| {
            !matches!(line.what, LineContent::HostCall { .. } | LineContent::HostEvent { .. })
        });
        let verdict = replay::check(&recording, &play(&recording, ReplayOptions::default()));
        assert!(verdict.passes(), "{verdict}");
        // The header need not name the gateway's identity.
        let gateway = &mut recording.header.gateway;
        (gateway.platform, gateway.bot_id, gateway.upgrade_secret) = (None, None, None);
        gateway.identities.clear();
        if recording.name() != "upgrade-rejected-http-401" {
            let verdict = replay::check(&recording, &play(&recording, ReplayOptions::default()));
            assert!(verdict.passes(), "{verdict}");
        }
    }
}

/// C-4: no trace, in either form, and no diff contains a token or a secret.
#[test]
fn c_4_no_token_is_shown() {
    let mut authenticated = 0;
    for mut recording in recordings() {
        let Some(secret) = recording.header.gateway.upgrade_secret.clone() else { continue };
        let mut tokens = vec![secret.expose().to_owned()];
        for line in &mut recording.lines {
            if let LineContent::Connect { authorization: Some(header), .. } = &mut line.what {
                tokens.push(header.expose().trim_start_matches("Bearer ").to_owned());
                // A header that does not match, so that there is a diff.
                *header = "Bearer b3RoZXI".into();
                tokens.push("b3RoZXI".to_owned());
            }
        }
        let run = play(&recording, ReplayOptions::default());
        let verdict = replay::check(&recording, &run);
        let json = run.trace.iter().map(Entry::to_json).collect::<String>();
        let shown = format!("{}{json}{verdict}{run:?}", text(&run));
        assert!(
            verdict.to_string().contains("the bearer token of dial 1 (neither is shown) differs"),
            "{verdict}"
        );
        for token in tokens {
            assert!(!shown.contains(&token), "{}", recording.name());
        }
        authenticated += 1;
    }
    assert!(authenticated >= 5);
}

#[test]
fn the_trace_is_json_too() {
    for recording in recordings() {
        let run = play(&recording, ReplayOptions::default());
        let mut last = 0;
        for entry in &run.trace {
            let value: Value = serde_json::from_str(&entry.to_json()).unwrap();
            assert_eq!(value["what"], entry.name());
            let now = value["t_us"].as_u64().unwrap();
            assert!(now >= last, "time does not go back");
            last = now;
        }
    }
    let run = play(&load("recordings/discord-handshake-and-reply.jsonl"), ReplayOptions::default());
    let sent = run.trace.iter().rfind(|entry| entry.name() == "sent").unwrap();
    let expected = r#"{"t_us":169000,"what":"sent","conn":1,"frame":{"type":"going_idle"}}"#;
    assert_eq!(sent.to_json(), expected);
    let expected =
        r#"{"session":"a \"b\"","t_us":169000,"what":"sent","conn":1,"frame":{"type":"going_idle"}}"#;
    assert_eq!(replay::json_line("a \"b\"", sent), expected);
}

/// A changed recording fails the check, and the diff shows the place.
#[test]
fn differences_are_found_and_shown() {
    let change = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(harness().join("recordings").join(name)).unwrap();
        assert!(text.contains(from), "{name} holds {from}");
        let recording =
            Recording::read(&format!("recordings/{name}"), text.replacen(from, to, 1).as_bytes()).unwrap();
        let verdict = replay::check(&recording, &play(&recording, ReplayOptions::default()));
        assert!(!verdict.passes(), "{name}: {from} -> {to}");
        verdict.to_string()
    };
    let mut all = String::new();
    for (name, from, to) in [
        // The gateway's frames: another field, another frame.
        ("matrix-minimal-descriptor.jsonl", r#"**matrix**\", \"reply"#, r#"**Matrix**\", \"reply"#),
        ("going-idle-acked.jsonl", r#"{\"type\": \"going_idle\"}"#, r#"{\"type\": \"going_odd\"}"#),
        // M-2's fields may be added if they were not recorded, and may not change if they were.
        ("two-identities-one-socket.jsonl", r#"{\"user_id\": \"123456789\"}"#, r#"{\"user_id\": \"1\"}"#),
        // Closes, dials, and the fatal end.
        ("going-idle-acked.jsonl", r#""by": "gateway", "code": 1000"#, r#""by": "gateway", "code": 1001"#),
        ("reconnect-after-drop.jsonl", "Bearer Z3ct", "Bearer Z3cu"),
        ("upgrade-rejected-http-401.jsonl", r#""dir": "reject""#, r#""dir": "rejected""#),
        // Departures apply to the reference only.
        ("adapter-revocation-fatal.jsonl", "python reference, June", "something else, June"),
        // The host's events.
        ("split-frame-over-two-messages.jsonl", r#"{"text": "split"#, r#"{"text": "spilt"#),
        ("interrupt-inbound.jsonl", r#""chat_id": "0"}"#, r#""chat_id": "1"}"#),
    ] {
        writeln!(all, "{}\n", change(name, from, to)).unwrap();
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(harness().join("../snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("replay_diffs", all));
}

/// A truncated recording, or one without some line, is played as far as possible.
#[test]
fn no_part_of_a_recording_panics() {
    let step = if is_full() { 1 } else { 10 };
    for recording in recordings() {
        for at in (0..recording.lines.len()).step_by(step) {
            let (mut without, mut short) = (recording.clone(), recording.clone());
            without.lines.remove(at);
            short.lines.truncate(at);
            for part in [without, short] {
                match replay::play(&part, ReplayOptions::default()) {
                    Ok(run) => assert!(!replay::check(&part, &run).to_string().is_empty()),
                    Err(error) => assert!(error.to_string().starts_with("recordings/"), "{error}"),
                }
            }
        }
    }
}
