//! The gateway's process: drives the machine as its documentation describes, and updates the model.

use super::active_faults::Recovery;
use super::model::Model;
use super::network::{Link, Packet, Stage};
use super::random::Random;
use super::world::{RunPhase, World};
use crate::recording::{LineContent, Side};
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::output::{Action, Conn, Notice, Transmit};
use relayline_core::time::Now;
use relayline_core::trace::{Entry, Ids};
use std::time::Duration;

/// The gateway's side: its process and its clocks.
#[derive(Debug, Default)]
pub(crate) struct GatewaySide {
    pub(crate) process: Option<Box<Process>>,
    pub(crate) processes_started: u32,
    /// Offset of the gateway's monotonic clock from virtual time, in microseconds.
    pub(crate) clock_offset_us: i64,
    /// Offset of the gateway's wall clock, in seconds.
    pub(crate) wall_offset_s: i64,
}

/// One process of the gateway.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) machine: RelayMachine,
    pub(crate) model: Model,
    ids: Ids,
    /// All dials, as sources of late events.
    pub(crate) dials: Vec<Conn>,
    frame: Vec<u8>,
}

impl World<'_> {
    /// Starts a process of the gateway.
    pub(crate) fn start_process(&mut self) {
        self.kill_process();
        self.faults.start_at = None;
        self.gateway.processes_started += 1;
        self.log.note(self.now, format_args!("process {} begins", self.gateway.processes_started));
        if self.run_phase != RunPhase::Plan {
            self.restore_answers();
        }
        self.readmit();
        let now = self.gateway_now();
        let seed = Random::new(self.random.draw(), u64::from(self.gateway.processes_started)).seed();
        let machine = RelayMachine::new(self.setup.config.clone(), seed, now);
        let ids = Ids::of(&machine);
        let model = Model::new(self.setup.config.clone(), now);
        self.host.begin();
        self.gateway.process =
            Some(Box::new(Process { machine, model, ids, dials: Vec::new(), frame: Vec::new() }));
        self.pump();
    }

    /// Kills the process and closes its socket. Its counters and settled events are kept.
    pub(crate) fn kill_process(&mut self) {
        let Some(process) = self.gateway.process.take() else { return };
        self.accounted_for.extend(process.model.inbox.accounted_for.iter().copied());
        for (place, (_, taken)) in process.machine.transitions().enumerate() {
            if self.exercised.transitions.len() <= place {
                self.exercised.transitions.push(0);
            }
            self.exercised.transitions[place] += taken;
        }
        for (name, value) in process.machine.stats().iter() {
            *self.exercised.counters.entry(name).or_default() += value;
        }
        for place in 0..self.network.links.len() {
            if self.network.links[place].gateway {
                self.close_gateway_end(place);
            }
        }
        self.host.begin();
    }

    /// Calls `act` with the process, if there is one.
    pub(crate) fn with_process(&mut self, act: impl FnOnce(&mut World<'_>, &mut Process, Now)) {
        let Some(mut process) = self.gateway.process.take() else { return };
        let now = self.gateway_now();
        act(self, &mut process, now);
        process.model.observe(&process.machine);
        self.gateway.process = Some(process);
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.now >= self.faults.suspended_until
    }

    pub(crate) fn tick(&mut self) {
        self.with_process(|world, process, now| {
            if let Some((_, timer)) = process.machine.deadline() {
                world.log.trace_line(world.now, format_args!("{}", Entry::timer(now.mono, timer)));
            }
            process.model.advance_clock(now);
            process.model.before_tick();
            process.machine.handle_tick(now);
        });
        self.drain();
        self.with_process(|world, process, _| {
            process.model.check_after_tick(&mut world.oracle, &process.machine)
        });
    }

    pub(crate) fn io(&mut self, event: &IoEvent<'_>) {
        self.with_process(|world, process, now| {
            world.log.trace_line(world.now, format_args!("{}", Entry::io(now.mono, event)));
            process.model.advance_clock(now);
            process.model.io(event);
            process.machine.handle_io(now, *event);
        });
    }

    /// Takes all outputs of the machine, in the documented order.
    pub(crate) fn drain(&mut self) {
        if !self.is_awake() {
            return;
        }
        let mut idle = false;
        while !idle && !self.oracle.is_over() {
            idle = true;
            self.with_process(|world, process, now| {
                while let Some(action) = process.machine.poll_action() {
                    idle = false;
                    world.act(process, now, &action);
                }
                let takes = world.host_takes_more();
                let link = world.open_link();
                let link = link.filter(|place| world.network.links[*place].to_connector.has_room());
                if takes || link.is_some() {
                    process.model.advance_clock(now);
                }
                if takes && let Some(delivery) = process.machine.poll_delivery(now) {
                    idle = false;
                    world.log.trace_line(
                        world.now,
                        format_args!(
                            "{}",
                            Entry::delivery(now.mono, &delivery, process.machine.config().sessions)
                        ),
                    );
                    process.model.observe(&process.machine);
                    process.model.check_delivery(&mut world.oracle, &delivery);
                    process.model.check_bounds(&mut world.oracle, &process.machine.usage());
                    world.host_received(delivery.id);
                    return;
                }
                let Some(place) = link else { return };
                let mut frame = std::mem::take(&mut process.frame);
                if let Some(transmit) = process.machine.poll_transmit(now, &mut frame) {
                    idle = false;
                    world.transmit(process, now, place, &transmit, &frame);
                }
                process.frame = frame;
            });
        }
        self.check_drained();
    }

    /// Checks the invariants of a drained machine, and that it has no further output.
    fn check_drained(&mut self) {
        if self.oracle.is_over() {
            return;
        }
        let takes = self.host_takes_more();
        let link = self.network.links.iter().find(|link| link.gateway && link.stage == Stage::Open);
        let can_write = link.is_some_and(|link| link.to_connector.has_room());
        self.with_process(|world, process, _| {
            process.model.can_write = can_write;
            let over = process.machine.poll_action();
            world.oracle.check("X-1", "idle-polls-yield-nothing", over.is_none(), || format!("{over:?}"));
            process.model.check_drained(&mut world.oracle, &process.machine, takes);
            for (ids, text) in std::mem::take(&mut process.model.finished_streams) {
                let wanted: String = text.chars().filter(|sign| !sign.is_whitespace()).collect();
                let shown = world.connector.chat_view.text(&ids);
                let fits = shown.as_ref().is_none_or(|shown| *shown == wanted);
                world.oracle.check("O-10", "a-streamed-reply-is-shown-whole", fits, || {
                    format!("{ids:?} show {shown:?}, and should show {wanted:?}")
                });
            }
        });
    }

    fn act(&mut self, process: &mut Process, now: Now, action: &Action) {
        self.log.trace_line(self.now, format_args!("{}", Entry::action(now.mono, action)));
        process.model.check_action(&mut self.oracle, now, action);
        match action {
            Action::Dial { conn, token } => {
                process.dials.push(*conn);
                self.dial(*conn, token.as_ref().map(|token| token.expose().to_owned()));
            }
            Action::Drop { conn } => {
                if let Some(place) =
                    self.network.links.iter().position(|link| link.gateway && link.ours == *conn)
                {
                    self.close_gateway_end(place);
                }
            }
            Action::Complete { id, result } => self.host.completed(id.number(), result),
            Action::Fatal(_) | Action::Notify(Notice::Stopped) => {
                if self.run_phase == RunPhase::Plan {
                    let wait = Duration::from_millis(500 + self.random.below(40_000));
                    self.faults.start_at = Some(self.now + wait);
                } else if matches!(self.run_phase, RunPhase::Recovered(_)) {
                    self.faults.start_at = Some(self.now + Duration::from_secs(1));
                }
            }
            // The model has checked it, and nothing else depends on it.
            Action::Interrupt { .. } | Action::Notify(_) | Action::Respond { .. } => {}
        }
    }

    fn dial(&mut self, conn: Conn, token: Option<String>) {
        self.network.dials += 1;
        let mut random = Random::new(self.setup.link_seed, u64::from(self.network.dials));
        let latency = Duration::from_micros(100 + random.below(self.setup.link_config.latency_us));
        let stage = match self.now < self.faults.swallow_dials_until {
            true => Stage::Swallowed,
            false => Stage::Asking { at: self.now + latency, token },
        };
        self.network.links.retain(|link| !link.is_over());
        self.network.links.push(Link::new(
            conn,
            relayline_connector::ConnId(self.network.dials),
            stage,
            self.now,
            random,
        ));
    }

    /// Closes the gateway's end of a link. The connector is notified, unless the dial got no response.
    fn close_gateway_end(&mut self, place: usize) {
        let link = &mut self.network.links[place];
        match link.stage {
            // Only the gateway knows of this dial.
            Stage::Swallowed | Stage::Asking { .. } => {}
            Stage::Answered { .. } | Stage::Open => {
                let dial = Some(link.theirs.0);
                self.log.record(self.now, || LineContent::Drop { by: Side::Gateway, dial });
            }
        }
        link.gateway = false;
        link.to_gateway.clear();
        match link.stage {
            Stage::Swallowed => link.stage = Stage::Open,
            Stage::Asking { .. } | Stage::Answered { .. } | Stage::Open => {
                link.to_connector.put(self.now, Packet::Reset, &mut link.random, self.setup.link_config);
            }
        }
    }

    fn transmit(&mut self, process: &mut Process, now: Now, place: usize, transmit: &Transmit, frame: &[u8]) {
        self.log.trace_line(
            self.now,
            format_args!("{}", Entry::transmit(now.mono, transmit, frame, &process.ids)),
        );
        process.model.observe(&process.machine);
        process.model.transmit(&mut self.oracle, transmit, frame);
        let packet = match transmit {
            Transmit::Frame { .. } => {
                self.log.record_bytes(self.now, Side::Gateway, frame);
                Packet::Bytes(frame.to_vec())
            }
            Transmit::Ping { .. } => Packet::Ping,
            Transmit::Close { code, reason, .. } => {
                let (code, reason) = (*code, (*reason).to_owned());
                self.log.record(self.now, || LineContent::Close {
                    by: Side::Gateway,
                    dial: None,
                    code: Some(code),
                    reason: reason.clone(),
                });
                Packet::Close { code, reason }
            }
        };
        let link = &mut self.network.links[place];
        link.to_connector.put(self.now, packet, &mut link.random, self.setup.link_config);
    }

    /// Suspends the process for this time.
    pub(crate) fn suspend(&mut self, span: Duration) {
        self.faults.suspended_until = self.now + span;
        self.recover_at(self.now + span, Recovery::WakeUp);
    }
}
