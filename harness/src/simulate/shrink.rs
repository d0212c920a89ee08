//! Shrinking of a failed run: actions are removed as long as the same invariant fails.

use super::plan_subset::PlanSubset;
use super::planned_action;
use super::run::{SimulatedRun, run};
use super::run_options::RunOptions;

/// Maximum number of runs of one shrinking.
const MAX_RUNS: usize = 600;

/// Removes actions from the plan of a run that failed with these options. Returns the remaining actions, and their run
/// with its trace and recording.
pub fn shrink(failed: &SimulatedRun, options: &RunOptions) -> (PlanSubset, SimulatedRun) {
    let invariant = failed.failure.as_ref().map(|(_, violation)| violation.invariant);
    let kept = |places: &[usize]| RunOptions { keep: PlanSubset(Some(places.to_vec())), ..options.clone() };
    let still_fails = |places: &[usize]| {
        let run = run(failed.seed, failed.profile, &kept(places), false);
        run.failure.is_some_and(|(_, violation)| Some(violation.invariant) == invariant)
    };
    let mut places = options.keep.0.clone().unwrap_or_else(|| (0..planned_action::PLAN_LENGTH).collect());
    let mut runs = 0;
    let mut chunk = places.len().div_ceil(2);
    while chunk > 0 && runs < MAX_RUNS {
        let before = places.len();
        let mut start = 0;
        while start < places.len() && runs < MAX_RUNS {
            let mut fewer = places.clone();
            fewer.drain(start..(start + chunk).min(places.len()));
            runs += 1;
            if still_fails(&fewer) {
                places = fewer;
            } else {
                start += chunk;
            }
        }
        // Single actions are tried again until none can be removed.
        chunk = match (chunk, places.len() < before) {
            (1, true) => 1,
            (1, false) => 0,
            _ => chunk / 2,
        };
    }
    let smallest = run(failed.seed, failed.profile, &kept(&places), true);
    (PlanSubset(Some(places)), smallest)
}
