//! Checks of the end of a run: everything is done, and a later leader finds the same state.

use crate::gateway::Gateway;
use crate::journal::State;
use crate::world::{Checked, World, check};
use relayline_queue::id::EntryId;
use relayline_queue::ledger::{EntryState, Ledger};
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// Checks the end of a run: everything is done.
    pub(crate) fn check_end(&mut self) -> Checked {
        for (number, event) in self.events.iter().enumerate() {
            let is_done = event.is_acknowledged || !event.is_buffered;
            check("a-buffered-event-is-acknowledged", is_done, || format!("event {number}: {event:?}"))?;
        }
        for (id, truth) in &self.journal.entries {
            let is_done = matches!(truth.state, State::Settled | State::Dead | State::Dropped);
            check("what-is-stored-is-done", is_done, || {
                let gateways: Vec<_> = self.gateways.values().map(|gateway| &gateway.dispatcher).collect();
                format!("entry {id}: {truth:?}, {gateways:?}")
            })?;
        }
        let left: BTreeSet<EntryId> = self.disk.load().entries.iter().map(|(id, _)| *id).collect();
        let dead = self.journal.entries.iter().filter(|(_, truth)| truth.state == State::Dead);
        let dead: BTreeSet<EntryId> = dead.map(|(id, _)| *id).collect();
        check("what-is-settled-is-removed", left == dead, || format!("{left:?} instead of {dead:?}"))?;
        check("one-gateway-leads", self.gateways.len() == 1, || format!("{} gateways", self.gateways.len()))?;
        let gateway = self.gateways.values().next().unwrap();
        let is_calm = gateway.is_leading && !gateway.is_paused && gateway.dispatcher.takes_arrivals();
        check("it-works-again", is_calm, || format!("{:?}", gateway.dispatcher))?;
        let due: Vec<_> = self.due_charges.iter().filter(|(_, due)| **due > 0).collect();
        check("what-failed-is-charged", due.is_empty(), || format!("{due:?}"))?;
        self.check_reload(gateway)
    }

    /// Checks that a later leader would find the same state.
    fn check_reload(&self, gateway: &Gateway) -> Checked {
        let loaded = self.disk.load();
        let read = match Ledger::read(&self.setup.limits, &loaded) {
            Ok(read) => read,
            Err(error) => return check("the-store-can-be-read", false, || error.to_string()),
        };
        let ours = gateway.dispatcher.ledger();
        let memory = |ledger: &Ledger| -> BTreeMap<String, String> {
            ledger.memory().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        // Which items have made room depends on the order of entries and records.
        let is_at_bound = self.setup.limits.memory_items < 100;
        let is_same = ours.entries().eq(read.entries())
            && ours.settled_keys() == read.settled_keys()
            && (is_at_bound || memory(ours) == memory(&read))
            && ours.cautious_sessions().eq(read.cautious_sessions())
            && ours.dead_letters() == read.dead_letters();
        check("a-later-leader-has-the-same-state", is_same, || format!("{ours:?} and {read:?}"))?;
        let is_dead = read.entries().all(|(_, entry)| entry.state == EntryState::Dead);
        check("only-dead-letters-are-left", is_dead, || format!("{read:?}"))?;
        let most = 2 * self.setup.limits.snapshot_records + 400;
        check("the-journal-is-bounded", loaded.records.len() <= most, || {
            format!("{} records", loaded.records.len())
        })
    }
}
