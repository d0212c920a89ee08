//! Host of the machine of a worker: carries out its outputs, and passes in what its threads report.

use super::files::FileJob;
use super::job::Running;
use super::monitor::WorkerMonitor;
use crate::bridge::AgentEnd;
use crate::complain;
use relayline_core::time::Time;
use relayline_queue::clock;
use relayline_queue::fleet::worker::WorkerOutput;
use relayline_queue::fleet::{FileAnswer, FileCall};
use relayline_queue::jetstream::{FleetBus, FleetSubject};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// Wait without a deadline.
const LONG: Duration = Duration::from_secs(3600);

/// Time without a gateway after which it is logged that none answers. A take-over is shorter.
const SEARCH: Duration = Duration::from_secs(15);

/// Time after which it is logged again.
const SEARCH_LOG: Duration = Duration::from_secs(60);

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
    /// The answer to a request for a file, with the bytes that were read.
    FileAnswer(FileCall, FileAnswer, Vec<u8>),
    /// An agent has ended.
    Ended(String),
    /// A job has no further agent.
    JobOver,
    /// A request to stop, and its reason.
    Stop(&'static str),
}

pub(super) struct Host {
    /// Id of the gateway.
    gateway: String,
    bus: FleetBus,
    files: Sender<FileJob>,
    monitor: WorkerMonitor,
    agents: BTreeMap<String, Running>,
    /// Agents that are not read, since their lines have no room.
    held_back: BTreeSet<String>,
    /// Time at which to log that no gateway answers.
    search_due: Option<Time>,
    is_stopping: bool,
    has_ended: bool,
}

impl Host {
    pub(super) fn new(gateway: &str, bus: FleetBus, files: Sender<FileJob>, monitor: WorkerMonitor) -> Host {
        Host {
            gateway: gateway.to_owned(),
            bus,
            files,
            monitor,
            agents: BTreeMap::new(),
            held_back: BTreeSet::new(),
            search_due: Some(clock::now() + SEARCH),
            is_stopping: false,
            has_ended: false,
        }
    }

    /// Serves the agents until they have ended.
    pub(super) fn run(mut self, events: &Receiver<HostEvent>) {
        loop {
            self.perform();
            if self.has_ended {
                break;
            }
            let now = clock::now();
            self.log_search(now);
            let deadline = self.monitor.lock().deadline().into_iter().chain(self.search_due).min();
            let wait = deadline.map_or(LONG, |due| due.since(now));
            match events.recv_timeout(wait.min(LONG)) {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => self.monitor.lock().handle_tick(clock::now()),
                // The threads hold senders for as long as they run.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        tracing::debug!(stats = ?self.monitor.lock().stats(), "ended");
    }

    /// Logs that no gateway answers, when it is time to.
    fn log_search(&mut self, now: Time) {
        if self.search_due.is_some_and(|due| now >= due) {
            let why = "no gateway with this id answers: check --gateway-id, and that relayline run has this --queue";
            tracing::warn!(gateway_id = self.gateway, why, "gateway_not_found");
            self.search_due = Some(now + SEARCH_LOG);
        }
    }

    fn handle(&mut self, event: HostEvent) {
        let now = clock::now();
        let mut worker = self.monitor.lock();
        match event {
            HostEvent::Frame(frame) => worker.handle_frame(now, &frame),
            HostEvent::Started(agent, running) => {
                // Its stdin is closed at once if the worker ends.
                if !self.is_stopping {
                    self.agents.insert(agent.clone(), running);
                    worker.handle_agent_started(now, &agent);
                }
            }
            HostEvent::Line(agent, line) => {
                worker.handle_line(now, &agent, &line);
                if let Some(running) = self.agents.get(&agent)
                    && !worker.takes_lines(&agent)
                {
                    running.gate.set(true);
                    self.held_back.insert(agent);
                }
            }
            HostEvent::Read(agent) => worker.handle_lines_read(now, &agent, 1),
            HostEvent::FileAnswer(call, answer, bytes) => {
                worker.handle_file_answer(now, call, answer, bytes);
            }
            HostEvent::Ended(agent) => {
                self.files_job(FileJob::AgentEnded(agent.clone()));
                if let Some(running) = self.agents.remove(&agent) {
                    running.gate.set(false);
                }
                let error = (!self.is_stopping).then(|| AgentEnd::OutputEnded.of_entry());
                worker.handle_agent_ended(now, &agent, error);
            }
            HostEvent::JobOver => {
                if self.monitor.end_job() == 0 {
                    worker.handle_shutdown(now);
                }
            }
            HostEvent::Stop(reason) => {
                tracing::info!(reason, "leaving");
                self.is_stopping = true;
                self.search_due = None;
                // Their stdin is closed.
                for (agent, running) in std::mem::take(&mut self.agents) {
                    running.gate.set(false);
                    worker.handle_agent_ended(now, &agent, None);
                }
                worker.handle_shutdown(now);
            }
        }
        drop(worker);
        self.open_gates();
    }

    /// Lets agents be read again whose lines have room. Only those that were held back: there may be many agents.
    fn open_gates(&mut self) {
        let Host { monitor, agents, held_back, .. } = self;
        let worker = monitor.lock();
        held_back.retain(|agent| {
            let is_held_back = !worker.takes_lines(agent);
            if let Some(running) = agents.get(agent).filter(|_| !is_held_back) {
                running.gate.set(false);
            }
            is_held_back
        });
    }

    fn files_job(&self, job: FileJob) {
        // Its thread runs as long as the host does.
        let _ = self.files.send(job);
    }

    fn perform(&mut self) {
        loop {
            let Some(output) = self.monitor.lock().poll_output() else { return };
            match output {
                WorkerOutput::Publish(frame) => self.bus.publish(FleetSubject::Leader, frame),
                WorkerOutput::Write { agent, line } => {
                    if let Some(running) = self.agents.get(&agent) {
                        // Its thread has ended if the agent closed its input: the agent ends, too.
                        let _ = running.lines.send(line);
                    }
                }
                WorkerOutput::End { agent, why } => {
                    complain(format_args!("agent {agent} ends: {why}"));
                    if let Some(running) = self.agents.remove(&agent) {
                        running.gate.set(false);
                        running.current.kill();
                    }
                }
                WorkerOutput::Led { epoch } => {
                    tracing::info!(epoch, "gateway_found");
                    self.search_due = None;
                }
                WorkerOutput::Leaderless { why } => {
                    self.search_due = Some(clock::now() + SEARCH);
                    tracing::warn!(why, "gateway_lost");
                    self.files_job(FileJob::Leaderless);
                }
                WorkerOutput::File { call, request, bytes } => {
                    self.files_job(FileJob::Request(call, request, bytes));
                }
                WorkerOutput::Released { agent, id } => self.files_job(FileJob::Released(agent, id)),
                WorkerOutput::Refused { why } => tracing::warn!(why, "gateway_refuses"),
                WorkerOutput::Done => self.has_ended = true,
                _ => {}
            }
        }
    }
}
