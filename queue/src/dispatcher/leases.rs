//! Leases of workers, whose agents keep their entries when another gateway takes over.
//!
//! An agent of a worker has an [id](AgentId::worker) that names the worker. The journal says which worker has an entry. A
//! new leader waits for one time of a lease: a worker claims what its agents have, and goes on. What nobody claims counts
//! as crashed then.

use super::Dispatcher;
use crate::id::{AgentId, EntryId, HandOutId};
use crate::ledger::EntryState;
use crate::output::{AgentEnd, ClaimRefused, EndedHandOuts, Output};
use crate::record::Record;
use relayline_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Error of entries whose worker did not come back after a take-over.
const NOT_BACK: &str = "the worker did not come back after another gateway took over";
/// Error of entries that a worker no longer has after a take-over.
const NOT_CLAIMED: &str = "the agent ended, or never got the entry, while another gateway took over";

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

    /// Registers an agent of a worker with what it has since an earlier leader. It goes on with that, and each hand-out comes
    /// again with the same number, so that its host gets the body. `settling` are those that the agent has settled without
    /// an answer. Returns those of them that have ended.
    ///
    /// # Errors
    /// One of the hand-outs has ended, or is another worker's. Then the agent must end, since its entries go to others: it
    /// is not registered.
    pub fn handle_claim(
        &mut self,
        now: Time,
        agent: &AgentId,
        held: &[HandOutId],
        settling: &[HandOutId],
    ) -> Result<EndedHandOuts, ClaimRefused> {
        self.now = self.now.max(now);
        let result = self.claim(agent, held, settling);
        if let Err(ClaimRefused::Ended) = result {
            self.stats.claims_refused += 1;
        }
        self.advance(now);
        result
    }

    fn claim(
        &mut self,
        agent: &AgentId,
        held: &[HandOutId],
        settling: &[HandOutId],
    ) -> Result<EndedHandOuts, ClaimRefused> {
        let worker = agent.worker().unwrap_or_default();
        if !self.is_leading() || self.is_stopping {
            return Err(ClaimRefused::NotLeading);
        }
        if !self.leases.workers.contains_key(worker) {
            return Err(ClaimRefused::Ended);
        }
        let (mut sessions, mut ended) = (BTreeMap::new(), EndedHandOuts::default());
        for (id, is_settling) in held.iter().map(|id| (id, false)).chain(settling.iter().map(|id| (id, true)))
        {
            let known = self.ledger.entry(id.entry);
            let entry = known.filter(|entry| {
                entry.state == EntryState::Out
                    && entry.attempts == id.attempt
                    && entry.worker.as_deref() == Some(worker)
                    && self.leases.is_unclaimed(&entry.session, id.entry)
            });
            match entry {
                // Each once.
                Some(_) if sessions.contains_key(&id.entry) => return Err(ClaimRefused::Ended),
                Some(entry) => _ = sessions.insert(id.entry, (Arc::clone(&entry.session), id.attempt)),
                // The first settlement was stored, or an agent with a later hand-out has settled it.
                None if is_settling && known.is_none() => ended.done.push(*id),
                None if is_settling => ended.lost.push(*id),
                None => return Err(ClaimRefused::Ended),
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
            self.forget_unclaimed(&session, entry);
        }
        Ok(ended)
    }

    /// Notes the entries of a session that workers have since an earlier leader. They hold the session back until they are
    /// claimed.
    pub(super) fn await_claims(&mut self, session: &Arc<str>, entries: BTreeSet<EntryId>) {
        self.leases.claims_end = self.now + self.limits.lease;
        for entry in &entries {
            self.add_waiting(*entry, Time::ZERO);
        }
        self.schedule.set_held(self.now, session, true);
        self.leases.unclaimed.insert(Arc::clone(session), entries);
    }

    /// Notes that an entry cannot be claimed any more. With the last one its session goes on.
    pub(super) fn forget_unclaimed(&mut self, session: &str, entry: EntryId) {
        if self.leases.forget(session, entry) {
            self.schedule.set_held(self.now, session, false);
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
        if self.now >= self.leases.claims_end {
            self.end_claims(None, NOT_BACK);
        }
    }

    /// Handles that a worker has claimed everything that its agents have: the rest of what it had counts as crashed.
    pub fn handle_claims_done(&mut self, now: Time, worker: &str) {
        self.now = self.now.max(now);
        self.end_claims(Some(worker), NOT_CLAIMED);
        self.advance(now);
    }

    /// Ends the hand-outs that nobody has claimed: those of one worker, or of all.
    fn end_claims(&mut self, worker: Option<&str>, error: &str) {
        let is_of_worker = |entry: &EntryId| {
            let entry = self.ledger.entry(*entry);
            worker.is_none() || entry.is_some_and(|entry| entry.worker.as_deref() == worker)
        };
        let of_worker = self.leases.unclaimed.iter().map(|(session, entries)| {
            (Arc::clone(session), entries.iter().copied().filter(is_of_worker).collect())
        });
        for (session, entries) in of_worker.collect::<Vec<(Arc<str>, Vec<EntryId>)>>() {
            self.end_unclaimed(&session, &entries, error);
        }
    }

    /// Ends hand-outs of one session that nobody has claimed.
    fn end_unclaimed(&mut self, session: &str, entries: &[EntryId], error: &str) {
        let Some(oldest) = entries.first() else { return };
        match self.record_crash(entries, error) {
            None => self.schedule.finish(self.now, *oldest),
            Some(charges) => {
                let retry_at = self.now + self.limits.back_off(charges);
                self.schedule.set_retry(self.now, *oldest, retry_at);
            }
        }
        if entries.len() > 1 {
            self.schedule.set_cautious(self.now, session, true);
        }
        entries.iter().for_each(|entry| self.forget_unclaimed(session, *entry));
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
