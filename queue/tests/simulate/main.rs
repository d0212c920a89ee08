//! Simulation of the dispatcher: gateways with agents, a connector and a store in virtual time. Each seed is one
//! reproducible run. `queue/simulate/bite` shows that planted bugs are found.
//!
//! `RELAYLINE_QUEUE_SEEDS=0..20000` runs these seeds.
#![allow(clippy::unwrap_used)] // A run that cannot go on should stop.

mod actions;
mod checks;
mod end;
mod gateway;
mod journal;
mod random;
mod setup;
mod world;

use random::seeds;
use world::World;

/// Runs one seed. Panics with its number if a check fails.
fn run(seed: u64, crash_at: Option<u64>) -> u64 {
    let mut world = World::new(seed, crash_at, false);
    if let Err(violation) = world.run() {
        let mut again = World::new(seed, crash_at, true);
        let _ = again.run();
        let trace = again.trace.unwrap_or_default();
        let last = trace.len().saturating_sub(40);
        panic!(
            "seed {seed}, crash at {crash_at:?}: `{}`: {}\n{}\n{:?}",
            violation.invariant,
            violation.found,
            trace[last..].join("\n"),
            again.setup
        );
    }
    world.steps()
}

#[test]
fn each_seed_holds_every_invariant() {
    let seeds = seeds(0..1000);
    let (number, mut steps) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        steps += run(seed, None);
    }
    println!("{number} runs, {steps} steps");
}

/// A gateway crashes at each step of these runs, one after the other.
#[test]
fn a_crash_at_each_step_loses_nothing() {
    for seed in [3, 11] {
        let steps = run(seed, None);
        for step in 1..steps.min(600) {
            run(seed, Some(step));
        }
    }
}

#[test]
fn the_same_seed_has_the_same_trace() {
    let trace = |seed| {
        let mut world = World::new(seed, None, true);
        world.run().unwrap();
        world.trace.unwrap()
    };
    for seed in 0..10 {
        assert_eq!(trace(seed), trace(seed));
    }
    assert_ne!(trace(0), trace(1));
}
