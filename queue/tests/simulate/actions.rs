//! Actions of the connector, of agents, of gateways and of operators, and what the model expects of each.

use crate::gateway::{Expected, Gateway};
use crate::random::Random;
use crate::world::{Checked, Happening, World};
use relayline_queue::dispatcher::Arrival;
use relayline_queue::head::MemoryItem;
use relayline_queue::id::{AgentId, ArrivalId, EntryId, HandOutId, RequestId};
use relayline_queue::ledger::EntryState;
use relayline_queue::output::{AgentEnd, OperatorRequest, Settlement};
use std::collections::BTreeMap;

impl World {
    pub(crate) fn any_gateway(&mut self) -> Option<u64> {
        let leading = self.gateways.iter().filter(|(_, gateway)| gateway.is_leading && !gateway.is_ending);
        let leading: Vec<u64> = leading.map(|(number, _)| *number).collect();
        (!leading.is_empty()).then(|| *self.random.pick(&leading))
    }

    pub(crate) fn deliver(&mut self, number: u64) -> Checked {
        let event = self.events[usize::try_from(number).unwrap()].clone();
        let gateway = self.any_gateway();
        let takes = gateway
            .and_then(|number| self.gateways.get(&number))
            .is_some_and(|gateway| gateway.dispatcher.takes_arrivals() && !gateway.is_paused);
        let Some(target) = gateway.filter(|_| takes || self.random.chance(50)) else {
            // A live event waits in the inbox of a gateway, if there is one.
            if event.is_buffered || gateway.is_some() {
                self.at(700, Happening::Deliver(number));
            }
            return Ok(());
        };
        if self.random.chance(30) {
            // The connector sends it twice.
            let after = self.random.below(4);
            self.at(after, Happening::Deliver(number));
        }
        let id = ArrivalId(self.next_number());
        let memory = self.random.chance(300).then(|| MemoryItem {
            key: format!("chat/{}", event.session).into(),
            value: format!("of {number}").into(),
        });
        let (session, key) = (event.session.into(), event.key);
        let arrival = Arrival { id, session, key, body: event.body.into(), memory };
        let now = self.now;
        self.input(target, |gateway| {
            gateway.arrivals.insert(id, number);
            gateway.dispatcher.handle_arrival(now, arrival);
        })
    }

    /// Delivers an event again, if its sender still has it.
    pub(crate) fn redeliver(&mut self, number: u64) {
        let event = &self.events[usize::try_from(number).unwrap()];
        if event.is_buffered && !event.is_acknowledged {
            let after = self.random.between(1, 2000);
            self.at(after, Happening::Deliver(number));
        }
    }

    /// Notes that an event was acknowledged. Its sender may repeat it all the same, since the acknowledgement was lost.
    pub(crate) fn acknowledge(&mut self, number: u64) {
        self.events[usize::try_from(number).unwrap()].is_acknowledged = true;
        if !self.is_calm && self.random.chance(100) {
            let after = self.random.between(1, 20_000);
            self.at(after, Happening::Deliver(number));
        }
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(crate) fn start_gateway(&mut self, is_rival: bool) -> Checked {
        if (is_rival && self.is_calm) || (!is_rival && !self.gateways.is_empty()) {
            return Ok(());
        }
        let number = self.next_gateway;
        self.next_gateway += 1;
        let gateway = Gateway::new(&self.setup.limits, &format!("leader {number}"), self.now);
        self.gateways.insert(number, gateway);
        self.drain(number)
    }

    /// Starts the agents of a gateway.
    pub(crate) fn start_agents(&mut self, gateway: u64) {
        for _ in 0..self.setup.agents {
            let after = self.random.between(0, 50);
            self.at(after, Happening::StartAgent { gateway });
        }
    }

    pub(crate) fn start_agent(&mut self, number: u64) -> Checked {
        let Some(gateway) = self.gateways.get_mut(&number).filter(|gateway| !gateway.is_ending) else {
            return Ok(());
        };
        gateway.next_agent += 1;
        let agent = AgentId::new(&format!("agent {}", gateway.next_agent));
        gateway.agents.insert(agent.clone());
        let now = self.now;
        self.input(number, |gateway| gateway.dispatcher.handle_agent_ready(now, &agent))
    }

    /// Lets an agent work on an entry.
    pub(crate) fn work(&mut self, gateway: u64, agent: &AgentId, id: HandOutId) {
        let after = *self.random.pick(&[0, 5, 5, 50, 1000, 15_000]);
        let after = if after == 0 { 0 } else { self.random.between(1, after) };
        let refuse = |random: &mut Random| match random.chance(500) {
            true => Settlement::Refused("it does not want to".to_owned()),
            false => Settlement::Done,
        };
        if !self.is_calm && self.random.chance(self.setup.agent_ends) {
            let is_planned = self.random.chance(400);
            let end = if is_planned { AgentEnd::Planned } else { AgentEnd::Crashed("it crashed".to_owned()) };
            self.at(after, Happening::EndAgent { gateway, agent: agent.clone(), end });
            // It may have settled before, or its settlement comes too late.
            if self.random.chance(300) {
                let (at, settlement) = (self.random.below(after + 10), refuse(&mut self.random));
                self.at(at, Happening::Settle { gateway, id, settlement });
            }
            return;
        }
        let is_refused = !self.is_calm && self.random.chance(self.setup.refusals);
        let settlement = if is_refused { refuse(&mut self.random) } else { Settlement::Done };
        self.at(after, Happening::Settle { gateway, id, settlement });
        if !self.is_calm && self.random.chance(50) {
            let stray = HandOutId { entry: EntryId(id.entry.0 + self.random.below(2)), attempt: id.attempt };
            let (at, settlement) = (self.random.between(0, after + 5), refuse(&mut self.random));
            self.at(at, Happening::Settle { gateway, id: stray, settlement });
        }
    }

    pub(crate) fn settle(&mut self, number: u64, id: HandOutId, settlement: Settlement) -> Checked {
        let now = self.now;
        let Some(gateway) = self.gateways.get_mut(&number) else { return Ok(()) };
        let is_first = gateway.held.get(&id.entry).is_some_and(|held| held.id == id);
        let expected = match (is_first, &settlement) {
            (false, _) => Expected::Late,
            (true, Settlement::Done) => Expected::Done,
            (true, Settlement::Refused(_)) => Expected::Refused,
        };
        gateway.settlements.push((id, expected));
        if let Some(held) = is_first.then(|| gateway.held.remove(&id.entry)).flatten() {
            if expected == Expected::Done {
                gateway.over.insert(id.entry);
                gateway.cautious.remove(&held.session);
            } else {
                self.charge(number, id.entry);
            }
        }
        self.input(number, |gateway| gateway.dispatcher.settle(now, id, settlement))
    }

    /// Charges an entry that has failed at a gateway. What fails at a leader that another one has displaced is charged by that one.
    fn charge(&mut self, number: u64, entry: EntryId) {
        let Some(gateway) = self.gateways.get_mut(&number) else { return };
        if gateway.epoch == self.journal.epoch {
            *self.due_charges.entry(entry).or_default() += 1;
        }
        gateway.charge(&self.setup.limits, self.now, entry);
    }

    pub(crate) fn end_agent(&mut self, number: u64, agent: &AgentId, end: &AgentEnd) -> Checked {
        let now = self.now;
        // Its host may have kept the last ones from it.
        let most_unseen = if self.random.chance(300) { self.random.between(1, 4) } else { 0 };
        let mut unseen = Vec::new();
        let Some(gateway) = self.gateways.get_mut(&number) else { return Ok(()) };
        if gateway.agents.remove(agent) {
            gateway.bound.retain(|_, bound| bound != agent);
            let is_ending = gateway.is_ending;
            let mut had: BTreeMap<String, Vec<HandOutId>> = BTreeMap::new();
            let mut failed = Vec::new();
            for (_, held) in gateway.held.extract_if(.., |_, held| held.agent == *agent) {
                had.entry(held.session).or_default().push(held.id);
            }
            for entries in had.values_mut() {
                let seen = entries.len().saturating_sub(most_unseen as usize);
                unseen.extend(entries.split_off(seen));
            }
            had.retain(|_, entries| !entries.is_empty());
            for (session, entries) in had {
                if matches!(end, AgentEnd::Crashed(_)) {
                    if entries.len() > 1 {
                        gateway.cautious.insert(session);
                    }
                    failed.push(entries[0].entry);
                }
            }
            for entry in failed {
                self.charge(number, entry);
            }
            if !is_ending {
                let after = self.random.between(1, 500);
                self.at(after, Happening::StartAgent { gateway: number });
            }
        }
        // What a leader does that another one has displaced is not durable.
        let is_durable =
            self.gateways.get(&number).is_some_and(|gateway| gateway.epoch == self.journal.epoch);
        for id in unseen.iter().filter(|_| is_durable) {
            if let Some((sightings, last)) = self.seen.get_mut(&id.entry) {
                (*sightings, *last) = (*sightings - 1, id.attempt - 1);
            }
        }
        self.input(number, |gateway| gateway.dispatcher.handle_agent_ended(now, agent, end, &unseen))
    }

    pub(crate) fn shut_down(&mut self) -> Checked {
        if !self.is_calm {
            let Some(number) = self.any_gateway() else { return Ok(()) };
            return self.shut_gateway_down(number);
        }
        // One that lost the fence learns it now.
        for number in self.gateways.keys().copied().collect::<Vec<_>>() {
            self.shut_gateway_down(number)?;
        }
        Ok(())
    }

    fn shut_gateway_down(&mut self, number: u64) -> Checked {
        let now = self.now;
        let Some(gateway) = self.gateways.get_mut(&number) else { return Ok(()) };
        gateway.is_ending = true;
        let agents: Vec<AgentId> = gateway.agents.iter().cloned().collect();
        for agent in agents {
            let after = self.random.between(0, 2000);
            self.at(after, Happening::EndAgent { gateway: number, agent, end: AgentEnd::Planned });
        }
        self.input(number, |gateway| gateway.dispatcher.handle_shutdown(now))
    }

    pub(crate) fn request(&mut self) -> Checked {
        let Some(number) = self.any_gateway() else { return Ok(()) };
        let id = RequestId(self.next_number());
        let entry = EntryId(self.random.between(1, self.journal.entries.len() as u64 + 1));
        let is_retry = self.random.chance(600);
        let now = self.now;
        let gateway = self.gateways.get_mut(&number).unwrap();
        gateway.requests.insert(id);
        let ledger = gateway.dispatcher.ledger();
        let state = ledger.entry(entry).map(|entry| entry.state);
        let is_out = state == Some(EntryState::Out);
        if state.is_some() && is_retry && !is_out {
            gateway.not_before.remove(&entry);
            gateway.over.remove(&entry);
            gateway.charges.remove(&entry);
        } else if state.is_some() && !is_retry {
            gateway.over.insert(entry);
            gateway.held.remove(&entry);
        }
        let request = if is_retry { OperatorRequest::Retry(entry) } else { OperatorRequest::Drop(entry) };
        self.input(number, |gateway| gateway.dispatcher.handle_request(now, id, request))
    }
}
