//! An agent of a worker: what it has, its ops without a result, and the numbers of its deliveries.

use super::super::frame::AgentClaim;
use super::super::line::{self, EventLine, OpLine, Settles};
use super::{WINDOW_BYTES, WorkerUsage};
use crate::id::HandOutId;
use crate::output::EndedHandOuts;
use relayline_core::line::{Line, LineSplitter};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Maximum number of deliveries that an agent can name, besides those that it has not settled.
const MAX_NUMBERS: usize = 4096;

/// Maximum number of bytes of a line of the leader.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Error of an op while no gateway leads.
const NO_LEADER: &str = "no gateway leads now: try again when the agent is connected";
/// Error of an op that names a delivery of an earlier leader, which is settled.
const EARLIER: &str = "the delivery is of an earlier gateway, and is settled: name the chat instead";
/// Error of a settlement whose hand-out has ended.
const LOST: &str = "the lease is lost: the message is handed out again";
/// Error of an agent's `disconnect`.
const NO_DISCONNECT: &str =
    "the gateway is not this agent's alone: end the agent instead, and others get what it has not settled";

/// Beginning of the ids that the worker gives to settlements without one.
const OWN_ID: &str = "relayline-worker-";

/// State of an agent.
#[derive(Debug)]
pub(super) struct Agent {
    /// True if the agent is to end.
    is_over: bool,
    held: BTreeMap<HandOutId, Held>,
    /// Last deliveries by number, settled ones too.
    numbers: BTreeMap<u64, Known>,
    next_number: u64,
    /// Ops without a result, by id. Each has the hand-out that it settles, if it settles one.
    pending: BTreeMap<String, VecDeque<Option<HandOutId>>>,
    next_own: u64,
    /// Settlements to send again.
    resend: VecDeque<Vec<u8>>,
    /// Lines of the agent that wait for the leader, and their bytes.
    lines: VecDeque<Vec<u8>>,
    line_bytes: usize,
    /// Bytes that the leader has not read.
    unread: u64,
    /// Lines of the leader. A longer one, which no leader writes, is dropped.
    splitter: LineSplitter,
    /// Bytes of the leader for each line that the agent has not read. Lines of the worker have none.
    written: VecDeque<u64>,
    /// Hand-outs whose files were placed here.
    placed: BTreeSet<HandOutId>,
    /// Those of them that the agent does not have any more.
    released: Vec<HandOutId>,
}

/// Hand-out that is not settled.
#[derive(Debug)]
struct Held {
    number: u64,
    /// Settlement without an answer, and its id.
    settling: Option<(Settles, String)>,
}

/// Delivery that the agent can name.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: HandOutId,
    /// Number among the deliveries of the leader; `None` for a delivery of an earlier leader, until the leader has handed it
    /// out again.
    leader_number: Option<u64>,
}

/// What becomes of a line of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineStep {
    /// The leader gets this line.
    Send(Vec<u8>),
    /// The agent gets this line: the op has failed, or is done.
    Answer(Vec<u8>),
    /// The op is dropped: it has no id.
    Drop,
    /// The settlement waits for the next leader.
    Keep,
}

/// What becomes of a line of the leader.
#[derive(Debug)]
pub(super) enum EventStep {
    /// The agent gets this line.
    Write { text: Vec<u8>, is_hand_out: bool },
    /// The agent has the hand-out already.
    Kept,
    /// It is the worker's.
    Swallow,
}

impl Agent {
    pub(super) fn new() -> Agent {
        Agent {
            is_over: false,
            held: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: 0,
            pending: BTreeMap::new(),
            next_own: 0,
            resend: VecDeque::new(),
            lines: VecDeque::new(),
            line_bytes: 0,
            unread: 0,
            splitter: LineSplitter::new(MAX_LINE_BYTES),
            written: VecDeque::new(),
            placed: BTreeSet::new(),
            released: Vec::new(),
        }
    }

    /// Adds what the agent has, and what waits for it and for the leader.
    pub(super) fn add_to(&self, usage: &mut WorkerUsage) {
        usage.agents += 1;
        usage.agents_held_back += usize::from(!self.takes_lines());
        usage.held += self.held.len();
        usage.settling += self.held.values().filter(|held| held.settling.is_some()).count();
        usage.pending_ops += self.pending.values().map(VecDeque::len).sum::<usize>();
        usage.waiting_lines += self.lines.len();
        usage.waiting_bytes += self.line_bytes;
        usage.unread_bytes += self.unread;
        usage.unread_lines += self.written.len();
    }

    /// Returns true if the agent is to end.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_over
    }

    /// Returns what the agent has, for a request for a lease.
    pub(super) fn claim(&self, agent: &str) -> AgentClaim {
        let (settling, held): (Vec<_>, Vec<_>) =
            self.held.iter().partition(|(_, held)| held.settling.is_some());
        let ids = |held: Vec<(&HandOutId, &Held)>| held.into_iter().map(|(id, _)| *id).collect();
        AgentClaim { agent: agent.to_owned(), held: ids(held), settling: ids(settling) }
    }

    /// Lets the agent end: nothing of it counts any more.
    pub(super) fn abandon(&mut self) {
        self.is_over = true;
        self.held.clear();
        self.resend.clear();
    }

    /// Queues a line of the agent.
    pub(super) fn queue(&mut self, line: &[u8]) {
        self.line_bytes += line.len();
        self.lines.push_back(line.to_vec());
    }

    pub(super) fn takes_lines(&self) -> bool {
        (self.line_bytes as u64) < WINDOW_BYTES
    }

    /// Handles that the leader has read a number of bytes.
    pub(super) fn leader_read(&mut self, bytes: u64) {
        self.unread = self.unread.saturating_sub(bytes);
    }

    /// Returns what becomes of the agent's next line; `None` if there is none, or if it must wait.
    pub(super) fn next_line(&mut self, is_led: bool) -> Option<LineStep> {
        if is_led && !self.is_over {
            if let Some(line) = self.resend.pop_front() {
                return Some(self.send(line));
            }
            if self.lines.is_empty() || self.unread >= WINDOW_BYTES || self.is_blocked() {
                return None;
            }
        }
        let line = self.lines.pop_front()?;
        self.line_bytes -= line.len();
        if self.is_over {
            return Some(LineStep::Drop);
        }
        Some(self.step(line, is_led))
    }

    /// Returns true while the leader has not handed everything out again: an op may name it.
    fn is_blocked(&self) -> bool {
        let is_known = |held: &Held| self.numbers.get(&held.number)?.leader_number;
        self.held.values().any(|held| is_known(held).is_none())
    }

    fn send(&mut self, mut line: Vec<u8>) -> LineStep {
        line.push(b'\n');
        self.unread += line.len() as u64;
        LineStep::Send(line)
    }

    fn step(&mut self, line: Vec<u8>, is_led: bool) -> LineStep {
        let Some(op) = OpLine::read(&line) else {
            // The leader answers that it is not an op.
            return if is_led { self.send(line) } else { LineStep::Drop };
        };
        let fail = |why: &str| {
            op.id.map_or(LineStep::Drop, |id| LineStep::Answer(line::failure(id, "definite", why)))
        };
        if op.op == "disconnect" {
            return fail(NO_DISCONNECT);
        }
        let Some(number) = op.delivery else {
            if !is_led {
                return fail(NO_LEADER);
            }
            self.note_pending(op.id, None);
            return self.send(line);
        };
        let Some(known) = self.numbers.get(&number).copied() else {
            return fail(&format!("there is no delivery {number}, or it was long ago"));
        };
        if let Some(settles) = op.settles()
            && let Some(held) = self.held.get_mut(&known.id)
            && held.settling.is_none()
        {
            let id = op.id.map_or_else(|| own_id(&mut self.next_own), str::to_owned);
            held.settling = Some((settles, id.clone()));
            if !is_led {
                return LineStep::Keep;
            }
            self.note_pending(Some(&id), Some(known.id));
            let line = op.with(known.leader_number, Some(&id));
            return self.send(line);
        }
        match known.leader_number {
            _ if !is_led => fail(NO_LEADER),
            Some(number) => {
                self.note_pending(op.id, None);
                let line = op.with(Some(number), None);
                self.send(line)
            }
            // The first word counts.
            None if op.settles().is_some() => {
                op.id.map_or(LineStep::Drop, |id| LineStep::Answer(line::success(id)))
            }
            None => fail(EARLIER),
        }
    }

    fn note_pending(&mut self, id: Option<&str>, settles: Option<HandOutId>) {
        if let Some(id) = id {
            self.pending.entry(id.to_owned()).or_default().push_back(settles);
        }
    }

    /// Handles the loss of the leader. Returns the results of ops that may have been carried out.
    pub(super) fn lose_leader(&mut self, why: &str) -> Vec<Vec<u8>> {
        let mut results = Vec::new();
        for (id, ops) in std::mem::take(&mut self.pending) {
            let uncertain = ops.into_iter().filter(Option::is_none);
            results.extend(uncertain.map(|_| line::failure(&id, "ambiguous", why)));
        }
        self.numbers.values_mut().for_each(|known| known.leader_number = None);
        self.written.iter_mut().for_each(|bytes| *bytes = 0);
        self.resend.clear();
        self.splitter = LineSplitter::new(MAX_LINE_BYTES);
        self.unread = 0;
        // Files of hand-outs whose lines did not come.
        self.released.extend(self.placed.extract_if(.., |id| !self.held.contains_key(id)));
        results
    }

    /// Begins with a new leader. `ended` are hand-outs whose settlement needs no answer any more. Returns the results of
    /// these settlements.
    pub(super) fn join(&mut self, ended: &EndedHandOuts) -> Vec<Vec<u8>> {
        let mut results = Vec::new();
        let done = ended.done.iter().map(|id| (id, true));
        for (id, is_done) in done.chain(ended.lost.iter().map(|id| (id, false))) {
            let Some(held) = self.held.get(id) else { continue };
            let Some((settles, op)) = held.settling.as_ref() else { continue };
            // What was refused is to be handed out again, for whatever reason.
            let succeeds = is_done || *settles == Settles::Refused;
            if !is_own(op) {
                results.push(if succeeds { line::success(op) } else { line::failure(op, "definite", LOST) });
            }
            self.release(*id);
        }
        results
    }

    /// Notes that a file of a hand-out is placed.
    pub(super) fn place(&mut self, id: HandOutId) {
        self.placed.insert(id);
    }

    /// Forgets a hand-out that is settled.
    fn release(&mut self, id: HandOutId) {
        self.held.remove(&id);
        if self.placed.remove(&id) {
            self.released.push(id);
        }
    }

    /// Returns the hand-outs with files that the agent does not have any more.
    pub(super) fn take_released(&mut self) -> Vec<HandOutId> {
        std::mem::take(&mut self.released)
    }

    /// Adds bytes of the leader. Returns the lines that are complete.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(line) = self.splitter.next(&mut bytes) {
            if let Line::Whole(line) = line
                && !line.is_empty()
            {
                lines.push(line.to_vec());
            }
        }
        lines
    }

    /// Handles a line of the leader.
    pub(super) fn event(&mut self, text: Vec<u8>) -> EventStep {
        match EventLine::read(&text) {
            EventLine::HandOut(id, leader_number, line) => {
                let known = Known { id, leader_number: Some(leader_number) };
                if let Some(held) = self.held.get(&id) {
                    self.numbers.insert(held.number, known);
                    if let Some((settles, op)) = held.settling.clone() {
                        self.note_pending(Some(&op), Some(id));
                        self.resend.push_back(line::settlement(settles, leader_number, &op));
                    }
                    return EventStep::Kept;
                }
                self.next_number += 1;
                let number = self.next_number;
                self.held.insert(id, Held { number, settling: None });
                self.remember(number, known);
                EventStep::Write { text: line.with_delivery(number), is_hand_out: true }
            }
            EventLine::Result { id, is_not_leading } => {
                if let Some(settled) = self.take_pending(id) {
                    if is_not_leading {
                        // It is settled with the next leader.
                        return EventStep::Swallow;
                    }
                    self.release(settled);
                }
                if is_own(id) { EventStep::Swallow } else { EventStep::Write { text, is_hand_out: false } }
            }
            EventLine::Other => EventStep::Write { text, is_hand_out: false },
        }
    }

    /// Ends an op that has its result. Returns the hand-out that it settles, if it settles one.
    fn take_pending(&mut self, id: &str) -> Option<HandOutId> {
        let ops = self.pending.get_mut(id)?;
        let settles = ops.pop_front();
        if ops.is_empty() {
            self.pending.remove(id);
        }
        settles.flatten()
    }

    /// Remembers a delivery by its number. The oldest settled one makes room.
    fn remember(&mut self, number: u64, known: Known) {
        self.numbers.insert(number, known);
        if self.numbers.len() > MAX_NUMBERS + self.held.len() {
            let oldest = self.numbers.iter().find(|(_, known)| !self.held.contains_key(&known.id));
            let oldest = oldest.map(|(number, _)| *number);
            oldest.map(|number| self.numbers.remove(&number));
        }
    }

    /// Notes a line for the agent, of this number of the leader's bytes.
    pub(super) fn wrote(&mut self, leader_bytes: u64) {
        self.written.push_back(leader_bytes);
    }

    /// Handles that the agent has read a number of lines. Returns the leader's bytes of these.
    pub(super) fn lines_read(&mut self, lines: usize) -> u64 {
        self.written.drain(..lines.min(self.written.len())).sum()
    }
}

fn own_id(next: &mut u64) -> String {
    *next += 1;
    format!("\"{OWN_ID}{next}\"")
}

fn is_own(id: &str) -> bool {
    id.strip_prefix('"').is_some_and(|id| id.starts_with(OWN_ID))
}
