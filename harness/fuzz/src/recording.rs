//! Recordings: a read recording is written unchanged, and any recording can be played.

use relayline_harness::recording::{RecordedLine, Recording, RecordingError};
use relayline_harness::replay::{Cut, Entry, ReplayOptions, check, play};

/// Maximum duration. Longer sessions only take longer to play: a silent one has a ping every half minute.
const MAX_DURATION_MS: u64 = 600_000;

pub(crate) fn run(data: &[u8]) {
    let recording = match Recording::read("any.jsonl", data) {
        Ok(recording) => recording,
        Err(error) => return check_error_position(&error, data),
    };
    is_written_as_it_was(&recording);
    if recording.lines.last().is_some_and(|line| line.t_ms <= MAX_DURATION_MS) {
        check_replay(&recording);
    }
}

/// Checks that an error names an existing line.
fn check_error_position(error: &RecordingError, data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').count();
    match error {
        RecordingError::Line { line, problem, .. } => {
            assert!((1..=lines).contains(line) && !problem.is_empty(), "{error}");
        }
        error => panic!("{error}: nothing was to be read from a disk"),
    }
}

pub(crate) fn is_written_as_it_was(recording: &Recording) {
    let written = |recording: &Recording| {
        let mut bytes = Vec::new();
        recording.write(&mut bytes).unwrap();
        bytes
    };
    let bytes = written(recording);
    let again = Recording::read(&recording.file, &bytes).unwrap();
    assert_eq!(again.header, recording.header);
    // Empty lines are dropped, so the numbers may differ.
    let what = |line: &RecordedLine| RecordedLine { number: 0, ..line.clone() };
    let lines = |recording: &Recording| recording.lines.iter().map(what).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(recording));
    assert_eq!(written(&again), bytes, "twice is once");
}

/// Checks W-1: cuts of the messages do not change the replay, and the result can be checked.
pub(crate) fn check_replay(recording: &Recording) {
    let trace = |cut: Cut| {
        let run = play(recording, ReplayOptions::cut(cut));
        run.map(|run| {
            check(recording, &run);
            run.trace.iter().map(Entry::to_json).collect::<Vec<_>>()
        })
    };
    assert_eq!(trace(Cut::Whole), trace(Cut::Random(7)), "W-1");
}
