//! Metrics page in the Prometheus text format.

use relayline_core::output::Phase;
use relayline_core::stats::Stats;
use relayline_core::usage::Usage;
use std::fmt::Write as _;

/// Content type of the page.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns a page with each counter of `stats` as `relayline_<name>_total`, each gauge of `held` as
/// `relayline_held_<name>`, and the phase of the connection as the sample of `relayline_phase{phase="…"}` that is 1. Names
/// are stable, and more may be added.
pub(super) fn page(phase: Phase, stats: &Stats, usage: &Usage) -> String {
    let mut page = String::new();
    head(&mut page, "relayline_phase", "gauge", "Phase of the connection: 1 for the current one.");
    for one in Phase::ALL {
        let is = u8::from(one == phase);
        // Writing to a `String` cannot fail, here and below.
        let _ = writeln!(page, "relayline_phase{{phase=\"{}\"}} {is}", one.name());
    }
    for (name, help, value) in stats.described() {
        counter(&mut page, name, help, value);
    }
    for (name, help, value) in usage.described() {
        gauge(&mut page, &format!("held_{name}"), help, value);
    }
    page
}

/// Appends a gauge to a page.
pub(super) fn gauge(page: &mut String, name: &str, help: &str, value: impl std::fmt::Display) {
    let name = format!("relayline_{name}");
    head(page, &name, "gauge", help);
    let _ = writeln!(page, "{name} {value}");
}

/// Appends a counter to a page.
pub(super) fn counter(page: &mut String, name: &str, help: &str, value: u64) {
    let name = format!("relayline_{name}_total");
    head(page, &name, "counter", help);
    let _ = writeln!(page, "{name} {value}");
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let help = help.trim().replace('\\', "\\\\").replace('\n', " ");
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// every counter is on the page, preceded by its help and its type as the format requires.
    #[test]
    fn x_2_every_counter_is_on_the_page() {
        let (mut stats, mut usage) = (Stats::default(), Usage::default());
        (stats.dials, stats.duplicates, usage.chats) = (3, u64::MAX, 7);
        let page = page(Phase::Idle, &stats, &usage);
        for (name, value) in usage.iter() {
            let lines = format!("# TYPE relayline_held_{name} gauge\nrelayline_held_{name} {value}\n");
            assert!(page.contains(&lines), "{lines}");
        }
        for (name, value) in stats.iter() {
            let name = format!("relayline_{name}_total");
            let at = page.find(&format!("# HELP {name} ")).unwrap_or_else(|| panic!("{name} is missing"));
            let lines: Vec<&str> = page[at..].lines().take(3).collect();
            assert!(lines[0].len() > format!("# HELP {name} ").len(), "{name} has no help");
            assert_eq!(lines[1..], [format!("# TYPE {name} counter"), format!("{name} {value}")]);
        }
        let phases: Vec<&str> = page.lines().filter(|line| line.starts_with("relayline_phase")).collect();
        let on: Vec<&&str> = phases.iter().filter(|line| line.ends_with(" 1")).collect();
        assert_eq!((phases.len(), on), (8, vec![&"relayline_phase{phase=\"idle\"} 1"]));
        let names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let distinct: std::collections::BTreeSet<&&str> = names.iter().collect();
        assert_eq!(names.len(), distinct.len(), "each name occurs once");
        assert!(page.ends_with('\n'));
    }

    #[test]
    fn a_page_has_the_prometheus_format() {
        let mut stats = Stats::default();
        stats.dials = 2;
        let page = page(Phase::Connected, &stats, &Usage::default());
        let first: Vec<&str> = page.lines().skip(10).take(3).collect();
        assert_eq!(
            first,
            [
                "# HELP relayline_dials_total Dials started.",
                "# TYPE relayline_dials_total counter",
                "relayline_dials_total 2"
            ]
        );
        let mut more = String::new();
        counter(&mut more, "signs_dropped", "Two\nlines, and a \\.", 1);
        assert_eq!(
            more,
            "# HELP relayline_signs_dropped_total Two lines, and a \\\\.\n# TYPE relayline_signs_dropped_total counter\nrelayline_signs_dropped_total 1\n"
        );
    }
}
