//! The gateway's process: who drives the machine, as its documentation says, with the model looking on.

use super::model::Model;
use super::network::{Link, Packet, Stage};
use super::random::Random;
use super::trouble::Lift;
use super::world::{Stretch, World};
use crate::recording::{By, What};
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::output::{Action, Conn, Notice, Transmit};
use relayline_core::time::Now;
use relayline_core::trace::{Entry, Ids};
use std::time::Duration;

/// One process, from its start to its end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) machine: RelayMachine,
    pub(crate) model: Model,
    ids: Ids,
    /// All dials, for sockets that still speak when they are over.
    pub(crate) dials: Vec<Conn>,
    frame: Vec<u8>,
}

impl World<'_> {
    /// A gateway's process begins.
    pub(crate) fn birth(&mut self) {
        self.bury();
        self.troubles.birth_at = None;
        self.lives += 1;
        self.log.remark(self.t, format_args!("process {} begins", self.lives));
        if self.stretch != Stretch::Plan {
            self.restore_answers();
        }
        self.readmit();
        let now = self.gateway_now();
        let seed = Random::new(self.random.draw(), u64::from(self.lives)).seed();
        let machine = RelayMachine::new(self.setup.config.clone(), seed, now);
        let ids = Ids::of(&machine);
        let model = Model::new(self.setup.config.clone(), now);
        self.host.begin();
        self.life = Some(Life { machine, model, ids, dials: Vec::new(), frame: Vec::new() });
        self.pump();
    }

    /// The process is gone, and its socket with it; what it knew counts.
    pub(crate) fn bury(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.safe.extend(life.model.inbox.safe.iter().copied());
        for (place, (_, taken)) in life.machine.transitions().enumerate() {
            if self.arrows.len() <= place {
                self.arrows.push(0);
            }
            self.arrows[place] += taken;
        }
        for (name, value) in life.machine.stats().iter() {
            *self.counters.entry(name).or_default() += value;
        }
        for place in 0..self.links.len() {
            if self.links[place].gateway {
                self.hang_up(place);
            }
        }
        self.host.begin();
    }

    /// Runs the machine's part of the world, if it is there and awake.
    pub(crate) fn with_life(&mut self, act: impl FnOnce(&mut World<'_>, &mut Life, Now)) {
        let Some(mut life) = self.life.take() else { return };
        let now = self.gateway_now();
        act(self, &mut life, now);
        life.model.watched(&life.machine);
        self.life = Some(life);
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.t >= self.troubles.suspended_until
    }

    pub(crate) fn tick(&mut self) {
        self.with_life(|world, life, now| {
            if let Some((_, timer)) = life.machine.deadline() {
                world.log.say(world.t, format_args!("{}", Entry::timer(now.mono, timer)));
            }
            life.model.told(now);
            life.model.passes();
            life.machine.handle_tick(now);
        });
        self.drain();
        self.with_life(|world, life, _| life.model.ticked(&mut world.judge, &life.machine));
    }

    pub(crate) fn io(&mut self, event: &IoEvent<'_>) {
        self.with_life(|world, life, now| {
            world.log.say(world.t, format_args!("{}", Entry::io(now.mono, event)));
            life.model.told(now);
            life.model.io(event);
            life.machine.handle_io(now, *event);
        });
    }

    /// Takes all that the machine puts out, in the order that its documentation gives.
    pub(crate) fn drain(&mut self) {
        if !self.is_awake() {
            return;
        }
        let mut idle = false;
        while !idle && !self.judge.is_over() {
            idle = true;
            self.with_life(|world, life, now| {
                while let Some(action) = life.machine.poll_action() {
                    idle = false;
                    world.act(life, now, &action);
                }
                let takes = world.host_takes_more();
                let link = world.open_link();
                let link = link.filter(|place| world.links[*place].to_connector.has_room());
                if takes || link.is_some() {
                    life.model.told(now);
                }
                if takes && let Some(delivery) = life.machine.poll_delivery(now) {
                    idle = false;
                    world.log.say(
                        world.t,
                        format_args!(
                            "{}",
                            Entry::delivery(now.mono, &delivery, life.machine.config().sessions)
                        ),
                    );
                    life.model.watched(&life.machine);
                    life.model.delivery(&mut world.judge, &delivery);
                    life.model.is_bounded(&mut world.judge, &life.machine.held());
                    world.host_took(delivery.id);
                    return;
                }
                let Some(place) = link else { return };
                let mut frame = std::mem::take(&mut life.frame);
                if let Some(transmit) = life.machine.poll_transmit(now, &mut frame) {
                    idle = false;
                    world.transmit(life, now, place, &transmit, &frame);
                }
                life.frame = frame;
            });
        }
        self.quiet();
    }

    /// What must hold when all has been taken, and that nothing more comes of nothing.
    fn quiet(&mut self) {
        if self.judge.is_over() {
            return;
        }
        let takes = self.host_takes_more();
        let link = self.links.iter().find(|link| link.gateway && link.stage == Stage::Open);
        let can_write = link.is_some_and(|link| link.to_connector.has_room());
        self.with_life(|world, life, _| {
            life.model.can_write = can_write;
            let over = life.machine.poll_action();
            world.judge.claim("X-1", "idle-polls-yield-nothing", over.is_none(), || format!("{over:?}"));
            life.model.quiet(&mut world.judge, &life.machine, takes);
            for (ids, text) in std::mem::take(&mut life.model.streamed) {
                let wanted: String = text.chars().filter(|sign| !sign.is_whitespace()).collect();
                let shown = world.shown.text(&ids);
                let fits = shown.as_ref().is_none_or(|shown| *shown == wanted);
                world.judge.claim("O-10", "a-streamed-reply-is-shown-whole", fits, || {
                    format!("{ids:?} show {shown:?}, and should show {wanted:?}")
                });
            }
        });
    }

    fn act(&mut self, life: &mut Life, now: Now, action: &Action) {
        self.log.say(self.t, format_args!("{}", Entry::action(now.mono, action)));
        life.model.action(&mut self.judge, now, action);
        match action {
            Action::Dial { conn, token } => {
                life.dials.push(*conn);
                self.dial(*conn, token.as_ref().map(|token| token.expose().to_owned()));
            }
            Action::Drop { conn } => {
                if let Some(place) = self.links.iter().position(|link| link.gateway && link.ours == *conn) {
                    self.hang_up(place);
                }
            }
            Action::Complete { id, result } => self.host.completed(id.number(), result),
            Action::Fatal(_) | Action::Notify(Notice::Stopped) => {
                if self.stretch == Stretch::Plan {
                    let wait = Duration::from_millis(500 + self.random.below(40_000));
                    self.troubles.birth_at = Some(self.t + wait);
                } else if matches!(self.stretch, Stretch::Healed(_)) {
                    self.troubles.birth_at = Some(self.t + Duration::from_secs(1));
                }
            }
            // The model has looked at it, and nobody else waits for it.
            Action::Interrupt { .. } | Action::Notify(_) | Action::Respond { .. } => {}
        }
    }

    fn dial(&mut self, conn: Conn, token: Option<String>) {
        self.conns += 1;
        let mut random = Random::new(self.setup.link_seed, u64::from(self.conns));
        let latency = Duration::from_micros(100 + random.below(self.setup.manners.latency_us));
        let stage = match self.t < self.troubles.swallow_dials_until {
            true => Stage::Swallowed,
            false => Stage::Asking { at: self.t + latency, token },
        };
        self.links.retain(|link| !link.is_over());
        self.links.push(Link::new(conn, relayline_connector::ConnId(self.conns), stage, self.t, random));
    }

    /// The gateway lets go of a socket: the connector hears of it, unless the network swallows that.
    fn hang_up(&mut self, place: usize) {
        let link = &mut self.links[place];
        match link.stage {
            // Nobody knows of it but the gateway.
            Stage::Swallowed | Stage::Asking { .. } => {}
            Stage::Answered { .. } | Stage::Open => {
                let dial = Some(link.theirs.0);
                self.log.record(self.t, || What::Drop { by: By::Gateway, dial });
            }
        }
        link.gateway = false;
        link.to_gateway.clear();
        match link.stage {
            Stage::Swallowed => link.stage = Stage::Open,
            Stage::Asking { .. } | Stage::Answered { .. } | Stage::Open => {
                link.to_connector.put(self.t, Packet::Reset, &mut link.random, self.setup.manners);
            }
        }
    }

    fn transmit(&mut self, life: &mut Life, now: Now, place: usize, transmit: &Transmit, frame: &[u8]) {
        self.log.say(self.t, format_args!("{}", Entry::transmit(now.mono, transmit, frame, &life.ids)));
        life.model.watched(&life.machine);
        life.model.transmit(&mut self.judge, transmit, frame);
        let packet = match transmit {
            Transmit::Frame { .. } => {
                self.log.record_bytes(self.t, By::Gateway, frame);
                Packet::Bytes(frame.to_vec())
            }
            Transmit::Ping { .. } => Packet::Ping,
            Transmit::Close { code, reason, .. } => {
                let (code, reason) = (*code, (*reason).to_owned());
                self.log.record(self.t, || What::Close {
                    by: By::Gateway,
                    dial: None,
                    code: Some(code),
                    reason: reason.clone(),
                });
                Packet::Close { code, reason }
            }
        };
        let link = &mut self.links[place];
        link.to_connector.put(self.t, packet, &mut link.random, self.setup.manners);
    }

    /// The machine sleeps until then, and whoever waits for it looks again.
    pub(crate) fn suspend(&mut self, span: Duration) {
        self.troubles.suspended_until = self.t + span;
        self.lift_at(self.t + span, Lift::Look);
    }
}
