//! A leader of the simulation: the dispatcher, the leader's side of the workers, and a bridge for each of their agents.

use crate::world::{Checked, Happening, To, World, check};
use relayline_core::time::Time;
use relayline_queue::dispatcher::Dispatcher;
use relayline_queue::fleet::leader::{Claimed, Fleet, FleetOutput};
use relayline_queue::fleet::{FileAnswer, FileRequest, NOT_LEADING};
use relayline_queue::id::{AgentId, HandOutId};
use relayline_queue::output::{AgentEnd, ClaimRefused, Output, Settlement};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

pub(crate) struct LeaderHost {
    pub(crate) number: u64,
    pub(crate) dispatcher: Dispatcher,
    /// Once it leads.
    pub(crate) fleet: Option<Fleet>,
    pub(crate) stopped_until: Time,
    agents: BTreeMap<AgentId, Bridge>,
    /// Number of the last delivery.
    deliveries: u64,
    /// Ops that wait for the answer to a settlement.
    settling: BTreeMap<HandOutId, VecDeque<(AgentId, Value)>>,
}

/// Bridge of one agent.
#[derive(Default)]
struct Bridge {
    partial: Vec<u8>,
    deliveries: BTreeMap<u64, HandOutId>,
    /// Lines of hand-outs, and the requests for files that they wait for.
    lines: VecDeque<(Option<u64>, Value)>,
}

impl LeaderHost {
    pub(crate) fn deadline(&self) -> Option<Time> {
        let fleet = self.fleet.as_ref().and_then(Fleet::deadline);
        let next = self.dispatcher.deadline().into_iter().chain(fleet).min();
        next.map(|at| at.max(self.stopped_until))
    }

    /// Hands over to another leader.
    pub(crate) fn hand_over(&mut self, now: Time) {
        // First, so that the agents of workers keep what they have.
        self.dispatcher.handle_shutdown(now);
    }

    /// Writes the hand-outs whose files are there.
    fn write_lines(&mut self, now: Time, agent: &AgentId) {
        let is_due = |bridge: &Bridge| bridge.lines.front().is_some_and(|(call, _)| call.is_none());
        let next = |bridge: &mut Bridge| if is_due(bridge) { bridge.lines.pop_front() } else { None };
        while let Some((_, line)) = self.agents.get_mut(agent).and_then(next) {
            self.write(now, agent, &line);
        }
    }

    fn write(&mut self, now: Time, agent: &AgentId, line: &Value) {
        if let Some(fleet) = &mut self.fleet {
            fleet.handle_write(now, agent, format!("{line}\n").as_bytes());
        }
    }
}

impl World {
    pub(crate) fn start_leader(&mut self, number: u64) -> Checked {
        let dispatcher = Dispatcher::new(self.setup.limits.clone(), &format!("leader {number}"), self.now);
        let (agents, settling) = (BTreeMap::new(), BTreeMap::new());
        let stopped_until = Time::ZERO;
        let leader =
            LeaderHost { number, dispatcher, fleet: None, stopped_until, agents, deliveries: 0, settling };
        self.leaders.insert(number, leader);
        self.leader(number, |_| {})
    }

    /// Gives a leader an input, and carries out its outputs.
    pub(crate) fn leader(&mut self, number: u64, input: impl FnOnce(&mut LeaderHost)) -> Checked {
        let Some(leader) = self.leaders.get_mut(&number) else { return Ok(()) };
        input(leader);
        loop {
            let Some(leader) = self.leaders.get_mut(&number) else { return Ok(()) };
            if let Some(output) = leader.dispatcher.poll_output() {
                self.queue_output(number, output)?;
            } else if let Some(output) = leader.fleet.as_mut().and_then(Fleet::poll_output) {
                self.fleet_output(number, output)?;
            } else {
                return Ok(());
            }
        }
    }

    fn queue_output(&mut self, number: u64, output: Output) -> Checked {
        let now = self.now;
        if !matches!(output, Output::Store { .. }) {
            self.note(|| format!("leader {number}: {output:?}"));
        }
        let leader = self.leaders.get_mut(&number).unwrap();
        match output {
            Output::Store { id, command } => {
                let delay = self.random.below(4);
                self.at(delay, Happening::Execute { leader: number, id, command });
            }
            Output::Leading { epoch } => {
                leader.fleet = Some(Fleet::new(epoch, self.setup.limits.lease, now));
                self.connected = number;
                // The connector displaces an earlier one, which then looks into the journal.
                for earlier in
                    self.leaders.keys().copied().filter(|other| *other < number).collect::<Vec<_>>()
                {
                    self.at(100, Happening::Displace(earlier));
                }
            }
            Output::HandOut(hand_out) => {
                let is_long = self.random.chance(self.setup.long_lines);
                let Some(bridge) = leader.agents.get_mut(&hand_out.agent) else { return Ok(()) };
                leader.deliveries += 1;
                let delivery = leader.deliveries;
                bridge.deliveries.insert(delivery, hand_out.id);
                let line = json!({
                    "event": "message", "delivery": delivery, "entry": hand_out.id.entry,
                    "attempt": hand_out.id.attempt, "message": {"text": "x".repeat(if is_long { 200_000 } else { delivery as usize * 7 % 50 })},
                });
                let place = FileRequest::Place { id: hand_out.id, name: delivery.to_string() };
                let has_file = hand_out.id.entry.0.is_multiple_of(3);
                let call = leader
                    .fleet
                    .as_mut()
                    .filter(|_| has_file)
                    .and_then(|fleet| fleet.handle_file_request(now, &hand_out.agent, place, Vec::new()));
                bridge.lines.push_back((call, line));
                leader.write_lines(now, &hand_out.agent);
            }
            Output::Arrived { arrival, result: Ok(_) } => _ = self.stored.insert(arrival.0),
            Output::Settled { hand_out, result } => {
                let waiting = leader.settling.get_mut(&hand_out).and_then(VecDeque::pop_front);
                if let Some((agent, id)) = waiting {
                    let line = match result {
                        Err(relayline_queue::output::NotSettled::NotLeading) => json!({
                            "event": "result", "id": id, "ok": false,
                            "error": {"kind": "definite", "message": "no", "code": NOT_LEADING},
                        }),
                        _ => json!({"event": "result", "id": id, "ok": true, "result": {}}),
                    };
                    leader.write(now, &agent, &line);
                }
            }
            Output::LeaseLost { worker } => {
                // The worker must have stopped ops before, unless it is stopped itself, or over.
                let epoch = leader.dispatcher.ledger().epoch();
                let is_led = self.workers.get(&*worker).is_some_and(|host| {
                    let is_at_work = host.stopped_until < now && host.worker.deadline().is_some();
                    is_at_work && host.worker.is_led() && host.worker.usage(now).epoch == epoch
                });
                check("a-lease-ends-at-its-worker-first", !is_led, || worker.to_string())?;
                leader.fleet.iter_mut().for_each(|fleet| fleet.handle_lease_lost(now, &worker));
            }
            Output::Lost | Output::Released => {
                let hands_over = matches!(output, Output::Released);
                leader.fleet.iter_mut().for_each(|fleet| fleet.handle_end_of_lead(now, hands_over));
                return self.leader_over(number);
            }
            Output::Failed(error) => return check("the-store-can-be-read", false, || error.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn leader_over(&mut self, number: u64) -> Checked {
        while let Some(output) = self
            .leaders
            .get_mut(&number)
            .and_then(|leader| leader.fleet.as_mut())
            .and_then(Fleet::poll_output)
        {
            self.fleet_output(number, output)?;
        }
        self.leaders.remove(&number);
        if self.leaders.is_empty() || self.connected == number {
            let after = self.random.between(1, 2000);
            self.at(after, Happening::StartLeader);
        }
        Ok(())
    }

    fn fleet_output(&mut self, number: u64, output: FleetOutput) -> Checked {
        let now = self.now;
        let leader = self.leaders.get_mut(&number).unwrap();
        match output {
            FleetOutput::Publish { worker, frame } => self.publish(None, &To::Worker(worker), &frame),
            FleetOutput::Broadcast(frame) => self.publish(None, &To::Workers, &frame),
            FleetOutput::Claim { worker, call, agents } => {
                let mut claimed = Claimed::default();
                let mut result =
                    leader.dispatcher.handle_worker(now, &worker).map_err(|error| error.to_string());
                for claim in &agents {
                    if result.is_err() {
                        break;
                    }
                    let agent = AgentId::of_worker(&worker, &claim.agent);
                    match leader.dispatcher.handle_claim(now, &agent, &claim.held, &claim.settling) {
                        Ok(ended) => {
                            claimed.ended.extend(ended);
                            leader.agents.insert(agent, Bridge::default());
                        }
                        Err(ClaimRefused::Ended) => claimed.refused.push(claim.agent.clone()),
                        Err(error) => result = Err(error.to_string()),
                    }
                }
                if result.is_ok() {
                    leader.dispatcher.handle_claims_done(now, &worker);
                }
                let result = result.map(|()| claimed);
                let fleet = leader.fleet.as_mut().unwrap();
                fleet.handle_claimed(now, &worker, call, &agents, result.clone());
                self.note(|| format!("leader {number} answers {worker}: {result:?}"));
            }
            FleetOutput::Renew { worker } => _ = leader.dispatcher.handle_worker(now, &worker),
            FleetOutput::Started(agent) => {
                if leader.dispatcher.handle_claim(now, &agent, &[], &[]).is_ok() {
                    leader.agents.insert(agent, Bridge::default());
                } else {
                    leader.fleet.as_mut().unwrap().handle_end(now, &agent);
                }
            }
            FleetOutput::Wrote(agent, bytes) => {
                leader.fleet.as_mut().unwrap().handle_read(now, &agent, bytes.len() as u64);
                let Some(bridge) = leader.agents.get_mut(&agent) else { return Ok(()) };
                bridge.partial.extend_from_slice(&bytes);
                while let Some(end) = self.leaders.get(&number).and_then(|leader| {
                    leader.agents.get(&agent)?.partial.iter().position(|byte| *byte == b'\n')
                }) {
                    let bridge = self.leaders.get_mut(&number).unwrap().agents.get_mut(&agent).unwrap();
                    let line: Vec<u8> = bridge.partial.drain(..=end).collect();
                    self.op(number, &agent, &line)?;
                }
            }
            FleetOutput::Ended(agent, error) => {
                self.note(|| format!("leader {number}: {agent} has ended: {error:?}"));
                let leader = self.leaders.get_mut(&number).unwrap();
                if leader.agents.remove(&agent).is_some() {
                    let end = error.map_or(AgentEnd::Planned, AgentEnd::Crashed);
                    leader.dispatcher.handle_agent_ended(now, &agent, &end, &[]);
                }
            }
            FleetOutput::FileAnswer { agent, call, answer: FileAnswer::Placed { path }, .. } => {
                let bridge = leader.agents.get_mut(&agent);
                let asked =
                    bridge.and_then(|bridge| bridge.lines.iter_mut().find(|line| line.0 == Some(call)));
                let is_asked = asked.is_some();
                check("a-file-answers-its-request", is_asked, || format!("{agent} answers {call}: {path}"))?;
                if let Some((call, line)) = asked {
                    *call = None;
                    line["message"]["path"] = json!(path);
                }
                leader.write_lines(now, &agent);
            }
            FleetOutput::WorkerEnded { worker } => leader.dispatcher.handle_worker_ended(now, &worker),
            _ => {}
        }
        Ok(())
    }

    /// Carries out an op of an agent.
    fn op(&mut self, number: u64, agent: &AgentId, line: &[u8]) -> Checked {
        let now = self.now;
        let op: Value = match serde_json::from_slice(line) {
            Ok(op) => op,
            Err(error) => return check("lines-arrive-whole", false, || format!("{error}: {line:?}")),
        };
        self.note(|| format!("leader {number}: {agent} writes {op}"));
        let is_connected = self.connected == number;
        let leader = self.leaders.get_mut(&number).unwrap();
        let delivery = op["delivery"].as_u64();
        let known = delivery.and_then(|delivery| leader.agents[agent].deliveries.get(&delivery).copied());
        let Some(id) = known else {
            return check("a-delivery-is-of-its-agent", false, || format!("{agent}: {op}"));
        };
        match op["op"].as_str().unwrap() {
            "send" => {
                let result = if is_connected {
                    let newest = self.seen.get(&id.entry).map_or(0, |seen| seen.attempt);
                    check("no-op-of-a-lost-lease", newest <= id.attempt, || {
                        format!("{agent} writes for {id}, and {newest} is out")
                    })?;
                    check("an-op-belongs-to-its-entry", op["content"] == json!(id.entry.0), || {
                        format!("{op} for {id}")
                    })?;
                    json!({"event": "result", "id": op["id"], "ok": true, "result": {}})
                } else {
                    json!({"event": "result", "id": op["id"], "ok": false, "error": {"kind": "definite", "message": ""}})
                };
                self.leaders.get_mut(&number).unwrap().write(now, agent, &result);
            }
            settle => {
                let settlement = match settle {
                    "ack" => Settlement::Done,
                    _ => Settlement::Refused("no".to_owned()),
                };
                leader.settling.entry(id).or_default().push_back((agent.clone(), op["id"].clone()));
                leader.dispatcher.settle(now, id, settlement);
            }
        }
        Ok(())
    }
}
