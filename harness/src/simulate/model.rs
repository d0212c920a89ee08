//! The reference model: predicts the machine's behavior from outside observations. It is much simpler than the
//! machine. It has no write queues and no timers, and knows the meaning of each input from the workload.

mod checks;
mod dials;
mod inbox;
mod lines;
mod outputs;
mod placement;
mod places;
pub(crate) mod posts;
mod prompts;
mod requests;
mod sessions;
pub(crate) mod streams;
mod turns;
mod usage;
mod writes;

pub(crate) use dials::ModelSocket;

use super::oracle::Oracle;
use dials::{ClosePurpose, Dials};
use inbox::Inbox;
use placement::ExpectedPlace;
use places::Places;
use prompts::Prompts;
use relayline_core::command::{Command, NotAccepted, RequestId};
use relayline_core::config::Config;
use relayline_core::machine::{DialFailure, IoEvent};
use relayline_core::op::Op;
use relayline_core::output::{Conn, DeliveryId, Outcome, Phase};
use relayline_core::stats::Stats;
use relayline_core::time::{Now, Time};
use relayline_core::upgrade::Refusal;
use requests::{Pending, RequestKind, Requests};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use streams::StreamModel;
use turns::ModelTurns;

/// A dead letter that the host must get (A-3, A-9, W-5).
#[derive(Clone, PartialEq, Eq, Debug)]
struct DeadLetter {
    entry: Option<String>,
    line: String,
}

/// State of a connection that ends with it.
#[derive(Debug, Default)]
struct ConnectionState {
    /// True if a usable first descriptor came, and the host must be notified.
    is_to_connect: bool,
    /// True if the first descriptor was not usable.
    has_bad_descriptor: bool,
    /// True if an `error` frame came before the handshake.
    has_early_error: bool,
    /// True if a buffered delivery must be redelivered: the host refused it, or too many duplicates wait.
    must_redeliver: bool,
    /// True if the connector has confirmed idleness since the last request.
    has_idle_ack: bool,
    /// True if idleness was confirmed.
    is_idle: bool,
    /// Number of idle requests of the host.
    idle_requests: u32,
    /// Number of `going_idle` frames.
    going_idle_frames: u32,
    /// True if idleness was confirmed for a host that goes dormant.
    may_sleep: bool,
}

/// Model of a gateway's process.
#[derive(Debug)]
pub(crate) struct Model {
    config: Arc<Config>,
    /// Latest time that was passed to the machine.
    pub(crate) now: Time,
    unix_s: u64,
    pub(crate) inbox: Inbox,
    pub(crate) requests: Requests,
    pub(crate) prompts: Prompts,
    pub(crate) dials: Dials,
    places: Places,
    /// Expected places of requests' frames.
    placed: BTreeMap<u64, ExpectedPlace>,
    /// Streamed replies, by name.
    streams: BTreeMap<String, StreamModel>,
    turns: ModelTurns,
    /// The machine's phase at the last look.
    phase: Phase,
    /// Received part of the connector's current line.
    line: Vec<u8>,
    is_overlong: bool,
    interrupts: VecDeque<(String, String)>,
    /// Number of `error` frames that the host must be notified of.
    errors: u64,
    stale: VecDeque<Option<u64>>,
    /// Serial numbers of unauthorized answers that the host must be told of (I-8).
    unauthorized: VecDeque<Option<u64>>,
    dead_letters: VecDeque<DeadLetter>,
    /// Message limit of the first descriptor (D-3).
    limit: u64,
    /// State of the current connection.
    conn: ConnectionState,
    /// True if the socket had room at the last look.
    pub(crate) can_write: bool,
    is_fatal: bool,
    must_be_fatal: bool,
    must_stop: bool,
    must_dial: bool,
    must_sleep: bool,
    has_stopped: bool,
    last_delivery: u64,
    /// Common prefix of the process's request ids.
    pub(crate) prefix: String,
    /// Expected values of the counters, in the order of [`Stats::iter`].
    counts: Vec<u64>,
    /// True if a counter has changed since the last comparison.
    has_counted: bool,
    compared: Option<Stats>,
    /// Message ids and texts of finished streams, to compare with the chats.
    pub(crate) finished_streams: Vec<(Vec<String>, String)>,
}

/// Place of each counter in the order of [`Stats::iter`].
static PLACES_OF_COUNTERS: LazyLock<BTreeMap<&'static str, usize>> =
    LazyLock::new(|| Stats::default().iter().enumerate().map(|(place, (name, _))| (name, place)).collect());

impl Model {
    pub(crate) fn new(config: Arc<Config>, now: Now) -> Self {
        Model {
            inbox: Inbox::new(config.limits.dedupe),
            prompts: Prompts::new(config.limits.prompts),
            dials: Dials::new(now.mono),
            places: Places::new(&config),
            placed: BTreeMap::new(),
            streams: BTreeMap::new(),
            turns: ModelTurns::default(),
            phase: Phase::Waiting,
            config,
            now: now.mono,
            unix_s: now.unix_s,
            requests: Requests::default(),
            line: Vec::new(),
            is_overlong: false,
            interrupts: VecDeque::new(),
            errors: 0,
            stale: VecDeque::new(),
            unauthorized: VecDeque::new(),
            dead_letters: VecDeque::new(),
            limit: 0,
            conn: ConnectionState::default(),
            can_write: true,
            is_fatal: false,
            must_be_fatal: false,
            must_stop: false,
            must_dial: false,
            must_sleep: false,
            has_stopped: false,
            last_delivery: 0,
            prefix: String::new(),
            counts: PLACES_OF_COUNTERS.values().map(|_| 0).collect(),
            has_counted: false,
            compared: None,
            finished_streams: Vec::new(),
        }
    }

    fn count(&mut self, counter: &'static str, by: u64) {
        self.counts[PLACES_OF_COUNTERS[counter]] += by;
        self.has_counted = true;
    }

    /// Reopens a prompt whose answer was not taken (I-3).
    fn reopen(&mut self, prompt: &str) {
        let evicted = self.prompts.reopen(prompt, self.now);
        self.count("prompts_evicted", evicted);
    }

    /// Records a primed chat.
    pub(crate) fn primed(&mut self, chat: &str, platform: &str) {
        self.places.primed(chat, platform);
    }

    /// Records a refused `prime`.
    pub(crate) fn prime_refused(&mut self) {
        self.count("not_accepted", 1);
    }

    /// Passes a time to the model. The machine's time never goes back (L-15).
    pub(crate) fn advance_clock(&mut self, now: Now) {
        self.now = self.now.max(now.mono);
        self.unix_s = now.unix_s;
    }

    /// Expires requests and turns before a tick at the latest time.
    pub(crate) fn before_tick(&mut self) {
        self.expire_stream_frames();
        self.expire_turns();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_fatal || self.has_stopped
    }

    /// Returns the connection whose handshake is not complete.
    fn early(&self) -> Option<u32> {
        self.dials.open().filter(|_| self.dials.up.is_none()).map(Conn::number)
    }

    /// Returns the connection on which an acknowledgement can be written. After the gateway's close frame there is
    /// none.
    fn acknowledges_on(&self) -> Option<u32> {
        self.dials.open().filter(|_| self.dials.closing.is_none()).map(Conn::number)
    }

    /// Records an event of a dial or socket.
    pub(crate) fn io(&mut self, event: &IoEvent<'_>) {
        let (IoEvent::Opened { conn }
        | IoEvent::DialFailed { conn, .. }
        | IoEvent::Closed { conn, .. }
        | IoEvent::Alive { conn }) = *event;
        if !self.dials.is_current(conn) {
            return;
        }
        let confirms = self.config.confirm_revocation && self.config.credentials.is_some();
        match *event {
            IoEvent::Opened { conn } => self.dials.opened(conn, self.now),
            IoEvent::DialFailed { .. } if self.dials.open().is_some() => {}
            IoEvent::DialFailed { failure: DialFailure::Refused(refusal), .. } => {
                self.upgrade_refused(&refusal, confirms);
            }
            IoEvent::Closed { code: Some(4401), reason, .. } => {
                self.count("refusals", 1);
                self.dials.refused(reason == "expired", confirms);
            }
            IoEvent::DialFailed { .. } | IoEvent::Closed { .. } => {}
            IoEvent::Alive { .. } => self.dials.record_input(self.now),
        }
    }

    /// Interprets a refused upgrade by PROTOCOL.md alone (L-9).
    fn upgrade_refused(&mut self, refusal: &Refusal<'_>, confirms: bool) {
        let body = serde_json::from_slice::<serde_json::Value>(refusal.body).unwrap_or_default();
        let is_whole = refusal.is_whole && !refusal.has_challenge;
        let error = body["error"].as_str().filter(|_| is_whole && refusal.status == 401);
        self.dials.retry_after = dials::retry_after(refusal.retry_after, self.unix_s);
        if let Some(error) = error {
            self.count("refusals", 1);
            self.dials.refused(error == "expired", confirms);
        } else if matches!(refusal.status, 401 | 403) {
            self.count("credentials_refused", 1);
            self.dials.is_foreign = true;
        }
    }

    /// Records a command of the host, and its result.
    pub(crate) fn submitted(
        &mut self,
        oracle: &mut Oracle,
        command: &Command,
        answer: &Result<RequestId, NotAccepted>,
    ) {
        match answer {
            Ok(id) => {
                let is_up = self.acknowledges_on().is_some()
                    && self.dials.up.is_some()
                    && self.dials.leaving.is_none();
                oracle.check("O-8", "accepted-only-when-served", is_up || !needs_connection(command), || {
                    format!("{} was accepted while not served", command.name())
                });
                let is_new = self.requests.accepted(id.number(), command, self.now);
                oracle.check("O-1", "ids-are-new", is_new, || format!("{id:?} was used before"));
                self.accepted(oracle, id.number(), command);
                let limit = self.config.limits.max_in_flight;
                oracle.check("O-6", "in-flight-is-bounded", self.requests.in_flight() <= limit, || {
                    format!("{} requests wait, {limit} may", self.requests.in_flight())
                });
            }
            Err(refused) => {
                self.count("not_accepted", 1);
                self.check_refused_answer(oracle, command, refused);
                let kind = refused.failure().kind.name();
                oracle.check(
                    "O-3",
                    "refused-is-definite",
                    matches!(kind, "definite" | "unsupported"),
                    || format!("{} was refused as {kind}", command.name()),
                );
            }
        }
    }

    fn accepted(&mut self, oracle: &mut Oracle, id: u64, command: &Command) {
        self.expect_placement(oracle, id, command);
        let timing = &self.config.timing;
        match command {
            Command::Op(Op::Prompt(prompt)) => {
                let evicted = self.prompts.ask(id, self.now, prompt);
                self.count("prompts_evicted", evicted);
            }
            Command::Disconnect => {
                self.dials.leaving.get_or_insert(self.now);
            }
            Command::Hold(span) => self.dials.hold(self.now, *span, timing),
            Command::Resume => {
                self.dials.end_hold();
                self.resumed();
            }
            Command::Stream(state) => self.stream_updated(oracle, id, state),
            Command::Turn(turn) => {
                self.change_turn(oracle, *turn, self.phase);
                self.stops_streams(id, *turn);
            }
            Command::GoIdle | Command::GoDormant => {
                // An idle gateway does not ask again.
                self.conn.has_idle_ack = self.conn.is_idle;
                self.conn.idle_requests += 1;
            }
            _ => {}
        }
    }

    /// Records a resume of the host, if the connection does not deliver or is about to stop delivering (L-12, L-13).
    fn resumed(&mut self) {
        self.conn.may_sleep = false;
        let asked = |pending: &Pending| matches!(pending.kind, RequestKind::GoIdle | RequestKind::GoDormant);
        let idle = self.conn.is_idle || self.requests.pending.values().any(asked);
        for pending in
            self.requests.pending.values_mut().filter(|pending| pending.kind == RequestKind::GoDormant)
        {
            pending.kind = RequestKind::GoIdle;
        }
        match (self.dials.socket, &mut self.dials.closing) {
            (_, Some((_, purpose))) => *purpose = ClosePurpose::Resume,
            (ModelSocket::None, None) => self.dials.resumed = true,
            (ModelSocket::Open(_), None) if idle && self.dials.up.is_some() => self.dials.resumed = true,
            (ModelSocket::Dialing(_) | ModelSocket::Open(_), None) => {}
        }
    }

    /// Records a settlement of the host.
    pub(crate) fn settled(&mut self, delivery: DeliveryId, outcome: Outcome) {
        let arrived = self.inbox.handed.get(&delivery.number());
        if outcome == Outcome::Refused
            && let Some(arrived) = arrived
            && self.dials.open().is_some_and(|open| open.number() == arrived.conn)
        {
            self.conn.must_redeliver = true;
        }
        self.inbox.open = self.acknowledges_on();
        if let Some(prompt) = self.inbox.settle(delivery.number(), outcome == Outcome::Accepted) {
            self.reopen(&prompt);
        }
    }
}

fn needs_connection(command: &Command) -> bool {
    match RequestKind::of(command) {
        RequestKind::Asked
        | RequestKind::Info
        | RequestKind::Prompt
        | RequestKind::Interrupt
        | RequestKind::GoIdle
        | RequestKind::GoDormant => true,
        // A failed stream may report its failure at any time. A typing sign is never an error.
        RequestKind::Typing
        | RequestKind::State
        | RequestKind::Stream
        | RequestKind::Disconnect
        | RequestKind::Now => false,
    }
}
