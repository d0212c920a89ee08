//! The machine: its inputs and outputs. It passes on what its components return.
//!
//! `agent.rs` reads the agent's messages and starts it, `sessions.rs` opens and closes sessions, `messages.rs` handles
//! what arrives from chats, `turns.rs` begins and ends turns, `showing.rs` shows them,
//! `updates.rs` handles the agent's reports, and
//! `permissions.rs` its permission requests.

mod agent;
mod messages;
mod permissions;
mod sessions;
mod showing;
#[cfg(test)]
mod tests;
mod turns;
mod updates;

use crate::config::AcpConfig;
use crate::fields::logged;
use crate::known::{KnownSessions, SavedState};
use crate::manifest::manifest;
use crate::output::{HostOp, HostResult, LogEntry, LogLevel, OpId, Output};
use crate::session::{Session, SessionPhase};
use crate::stats::AcpStats;
use agent::{AgentPhase, SentRequest};
use agent_client_protocol_schema::AvailableCommand;
use relayline_core::command::{Command, Failure, Reply};
use relayline_core::output::{DeliveryId, Outcome};
use relayline_core::time::Time;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Client of an ACP agent behind a relay: see the [documentation of the crate](crate).
#[derive(Debug)]
pub struct AcpMachine {
    config: AcpConfig,
    agent: AgentPhase,
    /// Requests to the agent without a response, by their numbers.
    requests: BTreeMap<i64, SentRequest>,
    next_request: i64,
    /// Number of lines that the agent has written.
    lines: u64,
    sessions: BTreeMap<String, Session>,
    /// Keys of the sessions that are open or being resumed, by the agent's ids.
    by_id: BTreeMap<String, String>,
    /// Keys of the sessions whose turn has this open prompt.
    prompts: BTreeMap<String, String>,
    next_prompt: u64,
    known: KnownSessions,
    commands: Vec<AvailableCommand>,
    /// Operations without a result.
    ops: BTreeMap<OpId, OpUse>,
    next_op: u64,
    arrivals: u64,
    /// Number and bytes of the messages that wait.
    waiting: (usize, usize),
    is_connected: bool,
    is_stopping: bool,
    /// Set while a change is to be saved.
    is_unsaved: bool,
    outputs: VecDeque<Output>,
    stats: AcpStats,
}

/// Purpose of an operation.
#[derive(Clone, PartialEq, Debug)]
enum OpUse {
    /// File of the turn of this session.
    File { session: String },
    /// Last state of an answer.
    Answer { session: String, delivery: DeliveryId },
    /// State of a turn's progress.
    Progress { session: String, delivery: DeliveryId },
    /// Line at the end of a turn.
    Line { session: String, delivery: DeliveryId },
    /// Prompt for a permission request.
    Prompt { prompt_id: String, is_text: bool },
    /// Nothing depends on it.
    BestEffort,
}

impl AcpMachine {
    /// Creates a machine with the state of an earlier process.
    pub fn new(config: AcpConfig, saved: &SavedState) -> AcpMachine {
        let known = KnownSessions::new(saved, config.limits.acp_known_sessions);
        AcpMachine {
            config,
            agent: AgentPhase::Down,
            requests: BTreeMap::new(),
            next_request: 0,
            lines: 0,
            sessions: BTreeMap::new(),
            by_id: BTreeMap::new(),
            prompts: BTreeMap::new(),
            next_prompt: 0,
            known,
            commands: saved.commands().to_vec(),
            ops: BTreeMap::new(),
            next_op: 0,
            arrivals: 0,
            waiting: (0, 0),
            is_connected: false,
            is_stopping: false,
            is_unsaved: false,
            outputs: VecDeque::new(),
            stats: AcpStats::default(),
        }
    }

    /// Returns the next output. Drain it after each input.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && std::mem::take(&mut self.is_unsaved) {
            return Some(Output::Save);
        }
        self.outputs.pop_front()
    }

    /// Returns the time of the next [`handle_tick`](Self::handle_tick).
    pub fn deadline(&self) -> Option<Time> {
        let requests = self.requests.values().filter_map(|request| request.expires);
        let limits = &self.config.limits;
        let turns = self.sessions.values().filter_map(|session| session.turn.as_ref());
        let turns = turns.filter_map(|turn| turn.deadline(self.is_connected, limits));
        requests.chain(turns).min()
    }

    /// Returns true if another message can be passed in. Otherwise leave it in the inbox. Messages that cannot wait are
    /// refused, so that an answer or a `/stop` behind them arrives.
    pub fn takes_deliveries(&self) -> bool {
        !self.is_stopping
    }

    /// Returns true if no turn is in progress.
    pub fn is_idle(&self) -> bool {
        self.sessions.values().all(|session| !session.is_busy())
    }

    /// Returns the state to save.
    pub fn state(&self) -> SavedState {
        self.known.save(&self.commands)
    }

    /// Returns the command manifest to declare to Discord: the agent's commands and `/stop`. `None` while the agent has
    /// not reported any command.
    pub fn command_manifest(&self) -> Option<Vec<Value>> {
        manifest(&self.commands)
    }

    /// Returns the counters.
    pub fn stats(&self) -> AcpStats {
        self.stats
    }

    /// Handles a connection of the relay.
    pub fn handle_connected(&mut self, now: Time) {
        self.is_connected = true;
        for key in self.keys(|session| session.turn.is_some()) {
            if let Some(turn) = self.turn_mut(&key) {
                turn.retry_at = None;
            }
            self.resume_bracket(&key);
            self.advance_turn(now, &key);
        }
    }

    /// Handles the loss of the relay's connection: open permission requests are cancelled, and answers wait.
    pub fn handle_disconnected(&mut self, now: Time) {
        self.is_connected = false;
        for key in self.keys(|session| session.turn.is_some()) {
            self.cancel_permissions(now, &key);
        }
    }

    /// Handles the result of an operation.
    pub fn handle_result(&mut self, now: Time, id: OpId, result: HostResult) {
        let Some(op) = self.ops.remove(&id) else {
            self.stats.stray_results += 1;
            return;
        };
        match (op, result) {
            (OpUse::File { session }, HostResult::Fetch(file)) => self.file_fetched(now, &session, id, file),
            (OpUse::Answer { session, delivery }, HostResult::Command(result)) => {
                self.answer_sent(now, &session, delivery, result);
            }
            (OpUse::Progress { session, delivery }, HostResult::Command(result)) => {
                self.progress_shown(now, &session, delivery, result);
            }
            (OpUse::Line { session, delivery }, HostResult::Command(result)) => {
                self.line_sent(now, &session, delivery, result);
            }
            (OpUse::Prompt { prompt_id, is_text }, HostResult::Command(result)) => {
                self.prompt_sent(now, &prompt_id, is_text, result);
            }
            (OpUse::BestEffort, HostResult::Command(Err(failure))) => {
                self.log(LogLevel::Debug, "acp_op_failed", &failure.message);
            }
            (OpUse::BestEffort, HostResult::Command(Ok(_))) => {}
            // A result of another kind than the operation.
            (_, HostResult::Fetch(_) | HostResult::Command(_)) => self.stats.stray_results += 1,
        }
    }

    /// Handles the passage of time: call it at [`deadline`](Self::deadline).
    pub fn handle_tick(&mut self, now: Time) {
        self.expire_requests(now);
        for key in self.keys(|session| session.turn.is_some()) {
            self.expire_permissions(now, &key);
            self.tick_turn(now, &key);
        }
    }

    /// Handles the request to stop the gateway: cancels all turns, and refuses the messages that wait. Lines for the
    /// chats follow as operations; [`is_idle`](Self::is_idle) is true once they are sent.
    pub fn handle_shutdown(&mut self, now: Time) {
        if std::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        for key in self.keys(|_| true) {
            self.refuse_waiting(&key);
            self.shut_down_turn(now, &key);
        }
    }

    /// Returns the keys of some sessions, in order.
    fn keys(&self, wanted: impl Fn(&Session) -> bool) -> Vec<String> {
        self.sessions.iter().filter(|(_, session)| wanted(session)).map(|(key, _)| key.clone()).collect()
    }

    fn turn_mut(&mut self, key: &str) -> Option<&mut crate::turn::Turn> {
        self.sessions.get_mut(key)?.turn.as_mut()
    }

    fn settle(&mut self, delivery: DeliveryId, outcome: Outcome) {
        self.outputs.push_back(Output::Settle { delivery, outcome });
    }

    /// Writes a line to the agent, unless its process has ended.
    fn write(&mut self, line: String) {
        if matches!(self.agent, AgentPhase::Starting | AgentPhase::Ready(_)) {
            self.outputs.push_back(Output::Write { line, settles: None });
        }
    }

    fn perform(&mut self, op: HostOp, purpose: OpUse) -> OpId {
        self.next_op += 1;
        let id = OpId(self.next_op);
        self.ops.insert(id, purpose);
        self.outputs.push_back(Output::Perform { id, op });
        id
    }

    fn command(&mut self, command: impl Into<Command>, purpose: OpUse) {
        self.perform(HostOp::Command(Box::new(command.into())), purpose);
    }

    fn log(&mut self, level: LogLevel, event: &'static str, why: &str) {
        self.outputs.push_back(Output::Log(LogEntry { level, event, why: logged(why) }));
    }

    /// Removes a session about which nothing is left to remember.
    fn tidy(&mut self, key: &str) {
        let is_over = |session: &Session| !session.is_busy() && session.phase == SessionPhase::Closed;
        if self.sessions.get(key).is_some_and(is_over) {
            self.sessions.remove(key);
        }
    }
}

/// Result of a command.
type CommandResult = Result<Reply, Failure>;
