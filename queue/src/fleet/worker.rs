//! A worker: agents on this machine, for the gateway that leads.
//!
//! It has no I/O and no clock. A worker asks for a lease, and then passes the ops of its agents to the leader, and the
//! leader's lines to its agents. When the leader changes, the agents go on: what they have is claimed from the next one.

mod agent;
use super::file::{FileAnswer, FileCall, FileRequest, MAX_FILE_BYTES};
use super::frame::{self, DownItem, Lease, ToLeader, ToWorker, UpItem, VERSION};
use super::link::{Link, Outgoing};
use crate::id::HandOutId;
use crate::output::EndedHandOuts;
use crate::stats::{counters, gauges};
use agent::{Agent, EventStep, LineStep};
use relayline_core::limits;
use relayline_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

limits! {
    /// Limits and time-outs of a worker.
    pub struct WorkerLimits {
        /// Time between two heartbeats of a worker; 5 s by default.
        worker_heartbeat: Time = Duration::from_secs(5), least limits::MIN_INTERVAL;
        /// Time after the last heartbeat that the gateway has answered, counted from its sending, after which ops of agents
        /// fail. It must be shorter than `lease`, and is five sixths of it at most; 25 s by default.
        worker_patience: Time = Duration::from_secs(25), least limits::MIN_INTERVAL;
        /// Time between two requests for a lease, while no gateway leads; 1 s by default.
        worker_retry: Time = Duration::from_secs(1), least limits::MIN_INTERVAL;
    }
}

/// Maximum number of bytes in either direction that an agent, or the leader for it, has not read. One line may exceed it.
pub(super) const WINDOW_BYTES: u64 = 256 << 10;

/// Maximum number of times that a request for a lease is repeated as the same one.
const MAX_REPEATS: u32 = 5;

/// Maximum number of heartbeats without an answer of which the time is known.
const MAX_BEATS: usize = 64;

/// Output of a worker. Carry out all of them, in order, after each input.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WorkerOutput {
    /// Publish a frame to the leader.
    Publish(Vec<u8>),
    /// Write a line to an agent, and call [`Worker::handle_lines_read`] once the agent has read it.
    Write {
        /// The agent.
        agent: String,
        /// The line, with its newline.
        line: Vec<u8>,
    },
    /// End an agent, and call [`Worker::handle_agent_ended`]. Others get what it had.
    End {
        /// The agent.
        agent: String,
        /// Reason for people.
        why: String,
    },
    /// The leader asks for a file of an agent. Carry requests out in order, and call [`Worker::handle_file_answer`].
    File {
        /// Number and agent of the request, to be passed in with the answer.
        call: FileCall,
        /// The request.
        request: FileRequest,
        /// Bytes of a [`FileRequest::Write`].
        bytes: Vec<u8>,
    },
    /// An agent does not have a hand-out any more for which files [were placed](FileRequest::Place): remove them.
    Released {
        /// The agent.
        agent: String,
        /// The hand-out.
        id: HandOutId,
    },
    /// A gateway leads, and the worker has a lease.
    Led {
        /// Epoch of the gateway.
        epoch: u64,
    },
    /// No gateway leads this worker any more: close the files that it has opened.
    Leaderless {
        /// Reason for people.
        why: String,
    },
    /// The gateway does not accept this worker. It asks again.
    Refused {
        /// Reason for people.
        why: String,
    },
    /// The worker has ended. It is the last output.
    Done,
}

counters! {
    /// Counters of a worker.
    WorkerStats:
    /// Leases of this worker.
    leases;
    /// Hand-outs that agents got.
    hand_outs;
    /// Hand-outs that agents kept over a change of the leader.
    kept;
    /// Leases that ended because the gateway did not answer for `worker_patience`.
    leases_timed_out;
    /// Requests for a lease that a gateway refused.
    refusals;
    /// Agents that started.
    agents_started;
    /// Agents that ended by themselves, before the worker ended. What they had counts as failed.
    agents_failed;
    /// Agents that had to end, since others had got what they had.
    agents_lost;
    /// Agents that had to end, since the gateway did not serve them any more.
    agents_rejected;
    /// Ops that the worker answered itself, mostly because no gateway led.
    ops_answered;
    /// Ops without an id that were dropped, because no gateway led.
    ops_dropped;
    /// Ops whose results were lost with their leader.
    ops_ambiguous;
    /// Frames that were malformed, or not for this worker's lease.
    stray_frames;
    /// Items that were sent again.
    resent;
}

gauges! {
    /// Sizes of a worker, and the state of its lease.
    WorkerUsage:
    /// 1 while a gateway leads this worker, 0 while none does.
    led: bool;
    /// Highest epoch of a gateway that the worker has heard of.
    epoch: u64;
    /// Seconds since the last heartbeat, or request for a lease, was sent that a gateway has answered; since the start if
    /// there is none.
    heartbeat_age_seconds: u64;
    /// Agents that run.
    agents: usize;
    /// Agents that are not read, because too many of their lines wait for the leader.
    agents_held_back: usize;
    /// Hand-outs that agents have and have not settled, or whose settlement the leader has not answered.
    held: usize;
    /// Hand-outs of these whose settlement the leader has not answered.
    settling: usize;
    /// Ops with an id, and settlements, that have no result.
    pending_ops: usize;
    /// Lines of agents that wait for the leader.
    waiting_lines: usize;
    /// Bytes of these lines.
    waiting_bytes: usize;
    /// Bytes of agents that were sent to the leader, and that it has not read.
    unread_bytes: u64;
    /// Lines for agents that the agents have not read.
    unread_lines: usize;
    /// Items that the leader has not acknowledged.
    unacknowledged: usize;
}

/// Worker: see the [documentation of the module](self).
#[derive(Debug)]
pub struct Worker {
    name: String,
    limits: WorkerLimits,
    now: Time,
    leader: Leader,
    /// Highest epoch of a leader that was heard of.
    epoch: u64,
    /// Time at which the last heartbeat, or request for a lease, was sent that is answered; the start before the first.
    confirmed: Time,
    call: u64,
    agents: BTreeMap<String, Agent>,
    is_stopping: bool,
    has_ended: bool,
    outputs: VecDeque<WorkerOutput>,
    stats: WorkerStats,
}

#[derive(Debug)]
enum Leader {
    /// No gateway leads. The first request of this call was sent at `asked`: the lease counts from there, since an answer
    /// does not tell which of the repeated ones it is for.
    Seeking {
        ask_at: Time,
        asked: Time,
    },
    Led(Led),
}

/// State of a lease.
#[derive(Debug)]
struct Led {
    lease: Lease,
    link: Link<UpItem>,
    patience: Duration,
    /// Heartbeats without an answer, and their times.
    beats: VecDeque<(u64, Time)>,
    next_beat: u64,
    beat_at: Time,
}

/// Answer to a request for a lease.
struct Welcome {
    served: Vec<String>,
    refused: Vec<String>,
    ended: EndedHandOuts,
}

/// # Inputs
impl Worker {
    /// Creates a worker. `name` must be random: it distinguishes processes.
    pub fn new(limits: WorkerLimits, name: &str, now: Time) -> Worker {
        let leader = Leader::Seeking { ask_at: now, asked: now };
        let mut worker = Worker {
            name: name.to_owned(),
            limits,
            now,
            leader,
            epoch: 0,
            confirmed: now,
            call: 1,
            agents: BTreeMap::new(),
            is_stopping: false,
            has_ended: false,
            outputs: VecDeque::new(),
            stats: WorkerStats::default(),
        };
        worker.advance(now);
        worker
    }

    /// Handles a new agent. Its id must never have been used by this worker.
    pub fn handle_agent_started(&mut self, now: Time, agent: &str) {
        self.agents.insert(agent.to_owned(), Agent::new());
        self.stats.agents_started += 1;
        if let Leader::Led(led) = &mut self.leader {
            led.link.push(UpItem::Started { agent: agent.to_owned() });
        }
        self.advance(now);
    }

    /// Handles the end of an agent: as planned, or with an error.
    pub fn handle_agent_ended(&mut self, now: Time, agent: &str, error: Option<&str>) {
        if let Some(ended) = self.agents.remove(agent) {
            self.stats.agents_failed += u64::from(error.is_some() && !ended.is_abandoned());
            if let Leader::Led(led) = &mut self.leader {
                led.link.push(UpItem::Ended { agent: agent.to_owned(), error: error.map(str::to_owned) });
            }
        }
        self.advance(now);
    }

    /// Handles a line that an agent wrote, without its newline. Pass no more in while [`takes_lines`](Self::takes_lines)
    /// returns false.
    pub fn handle_line(&mut self, now: Time, agent: &str, line: &[u8]) {
        if let Some(known) = self.agents.get_mut(agent) {
            known.queue(line);
        }
        self.advance(now);
    }

    /// Handles that an agent has read a number of lines.
    pub fn handle_lines_read(&mut self, now: Time, agent: &str, lines: usize) {
        let bytes = self.agents.get_mut(agent).map_or(0, |known| known.lines_read(lines));
        self.credit(agent, bytes);
        self.advance(now);
    }

    /// Handles a frame for this worker.
    pub fn handle_frame(&mut self, now: Time, frame: &[u8]) {
        self.now = self.now.max(now);
        match frame::decode(frame) {
            Some((header, bytes)) => self.frame(header, bytes),
            None => self.stats.stray_frames += 1,
        }
        self.advance(now);
    }

    /// Answers a [`WorkerOutput::File`], with at most [`MAX_FILE_BYTES`] for a [`FileAnswer::Read`].
    pub fn handle_file_answer(&mut self, now: Time, call: FileCall, answer: FileAnswer, bytes: Vec<u8>) {
        let (answer, bytes) = match bytes.len() <= MAX_FILE_BYTES {
            true => (answer, bytes),
            false => (FileAnswer::Failed { why: "too many bytes at once".to_owned() }, Vec::new()),
        };
        let FileCall { agent, number, lease } = call;
        if let Leader::Led(led) = &mut self.leader
            && led.lease == lease
        {
            led.link.push_with(UpItem::File { agent, call: number, answer }, bytes);
        }
        self.advance(now);
    }

    /// Handles the passage of time: call it at [`deadline`](Self::deadline).
    pub fn handle_tick(&mut self, now: Time) {
        self.advance(now);
    }

    /// Handles the request to end. End the agents, and report each end. [`WorkerOutput::Done`] follows.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.is_stopping = true;
        self.advance(now);
    }
}

/// # Outputs and getters
impl Worker {
    /// Returns the next output. Drain it after each input.
    pub fn poll_output(&mut self) -> Option<WorkerOutput> {
        self.outputs.pop_front()
    }

    /// Returns the time of the next [`handle_tick`](Self::handle_tick).
    pub fn deadline(&self) -> Option<Time> {
        match &self.leader {
            _ if self.has_ended => None,
            Leader::Seeking { ask_at, .. } => Some(*ask_at).filter(|_| !self.is_stopping),
            Leader::Led(led) => {
                led.link.deadline().into_iter().chain([led.beat_at, self.confirmed + led.patience]).min()
            }
        }
    }

    /// Returns true if another line of an agent can be passed in.
    pub fn takes_lines(&self, agent: &str) -> bool {
        self.agents.get(agent).is_none_or(Agent::takes_lines)
    }

    /// Returns true while a gateway leads this worker.
    pub fn is_led(&self) -> bool {
        matches!(self.leader, Leader::Led(_))
    }

    /// Returns the sizes and the state of the lease. `now` is the clock's: the machine may have had no input for some time.
    pub fn usage(&self, now: Time) -> WorkerUsage {
        let mut usage = WorkerUsage {
            led: self.is_led(),
            epoch: self.epoch,
            heartbeat_age_seconds: now.since(self.confirmed).as_secs(),
            unacknowledged: if let Leader::Led(led) = &self.leader { led.link.len() } else { 0 },
            ..WorkerUsage::default()
        };
        self.agents.values().for_each(|agent| agent.add_to(&mut usage));
        usage
    }

    /// Returns the counters.
    pub fn stats(&self) -> WorkerStats {
        let resent = if let Leader::Led(led) = &self.leader { led.link.resent() } else { 0 };
        WorkerStats { resent: self.stats.resent + resent, ..self.stats }
    }
}

impl Worker {
    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.has_ended {
            return;
        }
        if let Leader::Led(led) = &self.leader
            && self.now >= self.confirmed + led.patience
        {
            self.stats.leases_timed_out += 1;
            let patience = led.patience.as_secs_f64();
            self.lose(&format!("the gateway has not answered for {patience:.0} s: the lease is lost"));
        }
        self.ask();
        self.pass_lines();
        self.send();
        self.end();
    }

    /// Asks for a lease.
    fn ask(&mut self) {
        let Leader::Seeking { ask_at, mut asked } = self.leader else { return };
        if self.now < ask_at || self.is_stopping {
            return;
        }
        if self.now >= asked + self.limits.worker_retry * MAX_REPEATS {
            self.call += 1;
            asked = self.now;
        }
        self.leader = Leader::Seeking { ask_at: self.now + self.limits.worker_retry, asked };
        let agents = self.agents.iter().map(|(agent, known)| known.claim(agent)).collect();
        let (version, worker, call) = (VERSION, self.name.clone(), self.call);
        self.publish(&ToLeader::Hello { version, worker, call, agents }, b"");
    }

    fn publish(&mut self, header: &ToLeader, bytes: &[u8]) {
        self.outputs.push_back(WorkerOutput::Publish(frame::encode(header, bytes)));
    }

    /// Handles the lines of agents, as far as they can go.
    fn pass_lines(&mut self) {
        let is_led = self.is_led();
        for (id, agent) in &mut self.agents {
            while let Some(step) = agent.next_line(is_led) {
                match step {
                    LineStep::Send(line) => {
                        if let Leader::Led(led) = &mut self.leader {
                            led.link.push_bytes(&line, || UpItem::Wrote { agent: id.clone() });
                        }
                    }
                    LineStep::Answer(line) => {
                        self.stats.ops_answered += 1;
                        self.outputs.push_back(write(id, agent, line, 0));
                    }
                    LineStep::Drop => self.stats.ops_dropped += 1,
                    LineStep::Keep => {}
                }
            }
        }
    }

    /// Sends what is due to the leader.
    fn send(&mut self) {
        let Leader::Led(led) = &mut self.leader else { return };
        let mut frames = Vec::new();
        led.link.handle_tick(self.now);
        let lease = led.lease;
        while let Some(Outgoing { seq, got, item, bytes }) = led.link.next(self.now) {
            let worker = self.name.clone();
            frames.push((ToLeader::Item { worker, lease, seq, got, item }, bytes));
        }
        let is_due = self.now >= led.beat_at;
        if is_due {
            led.beat_at = self.now + self.limits.worker_heartbeat;
            led.next_beat += 1;
            if led.beats.len() >= MAX_BEATS {
                led.beats.pop_front();
            }
            led.beats.push_back((led.next_beat, self.now));
        }
        if led.link.take_owed() || is_due {
            // A number that is not noted confirms nothing.
            let number = if is_due { led.next_beat } else { 0 };
            let (worker, got) = (self.name.clone(), led.link.got());
            frames.push((ToLeader::Beat { worker, lease, number, got }, Vec::new()));
        }
        for (header, bytes) in frames {
            self.publish(&header, &bytes);
        }
    }

    /// Ends, once the agents have ended.
    fn end(&mut self) {
        if !self.is_stopping || !self.agents.is_empty() {
            return;
        }
        if let Leader::Led(led) = &self.leader {
            if !led.link.is_idle() && self.now < self.confirmed + led.patience {
                // The leader has not got the ends yet.
                return;
            }
            let (worker, lease) = (self.name.clone(), led.lease);
            self.publish(&ToLeader::Bye { worker, lease }, b"");
        }
        self.has_ended = true;
        self.outputs.push_back(WorkerOutput::Done);
    }

    /// Handles that no gateway leads any more: ops fail, and settlements wait for the next one.
    fn lose(&mut self, why: &str) {
        let Leader::Led(led) = &self.leader else { return };
        self.stats.resent += led.link.resent();
        self.call += 1;
        self.leader = Leader::Seeking { ask_at: self.now, asked: self.now };
        for (id, agent) in &mut self.agents {
            for line in agent.lose_leader(why) {
                self.stats.ops_ambiguous += 1;
                self.outputs.push_back(write(id, agent, line, 0));
            }
            self.outputs.push_back(write(id, agent, super::line::disconnected(why), 0));
            self.outputs.extend(released(id, agent));
        }
        self.outputs.push_back(WorkerOutput::Leaderless { why: why.to_owned() });
    }

    fn frame(&mut self, header: ToWorker, bytes: &[u8]) {
        match header {
            ToWorker::Leads { epoch } | ToWorker::Bye { epoch } if self.has_ended || epoch < self.epoch => {}
            ToWorker::Leads { epoch } => {
                let is_new = epoch > self.epoch;
                self.epoch = epoch;
                if is_new {
                    self.lose("another gateway leads now");
                    // A request that is under way was for the last one.
                    if let Leader::Seeking { ask_at, .. } = &mut self.leader {
                        *ask_at = self.now;
                    }
                }
            }
            ToWorker::Bye { epoch } => {
                if matches!(&self.leader, Leader::Led(led) if led.lease.epoch == epoch) {
                    self.lose("the gateway hands over to another one");
                }
            }
            ToWorker::Welcome { call, lease, served, refused, done, lost, lease_ms } => {
                if call == self.call && !self.is_led() && lease.epoch >= self.epoch {
                    let ended = EndedHandOuts { done, lost };
                    self.welcome(lease, &Welcome { served, refused, ended }, Duration::from_millis(lease_ms));
                } else {
                    self.stats.stray_frames += 1;
                }
            }
            ToWorker::Refused { call, why } => {
                if call == self.call && !self.is_led() {
                    self.stats.refusals += 1;
                    self.outputs.push_back(WorkerOutput::Refused { why });
                }
            }
            ToWorker::Item { lease, seq, got, item } => {
                let now = self.now;
                let Some(led) = self.led(lease) else { return };
                led.link.acknowledge(now, got);
                if led.link.receive(seq) {
                    self.item(item, bytes);
                }
            }
            ToWorker::Beat { lease, number, got } => {
                let now = self.now;
                let Some(led) = self.led(lease) else { return };
                led.link.acknowledge(now, got);
                let mut confirmed = None;
                while let Some((_, at)) = led.beats.front().copied().filter(|(first, _)| *first <= number) {
                    led.beats.pop_front();
                    confirmed = Some(at);
                }
                self.confirmed = confirmed.unwrap_or(self.confirmed);
            }
            // An answer to somebody else.
            ToWorker::Members { .. } => self.stats.stray_frames += 1,
            ToWorker::Lost { lease } => {
                if self.led(lease).is_some() {
                    self.lose("the gateway has given the lease up");
                }
            }
        }
    }

    /// Returns the state of a lease, if the worker has it.
    fn led(&mut self, lease: Lease) -> Option<&mut Led> {
        match &mut self.leader {
            Leader::Led(led) if led.lease == lease => Some(led),
            Leader::Led(_) | Leader::Seeking { .. } => {
                self.stats.stray_frames += 1;
                None
            }
        }
    }

    fn welcome(&mut self, lease: Lease, answer: &Welcome, term: Duration) {
        let Leader::Seeking { asked, .. } = self.leader else { return };
        self.epoch = lease.epoch;
        self.confirmed = asked;
        self.stats.leases += 1;
        self.leader = Leader::Led(Led {
            lease,
            link: Link::new(self.now),
            patience: self.limits.worker_patience.min(term * 5 / 6),
            beats: VecDeque::new(),
            next_beat: 0,
            beat_at: self.now,
        });
        self.outputs.push_back(WorkerOutput::Led { epoch: lease.epoch });
        for (id, agent) in &mut self.agents {
            if answer.refused.contains(id) {
                self.stats.agents_lost += 1;
                let why = "others have got what the agent had".to_owned();
                agent.abandon();
                self.outputs.push_back(WorkerOutput::End { agent: id.clone(), why });
                continue;
            }
            for line in agent.join(&answer.ended) {
                self.outputs.push_back(write(id, agent, line, 0));
            }
            self.outputs.extend(released(id, agent));
            if !answer.served.contains(id)
                && let Leader::Led(led) = &mut self.leader
            {
                // It started after the request.
                led.link.push(UpItem::Started { agent: id.clone() });
            }
        }
        let Leader::Led(led) = &mut self.leader else { return };
        for agent in answer.served.iter().filter(|agent| !self.agents.contains_key(*agent)) {
            let error = Some("the agent ended while no gateway led".to_owned());
            led.link.push(UpItem::Ended { agent: agent.clone(), error });
        }
    }

    fn item(&mut self, item: DownItem, bytes: &[u8]) {
        match item {
            DownItem::Write { agent } => {
                let Some(known) = self.agents.get_mut(&agent) else { return };
                let mut read = 0;
                for line in known.receive(bytes) {
                    // With its newline.
                    let bytes = line.len() as u64 + 1;
                    match known.event(line) {
                        EventStep::Write { text, is_hand_out } => {
                            self.stats.hand_outs += u64::from(is_hand_out);
                            self.outputs.push_back(write(&agent, known, text, bytes));
                        }
                        EventStep::Kept => {
                            self.stats.kept += 1;
                            read += bytes;
                        }
                        EventStep::Swallow => read += bytes,
                    }
                }
                self.outputs.extend(released(&agent, known));
                // What was not written to the agent is read.
                self.credit(&agent, read);
            }
            DownItem::Read { agent, bytes } => {
                if let Some(known) = self.agents.get_mut(&agent) {
                    known.leader_read(bytes);
                }
            }
            DownItem::End { agent } => {
                if let Some(known) = self.agents.get_mut(&agent) {
                    known.abandon();
                    self.stats.agents_rejected += 1;
                    let why = "the gateway does not serve the agent any more".to_owned();
                    self.outputs.push_back(WorkerOutput::End { agent, why });
                }
            }
            DownItem::File { agent, call, request } => {
                let Leader::Led(Led { lease, .. }) = self.leader else { return };
                let Some(known) = self.agents.get_mut(&agent) else { return };
                if let FileRequest::Place { id, .. } = request {
                    known.place(id);
                }
                let call = FileCall { agent, number: call, lease };
                self.outputs.push_back(WorkerOutput::File { call, request, bytes: bytes.to_vec() });
            }
        }
    }

    /// Tells the leader that a number of bytes for an agent were read.
    fn credit(&mut self, agent: &str, bytes: u64) {
        if bytes > 0
            && let Leader::Led(led) = &mut self.leader
        {
            led.link.push(UpItem::Read { agent: agent.to_owned(), bytes });
        }
    }
}

/// Returns the outputs for the files that an agent does not need any more.
fn released(name: &str, agent: &mut Agent) -> impl Iterator<Item = WorkerOutput> {
    let released = agent.take_released().into_iter();
    released.map(move |id| WorkerOutput::Released { agent: name.to_owned(), id })
}

/// Returns the output of a line for an agent. `bytes` are those of the leader for it.
fn write(id: &str, agent: &mut Agent, mut line: Vec<u8>, bytes: u64) -> WorkerOutput {
    agent.wrote(bytes);
    line.push(b'\n');
    WorkerOutput::Write { agent: id.to_owned(), line }
}
