//! Simulation of workers: leaders, workers and their agents, on a bus that loses, repeats and delays frames, in virtual
//! time. Each seed is one reproducible run. `queue/simulate/bite` shows that planted bugs are found.
//!
//! `RELAYLINE_QUEUE_SEEDS=0..20000` runs these seeds.
#![allow(clippy::unwrap_used)] // A run that cannot go on should stop.

mod agents;
mod leader;
#[path = "../simulate/random.rs"]
mod random;
mod world;

use random::seeds;
use world::World;

/// Runs one seed. Panics with its number if a check fails.
fn run(seed: u64) -> World {
    let mut world = World::new(seed, false);
    if let Err(found) = world.run() {
        let mut again = World::new(seed, true);
        let _ = again.run();
        let trace = again.trace.unwrap_or_default();
        let last = trace.len().saturating_sub(60);
        panic!("seed {seed}, crash at None: {found}\n{}\n{:?}", trace[last..].join("\n"), again.setup);
    }
    world
}

#[test]
fn each_seed_holds_every_invariant() {
    let seeds = seeds(0..500);
    let number = seeds.end - seeds.start;
    let (mut steps, mut kept, mut lost, mut leases) = (0, 0, 0, 0);
    for seed in seeds {
        let world = run(seed);
        steps += world.steps;
        for worker in world.workers.values() {
            let stats = worker.worker.stats();
            (kept, lost, leases) = (kept + stats.kept, lost + stats.agents_lost, leases + stats.leases);
        }
    }
    println!("{number} runs, {steps} steps, {leases} leases, {kept} hand-outs kept, {lost} agents lost");
    assert!(number < 500 || (kept > 0 && lost > 0), "the runs reach too little");
}

#[test]
fn the_same_seed_has_the_same_trace() {
    let trace = |seed| {
        let mut world = World::new(seed, true);
        world.run().unwrap();
        world.trace.unwrap()
    };
    for seed in 0..5 {
        assert_eq!(trace(seed), trace(seed));
    }
    assert_ne!(trace(0), trace(1));
}
