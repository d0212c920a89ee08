//! The oracle: counts each check by its rule. The first failed check ends the run.

use std::collections::BTreeMap;

/// A failed check.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// Name of the invariant, the same for every failure of its kind, such as `ack-after-taken`.
    pub invariant: &'static str,
    /// Rule that the invariant is for.
    pub rule: &'static str,
    /// Value found instead.
    pub found: String,
}

/// Collector of the checks of a run.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) violation: Option<Violation>,
    rules: Tally,
}

/// Number of checks per rule. A run makes several hundred thousand, so they are counted by the address of the rule's
/// literal, without comparing text.
#[derive(Debug)]
struct Tally {
    slots: Vec<(&'static str, u64)>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { slots: vec![("", 0); 1 << 11] }
    }
}

impl Tally {
    fn count(&mut self, rule: &'static str) {
        let most = self.slots.len() - 1;
        let mut at = rule.as_ptr().addr() & most;
        loop {
            let (known, count) = &mut self.slots[at];
            if std::ptr::eq(*known, rule) {
                *count += 1;
                return;
            }
            if *count == 0 {
                (*known, *count) = (rule, 1);
                return;
            }
            at = (at + 1) & most;
        }
    }

    /// Returns the counts by rule. A literal may have several addresses.
    fn by_rule(&self) -> BTreeMap<&'static str, u64> {
        let mut rules = BTreeMap::new();
        for (rule, count) in self.slots.iter().filter(|(_, count)| *count > 0) {
            *rules.entry(*rule).or_default() += count;
        }
        rules
    }
}

impl Oracle {
    /// Checks that `holds` is true, and counts the rule.
    pub(crate) fn check(
        &mut self,
        rule: &'static str,
        invariant: &'static str,
        holds: bool,
        found: impl FnOnce() -> String,
    ) {
        self.rules.count(rule);
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { invariant, rule, found: found() });
        }
    }

    /// Records a failed check.
    pub(crate) fn fail(
        &mut self,
        rule: &'static str,
        invariant: &'static str,
        found: impl FnOnce() -> String,
    ) {
        self.check(rule, invariant, false, found);
    }

    /// Counts a rule that was exercised without a check of its own.
    pub(crate) fn count(&mut self, rule: &'static str) {
        self.rules.count(rule);
    }

    /// Returns the number of checks per rule.
    pub(crate) fn rules(&self) -> BTreeMap<&'static str, u64> {
        self.rules.by_rule()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.violation.is_some()
    }
}
