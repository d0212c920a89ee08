//! Leases of workers, whose agents keep their entries when another gateway takes over.
//!
//! An agent of a worker has an [id](AgentId::worker) that names the worker. The journal says which worker has an entry. A
//! new leader waits for one time of a lease: a worker claims what its agents have, and goes on. What nobody claims counts
//! as crashed then.

use super::Dispatcher;
use crate::id::{AgentId, EntryId, HandOutId};
use crate::ledger::EntryState;
use crate::output::{AgentEnd, ClaimRefused, Output};
use crate::record::Record;
use relayline_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Error of entries whose worker did not come back after a take-over.
const UNCLAIMED: &str = "the worker did not come back after another gateway took over";

/// Leases, and entries that can be claimed.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Time at which the lease of each worker expires.
    workers: BTreeMap<Box<str>, Time>,
    /// Entries that an earlier leader handed to workers, by session.
    unclaimed: BTreeMap<Arc<str>, BTreeSet<EntryId>>,
    /// Time at which these count as crashed.
    claims_end: Time,
}

impl Leases {
    pub(super) fn deadline(&self) -> Option<Time> {
        let claims = (!self.unclaimed.is_empty()).then_some(self.claims_end);
        self.workers.values().copied().chain(claims).min()
    }

    /// Returns the number of workers.
    pub(super) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Returns the number of entries that can be claimed.
    pub(super) fn unclaimed(&self) -> usize {
        self.unclaimed.values().map(BTreeSet::len).sum()
    }

    /// Ends the first lease that has expired. Returns its worker.
    fn take_expired(&mut self, now: Time) -> Option<Box<str>> {
        let worker = self.workers.iter().find(|(_, expires)| **expires <= now)?.0.clone();
        self.workers.remove(&worker);
        Some(worker)
    }

    fn is_unclaimed(&self, session: &str, entry: EntryId) -> bool {
        self.unclaimed.get(session).is_some_and(|entries| entries.contains(&entry))
    }

    /// Removes an entry from those that can be claimed. Returns true if it was the last one of its session.
    fn forget(&mut self, session: &str, entry: EntryId) -> bool {
        let Some(entries) = self.unclaimed.get_mut(session) else { return false };
        let is_last = entries.remove(&entry) && entries.is_empty();
        if is_last {
            self.unclaimed.remove(session);
        }
        is_last
    }
}

impl Dispatcher {
    /// Handles a sign of life of a worker, whose lease begins anew with it. Call it before the worker's agents register.
    ///
    /// # Errors
    /// There are too many workers, or the dispatcher does not lead.
    pub fn handle_worker(&mut self, now: Time, worker: &str) -> Result<(), ClaimRefused> {
        self.now = self.now.max(now);
        let result = self.renew(worker);
        self.advance(now);
        result
    }

    fn renew(&mut self, worker: &str) -> Result<(), ClaimRefused> {
        if !self.is_leading() || self.is_stopping {
            return Err(ClaimRefused::NotLeading);
        }
        let workers = &mut self.leases.workers;
        if !workers.contains_key(worker) && workers.len() >= self.limits.workers {
            self.stats.workers_refused += 1;
            return Err(ClaimRefused::TooMany);
        }
        workers.insert(worker.into(), self.now + self.limits.lease);
        Ok(())
    }

    /// Handles the end of a worker whose agents have ended: it has no lease any more.
    pub fn handle_worker_ended(&mut self, now: Time, worker: &str) {
        self.now = self.now.max(now);
        self.leases.workers.remove(worker);
        self.end_agents_of(worker, &AgentEnd::Planned);
        self.advance(now);
    }

    /// Registers an agent of a worker with what it has: hand-outs of this leader or of an earlier one. It goes on with them,
    /// and each is handed out again with the same number, so that its host gets the body.
    ///
    /// # Errors
    /// One of the hand-outs has ended, or is another worker's. Then the agent must end, since its entries go to others: it
    /// is not registered.
    pub fn handle_claim(
        &mut self,
        now: Time,
        agent: &AgentId,
        held: &[HandOutId],
    ) -> Result<(), ClaimRefused> {
        self.now = self.now.max(now);
        let result = self.claim(agent, held);
        if let Err(ClaimRefused::Ended) = result {
            self.stats.claims_refused += 1;
        }
        self.advance(now);
        result
    }

    fn claim(&mut self, agent: &AgentId, held: &[HandOutId]) -> Result<(), ClaimRefused> {
        let worker = agent.worker().unwrap_or_default();
        if !self.is_leading() || self.is_stopping {
            return Err(ClaimRefused::NotLeading);
        }
        if !self.leases.workers.contains_key(worker) {
            return Err(ClaimRefused::Ended);
        }
        let mut sessions = BTreeMap::new();
        for id in held {
            let entry = self.ledger.entry(id.entry).filter(|entry| {
                entry.state == EntryState::Out
                    && entry.attempts == id.attempt
                    && entry.worker.as_deref() == Some(worker)
                    && self.leases.is_unclaimed(&entry.session, id.entry)
            });
            let session = Arc::clone(&entry.ok_or(ClaimRefused::Ended)?.session);
            // Each once.
            if sessions.insert(id.entry, (session, id.attempt)).is_some() {
                return Err(ClaimRefused::Ended);
            }
        }
        if !self.schedule.add_agent(agent) {
            self.stats.stray_agents += 1;
            return Err(ClaimRefused::Ended);
        }
        for (entry, (session, attempt)) in sessions {
            let Some(number) = self.schedule.adopt(self.now, entry, agent) else { continue };
            self.stats.claimed += 1;
            self.hand_outs.adopt(entry, number, attempt);
            self.read_body(entry);
            if self.leases.forget(&session, entry) {
                self.free(&session);
            }
        }
        Ok(())
    }

    /// Lets a session go on that has waited for claims.
    fn free(&mut self, session: &str) {
        for entry in self.schedule.waiting_of(session) {
            let charges = self.ledger.entry(entry).map_or(0, |entry| entry.charges);
            let retry_at = if charges == 0 { Time::ZERO } else { self.now + self.limits.back_off(charges) };
            self.schedule.set_retry(self.now, entry, retry_at);
        }
    }

    /// Notes the entries of a session that workers have since an earlier leader. They hold the session back until they are
    /// claimed.
    pub(super) fn await_claims(&mut self, session: &Arc<str>, entries: BTreeSet<EntryId>) {
        self.leases.claims_end = self.now + self.limits.lease;
        for entry in &entries {
            self.add_waiting(*entry, Time::NEVER);
        }
        self.leases.unclaimed.insert(Arc::clone(session), entries);
    }

    /// Returns true while a session waits for claims.
    pub(super) fn awaits_claims(&self, session: &str) -> bool {
        self.leases.unclaimed.contains_key(session)
    }

    /// Handles the end of an entry that may be unclaimed.
    pub(super) fn forget_unclaimed(&mut self, session: &str, entry: EntryId) {
        if self.leases.forget(session, entry) {
            self.free(session);
        }
    }

    /// Ends leases that have expired, and claims that did not come.
    pub(super) fn expire_leases(&mut self) {
        if !self.is_leading() {
            return;
        }
        while let Some(worker) = self.leases.take_expired(self.now) {
            self.stats.leases_lost += 1;
            let lease = self.limits.lease.as_secs();
            let end = AgentEnd::Crashed(format!("the worker was not heard of for {lease} s"));
            self.end_agents_of(&worker, &end);
            self.outputs.push_back(Output::LeaseLost { worker });
        }
        if self.now < self.leases.claims_end {
            return;
        }
        for (session, entries) in std::mem::take(&mut self.leases.unclaimed) {
            let entries: Vec<EntryId> = entries.into_iter().collect();
            let charges = self.record_crash(&entries, UNCLAIMED);
            let Some((oldest, others)) = entries.split_first() else { continue };
            match charges {
                None => self.schedule.finish(self.now, *oldest),
                Some(charges) => {
                    let retry_at = self.now + self.limits.back_off(charges);
                    self.schedule.set_retry(self.now, *oldest, retry_at);
                }
            }
            if !others.is_empty() {
                self.schedule.set_cautious(self.now, &session, true);
            }
            // The oldest has its back-off, and holds the later ones back.
            let waiting = self.schedule.waiting_of(&session).into_iter().filter(|entry| entry != oldest);
            for entry in waiting.collect::<Vec<_>>() {
                self.schedule.set_retry(self.now, entry, Time::ZERO);
            }
        }
    }

    fn end_agents_of(&mut self, worker: &str, end: &AgentEnd) {
        for agent in self.schedule.agents_of(worker) {
            self.end_agent(&agent, end);
        }
    }

    /// Leaves their entries to the agents of workers: they claim them from the next leader.
    pub(super) fn leave_to_workers(&mut self) {
        self.leases.workers.clear();
        for agent in self.schedule.remote_agents() {
            let Some((number, sessions)) = self.schedule.remove_agent(self.now, &agent) else { continue };
            for entry in sessions.into_iter().flatten() {
                match self.hand_outs.get(entry).is_some_and(|hand_out| hand_out.is_with_agent()) {
                    true => _ = self.hand_outs.end(entry),
                    false => _ = self.take_back(entry),
                }
            }
            self.hand_outs.forget_agent(number);
        }
    }

    /// Returns the record of a hand-out to an agent.
    pub(super) fn hand_out_record(&self, agent: &AgentId, entry: EntryId, attempt: u32) -> Record {
        match agent.worker() {
            Some(worker) => Record::Leased { entry, attempt, worker: worker.into() },
            None => Record::HandOut { entry, attempt },
        }
    }

    /// Returns the workers that have a lease.
    pub fn workers(&self) -> impl Iterator<Item = &str> {
        self.leases.workers.keys().map(|worker| &**worker)
    }
}
