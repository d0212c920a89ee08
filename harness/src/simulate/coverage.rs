//! Coverage marks: what no run of the committed range reaches is listed, and that list only shrinks.

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

/// What was never reached: transitions of the lifecycle's table and counters of the machine, by name.
pub fn unreached(exercised: &Exercised) -> BTreeSet<String> {
    let taken = exercised.transitions.iter().copied().chain(std::iter::repeat(0));
    let transitions = transitions().zip(taken).filter(|(_, taken)| *taken == 0).map(|(name, _)| name);
    let counters = exercised.counters.iter().filter(|(_, count)| **count == 0);
    transitions.chain(counters.map(|(name, _)| format!("counter {name}"))).collect()
}

/// Every transition, with how often it was taken.
pub fn taken(exercised: &Exercised) -> Vec<(String, u64)> {
    transitions().zip(exercised.transitions.iter().copied().chain(std::iter::repeat(0))).collect()
}

/// The names of a committed list: a line each, with a remark behind ` # `; what begins with `#` is a remark.
pub fn listed(text: &str) -> BTreeSet<String> {
    let names = text.lines().map(|line| line.split(" # ").next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}
