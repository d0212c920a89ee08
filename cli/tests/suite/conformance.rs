//! `relayline conformance gateway`: our gateway passes, and each bug of `cli/examples/mutant` is found by the scenarios
//! that are meant for it.

use crate::support::{is_full, relayline};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Mutex;

on_both_runtimes! { our_gateway_passes }

/// Scenarios of the normal test run: one or two of each kind, and none that waits for a time-out.
const SAMPLE: &str = "handshake,w-frame,w-binary,w-bad-lines,d-missing,d-two,e-names,o-request,o-any-order,o-seal,m-scope,l-interrupt,\
                      l-disconnect,a-ack,a-refused,a-duplicate,p-command,i-prompt,s-group,x-raw-op";

/// Bugs of the normal test run.
const SAMPLE_BUGS: [&str; 6] =
    ["no-binary", "two-newlines", "no-bot-id", "fatal-twice", "acks-twice", "answers-twice"];

pub(super) fn example() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_relayline")).with_file_name("examples");
    folder.join(format!("mutant{}", std::env::consts::EXE_SUFFIX))
}

fn conformance(flags: &[&str], command: &[&str]) -> Output {
    let mut all = vec!["conformance", "gateway"];
    all.extend(flags);
    all.push("--");
    all.extend(command);
    relayline(all).output().unwrap()
}

fn own() -> &'static str {
    env!("CARGO_BIN_EXE_relayline")
}

fn our_gateway_passes(runtime: &str) {
    let flags: &[&str] = if is_full() { &[] } else { &["--only", SAMPLE] };
    let output = conformance(flags, &[own(), "run", "--runtime", runtime]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.trim_end().ends_with(" pass, 0 fail, 0 warn, 0 skip"), "{stdout}");
    assert!(!stdout.contains('\x1b'), "no color outside of a terminal: {stdout}");
}

/// A bug, the scenarios that must find it, and those that may.
pub(super) struct Bug {
    pub(super) name: String,
    pub(super) found_by: BTreeSet<String>,
    related: BTreeSet<String>,
}

/// Returns the bugs of a side.
pub(super) fn bugs(side: &str) -> Vec<Bug> {
    let output = Command::new(example()).args(["--list", side]).output().unwrap();
    let names = |text: &str| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let text = String::from_utf8(output.stdout).unwrap();
    let all: BTreeSet<&str> = text.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(all.len(), text.lines().count(), "each name counts once");
    let bug = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        Bug { name: parts[0].to_owned(), found_by: names(parts[1]), related: names(parts[2]) }
    };
    text.lines().map(bug).collect()
}

/// Checks the bugs of a side, four at a time: all of them in a long test run, else those of the sample.
pub(super) fn for_each_bug(side: &str, sample: &[&str], check: impl Fn(&Bug) + Sync) {
    let bugs = bugs(side);
    let is_chosen = |bug: &&Bug| is_full() || sample.contains(&bug.name.as_str());
    let queue: Mutex<Vec<&Bug>> = Mutex::new(bugs.iter().filter(is_chosen).collect());
    let next = || queue.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(bug) = next() {
                    check(bug);
                }
            });
        }
    });
}

/// Returns the scenarios of a report with a finding, and their verdicts. `name` is the name of the program that was tested.
pub(super) fn findings(name: &str, output: &Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let has_finding = |one: &&Value| one["verdict"] == "fail" || one["verdict"] == "warn";
    let scenarios = report["scenarios"].as_array().unwrap().iter().filter(has_finding);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    scenarios.map(|one| (text(&one["name"]), text(&one["verdict"]))).collect()
}

#[test]
fn each_bug_is_found_by_its_scenarios() {
    for_each_bug("gateway", &SAMPLE_BUGS, |bug| {
        // The sample shows that nothing unrelated fails.
        let meant: Vec<&str> = bug.found_by.iter().map(String::as_str).collect();
        let mut only = meant.join(",");
        if is_full() {
            only = format!("{only},{SAMPLE}").trim_start_matches(',').to_owned();
        }
        let flags = ["--json", "-", "--jobs", "4", "--only", &only];
        let output = conformance(&flags, &[example().to_str().unwrap(), &bug.name, own(), "run"]);
        let found: BTreeSet<String> =
            findings(&bug.name, &output).into_iter().map(|(name, _)| name).collect();
        assert!(bug.found_by.is_subset(&found), "{}: {:?} find it", bug.name, found);
        let unrelated: Vec<&String> = found
            .iter()
            .filter(|name| !bug.found_by.contains(*name) && !bug.related.contains(*name))
            .collect();
        assert!(unrelated.is_empty(), "{}: {unrelated:?} fail, too", bug.name);
    });
}

#[test]
fn every_scenario_has_a_bug_that_it_alone_must_find() {
    let output = relayline(["conformance", "gateway", "--list"]).output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(names.len() >= 120, "{list}");
    let bugs = bugs("gateway");
    let own: BTreeSet<&String> =
        bugs.iter().filter(|bug| bug.found_by.len() == 1).flat_map(|bug| &bug.found_by).collect();
    let missing: Vec<&str> =
        names.iter().copied().filter(|name| !own.contains(&(*name).to_owned())).collect();
    assert!(missing.is_empty(), "no bug for {missing:?}");
    for name in bugs.iter().flat_map(|bug| bug.found_by.iter().chain(&bug.related)) {
        assert!(names.contains(&name.as_str()), "there is no scenario {name}");
    }
}

#[test]
fn a_failure_is_in_each_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, junit, markdown, html) = (path("r.json"), path("r.xml"), path("r.md"), path("r.html"));
    let manifest = format!("--manifest={}", path("manifest.json"));
    let flags = [
        "--only",
        "w-binary,w-blank",
        "--json",
        &json,
        "--junit",
        &junit,
        "--markdown",
        &markdown,
        "--html",
        &html,
        &manifest,
    ];
    let mutant = example();
    let command = [mutant.to_str().unwrap(), "no-binary", own(), "run"];
    let output = conformance(&flags, &command);
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("fail  w-binary-messages (W-1)")
            && stdout.contains("expected {\"event\":\"message\""),
        "{stdout}"
    );
    assert!(stdout.ends_with("1 pass, 1 fail, 0 warn, 0 skip\n"), "{stdout}");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let report: Value = serde_json::from_str(&read(&json)).unwrap();
    assert_eq!((&report["summary"]["fail"], &report["rules"]["W-1"]["verdict"]), (&1.into(), &"fail".into()));
    let failed = &report["scenarios"][0];
    assert_eq!((&failed["name"], &failed["verdict"]), (&"w-binary-messages".into(), &"fail".into()));
    // The recording is one that `replay` reads.
    let recording = path("r.jsonl");
    std::fs::write(&recording, failed["recording"].as_str().unwrap()).unwrap();
    let replayed = relayline(["replay", &recording]).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(
        read(&junit).contains("<testcase classname=\"W-1\" name=\"w-binary-messages\"")
            && read(&junit).contains("<failure ")
    );
    assert!(read(&markdown).contains("### fail: w-binary-messages (W-1)"));
    let page = read(&html);
    assert!(
        page.contains("<a class=\"fail\" href=\"#w-binary-messages\"") && page.contains("relay_session"),
        "{page}"
    );
    assert!(!page.contains("src=") && !page.contains("<script"), "the page loads nothing");
    let manifest: Value = serde_json::from_str(&read(&path("manifest.json"))).unwrap();
    assert_eq!((&manifest["version"], &manifest["side"]), (&"relayline mutant".into(), &"gateway".into()));
}

#[test]
fn a_baseline_is_kept_true() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = folder.path().join("known.txt");
    let mutant = example();
    let command = [mutant.to_str().unwrap(), "no-binary", own(), "run"];
    let run = |known: &str| {
        std::fs::write(&baseline, known).unwrap();
        conformance(&["--only", "w-b", "--expected-failures", baseline.to_str().unwrap()], &command)
    };
    assert_eq!(run("w-binary-messages # issue 7\n").status.code(), Some(0));
    let output = run("w-binary-messages\nw-blank-lines\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("w-blank-lines was expected to fail, and passes")
    );
    let output = run("w-blue\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 1: there is no scenario \"w-blue\""));
}

#[test]
fn what_a_program_does_not_support_is_skipped() {
    let program = "echo '{\"event\":\"unsupported\",\"feature\":\"the op stream\"}'";
    let output = conformance(&["--only", "handshake"], &["sh", "-c", program]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains(": the program does not support the op stream"), "{stdout}");
}

#[test]
fn wrong_flags_say_what_to_do() {
    for (flags, command, code, part) in [
        (&["--only", "nothing"][..], &["x"][..], 2, "--only nothing: no scenario has that in its name"),
        (&["--rule", "Q-1"], &["x"], 2, "--rule Q-1: no scenario proves that rule"),
        (&["--level", "may"], &["x"], 2, "take must or should"),
        (&["--timings", "/no/such/file"], &["x"], 2, "cannot be read"),
        (&[], &["/no/such/program"], 1, "/no/such/program cannot be started"),
    ] {
        let output = conformance(flags, command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {stderr}");
        assert!(stderr.contains(part), "{flags:?}: {stderr}");
    }
}
