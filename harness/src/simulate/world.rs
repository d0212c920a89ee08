//! The world of a run: both machines, the network between them, the clocks, and who comes next.

use super::active_faults::{ActiveFaults, Recovery};
use super::chat_view::ChatView;
use super::host::Host;
use super::log::Log;
use super::network::{Link, Packet};
use super::oracle::Oracle;
use super::planned_action::PlannedAction;
use super::process::Process;
use super::profile::Profile;
use super::random::Random;
use super::run_options::Counter;
use super::schedule::NextEvent;
use super::setup::{GATEWAY, Setup};
use super::users::Register;
use relayline_connector::ConnectorMachine;
use relayline_core::time::{Now, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Unix time at the beginning of a run.
const EPOCH_S: u64 = 1_800_000_000;
/// More steps than any run takes: a loop that leads nowhere ends here.
const MAX_STEPS: u64 = 200_000;

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RunPhase {
    /// Things happen.
    Plan,
    /// All is well again, until nothing is left to do: since when.
    Recovered(Time),
    /// The host takes its leave: since when.
    Leaving(Time),
    Over,
}

pub(crate) struct World<'p> {
    pub(crate) t: Time,
    pub(crate) steps: u64,
    pub(crate) setup: Setup,
    pub(crate) plan: &'p [PlannedAction],
    pub(crate) at: usize,
    pub(crate) run_phase: RunPhase,
    /// The counter that is claimed never to count.
    pub(crate) never: Option<Counter>,
    pub(crate) random: Random,
    /// What answers that nobody can foresee are drawn from.
    pub(crate) connector_random: Random,
    /// Drafts of streams, by id.
    pub(crate) drafts: BTreeMap<i64, String>,
    pub(crate) log: Log,
    pub(crate) oracle: Oracle,
    pub(crate) user_events: Register,
    pub(crate) serials: u64,
    pub(crate) connector: ConnectorMachine,
    pub(crate) process: Option<Process>,
    pub(crate) processes_started: u32,
    pub(crate) links: Vec<Link>,
    pub(crate) conns: u32,
    pub(crate) faults: ActiveFaults,
    pub(crate) host: Host,
    pub(crate) chat_view: ChatView,
    /// The gateway's monotonic clock, ahead of the world's, and its wall clock, in microseconds and seconds.
    pub(crate) ahead_us: i64,
    pub(crate) wall_s: i64,
    /// Serial numbers that the connector took into its buffer, and those that are safe.
    pub(crate) durable: BTreeSet<u64>,
    pub(crate) safe: BTreeSet<u64>,
    pub(crate) actions: BTreeMap<&'static str, u64>,
    pub(crate) arrows: Vec<u64>,
    pub(crate) counters: BTreeMap<&'static str, u64>,
}

impl<'p> World<'p> {
    pub(crate) fn new(seed: u64, profile: Profile, plan: &'p [PlannedAction], keeps: bool) -> Self {
        let setup = Setup::new(seed, profile);
        let mut random = Random::new(seed, 3);
        let connector = ConnectorMachine::new(setup.connector.clone(), random.seed());
        let mut world = World {
            t: Time::ZERO,
            steps: 0,
            host: Host::new(Random::new(seed, 4), setup.config.limits.clone()),
            setup,
            plan,
            at: 0,
            run_phase: RunPhase::Plan,
            never: None,
            random,
            connector_random: Random::new(seed, 16),
            drafts: BTreeMap::new(),
            log: Log::new(keeps),
            oracle: Oracle::default(),
            user_events: Register::new(),
            serials: 0,
            connector,
            process: None,
            processes_started: 0,
            links: Vec::new(),
            conns: 0,
            faults: ActiveFaults::default(),
            chat_view: ChatView::default(),
            ahead_us: 0,
            wall_s: 0,
            durable: BTreeSet::new(),
            safe: BTreeSet::new(),
            actions: BTreeMap::new(),
            arrows: Vec::new(),
            counters: BTreeMap::new(),
        };
        world.start_process();
        world
    }

    /// Runs to the end, or to the first violation.
    pub(crate) fn run(&mut self) {
        while !self.oracle.is_over() && self.run_phase != RunPhase::Over {
            let Some((at, next)) = self.next() else {
                self.oracle.fail("L-15", "something-is-always-due", || "nothing is".to_owned());
                break;
            };
            self.t = self.t.max(at);
            self.steps += 1;
            self.step(next);
            self.pump();
            self.check_never();
            self.advance_phase();
            if self.steps > MAX_STEPS {
                self.oracle.fail("L-15", "no-tight-loop", || format!("{MAX_STEPS} steps, and no end"));
            }
        }
        self.kill_process();
    }

    /// What was asked to be claimed beyond the rules: the run that reaches it ends there, as a failing one does.
    fn check_never(&mut self) {
        let Some((counter, process)) = self.never.zip(self.process.as_ref()) else { return };
        let value = counter.of(process.machine.stats());
        self.oracle.check("X-2", "never-counts", value == 0, || format!("{counter} is {value}"));
    }

    pub(crate) fn gateway_now(&self) -> Now {
        let us = i64::try_from(self.t.as_micros()).unwrap_or(i64::MAX).saturating_add(self.ahead_us);
        let mono = Time::from_micros(u64::try_from(us).unwrap_or(0));
        Now { mono, unix_s: self.unix_s().saturating_add_signed(self.wall_s) }
    }

    pub(crate) fn connector_now(&self) -> Now {
        Now { mono: self.t, unix_s: self.unix_s() }
    }

    fn unix_s(&self) -> u64 {
        EPOCH_S + self.t.as_millis() / 1000
    }

    fn step(&mut self, next: NextEvent) {
        match next {
            NextEvent::Action => {
                let action = self.plan[self.at];
                self.at += 1;
                self.log.remark(self.t, format_args!("{}", action.kind.name()));
                *self.actions.entry(action.kind.name()).or_default() += 1;
                self.perform(action);
            }
            NextEvent::Recover => {
                let (_, recovery) = self.faults.recoveries.remove(0);
                self.recover(recovery);
            }
            NextEvent::Request(place) => self.dial_arrives(place),
            NextEvent::Answer(place) => self.answer_arrives(place),
            NextEvent::ToGateway(place) => self.gateway_reads(place),
            NextEvent::ToConnector(place) => self.connector_reads(place),
            NextEvent::ConnectorPing(place) => {
                self.links[place].pinged = self.t;
                self.send_to_gateway(place, Packet::Ping);
            }
            NextEvent::GiveUp(place) => self.connector_gives_up(place),
            NextEvent::ConnectorTick => self.connector.handle_tick(self.connector_now()),
            NextEvent::Settle => self.host_settles(),
            NextEvent::Tick => self.tick(),
            NextEvent::StartProcess => self.start_process(),
            NextEvent::EndFaults => self.end_faults(),
            NextEvent::TimeOut => self.time_out(),
        }
    }

    /// All trouble is over.
    fn end_faults(&mut self) {
        self.log.remark(self.t, format_args!("all is well again"));
        self.run_phase = RunPhase::Recovered(self.t);
        for (_, recovery) in std::mem::take(&mut self.faults.recoveries) {
            self.recover(recovery);
        }
        let (is_tainted, start_at) = (self.faults.is_tainted, self.faults.start_at);
        self.faults = ActiveFaults { start_at, ..ActiveFaults::default() };
        self.wall_s = 0;
        let behind = self
            .process
            .as_ref()
            .map_or(Duration::ZERO, |process| process.model.now.since(self.gateway_now().mono));
        self.ahead_us += i64::try_from(behind.as_micros()).unwrap_or(0);
        self.restore_answers();
        if is_tainted {
            self.cut();
        }
        self.ensure_served();
    }

    /// Whether a stretch of the run is done.
    fn advance_phase(&mut self) {
        let run_phase = self.run_phase;
        match run_phase {
            RunPhase::Recovered(_) if self.is_quiescent() => {
                self.log.remark(self.t, format_args!("nothing is left to do"));
                self.check_nothing_is_lost();
                self.run_phase = RunPhase::Leaving(self.t);
                self.disconnect_host();
                self.pump();
            }
            RunPhase::Leaving(_) if self.process.as_ref().is_none_or(|process| process.model.is_over()) => {
                self.run_phase = RunPhase::Over;
            }
            RunPhase::Plan | RunPhase::Recovered(_) | RunPhase::Leaving(_) | RunPhase::Over => {}
        }
    }

    fn time_out(&mut self) {
        let left: Vec<String> =
            self.connector.buffered(&self.account()).map(|entry| entry.buffer_id().to_owned()).collect();
        let model = self.process.as_ref().map(|process| &process.model);
        let pending = model.map(|model| model.requests.pending.clone());
        let waits = model.map(|model| (model.inbox.waiting.len(), model.inbox.handed.len()));
        let phase = self.process.as_ref().map(|process| process.machine.phase());
        self.oracle.fail("A-2", "nothing-is-stuck", || {
            format!("{phase:?}, in the buffer {left:?}, waiting and handed {waits:?}, pending {pending:?}")
        });
    }

    /// The gateway's account with the connector.
    pub(crate) fn account(&self) -> String {
        if self.setup.config.credentials.is_some() { GATEWAY.to_owned() } else { String::new() }
    }

    /// The end of a trouble, at that time.
    pub(crate) fn recover_at(&mut self, at: Time, recovery: Recovery) {
        let place = self.faults.recoveries.partition_point(|(before, _)| *before <= at);
        self.faults.recoveries.insert(place, (at, recovery));
    }
}
