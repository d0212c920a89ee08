//! Compares each library's public items, as described by rustdoc, with the committed list. `.ci/public-api/check` runs
//! rustdoc first, and then this.
#![allow(clippy::print_stdout)] // What it finds is its output.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

const CRATES: [&str; 9] = [
    "relayline-core",
    "relayline-control",
    "relayline-acp",
    "relayline-queue",
    "relayline-runtime",
    "relayline-tokio",
    "relayline-smol",
    "relayline-connector",
    "relayline-harness",
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(docs), Some(lists)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: public_api DOCS LISTS [--write]");
        return ExitCode::from(2);
    };
    let write = arguments.any(|argument| argument == "--write");
    let mut same = true;
    for name in CRATES {
        let json = Path::new(&docs).join(name.replace('-', "_")).with_extension("json");
        let file = Path::new(&lists).join(name).with_extension("txt");
        let items = match list(&json) {
            Ok(items) => items,
            Err(why) => {
                // Another toolchain has another format: this says nothing about the interface.
                println!("skipped: this toolchain cannot list the public items of {name}: {why}");
                return ExitCode::SUCCESS;
            }
        };
        let committed = fs::read_to_string(&file).unwrap_or_default();
        if write {
            if let Err(error) = fs::write(&file, items) {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(1);
            }
        } else if items != committed {
            same = false;
            println!("{name} offers other items than {} says:", file.display());
            differ(&committed, &items);
        }
    }
    if same { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Returns the items, one per line, sorted.
fn list(json: &Path) -> Result<String, public_api::Error> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

/// Prints the removed and the new items, one per line.
fn differ(old: &str, new: &str) {
    for (mark, from, than) in [('-', old, new), ('+', new, old)] {
        let known: std::collections::BTreeSet<&str> = than.lines().collect();
        for line in from.lines().filter(|line| !known.contains(line)) {
            println!("{mark}{line}");
        }
    }
}
