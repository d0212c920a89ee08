//! `cargo bench-all`: measures, prints the tables, and writes `bench/latest.json` and `docs/performance.md` with its plot.
#![allow(clippy::print_stdout)] // It prints its tables.

mod arguments;
mod cargo;
mod child;
mod page;
mod parts;
mod results;

use arguments::Request;
use parts::Part;
use results::Results;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Figures by the name of what was measured.
type Figures = BTreeMap<String, f64>;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Request::parse(&arguments) {
        Ok(Request::Help) => println!("{}", arguments::HELP),
        Ok(Request::Measure(parts)) => {
            for part in parts {
                if let Err(error) = measure(part) {
                    eprintln!("bench-all: {part}: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
        Err(problem) => {
            eprintln!("bench-all: {problem}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Measures a part, prints its tables, and renews the results and the page. They keep the figures of all other parts.
fn measure(part: Part) -> Result<()> {
    let mut results = Results::read()?;
    part.measure(&mut results)?;
    println!("{}", part.tables(&results).unwrap_or_default());
    results.write()?;
    page::write(&results)
}

/// Returns the root of the repository.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
