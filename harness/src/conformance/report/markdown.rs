//! Markdown, for the summary of a CI run.

use super::Report;
use std::fmt::Write;

/// Returns the report as Markdown: a summary, the findings, and a table of all scenarios.
pub fn markdown(report: &Report) -> String {
    let mut text = format!("## Relay conformance of the {}\n\n{}\n", report.side.name(), report.summary());
    let findings = report.results.iter().filter_map(|result| Some((result, result.verdict.finding()?)));
    for (result, finding) in findings {
        let (scenario, verdict) = (&result.scenario, result.verdict.name());
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n### {verdict}: {} ({})\n\n{}. {}\n\n- expected {}\n- {}\n",
            scenario.name,
            scenario.rules.join(", "),
            plain(&scenario.title),
            plain(&scenario.why),
            plain(&finding.expected),
            plain(&finding.came),
        );
    }
    text.push_str("\n| scenario | rules | level | verdict | |\n|---|---|---|---|---|\n");
    for result in &report.results {
        let scenario = &result.scenario;
        let reason = match result.verdict.finding() {
            Some(_) => plain(&scenario.title),
            None => plain(&result.verdict.reason()),
        };
        let (name, rules) = (&scenario.name, scenario.rules.join(", "));
        let (level, verdict) = (scenario.level, result.verdict.name());
        let _ = writeln!(text, "| {name} | {rules} | {level} | {verdict} | {reason} |");
    }
    text
}

/// Returns a text that Markdown shows as it is, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}
