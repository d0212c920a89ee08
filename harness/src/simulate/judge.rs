//! What holds and what does not: every claim is counted under its rule, the first that fails ends the run.

use std::collections::BTreeMap;

/// A claim that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The invariant's name, the same for every failure of its kind: `ack-after-taken`, say.
    pub invariant: &'static str,
    /// The rule that it is about.
    pub rule: &'static str,
    /// What was found instead.
    pub found: String,
}

/// Hears the claims of a run.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    pub(crate) violation: Option<Violation>,
    /// How often each rule was put to the test.
    pub(crate) rules: BTreeMap<&'static str, u64>,
}

impl Judge {
    /// Claims that `holds`, and counts the rule.
    pub(crate) fn claim(
        &mut self,
        rule: &'static str,
        invariant: &'static str,
        holds: bool,
        found: impl FnOnce() -> String,
    ) {
        *self.rules.entry(rule).or_default() += 1;
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { invariant, rule, found: found() });
        }
    }

    /// Says that a claim does not hold.
    pub(crate) fn fail(
        &mut self,
        rule: &'static str,
        invariant: &'static str,
        found: impl FnOnce() -> String,
    ) {
        self.claim(rule, invariant, false, found);
    }

    /// The rule was exercised; whether it held shows elsewhere.
    pub(crate) fn met(&mut self, rule: &'static str) {
        *self.rules.entry(rule).or_default() += 1;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.violation.is_some()
    }
}
