//! JUnit XML, as CI systems read it.

use super::{Report, escaped};
use crate::conformance::verdict::Verdict;
use std::fmt::Write;

/// Returns the report as JUnit XML. Warnings pass, with their text as output.
pub fn junit(report: &Report) -> String {
    let count = |name: &str| report.results.iter().filter(|result| result.verdict.name() == name).count();
    let seconds: f64 = report.results.iter().map(|result| result.took.as_secs_f64()).sum();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"relay conformance: {}\" tests=\"{}\" \
         failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
        report.side.name(),
        report.results.len(),
        count("fail"),
        count("skip"),
    );
    for result in &report.results {
        let scenario = &result.scenario;
        let (name, group) = (escaped(&scenario.name), escaped(&scenario.rules.join(" ")));
        let time = result.took.as_secs_f64();
        // Writing to a string does not fail.
        let _ = write!(xml, "    <testcase classname=\"{group}\" name=\"{name}\" time=\"{time:.3}\"");
        let reason = escaped(&result.verdict.reason());
        let _ = match &result.verdict {
            Verdict::Pass => writeln!(xml, "/>"),
            Verdict::Fail(finding) => {
                let frame = finding.frame.as_ref().map(ToString::to_string).unwrap_or_default();
                writeln!(
                    xml,
                    ">\n      <failure message=\"{reason}\">{}</failure>\n    </testcase>",
                    escaped(&format!("{}\n{}\n{frame}", scenario.title, scenario.why))
                )
            }
            Verdict::Warn(_) => {
                writeln!(xml, ">\n      <system-out>warning: {reason}</system-out>\n    </testcase>")
            }
            Verdict::Skip(_) => writeln!(xml, ">\n      <skipped message=\"{reason}\"/>\n    </testcase>"),
        };
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}
