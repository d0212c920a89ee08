//! One HTML page that loads nothing: rules by verdict, and each finding with its recording.

use super::{Report, escaped};
use crate::conformance::verdict::ScenarioResult;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884;\
vertical-align:top}td:first-child{white-space:nowrap}td:last-child{overflow-wrap:anywhere}\
pre{overflow:auto;max-height:30rem;padding:.6rem;background:#8881;white-space:pre-wrap;\
overflow-wrap:anywhere}.rules{display:flex;flex-wrap:wrap;gap:.3rem}.rules a{padding:.1rem .5rem;border-radius:.3rem;\
color:#fff;text-decoration:none}.pass{background:#18794e}.fail{background:#c62828}.warn{background:#996300}\
.skip{background:#6b7280}.mark{color:#fff;border-radius:.3rem;padding:.05rem .5rem}@media(prefers-color-scheme:dark)\
{body{background:#111;color:#ddd}a{color:#8ab4f8}}";

/// Returns the report as a page.
pub fn html(report: &Report) -> String {
    let title = format!("Relay conformance of a {}", report.side.name());
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n<p><code>{}</code> \
         {}</p>\n<p>{}</p>\n<h2>Rules</h2>\n<p class=\"rules\">",
        escaped(&report.subject),
        escaped(report.version.as_deref().unwrap_or_default()),
        report.summary(),
    );
    for (rule, entry) in report.rules() {
        let names: Vec<&str> = entry.scenarios.iter().map(String::as_str).collect();
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "<a class=\"{}\" href=\"#{}\" title=\"{}: {}\">{}</a> ",
            entry.verdict,
            escaped(&entry.decided_by),
            entry.verdict,
            escaped(&names.join(", ")),
            escaped(&rule.text)
        );
    }
    page.push_str(
        "</p>\n<h2>Scenarios</h2>\n<table><tr><th>scenario<th>rules<th>level<th>verdict<th>claim\n",
    );
    for result in &report.results {
        row(&mut page, result);
    }
    page.push_str("</table>\n</html>\n");
    page
}

fn row(page: &mut String, result: &ScenarioResult) {
    let scenario = &result.scenario;
    let verdict = result.verdict.name();
    let _ = write!(
        page,
        "<tr id=\"{0}\"><td>{0}<td>{1}<td>{2}<td><span class=\"mark {verdict}\">{verdict}</span><td>{3}",
        escaped(&scenario.name),
        escaped(&scenario.rules.join(", ")),
        scenario.level,
        escaped(&scenario.title),
    );
    match result.verdict.finding() {
        None => {
            let reason = result.verdict.reason();
            if !reason.is_empty() {
                let _ = write!(page, "<p>Skipped: {}", escaped(&reason));
            }
        }
        Some(finding) => {
            let frame = finding.frame.as_ref().map(|frame| format!("{frame:#}")).unwrap_or_default();
            let _ = write!(
                page,
                "<p>{}<p>Expected {}; {}.",
                escaped(&scenario.why),
                escaped(&finding.expected),
                escaped(&finding.came),
            );
            details(page, "frame", &frame);
            details(page, "recording", result.recording.as_deref().unwrap_or_default());
            details(page, "log", &result.log);
        }
    }
    page.push('\n');
}

/// Adds a text that is shown on a click, if there is one.
fn details(page: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        let _ = write!(page, "<details><summary>{name}</summary><pre>{}</pre></details>", escaped(text));
    }
}
