//! Tables of results, and the page that has them.

use crate::parts::Part;
use crate::results::Results;
use crate::{Result, root};
use std::fmt::Write as _;
use std::fs;

/// Row of a table: what was measured, its figures, and the target.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) target: String,
}

/// Returns a table, as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = "| what | measured | target |\n|---|---|---|\n".to_owned();
    for Row { what, measured, target } in rows {
        let _ = writeln!(table, "| {what} | {measured} | {target} |");
    }
    table
}

/// Formats a factor; a dash if the latest run has not measured it.
pub(crate) fn times(factor: Option<f64>) -> String {
    factor.map_or_else(|| "–".to_owned(), |factor| format!("{factor:.2} ×"))
}

/// Formats a number that is rounded to thousands: "1,822,000".
pub(crate) fn in_thousands(number: f64) -> String {
    let thousands = (number / 1e3).round() as u64;
    match thousands / 1000 {
        0 => format!("{thousands},000"),
        millions => format!("{millions},{:03},000", thousands % 1000),
    }
}

/// Rows of the README's table, each by its beginning.
const README: [&str; 5] = [
    "| an event, from its bytes to the host",
    "| CPU per event, socket to host, one connection, on tokio",
    "| events per second, the same, on tokio",
    "| round trip p50, p99 on tokio",
    "| resident memory of an idle gateway",
];

/// Replaces the tables on the page, one section for each part that was measured, and the rows of the README.
///
/// # Errors
/// A file cannot be read or written, or does not mark the place of its tables.
pub(crate) fn write(results: &Results) -> Result<()> {
    let mut tables = String::new();
    for part in Part::ALL {
        if let Some(of_part) = part.tables(results) {
            let _ = write!(tables, "\n## {}\n\n{of_part}", part.title());
        }
    }
    replace("docs/performance.md", &format!("{tables}\n"))?;
    let row = |beginning: &&str| tables.lines().find(|line| line.starts_with(*beginning));
    let rows: Vec<&str> = README.iter().filter_map(row).collect();
    replace("README.md", &format!("| what | measured | target |\n|---|---|---|\n{}\n", rows.join("\n")))
}

/// Replaces the text between the marks in a file.
fn replace(path: &str, text: &str) -> Result<()> {
    const BEGIN: &str = "<!-- tables: cargo bench-all -->\n";
    const END: &str = "<!-- end of the tables -->\n";
    let path = root().join(path);
    let problem = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let page = fs::read_to_string(&path).map_err(|error| problem(&error))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| problem(&"the marks of the tables are missing"))?;
    fs::write(&path, format!("{before}{BEGIN}{text}{END}{after}")).map_err(|error| problem(&error).into())
}
