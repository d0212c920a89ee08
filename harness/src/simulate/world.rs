//! The state of a run and its main loop.

use super::active_faults::{ActiveFaults, Recovery};
use super::connector_side::ConnectorSide;
use super::host::Host;
use super::log::Log;
use super::network::{Network, Packet};
use super::oracle::Oracle;
use super::planned_action::{Plan, PlannedAction};
use super::process::GatewaySide;
use super::profile::Profile;
use super::random::Random;
use super::run::Exercised;
use super::run_options::Counter;
use super::schedule::NextEvent;
use super::setup::{GATEWAY, Setup};
use super::users::Users;
use relayline_connector::ConnectorMachine;
use relayline_core::time::{Now, Time};
use std::collections::BTreeSet;
use std::time::Duration;

/// Unix time at the start of a run.
const EPOCH_S: u64 = 1_800_000_000;
/// Maximum number of steps. A run with more is in an endless loop.
const MAX_STEPS: u64 = 200_000;

/// Phase of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RunPhase {
    /// The plan's actions are performed.
    Plan,
    /// Since that time no fault is active. The phase lasts until nothing is left to do.
    Recovered(Time),
    /// Since that time the host is disconnecting.
    Leaving(Time),
    Over,
}

/// State of a run. Each field has one owner; the methods that need several are spread over the simulator's files.
pub(crate) struct World<'p> {
    /// Virtual time.
    pub(crate) now: Time,
    pub(crate) steps: u64,
    pub(crate) run_phase: RunPhase,
    pub(crate) setup: Setup,
    pub(crate) plan: Plan<'p>,
    /// The counter that must stay 0, if `--never` names one.
    pub(crate) never: Option<Counter>,
    pub(crate) random: Random,
    pub(crate) faults: ActiveFaults,
    pub(crate) users: Users,
    pub(crate) host: Host,
    pub(crate) gateway: GatewaySide,
    pub(crate) network: Network,
    pub(crate) connector: ConnectorSide,
    pub(crate) log: Log,
    pub(crate) oracle: Oracle,
    /// Serial numbers of events that a host has taken for good, or that no host is to have.
    pub(crate) accounted_for: BTreeSet<u64>,
    pub(crate) exercised: Exercised,
}

impl<'p> World<'p> {
    pub(crate) fn new(seed: u64, profile: Profile, plan: &'p [PlannedAction], keeps: bool) -> Self {
        let setup = Setup::new(seed, profile);
        let mut random = Random::new(seed, 3);
        let connector = ConnectorMachine::new(setup.connector.clone(), random.seed());
        let mut world = World {
            now: Time::ZERO,
            steps: 0,
            run_phase: RunPhase::Plan,
            host: Host::new(Random::new(seed, 4), setup.config.limits.clone()),
            setup,
            plan: Plan { actions: plan, next: 0 },
            never: None,
            random,
            faults: ActiveFaults::default(),
            users: Users::default(),
            gateway: GatewaySide::default(),
            network: Network::default(),
            connector: ConnectorSide::new(connector, Random::new(seed, 16)),
            log: Log::new(keeps),
            oracle: Oracle::default(),
            accounted_for: BTreeSet::new(),
            exercised: Exercised::default(),
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
            self.now = self.now.max(at);
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

    /// Checks the counter that must stay 0.
    fn check_never(&mut self) {
        let Some((counter, process)) = self.never.zip(self.gateway.process.as_ref()) else { return };
        let value = counter.of(process.machine.stats());
        self.oracle.check("X-2", "never-counts", value == 0, || format!("{counter} is {value}"));
    }

    pub(crate) fn gateway_now(&self) -> Now {
        let us = i64::try_from(self.now.as_micros())
            .unwrap_or(i64::MAX)
            .saturating_add(self.gateway.clock_offset_us);
        let mono = Time::from_micros(u64::try_from(us).unwrap_or(0));
        Now { mono, unix_s: self.unix_s().saturating_add_signed(self.gateway.wall_offset_s) }
    }

    pub(crate) fn connector_now(&self) -> Now {
        Now { mono: self.now, unix_s: self.unix_s() }
    }

    fn unix_s(&self) -> u64 {
        EPOCH_S + self.now.as_millis() / 1000
    }

    fn step(&mut self, next: NextEvent) {
        match next {
            NextEvent::Action => {
                let action = self.plan.actions[self.plan.next];
                self.plan.next += 1;
                self.log.note(self.now, format_args!("{}", action.kind.name()));
                *self.exercised.actions.entry(action.kind.name()).or_default() += 1;
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
                self.network.links[place].pinged = self.now;
                self.send_to_gateway(place, Packet::Ping);
            }
            NextEvent::GiveUp(place) => self.connector_gives_up(place),
            NextEvent::ConnectorTick => self.connector.machine.handle_tick(self.connector_now()),
            NextEvent::Settle => self.host_settles(),
            NextEvent::Tick => self.tick(),
            NextEvent::StartProcess => self.start_process(),
            NextEvent::EndFaults => self.end_faults(),
            NextEvent::TimeOut => self.time_out(),
        }
    }

    /// Ends all faults.
    fn end_faults(&mut self) {
        self.log.note(self.now, format_args!("all is well again"));
        self.run_phase = RunPhase::Recovered(self.now);
        for (_, recovery) in std::mem::take(&mut self.faults.recoveries) {
            self.recover(recovery);
        }
        let (needs_new_connection, start_at) = (self.faults.needs_new_connection, self.faults.start_at);
        self.faults = ActiveFaults { start_at, ..ActiveFaults::default() };
        self.gateway.wall_offset_s = 0;
        let behind = self
            .gateway
            .process
            .as_ref()
            .map_or(Duration::ZERO, |process| process.model.now.since(self.gateway_now().mono));
        self.gateway.clock_offset_us += i64::try_from(behind.as_micros()).unwrap_or(0);
        self.restore_answers();
        if needs_new_connection {
            self.cut();
        }
        self.ensure_served();
    }

    /// Enters the next phase if the present one is done.
    fn advance_phase(&mut self) {
        let run_phase = self.run_phase;
        match run_phase {
            RunPhase::Recovered(_) if self.is_quiescent() => {
                self.log.note(self.now, format_args!("nothing is left to do"));
                self.check_nothing_is_lost();
                self.run_phase = RunPhase::Leaving(self.now);
                self.disconnect_host();
                self.pump();
            }
            RunPhase::Leaving(_)
                if self.gateway.process.as_ref().is_none_or(|process| process.model.is_over()) =>
            {
                self.run_phase = RunPhase::Over;
            }
            RunPhase::Plan | RunPhase::Recovered(_) | RunPhase::Leaving(_) | RunPhase::Over => {}
        }
    }

    fn time_out(&mut self) {
        let left: Vec<String> = self
            .connector
            .machine
            .buffered(&self.account())
            .map(|entry| entry.buffer_id().to_owned())
            .collect();
        let model = self.gateway.process.as_ref().map(|process| &process.model);
        let pending = model.map(|model| model.requests.pending.clone());
        let waits = model.map(|model| (model.inbox.waiting.len(), model.inbox.handed.len()));
        let phase = self.gateway.process.as_ref().map(|process| process.machine.phase());
        self.oracle.fail("A-2", "nothing-is-stuck", || {
            format!("{phase:?}, in the buffer {left:?}, waiting and handed {waits:?}, pending {pending:?}")
        });
    }

    /// Returns the id of the gateway's account with the connector.
    pub(crate) fn account(&self) -> String {
        if self.setup.config.credentials.is_some() { GATEWAY.to_owned() } else { String::new() }
    }

    /// Schedules the end of a fault.
    pub(crate) fn recover_at(&mut self, at: Time, recovery: Recovery) {
        let place = self.faults.recoveries.partition_point(|(before, _)| *before <= at);
        self.faults.recoveries.insert(place, (at, recovery));
    }
}
