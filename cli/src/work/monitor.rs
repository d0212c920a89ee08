//! Monitor of a worker: its machine, which the host and the metrics page share.

use crate::metrics::metric;
use relayline_queue::clock;
use relayline_queue::fleet::worker::{Worker, WorkerStats, WorkerUsage};
use relayline_queue::jetstream::FleetConnection;
use relayline_runtime::HostMetric;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Monitor of a worker. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct WorkerMonitor {
    shared: Arc<Shared>,
    connection: FleetConnection,
}

#[derive(Debug)]
struct Shared {
    worker: Mutex<Worker>,
    /// Number of jobs that have not ended.
    jobs: AtomicUsize,
}

/// State of the program beside the machine.
#[derive(Clone, Copy, Debug, Default)]
struct ProgramState {
    jobs: usize,
    is_connected: bool,
    connects: u64,
}

impl WorkerMonitor {
    pub(super) fn new(worker: Worker, jobs: usize, connection: FleetConnection) -> WorkerMonitor {
        let shared = Shared { worker: Mutex::new(worker), jobs: AtomicUsize::new(jobs) };
        WorkerMonitor { shared: Arc::new(shared), connection }
    }

    /// Returns the machine. Hold it for one input or output, since the page waits for it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Worker> {
        self.shared.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the end of a job. Returns the number of jobs that have not ended.
    pub(super) fn end_job(&self) -> usize {
        // The host alone changes it.
        let remaining = self.shared.jobs.load(Ordering::Relaxed).saturating_sub(1);
        self.shared.jobs.store(remaining, Ordering::Relaxed);
        remaining
    }

    /// Returns counters and gauges for the metrics page.
    pub(super) fn metrics(&self) -> Vec<HostMetric> {
        let program = ProgramState {
            jobs: self.shared.jobs.load(Ordering::Relaxed),
            is_connected: self.connection.is_open(),
            connects: self.connection.connects(),
        };
        let worker = self.lock();
        let (stats, usage) = (worker.stats(), worker.usage(clock::now()));
        drop(worker);
        metrics(&stats, &usage, program)
    }
}

fn metrics(stats: &WorkerStats, usage: &WorkerUsage, program: ProgramState) -> Vec<HostMetric> {
    let ProgramState { jobs, is_connected, connects } = program;
    let counters = [("server_connects", "Connections to servers of NATS.", connects)];
    let gauges = [
        (
            "server_connected",
            "1 while there is a connection to a server of NATS, else 0.",
            is_connected.into(),
        ),
        ("jobs", "Jobs that have not ended. Each has one agent at a time.", jobs as u64),
    ];
    let counters = stats.described().chain(counters).map(metric("worker", false));
    counters.chain(usage.described().chain(gauges).map(metric("worker", true))).collect()
}

/// Returns the names of counters and gauges as on the page, without `relayline_`.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = String> {
    let all = metrics(&WorkerStats::default(), &WorkerUsage::default(), ProgramState::default());
    all.into_iter().map(|metric| if metric.is_gauge { metric.name } else { format!("{}_total", metric.name) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn x_2_each_metric_has_a_name_of_its_own_and_a_help() {
        let all = metrics(&WorkerStats::default(), &WorkerUsage::default(), ProgramState::default());
        let names: BTreeSet<&str> = all.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|metric| metric.name.starts_with("worker_") && metric.help.ends_with('.')));
    }
}
