//! Host of the machine of a worker: carries out its outputs, and passes in what its threads report.

use super::job::Running;
use super::note_ended;
use relayline_queue::clock;
use relayline_queue::fleet::worker::{Worker, WorkerLimits, WorkerOutput};
use relayline_queue::jetstream::{FleetBus, FleetSubject};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Wait without a deadline.
const LONG: Duration = Duration::from_secs(3600);

/// Event of one of the worker's threads.
pub(super) enum HostEvent {
    /// A frame of the leader.
    Frame(Vec<u8>),
    /// An agent has started.
    Started(String, Running),
    /// An agent wrote a line.
    Line(String, Vec<u8>),
    /// An agent has read a line.
    Read(String),
    /// An agent has ended.
    Ended(String),
    /// A job has no further agent.
    JobOver,
    /// A request to stop, and its reason.
    Stop(&'static str),
}

pub(super) struct Host {
    bus: FleetBus,
    worker: Worker,
    agents: BTreeMap<String, Running>,
    /// Number of jobs that have not ended.
    jobs: usize,
    is_stopping: bool,
    has_ended: bool,
}

impl Host {
    pub(super) fn new(bus: FleetBus, limits: WorkerLimits, name: &str, jobs: usize) -> Host {
        let worker = Worker::new(limits, name, clock::now());
        Host { bus, worker, agents: BTreeMap::new(), jobs, is_stopping: false, has_ended: false }
    }

    /// Serves the agents until they have ended.
    pub(super) fn run(mut self, events: &Receiver<HostEvent>) {
        loop {
            self.perform();
            if self.has_ended {
                break;
            }
            let now = clock::now();
            let wait = self.worker.deadline().map_or(LONG, |due| due.since(now));
            match events.recv_timeout(wait.min(LONG)) {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => self.worker.handle_tick(clock::now()),
                // The threads hold senders for as long as they run.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        tracing::debug!(stats = ?self.worker.stats(), "ended");
    }

    fn handle(&mut self, event: HostEvent) {
        let now = clock::now();
        match event {
            HostEvent::Frame(frame) => self.worker.handle_frame(now, &frame),
            HostEvent::Started(agent, running) => {
                // Its stdin is closed at once if the worker ends.
                if !self.is_stopping {
                    self.agents.insert(agent.clone(), running);
                    self.worker.handle_agent_started(now, &agent);
                }
            }
            HostEvent::Line(agent, line) => self.worker.handle_line(now, &agent, &line),
            HostEvent::Read(agent) => self.worker.handle_lines_read(now, &agent, 1),
            HostEvent::Ended(agent) => {
                if let Some(running) = self.agents.remove(&agent) {
                    running.gate.set(false);
                }
                let error = (!self.is_stopping).then_some("the agent ended while it had the entry");
                self.worker.handle_agent_ended(now, &agent, error);
            }
            HostEvent::JobOver => {
                self.jobs = self.jobs.saturating_sub(1);
                if self.jobs == 0 {
                    self.worker.handle_shutdown(now);
                }
            }
            HostEvent::Stop(reason) => {
                tracing::info!(reason, "leaving");
                self.is_stopping = true;
                // Their stdin is closed.
                for (agent, running) in std::mem::take(&mut self.agents) {
                    running.gate.set(false);
                    self.worker.handle_agent_ended(now, &agent, None);
                }
                self.worker.handle_shutdown(now);
            }
        }
        for (agent, running) in &self.agents {
            running.gate.set(!self.worker.takes_lines(agent));
        }
    }

    fn perform(&mut self) {
        while let Some(output) = self.worker.poll_output() {
            match output {
                WorkerOutput::Publish(frame) => self.bus.publish(FleetSubject::Leader, frame),
                WorkerOutput::Write { agent, line } => {
                    if let Some(running) = self.agents.get(&agent) {
                        // Its thread has ended if the agent closed its input: the agent ends, too.
                        let _ = running.lines.send(line);
                    }
                }
                WorkerOutput::End { agent, why } => {
                    note_ended(&agent, &why);
                    if let Some(running) = self.agents.remove(&agent) {
                        running.gate.set(false);
                        running.current.kill();
                    }
                }
                WorkerOutput::Led { epoch } => tracing::info!(epoch, "gateway_found"),
                WorkerOutput::Leaderless { why } => tracing::warn!(why, "gateway_lost"),
                WorkerOutput::Refused { why } => tracing::warn!(why, "gateway_refuses"),
                WorkerOutput::Done => self.has_ended = true,
                _ => {}
            }
        }
    }
}
