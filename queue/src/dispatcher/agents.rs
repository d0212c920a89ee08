//! Agents that come and end.

use super::Dispatcher;
use crate::handouts::HandOut;
use crate::id::{AgentId, EntryId, HandOutId};
use crate::output::AgentEnd;
use crate::record::{Record, ReturnReason};
use relayline_core::time::Time;

impl Dispatcher {
    /// Registers an agent, which gets entries from now on.
    pub fn handle_agent_ready(&mut self, now: Time, agent: &AgentId) {
        self.now = self.now.max(now);
        let is_new = self.schedule.add_agent(agent);
        self.stats.stray_agents += u64::from(!is_new);
        self.advance(now);
    }

    /// Handles the end of an agent. Others get its sessions, and what it has not settled. `unseen` are hand-outs that its
    /// host has kept from it: they count as never handed out.
    ///
    /// After a crash the oldest unsettled entry of each session is charged. If a session had several, it continues with one
    /// at a time until one is done.
    pub fn handle_agent_ended(&mut self, now: Time, agent: &AgentId, end: &AgentEnd, unseen: &[HandOutId]) {
        self.now = self.now.max(now);
        self.take_back_unseen(unseen);
        self.end_agent(agent, end);
        self.advance(now);
    }

    pub(super) fn end_agent(&mut self, agent: &AgentId, end: &AgentEnd) {
        match self.schedule.remove_agent(self.now, agent) {
            Some((number, sessions)) => {
                for entries in sessions {
                    self.end_session(entries, end);
                }
                self.hand_outs.forget_agent(number);
            }
            None => self.stats.stray_agents += 1,
        }
    }

    /// Ends the hand-outs of one session of an agent that has ended.
    fn end_session(&mut self, entries: Vec<EntryId>, end: &AgentEnd) {
        let has = |entry: &EntryId| self.hand_outs.get(*entry).is_some_and(HandOut::is_with_agent);
        let (had, unseen): (Vec<EntryId>, Vec<EntryId>) = entries.into_iter().partition(has);
        for entry in unseen {
            self.take_back(entry);
        }
        match end {
            AgentEnd::Planned => {
                for entry in had {
                    self.hand_outs.end(entry);
                    self.stats.returned += 1;
                    self.record(&Record::Returned { entry, reason: ReturnReason::Planned });
                    self.schedule.put_back(self.now, entry, Time::ZERO);
                }
            }
            AgentEnd::Crashed(error) => {
                let session = had.first().and_then(|first| self.ledger.entry(*first));
                let session = session.map(|entry| entry.session.clone());
                for entry in &had {
                    self.hand_outs.end(*entry);
                }
                let charges = self.record_crash(&had, error);
                for (place, entry) in had.iter().enumerate() {
                    match (place, charges) {
                        (0, None) => self.schedule.finish(self.now, *entry),
                        (0, Some(charges)) => {
                            let retry_at = self.now + self.limits.back_off(charges);
                            self.schedule.put_back(self.now, *entry, retry_at);
                        }
                        _ => self.schedule.put_back(self.now, *entry, Time::ZERO),
                    }
                }
                if let Some(session) = session.filter(|_| had.len() > 1) {
                    self.schedule.set_cautious(self.now, &session, true);
                }
            }
        }
    }

    /// Records the crash of an agent that had these entries of one session. Returns the number of failures of the oldest
    /// one, or `None` if it is a dead letter now.
    ///
    /// The oldest comes last: if the gateway crashes in between, the next one finds it out still, and charges the same.
    pub(super) fn record_crash(&mut self, entries: &[EntryId], error: &str) -> Option<u32> {
        let (oldest, others) = entries.split_first()?;
        let session = self.ledger.entry(*oldest).map(|entry| (&*entry.session).into());
        if let Some(session) = session.filter(|_| !others.is_empty()) {
            self.record(&Record::Cautious { session });
        }
        for entry in others.iter().rev() {
            self.stats.returned += 1;
            self.record(&Record::Returned { entry: *entry, reason: ReturnReason::Crash });
        }
        self.stats.crashed += 1;
        self.record_charge(*oldest, error, None)
    }
}
