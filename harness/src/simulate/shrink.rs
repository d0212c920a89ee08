//! A failure with less around it: deeds are left out as long as the same invariant fails.

use super::deed;
use super::keep::Keep;
use super::run::{Run, run};
use super::terms::Terms;

/// Runs that a shrinking may take.
const MOST_RUNS: usize = 600;

/// Shrinks the plan of a run that failed on these terms: the fewer deeds the better. Gives what is left, and the run of
/// it, with its trace and recording.
pub fn shrink(failed: &Run, terms: &Terms) -> (Keep, Run) {
    let invariant = failed.failure.as_ref().map(|(_, violation)| violation.invariant);
    let kept = |places: &[usize]| Terms { keep: Keep(Some(places.to_vec())), ..terms.clone() };
    let still_fails = |places: &[usize]| {
        let run = run(failed.seed, failed.profile, &kept(places), false);
        run.failure.is_some_and(|(_, violation)| Some(violation.invariant) == invariant)
    };
    let mut places = terms.keep.0.clone().unwrap_or_else(|| (0..deed::PLAN).collect());
    let mut runs = 0;
    let mut chunk = places.len().div_ceil(2);
    while chunk > 0 && runs < MOST_RUNS {
        let before = places.len();
        let mut start = 0;
        while start < places.len() && runs < MOST_RUNS {
            let mut fewer = places.clone();
            fewer.drain(start..(start + chunk).min(places.len()));
            runs += 1;
            if still_fails(&fewer) {
                places = fewer;
            } else {
                start += chunk;
            }
        }
        // At single deeds it goes round until none can be left out.
        chunk = match (chunk, places.len() < before) {
            (1, true) => 1,
            (1, false) => 0,
            _ => chunk / 2,
        };
    }
    let smallest = run(failed.seed, failed.profile, &kept(&places), true);
    (Keep(Some(places)), smallest)
}
