//! Hand-outs and settlements.

use super::{Dispatcher, Gate};
use crate::id::{AgentId, EntryId, HandOutId};
use crate::output::{HandOut, NotSettled, Output, Settlement};
use crate::record::{Record, ReturnReason};
use crate::schedule::{AgentNo, Chosen};
use relayline_core::time::Time;
use std::sync::Arc;

/// Error of an entry whose body is not in the store.
const NO_BODY: &str = "the body of the entry is not in the store";

impl Dispatcher {
    /// Settles a hand-out. [`Output::Settled`] answers it, once it is durable. The first settlement counts.
    pub fn settle(&mut self, now: Time, id: HandOutId, settlement: Settlement) {
        self.now = self.now.max(now);
        let result = match self.hand_outs.get(id.entry) {
            _ if !self.is_leading() => Err(NotSettled::NotLeading),
            Some(hand_out) if hand_out.is_out && hand_out.attempt == id.attempt => Ok(()),
            // It was left to its worker, which settles it with the next leader.
            None if self.is_stopping && self.ledger.entry(id.entry).is_some() => Err(NotSettled::NotLeading),
            Some(_) | None => Err(NotSettled::Late),
        };
        if result.is_err() {
            self.stats.late_settlements += 1;
            self.outputs.push_back(Output::Settled { hand_out: id, result });
        } else {
            let answer = Output::Settled { hand_out: id, result };
            match settlement {
                Settlement::Done => self.done(id.entry, answer),
                Settlement::Refused(error) => {
                    self.stats.refused += 1;
                    self.charge(id.entry, &error, Some(answer));
                }
            }
        }
        self.advance(now);
    }

    /// Handles an interrupt for a session: returns the agent that must get it at once, if one has the session.
    pub fn handle_interrupt(&mut self, session: &str) -> Option<AgentId> {
        let agent = self.schedule.agent_of(session).filter(|_| self.is_leading()).cloned();
        self.stats.interrupts_without_agent += u64::from(agent.is_none());
        agent
    }

    fn done(&mut self, entry: EntryId, answer: Output) {
        let Some(record) = self.ledger.settlement(entry) else { return };
        self.stats.settled += 1;
        self.hand_outs.end(entry);
        let seq = self.record(&record);
        self.gates.push_back((seq, Gate::Output(answer)));
        self.writer.remove_entry(seq, entry);
        self.schedule.finish(self.now, entry);
        if let Record::Settled { relaxes: Some(session), .. } = record {
            self.schedule.set_cautious(self.now, &session, false);
        }
    }

    /// Ends a hand-out that failed. The entry waits for its next hand-out, and later ones of its session with it, or it
    /// becomes a dead letter.
    pub(super) fn charge(&mut self, entry: EntryId, error: &str, answer: Option<Output>) {
        self.hand_outs.end(entry);
        let charges = self.record_charge(entry, error, answer);
        match charges {
            Some(charges) => {
                self.schedule.put_back(self.now, entry, self.now + self.limits.back_off(charges));
                self.take_back_after(entry);
            }
            None => self.schedule.finish(self.now, entry),
        }
    }

    /// Records a failed hand-out. Returns the number of failures, or `None` if the entry is a dead letter now.
    pub(super) fn record_charge(&mut self, id: EntryId, error: &str, answer: Option<Output>) -> Option<u32> {
        let error = self.limits.error(error);
        let entry = self.ledger.entry(id)?;
        let charges = entry.charges.saturating_add(1);
        let is_dead = charges as usize >= self.limits.max_attempts;
        let session = Arc::clone(&entry.session);
        let seq = self.record(&match is_dead {
            true => Record::Dead { entry: id, error: error.clone() },
            false => Record::Charged { entry: id, error: error.clone() },
        });
        let letter = is_dead.then_some(Output::DeadLetter { entry: id, session, error });
        self.gates.extend(answer.into_iter().chain(letter).map(|output| (seq, Gate::Output(output))));
        if is_dead {
            self.stats.dead += 1;
            self.bound_dead_letters();
            return None;
        }
        Some(charges)
    }

    /// Drops the oldest dead letters beyond the limit.
    pub(super) fn bound_dead_letters(&mut self) {
        while self.ledger.dead_letters() > self.limits.dead_letters {
            let Some(oldest) = self.ledger.oldest_dead() else { return };
            let Some(record) = self.ledger.dropping(oldest) else { return };
            self.stats.dead_dropped += 1;
            let seq = self.record(&record);
            self.writer.remove_entry(seq, oldest);
        }
    }

    /// Takes back a hand-out that its agent has not got. Returns the agent, whose line to look at.
    pub(super) fn take_back(&mut self, entry: EntryId) -> Option<AgentNo> {
        let hand_out = self.hand_outs.end(entry)?;
        self.stats.unseen += 1;
        self.record(&Record::Returned { entry, reason: ReturnReason::Unseen });
        self.schedule.put_back(self.now, entry, Time::ZERO);
        Some(hand_out.agent)
    }

    /// Takes back hand-outs that hosts have kept from their agents. What an agent has since an earlier leader stays with it.
    pub(super) fn take_back_unseen(&mut self, unseen: &[HandOutId]) {
        for id in unseen {
            let hand_out = self.hand_outs.get(id.entry);
            if hand_out.is_some_and(|hand_out| hand_out.attempt == id.attempt && hand_out.can_be_unseen()) {
                self.take_back(id.entry);
            }
        }
    }

    /// Takes back the later entries of a session that their agent has not got, since this one comes first.
    pub(super) fn take_back_after(&mut self, entry: EntryId) {
        let mut later = self.schedule.out_after(entry);
        later.retain(|later| self.hand_outs.get(*later).is_some_and(|hand_out| !hand_out.is_with_agent()));
        // All of them, before others of the line go on.
        let agents: Vec<AgentNo> = later.into_iter().filter_map(|later| self.take_back(later)).collect();
        for agent in agents {
            self.deliver(agent);
        }
    }

    /// Chooses entries for agents, as long as there are any and the store keeps up.
    pub(super) fn hand_out(&mut self) {
        let is_uncertain = self.health.is_uncertain(self.now);
        if !self.is_leading() || self.is_draining || self.is_held || self.health.is_failing() || is_uncertain
        {
            return;
        }
        while self.hand_outs.on_their_way() < self.limits.records_in_write() {
            let Some(Chosen { entry, agent }) = self.schedule.choose(self.now) else { break };
            let attempt = self.ledger.entry(entry).map_or(1, |entry| entry.attempts.saturating_add(1));
            let Some(id) = self.schedule.agent_id(agent).cloned() else { continue };
            let seq = self.record(&self.hand_out_record(&id, entry, attempt));
            let body = self.bodies.take(entry);
            let is_missing = body.is_none();
            self.hand_outs.begin(entry, agent, attempt, seq, body);
            self.gates.push_back((seq, Gate::HandOut(entry)));
            if is_missing {
                self.read_body(entry);
            }
        }
    }

    /// Gives an agent the entries of its line that nothing keeps any more.
    pub(super) fn deliver(&mut self, agent: AgentNo) {
        while let Some(ready) = self.hand_outs.next_ready(agent) {
            let session = self.ledger.entry(ready.entry).map(|entry| Arc::clone(&entry.session));
            let (Some(session), Some(id)) = (session, self.schedule.agent_id(agent).cloned()) else {
                continue;
            };
            if !ready.is_claimed {
                self.stats.hand_outs += 1;
                self.stats.redelivered += u64::from(ready.attempt > 1);
            }
            let hand_out = HandOutId { entry: ready.entry, attempt: ready.attempt };
            self.outputs.push_back(Output::HandOut(HandOut {
                agent: id,
                id: hand_out,
                session,
                body: ready.body,
            }));
        }
    }

    /// Handles an entry that is not in the store: it becomes a dead letter, since no agent can get it.
    pub(super) fn body_missing(&mut self, entry: EntryId) {
        let Some(hand_out) = self.hand_outs.end(entry) else { return };
        if let Some(known) = self.ledger.entry(entry) {
            let session = Arc::clone(&known.session);
            let error: Box<str> = NO_BODY.into();
            let letter = Output::DeadLetter { entry, session, error: error.clone() };
            self.stats.dead += 1;
            self.record_for(&Record::Dead { entry, error }, letter);
            self.bound_dead_letters();
        }
        self.schedule.finish(self.now, entry);
        // It may have kept others of the line.
        self.deliver(hand_out.agent);
    }
}
