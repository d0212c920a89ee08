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

/// Replaces the tables on the page: one section for each part that was measured.
///
/// # Errors
/// The page cannot be read or written, or does not mark the place of the tables.
pub(crate) fn write(results: &Results) -> Result<()> {
    const BEGIN: &str = "<!-- tables: cargo bench-all -->\n";
    const END: &str = "<!-- end of the tables -->\n";
    let path = root().join("docs/performance.md");
    let problem = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let page = fs::read_to_string(&path).map_err(|error| problem(&error))?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| problem(&"the marks of the tables are missing"))?;
    let mut tables = String::new();
    for part in Part::ALL {
        if let Some(of_part) = part.tables(results) {
            let _ = write!(tables, "\n## {}\n\n{of_part}", part.title());
        }
    }
    fs::write(&path, format!("{before}{BEGIN}{tables}\n{END}{after}")).map_err(|error| problem(&error).into())
}
