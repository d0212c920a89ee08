//! Counts that do not depend on the speed of the machine.

use relayline_bench::workloads::{MAX_CALLS, workload};
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the mean number of allocations of a call, once all tables are warm.
pub(crate) fn allocations(name: &str) -> f64 {
    const CALLS: u32 = 1000;
    let mut run = workload(name).unwrap();
    // The first call may still grow a buffer.
    run();
    let counted = allocation_counter::measure(|| (1..CALLS).for_each(|_| run()));
    counted.count_total as f64 / f64::from(CALLS - 1)
}

/// Returns the instructions of a call, by valgrind; `None` where it is not installed. `peer` is the path of `bench-peer`.
pub(crate) fn instructions(peer: &Path, name: &str) -> Option<f64> {
    const FEW: u64 = 1000;
    // The difference leaves out the start of the process and the preparation.
    Some((collected(peer, name, MAX_CALLS)? - collected(peer, name, FEW)?) / (MAX_CALLS - FEW) as f64)
}

/// Returns the instructions of a process that repeats a workload.
fn collected(peer: &Path, name: &str, times: u64) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(peer)
        .args(["repeat", name, &times.to_string()])
        .stdout(Stdio::null())
        .output()
        .ok()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let count = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    Some(count.unwrap_or_else(|| panic!("valgrind reports no count: {report}")))
}
