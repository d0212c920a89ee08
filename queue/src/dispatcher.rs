//! The dispatcher: its inputs and outputs. It passes on what its components return.
//!
//! `loading.rs` reads the store and begins to lead, `arrivals.rs` stores what arrives, `deliveries.rs` hands entries out
//! and settles them, `agents.rs` ends agents, `leases.rs` is for
//! those of workers, `store.rs` handles answers of the store, `snapshots.rs` writes snapshots, and
//! `requests.rs` carries out what operators want.

mod agents;
mod arrivals;
mod bodies;
mod deliveries;
mod health;
mod leases;
mod loading;
mod requests;
mod snapshots;
mod store;
#[cfg(test)]
mod tests;

use crate::config::QueueLimits;
use crate::handouts::HandOuts;
use crate::id::{ArrivalId, CommandId, DedupeKey, EntryId, HandOutId, RecordSeq};
use crate::ledger::Ledger;
use crate::output::{NotSettled, NotStored, Output, QueueError, RequestRefused};
use crate::record::Record;
use crate::schedule::Schedule;
use crate::stats::{QueueStats, gauges};
use crate::store::StoreCommand;
use crate::writer::{Confirmed, Writer};
pub use arrivals::Arrival;
use bodies::{BodyCache, Reads};
use health::Health;
use leases::Leases;
use loading::Loading;
use relayline_core::time::Time;
use snapshots::{FinishedSnapshot, Snapshots};
use std::collections::{BTreeMap, VecDeque};

/// Dispatcher of a queue: see the [documentation of the crate](crate).
#[derive(Debug)]
pub struct Dispatcher {
    limits: QueueLimits,
    /// Random name of this leader.
    leader: Box<str>,
    /// Latest time of an input. Never goes back, even if the host's clock does.
    now: Time,
    phase: Phase,
    ledger: Ledger,
    schedule: Schedule,
    hand_outs: HandOuts,
    leases: Leases,
    writer: Writer,
    reads: Reads,
    bodies: BodyCache,
    snapshots: Snapshots,
    health: Health,
    /// Things that wait for the commit of a record, in the order of the records.
    gates: VecDeque<(RecordSeq, Gate)>,
    /// Batch that the store has confirmed, and that is handled once the store has the next one.
    unhandled: Option<Confirmed>,
    /// Arrivals with the key of one that is being stored.
    pending_keys: BTreeMap<DedupeKey, Vec<ArrivalId>>,
    is_stopping: bool,
    /// True if nothing is handed out any more.
    is_draining: bool,
    /// True while nothing is handed out.
    is_held: bool,
    next_command: CommandId,
    outputs: VecDeque<Output>,
    stats: QueueStats,
}

/// Part of the dispatcher's life.
#[derive(Debug)]
enum Phase {
    /// The store is being read.
    Loading(Loading),
    /// The epoch is being written.
    Claiming,
    Leading,
    /// The last record is being written.
    Releasing,
    /// It is over: another leads, the queue was handed over, or the store cannot be used.
    Ended,
}

/// Thing that waits for a commit.
#[derive(Debug)]
enum Gate {
    /// The first record of this leader.
    Epoch,
    /// A hand-out of an entry.
    HandOut(EntryId),
    /// An output.
    Output(Output),
    /// A snapshot.
    Snapshot(FinishedSnapshot),
    /// The last record.
    Released,
}

gauges! {
    /// Sizes of the queue and its tables.
    QueueUsage:
    /// Entries in the store, dead letters included.
    entries: usize;
    /// Bytes of these entries.
    bytes: u64;
    /// Dead letters.
    dead_letters: usize;
    /// Entries that agents have, or that are on their way to them.
    out: usize;
    /// Agents.
    agents: usize;
    /// Workers that have a lease.
    workers: usize;
    /// Entries that workers can claim.
    unclaimed: usize;
    /// Sessions that have entries or an agent.
    sessions: usize;
    /// Arrivals that wait for the store.
    pending_entries: usize;
    /// Bytes of these arrivals.
    pending_bytes: usize;
    /// Journal records that wait for the store.
    pending_records: usize;
    /// Bytes of bodies in memory.
    cached_bytes: usize;
    /// Keys of settled entries.
    settled_keys: usize;
}

/// # Inputs
impl Dispatcher {
    /// Creates a dispatcher, which reads the store first. `leader` must be random: it distinguishes two leaders
    /// that start at the same time.
    pub fn new(limits: QueueLimits, leader: &str, now: Time) -> Dispatcher {
        let mut dispatcher = Dispatcher {
            leader: leader.into(),
            now,
            phase: Phase::Loading(Loading::new(now)),
            ledger: Ledger::new(&limits, leader),
            schedule: Schedule::new(&limits, leader),
            hand_outs: HandOuts::default(),
            leases: Leases::default(),
            writer: Writer::new(EntryId(0), RecordSeq(0)),
            reads: Reads::default(),
            bodies: BodyCache::new(limits.body_cache_bytes),
            snapshots: Snapshots::default(),
            health: Health::default(),
            gates: VecDeque::new(),
            unhandled: None,
            pending_keys: BTreeMap::new(),
            is_stopping: false,
            is_draining: false,
            is_held: false,
            next_command: CommandId(0),
            outputs: VecDeque::new(),
            stats: QueueStats::default(),
            limits,
        };
        dispatcher.advance(now);
        dispatcher
    }

    /// Handles the passage of time: call it at [`deadline`](Self::deadline). Early, late and spurious calls are harmless.
    pub fn handle_tick(&mut self, now: Time) {
        self.advance(now);
    }

    /// Hands nothing out while `is_held`: without a connection, an agent could not answer.
    pub fn handle_hold(&mut self, now: Time, is_held: bool) {
        self.is_held = is_held;
        self.advance(now);
    }

    /// Hands nothing out any more, and takes back what its agents have not got, with the `unseen` hand-outs that hosts have
    /// kept from them. Arrivals are still stored, and hand-outs settled: a gateway that ends asks the connector to buffer
    /// meanwhile. Call [`handle_shutdown`](Self::handle_shutdown) once it is disconnected.
    pub fn handle_drain(&mut self, now: Time, unseen: &[HandOutId]) {
        self.drain();
        self.take_back_unseen(unseen);
        self.advance(now);
    }

    fn drain(&mut self) {
        if !std::mem::replace(&mut self.is_draining, true) {
            for entry in self.hand_outs.unseen() {
                self.take_back(entry);
            }
        }
    }

    /// Handles the request to end: nothing is taken and nothing handed out any more. End the gateway's own agents, and report
    /// each end. Agents of workers keep what they have, for the next leader. [`Output::Released`] follows once all agents
    /// have ended and everything is written. It does not come while the store
    /// fails, so bound the wait: the next leader then charges what was out.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.is_stopping = true;
        self.drain();
        self.leave_to_workers();
        self.advance(now);
    }

    /// Remembers something for the host, or forgets it. The last value of a key is found again after a restart.
    pub fn remember(&mut self, now: Time, key: &str, value: Option<&str>) {
        // A record for each change: without a bound they would pile up while the store is down.
        if !self.is_leading() || self.writer.pending_records() >= MAX_PENDING_RECORDS {
            self.stats.memory_forgotten += 1;
        } else {
            let after = self.writer.last_entry();
            self.record(&Record::Memory { key: key.into(), value: value.map(Into::into), after });
        }
        self.advance(now);
    }
}

/// Maximum number of records that wait for the store before the host's memory is no longer recorded.
const MAX_PENDING_RECORDS: usize = 1 << 16;

/// # Outputs
impl Dispatcher {
    /// Returns the next output. Drain it after each input.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && self.unhandled.is_some() {
            self.advance(self.now);
        }
        self.outputs.pop_front()
    }

    /// Returns the time of the next [`handle_tick`](Self::handle_tick).
    pub fn deadline(&self) -> Option<Time> {
        let times = match &self.phase {
            Phase::Loading(loading) => [loading.deadline(&self.limits), None, None, None, None, None],
            Phase::Ended => [None; 6],
            Phase::Claiming | Phase::Leading | Phase::Releasing => [
                self.writer.deadline(&self.limits),
                self.schedule.deadline(),
                self.reads.deadline(&self.limits),
                self.ledger.next_expiry(),
                self.health.deadline(self.writer.waits_since(), &self.limits),
                self.leases.deadline().filter(|_| self.is_leading()),
            ],
        };
        times.into_iter().flatten().min()
    }
}

/// # Getters
impl Dispatcher {
    /// Returns true while it leads: from [`Output::Leading`] to one of the last outputs.
    pub fn is_leading(&self) -> bool {
        matches!(self.phase, Phase::Leading)
    }

    /// Returns true after the last output.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Returns the durable state, with what is being written.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the counters.
    pub fn stats(&self) -> QueueStats {
        let (keys_forgotten, memory_forgotten) = self.ledger.forgotten();
        QueueStats {
            keys_forgotten,
            memory_forgotten: self.stats.memory_forgotten + memory_forgotten,
            sessions_forgotten: self.schedule.sessions_forgotten(),
            ..self.stats
        }
    }

    /// Returns the sizes of the queue and its tables.
    pub fn usage(&self) -> QueueUsage {
        let (pending_entries, pending_bytes) = self.writer.pending_entries();
        QueueUsage {
            entries: self.ledger.len(),
            bytes: self.ledger.bytes(),
            dead_letters: self.ledger.dead_letters(),
            out: self.schedule.out_entries(),
            agents: self.schedule.agents(),
            workers: self.leases.workers(),
            unclaimed: self.leases.unclaimed(),
            sessions: self.schedule.sessions(),
            pending_entries,
            pending_bytes,
            pending_records: self.writer.pending_records(),
            cached_bytes: self.bodies.bytes(),
            settled_keys: self.ledger.settled_keys(),
        }
    }
}

impl Dispatcher {
    /// Moves the time forward, and does everything that can be done now. Each input ends with it.
    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
        if let Some(confirmed) = self.unhandled.take() {
            self.confirmed(confirmed);
        }
        self.check_overdue();
        if let Phase::Loading(_) = self.phase {
            self.load();
            return;
        }
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        // Before the schedule: a session waits for claims.
        self.expire_leases();
        self.schedule.handle_tick(self.now);
        self.ledger.expire_keys(self.now);
        self.retry_reads();
        self.hand_out();
        self.continue_snapshot();
        self.continue_shutdown();
        self.write();
        self.report_health();
    }

    /// Issues a record: it applies at once, and what depends on it waits for its commit.
    fn record(&mut self, record: &Record) -> RecordSeq {
        self.ledger.apply(self.now, record);
        self.snapshots.count_record();
        self.writer.add_record(record.encode())
    }

    /// Issues a record, and returns an output once it is durable.
    fn record_for(&mut self, record: &Record, output: Output) {
        let seq = self.record(record);
        self.gates.push_back((seq, Gate::Output(output)));
    }

    fn next_command(&mut self) -> CommandId {
        self.next_command = self.next_command.next();
        self.next_command
    }

    fn command(&mut self, command: StoreCommand) -> CommandId {
        let id = self.next_command();
        self.outputs.push_back(Output::Store { id, command });
        id
    }

    /// Gives the writer's next command to the store.
    fn write(&mut self) {
        let next = &mut self.next_command;
        let number = || {
            *next = next.next();
            *next
        };
        if let Some((id, command)) = self.writer.next_command(self.now, &self.limits, number) {
            self.outputs.push_back(Output::Store { id, command });
        }
    }

    /// Writes the last record once the agents have ended and everything else is written.
    fn continue_shutdown(&mut self) {
        let is_due = self.is_stopping
            && self.is_leading()
            && self.schedule.agents() == 0
            && self.gates.is_empty()
            && self.writer.is_done()
            && self.snapshots.is_idle();
        if is_due {
            self.phase = Phase::Releasing;
            let seq = self.record(&Record::Released);
            self.gates.push_back((seq, Gate::Released));
        }
    }

    /// Ends everything, with a last output. The answer to all that waits is that this gateway does not lead.
    fn end(&mut self, last: Output) {
        self.phase = Phase::Ended;
        // Outputs that are not polled yet must not be done any more.
        let outputs = std::mem::take(&mut self.outputs);
        let hand_outs = |output: &Output| !matches!(output, Output::HandOut(_) | Output::Store { .. });
        self.outputs.extend(outputs.into_iter().filter(hand_outs));
        for (_, gate) in std::mem::take(&mut self.gates) {
            let Gate::Output(output) = gate else { continue };
            self.outputs.extend(failed(output));
        }
        let pending = self.writer.take_entries().into_iter().map(|entry| entry.arrival);
        let duplicates = std::mem::take(&mut self.pending_keys).into_values().flatten();
        for arrival in pending.chain(duplicates) {
            self.outputs.push_back(Output::Arrived { arrival, result: Err(NotStored::NotLeading) });
        }
        self.hand_outs.clear();
        self.reads = Reads::default();
        self.bodies.clear();
        self.outputs.push_back(last);
    }

    fn fail(&mut self, error: impl Into<QueueError>) {
        self.end(Output::Failed(error.into()));
    }
}

/// Returns the answer to something that is not going to be durable.
fn failed(output: Output) -> Option<Output> {
    match output {
        Output::Settled { hand_out, .. } => {
            Some(Output::Settled { hand_out, result: Err(NotSettled::NotLeading) })
        }
        Output::Requested { request, .. } => {
            Some(Output::Requested { request, result: Err(RequestRefused::NotLeading) })
        }
        _ => None,
    }
}
