//! The world of a run: both machines, the network between them, the clocks, and who comes next.

use super::deed::Deed;
use super::host::Host;
use super::judge::Judge;
use super::life::Life;
use super::log::Log;
use super::network::{Link, Packet};
use super::profile::Profile;
use super::random::Random;
use super::schedule::Next;
use super::setup::{GATEWAY, Setup};
use super::shown::Shown;
use super::terms::Counter;
use super::trouble::{Lift, Troubles};
use super::users::Register;
use relayline_connector::ConnectorMachine;
use relayline_core::time::{Now, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Unix time at the beginning of a run.
const EPOCH_S: u64 = 1_800_000_000;
/// More steps than any run takes: a loop that leads nowhere ends here.
const MOST_STEPS: u64 = 200_000;

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stretch {
    /// Things happen.
    Plan,
    /// All is well again, until nothing is left to do: since when.
    Healed(Time),
    /// The host takes its leave: since when.
    Leaving(Time),
    Over,
}

pub(crate) struct World<'p> {
    pub(crate) t: Time,
    pub(crate) steps: u64,
    pub(crate) setup: Setup,
    pub(crate) plan: &'p [Deed],
    pub(crate) at: usize,
    pub(crate) stretch: Stretch,
    /// The counter that is claimed never to count.
    pub(crate) never: Option<Counter>,
    pub(crate) random: Random,
    /// What answers that nobody can foresee are drawn from.
    pub(crate) fickle: Random,
    /// Drafts of streams, by id.
    pub(crate) drafts: BTreeMap<i64, String>,
    pub(crate) log: Log,
    pub(crate) judge: Judge,
    pub(crate) told: Register,
    pub(crate) serials: u64,
    pub(crate) connector: ConnectorMachine,
    pub(crate) life: Option<Life>,
    pub(crate) lives: u32,
    pub(crate) links: Vec<Link>,
    pub(crate) conns: u32,
    pub(crate) troubles: Troubles,
    pub(crate) host: Host,
    pub(crate) shown: Shown,
    /// The gateway's monotonic clock, ahead of the world's, and its wall clock, in microseconds and seconds.
    pub(crate) ahead_us: i64,
    pub(crate) wall_s: i64,
    /// Serial numbers that the connector took into its buffer, and those that are safe.
    pub(crate) durable: BTreeSet<u64>,
    pub(crate) safe: BTreeSet<u64>,
    pub(crate) deeds: BTreeMap<&'static str, u64>,
    pub(crate) arrows: Vec<u64>,
    pub(crate) counters: BTreeMap<&'static str, u64>,
}

impl<'p> World<'p> {
    pub(crate) fn new(seed: u64, profile: Profile, plan: &'p [Deed], keeps: bool) -> Self {
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
            stretch: Stretch::Plan,
            never: None,
            random,
            fickle: Random::new(seed, 16),
            drafts: BTreeMap::new(),
            log: Log::new(keeps),
            judge: Judge::default(),
            told: Register::new(),
            serials: 0,
            connector,
            life: None,
            lives: 0,
            links: Vec::new(),
            conns: 0,
            troubles: Troubles::default(),
            shown: Shown::default(),
            ahead_us: 0,
            wall_s: 0,
            durable: BTreeSet::new(),
            safe: BTreeSet::new(),
            deeds: BTreeMap::new(),
            arrows: Vec::new(),
            counters: BTreeMap::new(),
        };
        world.birth();
        world
    }

    /// Runs to the end, or to the first violation.
    pub(crate) fn run(&mut self) {
        while !self.judge.is_over() && self.stretch != Stretch::Over {
            let Some((at, next)) = self.next() else {
                self.judge.fail("L-15", "something-is-always-due", || "nothing is".to_owned());
                break;
            };
            self.t = self.t.max(at);
            self.steps += 1;
            self.step(next);
            self.pump();
            self.claim_never();
            self.calm_down();
            if self.steps > MOST_STEPS {
                self.judge.fail("L-15", "no-tight-loop", || format!("{MOST_STEPS} steps, and no end"));
            }
        }
        self.bury();
    }

    /// What was asked to be claimed beyond the rules: the run that reaches it ends there, as a failing one does.
    fn claim_never(&mut self) {
        let Some((counter, life)) = self.never.zip(self.life.as_ref()) else { return };
        let value = counter.of(life.machine.stats());
        self.judge.claim("X-2", "never-counts", value == 0, || format!("{counter} is {value}"));
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

    fn step(&mut self, next: Next) {
        match next {
            Next::Deed => {
                let deed = self.plan[self.at];
                self.at += 1;
                self.log.remark(self.t, format_args!("{}", deed.kind.name()));
                *self.deeds.entry(deed.kind.name()).or_default() += 1;
                self.carry_out(deed);
            }
            Next::Lift => {
                let (_, lift) = self.troubles.lifts.remove(0);
                self.lift(lift);
            }
            Next::Request(place) => self.dial_arrives(place),
            Next::Answer(place) => self.answer_arrives(place),
            Next::ToGateway(place) => self.gateway_reads(place),
            Next::ToConnector(place) => self.connector_reads(place),
            Next::ConnectorPing(place) => {
                self.links[place].pinged = self.t;
                self.send_to_gateway(place, Packet::Ping);
            }
            Next::GiveUp(place) => self.connector_gives_up(place),
            Next::ConnectorTick => self.connector.handle_tick(self.connector_now()),
            Next::Settle => self.host_settles(),
            Next::Tick => self.tick(),
            Next::Birth => self.birth(),
            Next::Heal => self.heal(),
            Next::Leave => self.out_of_patience(),
        }
    }

    /// All trouble is over.
    fn heal(&mut self) {
        self.log.remark(self.t, format_args!("all is well again"));
        self.stretch = Stretch::Healed(self.t);
        for (_, lift) in std::mem::take(&mut self.troubles.lifts) {
            self.lift(lift);
        }
        let (is_tainted, birth_at) = (self.troubles.is_tainted, self.troubles.birth_at);
        self.troubles = Troubles { birth_at, ..Troubles::default() };
        self.wall_s = 0;
        let behind =
            self.life.as_ref().map_or(Duration::ZERO, |life| life.model.now.since(self.gateway_now().mono));
        self.ahead_us += i64::try_from(behind.as_micros()).unwrap_or(0);
        self.restore_answers();
        if is_tainted {
            self.cut();
        }
        self.stay_served();
    }

    /// Whether a stretch of the run is done.
    fn calm_down(&mut self) {
        let stretch = self.stretch;
        match stretch {
            Stretch::Healed(_) if self.is_quiet() => {
                self.log.remark(self.t, format_args!("nothing is left to do"));
                self.claim_nothing_is_lost();
                self.stretch = Stretch::Leaving(self.t);
                self.take_leave();
                self.pump();
            }
            Stretch::Leaving(_) if self.life.as_ref().is_none_or(|life| life.model.is_over()) => {
                self.stretch = Stretch::Over;
            }
            Stretch::Plan | Stretch::Healed(_) | Stretch::Leaving(_) | Stretch::Over => {}
        }
    }

    fn out_of_patience(&mut self) {
        let left: Vec<String> =
            self.connector.buffered(&self.account()).map(|entry| entry.buffer_id().to_owned()).collect();
        let model = self.life.as_ref().map(|life| &life.model);
        let pending = model.map(|model| model.requests.pending.clone());
        let waits = model.map(|model| (model.inbox.waiting.len(), model.inbox.handed.len()));
        let phase = self.life.as_ref().map(|life| life.machine.phase());
        self.judge.fail("A-2", "nothing-is-stuck", || {
            format!("{phase:?}, in the buffer {left:?}, waiting and handed {waits:?}, pending {pending:?}")
        });
    }

    /// The gateway's account with the connector.
    pub(crate) fn account(&self) -> String {
        if self.setup.config.credentials.is_some() { GATEWAY.to_owned() } else { String::new() }
    }

    /// The end of a trouble, at that time.
    pub(crate) fn lift_at(&mut self, at: Time, lift: Lift) {
        let place = self.troubles.lifts.partition_point(|(before, _)| *before <= at);
        self.troubles.lifts.insert(place, (at, lift));
    }
}
