//! Workers of the simulation, and their agents: each answers a message, and then settles it.

use crate::world::{Checked, Happening, To, World, check};
use relayline_core::time::Time;
use relayline_queue::fleet::worker::{Worker, WorkerOutput};
use relayline_queue::fleet::{FileCall, FileRequest};
use relayline_queue::id::{EntryId, HandOutId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct WorkerHost {
    pub(crate) worker: Worker,
    pub(crate) stopped_until: Time,
    pub(crate) cut_until: Time,
    agents: BTreeMap<String, Agent>,
    next_agent: u64,
    is_ending: bool,
}

#[derive(Default)]
struct Agent {
    job: u64,
    seen: BTreeSet<HandOutId>,
    numbers: BTreeSet<u64>,
    /// Ops without a result: the delivery and the entry of each.
    asked: BTreeMap<String, (u64, EntryId)>,
    /// Deliveries that it has not settled.
    open: BTreeMap<u64, EntryId>,
    next_op: u64,
    /// Hand-outs whose files were placed.
    placed: BTreeSet<HandOutId>,
}

impl WorkerHost {
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.worker.deadline().map(|at| at.max(self.stopped_until))
    }

    /// Returns the hand-outs whose files its agents have.
    pub(crate) fn placed(&self) -> impl Iterator<Item = HandOutId> {
        self.agents.values().flat_map(|agent| agent.placed.iter().copied())
    }
}

impl World {
    pub(crate) fn start_worker(&mut self, number: u64) -> Checked {
        let name = format!("w{number}");
        let worker = Worker::new(self.setup.worker_limits.clone(), &name, self.now);
        let host = WorkerHost {
            worker,
            stopped_until: Time::ZERO,
            cut_until: Time::ZERO,
            agents: BTreeMap::new(),
            next_agent: 0,
            is_ending: false,
        };
        self.workers.insert(name.clone(), host);
        for job in 0..self.setup.jobs {
            let after = self.random.below(200);
            self.at(after, Happening::StartAgent { worker: name.clone(), job });
        }
        if self.setup.worker_ends > 0 && self.random.chance(300) {
            let after = self.random.between(1000, 60_000);
            self.at(after, Happening::EndWorker(name.clone()));
            self.at(after + 1000, Happening::StartWorker);
        }
        self.worker(&name, |_| {})
    }

    pub(crate) fn end_worker(&mut self, name: &str) -> Checked {
        let now = self.now;
        let Some(host) = self.workers.get_mut(name) else { return Ok(()) };
        host.is_ending = true;
        let agents: Vec<String> = host.agents.keys().cloned().collect();
        for agent in agents {
            self.agent_ended(name, &agent, None)?;
        }
        self.worker(name, |worker| worker.handle_shutdown(now))
    }

    /// Gives a worker an input, and carries out its outputs.
    pub(crate) fn worker(&mut self, name: &str, input: impl FnOnce(&mut Worker)) -> Checked {
        let Some(host) = self.workers.get_mut(name) else { return Ok(()) };
        input(&mut host.worker);
        while let Some(output) = self.workers.get_mut(name).and_then(|host| host.worker.poll_output()) {
            match output {
                WorkerOutput::Publish(frame) => self.publish(Some(name), &To::Leader, &frame),
                WorkerOutput::Write { agent, line } => {
                    self.agent_gets(name, &agent, &line)?;
                    let now = self.now;
                    let host = self.workers.get_mut(name).unwrap();
                    host.worker.handle_lines_read(now, &agent, 1);
                }
                WorkerOutput::End { agent, why } => {
                    self.note(|| format!("{name}/{agent} is to end: {why}"));
                    self.agent_ended(name, &agent, Some("it was ended"))?;
                }
                WorkerOutput::File { call, request: FileRequest::Place { id, .. }, .. } => {
                    self.place(name, call, id);
                }
                WorkerOutput::Released { agent, id } => {
                    let known = self.workers.get_mut(name).and_then(|host| host.agents.get_mut(&agent));
                    let was_placed = known.is_none_or(|known| known.placed.remove(&id));
                    check("a-file-leaves-once", was_placed, || format!("{name}/{agent}: {id}"))?;
                }
                other => self.note(|| format!("{name}: {other:?}")),
            }
        }
        Ok(())
    }

    /// Places a file of a message, which takes a while.
    fn place(&mut self, name: &str, call: FileCall, id: HandOutId) {
        let host = self.workers.get_mut(name).unwrap();
        if let Some(known) = host.agents.get_mut(call.agent()) {
            known.placed.insert(id);
        }
        let path = format!("{name}/{}/{id}", call.agent());
        let after = *self.random.pick(&[0, 5, 1000]);
        self.at(after, Happening::FilePlaced { worker: name.to_owned(), call, path });
    }

    pub(crate) fn start_agent(&mut self, name: &str, job: u64) -> Checked {
        let now = self.now;
        let Some(host) = self.workers.get_mut(name).filter(|host| !host.is_ending) else { return Ok(()) };
        host.next_agent += 1;
        let agent = format!("{job}-{}", host.next_agent);
        host.agents.insert(agent.clone(), Agent { job, ..Agent::default() });
        self.worker(name, |worker| worker.handle_agent_started(now, &agent))
    }

    pub(crate) fn agent_ended(&mut self, name: &str, agent: &str, error: Option<&str>) -> Checked {
        let now = self.now;
        let Some(host) = self.workers.get_mut(name) else { return Ok(()) };
        let Some(Agent { job, .. }) = host.agents.remove(agent) else { return Ok(()) };
        if !host.is_ending {
            let after = self.random.between(1, 500);
            self.at(after, Happening::StartAgent { worker: name.to_owned(), job });
        }
        self.worker(name, |worker| worker.handle_agent_ended(now, agent, error))
    }

    /// Lets an agent write a line, if it still runs.
    pub(crate) fn agent_line(&mut self, name: &str, agent: &str, line: &[u8]) -> Checked {
        let now = self.now;
        let Some(host) = self.workers.get_mut(name) else { return Ok(()) };
        let Some(known) = host.agents.get_mut(agent) else { return Ok(()) };
        let op: Value = serde_json::from_slice(line).unwrap();
        let delivery = op["delivery"].as_u64().unwrap();
        if op["op"] == "send" && !known.open.contains_key(&delivery) {
            return Ok(());
        }
        if op["op"] != "send" {
            known.open.remove(&delivery);
        }
        if let Some(id) = op["id"].as_str() {
            let entry = EntryId(op["content"].as_u64().unwrap_or_default());
            known.asked.insert(id.to_owned(), (delivery, entry));
        }
        self.worker(name, |worker| worker.handle_line(now, agent, line))
    }

    fn says(&mut self, name: &str, agent: &str, after: u64, line: &Value) {
        let (worker, agent, line) = (name.to_owned(), agent.to_owned(), line.to_string().into_bytes());
        self.at(after, Happening::Line { worker, agent, line });
    }

    fn agent_gets(&mut self, name: &str, agent: &str, line: &[u8]) -> Checked {
        let line: Value = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(error) => return check("lines-arrive-whole", false, || format!("{error}: {line:?}")),
        };
        self.note(|| format!("{name}/{agent} gets {line}"));
        let host = self.workers.get_mut(name).unwrap();
        let Some(known) = host.agents.get_mut(agent) else { return Ok(()) };
        match line["event"].as_str().unwrap() {
            "message" => {
                let entry = EntryId(line["entry"].as_u64().unwrap());
                let attempt = u32::try_from(line["attempt"].as_u64().unwrap()).unwrap();
                let (id, delivery) = (HandOutId { entry, attempt }, line["delivery"].as_u64().unwrap());
                let is_new = known.seen.insert(id) && known.numbers.insert(delivery);
                let path = line["message"]["path"].as_str();
                let is_there = path
                    .is_none_or(|path| path == format!("{name}/{agent}/{id}") && known.placed.contains(&id));
                check("a-message-comes-with-its-file", is_there, || format!("{name}/{agent}: {line}"))?;
                check("an-agent-gets-a-hand-out-once", is_new, || format!("{name}/{agent}: {line}"))?;
                let is_done = self.done.contains(&entry);
                check("what-is-done-does-not-come-again", !is_done, || format!("{name}/{agent}: {line}"))?;
                let sightings = self.sightings.entry(entry).or_default();
                *sightings += 1;
                let is_kept = *sightings <= 1 || !self.setup.keeps_agents();
                check("a-change-of-leader-is-no-redelivery", is_kept, || format!("{name}/{agent}: {line}"))?;
                let newest = self.seen.get(&entry).map_or(0, |seen| seen.attempt);
                check("a-hand-out-is-of-one-agent", attempt > newest || self.leaders.is_empty(), || {
                    format!("{name}/{agent} gets {id}, and {newest} was out")
                })?;
                self.seen.insert(entry, id);
                known.open.insert(delivery, entry);
                let after = *self.random.pick(&[0, 5, 1000, 20_000]);
                if !self.is_calm && self.random.chance(self.setup.agent_crashes) {
                    self.at(after, Happening::EndAgent { worker: name.to_owned(), agent: agent.to_owned() });
                } else {
                    let op = format!("send-{entry}-{attempt}");
                    let op = json!({"op": "send", "id": op, "delivery": delivery, "content": entry});
                    self.says(name, agent, after, &op);
                }
            }
            "result" => {
                let id = line["id"].as_str().unwrap().to_owned();
                let asked = known.asked.remove(&id);
                check("an-op-has-one-result", asked.is_some(), || format!("{name}/{agent}: {line}"))?;
                let (delivery, entry) = asked.unwrap();
                if id.starts_with("send") {
                    let is_refused = !self.is_calm && self.random.chance(self.setup.refusals);
                    let op = if is_refused { "refuse" } else { "ack" };
                    let mut op = json!({"op": op, "delivery": delivery});
                    if self.random.chance(500) {
                        op["id"] = json!(format!("{}-{entry}-{delivery}", op["op"].as_str().unwrap()));
                        op["content"] = json!(entry);
                    }
                    let after = *self.random.pick(&[0, 0, 500]);
                    self.says(name, agent, after, &op);
                } else if !id.starts_with("again") {
                    let (is_ok, error) = (line["ok"] == json!(true), &line["error"]);
                    let is_lost =
                        error["kind"] == "definite" && error["message"].as_str().unwrap().contains("lease");
                    check("a-settlement-succeeds-or-is-lost", is_ok || is_lost, || line.to_string())?;
                    if is_ok && id.starts_with("ack") {
                        self.done.insert(entry);
                    }
                }
            }
            // It does not wait for the next leader.
            "disconnected" if !self.is_calm && self.random.chance(500) => {
                let Some((&delivery, &entry)) = known.open.first_key_value() else { return Ok(()) };
                known.next_op += 1;
                let op = format!("again-{}", known.next_op);
                let op = json!({"op": "send", "id": op, "delivery": delivery, "content": entry});
                let after = *self.random.pick(&[0, 100, 1000, 2000, 5000]);
                self.says(name, agent, after, &op);
            }
            _ => {}
        }
        Ok(())
    }
}
