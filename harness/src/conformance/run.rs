//! Running of scenarios in parallel, each after those that it needs.

use super::against_connector::{self, ConnectorTarget};
use super::against_gateway::{self, GatewayTarget};
use super::scenario::{Level, Scenario};
use super::verdict::{ScenarioResult, Verdict};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Options of a run, and what it reports.
pub struct RunControl<'a> {
    /// Maximum number of scenarios at a time.
    pub jobs: usize,
    /// Called with each result, in the order of the ends.
    pub progress: &'a (dyn Fn(&ScenarioResult) + Sync),
    /// Set to end the run early. Scenarios that have not begun are skipped.
    pub is_stopped: &'a AtomicBool,
}

impl std::fmt::Debug for RunControl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunControl").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

/// Runs scenarios against a gateway. Returns the results in the order of the scenarios.
pub fn run_gateway(
    scenarios: Vec<Scenario>,
    target: &GatewayTarget,
    control: &RunControl<'_>,
) -> Vec<ScenarioResult> {
    run(scenarios, control, |scenario| against_gateway::play(target, scenario))
}

/// Runs scenarios against a connector, one at a time: they share one gateway's account. Returns the results in the order
/// of the scenarios.
pub fn run_connector(
    scenarios: Vec<Scenario>,
    target: &ConnectorTarget,
    control: &RunControl<'_>,
) -> Vec<ScenarioResult> {
    let control = RunControl { jobs: 1, ..*control };
    run(scenarios, &control, |scenario| against_connector::play(target, scenario))
}

/// State of one scenario.
enum Entry {
    Waiting(Box<Scenario>),
    Running,
    Done(Box<ScenarioResult>),
}

/// Table of all scenarios, shared by the threads.
struct Table {
    entries: Mutex<Vec<(String, Entry)>>,
    changed: Condvar,
}

/// Next work of a thread.
enum Next {
    Play(usize, Box<Scenario>),
    Skip(usize, Box<Scenario>, String),
    Wait,
    Over,
}

/// Runs scenarios, each on a thread with a runtime of its own.
pub(super) fn run<F: Future<Output = ScenarioResult>>(
    scenarios: Vec<Scenario>,
    control: &RunControl<'_>,
    play: impl Fn(Scenario) -> F + Sync,
) -> Vec<ScenarioResult> {
    let entries = scenarios
        .into_iter()
        .map(|scenario| (scenario.name.clone(), Entry::Waiting(Box::new(scenario))))
        .collect();
    let table = Table { entries: Mutex::new(entries), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..control.jobs.max(1) {
            scope.spawn(|| work(&table, control, &play));
        }
    });
    let entries = table.entries.into_inner().unwrap_or_else(PoisonError::into_inner);
    entries
        .into_iter()
        .filter_map(|(_, entry)| match entry {
            Entry::Done(result) => Some(*result),
            Entry::Waiting(_) | Entry::Running => None,
        })
        .collect()
}

fn work<F: Future<Output = ScenarioResult>>(
    table: &Table,
    control: &RunControl<'_>,
    play: &(impl Fn(Scenario) -> F + Sync),
) {
    let mut entries = table.lock();
    loop {
        let next = next(&mut entries, control.is_stopped.load(Ordering::Relaxed));
        let (at, result) = match next {
            Next::Over => return,
            Next::Wait => {
                entries = table.changed.wait(entries).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            Next::Skip(at, scenario, reason) => (at, ScenarioResult::skipped(*scenario, reason)),
            Next::Play(at, scenario) => {
                drop(entries);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let result = match runtime {
                    Ok(runtime) => runtime.block_on(play(*scenario)),
                    Err(error) => {
                        ScenarioResult::skipped(*scenario, format!("no thread can be prepared: {error}"))
                    }
                };
                entries = table.lock();
                (at, result)
            }
        };
        (control.progress)(&result);
        if let Some((_, entry)) = entries.get_mut(at) {
            *entry = Entry::Done(Box::new(result));
        }
        table.changed.notify_all();
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Vec<(String, Entry)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if scenarios that need this one make no sense.
fn is_unmet(result: &ScenarioResult) -> bool {
    match result.verdict {
        Verdict::Fail(_) | Verdict::Skip(_) => true,
        // One that must pass may warn about a part of it.
        Verdict::Warn(_) => result.scenario.level == Level::Should,
        Verdict::Pass => false,
    }
}

/// Returns what to do next: the first scenario whose needs have ended.
fn next(entries: &mut [(String, Entry)], is_stopped: bool) -> Next {
    let mut is_waiting = false;
    let mut found = None;
    for (at, (_, entry)) in entries.iter().enumerate() {
        let Entry::Waiting(scenario) = entry else { continue };
        if is_stopped {
            found = Some((at, Some("interrupted".to_owned())));
            break;
        }
        is_waiting = true;
        // A scenario that is not part of this run is not needed.
        let needed = scenario.needs.iter().filter_map(|need| entries.iter().find(|(name, _)| name == need));
        let mut is_ready = true;
        let mut failed = None;
        for (name, entry) in needed {
            match entry {
                Entry::Waiting(_) | Entry::Running => is_ready = false,
                Entry::Done(result) => {
                    if is_unmet(result) {
                        failed.get_or_insert(format!("needs {name}"));
                    }
                }
            }
        }
        if failed.is_some() || is_ready {
            found = Some((at, failed));
            break;
        }
    }
    let Some((at, reason)) = found else {
        return if is_waiting { Next::Wait } else { Next::Over };
    };
    match std::mem::replace(&mut entries[at].1, Entry::Running) {
        Entry::Waiting(scenario) => match reason {
            Some(reason) => Next::Skip(at, scenario, reason),
            None => Next::Play(at, scenario),
        },
        Entry::Running | Entry::Done(_) => Next::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::scenario::Side;
    use crate::conformance::verdict::Finding;
    use std::time::Duration;

    fn scenario(name: &str, needs: &[&str]) -> Scenario {
        let text = format!(
            "title = \"t\"\nrules = [\"A-1\"]\nlevel = \"must\"\nwhy = \"w\"\nneeds = {needs:?}\nsteps = '''\n{{\"wait\":\"1s\"}}\n'''\n"
        );
        Scenario::parse(Side::Gateway, name, &text).unwrap()
    }

    #[test]
    fn a_scenario_is_skipped_if_one_that_it_needs_fails() {
        let scenarios = vec![
            scenario("c", &["b"]),
            scenario("b", &["a"]),
            scenario("a", &[]),
            scenario("d", &["absent"]),
        ];
        let stopped = AtomicBool::new(false);
        let control = RunControl { jobs: 3, progress: &|_| {}, is_stopped: &stopped };
        let results = run(scenarios, &control, |scenario| async move {
            let finding = Finding { line: 1, expected: String::new(), came: String::new(), frame: None };
            let verdict = match scenario.name.as_str() {
                "a" => Verdict::Fail(Box::new(finding)),
                _ => Verdict::Pass,
            };
            ScenarioResult { scenario, verdict, took: Duration::ZERO, recording: None, log: String::new() }
        });
        let shown: Vec<String> = results
            .iter()
            .map(|result| {
                format!("{} {} {}", result.scenario.name, result.verdict.name(), result.verdict.reason())
            })
            .collect();
        assert_eq!(shown, ["c skip needs b", "b skip needs a", "a fail expected ; ", "d pass "]);
    }

    #[test]
    fn a_stopped_run_skips_the_rest() {
        let stopped = AtomicBool::new(true);
        let control = RunControl { jobs: 1, progress: &|_| {}, is_stopped: &stopped };
        let results = run(vec![scenario("a", &[])], &control, |_| async { unreachable!() });
        assert_eq!(results[0].verdict, Verdict::Skip("interrupted".to_owned()));
    }
}
