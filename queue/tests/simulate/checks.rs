//! Checks of the model: each output of a dispatcher, and each record of the journal.

use crate::gateway::{Expected, Gateway, Held, back_off};
use crate::journal::State;
use crate::world::{Checked, World, check};
use relayline_queue::id::EntryId;
use relayline_queue::output::{HandOut, NotSettled, NotStored, Output, Stored};
use relayline_queue::record::Record;
use std::collections::BTreeMap;

impl World {
    /// Reads what is new in the store, and checks it.
    pub(crate) fn follow_journal(&mut self) -> Checked {
        let outs_before = self.out_by_session();
        let was_released = self.journal.is_released || self.journal.records.is_empty();
        let new = match self.journal.follow(&self.disk) {
            Ok(new) => new,
            Err(found) => return check("the-journal-makes-sense", false, || found),
        };
        for record in new {
            match record {
                Record::Epoch { .. } => {
                    // Nothing of the last leader is written any more.
                    self.due_charges.clear();
                    for entries in outs_before.values().filter(|_| !was_released) {
                        self.due_charges.insert(entries[0], 1);
                    }
                }
                Record::Charged { entry, .. } => self.charged(entry, false)?,
                Record::Dead { entry, .. } => self.charged(entry, true)?,
                Record::Dropped { entry, .. } => {
                    // A session without entries may be forgotten.
                    let session = &self.journal.entries[&entry].session;
                    if !self.journal.has_entries(session) {
                        for gateway in self.gateways.values_mut() {
                            gateway.cautious.remove(session);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks that a charge is due, and that the last one makes a dead letter.
    fn charged(&mut self, entry: EntryId, is_dead: bool) -> Checked {
        let due = self.due_charges.get(&entry).copied().unwrap_or_default();
        check("only-what-failed-is-charged", due > 0, || format!("entry {entry} is charged"))?;
        self.due_charges.insert(entry, due - 1);
        let charges = self.journal.entries.get(&entry).map_or(0, |truth| truth.charges) as usize;
        let most = self.setup.limits.max_attempts;
        // The journal may be ahead by records of the same batch, which only add to the charges.
        check(
            "a-dead-letter-has-failed-often-enough",
            !is_dead || charges >= most || self.was_retried(entry),
            || format!("entry {entry} is dead after {charges}"),
        )
    }

    fn was_retried(&self, entry: EntryId) -> bool {
        self.journal
            .records
            .iter()
            .any(|record| matches!(record, Record::Retried { entry: id } if *id == entry))
    }

    /// Returns the entries that are out, as the store has them.
    fn out_by_session(&self) -> BTreeMap<String, Vec<EntryId>> {
        let mut out: BTreeMap<String, Vec<EntryId>> = BTreeMap::new();
        for (id, truth) in &self.journal.entries {
            if truth.state == State::Out {
                out.entry(truth.session.clone()).or_default().push(*id);
            }
        }
        out
    }

    /// Checks an output of a gateway, and carries it out.
    pub(crate) fn carry_out(&mut self, number: u64, output: Output) -> Checked {
        let is_last = World::is_last(&output);
        match output {
            Output::Store { id, command } => self.send(number, id, command),
            Output::Leading { epoch } => self.leads(number, epoch)?,
            Output::HandOut(hand_out) => self.handed_out(number, &hand_out)?,
            Output::Arrived { arrival, result } => {
                let gateway = self.gateways.get_mut(&number).unwrap();
                let event = gateway.arrivals.remove(&arrival);
                check("each-arrival-has-one-answer", event.is_some(), || format!("{arrival}: {result:?}"))?;
                self.arrived(number, event.unwrap(), result)?;
            }
            Output::Settled { hand_out, result } => {
                let gateway = self.gateways.get_mut(&number).unwrap();
                // Settlements of one hand-out may be answered out of order: late ones at once.
                let fits = |expected: Expected| match result {
                    Ok(()) => expected != Expected::Late,
                    Err(NotSettled::Late) => expected == Expected::Late,
                    // What is not out is the next leader's to judge while this one ends.
                    Err(_) => {
                        gateway.dispatcher.has_ended() || (gateway.is_ending && expected == Expected::Late)
                    }
                };
                let place =
                    gateway.settlements.iter().position(|(id, expected)| *id == hand_out && fits(*expected));
                let Some(place) = place else {
                    return check("the-first-settlement-counts", false, || {
                        format!("{hand_out}: {result:?}, pending {:?}", gateway.settlements)
                    });
                };
                let (_, expected) = gateway.settlements.remove(place);
                if result.is_ok() {
                    self.settlement_confirmed(hand_out.entry, expected)?;
                }
            }
            Output::Requested { request, result } => {
                let gateway = self.gateways.get_mut(&number).unwrap();
                let is_known = gateway.requests.remove(&request);
                check("each-request-has-one-answer", is_known, || format!("{request}: {result:?}"))?;
            }
            Output::DeadLetter { entry, .. } => {
                let state = self.journal.entries.get(&entry).map(|truth| truth.state);
                let is_dead = self
                    .journal
                    .records
                    .iter()
                    .any(|record| matches!(record, Record::Dead { entry: dead, .. } if *dead == entry));
                check("a-dead-letter-is-durable", is_dead, || format!("entry {entry} is {state:?}"))?;
            }
            Output::Pause(_) => {
                let gateway = self.gateways.get_mut(&number).unwrap();
                check("paused-once", !gateway.is_paused, || "paused twice".to_owned())?;
                gateway.is_paused = true;
            }
            Output::Resume => {
                let gateway = self.gateways.get_mut(&number).unwrap();
                check("resumed-once", gateway.is_paused, || "resumed without a pause".to_owned())?;
                gateway.is_paused = false;
            }
            Output::Failed(error) => {
                return check("the-store-can-be-read", false, || error.to_string());
            }
            _ => {}
        }
        if is_last {
            self.last_output(number)?;
        }
        Ok(())
    }

    /// Checks that a gateway has ended as a whole.
    fn last_output(&mut self, number: u64) -> Checked {
        let gateway = self.gateways.get_mut(&number).unwrap();
        let more = gateway.dispatcher.poll_output();
        check("the-last-output-is-the-last", more.is_none(), || format!("{more:?}"))?;
        let unanswered = (gateway.arrivals.len(), gateway.settlements.len(), gateway.requests.len());
        check("everything-is-answered", unanswered == (0, 0, 0), || format!("{unanswered:?} at the end"))?;
        if !gateway.is_ending {
            self.crashes += 1;
        }
        self.gateway_ended(number);
        Ok(())
    }

    fn leads(&mut self, number: u64, epoch: u64) -> Checked {
        let outs = self.out_by_session();
        let (now, limits) = (self.now, self.setup.limits.clone());
        let gateway = self.gateways.get_mut(&number).unwrap();
        let leader = format!("leader {number}");
        let is_recorded = self.journal.records.iter().any(|record| {
            matches!(record, Record::Epoch { epoch: known, leader: name } if *known == epoch && **name == leader)
        });
        check("the-epoch-is-durable", is_recorded, || format!("{leader} leads with {epoch}"))?;
        (gateway.is_leading, gateway.epoch) = (true, epoch);
        gateway.known = gateway.dispatcher.ledger().entries().last().map_or(EntryId(0), |(id, _)| id);
        // A rival may have come since. Then nothing of this leader becomes durable.
        if self.journal.leader == leader {
            gateway.cautious = self.journal.cautious.clone();
            for (session, entries) in outs {
                let is_due = self.due_charges.contains_key(&entries[0]);
                if is_due && entries.len() > 1 {
                    gateway.cautious.insert(session);
                }
            }
            for (id, truth) in &self.journal.entries {
                let due = self.due_charges.get(id).copied().unwrap_or_default();
                let charges = truth.charges + due;
                if charges > 0 && matches!(truth.state, State::Waiting | State::Out) {
                    gateway.charges.insert(*id, charges);
                    if charges as usize >= limits.max_attempts && due > 0 {
                        gateway.over.insert(*id);
                    } else {
                        gateway.not_before.insert(*id, now + back_off(&limits, charges));
                    }
                }
            }
        }
        self.start_agents(number);
        Ok(())
    }

    fn handed_out(&mut self, number: u64, hand_out: &HandOut) -> Checked {
        let entry = hand_out.id.entry;
        let truth = self.journal.entries.get(&entry);
        check("only-what-is-stored-is-handed-out", truth.is_some(), || format!("{hand_out:?}"))?;
        let truth = truth.unwrap();
        let gateway = &self.gateways[&number];
        let attempt = hand_out.id.attempt;
        if self.journal.epoch != gateway.epoch {
            // It has lost the fence and cannot know it yet. What it committed before may still go out.
            let is_own = self.journal.is_of_epoch(gateway.epoch, &Record::HandOut { entry, attempt });
            check("nothing-is-handed-out-beyond-the-fence", is_own, || format!("{hand_out:?}"))?;
            let held = Held {
                agent: hand_out.agent.clone(),
                id: hand_out.id,
                session: truth.session.clone(),
                size: truth.body.len() as u64,
            };
            self.gateways.get_mut(&number).unwrap().held.insert(entry, held);
            self.work(number, &hand_out.agent, hand_out.id);
            return Ok(());
        }
        check("an-attempt-is-committed-before-the-hand-out", truth.attempts.contains(&attempt), || {
            format!("{hand_out:?}, committed {:?}", truth.attempts)
        })?;
        let is_over = matches!(truth.state, State::Settled) || self.confirmed.contains(&entry);
        check("what-is-settled-is-not-handed-out-again", !is_over, || format!("{hand_out:?}: {truth:?}"))?;
        let is_right = *truth.body == *hand_out.body && truth.session == *hand_out.session;
        check("the-agent-gets-what-was-stored", is_right, || format!("{hand_out:?}: {truth:?}"))?;
        let (sightings, last) = self.seen.get(&entry).copied().unwrap_or_default();
        check("a-second-sighting-is-marked", sightings == 0 || hand_out.is_redelivered(), || {
            format!("{hand_out:?} after {sightings}")
        })?;
        check("attempts-count-up", attempt > last, || format!("{hand_out:?} after attempt {last}"))?;
        let is_exact = self.crashes == 0 && self.setup.rivals == 0;
        check("attempts-count-hand-outs", !is_exact || attempt == sightings + 1, || {
            format!("{hand_out:?} after {sightings}")
        })?;
        check("agents-get-nothing-after-their-end", gateway.agents.contains(&hand_out.agent), || {
            format!("{hand_out:?}")
        })?;
        self.check_order(gateway, hand_out, &truth.session)?;
        self.check_bounds(gateway, hand_out, &truth.session)?;
        let session = truth.session.clone();
        let size = truth.body.len() as u64;
        let agent = hand_out.agent.clone();
        self.seen.insert(entry, (sightings + 1, attempt));
        let gateway = self.gateways.get_mut(&number).unwrap();
        gateway.bound.insert(session.clone(), agent.clone());
        gateway.held.insert(entry, Held { agent: agent.clone(), id: hand_out.id, session, size });
        self.work(number, &agent, hand_out.id);
        Ok(())
    }

    /// Checks that no earlier entry of the session waits.
    fn check_order(&self, gateway: &Gateway, hand_out: &HandOut, session: &str) -> Checked {
        let entry = hand_out.id.entry;
        for (id, truth) in self.journal.entries.range(..entry).filter(|(_, truth)| truth.session == session) {
            // An entry that another leader stored later is not known.
            let is_unknown = truth.epoch != gateway.epoch && *id > gateway.known;
            let is_over = matches!(truth.state, State::Settled | State::Dropped) || gateway.over.contains(id);
            let is_dead = truth.state == State::Dead;
            check(
                "earlier-entries-come-first",
                is_unknown || is_over || is_dead || gateway.held.contains_key(id),
                || format!("{hand_out:?} of {session} while {id} waits"),
            )?;
        }
        let not_before = gateway.not_before.get(&entry);
        check("a-failed-entry-waits", not_before.is_none_or(|at| self.now >= *at), || {
            format!("{hand_out:?} at {} instead of {not_before:?}", self.now)
        })
    }

    fn check_bounds(&self, gateway: &Gateway, hand_out: &HandOut, session: &str) -> Checked {
        let limits = &self.setup.limits;
        let out = gateway.held_of(session).count();
        check(
            "the-window-of-a-session-holds",
            limits.session_window == 0 || out < limits.session_window,
            || format!("{hand_out:?} while {out} of {session} are out"),
        )?;
        let is_cautious = gateway.cautious.contains(session);
        check("one-at-a-time-after-a-crash", !is_cautious || out == 0, || {
            format!("{hand_out:?} while {out} of {session} are out")
        })?;
        let held = gateway.held.values().filter(|held| held.agent == hand_out.agent);
        let (number, bytes) = held.fold((0, 0), |(number, bytes), held| (number + 1, bytes + held.size));
        let fits = number < limits.agent_window && bytes < limits.agent_window_bytes as u64;
        check("the-window-of-an-agent-holds", fits, || {
            format!("{hand_out:?} while it has {number}, {bytes} bytes")
        })?;
        let bound = gateway.bound.get(session);
        check("a-session-stays-with-its-agent", bound.is_none_or(|bound| *bound == hand_out.agent), || {
            format!("{hand_out:?} while {session} is with {bound:?}")
        })
    }

    fn arrived(&mut self, number: u64, event: u64, result: Result<Stored, NotStored>) -> Checked {
        let chat = self.events[usize::try_from(event).unwrap()].clone();
        let gateway = &self.gateways[&number];
        match result {
            Ok(Stored::New(id)) => {
                let truth = self.journal.entries.get(&id);
                let is_stored =
                    truth.is_some_and(|truth| truth.body == chat.body && truth.session == chat.session);
                check("only-what-is-stored-is-acknowledged", is_stored, || {
                    format!("event {event} as {id}: {truth:?}")
                })?;
                let known = |(other, truth): (&EntryId, &crate::journal::Truth)| {
                    let is_known = truth.epoch == gateway.epoch || *other <= gateway.known;
                    chat.key.is_some() && truth.key == chat.key && is_known
                };
                let earlier = self.journal.entries.range(..id).find(|entry| known(*entry)).map(|(id, _)| *id);
                check("a-duplicate-is-not-stored", earlier.is_none(), || {
                    format!("{id} is {earlier:?} again")
                })?;
                self.acknowledge(event);
            }
            Ok(Stored::Duplicate) => {
                let is_stored =
                    self.journal.entries.values().any(|truth| truth.key.is_some() && truth.key == chat.key);
                check("only-what-is-stored-is-acknowledged", is_stored, || {
                    format!("event {event} as a duplicate")
                })?;
                self.acknowledge(event);
            }
            Err(_) => self.redeliver(event),
        }
        Ok(())
    }

    fn settlement_confirmed(&mut self, entry: EntryId, expected: Expected) -> Checked {
        let truth = &self.journal.entries[&entry];
        match expected {
            Expected::Done => {
                let is_settled = truth.state == State::Settled;
                check("a-settlement-is-durable", is_settled, || format!("entry {entry}: {truth:?}"))?;
                self.confirmed.insert(entry);
            }
            Expected::Refused => {
                let is_charged = self.journal.records.iter().any(|record| {
                    matches!(record, Record::Charged { entry: id, .. } | Record::Dead { entry: id, .. } if *id == entry)
                });
                check("a-settlement-is-durable", is_charged, || format!("entry {entry} is not charged"))?;
            }
            Expected::Late => {}
        }
        Ok(())
    }

    /// Checks that everything is bounded.
    pub(crate) fn check_usage(&self, number: u64) -> Checked {
        let Some(gateway) = self.gateways.get(&number).filter(|gateway| gateway.is_leading) else {
            return Ok(());
        };
        let (usage, limits) = (gateway.dispatcher.usage(), &self.setup.limits);
        // Another leader may have stored entries, too.
        let is_alone = self.setup.rivals == 0 && self.crashes == 0;
        let fits = (!is_alone || usage.entries + usage.pending_entries <= limits.queue_entries)
            && usage.dead_letters <= limits.dead_letters
            && usage.pending_entries <= limits.pending_entries
            && usage.cached_bytes <= limits.body_cache_bytes
            && usage.out <= gateway.agents.len() * limits.agent_window;
        check("everything-is-bounded", fits, || format!("{usage:?}"))
    }
}
