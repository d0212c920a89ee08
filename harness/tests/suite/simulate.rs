//! Tests of the simulation itself: its runs are reproducible, the parts that it does not reach are listed, and failures
//! that were fixed stay fixed.

use crate::is_full;
use relayline_harness::recording::Recording;
use relayline_harness::replay::{self, ReplayOptions};
use relayline_harness::simulate::{
    Exercised, PlanSubset, Profile, RunOptions, SimulatedRun, coverage, run, shrink,
};
use std::collections::BTreeSet;
use std::path::Path;

/// Number of seeds, from 0, whose coverage is recorded. The list beside this file is about these seeds only.
const SEEDS: u64 = 60;

fn plan_of(places: &str) -> RunOptions {
    places.parse::<PlanSubset>().unwrap().into()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("simulate")
}

fn exercised(seeds: u64) -> Exercised {
    let of = |profile: Profile| {
        let mut all = Exercised::default();
        for seed in 0..seeds {
            let run = run(seed, profile, &RunOptions::default(), false);
            assert_eq!(run.failure, None, "seed {seed}, profile {profile}");
            assert!(run.events >= 500, "seed {seed}, profile {profile} has {} events", run.events);
            all.add(&run.exercised);
        }
        all
    };
    std::thread::scope(|scope| {
        let threads = Profile::ALL.map(|profile| scope.spawn(move || of(profile)));
        let mut all = Exercised::default();
        threads.into_iter().for_each(|thread| all.add(&thread.join().unwrap()));
        all
    })
}

/// `unreached.txt` must list exactly the parts that are not reached, each with its reason, so that every change of the
/// list is an edit. `UPDATE_DOCS=1 cargo test -p relayline-harness simulate::` rewrites it. A short run checks only that
/// its few seeds reach nothing on the list.
#[test]
fn exactly_the_unreached_coverage_is_listed() {
    let path = folder().join("unreached.txt");
    let rewrites = std::env::var_os("UPDATE_DOCS").is_some();
    let all_seeds = is_full() || rewrites;
    let unreached = coverage::unreached(&exercised(if all_seeds { SEEDS } else { SEEDS / 10 }));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let listed = coverage::listed(&text);
    let reason = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" # "));
    if rewrites {
        let line = |name: &String| format!("{name} # {}\n", reason(name).unwrap_or_default());
        let lines: String = unreached.iter().map(line).collect();
        std::fs::write(&path, format!("{HEAD}{lines}")).unwrap();
        return;
    }
    let unexplained: Vec<_> = listed.iter().filter(|name| reason(name).is_none_or(str::is_empty)).collect();
    assert!(
        unexplained.is_empty(),
        "{} must say why these are not reached: {unexplained:#?}",
        path.display()
    );
    let reached: BTreeSet<_> = listed.difference(&unreached).collect();
    let missing: BTreeSet<_> = unreached.difference(&listed).collect();
    assert!(reached.is_empty(), "these are reached now: take them off {}: {reached:#?}", path.display());
    assert!(
        missing.is_empty() || !all_seeds,
        "these are not reached any more; {} must not grow: {missing:#?}",
        path.display()
    );
}

const HEAD: &str = "\
# Transitions of lifecycle::TABLE and counters of Stats that no run of seeds 0..60 under any profile reaches.
# This list only shrinks. Each line has a reason.
";

#[test]
fn the_same_seed_gives_the_same_trace() {
    for profile in Profile::ALL {
        let of = |keeps: bool| {
            let run = run(11, profile, &RunOptions::default(), keeps);
            (run.hash, run.events, run.exercised)
        };
        assert_eq!(of(false), of(true), "{profile}");
    }
    // The hash is pinned, so that debug and release builds, and all machines, must agree.
    let run = run(1, Profile::Flaky, &RunOptions::default(), false);
    let hash: String = run.hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    insta_hash(&hash);
}

/// Asserts the hash of the first run under `flaky`. It changes with any output of the machines: read the changes then.
fn insta_hash(hash: &str) {
    let path = folder().join("hash.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{hash}\n")).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap().trim(),
        hash,
        "UPDATE_DOCS=1 renews {}",
        path.display()
    );
}

/// A run's recording can be played, and is unchanged after a round trip.
#[test]
fn a_run_is_recorded_and_can_be_replayed() {
    for (seed, profile) in [(3, Profile::Calm), (4, Profile::Flaky), (5, Profile::Revoking)] {
        let recording = run(seed, profile, &RunOptions::default(), true).recording.unwrap();
        let mut text = Vec::new();
        recording.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("simulated secret") && !text.contains("authorization"), "C-4");
        let read = Recording::read("simulated.jsonl", text.as_bytes()).unwrap();
        assert_eq!(read.lines.len(), recording.lines.len());
        let played = replay::play(&read, ReplayOptions::default()).unwrap();
        assert!(played.trace.len() > 20, "{} of {}", played.trace.len(), read.lines.len());
    }
}

/// The commands that a run's recording implies are those of its host, so the machine does the same again. This fails if
/// something decided that is not on the wire (a host that refused an unacknowledged entry, a clock that jumped).
#[test]
fn a_recorded_run_is_replayed_identically() {
    let passes = |seed: u64, profile: Profile| {
        let recording = run(seed, profile, &RunOptions::default(), true).recording.unwrap();
        let verdict = replay::check(&recording, &replay::play(&recording, ReplayOptions::default()).unwrap());
        (verdict.passes() && verdict.departs.is_empty())
            .then_some(())
            .ok_or(format!("seed {seed}: {verdict}"))
    };
    // A few recordings of ten differ. The seed of the sample is one whose recordings do not.
    let (seeds, tolerance) = if is_full() { (0..10, 2) } else { (2..3, 0) };
    for profile in Profile::ALL {
        let failed: Vec<String> = seeds.clone().filter_map(|seed| passes(seed, profile).err()).collect();
        assert!(failed.len() <= tolerance, "{profile}: {}", failed.join("\n"));
    }
}

/// Actions left out of a plan are not performed, and the others are unchanged.
#[test]
fn a_plan_can_be_kept_in_part() {
    let none = run(2, Profile::Hostile, &plan_of("none"), false);
    assert_eq!((none.failure, none.exercised.actions.len()), (None, 0));
    let some = run(2, Profile::Hostile, &plan_of("0-9"), false);
    assert_eq!(some.exercised.actions.values().sum::<u64>(), 10);
}

/// A failure without a broken rule: an asserted counter fails like any other check.
#[test]
fn a_failing_run_is_shrunk_to_one_that_fails_the_same_way() {
    for (seed, profile, never) in [
        (6, Profile::Flaky, "duplicates"),
        (1, Profile::Hostile, "malformed_lines"),
        (2, Profile::Revoking, "refusals"),
    ] {
        let options = RunOptions::default().never(never.parse().unwrap());
        let failed = run(seed, profile, &options, false);
        let violation = |run: &SimulatedRun| {
            run.failure.clone().map(|(_, violation)| (violation.invariant, violation.found))
        };
        let expected = Some(("never-counts", format!("{never} is 1")));
        assert_eq!(violation(&failed), expected, "{never}");
        let (keep, smallest) = shrink(&failed, &options);
        assert_eq!(violation(&smallest), expected, "{never}");
        assert_eq!(run(seed, profile, &options.clone().keep(keep.clone()), false).hash, smallest.hash);
        // None of the remaining actions can be removed.
        let places = keep.0.unwrap();
        assert!(places.len() < 20, "{never}: {places:?}");
        for left_out in &places {
            let fewer = places.iter().copied().filter(|place| place != left_out).collect();
            let without = run(seed, profile, &options.clone().keep(PlanSubset(Some(fewer))), false);
            assert_eq!(without.failure, None, "{never}: {left_out} of {places:?} is not needed");
        }
        assert!(smallest.recording.is_some_and(|recording| recording.header.title.contains("never-counts")));
        // With other options the run does not fail.
        assert_eq!(run(seed, profile, &RunOptions::default(), false).failure, None);
    }
}

/// Each bug of `simulate/bugs/` and of `queue/simulate/bugs/` can still be planted: the lines that its patch removes occur in
/// the code exactly once.
#[test]
fn every_bug_fits_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut bugs = 0;
    let own = std::fs::read_dir(folder().join("bugs")).unwrap();
    for entry in own.chain(std::fs::read_dir(root.join("queue/simulate/bugs")).unwrap()) {
        let path = entry.unwrap().path();
        let patch = std::fs::read_to_string(&path).unwrap();
        let file = patch.lines().find_map(|line| line.strip_prefix("+++ b/")).unwrap();
        let code = std::fs::read_to_string(root.join(file)).unwrap();
        for hunk in patch.split("\n@@ ").skip(1) {
            let old = hunk.lines().skip(1).filter_map(|line| line.strip_prefix([' ', '-']));
            let old: String = old.map(|line| format!("{line}\n")).collect();
            assert_eq!(
                code.matches(&old).count(),
                1,
                "{} does not fit {file} any more: mend it",
                path.display()
            );
        }
        bugs += 1;
    }
    assert!(bugs >= 60, "{bugs}");
}
