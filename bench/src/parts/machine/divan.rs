//! Runs the timed benches, and reads divan's table.

use crate::Figures;
use std::process::Stdio;

/// Runs the benches, and returns the median time of each in nanoseconds.
pub(crate) fn run() -> Figures {
    let output = crate::cargo::command()
        .args(["bench", "--quiet", "--package", "relayline-bench", "--bench", "machine"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "the benches fail: {table}");
    println!("{table}");
    read(&table)
}

/// Reads the medians of divan's table. A bench with arguments is a row without figures, and a row for each argument
/// below it.
fn read(table: &str) -> Figures {
    let (mut figures, mut group) = (Figures::new(), String::new());
    for line in table.lines() {
        let Some(start) = line.find(|c: char| c.is_ascii_alphanumeric()) else { continue };
        let (indent, row) = line.split_at(start);
        if indent.is_empty() {
            continue;
        }
        let (name, rest) = row.split_once(' ').unwrap_or((row, ""));
        let is_argument = indent.chars().count() > "├─ ".chars().count();
        match rest.split('│').nth(2).and_then(nanoseconds) {
            Some(median) if is_argument => drop(figures.insert(format!("{group}/{name}"), median)),
            Some(median) => drop(figures.insert(name.to_owned(), median)),
            None => group = name.to_owned(),
        }
    }
    assert!(!figures.is_empty(), "divan's table has another form: {table}");
    figures
}

/// Reads a time with its unit.
fn nanoseconds(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let factor = match unit {
        "ns" => 1.0,
        "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}
