//! Options of a run beyond its seed and its profile.

use super::plan_subset::PlanSubset;
use super::profile::Profile;
use relayline_core::stats::Stats;
use std::fmt;
use std::str::FromStr;

/// Options of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// Actions of the plan to perform. Default: all.
    pub keep: PlanSubset,
    /// Counter that must stay 0. A run that increments it fails.
    pub never: Option<Counter>,
}

impl RunOptions {
    /// Sets the actions of the plan to perform.
    #[must_use]
    pub fn keep(self, keep: PlanSubset) -> RunOptions {
        RunOptions { keep, ..self }
    }

    /// Sets the counter that must stay 0.
    #[must_use]
    pub fn never(self, never: Counter) -> RunOptions {
        RunOptions { never: Some(never), ..self }
    }

    /// Returns the command line that repeats a run with these options.
    pub fn command(&self, seed: u64, profile: Profile) -> String {
        let keep = self.keep.0.as_ref().map(|_| format!(" --keep {}", self.keep)).unwrap_or_default();
        let never = self.never.map(|counter| format!(" --never {counter}")).unwrap_or_default();
        format!("relayline simulate --seeds {seed} --profile {profile}{keep}{never}")
    }
}

impl From<PlanSubset> for RunOptions {
    fn from(keep: PlanSubset) -> Self {
        RunOptions { keep, never: None }
    }
}

/// A counter of the machine, by its name in [`Stats`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter(&'static str);

impl Counter {
    /// Returns its value.
    pub(crate) fn of(self, stats: &Stats) -> u64 {
        stats.iter().find(|(name, _)| *name == self.0).map_or(0, |(_, value)| value)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Counter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Stats::default();
        let found = known.iter().map(|(name, _)| name).find(|name| *name == text);
        found.map(Counter).ok_or_else(|| {
            format!("{text:?} is not a counter of a gateway: write one, as in waiters_dropped")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_parsed_by_its_name() {
        let mut stats = Stats::default();
        stats.dials = 7;
        assert_eq!("dials".parse::<Counter>().map(|counter| counter.of(&stats)), Ok(7));
        for wrong in ["", "Dials", "dial"] {
            assert!(wrong.parse::<Counter>().is_err_and(|problem| problem.contains("waiters_dropped")));
        }
    }
}
