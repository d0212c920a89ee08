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
pub(crate) struct Oracle {
    pub(crate) violation: Option<Violation>,
    rules: Tally,
}

/// Number of claims of each rule. A run makes some hundred thousand: they are counted by the place of the rule's
/// literal, without comparing any text.
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

    /// Returns the counts by rule, whatever places its literal has.
    fn by_rule(&self) -> BTreeMap<&'static str, u64> {
        let mut rules = BTreeMap::new();
        for (rule, count) in self.slots.iter().filter(|(_, count)| *count > 0) {
            *rules.entry(*rule).or_default() += count;
        }
        rules
    }
}

impl Oracle {
    /// Claims that `holds`, and counts the rule.
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

    /// Says that a claim does not hold.
    pub(crate) fn fail(
        &mut self,
        rule: &'static str,
        invariant: &'static str,
        found: impl FnOnce() -> String,
    ) {
        self.check(rule, invariant, false, found);
    }

    /// The rule was exercised; whether it held shows elsewhere.
    pub(crate) fn count(&mut self, rule: &'static str) {
        self.rules.count(rule);
    }

    /// Returns how often each rule was put to the test.
    pub(crate) fn rules(&self) -> BTreeMap<&'static str, u64> {
        self.rules.by_rule()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.violation.is_some()
    }
}
