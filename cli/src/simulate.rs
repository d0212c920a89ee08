//! `relayline simulate`: the gateway's machine against a connector over a network in virtual time, with all that can go
//! wrong; one seed a run.

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

/// Simulate gateways and connectors over a network that fails in every way: a seed a run, and always the same run
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  relayline simulate --seeds 0..1000
  relayline simulate --seeds 17..18 --profile flaky --keep 3,7,10-14 --trace
  relayline simulate --seeds 0..1000 --never waiters_dropped
  relayline simulate --seeds 3 --profile calm --record

A failure is shrunk, written as a recording, and printed with the command that repeats it.

Exit codes: 0 all invariants held, 1 one did not, or a recording could not be written, 2 wrong flags, 130 interrupted
(what was found until then is told).")]
pub(crate) struct Args {
    /// The seeds to run, A..B without B; a single number is that seed
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = seeds)]
    seeds: Range<u64>,
    /// Only this profile: calm, flaky, hostile, sleepy or revoking; all by default
    #[arg(long, value_name = "NAME", value_parser = |name: &str| name.parse::<Profile>())]
    profile: Option<Profile>,
    /// Further runs, a line each: a profile and a seed, as in `flaky 17`
    #[arg(long, value_name = "FILE")]
    regressions: Option<PathBuf>,
    /// Carry out only these deeds of each plan, as a shrunk failure names them
    #[arg(long, value_name = "PLACES", default_value = "all")]
    keep: PlanSubset,
    /// Claim that this counter of the gateway's never counts: finds the smallest run that reaches it
    #[arg(long, value_name = "COUNTER")]
    never: Option<Counter>,
    /// Threads; as many as there are processors by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Print each run's trace
    #[arg(long)]
    trace: bool,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
    /// Record each run, and not only one that fails, as simulated-PROFILE-SEED.jsonl
    #[arg(long)]
    record: bool,
    /// Where recordings go; the present folder by default
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

impl Args {
    fn options(&self) -> RunOptions {
        RunOptions { keep: self.keep.clone(), never: self.never }
    }
}

/// `17..20`, or `17` alone.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds: write A..B, as in 0..1000, with A below B");
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let range = match text.split_once("..") {
        Some((first, end)) => number(first)?..number(end)?,
        None => number(text)?..number(text)?.checked_add(1).ok_or_else(wrong)?,
    };
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

/// What came of all runs.
#[derive(Default)]
struct Sum {
    runs: u64,
    events: u64,
    fewest: u64,
    exercised: Exercised,
    failed: Vec<SimulatedRun>,
    /// Why a recording that was asked for is missing.
    unwritten: Option<String>,
    /// The hashes of all runs, folded in the order of the jobs.
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
    // A panic of a machine is a failure of its run, and told as one.
    std::panic::set_hook(Box::new(|_| {}));
    // What was found until then is told. A second one ends the program where it stands. Where this cannot be had, the
    // first one does.
    let interrupted = Arc::new(AtomicBool::new(false));
    let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, interrupted.clone());
    let _ = signal_hook::flag::register(SIGINT, interrupted.clone());
    let mut sum = run_all(args, &jobs, &interrupted);
    drop(std::panic::take_hook());
    sum.failed.sort_by_key(|run| (run.seed, run.profile));
    let mut out = BufWriter::new(io::stdout().lock());
    let told = tell(args, &sum, &mut out).and_then(|()| out.flush());
    if let Some(problem) = &sum.unwritten {
        return fail(1, problem);
    }
    match told {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(1, format_args!("standard output: {error}"))
        }
        Ok(()) | Err(_) if !sum.failed.is_empty() => ExitCode::from(1),
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
                    "{}:{}: {line:?} is no run: write a profile and a seed, as in `flaky 17`",
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

fn run_all(args: &Args, jobs: &[(u64, Profile)], interrupted: &AtomicBool) -> Sum {
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new(jobs.len() as u64) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {per_sec}, {msg}{eta} left") {
        bar.set_style(style);
    }
    let options = args.options();
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Sum { fewest: u64::MAX, ..Sum::default() }));
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
                    let Ok(mut sum) = sum.lock() else { break };
                    sum.runs += 1;
                    sum.events += run.events;
                    sum.fewest = sum.fewest.min(run.events);
                    sum.exercised.add(&run.exercised);
                    sum.hashes.push((place, run.hash));
                    if args.trace {
                        let _ = writeln!(io::stdout(), "# seed {seed} {profile}\n{}", run.trace.join("\n"));
                    }
                    if let Some(problem) = unwritten {
                        sum.unwritten.get_or_insert(problem);
                        enough.store(true, Ordering::Relaxed);
                    }
                    if run.failure.is_some() {
                        bar.set_message("a failure, ");
                        sum.failed.push(run);
                        // A few tell as much as many, and of what is claimed never to be one is enough.
                        let most = if args.never.is_some() { 1 } else { 10 };
                        enough.fetch_or(sum.failed.len() >= most, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    sum.into_inner().unwrap_or_default()
}

fn tell(args: &Args, sum: &Sum, out: &mut dyn Write) -> io::Result<()> {
    let hash = hash(sum);
    if args.json {
        let failures: Vec<_> = sum.failed.iter().map(told_as_json).collect();
        let exercised = &sum.exercised;
        let transitions: serde_json::Map<_, _> =
            coverage::taken(exercised).into_iter().map(|(name, count)| (name, count.into())).collect();
        writeln!(
            out,
            "{}",
            json!({"runs": sum.runs, "events": sum.events, "fewest_events": sum.fewest, "hash": hash, "failures": failures,
                "rules": exercised.rules, "deeds": exercised.actions, "transitions": transitions,
                "counters": exercised.counters, "unreached": coverage::unreached(exercised)})
        )?;
    } else if args.never.is_none() {
        told_as_text(sum, &hash, out)?;
    } else {
        writeln!(out, "{}", total(sum))?;
    }
    out.flush()?;
    for failed in &sum.failed {
        explain(args, failed);
    }
    Ok(())
}

fn told_as_json(run: &SimulatedRun) -> serde_json::Value {
    let failure = run.failure.as_ref();
    json!({"seed": run.seed, "profile": run.profile.name(), "step": failure.map(|(step, _)| step),
        "invariant": failure.map(|(_, violation)| violation.invariant), "rule": failure.map(|(_, violation)| violation.rule),
        "found": failure.map(|(_, violation)| &violation.found)})
}

fn told_as_text(sum: &Sum, hash: &str, out: &mut dyn Write) -> io::Result<()> {
    let list = |names: Vec<(String, u64)>| {
        let shown: Vec<String> = names.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        shown.join(" · ")
    };
    let named = |map: &std::collections::BTreeMap<&'static str, u64>| {
        list(map.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    };
    writeln!(out, "rules        {}", named(&sum.exercised.rules))?;
    writeln!(out, "deeds        {}", named(&sum.exercised.actions))?;
    writeln!(out, "counters     {}", named(&sum.exercised.counters))?;
    for (name, count) in coverage::taken(&sum.exercised) {
        writeln!(out, "{count:>12} {name}")?;
    }
    writeln!(out, "hash         {hash}")?;
    writeln!(out, "{}", total(sum))
}

fn total(sum: &Sum) -> String {
    let verdict = match sum.failed.len() {
        0 => "all invariants held".to_owned(),
        failed => format!("{failed} FAILED"),
    };
    let fewest = if sum.runs == 0 { 0 } else { sum.fewest };
    format!("{} runs, {} events, {fewest} in the shortest: {verdict}", sum.runs, sum.events)
}

/// One hash for all runs, whichever thread did which.
fn hash(sum: &Sum) -> String {
    let mut hashes = sum.hashes.clone();
    hashes.sort_unstable();
    let mut all = [0u8; 32];
    for (place, hash) in hashes {
        for (at, byte) in hash.iter().enumerate() {
            // Which run it is of counts: the place turns it.
            all[(at + place) % 32] ^= byte;
        }
    }
    HEXLOWER.encode(&all)
}

/// Shrinks a failure, writes it down, and says how to see it again.
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
    complain(format_args!("  with {deeds} deeds left of its plan it is repeated by:"));
    let options = RunOptions { keep: kept, ..args.options() };
    complain(format_args!("  {} --trace", options.command(seed, profile)));
}

/// Where a run's recording goes.
fn file(args: &Args, run: &SimulatedRun) -> PathBuf {
    args.out.join(format!("simulated-{}-{}.jsonl", run.profile, run.seed))
}

/// Writes a run's recording; what went wrong, if anything did.
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
