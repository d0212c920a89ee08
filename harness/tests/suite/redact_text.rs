//! Recordings with redacted texts: they replay like the originals.

use relayline_harness::recorder::redact_text;
use relayline_harness::recording::{LineContent, Recording};
use relayline_harness::replay::{self, ReplayOptions, Verdict};
use std::path::Path;

/// Returns every recorded session of the repository, reduced to the wire.
fn recordings() -> Vec<Recording> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for folder in ["recordings", "recordings/2026-10"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "jsonl") {
                let mut recording = Recording::load(&path).unwrap();
                let is_wire = |what: &LineContent| {
                    !matches!(what, LineContent::HostCall { .. } | LineContent::HostEvent { .. })
                };
                recording.lines.retain(|line| is_wire(&line.what));
                all.push(recording);
            }
        }
    }
    assert!(all.len() >= 79, "the recordings are there");
    all
}

/// Returns the verdict of a replay, and the kinds of all entries of its trace.
fn check(recording: &Recording) -> (Verdict, Vec<&'static str>) {
    let run = replay::play(recording, ReplayOptions::default()).unwrap();
    let kinds = run.trace.iter().map(|entry| entry.name()).filter(|kind| *kind != "note");
    (replay::check(recording, &run), kinds.collect())
}

/// Redacts a recording, writes it, and reads it again.
fn redacted(recording: &Recording) -> Recording {
    let mut file = Vec::new();
    redact_text(recording).unwrap().write(&mut file).unwrap();
    Recording::read(&recording.file, &file).unwrap()
}

#[test]
fn c_4_every_redacted_recording_replays_as_before() {
    let mut failed = String::new();
    for recording in recordings() {
        let clean = redacted(&recording);
        let ((before, trace), (after, clean_trace)) = (check(&recording), check(&clean));
        let rules = |verdict: &Verdict| verdict.departs.iter().map(|used| used.rule).collect::<Vec<_>>();
        if !after.passes() || rules(&before) != rules(&after) || trace != clean_trace {
            failed += &format!("{before}\n{after}\n{trace:?}\n{clean_trace:?}\n");
        }
        let passed = |recording: &Recording| {
            let is_wire = |what: &LineContent| !matches!(what, LineContent::Note(_) | LineContent::Other(_));
            recording
                .lines
                .iter()
                .filter(|line| is_wire(&line.what))
                .map(|line| line.t_ms)
                .collect::<Vec<_>>()
        };
        assert_eq!(passed(&recording), passed(&clean), "{}", recording.name());
    }
    assert!(failed.is_empty(), "\n{failed}");
}
