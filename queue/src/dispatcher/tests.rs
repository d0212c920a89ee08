//! Tests of the dispatcher in virtual time. The simulation has the interleavings; here is each promise by itself.

mod deliveries;
mod leases;
mod life;
mod store;

use super::{Arrival, Dispatcher};
use crate::config::QueueLimits;
use crate::id::{AgentId, ArrivalId, CommandId, DedupeKey, EntryId, HandOutId, RequestId};
use crate::output::{NotSettled, NotStored, OperatorRequest, Output, RequestRefused, Settlement, Stored};
use crate::store::StoreCommand;
use crate::store::memory::MemoryDisk;
use relayline_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

fn id(entry: u64, attempt: u32) -> HandOutId {
    HandOutId { entry: EntryId(entry), attempt }
}

/// Dispatcher with a store in memory.
struct Bench {
    dispatcher: Dispatcher,
    disk: MemoryDisk,
    now: Time,
    /// Commands that the store has not carried out.
    commands: VecDeque<(CommandId, StoreCommand)>,
    /// Other outputs that no test has looked at.
    outputs: VecDeque<Output>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut QueueLimits)) -> Bench {
        Bench::on(MemoryDisk::default(), change)
    }

    /// Starts on a disk with what it has.
    fn on(disk: MemoryDisk, change: impl FnOnce(&mut QueueLimits)) -> Bench {
        let mut limits = QueueLimits::default();
        change(&mut limits);
        let dispatcher = Dispatcher::new(limits, "leader", Time::ZERO);
        let (commands, outputs) = (VecDeque::new(), VecDeque::new());
        let mut bench = Bench { dispatcher, disk, now: Time::ZERO, commands, outputs };
        bench.settle_down();
        bench
    }

    /// Starts, and leads with an agent `x`.
    fn leading(change: impl FnOnce(&mut QueueLimits)) -> Bench {
        let mut bench = Bench::new(change);
        assert!(matches!(bench.outputs.pop_front(), Some(Output::Leading { epoch: 1 })));
        bench.agent("x");
        bench
    }

    /// Moves the outputs of the dispatcher to their places.
    fn drain(&mut self) {
        while let Some(output) = self.dispatcher.poll_output() {
            match output {
                Output::Store { id, command } => self.commands.push_back((id, command)),
                other => self.outputs.push_back(other),
            }
        }
    }

    /// Carries out one command.
    fn answer(&mut self) -> bool {
        self.drain();
        let Some((id, command)) = self.commands.pop_front() else { return false };
        let answer = self.disk.execute(&command);
        self.dispatcher.handle_answer(self.now, id, answer);
        self.drain();
        true
    }

    /// Carries out commands until there are none.
    fn settle_down(&mut self) {
        while self.answer() {}
    }

    /// Lets time pass, with all that is due on the way.
    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.dispatcher.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.dispatcher.handle_tick(self.now);
            self.settle_down();
        }
        self.now = end;
        self.dispatcher.handle_tick(end);
        self.settle_down();
    }

    fn agent(&mut self, id: &str) {
        self.dispatcher.handle_agent_ready(self.now, &AgentId::new(id));
        self.settle_down();
    }

    fn arrive(&mut self, n: u8, session: &str) {
        let key = Some(DedupeKey([n; 16]));
        let body = format!("body {n}").into_bytes().into();
        let arrival =
            Arrival { id: ArrivalId(u64::from(n)), session: session.into(), key, body, memory: None };
        self.dispatcher.handle_arrival(self.now, arrival);
        self.drain();
    }

    fn done(&mut self, entry: u64, attempt: u32) {
        let id = id(entry, attempt);
        self.dispatcher.settle(self.now, id, Settlement::Done);
        self.drain();
    }

    fn refuse(&mut self, entry: u64, attempt: u32) {
        let id = id(entry, attempt);
        self.dispatcher.settle(self.now, id, Settlement::Refused("no".to_owned()));
        self.drain();
    }

    fn request(&mut self, request: OperatorRequest) -> Result<(), RequestRefused> {
        self.dispatcher.handle_request(self.now, RequestId(7), request);
        self.settle_down();
        let place = self.outputs.iter().position(|output| matches!(output, Output::Requested { .. }));
        match place.and_then(|place| self.outputs.remove(place)) {
            Some(Output::Requested { request: RequestId(7), result }) => result,
            other => panic!("the answer to a request, not {other:?}"),
        }
    }

    /// Returns the outputs as short texts.
    fn take(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.outputs).into_iter().map(|output| short(&output)).collect()
    }
}

fn short(output: &Output) -> String {
    match output {
        Output::Leading { epoch } => format!("leading {epoch}"),
        Output::HandOut(hand_out) => {
            let body = String::from_utf8_lossy(&hand_out.body).replace("body ", "");
            assert_eq!(hand_out.is_redelivered(), hand_out.id.attempt > 1);
            format!("{} gets {}: {body}", hand_out.agent, hand_out.id)
        }
        Output::Arrived { arrival, result: Ok(Stored::New(entry)) } => format!("{arrival} is {entry}"),
        Output::Arrived { arrival, result: Ok(Stored::Duplicate) } => format!("{arrival} is known"),
        Output::Arrived { arrival, result: Err(NotStored::Unavailable) } => format!("{arrival} is not taken"),
        Output::Arrived { arrival, result: Err(NotStored::NotLeading) } => format!("{arrival} has no leader"),
        Output::Settled { hand_out, result: Ok(()) } => format!("{hand_out} is settled"),
        Output::Settled { hand_out, result: Err(NotSettled::Late) } => format!("{hand_out} is late"),
        Output::Settled { hand_out, result: Err(NotSettled::NotLeading) } => {
            format!("{hand_out} has no leader")
        }
        Output::DeadLetter { entry, error, .. } => format!("{entry} is dead: {error}"),
        Output::StoreFailed(fault) => format!("{:?}", fault.kind),
        Output::Pause(reason) => format!("pause: {reason:?}"),
        Output::Resume => "resume".to_owned(),
        Output::LeaseLost { worker } => format!("{worker} has no lease"),
        Output::StillLeading => "still leading".to_owned(),
        Output::Lost => "lost".to_owned(),
        Output::Released => "released".to_owned(),
        other => format!("{other:?}"),
    }
}
