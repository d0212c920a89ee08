//! Counts the simulation runs that are needed to find a bug, for `harness/simulate/bite`, which plants the bugs.
#![allow(clippy::print_stdout)] // That is all it is for.

use relayline_harness::simulate::{Profile, RunOptions, run};

/// Maximum number of runs, over all profiles in turn, before a bug counts as not found.
const MOST: u64 = 500;

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut runs = 0;
    for seed in 0..MOST / 5 {
        for profile in Profile::ALL {
            runs += 1;
            if let Some((_, violation)) = run(seed, profile, &RunOptions::default(), false).failure {
                println!("| `{}` ({}) | {runs} |", violation.invariant, violation.rule);
                return;
            }
        }
    }
    println!("| **not found** | {runs} |");
    std::process::exit(1);
}
