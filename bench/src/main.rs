//! `cargo bench-all`: measures, prints the tables, and writes `bench/latest.json` and `docs/performance.md` with its plot.
#![allow(clippy::print_stdout)] // It prints its table.
#![allow(clippy::unwrap_used)] // A bench that cannot go on should stop.

mod counts;
mod divan;
mod page;
mod plot;

use relayline_bench::workloads::{NAMES, workload};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Figures by the name of a bench, or by its name and argument: `chats/10`.
type Figures = BTreeMap<String, f64>;

/// All that was measured.
struct Measured {
    /// Median time of a call, in nanoseconds.
    time: Figures,
    /// Instructions of a call; empty where valgrind is not installed.
    instructions: Figures,
    /// Allocations of a call.
    allocations: Figures,
}

impl Measured {
    fn to_json(&self) -> Value {
        json!({ "time_ns": self.time, "instructions": self.instructions, "allocations": self.allocations })
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure_all(),
        // For valgrind, which counts the instructions of this process.
        ["repeat", name, times] => {
            let mut run = workload(name).expect("a workload");
            (0..times.parse::<u64>().unwrap()).for_each(|_| run());
        }
        _ => {
            println!("cargo bench-all has no arguments");
            std::process::exit(2);
        }
    }
}

fn measure_all() {
    let time = divan::run();
    let allocations = NAMES.iter().map(|name| ((*name).to_owned(), counts::allocations(name))).collect();
    let instructions = NAMES
        .iter()
        .map_while(|name| Some(((*name).to_owned(), counts::instructions(name)?)))
        .collect::<Figures>();
    if instructions.is_empty() {
        println!("valgrind is not installed: instructions are not counted");
    }
    let measured = Measured { time, instructions, allocations };
    let table = page::table(&measured);
    println!("{table}");
    let text = serde_json::to_string_pretty(&measured.to_json()).unwrap() + "\n";
    std::fs::write(root().join("bench/latest.json"), text).unwrap();
    std::fs::write(root().join("docs/performance.svg"), plot::cost_by_size(&measured.time)).unwrap();
    page::write(&root().join("docs/performance.md"), &table);
}

/// Returns the root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
