//! Expected failures: a list of scenarios that fail, which must be kept true.

use super::verdict::{ScenarioResult, Verdict};
use std::collections::BTreeSet;

/// Scenarios that are expected to fail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Baseline(BTreeSet<String>);

/// Error of a line of a baseline that names no scenario.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: there is no scenario {name:?}: remove the line, or take a name of --list")]
pub struct BaselineError {
    line: usize,
    name: String,
}

impl Baseline {
    /// Parses a file: one name of a scenario a line. Blank lines, and the rest of a line from `#` on, are ignored.
    ///
    /// # Errors
    /// A line names no scenario.
    pub fn parse(text: &str, names: &BTreeSet<&str>) -> Result<Self, BaselineError> {
        let mut baseline = Baseline::default();
        for (index, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or_default().trim();
            if name.is_empty() {
                continue;
            }
            if !names.contains(name) {
                return Err(BaselineError { line: index + 1, name: name.to_owned() });
            }
            baseline.0.insert(name.to_owned());
        }
        Ok(baseline)
    }

    /// Returns true if the scenario is expected to fail.
    pub fn expects(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Returns the names of the results that a run fails for: failures that are not expected, and expected failures that
    /// have passed.
    pub fn differences<'a>(&self, results: &'a [ScenarioResult]) -> Vec<&'a ScenarioResult> {
        let differs = |result: &&ScenarioResult| match result.verdict {
            Verdict::Fail(_) => !self.expects(&result.scenario.name),
            Verdict::Pass | Verdict::Warn(_) => self.expects(&result.scenario.name),
            // What was not run shows nothing.
            Verdict::Skip(_) => false,
        };
        results.iter().filter(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        let names = BTreeSet::from(["a", "b"]);
        let baseline = Baseline::parse("# known\na # issue 7\n\n", &names).unwrap();
        assert!(baseline.expects("a") && !baseline.expects("b"));
        let error = Baseline::parse("a\nc\n", &names).unwrap_err().to_string();
        assert!(error.starts_with("line 2: there is no scenario \"c\""), "{error}");
    }
}
