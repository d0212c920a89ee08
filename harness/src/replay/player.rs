//! The player: feeds a recording to a machine in virtual time.

use super::ReplayError;
use super::calls::{self, Call, StatusQuery};
use super::config::{config, tokens_are_known};
use super::host;
use super::names::LiveIds;
use super::run::{Cut, MachineChange, MachineStep, ReplayOptions, ReplayRun, WaitCause};
use super::session::{DialEnd, Frame, Session};
use super::trace::{self, Entry};
use super::turns::{SlackSettings, TurnReplay};
use crate::recording::{LineContent, Recording, Side};
use relayline_core::command::Command;
use relayline_core::config::Config;
use relayline_core::machine::{DialFailure, IoEvent, RelayMachine};
use relayline_core::op::Op;
use relayline_core::output::{Conn, DeliveryId, Outcome, Phase, Timer};
use relayline_core::secret::Secret;
use relayline_core::stats::Stats;
use relayline_core::time::{Now, Time};
use relayline_core::trace::{Ids, Lines};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Seed of every replay. Each process changes the first byte, because no two processes may share a seed (O-1).
const SEED: [u8; 32] = *b"a replay must always be the same";

/// Plays a recording.
///
/// # Errors
///
/// Fails if the recording has no hello, or a line is not valid at its position.
pub fn play(recording: &Recording, options: ReplayOptions) -> Result<ReplayRun, ReplayError> {
    let session = Arc::new(Session::new(recording)?);
    let config = Arc::new(config(recording, &session)?);
    let starts = |what: &LineContent| {
        matches!(what, LineContent::Connect { .. })
            || what.host_call().is_some_and(|(call, _)| call == "connect")
    };
    let mut lines = recording.lines.iter().enumerate().skip_while(|(_, line)| !starts(&line.what)).peekable();
    let mut player =
        Player::new(recording, &session, config, options, lines.peek().map_or(0, |(_, l)| l.t_ms));
    for (at, line) in lines {
        player.run_until(Time::from_millis(line.t_ms));
        player.line = at;
        player.line(at).map_err(|problem| ReplayError::Line {
            file: recording.file.clone(),
            line: line.number,
            problem,
        })?;
    }
    player.finish();
    Ok(player.run)
}

/// Returns the recorded host's settings for Slack.
fn slack(recording: &Recording, session: &Session) -> SlackSettings {
    let settings = recording.header.gateway.rest.get("slack").and_then(Value::as_object);
    let heard = session.dials.iter().flat_map(|dial| &dial.heard);
    let hints_are_read = heard.filter(|frame| frame.kind() == "descriptor").any(|frame| {
        let descriptor = &frame.value["descriptor"];
        descriptor["platform"] == "slack" && descriptor["supports_block_formatting"] == true
    });
    settings.map_or_else(SlackSettings::default, |settings| SlackSettings::read(settings, hints_are_read))
}

/// State of the connector's byte stream of a dial.
pub(super) struct ReplaySocket {
    pub(super) conn: Option<Conn>,
    /// Splits the stream into lines for the trace.
    pub(super) lines: Option<Lines>,
    /// Bytes that the machine did not take yet.
    pub(super) unread: Vec<u8>,
    /// True if the bytes so far end within a line.
    pub(super) is_within_line: bool,
}

impl ReplaySocket {
    fn new(conn: Option<Conn>, lines: Option<Lines>) -> ReplaySocket {
        ReplaySocket { conn, lines, unread: Vec::new(), is_within_line: false }
    }
}

pub(super) struct Player<'r> {
    pub(super) recording: &'r Recording,
    pub(super) session: &'r Arc<Session>,
    pub(super) config: Arc<Config>,
    pub(super) options: ReplayOptions,
    pub(super) machine: RelayMachine,
    /// Number of earlier gateway processes.
    processes: u8,
    /// Time of the recording.
    pub(super) now: Time,
    /// Total jump of the machine's clock, and total time for which it stood still.
    skipped: Duration,
    stood: Duration,
    pub(super) unix_s: u64,
    pub(super) run: ReplayRun,
    pub(super) sockets: Vec<ReplaySocket>,
    /// Dial that waits for its response, and its token.
    pub(super) dialing: Option<(usize, Option<Secret>)>,
    /// Ids that the machine has created.
    pub(super) live_ids: LiveIds,
    /// Recorded requests that have a live counterpart.
    pub(super) paired: BTreeSet<usize>,
    /// Requests for which no recorded result will come: dial, id, and the result to give.
    pub(super) owed: Vec<(usize, String, Value)>,
    /// Position of the current line.
    pub(super) line: usize,
    /// Position of the host's current call.
    pub(super) call: Option<usize>,
    /// True while the machine writes an indicator of a turn by itself (O-15).
    pub(super) is_turn: bool,
    /// Answer that the current command belongs to.
    pub(super) answering: Option<usize>,
    pub(super) turns: TurnReplay,
    pub(super) slack: SlackSettings,
    /// Ids for the trace.
    pub(super) shown: Ids,
    /// Values of the machine's counters at the last trace entry.
    pub(super) counted: Stats,
    /// Phase of the machine at the last step.
    pub(super) phase: Option<Phase>,
    /// Buffered deliveries that the host has not settled.
    pub(super) handed: Vec<(String, DeliveryId, Conn)>,
    /// Failed attempts, and time of the last handshake, to check L-5.
    pub(super) attempts: u32,
    pub(super) up_since: Option<Time>,
    /// Event before the next dial, and true if the last end was an auth refusal.
    pub(super) last_end: WaitCause,
    pub(super) refused: bool,
    /// True if something other than the connector refused the credentials (L-9).
    pub(super) is_foreign: bool,
    /// Wait that a refused upgrade asked for (L-18).
    pub(super) retry_after: Duration,
    pub(super) disconnecting: bool,
    /// State of the generator for cut positions.
    pub(super) random: u64,
}

impl<'r> Player<'r> {
    fn new(
        recording: &'r Recording,
        session: &'r Arc<Session>,
        config: Arc<Config>,
        options: ReplayOptions,
        start_ms: u64,
    ) -> Self {
        let now = Time::from_millis(start_ms);
        let unix_s = recording.header.gateway.clock_unix_s.unwrap_or(0);
        let machine = RelayMachine::new(config.clone(), SEED, Now { mono: now, unix_s });
        Player {
            recording,
            session,
            config,
            options,
            processes: 0,
            now,
            skipped: Duration::ZERO,
            stood: Duration::ZERO,
            unix_s,
            run: ReplayRun {
                trace: Vec::new(),
                session: session.clone(),
                dials: Vec::new(),
                messages: Vec::new(),
                interrupts: Vec::new(),
                fatal: None,
                waits: Vec::new(),
                steps: Vec::new(),
                withheld: BTreeSet::new(),
            },
            sockets: Vec::new(),
            dialing: None,
            live_ids: LiveIds::default(),
            paired: BTreeSet::new(),
            owed: Vec::new(),
            line: 0,
            call: None,
            is_turn: false,
            answering: None,
            turns: TurnReplay::default(),
            slack: slack(recording, session),
            shown: Ids::of(&machine),
            machine,
            counted: Stats::default(),
            phase: None,
            handed: Vec::new(),
            attempts: 0,
            up_since: None,
            last_end: WaitCause::Nothing,
            refused: false,
            is_foreign: false,
            retry_after: Duration::ZERO,
            disconnecting: false,
            random: match options.cut {
                Cut::Random(seed) => seed | 1,
                Cut::Whole | Cut::Bytes => 1,
            },
        }
    }

    /// Returns the machine's time.
    pub(super) fn clock(&self) -> Now {
        Now { mono: self.now + self.skipped - self.stood, unix_s: self.unix_s }
    }

    /// Returns the machine's next deadline, in the time of the recording.
    fn due(&self) -> Option<(Time, Timer)> {
        let (due, timer) = self.machine.deadline()?;
        Some((self.now + due.since(self.clock().mono), timer))
    }

    pub(super) fn trace(&mut self, entry: Entry) {
        self.run.trace.push(entry);
    }

    pub(super) fn step(&mut self, change: MachineChange) {
        self.run.steps.push(MachineStep { line: self.line, at: self.now, change });
    }

    /// Notes the machine's phase if it has changed.
    pub(super) fn note_phase(&mut self) {
        let phase = self.machine.phase();
        if self.phase.replace(phase) != Some(phase) {
            self.step(MachineChange::Phase(phase));
        }
    }

    /// Advances time, timer by timer. It stands still for a dial that waits for its recorded upgrade, because the
    /// recorded gateway had not dialed yet.
    fn run_until(&mut self, until: Time) {
        while self.dialing.is_none()
            && let Some((due, timer)) = self.due().filter(|(due, _)| *due <= until)
        {
            self.now = due;
            self.trace(Entry::timer(self.now, timer));
            self.step(MachineChange::Timer(timer));
            self.machine.handle_tick(self.clock());
            self.is_turn = true;
            self.drain();
            self.is_turn = false;
        }
        if self.dialing.is_some() {
            self.stood += until.since(self.now);
        }
        self.now = self.now.max(until);
    }

    /// Ends the replay. A host that has disconnected waits for the end, at most the limit of L-14.
    fn finish(&mut self) {
        while self.disconnecting {
            match self.due() {
                Some((due, _)) if self.dialing.is_none() => self.run_until(due),
                Some(_) | None => break,
            }
        }
    }

    fn line(&mut self, at: usize) -> Result<(), String> {
        let dial = self.session.dial_of.get(at).copied().flatten().unwrap_or(0);
        match &self.recording.lines[at].what {
            LineContent::Connect { authorization, clock_unix_s, .. } => {
                self.unix_s = clock_unix_s.unwrap_or(self.unix_s);
                self.upgrade(dial, authorization.as_ref());
                self.unix_s = self.next_clock(dial).unwrap_or(self.unix_s);
            }
            LineContent::Reject { answer, .. } => {
                if let Some(conn) = self.conn(dial) {
                    let refusal = answer.refusal();
                    self.refused = refusal.verdict().is_some();
                    self.is_foreign = refusal.is_foreign();
                    self.retry_after = refusal.retry_after(self.unix_s).unwrap_or_default();
                    self.io(IoEvent::DialFailed { conn, failure: DialFailure::Refused(refusal) });
                }
            }
            LineContent::Gateway(_) => self.gateway_line(at, dial),
            LineContent::Connector(data) => self.connector_line(at, dial, data.bytes()),
            LineContent::Close { by: Side::Connector, code: None, reason, .. } if reason.is_empty() => {
                self.close(dial, None, "a close frame without a code");
            }
            LineContent::Close { by: Side::Connector, code, reason, .. } => {
                self.close(dial, *code, reason);
            }
            LineContent::Drop { .. } => self.close(dial, None, "the connection was cut"),
            LineContent::Close { by: Side::Gateway, code, .. } => {
                if self.session.wire_only {
                    self.implied_by_close(dial, *code);
                }
            }
            LineContent::HostCall { call, args, .. } => {
                self.call = Some(at);
                let played = self.host_call(at, call, args);
                self.call = None;
                played?;
            }
            LineContent::Note(text) => self.trace(trace::note(self.now, text)),
            LineContent::HostEvent { .. } | LineContent::Other(_) => {}
        }
        Ok(())
    }

    fn host_call(&mut self, at: usize, call: &str, args: &Map<String, Value>) -> Result<(), String> {
        if self.turn_step(at, call, args) {
            return Ok(());
        }
        match calls::call(call, args, self.wrote_for(at))? {
            Call::Wait => {
                self.trace(trace::no_command(self.now, call));
                self.drain();
            }
            Call::Ask(command) => {
                let command = self.as_set(command);
                self.submit(call, command);
            }
            Call::Query(look) => {
                let value = self.look(&look);
                self.trace(trace::query_result(self.now, call, &value));
            }
            Call::Nothing => self.trace(trace::no_command(self.now, call)),
            Call::Unknown => self.trace(trace::unknown_call(self.now, call)),
        }
        Ok(())
    }

    /// Returns the wall clock of the next dial, if it was moved for it.
    fn next_clock(&self, dial: usize) -> Option<u64> {
        let next = self.session.dials.get(dial + 1)?;
        let LineContent::Connect { clock_unix_s, .. } = &self.recording.lines[next.line].what else {
            return None;
        };
        *clock_unix_s
    }

    pub(super) fn conn(&self, dial: usize) -> Option<Conn> {
        self.sockets.get(dial).and_then(|socket| socket.conn)
    }

    /// Passes an event of a socket to the machine, and traces it.
    pub(super) fn io(&mut self, event: IoEvent<'_>) {
        self.trace(Entry::io(self.now, &event));
        self.machine.handle_io(self.clock(), event);
        self.drain();
    }

    /// Answers the machine's dial with the recorded upgrade.
    fn upgrade(&mut self, dial: usize, authorization: Option<&Secret>) {
        if self.session.wire_only && matches!(self.machine.phase(), Phase::Stopped | Phase::Revoked) {
            self.restart_process();
        }
        self.drain();
        if self.dialing.is_none() {
            self.await_dial(dial);
        }
        let Some((ours, token)) = self.dialing.take() else {
            self.sockets.push(ReplaySocket::new(None, None));
            return;
        };
        let dialed = &mut self.run.dials[ours];
        let conn = dialed.conn;
        dialed.answered = Some(dial);
        if tokens_are_known(self.recording) {
            let recorded = authorization.and_then(|header| header.expose().strip_prefix("Bearer "));
            dialed.token_is_right = Some(recorded == token.as_ref().map(Secret::expose));
        }
        let lines = Lines::new(conn, self.config.limits.max_line_bytes, self.shown.clone());
        self.sockets.push(ReplaySocket::new(Some(conn), Some(lines)));
        if !matches!(self.session.dials[dial].end, Some((_, DialEnd::Rejected(_)))) {
            self.io(IoEvent::Opened { conn });
        }
    }

    /// Starts a new process, because the recorded gateway dialed after its end.
    fn restart_process(&mut self) {
        self.processes = self.processes.wrapping_add(1);
        let mut seed = SEED;
        seed[0] = seed[0].wrapping_add(self.processes);
        self.trace(trace::new_process(self.now));
        self.machine = RelayMachine::new(self.config.clone(), seed, self.clock());
        self.shown = Ids::of(&self.machine);
        self.sockets.iter_mut().for_each(|socket| socket.conn = None);
        self.handed.clear();
        self.turns.forget();
        self.counted = Stats::default();
        (self.attempts, self.up_since) = (0, None);
        (self.last_end, self.refused, self.disconnecting) = (WaitCause::Nothing, false, false);
    }

    /// Advances the clock to the machine's dial, because the recorded gateway has dialed already.
    fn await_dial(&mut self, dial: usize) {
        // The recording may lack the end of the socket before. A further dial implies it.
        let before = dial.checked_sub(1).and_then(|before| self.conn(before));
        match self.machine.phase() {
            Phase::Handshaking | Phase::Connected | Phase::Idle | Phase::Closing => {
                if let Some(conn) = before {
                    self.lose(conn, None, "the recorded gateway dialed again");
                }
            }
            Phase::Waiting | Phase::Dialing | Phase::Stopped | Phase::Revoked => {}
        }
        if self.machine.phase() == Phase::Waiting
            && let Some((due, _)) = self.machine.deadline()
        {
            let wait = due.since(self.clock().mono);
            self.trace(trace::clock_jump(self.now, wait));
            self.skipped += wait;
            self.run_until(self.now);
        }
    }

    fn close(&mut self, dial: usize, code: Option<u16>, reason: &str) {
        if let Some(conn) = self.conn(dial) {
            self.lose(conn, code, reason);
        }
    }

    fn lose(&mut self, conn: Conn, code: Option<u16>, reason: &str) {
        self.refused = code == Some(4401);
        self.io(IoEvent::Closed { conn, code, reason });
    }

    /// Derives the host's command from a frame of the gateway.
    fn gateway_line(&mut self, at: usize, dial: usize) {
        let wrote = &self.session.dials[dial].wrote;
        // The frames are in the order of their lines.
        let first = wrote.partition_point(|frame| frame.line < at);
        for (place, frame) in wrote.iter().enumerate().skip(first).take_while(|(_, frame)| frame.line == at) {
            if frame.kind() == "inbound_ack" {
                let entry = frame.value["bufferId"].as_str().unwrap_or_default();
                // Without a key each copy is a separate delivery, on each connection.
                let here = |(id, _, conn): &(String, _, _)| id == entry && Some(*conn) == self.conn(dial);
                let anywhere = || self.handed.iter().position(|(id, ..)| id == entry);
                if let Some(place) = self.handed.iter().rposition(here).or_else(anywhere) {
                    let (_, delivery, _) = self.handed.remove(place);
                    self.settle(delivery, Outcome::Accepted);
                }
            } else if self.session.wire_only
                && let Some(command) = host::implied(self.recording, self.session, dial, place)
            {
                self.call = Some(at);
                self.submit_or_raw(frame, command);
                self.call = None;
            }
        }
    }

    /// Submits the implied command. A prompt that the machine would refuse is sent as a raw action.
    fn submit_or_raw(&mut self, frame: &Frame, command: Command) {
        let is_prompt = matches!(command, Command::Op(Op::Prompt(_)));
        let accepted = self.submit(frame.kind(), command);
        if is_prompt && !accepted {
            self.submit(frame.kind(), host::raw(frame));
        }
    }

    /// Derives the host's command from a close of the gateway, unless the machine closes by itself. Used if only the
    /// wire was recorded.
    fn implied_by_close(&mut self, dial: usize, code: Option<u16>) {
        if self.session.dials.len() == dial + 1 {
            if !self.disconnecting && self.machine.phase() != Phase::Stopped {
                self.submit("close", Command::Disconnect);
            }
            return;
        }
        if self.conn(dial).is_none() || !self.is_open() {
            return;
        }
        // A copy may have waited for the first copy from an earlier connection, and shares its outcome.
        let unacked = self.session.dials[dial].unacked();
        let mut refuses = false;
        while let Some(place) = self.handed.iter().position(|(entry, ..)| unacked.contains(entry)) {
            let (_, delivery, _) = self.handed.remove(place);
            self.settle(delivery, Outcome::Refused);
            refuses = true;
        }
        if !self.is_open() {
            return;
        }
        if self.session.dials[dial].wrote.iter().any(|frame| frame.kind() == "going_idle") {
            self.submit("close", Command::Resume);
        } else if !refuses && code == Some(1000) {
            // The process ends in an orderly way, and a new one follows.
            self.submit("close", Command::Disconnect);
        }
    }

    /// Returns true if the machine has a connection that it is not closing.
    fn is_open(&self) -> bool {
        match self.machine.phase() {
            Phase::Handshaking | Phase::Connected | Phase::Idle => true,
            Phase::Waiting | Phase::Dialing | Phase::Closing | Phase::Stopped | Phase::Revoked => false,
        }
    }

    pub(super) fn settle(&mut self, delivery: DeliveryId, outcome: Outcome) {
        self.trace(Entry::settled(self.now, delivery, outcome));
        self.machine.settle(self.clock(), delivery, outcome);
        self.drain();
        self.read_waiting();
    }

    /// Submits a command. Returns true if it was accepted.
    pub(super) fn submit(&mut self, call: &str, command: Command) -> bool {
        self.disconnecting |= command == Command::Disconnect;
        let answer = self.machine.submit(self.clock(), command);
        if let Ok(id) = &answer {
            self.note_answer(*id);
        }
        self.trace(Entry::submitted(self.now, call, &answer));
        self.drain();
        answer.is_ok()
    }

    fn look(&self, look: &StatusQuery) -> Value {
        let descriptor = self.machine.descriptors().first();
        match look {
            StatusQuery::MessageLen(text) => {
                json!(descriptor.map(|descriptor| descriptor.len_unit.len(text)))
            }
            StatusQuery::MaxMessageLength => {
                json!(descriptor.map(|descriptor| descriptor.max_message_length))
            }
            StatusQuery::Interrupted(key) => {
                json!(self.run.interrupts.iter().any(|(_, interrupt)| interrupt["session_key"] == **key))
            }
        }
    }
}
