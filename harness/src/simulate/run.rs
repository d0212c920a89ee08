//! A run: a seed, a profile and the performed part of its plan.

use super::oracle::Violation;
use super::planned_action::{self, PlannedAction};
use super::profile::Profile;
use super::run_options::RunOptions;
use super::world::World;
use crate::recording::Recording;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

/// Result of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct SimulatedRun {
    /// Seed of the run.
    pub seed: u64,
    /// Profile of the run.
    pub profile: Profile,
    /// Step and violation of a failed run.
    pub failure: Option<(u64, Violation)>,
    /// SHA-256 of the trace.
    pub hash: [u8; 32],
    /// Number of steps.
    pub events: u64,
    /// Counts of exercised rules, actions, transitions and counters.
    pub exercised: Exercised,
    /// The trace; empty unless it was requested.
    pub trace: Vec<String>,
    /// Recording of the wire, if it was requested.
    pub recording: Option<Recording>,
}

/// Counts of what runs have exercised.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Exercised {
    /// Checks per rule.
    pub rules: BTreeMap<&'static str, u64>,
    /// Performed actions, by name.
    pub actions: BTreeMap<&'static str, u64>,
    /// Transitions taken, in the order of [`relayline_core::lifecycle::arrows`].
    pub transitions: Vec<u64>,
    /// Values of the machine's counters.
    pub counters: BTreeMap<&'static str, u64>,
}

impl Exercised {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Exercised) {
        let add = |to: &mut BTreeMap<&'static str, u64>, from: &BTreeMap<&'static str, u64>| {
            for (name, count) in from {
                *to.entry(name).or_default() += count;
            }
        };
        add(&mut self.rules, &other.rules);
        add(&mut self.actions, &other.actions);
        add(&mut self.counters, &other.counters);
        if self.transitions.len() < other.transitions.len() {
            self.transitions.resize(other.transitions.len(), 0);
        }
        for (to, from) in self.transitions.iter_mut().zip(&other.transitions) {
            *to += from;
        }
    }
}

/// Runs a seed. `keeps` requests the trace and the recording. A panic of either machine is reported as a failure.
pub fn run(seed: u64, profile: Profile, options: &RunOptions, keeps: bool) -> SimulatedRun {
    let plan = planned(seed, profile, options);
    let mut world = World::new(seed, profile, &plan, keeps);
    world.never = options.never;
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| world.run())) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
        world.oracle.violation = None;
        world.oracle.fail("W-3", "nothing-panics", || text);
    }
    let identities = &world.setup.config.identities;
    let identities =
        identities.iter().map(|identity| (identity.platform.clone(), identity.bot_id.clone())).collect();
    let title = match &world.oracle.violation {
        Some(violation) => {
            format!("seed {seed}, profile {profile}: {} ({})", violation.invariant, violation.rule)
        }
        None => format!("seed {seed}, profile {profile}"),
    };
    SimulatedRun {
        seed,
        profile,
        hash: world.log.hash(),
        events: world.steps,
        trace: world.log.trace(),
        recording: world.log.recording(title, options.command(seed, profile), identities),
        failure: world.oracle.violation.take().map(|violation| (world.steps, violation)),
        exercised: Exercised { rules: world.oracle.rules(), ..std::mem::take(&mut world.exercised) },
    }
}

/// Returns the performed actions of the plan, ordered by time.
fn planned(seed: u64, profile: Profile, options: &RunOptions) -> Vec<PlannedAction> {
    let plan = planned_action::plan(seed, profile);
    let mut kept: Vec<PlannedAction> = match &options.keep.0 {
        None => plan,
        Some(places) => places.iter().filter_map(|place| plan.get(*place).copied()).collect(),
    };
    kept.sort_by_key(|action| action.at);
    kept
}
