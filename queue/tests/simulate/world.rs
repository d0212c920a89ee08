//! The simulated world: a connector, gateways with their agents, and a store, in virtual time.

use crate::gateway::Gateway;
use crate::journal::Journal;
use crate::random::Random;
use crate::setup::Setup;
use relayline_core::time::Time;
use relayline_queue::id::{AgentId, CommandId, DedupeKey, EntryId, HandOutId};
use relayline_queue::output::{AgentEnd, Output, Settlement};
use relayline_queue::store::memory::MemoryDisk;
use relayline_queue::store::{FaultKind, StoreAnswer, StoreCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Failed check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Violation {
    /// Name of the invariant.
    pub(crate) invariant: &'static str,
    /// Value found instead.
    pub(crate) found: String,
}

pub(crate) type Checked = Result<(), Violation>;

/// Returns a violation unless the invariant holds.
pub(crate) fn check(invariant: &'static str, holds: bool, found: impl FnOnce() -> String) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Violation { invariant, found: found() }),
    }
}

/// Event of the connector.
#[derive(Clone, Debug)]
pub(crate) struct ChatEvent {
    pub(crate) session: String,
    pub(crate) key: Option<DedupeKey>,
    pub(crate) body: Vec<u8>,
    /// True if the connector repeats it until it is acknowledged.
    pub(crate) is_buffered: bool,
    pub(crate) is_acknowledged: bool,
}

/// Thing that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The connector delivers an event.
    Deliver(u64),
    /// A command arrives at the store.
    Execute { gateway: u64, id: CommandId, command: StoreCommand, is_lost: bool },
    /// An answer of the store arrives.
    Answer { gateway: u64, id: CommandId, answer: StoreAnswer },
    /// An agent settles a hand-out.
    Settle { gateway: u64, id: HandOutId, settlement: Settlement },
    /// An agent ends.
    EndAgent { gateway: u64, agent: AgentId, end: AgentEnd },
    /// A new agent is ready.
    StartAgent { gateway: u64 },
    /// A gateway starts, beside another one or not.
    StartGateway { is_rival: bool },
    /// A gateway is asked to end.
    Shutdown,
    /// The store begins to fail, or works again.
    Fault { write: Option<FaultKind>, read: Option<FaultKind> },
    /// An operator wants something.
    Request,
    /// The host remembers something.
    Remember(u64),
}

/// Run of the simulation.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) random: Random,
    pub(crate) now: Time,
    happenings: BTreeMap<(Time, u64), Happening>,
    next_happening: u64,
    pub(crate) disk: MemoryDisk,
    pub(crate) journal: Journal,
    pub(crate) gateways: BTreeMap<u64, Gateway>,
    pub(crate) next_gateway: u64,
    pub(crate) events: Vec<ChatEvent>,
    pub(crate) next_number: u64,
    /// Charges that must be recorded next, by entry.
    pub(crate) due_charges: BTreeMap<EntryId, u32>,
    /// Number of hand-outs that agents saw, and the last attempt, by entry.
    pub(crate) seen: BTreeMap<EntryId, (u32, u32)>,
    /// Entries whose settlement was confirmed.
    pub(crate) confirmed: BTreeSet<EntryId>,
    /// Numbers of gateways that crashed or lost the fence.
    pub(crate) crashes: u64,
    /// True after the plan: nothing fails any more.
    pub(crate) is_calm: bool,
    steps: u64,
    /// Step at which a gateway crashes.
    crash_at: Option<u64>,
    /// Outputs as text, if wanted.
    pub(crate) trace: Option<Vec<String>>,
}

/// Length of the plan.
const PLAN: u64 = 120_000;

impl World {
    pub(crate) fn new(seed: u64, crash_at: Option<u64>, is_traced: bool) -> World {
        let mut random = Random::new(seed);
        let setup = Setup::draw(&mut random);
        let mut disk = MemoryDisk::default();
        disk.has_no_transactions = setup.has_no_transactions;
        let mut world = World {
            disk,
            setup,
            random,
            now: Time::from_millis(1),
            happenings: BTreeMap::new(),
            next_happening: 0,
            journal: Journal::default(),
            gateways: BTreeMap::new(),
            next_gateway: 1,
            events: Vec::new(),
            next_number: 1,
            due_charges: BTreeMap::new(),
            seen: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            crashes: 0,
            is_calm: false,
            steps: 0,
            crash_at,
            trace: is_traced.then(Vec::new),
        };
        world.plan();
        world
    }

    fn plan(&mut self) {
        self.at(0, Happening::StartGateway { is_rival: false });
        // All at once, or spread over the plan.
        let span = *self.random.pick(&[10, 1000, PLAN]);
        for number in 0..self.setup.events {
            let (session, size) = (self.random.below(self.setup.sessions), self.random.below(40));
            self.events.push(ChatEvent {
                session: format!("s{session}"),
                key: self.random.chance(850).then(|| {
                    let mut key = [0; 16];
                    key[..8].copy_from_slice(&number.to_le_bytes());
                    DedupeKey(key)
                }),
                body: format!("{number}:{}", "x".repeat(usize::try_from(size).unwrap())).into_bytes(),
                is_buffered: self.random.chance(700),
                is_acknowledged: false,
            });
            let at = self.random.below(span);
            self.at(at, Happening::Deliver(number));
        }
        for _ in 0..self.setup.rivals {
            let at = self.random.below(PLAN);
            self.at(at, Happening::StartGateway { is_rival: true });
        }
        for _ in 0..self.setup.shutdowns {
            let at = self.random.below(PLAN);
            self.at(at, Happening::Shutdown);
        }
        for _ in 0..self.setup.requests {
            let at = self.random.below(PLAN);
            self.at(at, Happening::Request);
        }
        for _ in 0..self.setup.store_faults {
            let (at, length) = (self.random.below(PLAN), self.random.between(100, 30_000));
            let kinds = [FaultKind::Full, FaultKind::ReadOnly, FaultKind::Unavailable];
            let write = Some(*self.random.pick(&kinds));
            let read = self.random.chance(500).then_some(FaultKind::Unavailable);
            self.at(at, Happening::Fault { write, read });
            self.at(at + length, Happening::Fault { write: None, read: None });
        }
        for number in 0..4 {
            let at = self.random.below(PLAN);
            self.at(at, Happening::Remember(number));
        }
    }

    pub(crate) fn at(&mut self, after_ms: u64, happening: Happening) {
        let at = self.now + Duration::from_millis(after_ms);
        self.happenings.insert((at, self.next_happening), happening);
        self.next_happening += 1;
    }

    /// Runs the plan, and then until nothing is left to do.
    pub(crate) fn run(&mut self) -> Checked {
        let end = Time::from_millis(PLAN);
        while self.next_time().is_some_and(|at| at < end) {
            self.step()?;
        }
        self.is_calm = true;
        self.now = end;
        (self.disk.write_fault, self.disk.read_fault) = (None, None);
        // Commands on their way arrive, and all gateways but one end.
        self.settle_down(Duration::from_secs(100))?;
        // What a gateway that lost the fence has stored is found by the next one.
        self.at(0, Happening::Shutdown);
        self.settle_down(Duration::from_secs(10))?;
        self.settle_down(Duration::from_secs(4 * 3600))?;
        self.check_end()
    }

    /// Runs for a time at most, as long as there is work.
    fn settle_down(&mut self, span: Duration) -> Checked {
        let end = self.now + span;
        if self.gateways.is_empty() {
            self.at(0, Happening::StartGateway { is_rival: false });
        }
        while self.next_time().is_some_and(|at| at <= end) {
            self.step()?;
            check("it-comes-to-rest", self.steps < 500_000, || format!("{} steps", self.steps))?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Returns the time of the next thing. Deadlines of an idle dispatcher that are a day away are no work.
    fn next_time(&self) -> Option<Time> {
        let ticks = self.gateways.values().filter_map(|gateway| gateway.dispatcher.deadline());
        self.happenings.keys().next().map(|(at, _)| *at).into_iter().chain(ticks).min()
    }

    fn step(&mut self) -> Checked {
        let Some(at) = self.next_time() else { return Ok(()) };
        self.now = self.now.max(at);
        self.steps += 1;
        let due = self.gateways.iter().filter(|(_, gateway)| {
            gateway.dispatcher.deadline().is_some_and(|deadline| deadline <= self.now)
        });
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            let now = self.now;
            self.input(number, |gateway| gateway.dispatcher.handle_tick(now))?;
            if let Some(gateway) = self.gateways.get(&number) {
                let deadline = gateway.dispatcher.deadline();
                check("nothing-is-due-after-a-tick", deadline.is_none_or(|at| at > now), || {
                    format!("{deadline:?} at {now}: {:?}", gateway.dispatcher)
                })?;
            }
        }
        if let Some(entry) = self.happenings.first_entry()
            && entry.key().0 <= self.now
        {
            let happening = entry.remove();
            self.happen(happening)?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Checked {
        let now = self.now;
        match happening {
            Happening::Deliver(number) => self.deliver(number),
            Happening::Execute { gateway, id, command, is_lost } => {
                let answer = self.disk.execute(&command);
                self.follow_journal()?;
                if !is_lost {
                    let delay = self.delay();
                    self.at(delay, Happening::Answer { gateway, id, answer });
                }
                Ok(())
            }
            Happening::Answer { gateway, id, answer } => {
                self.input(gateway, |gateway| gateway.dispatcher.handle_answer(now, id, answer))
            }
            Happening::Settle { gateway, id, settlement } => self.settle(gateway, id, settlement),
            Happening::EndAgent { gateway, agent, end } => self.end_agent(gateway, &agent, &end),
            Happening::StartAgent { gateway } => self.start_agent(gateway),
            Happening::StartGateway { is_rival } => self.start_gateway(is_rival),
            Happening::Shutdown => self.shut_down(),
            Happening::Fault { write, read } => {
                if !self.is_calm {
                    (self.disk.write_fault, self.disk.read_fault) = (write, read);
                }
                Ok(())
            }
            Happening::Request => self.request(),
            Happening::Remember(number) => {
                let Some(gateway) = self.any_gateway() else { return Ok(()) };
                let value = self.random.chance(700).then(|| format!("value {number}"));
                let key = format!("key {}", number % 3);
                self.input(gateway, |gateway| gateway.dispatcher.remember(now, &key, value.as_deref()))
            }
        }
    }

    /// Returns the time that a message between a gateway and the store takes.
    fn delay(&mut self) -> u64 {
        match !self.is_calm && self.random.chance(self.setup.late_answers) {
            true => self.random.between(5000, 30_000),
            false => self.random.between(0, 3),
        }
    }

    /// Gives a gateway an input, and carries out its outputs.
    pub(crate) fn input(&mut self, number: u64, input: impl FnOnce(&mut Gateway)) -> Checked {
        let Some(gateway) = self.gateways.get_mut(&number) else { return Ok(()) };
        input(gateway);
        self.drain(number)
    }

    pub(crate) fn drain(&mut self, number: u64) -> Checked {
        loop {
            // It may crash between any two outputs.
            self.steps += 1;
            let is_unlucky = !self.is_calm && self.random.chance(self.setup.gateway_crashes);
            let is_chosen = !self.is_calm && self.crash_at == Some(self.steps);
            if self.gateways.contains_key(&number) && (is_unlucky || is_chosen) {
                self.crash(number);
            }
            let Some(gateway) = self.gateways.get_mut(&number) else { return Ok(()) };
            let Some(output) = gateway.dispatcher.poll_output() else { break };
            if let Some(trace) = &mut self.trace {
                trace.push(format!("{} {number} {output:?}", self.now));
                if let Output::Store { command: StoreCommand::Write(batch), .. } = &output {
                    let records = batch.records.iter().map(|record| String::from_utf8_lossy(record));
                    trace.extend(records.map(|record| format!("    {record}")));
                }
            }
            self.carry_out(number, output)?;
        }
        self.check_usage(number)
    }

    /// Passes a command on to the store.
    pub(crate) fn send(&mut self, gateway: u64, id: CommandId, command: StoreCommand) {
        let is_lost = !self.is_calm && self.random.chance(self.setup.lost_answers);
        // The command itself may be lost.
        if is_lost && self.random.chance(500) {
            return;
        }
        let delay = self.delay();
        self.at(delay, Happening::Execute { gateway, id, command, is_lost });
    }

    /// Ends a gateway at once. Commands on their way to the store arrive, arrive in part, or do not.
    fn crash(&mut self, number: u64) {
        self.crashes += 1;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {number} crashes", self.now));
        }
        let on_their_way = self.happenings.iter().filter_map(|(place, happening)| match happening {
            Happening::Execute { gateway, command, .. } if *gateway == number => {
                Some((*place, command.clone()))
            }
            _ => None,
        });
        let on_their_way: Vec<_> = on_their_way.collect();
        for (place, command) in on_their_way {
            if self.random.chance(300) {
                continue;
            }
            self.happenings.remove(&place);
            if let StoreCommand::Write(batch) = command {
                let steps = self.random.below(MemoryDisk::steps(&batch) as u64 + 1);
                self.disk.write(&batch, usize::try_from(steps).unwrap());
            }
        }
        self.gateway_ended(number);
    }

    /// Removes a gateway. Its agents end with it, and another one starts.
    pub(crate) fn gateway_ended(&mut self, number: u64) {
        let Some(gateway) = self.gateways.remove(&number) else { return };
        for event in gateway.arrivals.into_values() {
            self.redeliver(event);
        }
        let after = self.random.between(1, 3000);
        self.at(after, Happening::StartGateway { is_rival: false });
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns true if an output is one of the last.
    pub(crate) fn is_last(output: &Output) -> bool {
        matches!(output, Output::Lost | Output::Released | Output::Failed(_))
    }
}
