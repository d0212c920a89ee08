//! `relayline simulate` with a failing run: its output, and that the output is true. No rule is broken for this: an
//! asserted counter (`--never`) fails like any other check.

use crate::support::relayline;
use std::path::Path;
use std::process::Output;

const FAILING: &[&str] = &["simulate", "--seeds", "6", "--profile", "flaky", "--never", "duplicates"];

fn simulate(arguments: &[&str], out: &Path) -> (Output, String) {
    let output = relayline(arguments).arg("--out").arg(out).output().unwrap();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    (output, said)
}

/// Returns its first line: seed, profile, step, invariant, rule, and the finding.
fn headline(said: &str) -> (&str, &str) {
    let (place, rest) = said.lines().next().unwrap().split_once(", step ").unwrap();
    (place, rest.split_once(": ").unwrap().1)
}

#[test]
fn a_failure_is_shrunk_recorded_and_reproducible() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulated");
    std::fs::create_dir_all(&out).unwrap();
    let file = out.join("simulated-flaky-6.jsonl");
    let _ = std::fs::remove_file(&file);
    let (output, said) = simulate(FAILING, &out);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with(": 1 FAILED\n"), "{output:?}");
    let expected =
        ("relayline: seed 6, profile flaky", "`never-counts` (X-2) does not hold: duplicates is 1");
    assert_eq!(headline(&said), expected);
    assert!(said.contains(&format!("recorded in {}\n", file.display())), "{said}");

    let command = said.lines().last().unwrap().trim();
    let words: Vec<&str> = command.split_whitespace().skip_while(|word| *word != "relayline").collect();
    assert!(
        words[1..].starts_with(&["simulate", "--seeds", "6", "--profile", "flaky", "--keep"]),
        "{command}"
    );
    let (again, said_again) = simulate(&words[1..], &out.join("nowhere"));
    assert_eq!(again.status.code(), Some(1), "{command}: {said_again}");
    assert_eq!(headline(&said_again), expected, "{command}");
    assert!(said_again.contains("cannot be written"), "a missing folder is reported: {said_again}");
    // Its trace is the shown trace of the shrunk run, to the last line.
    let shown = said.lines().rev().nth(2).unwrap().trim_start_matches("relayline:").trim();
    assert!(String::from_utf8_lossy(&again.stdout).contains(shown), "{shown}");
    assert_eq!(said_again.lines().last(), said.lines().last(), "nothing is left to leave out");

    // The recording holds the shrunk run and the command, and is replayed identically.
    let recorded = std::fs::read_to_string(&file).unwrap();
    let unseen = words.join(" ").replace(" --trace", "");
    assert!(recorded.lines().next().unwrap().contains(&format!("\"note\":\"{unseen}\"")), "{recorded}");
    let checked = relayline(["replay", "--check"]).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "ok simulated-flaky-6\n");
    let replayed = relayline(["replay"]).arg(&file).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(!replayed.stdout.is_empty());
}

#[test]
fn a_run_is_recorded_on_demand() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recorded");
    std::fs::create_dir_all(&out).unwrap();
    let wanted = ["simulate", "--seeds", "3..5", "--profile", "calm", "--record"];
    let (output, said) = simulate(&wanted, &out);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    let files = ["simulated-calm-3.jsonl", "simulated-calm-4.jsonl"].map(|name| out.join(name));
    let checked = relayline(["replay", "--check"]).args(&files).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "ok simulated-calm-3\nok simulated-calm-4\n");

    let (output, said) = simulate(&wanted, &out.join("nowhere"));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("relayline: --out ") && said.contains("no such folder"), "{said}");
}

#[test]
fn a_counter_that_stays_0_is_not_a_failure() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (output, said) =
        simulate(&["simulate", "--seeds", "6", "--profile", "calm", "--never", "dropped_fields"], out);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    for (arguments, problem) in [
        (&["simulate", "--never", "duplicate"][..], "\"duplicate\" is not a counter of a gateway"),
        (&["simulate", "--keep", "5,3"], "names no deeds"),
        (&["simulate", "--seeds", "5..3"], "write A..B"),
        (&["simulate", "--regressions", "nowhere.txt"], "--regressions nowhere.txt: cannot be read"),
    ] {
        let (output, said) = simulate(arguments, out);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(problem), "{arguments:?}: {said}");
    }
}

/// The first of these seeds fails, even if another run cannot be recorded.
#[test]
fn an_unwritable_recording_hides_no_failure() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("in-the-way");
    for seed in 1..6 {
        std::fs::create_dir_all(out.join(format!("simulated-calm-{seed}.jsonl"))).unwrap();
    }
    let (output, said) = simulate(
        &[
            "simulate",
            "--seeds",
            "0..6",
            "--jobs",
            "2",
            "--profile",
            "calm",
            "--record",
            "--never",
            "late_answers",
        ],
        &out,
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("seed 0, profile calm, step "), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("FAILED\n"), "{output:?}");
}

/// Ctrl-C during the shrinking still prints the failure that was found.
#[cfg(unix)]
#[test]
fn ctrl_c_during_the_shrinking_loses_no_failure() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut child = relayline(["simulate", "--seeds", "0..100000", "--jobs", "1", "--profile", "calm"])
        .args(["--never", "waiters_dropped", "--out"])
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut from = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    from.read_line(&mut said).unwrap();
    assert!(said.contains("does not hold"), "{said}");
    let process = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    from.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("recorded in ") && said.contains("reproduce it with:"), "{said}");
}
