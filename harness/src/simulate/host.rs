//! The host: takes deliveries at its own pace, settles them, and submits commands.

use super::network::Stage;
use super::random::Random;
use super::replies::OpenReply;
use super::world::{RunPhase, World};
use relayline_core::command::{Command, Failure, FailureKind, Reply};
use relayline_core::config::Limits;
use relayline_core::op::StreamReply;
use relayline_core::output::{DeliveryId, Outcome, Phase};
use relayline_core::time::Time;
use relayline_core::trace::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Number of streams that a host can have in progress without an eviction.
pub(crate) const FEW_STREAMS: usize = 10;

/// The host's deliveries, replies and memory.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) random: Random,
    limits: Limits,
    /// Unsettled deliveries, by the time at which the host settles them.
    unsettled: BTreeSet<(Time, u64)>,
    pub(crate) last_delivery: u64,
    /// Ids of messages that the host sent, newest last.
    pub(crate) messages: Vec<String>,
    /// Prompts that users have seen.
    pub(crate) seen_prompts: Vec<String>,
    pub(crate) streams: Vec<StreamedReply>,
    pub(crate) streams_begun: u64,
    pub(crate) open_replies: Vec<OpenReply>,
    /// States of unfinished streams, by request.
    unfinished_states: BTreeMap<u64, StreamReply>,
    /// Streams that have failed.
    pub(crate) failed: BTreeSet<String>,
    /// Last states that were never written. The host may repeat them (O-10).
    pub(crate) to_repeat: Vec<StreamReply>,
}

/// A streamed reply with its last state.
#[derive(Clone, Debug)]
pub(crate) struct StreamedReply {
    pub(crate) state: StreamReply,
}

impl Host {
    pub(crate) fn new(random: Random, limits: Limits) -> Self {
        Host {
            random,
            limits,
            unsettled: BTreeSet::new(),
            last_delivery: 0,
            messages: Vec::new(),
            seen_prompts: Vec::new(),
            streams: Vec::new(),
            streams_begun: 0,
            open_replies: Vec::new(),
            unfinished_states: BTreeMap::new(),
            failed: BTreeSet::new(),
            to_repeat: Vec::new(),
        }
    }

    /// Forgets the state of the process before.
    pub(crate) fn begin(&mut self) {
        self.unsettled.clear();
        self.last_delivery = 0;
        self.streams.clear();
        self.open_replies.clear();
        self.unfinished_states.clear();
        self.failed.clear();
        self.to_repeat.clear();
    }

    pub(crate) fn settles_at(&self) -> Option<Time> {
        self.unsettled.first().map(|(at, _)| *at)
    }

    pub(crate) fn completed(&mut self, id: u64, result: &Result<Reply, Failure>) {
        let state = self.unfinished_states.remove(&id);
        if let (Some(state), Err(failure)) = (state, result) {
            self.failed.insert(state.stream.clone());
            // With few streams another may have taken its place, and a stopped one must not continue.
            let goes_on = self.limits.streams > FEW_STREAMS && state.delivery.is_none() && state.last;
            if goes_on && failure.kind == FailureKind::Definite {
                self.to_repeat.push(state);
            }
        }
        if let Ok(Reply::Sent { message_id: Some(id), .. } | Reply::Prompted { message_id: Some(id), .. }) =
            result
        {
            self.messages.push(id.clone());
        }
    }
}

impl World<'_> {
    /// Returns true if the host takes another delivery now.
    pub(crate) fn host_takes_more(&self) -> bool {
        self.now >= self.faults.host_slow_until && self.host.unsettled.len() < self.setup.host_concurrency
    }

    /// Records a delivery and draws the time at which the host settles it.
    pub(crate) fn host_received(&mut self, delivery: DeliveryId) {
        let at = self.now + Duration::from_micros(self.host.random.below(self.setup.max_settle_us));
        self.host.unsettled.insert((at, delivery.number()));
        self.host.last_delivery = delivery.number();
    }

    /// Settles the delivery that is due.
    pub(crate) fn host_settles(&mut self) {
        let Some((_, number)) = self.host.unsettled.pop_first() else { return };
        let refuses = self.now < self.faults.host_refuses_until;
        let outcome = match refuses && self.host.random.chance(70) {
            true => Outcome::Refused,
            false => Outcome::Accepted,
        };
        self.settle(number, outcome);
    }

    pub(crate) fn settle(&mut self, number: u64, outcome: Outcome) {
        let id = DeliveryId::from_number(number);
        let (t, now) = (self.now, self.gateway_now());
        let Some(process) = self.gateway.process.as_mut().filter(|_| t >= self.faults.suspended_until) else {
            return;
        };
        self.log.trace_line(t, format_args!("{}", Entry::settled(now.mono, id, outcome)));
        process.model.advance_clock(now);
        process.model.settled(id, outcome);
        process.machine.settle(now, id, outcome);
        process.model.observe(&process.machine);
    }

    pub(crate) fn submit(&mut self, command: Command) -> bool {
        let (t, now) = (self.now, self.gateway_now());
        let Some(process) = self.gateway.process.as_mut().filter(|_| t >= self.faults.suspended_until) else {
            return false;
        };
        process.model.advance_clock(now);
        let answer = process.machine.submit(now, command.clone());
        self.log.trace_line(t, format_args!("{}", Entry::submitted(now.mono, command.name(), &answer)));
        if let Ok(id) = &answer {
            process.model.prefix = process.machine.wire_id(*id)[..16].to_owned();
            if let Command::Stream(state) = &command {
                self.host.unfinished_states.insert(id.number(), state.clone());
            }
        }
        process.model.submitted(&mut self.oracle, &command, &answer);
        process.model.check_bounds(&mut self.oracle, &process.machine.usage());
        process.model.observe(&process.machine);
        let is_accepted = answer.is_ok();
        if let Err(refused) = answer {
            let (back, _) = refused.into_parts();
            self.oracle.check("O-6", "refused-comes-back", back == command, || format!("{back:?}"));
        }
        is_accepted
    }

    /// Resumes delivery, or starts a process if there is none.
    pub(crate) fn ensure_served(&mut self) {
        if self.gateway.process.as_ref().is_some_and(|process| !process.model.is_over()) {
            self.submit(Command::Resume);
        } else if self.faults.start_at.is_none() {
            self.start_process();
        }
    }

    /// Returns true if nothing is left to do. No fault may be active.
    pub(crate) fn is_quiescent(&mut self) -> bool {
        let account = self.account();
        let Some(process) = &self.gateway.process else { return false };
        if process.machine.phase() == Phase::Idle {
            // The gateway went idle before: the connector drains only a served one.
            self.submit(Command::Resume);
            self.pump();
            return false;
        }
        let model = &process.model;
        let settled =
            model.inbox.waiting.is_empty() && model.inbox.handed.is_empty() && self.host.unsettled.is_empty();
        let on_its_way = self.network.links.iter().any(|link| {
            link.gateway
                && (link.stage != Stage::Open || !link.to_gateway.is_empty() || !link.to_connector.is_empty())
        });
        process.machine.phase() == Phase::Connected
            && settled
            && !on_its_way
            && model.inbox.owed.is_empty()
            && model.inbox.posts.is_empty()
            && model.requests.pending.is_empty()
            && self.connector.machine.deadline().is_none()
            && self.connector.machine.buffered(&account).next().is_none()
    }

    /// Checks that every buffered event is with a host or needs none.
    pub(crate) fn check_nothing_is_lost(&mut self) {
        if let Some(process) = &self.gateway.process {
            self.accounted_for.extend(process.model.inbox.accounted_for.iter().copied());
        }
        let lost: Vec<u64> = self.connector.buffered.difference(&self.accounted_for).copied().collect();
        self.oracle
            .check("A-1", "no-buffered-event-is-lost", lost.is_empty(), || format!("{lost:?} are lost"));
    }

    pub(crate) fn disconnect_host(&mut self) {
        if !self.submit(Command::Disconnect) {
            self.run_phase = RunPhase::Over;
        }
    }
}
