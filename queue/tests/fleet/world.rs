//! The simulated world: a bus, leaders on one store, workers, and what must hold.

use crate::agents::WorkerHost;
use crate::leader::LeaderHost;
use crate::random::Random;
use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::dispatcher::Arrival;
use relayline_queue::fleet::worker::WorkerLimits;
use relayline_queue::fleet::{FileAnswer, FileCall};
use relayline_queue::id::{ArrivalId, CommandId, DedupeKey, EntryId, HandOutId};
use relayline_queue::store::memory::MemoryDisk;
use relayline_queue::store::{StoreAnswer, StoreCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Description of what must not happen, with the name of the invariant in front.
pub(crate) type Checked = Result<(), String>;

/// Returns an error unless the invariant holds.
pub(crate) fn check(invariant: &str, holds: bool, found: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(format!("`{invariant}`: {}", found())) }
}

/// Everything about a run that its seed decides in advance.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) limits: QueueLimits,
    pub(crate) worker_limits: WorkerLimits,
    pub(crate) events: u64,
    pub(crate) sessions: u64,
    pub(crate) workers: u64,
    pub(crate) jobs: u64,
    /// Chance that a frame is lost, per mille.
    pub(crate) lost_frames: u64,
    /// Chance that a frame comes twice, per mille.
    pub(crate) repeated_frames: u64,
    /// Chance that a frame takes up to a minute, per mille.
    pub(crate) late_frames: u64,
    /// Most milliseconds that any other frame takes.
    pub(crate) latency: u64,
    pub(crate) leader_crashes: u64,
    pub(crate) hand_overs: u64,
    /// Number of times that a leader or a worker is stopped for a while.
    pub(crate) stops: u64,
    /// Number of times that a worker cannot reach the bus for a while.
    pub(crate) cuts: u64,
    /// Chance of the end of an agent, per mille of the hand-outs.
    pub(crate) agent_crashes: u64,
    /// Chance that an agent refuses, per mille.
    pub(crate) refusals: u64,
    pub(crate) worker_ends: u64,
    /// Chance that a line is longer than a frame may be, per mille.
    pub(crate) long_lines: u64,
}

impl Setup {
    fn draw(random: &mut Random) -> Setup {
        let mut limits = QueueLimits::default();
        limits.session_window = *random.pick(&[0, 1, 3]);
        limits.agent_window = *random.pick(&[2, 1024]);
        limits.snapshot_records = *random.pick(&[5, 10_000]);
        limits.max_attempts = 50;
        limits.body_cache_bytes = *random.pick(&[0, 1 << 24]);
        limits.redeliver_after = Duration::from_millis(100);
        let mut often = |from: &[u64]| *random.pick(from);
        Setup {
            events: often(&[5, 20, 40]),
            sessions: often(&[1, 3, 8]),
            workers: often(&[1, 2, 3]),
            jobs: often(&[1, 2]),
            lost_frames: often(&[0, 0, 20, 200]),
            repeated_frames: often(&[0, 20]),
            late_frames: often(&[0, 0, 50]),
            latency: often(&[1, 20, 300]),
            leader_crashes: often(&[0, 1, 3]),
            hand_overs: often(&[0, 1, 2]),
            stops: often(&[0, 0, 3]),
            cuts: often(&[0, 0, 3]),
            agent_crashes: often(&[0, 0, 50]),
            refusals: often(&[0, 0, 100]),
            worker_ends: often(&[0, 0, 1]),
            long_lines: often(&[0, 0, 0, 50]),
            worker_limits: WorkerLimits::default(),
            limits,
        }
    }

    /// Returns true if every agent keeps what it has.
    pub(crate) fn keeps_agents(&self) -> bool {
        self.stops + self.cuts + self.agent_crashes + self.refusals + self.worker_ends == 0
            && self.lost_frames < 100
    }
}

/// Destination of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum To {
    Leader,
    Worker(String),
    Workers,
}

/// Thing that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Arrive(u64),
    Execute {
        leader: u64,
        id: CommandId,
        command: StoreCommand,
    },
    Answer {
        leader: u64,
        id: CommandId,
        answer: StoreAnswer,
    },
    ToLeader {
        leader: u64,
        frame: Vec<u8>,
    },
    ToWorker {
        worker: String,
        frame: Vec<u8>,
    },
    /// An agent writes a line.
    Line {
        worker: String,
        agent: String,
        line: Vec<u8>,
    },
    /// A worker has placed a file.
    FilePlaced {
        worker: String,
        call: FileCall,
        path: String,
    },
    EndAgent {
        worker: String,
        agent: String,
    },
    StartAgent {
        worker: String,
        job: u64,
    },
    StartWorker,
    EndWorker(String),
    StartLeader,
    CrashLeader,
    /// Another gateway has taken the connection of a leader.
    Displace(u64),
    HandOver,
    /// A leader or a worker is stopped for a time.
    Stop(u64),
    /// A worker cannot reach the bus for a time.
    Cut(u64),
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) random: Random,
    pub(crate) now: Time,
    happenings: BTreeMap<(Time, u64), Happening>,
    next_happening: u64,
    pub(crate) disk: MemoryDisk,
    pub(crate) leaders: BTreeMap<u64, LeaderHost>,
    next_leader: u64,
    /// Leader that has the connection to the connector.
    pub(crate) connected: u64,
    pub(crate) workers: BTreeMap<String, WorkerHost>,
    next_worker: u64,
    /// Events that are stored.
    pub(crate) stored: BTreeSet<u64>,
    /// Last hand-out of each entry that an agent has seen.
    pub(crate) seen: BTreeMap<EntryId, HandOutId>,
    /// Entries whose acknowledgement an agent was told to count.
    pub(crate) done: BTreeSet<EntryId>,
    /// Number of times that agents have seen each entry.
    pub(crate) sightings: BTreeMap<EntryId, u32>,
    pub(crate) is_calm: bool,
    pub(crate) steps: u64,
    pub(crate) trace: Option<Vec<String>>,
}

/// Length of the plan, in milliseconds.
const PLAN: u64 = 120_000;

impl World {
    pub(crate) fn new(seed: u64, is_traced: bool) -> World {
        let mut random = Random::new(seed);
        let setup = Setup::draw(&mut random);
        let mut world = World {
            setup,
            random,
            now: Time::from_millis(1),
            happenings: BTreeMap::new(),
            next_happening: 0,
            disk: MemoryDisk::default(),
            leaders: BTreeMap::new(),
            next_leader: 0,
            connected: 0,
            workers: BTreeMap::new(),
            next_worker: 0,
            stored: BTreeSet::new(),
            seen: BTreeMap::new(),
            done: BTreeSet::new(),
            sightings: BTreeMap::new(),
            is_calm: false,
            steps: 0,
            trace: is_traced.then(Vec::new),
        };
        world.at(0, Happening::StartLeader);
        for _ in 0..world.setup.workers {
            world.sometime(5000, Happening::StartWorker);
        }
        let span = *world.random.pick(&[10, 10_000, PLAN]);
        for number in 0..world.setup.events {
            world.sometime(span, Happening::Arrive(number));
        }
        for (number, happening) in [
            (world.setup.leader_crashes, Happening::CrashLeader),
            (world.setup.hand_overs, Happening::HandOver),
            (world.setup.stops, Happening::Stop(0)),
            (world.setup.cuts, Happening::Cut(0)),
        ] {
            for _ in 0..number {
                let span = *world.random.pick(&[1000, PLAN]);
                let length = world.random.between(500, 60_000);
                let happening = match happening {
                    Happening::Stop(_) => Happening::Stop(length),
                    Happening::Cut(_) => Happening::Cut(length),
                    ref other => other.clone(),
                };
                world.sometime(span, happening);
            }
        }
        world
    }

    fn sometime(&mut self, span: u64, happening: Happening) {
        let at = self.random.below(span);
        self.at(at, happening);
    }

    pub(crate) fn at(&mut self, after_ms: u64, happening: Happening) {
        let at = self.now + Duration::from_millis(after_ms);
        self.happenings.insert((at, self.next_happening), happening);
        self.next_happening += 1;
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now} {}", text()));
        }
    }

    /// Publishes a frame.
    pub(crate) fn publish(&mut self, from: Option<&str>, to: &To, frame: &[u8]) {
        let workers: Vec<String> = match to {
            To::Leader => {
                for leader in self.leaders.keys().copied().collect::<Vec<_>>() {
                    let frame = frame.to_vec();
                    self.carry(from, Happening::ToLeader { leader, frame });
                }
                return;
            }
            To::Worker(worker) => vec![worker.clone()],
            To::Workers => self.workers.keys().cloned().collect(),
        };
        for worker in workers {
            let frame = frame.to_vec();
            self.carry(Some(&worker.clone()), Happening::ToWorker { worker, frame });
        }
    }

    /// Carries a frame over the bus. `worker` is the end that may be cut off.
    fn carry(&mut self, worker: Option<&str>, happening: Happening) {
        let now = self.now;
        let is_cut = worker.and_then(|name| self.workers.get(name)).is_some_and(|host| host.cut_until > now);
        let is_lost = !self.is_calm && self.random.chance(self.setup.lost_frames);
        if is_cut || is_lost {
            return;
        }
        if !self.is_calm && self.random.chance(self.setup.repeated_frames) {
            let delay = self.random.below(self.setup.latency * 3 + 1);
            self.at(delay, happening.clone());
        }
        let is_late = !self.is_calm && self.random.chance(self.setup.late_frames);
        let most = if is_late { 60_000 } else { self.setup.latency };
        let delay = self.random.below(most + 1);
        self.at(delay, happening);
    }

    pub(crate) fn run(&mut self) -> Checked {
        let end = Time::from_millis(PLAN);
        while self.next_time().is_some_and(|at| at < end) {
            self.step()?;
            check("it-comes-to-rest", self.steps < 300_000, || format!("{} steps", self.steps))?;
        }
        self.is_calm = true;
        self.now = self.now.max(end);
        let end = self.now + Duration::from_secs(1200);
        while self.next_time().is_some_and(|at| at < end) {
            self.step()?;
            check("it-comes-to-rest", self.steps < 3_000_000, || format!("{} steps", self.steps))?;
            if self.is_done()
                && self.happenings.values().all(|happening| matches!(happening, Happening::StartWorker))
            {
                break;
            }
        }
        // The last results reach their agents.
        let end = self.now + Duration::from_secs(60);
        while self.next_time().is_some_and(|at| at < end) {
            self.step()?;
        }
        self.check_end()
    }

    fn is_done(&self) -> bool {
        self.stored.len() as u64 == self.setup.events
            && self
                .leaders
                .values()
                .any(|leader| leader.number == self.connected && leader.dispatcher.ledger().is_empty())
    }

    fn check_end(&self) -> Checked {
        check("everything-is-done", self.is_done(), || {
            let leaders: Vec<_> = self.leaders.values().map(|leader| leader.dispatcher.ledger()).collect();
            format!("{} stored; {leaders:?}", self.stored.len())
        })?;
        let placed: Vec<_> = self.workers.values().flat_map(WorkerHost::placed).collect();
        check("files-leave-with-their-hand-outs", placed.is_empty(), || format!("{placed:?}"))
    }

    fn next_time(&self) -> Option<Time> {
        let leaders = self.leaders.values().filter_map(LeaderHost::deadline);
        let workers = self.workers.values().filter_map(WorkerHost::deadline);
        self.happenings.keys().next().map(|(at, _)| *at).into_iter().chain(leaders).chain(workers).min()
    }

    fn step(&mut self) -> Checked {
        let Some(at) = self.next_time() else { return Ok(()) };
        self.now = self.now.max(at);
        self.steps += 1;
        let now = self.now;
        let is_due = |deadline: Option<Time>| deadline.is_some_and(|at| at <= now);
        let leaders = self.leaders.iter().filter(|(_, leader)| is_due(leader.deadline()));
        for number in leaders.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.leader(number, |leader| {
                leader.dispatcher.handle_tick(now);
                leader.fleet.iter_mut().for_each(|fleet| fleet.handle_tick(now));
            })?;
        }
        let workers = self.workers.iter().filter(|(_, worker)| is_due(worker.deadline()));
        for name in workers.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.worker(&name, |worker| worker.handle_tick(now))?;
        }
        if let Some(first) = self.happenings.first_entry()
            && first.key().0 <= now
        {
            let happening = first.remove();
            self.happen(happening)?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        let now = self.now;
        // What is stopped handles things when it goes on.
        let stopped = match &happening {
            Happening::Answer { leader, .. }
            | Happening::ToLeader { leader, .. }
            | Happening::Displace(leader) => self.leaders.get(leader).map(|leader| leader.stopped_until),
            Happening::ToWorker { worker, .. }
            | Happening::Line { worker, .. }
            | Happening::FilePlaced { worker, .. }
            | Happening::EndAgent { worker, .. }
            | Happening::StartAgent { worker, .. } => {
                self.workers.get(worker).map(|worker| worker.stopped_until)
            }
            _ => None,
        };
        if let Some(until) = stopped.filter(|until| *until > now) {
            self.happenings.insert((until, self.next_happening), happening);
            self.next_happening += 1;
            return Ok(());
        }
        match happening {
            Happening::Arrive(number) => self.arrive(number),
            Happening::Execute { leader, id, command } => {
                let answer = self.disk.execute(&command);
                let delay = self.random.below(4);
                self.at(delay, Happening::Answer { leader, id, answer });
                Ok(())
            }
            Happening::Answer { leader, id, answer } => {
                self.leader(leader, |leader| leader.dispatcher.handle_answer(now, id, answer))
            }
            Happening::ToLeader { leader, frame } => self.leader(leader, |leader| {
                leader.fleet.iter_mut().for_each(|fleet| fleet.handle_frame(now, &frame));
            }),
            Happening::ToWorker { worker, frame } => {
                self.worker(&worker, |worker| worker.handle_frame(now, &frame))
            }
            Happening::Line { worker, agent, line } => self.agent_line(&worker, &agent, &line),
            Happening::FilePlaced { worker, call, path } => self.worker(&worker, |worker| {
                worker.handle_file_answer(now, call, FileAnswer::Placed { path }, Vec::new());
            }),
            Happening::EndAgent { worker, agent } => self.agent_ended(&worker, &agent, Some("it crashed")),
            Happening::StartAgent { worker, job } => self.start_agent(&worker, job),
            Happening::StartWorker => {
                self.next_worker += 1;
                self.start_worker(self.next_worker)
            }
            Happening::EndWorker(worker) => self.end_worker(&worker),
            Happening::StartLeader => {
                self.next_leader += 1;
                self.start_leader(self.next_leader)
            }
            Happening::CrashLeader => {
                let leading = self.leaders.keys().next_back().copied();
                if let Some(number) = leading.filter(|_| !self.is_calm) {
                    self.note(|| format!("leader {number} crashes"));
                    self.leaders.remove(&number);
                    let after = self.random.between(1, 15_000);
                    self.at(after, Happening::StartLeader);
                }
                Ok(())
            }
            Happening::Displace(leader) => {
                self.leader(leader, |leader| leader.dispatcher.remember(now, "displaced", Some("once")))
            }
            Happening::HandOver => {
                let Some(number) = Some(self.connected).filter(|_| !self.is_calm) else { return Ok(()) };
                self.leader(number, |leader| leader.hand_over(now))
            }
            Happening::Stop(length) => {
                let until = now + Duration::from_millis(length);
                let is_leader = self.random.chance(500);
                let names: Vec<String> = self.workers.keys().cloned().collect();
                if is_leader && let Some(leader) = self.leaders.get_mut(&self.connected) {
                    leader.stopped_until = until;
                    let number = leader.number;
                    self.note(|| format!("leader {number} is stopped until {until}"));
                    // A standby does not wait for it.
                    let after = self.random.between(10_000, 20_000);
                    self.at(after, Happening::StartLeader);
                } else if !is_leader && !names.is_empty() {
                    let name = self.random.pick(&names).clone();
                    self.note(|| format!("worker {name} is stopped until {until}"));
                    self.workers.get_mut(&name).unwrap().stopped_until = until;
                }
                Ok(())
            }
            Happening::Cut(length) => {
                let names: Vec<String> = self.workers.keys().cloned().collect();
                if !names.is_empty() {
                    let name = self.random.pick(&names).clone();
                    self.note(|| format!("worker {name} is cut off for {length} ms"));
                    self.workers.get_mut(&name).unwrap().cut_until = now + Duration::from_millis(length);
                }
                Ok(())
            }
        }
    }

    fn arrive(&mut self, number: u64) -> Checked {
        let now = self.now;
        let is_up = self
            .leaders
            .get(&self.connected)
            .is_some_and(|leader| leader.stopped_until <= now && leader.dispatcher.takes_arrivals());
        if !is_up || self.stored.contains(&number) {
            if !self.stored.contains(&number) {
                self.at(700, Happening::Arrive(number));
            }
            return Ok(());
        }
        // The connector repeats it until it is acknowledged.
        self.at(5000, Happening::Arrive(number));
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let session = format!("s{}", number % self.setup.sessions);
        let arrival = Arrival {
            id: ArrivalId(number),
            session: session.into(),
            key: Some(DedupeKey(key)),
            body: number.to_string().into_bytes().into(),
            memory: None,
        };
        self.leader(self.connected, |leader| leader.dispatcher.handle_arrival(now, arrival))
    }
}
