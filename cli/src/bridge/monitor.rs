//! Monitor of what a gateway's host does beside the relay: its agent, failed ops, and clients of the control socket.

use super::control::ControlMonitor;
use super::op::{OpLabel, names};
use super::status::{AgentStatus, ErrorStatus};
use crate::metrics::metric;
use crate::sleep::SleepGate;
use relayline_acp::AcpStats;
use relayline_core::command::{Failure, FailureKind};
use relayline_queue::dispatcher::QueueUsage;
use relayline_queue::fleet::leader::FleetStats;
use relayline_queue::inbox::DurableQueue;
use relayline_runtime::HostMetric;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of failed ops that are kept.
const FAILED_OPS: usize = 16;

/// Way in which the agent is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum AgentKind {
    /// By the gateway's own stdin and stdout.
    Stdio,
    /// As a child process that speaks the bridge's lines.
    Exec,
    /// As a child process that speaks the Agent Client Protocol.
    Acp,
    /// Not by this gateway.
    None,
}

/// Mark of whether one agent works. Dropping it takes the mark away.
#[derive(Debug)]
pub(crate) struct BusyMark {
    monitor: Monitor,
    is_set: bool,
}

impl BusyMark {
    /// Notes whether the agent works: with a turn, or with lines or ops that wait.
    pub(crate) fn set(&mut self, is_busy: bool) {
        let was_busy = std::mem::replace(&mut self.is_set, is_busy);
        match (was_busy, is_busy) {
            (false, true) => _ = self.monitor.0.busy.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.monitor.0.busy.fetch_sub(1, Ordering::Relaxed),
            (true, true) | (false, false) => {}
        }
    }
}

impl Drop for BusyMark {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// Monitor of a gateway's host. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Monitor(Arc<Shared>);

/// Source of the counters of workers.
struct FleetCounters(Box<dyn Fn() -> FleetStats + Send + Sync>);

impl fmt::Debug for FleetCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FleetCounters")
    }
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    kind: AgentKind,
    state: Mutex<State>,
    control: Option<Arc<ControlMonitor>>,
    /// Gate of ops, which is closed while the gateway sleeps.
    gate: SleepGate,
    /// Number of agents that work, beyond what the relay knows.
    busy: AtomicUsize,
    /// Durable queue, if there is one.
    queue: OnceLock<DurableQueue>,
    /// Counters of workers, if there can be any.
    fleet: OnceLock<FleetCounters>,
    /// Counters of the ACP agent's sessions and turns, if it is one.
    acp: Mutex<Option<AcpStats>>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of agents started so far.
    starts: u64,
    /// Number of agents that are running.
    running: usize,
    /// Start of the last agent that has started, while one is running.
    running_since: Option<Instant>,
    /// Ops that have failed, oldest first.
    failed_ops: VecDeque<FailedOp>,
}

#[derive(Debug)]
struct FailedOp {
    at: Instant,
    about: OpLabel,
    kind: FailureKind,
    code: Option<String>,
}

impl Monitor {
    /// Creates a monitor. `control` is that of the control socket, if there is one.
    pub(crate) fn new(kind: AgentKind, control: Option<Arc<ControlMonitor>>) -> Monitor {
        let (state, gate, busy) = (Mutex::default(), SleepGate::default(), AtomicUsize::new(0));
        let (acp, queue, fleet) = (Mutex::default(), OnceLock::new(), OnceLock::new());
        Monitor(Arc::new(Shared {
            began: Instant::now(),
            kind,
            state,
            control,
            gate,
            busy,
            queue,
            fleet,
            acp,
        }))
    }

    /// Keeps the counters of the ACP agent's sessions and turns.
    pub(crate) fn set_acp(&self, stats: AcpStats) {
        *self.0.acp.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
    }

    fn acp(&self) -> Option<AcpStats> {
        *self.0.acp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns counters and gauges for the metrics page: those of the control socket, of an ACP agent, of the queue and of
    /// workers.
    pub(crate) fn metrics(&self) -> Vec<HostMetric> {
        let control =
            self.0.control.iter().flat_map(|control| control.described()).map(metric("control", false));
        let acp = self.acp();
        let acp = acp.iter().flat_map(AcpStats::described).map(metric("acp", false));
        let status = self.queue().and_then(DurableQueue::status);
        let queue = status.iter().flat_map(|status| status.stats.described().chain(status.inbox.described()));
        let queue = queue.map(metric("queue", false));
        let usage = status.iter().flat_map(|status| status.usage.described()).map(metric("queue", true));
        let fleet = self.0.fleet.get().map(|counters| (counters.0)());
        let fleet = fleet.iter().flat_map(FleetStats::described).map(metric("fleet", false));
        control.chain(acp).chain(queue).chain(usage).chain(fleet).collect()
    }

    /// Returns the gate of ops.
    pub(crate) fn gate(&self) -> &SleepGate {
        &self.0.gate
    }

    /// Returns a mark of whether one agent works, which does not.
    pub(crate) fn busy_mark(&self) -> BusyMark {
        BusyMark { monitor: self.clone(), is_set: false }
    }

    /// Returns true while the host works, beyond what the relay knows, or while entries of the queue wait.
    pub(crate) fn is_busy(&self) -> bool {
        let waits = |usage: QueueUsage| usage.entries > usage.dead_letters || usage.pending_entries > 0;
        let status = self.0.queue.get().and_then(DurableQueue::status);
        self.0.busy.load(Ordering::Relaxed) > 0 || status.is_some_and(|status| waits(status.usage))
    }

    /// Sets the source of the counters of workers.
    #[cfg(feature = "jetstream")]
    pub(crate) fn set_fleet(&self, stats: impl Fn() -> FleetStats + Send + Sync + 'static) {
        // There is one.
        let _ = self.0.fleet.set(FleetCounters(Box::new(stats)));
    }

    /// Sets the durable queue.
    pub(crate) fn set_queue(&self, queue: DurableQueue) {
        // There is one queue.
        let _ = self.0.queue.set(queue);
    }

    /// Returns the durable queue, if there is one.
    pub(crate) fn queue(&self) -> Option<&DurableQueue> {
        self.0.queue.get()
    }

    /// Returns the clients and counters of the control socket, if there is one.
    pub(super) fn control(&self) -> Option<&Arc<ControlMonitor>> {
        self.0.control.as_ref()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note_agent_started(&self) {
        let mut state = self.lock();
        state.starts += 1;
        state.running += 1;
        state.running_since = Some(Instant::now());
    }

    pub(crate) fn note_agent_ended(&self) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
        if state.running == 0 {
            state.running_since = None;
        }
    }

    /// Keeps an op that has failed, without any text: its message could quote one.
    pub(crate) fn note_failure(&self, about: &OpLabel, failure: &Failure) {
        let mut about = about.clone();
        if !names().any(|name| name == about.op) {
            // A line that is not an op can have any text there.
            about.op = "unknown".to_owned();
        }
        let failed = FailedOp { at: Instant::now(), about, kind: failure.kind, code: failure.code.clone() };
        let mut state = self.lock();
        if state.failed_ops.len() == FAILED_OPS {
            state.failed_ops.pop_front();
        }
        state.failed_ops.push_back(failed);
    }

    /// Returns the time since the start.
    pub(super) fn age(&self) -> Duration {
        self.0.began.elapsed()
    }

    pub(super) fn agent(&self, now: Instant) -> AgentStatus {
        let state = self.lock();
        AgentStatus {
            kind: self.0.kind,
            running: state.running_since.is_some(),
            running_for_ms: state.running_since.map(|since| millis(now, since)),
            restarts: state.starts.saturating_sub(1),
            counters: self
                .acp()
                .map(|stats| stats.all().map(|(name, count)| (name.to_owned(), count)).collect()),
        }
    }

    /// Returns the ops that have failed, oldest first, each with its time.
    pub(super) fn failed_ops(&self, now: Instant) -> Vec<(Instant, ErrorStatus)> {
        let state = self.lock();
        let shown = |failed: &FailedOp| {
            let error = ErrorStatus::Op {
                ago_ms: millis(now, failed.at),
                op: failed.about.op.clone(),
                chat_id: failed.about.chat.clone(),
                failure: failed.kind.name().to_owned(),
                code: failed.code.clone(),
            };
            (failed.at, error)
        };
        state.failed_ops.iter().map(shown).collect()
    }
}

/// Returns the milliseconds from `since` to `now`.
pub(super) fn millis(now: Instant, since: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(op: &str, chat: &str) -> OpLabel {
        OpLabel { op: op.to_owned(), chat: chat.to_owned() }
    }

    #[test]
    fn x_1_only_the_last_failed_ops_are_kept() {
        let monitor = Monitor::new(AgentKind::Stdio, None);
        for n in 0..FAILED_OPS + 3 {
            monitor.note_failure(&label("send", &n.to_string()), &Failure::new(FailureKind::Rejected, "no"));
        }
        let failed = monitor.failed_ops(Instant::now());
        assert_eq!(failed.len(), FAILED_OPS);
        let ErrorStatus::Op { chat_id, failure, .. } = &failed[0].1 else { panic!("{failed:?}") };
        assert_eq!((chat_id.as_str(), failure.as_str()), ("3", "rejected"));
    }

    /// C-4: neither the message of a failure nor an unknown op is kept.
    #[test]
    fn c_4_a_failed_op_shows_no_text() {
        let monitor = Monitor::new(AgentKind::Exec, None);
        monitor.note_failure(
            &label("a private text", "7"),
            &Failure::new(FailureKind::Definite, "invalid value: \"hunter2\""),
        );
        let shown = serde_json::to_string(&monitor.failed_ops(Instant::now())[0].1).unwrap();
        assert!(
            !shown.contains("private") && !shown.contains("hunter2") && shown.contains("unknown"),
            "{shown}"
        );
    }

    #[test]
    fn restarts_are_starts_after_the_first() {
        let monitor = Monitor::new(AgentKind::Exec, None);
        let now = Instant::now();
        assert_eq!((monitor.agent(now).running, monitor.agent(now).restarts), (false, 0));
        for restarts in [0, 1] {
            monitor.note_agent_started();
            assert_eq!((monitor.agent(now).running, monitor.agent(now).restarts), (true, restarts));
            monitor.note_agent_ended();
        }
        assert_eq!((monitor.agent(now).running, monitor.agent(now).restarts), (false, 1));
    }
}
