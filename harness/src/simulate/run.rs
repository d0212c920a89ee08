//! A run: performs the planned actions of a seed and a profile, and collects the result.

use super::oracle::Violation;
use super::planned_action::{self, PlannedAction};
use super::profile::Profile;
use super::run_options::RunOptions;
use super::world::World;
use crate::recording::Recording;
use std::any::Any;
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
    /// Violation that ended the run, and the number of steps until then; `None` if the run passed.
    pub failure: Option<(u64, Violation)>,
    /// SHA-256 of the trace, also if the trace is not kept.
    pub hash: [u8; 32],
    /// Number of steps, each of which is one event of the simulated world.
    pub events: u64,
    /// Counts of exercised rules, actions, transitions and counters.
    pub exercised: Exercised,
    /// Lines of the trace; empty if they were not kept.
    pub trace: Vec<String>,
    /// Recording of the wire, if it was kept.
    pub recording: Option<Recording>,
}

/// Counts of what runs have exercised.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Exercised {
    /// Number of checks of each rule.
    pub rules: BTreeMap<&'static str, u64>,
    /// Number of performed actions, by name.
    pub actions: BTreeMap<&'static str, u64>,
    /// Number of times that each transition was taken, in the order of [`relayline_core::lifecycle::arrows`].
    pub transitions: Vec<u64>,
    /// Values of the machine's counters.
    pub counters: BTreeMap<&'static str, u64>,
}

impl Exercised {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Exercised) {
        add_counts(&mut self.rules, &other.rules);
        add_counts(&mut self.actions, &other.actions);
        add_counts(&mut self.counters, &other.counters);
        if self.transitions.len() < other.transitions.len() {
            self.transitions.resize(other.transitions.len(), 0);
        }
        for (to, from) in self.transitions.iter_mut().zip(&other.transitions) {
            *to += from;
        }
    }
}

/// Adds the counts of `from` to those of `to`, name by name.
fn add_counts(to: &mut BTreeMap<&'static str, u64>, from: &BTreeMap<&'static str, u64>) {
    for (name, count) in from {
        *to.entry(name).or_default() += count;
    }
}

/// Runs a seed. The result has the trace and the recording if `keeps_trace` is true. A panic of either machine is
/// reported as a failure.
pub fn run(seed: u64, profile: Profile, options: &RunOptions, keeps_trace: bool) -> SimulatedRun {
    let plan = planned_actions(seed, profile, options);
    let mut world = World::new(seed, profile, &plan, keeps_trace);
    world.never = options.never;
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| world.run())) {
        // A panic is the cause of a violation that was found before it.
        world.oracle.violation = None;
        world.oracle.fail("W-3", "nothing-panics", || message_of(&*panic).to_owned());
    }
    let identities = world.setup.config.identities.iter();
    let identities =
        identities.map(|identity| (identity.platform.clone(), identity.bot_id.clone())).collect();
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

/// Returns the message of a panic.
fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Returns the actions of the plan that the options keep, ordered by time.
fn planned_actions(seed: u64, profile: Profile, options: &RunOptions) -> Vec<PlannedAction> {
    let plan = planned_action::plan(seed, profile);
    let mut kept: Vec<PlannedAction> = match &options.keep.0 {
        None => plan,
        Some(places) => places.iter().filter_map(|place| plan.get(*place).copied()).collect(),
    };
    kept.sort_by_key(|action| action.at);
    kept
}
