//! `relayline simulate`: runs the gateway's machine against a connector over a faulty network in virtual time, one run per
//! seed.

use crate::{complain, fail};
use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressStyle};
use relayline_harness::simulate::{
    Counter, Exercised, PlanSubset, Profile, RunOptions, SimulatedRun, coverage, run as play, shrink,
};
use serde_json::json;
use signal_hook::consts::SIGINT;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Simulate gateways and connectors over a faulty network. Each seed is one reproducible run.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  relayline simulate --seeds 0..1000
  relayline simulate --seeds 17..18 --profile flaky --keep 3,7,10-14 --trace
  relayline simulate --seeds 0..1000 --never waiters_dropped
  relayline simulate --seeds 3 --profile calm --record

A failed run is shrunk, written as a recording, and printed with the command that reproduces it.

Exit codes: 0 all invariants held; 1 an invariant failed, or a recording could not be written; 2 wrong flags; 130
interrupted, after printing the results so far.")]
pub(crate) struct Args {
    /// Seeds to run, from A to B exclusive. A single number is one seed.
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = seeds)]
    seeds: Range<u64>,
    /// Profile: calm, flaky, hostile, sleepy or revoking; all by default.
    #[arg(long, value_name = "NAME", value_parser = |name: &str| name.parse::<Profile>())]
    profile: Option<Profile>,
    /// File of further runs, one per line: a profile and a seed, as in `flaky 17`.
    #[arg(long, value_name = "FILE")]
    regressions: Option<PathBuf>,
    /// Perform only these actions of each plan, as printed for a shrunk failure.
    #[arg(long, value_name = "PLACES", default_value = "all")]
    keep: PlanSubset,
    /// Assert that this counter of the gateway stays 0: finds the smallest run that increases it.
    #[arg(long, value_name = "COUNTER")]
    never: Option<Counter>,
    /// Number of threads; the number of processors by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Print the trace of each run.
    #[arg(long)]
    trace: bool,
    /// Print the summary as one JSON object.
    #[arg(long)]
    json: bool,
    /// Record each run, not only failed ones, as simulated-PROFILE-SEED.jsonl.
    #[arg(long)]
    record: bool,
    /// Folder of the recordings; the working folder by default.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

impl Args {
    fn options(&self) -> RunOptions {
        let mut options = RunOptions::from(self.keep.clone());
        options.never = self.never;
        options
    }
}

/// Parses a range of seeds: `17..20`, or `17` alone.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is not a range of seeds: write A..B, as in 0..1000, with A below B");
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let range = match text.split_once("..") {
        Some((first, end)) => number(first)?..number(end)?,
        None => number(text)?..number(text)?.checked_add(1).ok_or_else(wrong)?,
    };
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

/// Results of all runs.
#[derive(Default)]
struct Totals {
    runs: u64,
    events: u64,
    fewest: u64,
    exercised: Exercised,
    failed: Vec<SimulatedRun>,
    /// Error of a recording that could not be written.
    unwritten: Option<String>,
    /// Hash of each run, with the number of its job.
    hashes: Vec<(usize, [u8; 32])>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> ExitCode {
    let jobs = match jobs(args) {
        Ok(jobs) => jobs,
        Err(problem) => return fail(2, problem),
    };
    if args.record && !args.out.is_dir() {
        return fail(1, format_args!("--out {}: there is no such folder to record in", args.out.display()));
    }
    // A panic of a machine is reported as a failure of its run.
    std::panic::set_hook(Box::new(|_| {}));
    // The first SIGINT stops after the current runs, the second exits at once. If no handler can be installed, the first
    // one exits.
    let interrupted = Arc::new(AtomicBool::new(false));
    let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, interrupted.clone());
    let _ = signal_hook::flag::register(SIGINT, interrupted.clone());
    let mut totals = run_all(args, &jobs, &interrupted);
    drop(std::panic::take_hook());
    totals.failed.sort_by_key(|run| (run.seed, run.profile));
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write_results(args, &totals, &mut out).and_then(|()| out.flush());
    if let Some(problem) = &totals.unwritten {
        return fail(1, problem);
    }
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(1, format_args!("standard output: {error}"))
        }
        Ok(()) | Err(_) if !totals.failed.is_empty() => ExitCode::from(1),
        Ok(()) | Err(_) if interrupted.load(Ordering::Relaxed) => ExitCode::from(130),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn jobs(args: &Args) -> Result<Vec<(u64, Profile)>, String> {
    let profiles = args.profile.map_or(Profile::ALL.to_vec(), |profile| vec![profile]);
    let mut jobs: Vec<(u64, Profile)> = Vec::new();
    if let Some(file) = &args.regressions {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("--regressions {}: cannot be read: {error}", file.display()))?;
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let wrong = || {
                format!(
                    "{}:{}: {line:?} is not a run: write a profile and a seed, as in `flaky 17`",
                    file.display(),
                    number + 1
                )
            };
            let (profile, seed) = line.trim().split_once(' ').ok_or_else(wrong)?;
            let seed = seed.split('#').next().unwrap_or_default().trim();
            jobs.push((seed.parse().map_err(|_| wrong())?, profile.parse().map_err(|_| wrong())?));
        }
    }
    jobs.extend(args.seeds.clone().flat_map(|seed| profiles.iter().map(move |profile| (seed, *profile))));
    Ok(jobs)
}

fn run_all(args: &Args, jobs: &[(u64, Profile)], interrupted: &AtomicBool) -> Totals {
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new(jobs.len() as u64) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {msg}{eta} left") {
        bar.set_style(style);
    }
    let options = args.options();
    let (next, totals) = (AtomicUsize::new(0), Mutex::new(Totals { fewest: u64::MAX, ..Totals::default() }));
    let enough = AtomicBool::new(false);
    let is_over = || enough.load(Ordering::Relaxed) || interrupted.load(Ordering::Relaxed);
    let threads =
        args.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over() {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((seed, profile)) = jobs.get(place) else { break };
                    let run = play(*seed, *profile, &options, args.trace || args.record);
                    bar.inc(1);
                    let unwritten =
                        (args.record && run.failure.is_none()).then(|| keep(args, &run)).flatten();
                    let Ok(mut totals) = totals.lock() else { break };
                    totals.runs += 1;
                    totals.events += run.events;
                    totals.fewest = totals.fewest.min(run.events);
                    totals.exercised.add(&run.exercised);
                    totals.hashes.push((place, run.hash));
                    if args.trace {
                        let _ = writeln!(io::stdout(), "# seed {seed} {profile}\n{}", run.trace.join("\n"));
                    }
                    if let Some(problem) = unwritten {
                        totals.unwritten.get_or_insert(problem);
                        enough.store(true, Ordering::Relaxed);
                    }
                    if run.failure.is_some() {
                        bar.set_message("a failure, ");
                        totals.failed.push(run);
                        // A few failures suffice; for an asserted counter, one.
                        let most = if args.never.is_some() { 1 } else { 10 };
                        enough.fetch_or(totals.failed.len() >= most, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    totals.into_inner().unwrap_or_default()
}

fn write_results(args: &Args, totals: &Totals, out: &mut dyn Write) -> io::Result<()> {
    let hash = hash(totals);
    if args.json {
        let failures: Vec<_> = totals.failed.iter().map(failure_json).collect();
        let exercised = &totals.exercised;
        let transitions: serde_json::Map<_, _> =
            coverage::taken(exercised).into_iter().map(|(name, count)| (name, count.into())).collect();
        writeln!(
            out,
            "{}",
            json!({"runs": totals.runs, "events": totals.events, "fewest_events": totals.fewest, "hash": hash, "failures": failures,
                "rules": exercised.rules, "deeds": exercised.actions, "transitions": transitions,
                "counters": exercised.counters, "unreached": coverage::unreached(exercised)})
        )?;
    } else if args.never.is_none() {
        write_text(totals, &hash, out)?;
    } else {
        writeln!(out, "{}", total(totals))?;
    }
    out.flush()?;
    for failed in &totals.failed {
        explain(args, failed);
    }
    Ok(())
}

fn failure_json(run: &SimulatedRun) -> serde_json::Value {
    let failure = run.failure.as_ref();
    json!({"seed": run.seed, "profile": run.profile.name(), "step": failure.map(|(step, _)| step),
        "invariant": failure.map(|(_, violation)| violation.invariant), "rule": failure.map(|(_, violation)| violation.rule),
        "found": failure.map(|(_, violation)| &violation.found)})
}

fn write_text(totals: &Totals, hash: &str, out: &mut dyn Write) -> io::Result<()> {
    let list = |names: Vec<(String, u64)>| {
        let shown: Vec<String> = names.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        shown.join(" · ")
    };
    let named = |map: &std::collections::BTreeMap<&'static str, u64>| {
        list(map.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    };
    writeln!(out, "rules        {}", named(&totals.exercised.rules))?;
    writeln!(out, "deeds        {}", named(&totals.exercised.actions))?;
    writeln!(out, "counters     {}", named(&totals.exercised.counters))?;
    for (name, count) in coverage::taken(&totals.exercised) {
        writeln!(out, "{count:>12} {name}")?;
    }
    writeln!(out, "hash         {hash}")?;
    writeln!(out, "{}", total(totals))
}

fn total(totals: &Totals) -> String {
    let verdict = match totals.failed.len() {
        0 => "all invariants held".to_owned(),
        failed => format!("{failed} FAILED"),
    };
    let fewest = if totals.runs == 0 { 0 } else { totals.fewest };
    format!("{} runs, {} events, {fewest} in the shortest: {verdict}", totals.runs, totals.events)
}

/// Returns one hash of all runs, which does not depend on the threads.
fn hash(totals: &Totals) -> String {
    let mut hashes = totals.hashes.clone();
    hashes.sort_unstable();
    let mut all = [0u8; 32];
    for (place, hash) in hashes {
        for (at, byte) in hash.iter().enumerate() {
            // Rotated by the number of the run, so that the order of runs counts.
            all[(at + place) % 32] ^= byte;
        }
    }
    HEXLOWER.encode(&all)
}

/// Shrinks a failure, records it, and prints the command that reproduces it.
fn explain(args: &Args, failed: &SimulatedRun) {
    let Some((step, violation)) = &failed.failure else { return };
    let (seed, profile) = (failed.seed, failed.profile);
    complain(format_args!(
        "seed {seed}, profile {profile}, step {step}: `{}` ({}) does not hold: {}",
        violation.invariant, violation.rule, violation.found
    ));
    let (kept, smallest) = shrink(failed, &args.options());
    match keep(args, &smallest) {
        None => complain(format_args!("  recorded in {}", file(args, &smallest).display())),
        Some(problem) => complain(format_args!("  {problem}")),
    }
    for line in smallest.trace.iter().rev().take(25).rev() {
        complain(format_args!("  {line}"));
    }
    let deeds = kept.0.as_ref().map_or(0, Vec::len);
    complain(format_args!("  {deeds} actions of its plan are left; reproduce it with:"));
    let options = args.options().keep(kept);
    complain(format_args!("  {} --trace", options.command(seed, profile)));
}

/// Returns the path of a run's recording.
fn file(args: &Args, run: &SimulatedRun) -> PathBuf {
    args.out.join(format!("simulated-{}-{}.jsonl", run.profile, run.seed))
}

/// Writes a run's recording. Returns the error, if there is one.
fn keep(args: &Args, run: &SimulatedRun) -> Option<String> {
    let (file, recording) = (file(args, run), run.recording.as_ref()?);
    let write = || {
        let mut out = BufWriter::new(File::create(&file)?);
        recording.write(&mut out)?;
        out.flush()
    };
    write().err().map(|error: io::Error| format!("{}: cannot be written: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(seeds("3..5"), Ok(3..5));
        assert_eq!(seeds("7"), Ok(7..8));
        for wrong in ["", "5..5", "5..3", "a..b", "1...2", "-1"] {
            assert!(seeds(wrong).is_err_and(|problem| problem.contains("write A..B")), "{wrong}");
        }
    }
}
