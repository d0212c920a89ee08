//! Reports of a run: JSON, JUnit, Markdown and HTML.

mod html;
mod junit;
mod markdown;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;

use super::scenario::Side;
use super::verdict::ScenarioResult;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Names of the verdicts, in the order of summaries.
const VERDICTS: [&str; 4] = ["pass", "fail", "warn", "skip"];

/// A run: its subject and its results.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Side that was tested.
    pub side: Side,
    /// Subject of the run: the command, or the URL.
    pub subject: String,
    /// First line that the program prints for `--version`, if it prints one.
    pub version: Option<String>,
    /// Results, in the order of the scenarios.
    pub results: Vec<ScenarioResult>,
}

impl Report {
    /// Creates a report.
    pub fn new(side: Side, subject: String, version: Option<String>, results: Vec<ScenarioResult>) -> Self {
        Report { side, subject, version, results }
    }

    /// Returns the number of results with each verdict.
    pub fn summary(&self) -> Summary {
        Summary(
            VERDICTS
                .map(|verdict| self.results.iter().filter(|result| result.verdict.name() == verdict).count()),
        )
    }

    /// Returns the report as JSON.
    pub fn to_json(&self) -> Value {
        let Summary(counts) = self.summary();
        let summary: serde_json::Map<String, Value> =
            VERDICTS.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), count.into())).collect();
        json!({
            "conformance": 1,
            "side": self.side.name(),
            "subject": self.subject,
            "version": self.version,
            "relayline": env!("CARGO_PKG_VERSION"),
            "summary": summary,
            "rules": self.rules(),
            "scenarios": self.results.iter().map(ScenarioResult::to_json).collect::<Vec<_>>(),
        })
    }

    /// Returns the worst verdict on each rule, with the names of its scenarios.
    fn rules(&self) -> BTreeMap<RuleId, RuleVerdict> {
        let mut rules: BTreeMap<RuleId, RuleVerdict> = BTreeMap::new();
        for result in &self.results {
            for rule in &result.scenario.rules {
                let entry = rules.entry(RuleId::of(rule)).or_default();
                let verdict = worse(entry.verdict, result.verdict.name());
                if verdict != entry.verdict {
                    entry.verdict = verdict;
                    entry.decided_by.clone_from(&result.scenario.name);
                }
                entry.scenarios.insert(result.scenario.name.clone());
            }
        }
        rules
    }
}

/// Id of a rule, ordered by its chapter and number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct RuleId {
    chapter: usize,
    number: u32,
    text: String,
}

impl RuleId {
    fn of(text: &str) -> RuleId {
        const CHAPTERS: &str = "WDEOMLAPISCHX";
        let (letter, number) = text.split_once('-').unwrap_or((text, ""));
        RuleId {
            chapter: CHAPTERS.find(letter).unwrap_or(CHAPTERS.len()),
            number: number.parse().unwrap_or(0),
            text: text.to_owned(),
        }
    }
}

impl serde::Serialize for RuleId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Verdict on a rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
struct RuleVerdict {
    verdict: &'static str,
    /// First scenario with that verdict.
    #[serde(skip)]
    decided_by: String,
    scenarios: BTreeSet<String>,
}

/// Returns the worse of two verdicts. One that was not reached counts least.
fn worse(one: &'static str, other: &'static str) -> &'static str {
    let weight = |name| ["", "skip", "pass", "warn", "fail"].iter().position(|known| *known == name);
    if weight(other) > weight(one) { other } else { one }
}

/// Numbers of results, by verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary([usize; 4]);

impl fmt::Display for Summary {
    /// Writes `40 pass, 1 fail, 0 warn, 2 skip`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            VERDICTS.iter().zip(self.0).map(|(name, count)| format!("{count} {name}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// Replaces the characters that have a meaning in XML and HTML, and those that XML forbids.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
