//! Verdicts: what a scenario has shown.

use super::scenario::Scenario;
use relayline_core::secret::Secret;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Verdict on a scenario.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// All expectations were met.
    Pass,
    /// An expectation of a scenario that must pass was not met.
    Fail(Box<Finding>),
    /// Allowed, but unkind: an expectation of a scenario that should pass was not met.
    Warn(Box<Finding>),
    /// Not run, for this reason.
    Skip(String),
}

impl Verdict {
    /// Replaces a secret in the finding.
    pub(super) fn redact(&mut self, secret: &Secret) {
        if let Verdict::Fail(finding) | Verdict::Warn(finding) = self {
            finding.redact(secret);
        }
    }

    /// Returns the name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Warn(_) => "warn",
            Verdict::Skip(_) => "skip",
        }
    }

    /// Returns the finding of a failure or a warning.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Verdict::Fail(finding) | Verdict::Warn(finding) => Some(finding),
            Verdict::Pass | Verdict::Skip(_) => None,
        }
    }

    /// Returns the finding in one line, or the reason of a skipped scenario; empty for one that has passed.
    pub fn reason(&self) -> String {
        match self {
            Verdict::Pass => String::new(),
            Verdict::Fail(finding) | Verdict::Warn(finding) => finding.to_string(),
            Verdict::Skip(reason) => reason.clone(),
        }
    }
}

/// An unmet expectation.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// Line of the step in the scenario's file.
    pub line: usize,
    /// What was expected.
    pub expected: String,
    /// What came instead.
    pub came: String,
    /// The frame or line that came, if there was one.
    pub frame: Option<Value>,
}

impl Finding {
    /// Replaces a secret wherever it is quoted.
    pub(super) fn redact(&mut self, secret: &Secret) {
        let hidden = |text: &str| text.replace(secret.expose(), "<hidden>");
        (self.expected, self.came) = (hidden(&self.expected), hidden(&self.came));
        let frame = self.frame.take().map(|frame| hidden(&frame.to_string()));
        self.frame = frame.and_then(|frame| serde_json::from_str(&frame).ok());
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; {}", self.expected, self.came)
    }
}

/// Result of a scenario.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ScenarioResult {
    /// The scenario.
    pub scenario: Scenario,
    /// Verdict on it.
    pub verdict: Verdict,
    /// Time that it took.
    pub took: Duration,
    /// Recording of the session, without credentials. `None` if it was not run.
    pub recording: Option<String>,
    /// Last lines of the program's stderr.
    pub log: String,
}

impl ScenarioResult {
    /// Creates the result of a scenario that is not run.
    pub(super) fn skipped(scenario: Scenario, reason: String) -> Self {
        let (took, recording, log) = (Duration::ZERO, None, String::new());
        ScenarioResult { scenario, verdict: Verdict::Skip(reason), took, recording, log }
    }

    /// Returns the result as an entry of the JSON report.
    pub(super) fn to_json(&self) -> Value {
        let finding = self.verdict.finding();
        let mut entry = json!({
            "name": self.scenario.name,
            "title": self.scenario.title,
            "rules": self.scenario.rules,
            "level": self.scenario.level.name(),
            "why": self.scenario.why,
            "verdict": self.verdict.name(),
            "ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        });
        if let (Some(fields), Some(finding)) = (entry.as_object_mut(), finding) {
            fields.insert("step".to_owned(), finding.line.into());
            fields.insert("expected".to_owned(), finding.expected.as_str().into());
            fields.insert("came".to_owned(), finding.came.as_str().into());
            fields.insert("frame".to_owned(), finding.frame.clone().unwrap_or_default());
            fields.insert("recording".to_owned(), self.recording.clone().into());
            fields.insert("log".to_owned(), self.log.as_str().into());
        }
        if let (Some(fields), Verdict::Skip(reason)) = (entry.as_object_mut(), &self.verdict) {
            fields.insert("reason".to_owned(), reason.as_str().into());
        }
        entry
    }
}
