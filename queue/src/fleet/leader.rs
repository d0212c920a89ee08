//! The leader's side: the agents of workers, as if they were here.
//!
//! It has no I/O and no clock. Its host asks the queue for the claims of a worker, and serves each agent that has started
//! with a bridge whose pipes end here.

use super::file::{FileAnswer, FileRequest, MAX_FILE_BYTES};
use super::frame::{self, AgentClaim, DownItem, Lease, ToLeader, ToWorker, UpItem, VERSION, WorkerMember};
use super::link::{Link, Outgoing};
use super::worker::WINDOW_BYTES;
use crate::id::AgentId;
use crate::output::EndedHandOuts;
use crate::stats::counters;
use relayline_core::time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Output of the leader's side. Carry out all of them, in order, after each input.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FleetOutput {
    /// Publish a frame to a worker.
    Publish {
        /// The worker.
        worker: String,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Publish a frame to all workers.
    Broadcast(Vec<u8>),
    /// A worker asks for a lease: claim what its agents have, and call [`Fleet::handle_claimed`].
    Claim {
        /// The worker.
        worker: String,
        /// Number of the request.
        call: u64,
        /// Its agents.
        agents: Vec<AgentClaim>,
    },
    /// A worker is alive: renew its lease.
    Renew {
        /// The worker.
        worker: String,
    },
    /// An agent has started: register it, and serve it.
    Started(AgentId),
    /// An agent wrote bytes. Call [`Fleet::handle_read`] once they are read.
    Wrote(AgentId, Vec<u8>),
    /// An agent has ended: as planned, or with an error. Accept nothing of it any more. Its files are not answered any more.
    Ended(AgentId, Option<String>),
    /// The answer to a [request for a file](Fleet::handle_file_request).
    FileAnswer {
        /// The agent whose file it is.
        agent: AgentId,
        /// Number of the request.
        call: u64,
        /// The answer.
        answer: FileAnswer,
        /// Bytes of a [`FileAnswer::Read`].
        bytes: Vec<u8>,
    },
    /// A worker has ended as planned.
    WorkerEnded {
        /// The worker.
        worker: String,
    },
}

counters! {
    /// Counters of the leader's side of workers.
    FleetStats:
    /// Leases given to workers.
    leases;
    /// Frames of workers that were malformed.
    malformed_frames;
    /// Frames of leases that were over.
    stale_frames;
    /// Items for workers that were sent again.
    resent;
}

/// Answer of the queue to the claims of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claimed {
    /// Agents that must end.
    pub refused: Vec<String>,
    /// Hand-outs that have ended, of those that were being settled.
    pub ended: EndedHandOuts,
}

/// The leader's side of all workers.
#[derive(Debug)]
pub struct Fleet {
    epoch: u64,
    term: Duration,
    now: Time,
    workers: BTreeMap<String, Member>,
    /// Requests that the queue has not answered.
    pending: BTreeMap<String, u64>,
    next_lease: u64,
    next_call: u64,
    has_ended: bool,
    outputs: VecDeque<FleetOutput>,
    stats: FleetStats,
}

/// Worker with a lease.
#[derive(Debug)]
struct Member {
    lease: Lease,
    /// Request that began the lease, and its answer.
    call: u64,
    welcome: Vec<u8>,
    expires: Time,
    link: Link<DownItem>,
    /// Agents, and the bytes that each has not read.
    agents: BTreeMap<String, u64>,
}

/// Returns true for a name of a worker or an agent: a part of subjects and of agents' ids.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// # Inputs
impl Fleet {
    /// Creates the side of a leader. `term` is the time of a lease: that of the queue.
    pub fn new(epoch: u64, term: Duration, now: Time) -> Fleet {
        let (workers, pending, outputs) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        let (has_ended, stats) = (false, FleetStats::default());
        let (next_lease, next_call) = (0, 0);
        let mut fleet =
            Fleet { epoch, term, now, workers, pending, next_lease, next_call, has_ended, outputs, stats };
        fleet.broadcast(&ToWorker::Leads { epoch });
        fleet
    }

    /// Handles a frame of a worker.
    pub fn handle_frame(&mut self, now: Time, frame: &[u8]) {
        self.now = self.now.max(now);
        match frame::decode(frame) {
            Some((header, bytes)) => self.frame(header, bytes),
            None => self.stats.malformed_frames += 1,
        }
        self.advance(now);
    }

    /// Handles the queue's answer to a [`FleetOutput::Claim`]: `Err` is the reason for which the worker is not accepted.
    /// Serve the agents that are not refused.
    pub fn handle_claimed(
        &mut self,
        now: Time,
        worker: &str,
        call: u64,
        agents: &[AgentClaim],
        claimed: Result<Claimed, String>,
    ) {
        self.now = self.now.max(now);
        self.pending.remove(worker);
        match claimed {
            Ok(claimed) => self.welcome(worker, call, agents, claimed),
            Err(why) => self.publish(worker, &ToWorker::Refused { call, why }, b""),
        }
        self.advance(now);
    }

    /// Sends bytes to an agent.
    pub fn handle_write(&mut self, now: Time, agent: &AgentId, bytes: &[u8]) {
        if let Some((member, name)) = self.member_of(agent)
            && let Some(unread) = member.agents.get_mut(&name)
        {
            *unread += bytes.len() as u64;
            member.link.push_bytes(bytes, || DownItem::Write { agent: name.clone() });
        }
        self.advance(now);
    }

    /// Handles that a number of an agent's bytes were read.
    pub fn handle_read(&mut self, now: Time, agent: &AgentId, bytes: u64) {
        if let Some((member, agent)) = self.member_of(agent) {
            member.link.push(DownItem::Read { agent, bytes });
        }
        self.advance(now);
    }

    /// Asks for a file of an agent, with the bytes of a [`FileRequest::Write`]. Returns the number of the request;
    /// [`FleetOutput::FileAnswer`] follows unless the agent ends. `None` if the agent has ended, or if there are more than
    /// [`MAX_FILE_BYTES`]. Wait for the answer before the next request for the same file: that bounds what is under way.
    pub fn handle_file_request(
        &mut self,
        now: Time,
        agent: &AgentId,
        request: FileRequest,
        bytes: Vec<u8>,
    ) -> Option<u64> {
        let call = self.next_call + 1;
        let (member, name) = self.member_of(agent).filter(|_| bytes.len() <= MAX_FILE_BYTES)?;
        if !member.agents.contains_key(&name) {
            return None;
        }
        member.link.push_with(DownItem::File { agent: name, call, request }, bytes);
        self.next_call = call;
        self.advance(now);
        Some(call)
    }

    /// Ends an agent, which is not served any more.
    pub fn handle_end(&mut self, now: Time, agent: &AgentId) {
        if let Some((member, agent)) = self.member_of(agent)
            && member.agents.remove(&agent).is_some()
        {
            member.link.push(DownItem::End { agent });
        }
        self.advance(now);
    }

    /// Handles that the queue has ended the lease of a worker.
    pub fn handle_lease_lost(&mut self, now: Time, worker: &str) {
        self.now = self.now.max(now);
        self.end_member(worker, Some("the lease of its worker is lost"));
        self.advance(now);
    }

    /// Handles the passage of time: call it at [`deadline`](Self::deadline).
    pub fn handle_tick(&mut self, now: Time) {
        self.advance(now);
    }

    /// Ends: workers look for the next leader. `hands_over` is false if another gateway leads already.
    pub fn handle_end_of_lead(&mut self, now: Time, hands_over: bool) {
        self.now = self.now.max(now);
        self.has_ended = true;
        for worker in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.end_member(&worker, None);
        }
        if hands_over {
            let epoch = self.epoch;
            self.broadcast(&ToWorker::Bye { epoch });
        }
    }
}

/// # Outputs and getters
impl Fleet {
    /// Returns the next output. Drain it after each input.
    pub fn poll_output(&mut self) -> Option<FleetOutput> {
        self.outputs.pop_front()
    }

    /// Returns the time of the next [`handle_tick`](Self::handle_tick).
    pub fn deadline(&self) -> Option<Time> {
        self.workers
            .values()
            .flat_map(|member| member.link.deadline().into_iter().chain([member.expires]))
            .min()
    }

    /// Returns true if bytes can be written to an agent. One that is gone takes everything.
    pub fn takes_bytes(&self, agent: &AgentId) -> bool {
        let unread = agent
            .worker_and_name()
            .and_then(|(worker, name)| self.workers.get(worker)?.agents.get(name).copied());
        unread.is_none_or(|unread| unread < WINDOW_BYTES)
    }

    /// Returns the workers, with the number of agents of each.
    pub fn workers(&self) -> impl Iterator<Item = (&str, usize)> {
        self.workers.iter().map(|(worker, member)| (worker.as_str(), member.agents.len()))
    }

    /// Returns the counters.
    pub fn stats(&self) -> FleetStats {
        let resent: u64 = self.workers.values().map(|member| member.link.resent()).sum();
        FleetStats { resent: self.stats.resent + resent, ..self.stats }
    }
}

impl Fleet {
    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        let now = self.now;
        let expired = self.workers.iter().filter(|(_, member)| member.expires <= now);
        for worker in expired.map(|(worker, _)| worker.clone()).collect::<Vec<_>>() {
            self.end_member(&worker, Some("the lease of its worker is lost"));
        }
        let mut frames = Vec::new();
        for (worker, member) in &mut self.workers {
            member.link.handle_tick(now);
            let lease = member.lease;
            while let Some(Outgoing { seq, got, item, bytes }) = member.link.next(now) {
                frames.push((worker.clone(), ToWorker::Item { lease, seq, got, item }, bytes));
            }
            if member.link.take_owed() {
                let got = member.link.got();
                frames.push((worker.clone(), ToWorker::Beat { lease, number: 0, got }, Vec::new()));
            }
        }
        for (worker, header, bytes) in frames {
            self.publish(&worker, &header, &bytes);
        }
    }

    fn publish(&mut self, worker: &str, header: &ToWorker, bytes: &[u8]) {
        let frame = frame::encode(header, bytes);
        self.outputs.push_back(FleetOutput::Publish { worker: worker.to_owned(), frame });
    }

    fn broadcast(&mut self, header: &ToWorker) {
        self.outputs.push_back(FleetOutput::Broadcast(frame::encode(header, b"")));
    }

    fn member_of(&mut self, agent: &AgentId) -> Option<(&mut Member, String)> {
        let (worker, name) = agent.worker_and_name()?;
        Some((self.workers.get_mut(worker)?, name.to_owned()))
    }

    fn frame(&mut self, header: ToLeader, bytes: &[u8]) {
        if self.has_ended {
            return;
        }
        match header {
            ToLeader::Hello { version, worker, call, agents } => self.hello(version, worker, call, agents),
            ToLeader::Item { worker, lease, seq, got, item } => {
                let now = self.now;
                let Some(member) = self.member(&worker, lease) else { return };
                member.link.acknowledge(now, got);
                if member.link.receive(seq) {
                    self.item(&worker, item, bytes);
                }
            }
            ToLeader::Beat { worker, lease, number, got } => {
                let (now, term) = (self.now, self.term);
                let Some(member) = self.member(&worker, lease) else { return };
                member.link.acknowledge(now, got);
                if number > 0 {
                    member.expires = now + term;
                    member.link.take_owed();
                    let got = member.link.got();
                    self.outputs.push_back(FleetOutput::Renew { worker: worker.clone() });
                    self.publish(&worker, &ToWorker::Beat { lease, number, got }, b"");
                }
            }
            ToLeader::Ask { asker } if is_name(&asker) => {
                let members = self.workers.iter().map(|(worker, member)| WorkerMember {
                    worker: worker.clone(),
                    agents: member.agents.len(),
                    lease_ms: u64::try_from(member.expires.since(self.now).as_millis()).unwrap_or(u64::MAX),
                });
                let members = members.collect();
                self.publish(&asker, &ToWorker::Members { members }, b"");
            }
            ToLeader::Ask { .. } => self.stats.malformed_frames += 1,
            ToLeader::Bye { worker, lease } => {
                if self.member(&worker, lease).is_some() {
                    self.end_member(&worker, None);
                    self.outputs.push_back(FleetOutput::WorkerEnded { worker });
                }
            }
        }
    }

    /// Returns the worker that has this lease. Otherwise it is told that the lease is lost.
    fn member(&mut self, worker: &str, lease: Lease) -> Option<&mut Member> {
        let is_current =
            self.workers.get(worker).is_some_and(|member| member.lease == lease && self.now < member.expires);
        if !is_current {
            self.stats.stale_frames += 1;
            // A lease of a later leader is not this one's to end.
            if lease.epoch <= self.epoch {
                self.publish(worker, &ToWorker::Lost { lease }, b"");
            }
            return None;
        }
        self.workers.get_mut(worker)
    }

    fn hello(&mut self, version: u32, worker: String, call: u64, agents: Vec<AgentClaim>) {
        if version != VERSION {
            let why = format!(
                "the worker speaks version {version}, and the gateway {VERSION}: use one version of the program"
            );
            return self.publish(&worker, &ToWorker::Refused { call, why }, b"");
        }

        if !is_name(&worker) || !agents.iter().all(|claim| is_name(&claim.agent)) {
            self.stats.malformed_frames += 1;
            return;
        }
        if self.pending.get(&worker) == Some(&call) {
            return;
        }
        match self.workers.get(&worker) {
            // The answer was lost, or the request comes late.
            Some(member) if member.call == call => {
                let frame = member.welcome.clone();
                self.outputs.push_back(FleetOutput::Publish { worker, frame });
                return;
            }
            Some(member) if call < member.call => return,
            Some(_) => self.end_member(&worker, Some("its worker asked for a new lease")),
            None => {}
        }
        self.pending.insert(worker.clone(), call);
        self.outputs.push_back(FleetOutput::Claim { worker, call, agents });
    }

    fn welcome(&mut self, worker: &str, call: u64, agents: &[AgentClaim], claimed: Claimed) {
        self.next_lease += 1;
        self.stats.leases += 1;
        let lease = Lease { epoch: self.epoch, number: self.next_lease };
        let Claimed { refused, ended: EndedHandOuts { done, lost } } = claimed;
        let named = |claim: &AgentClaim| claim.agent.clone();
        let served: Vec<String> = agents.iter().map(named).filter(|agent| !refused.contains(agent)).collect();
        let agents = served.iter().map(|agent| (agent.clone(), 0)).collect();
        let lease_ms = u64::try_from(self.term.as_millis()).unwrap_or(u64::MAX);
        let welcome =
            frame::encode(&ToWorker::Welcome { call, lease, served, refused, done, lost, lease_ms }, b"");
        let member = Member {
            lease,
            call,
            welcome: welcome.clone(),
            expires: self.now + self.term,
            link: Link::new(self.now),
            agents,
        };
        self.workers.insert(worker.to_owned(), member);
        self.outputs.push_back(FleetOutput::Publish { worker: worker.to_owned(), frame: welcome });
    }

    fn item(&mut self, worker: &str, item: UpItem, bytes: &[u8]) {
        let Some(member) = self.workers.get_mut(worker) else { return };
        let id = |agent: &str| AgentId::of_worker(worker, agent);
        match item {
            UpItem::Started { agent } => {
                let id = id(&agent);
                if member.agents.insert(agent, 0).is_none() {
                    self.outputs.push_back(FleetOutput::Started(id));
                }
            }
            UpItem::Ended { agent, error } => {
                if member.agents.remove(&agent).is_some() {
                    self.outputs.push_back(FleetOutput::Ended(id(&agent), error));
                }
            }
            UpItem::Wrote { agent } => {
                if member.agents.contains_key(&agent) {
                    self.outputs.push_back(FleetOutput::Wrote(id(&agent), bytes.to_vec()));
                }
            }
            UpItem::Read { agent, bytes } => {
                if let Some(unread) = member.agents.get_mut(&agent) {
                    *unread = unread.saturating_sub(bytes);
                }
            }
            UpItem::File { agent, call, answer } => {
                if member.agents.contains_key(&agent) {
                    let (agent, bytes) = (id(&agent), bytes.to_vec());
                    self.outputs.push_back(FleetOutput::FileAnswer { agent, call, answer, bytes });
                }
            }
        }
    }

    /// Ends the lease of a worker. Its agents end with this error, or as planned.
    fn end_member(&mut self, worker: &str, error: Option<&str>) {
        let Some(member) = self.workers.remove(worker) else { return };
        self.stats.resent += member.link.resent();
        for agent in member.agents.into_keys() {
            let id = AgentId::of_worker(worker, &agent);
            self.outputs.push_back(FleetOutput::Ended(id, error.map(str::to_owned)));
        }
    }
}
