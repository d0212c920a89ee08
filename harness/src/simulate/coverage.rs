//! Coverage of a range of runs. The transitions and counters that no run reaches are in a committed list, and the list
//! only shrinks.

use super::run::Exercised;
use relayline_core::lifecycle::{TABLE, arrows};
use std::collections::BTreeSet;

/// Returns the name of each transition: `Up on Lost [Always] -> Waiting`.
fn transitions() -> impl Iterator<Item = String> {
    arrows().map(|arrow| {
        let row = &TABLE[arrow.row];
        format!("transition {} on {:?} [{:?}] -> {:?}", arrow.from, arrow.on, row.when, row.to)
    })
}

/// Returns the transitions of the lifecycle's table and the counters of the machine that were never reached, by name.
pub fn unreached(exercised: &Exercised) -> BTreeSet<String> {
    let taken = exercised.transitions.iter().copied().chain(std::iter::repeat(0));
    let transitions = transitions().zip(taken).filter(|(_, taken)| *taken == 0).map(|(name, _)| name);
    let counters = exercised.counters.iter().filter(|(_, count)| **count == 0);
    transitions.chain(counters.map(|(name, _)| format!("counter {name}"))).collect()
}

/// Returns every transition with the number of times it was taken.
pub fn taken(exercised: &Exercised) -> Vec<(String, u64)> {
    transitions().zip(exercised.transitions.iter().copied().chain(std::iter::repeat(0))).collect()
}

/// Returns the names in a committed list: one per line, with an optional remark after ` # `. Lines that begin with `#`
/// are skipped.
pub fn listed(text: &str) -> BTreeSet<String> {
    let names = text.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}
