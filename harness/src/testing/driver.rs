//! The driver: a machine, a clock, a socket and a host.

use relayline_core::command::Command;
use relayline_core::config::{Config, Credentials, Identity};
use relayline_core::machine::{DialFailure, IoEvent, RelayMachine};
use relayline_core::output::{Action, Conn, Delivery, DeliveryId, Notice, Outcome, Phase, Transmit};
use relayline_core::secret::Secret;
use relayline_core::signature;
use relayline_core::time::{Now, Time};
use relayline_core::upgrade::Refusal;
use relayline_core::webhook::{Body, WebhookOutcome, WebhookRequest, WebhookResponse};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// An input of a machine. Numbers select among the items that exist at that moment.
#[derive(Clone, Debug)]
pub enum Input {
    /// Advances the clock by this number of milliseconds.
    Wait(u64),
    /// Sets the clock to this number of microseconds. The clock may go back.
    Jump(u64),
    /// Ticks the machine.
    Tick,
    /// Advances the clock to the next deadline, and ticks.
    Due,
    /// Feeds bytes to the socket of a dial, counted back from the newest, cut into two at a position.
    Bytes(u8, Vec<u8>, usize),
    /// Opens the socket of a dial.
    Opened(u8),
    /// Fails a dial, with the status and body of its response if there was one.
    DialFailed(u8, Option<u16>, &'static str),
    /// Closes a socket, with its code and reason.
    Closed(u8, Option<u16>, &'static str),
    /// Delivers a pong.
    Alive(u8),
    /// Submits a command of the host.
    Submit(Box<Command>),
    /// Answers a request, counted back from the last.
    Answer(u64, &'static str),
    /// Sends a webhook request: its path, its body, and true if it is signed.
    Request(&'static str, &'static str, bool),
    /// Settles a delivery, counted back from the last.
    Settle(u64, Outcome),
    /// Takes all actions.
    Actions,
    /// Takes one output for the socket.
    Transmit,
    /// Takes this number of deliveries.
    Deliveries(usize),
}

/// State of the driver's socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DriverSocket {
    None,
    Dialing(Conn),
    Open(Conn),
}

/// A machine under test, and the state that an outside observer knows.
///
/// Each input and each poll asserts the invariants that hold for any machine, and panics if one does not hold.
#[derive(Debug)]
pub struct Driver {
    /// The machine under test.
    pub machine: RelayMachine,
    /// Time that the next input or poll passes to the machine.
    pub now: Now,
    /// Latest time that was passed to the machine.
    clock: Time,
    socket: DriverSocket,
    /// All dials, in order.
    dials: Vec<Conn>,
    /// Accepted requests that have not completed.
    pending: BTreeSet<u64>,
    last_request: u64,
    /// HTTP requests without a response.
    unanswered: BTreeSet<u64>,
    last_http: u64,
    /// Number of the newest request, including steps of a stream.
    newest: u64,
    /// Number of the last delivery.
    pub last_delivery: u64,
    /// Connection on which a close frame was sent.
    close_sent: Option<Conn>,
    fatal: bool,
    stopped: bool,
    /// All outputs, in order.
    pub outputs: Vec<Output>,
    /// Answers pings and close frames at once; false by default.
    pub answers: bool,
    /// The machine's half of every request id.
    prefix: String,
    out: Vec<u8>,
}

/// Output of a machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// An action.
    Action(Action),
    /// An output for the socket, with the text of a frame.
    Sent(Transmit, String),
    /// A delivery to the host.
    Delivery(Delivery),
    /// The immediate response to a webhook request.
    Response(WebhookResponse),
}

/// Returns a configuration for `discord` and `slack` with credentials, a webhook key, and limits small enough to be
/// reached.
pub fn small_limits() -> Config {
    let identity = |platform: &str| Identity::new(platform, "1");
    let mut config = Config::new(identity("discord"));
    config.identities.push(identity("slack"));
    config.credentials = Some(Credentials::new("gw", "hunter2"));
    config.delivery_keys = vec![Secret::new("dk")];
    let limits = &mut config.limits;
    limits.max_line_bytes = 400;
    limits.read_ahead_bytes = 1500;
    limits.host_queue = 3;
    limits.host_queue_bytes = 2000;
    limits.max_in_flight = 3;
    limits.write_queue_bytes = 1024;
    limits.chats = 2;
    limits.dedupe = 4;
    limits.streams = 3;
    limits.deliveries = 3;
    limits.unsettled_bytes = 2000;
    config
}

impl Driver {
    /// Creates a driver of a new machine.
    pub fn new(config: Config) -> Driver {
        let now = Now { mono: Time::ZERO, unix_s: 1_800_000_000 };
        Driver {
            machine: RelayMachine::new(Arc::new(config), [3; 32], now),
            now,
            clock: Time::ZERO,
            socket: DriverSocket::None,
            dials: Vec::new(),
            pending: BTreeSet::new(),
            last_request: 0,
            unanswered: BTreeSet::new(),
            last_http: 0,
            newest: 0,
            last_delivery: 0,
            close_sent: None,
            fatal: false,
            stopped: false,
            outputs: Vec::new(),
            answers: false,
            prefix: String::new(),
            out: Vec::new(),
        }
    }

    /// Creates a driver of a machine that is connected: its `hello` is answered by [`DESCRIPTOR`](super::frames::DESCRIPTOR).
    pub fn connected(config: Config) -> Driver {
        let mut driver = Driver::new(config);
        let conn = driver.dial();
        driver.open(conn);
        driver.line(super::frames::DESCRIPTOR);
        driver
    }

    /// Applies all inputs to a new machine, checks the invariants after each, and ends the machine.
    pub fn play(config: Config, inputs: &[Input]) -> Driver {
        let mut driver = Driver::new(config);
        driver.apply_all(inputs);
        driver.finish();
        driver
    }

    /// Applies inputs, and checks the invariants after each.
    pub fn apply_all(&mut self, inputs: &[Input]) {
        for input in inputs {
            self.apply(input);
            self.check();
        }
    }

    /// Advances time until the machine dials.
    ///
    /// # Panics
    ///
    /// Panics if nothing is due and the machine does not dial.
    pub fn dial(&mut self) -> Conn {
        loop {
            self.drain();
            if let DriverSocket::Dialing(conn) = self.socket {
                return conn;
            }
            assert!(self.machine.deadline().is_some(), "something is due until it dials");
            self.apply(&Input::Due);
        }
    }

    /// Opens the socket of a dial.
    pub fn open(&mut self, conn: Conn) {
        self.socket = DriverSocket::Open(conn);
        self.io(IoEvent::Opened { conn });
        self.drain();
    }

    /// Closes the socket from the connector's side.
    pub fn close(&mut self, conn: Conn, code: Option<u16>, reason: &str) {
        self.socket = DriverSocket::None;
        self.io(IoEvent::Closed { conn, code, reason });
    }

    /// Feeds a line to the socket of the newest dial.
    ///
    /// # Panics
    ///
    /// Panics if there was no dial, or if the machine does not read the whole line.
    pub fn line(&mut self, line: &str) {
        let Some(conn) = self.conn(0) else { panic!("it has not dialed") };
        let line = format!("{line}\n");
        assert_eq!(self.bytes(conn, line.as_bytes()), line.len(), "the line is read whole");
        self.drain();
    }

    /// Takes all outputs so far.
    pub fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Returns the frames among the outputs, starting at index `start`.
    pub fn frames_from(&self, start: usize) -> impl Iterator<Item = &str> {
        self.outputs[start..].iter().filter_map(|output| match output {
            Output::Sent(Transmit::Frame { .. }, text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// Returns a dial, counted back from the newest.
    pub fn conn(&self, ago: u8) -> Option<Conn> {
        self.dials.iter().rev().nth(usize::from(ago)).copied()
    }

    fn is_current(&self, conn: Conn) -> bool {
        self.dials.last() == Some(&conn)
    }

    /// Advances the clock, for each input and for each poll that takes a time.
    fn advance_clock(&mut self) -> Now {
        self.clock = self.clock.max(self.now.mono);
        self.now
    }

    /// Applies one input. An input that is not possible at the moment has no effect.
    pub fn apply(&mut self, input: &Input) {
        match input {
            Input::Wait(ms) => {
                self.now.mono = self.now.mono + Duration::from_millis(*ms);
                self.now.unix_s = self.now.unix_s.saturating_add(ms / 1000);
            }
            Input::Jump(us) => self.now = Now { mono: Time::from_micros(*us), unix_s: *us },
            Input::Tick => self.tick(),
            Input::Due => {
                if let Some((due, _)) = self.machine.deadline() {
                    self.now.mono = due;
                    self.tick();
                }
            }
            Input::Bytes(ago, bytes, at) => {
                if let Some(conn) = self.conn(*ago) {
                    let (head, tail) = bytes.split_at((*at).min(bytes.len()));
                    if self.bytes(conn, head) == head.len() {
                        self.bytes(conn, tail);
                    }
                }
            }
            Input::Opened(ago) => {
                if let Some(conn) = self.conn(*ago) {
                    // A driver carries out the actions before it reports an event: a dropped dial reports nothing
                    // more.
                    self.actions();
                    if self.socket == DriverSocket::Dialing(conn) {
                        self.socket = DriverSocket::Open(conn);
                    }
                    self.io(IoEvent::Opened { conn });
                }
            }
            Input::DialFailed(ago, status, body) => {
                if let Some(conn) = self.conn(*ago) {
                    self.actions();
                    // A driver reports a failed dial only for a dial, not for an open socket. For old dials it may
                    // report anything.
                    if self.socket == DriverSocket::Open(conn) {
                        return;
                    }
                    if self.is_current(conn) {
                        self.socket = DriverSocket::None;
                    }
                    let failure = match *status {
                        Some(status) => DialFailure::Refused(Refusal::new(status, body.as_bytes())),
                        None => DialFailure::Unanswered("no"),
                    };
                    self.io(IoEvent::DialFailed { conn, failure });
                }
            }
            Input::Closed(ago, code, reason) => {
                if let Some(conn) = self.conn(*ago) {
                    self.actions();
                    if self.is_current(conn) {
                        self.socket = DriverSocket::None;
                    }
                    self.io(IoEvent::Closed { conn, code: *code, reason });
                }
            }
            Input::Alive(ago) => {
                if let Some(conn) = self.conn(*ago) {
                    self.io(IoEvent::Alive { conn });
                }
            }
            Input::Submit(command) => {
                self.submit(command);
            }
            Input::Answer(ago, result) => {
                let (prefix, number) = (&self.prefix, self.newest.saturating_sub(*ago));
                let line = format!(
                    "{{\"type\":\"outbound_result\",\"requestId\":\"{prefix}{number:016x}\",\"result\":{result}}}\n"
                );
                if let Some(conn) = self.conn(0) {
                    self.bytes(conn, line.as_bytes());
                }
            }
            Input::Request(path, body, signed) => self.request(path, body, *signed),
            Input::Settle(ago, outcome) => {
                let now = self.advance_clock();
                let id = DeliveryId::from_number(self.last_delivery.saturating_sub(*ago));
                self.machine.settle(now, id, *outcome);
            }
            Input::Actions => self.actions(),
            Input::Transmit => self.transmit(),
            Input::Deliveries(count) => (0..*count).for_each(|_| self.deliver()),
        }
    }

    fn submit(&mut self, command: &Command) {
        let now = self.advance_clock();
        match self.machine.submit(now, command.clone()) {
            Ok(id) => {
                assert!(!self.fatal && !self.stopped, "accepted after the end");
                assert!(id.number() > self.last_request, "O-1: {id:?} was used before");
                self.last_request = id.number();
                self.newest = self.newest.max(id.number());
                self.pending.insert(id.number());
                self.prefix = self.machine.wire_id(id)[..16].to_owned();
            }
            Err(refused) => assert_eq!(refused.into_parts().0, *command, "O-6: handed back"),
        }
    }

    fn request(&mut self, path: &str, body: &str, signed: bool) {
        let now = self.advance_clock();
        let signature = signature::sign(body.as_bytes(), &Secret::new("dk"), now.unix_s);
        let timestamp = now.unix_s.to_string();
        let mut request = WebhookRequest::new("POST", path, Body::Whole(body.as_bytes()));
        request.timestamp = Some(&timestamp);
        request.signature = signed.then_some(&signature);
        match self.machine.handle_webhook(now, &request) {
            WebhookOutcome::Pending(id) => {
                assert!(signed && !self.fatal && !self.stopped, "C-3: taken in all the same");
                assert!(id.number() > self.last_http, "{id:?} was used before");
                self.last_http = id.number();
                self.unanswered.insert(id.number());
            }
            WebhookOutcome::Responded(answer) => self.push_response(&answer, signed),
        }
    }

    fn push_response(&mut self, answer: &WebhookResponse, signed: bool) {
        assert!(signed || matches!(answer.status(), 401 | 404 | 503), "C-3: {answer:?}");
        // The response may come after the end, and is not an output that the machine makes by itself.
        self.outputs.push(Output::Response(answer.clone()));
    }

    fn tick(&mut self) {
        let now = self.advance_clock();
        self.machine.handle_tick(now);
        self.assert_nothing_due();
    }

    /// Asserts that nothing is due after a tick.
    fn assert_nothing_due(&self) {
        let due = self.machine.deadline();
        assert!(due.is_none_or(|(due, _)| due > self.clock), "{due:?} is due at {}", self.clock);
    }

    fn io(&mut self, event: IoEvent<'_>) {
        let now = self.advance_clock();
        self.machine.handle_io(now, event);
    }

    /// Feeds bytes to a socket. Returns the number of bytes read.
    pub fn bytes(&mut self, conn: Conn, bytes: &[u8]) -> usize {
        let now = self.advance_clock();
        let wanted = self.machine.wants_read();
        let taken = self.machine.handle_bytes(now, conn, bytes);
        assert!(taken <= bytes.len());
        if self.is_current(conn) {
            assert!(taken > 0 || !wanted || bytes.is_empty(), "it wants to read, and takes nothing");
        }
        assert!(taken == bytes.len() || !self.machine.wants_read(), "it stopped, and wants more");
        taken
    }

    fn push_output(&mut self, output: Output) {
        assert!(!self.fatal, "L-10: after fatal: {output:?}");
        self.outputs.push(output);
    }

    fn actions(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            self.push_output(Output::Action(action.clone()));
            match action {
                Action::Dial { conn, token } => {
                    assert_eq!(self.socket, DriverSocket::None, "L-6: two at once");
                    assert_eq!(token.is_some(), self.machine.config().credentials.is_some());
                    assert!(!self.stopped);
                    assert!(!self.dials.contains(&conn));
                    self.socket = DriverSocket::Dialing(conn);
                    self.dials.push(conn);
                }
                Action::Drop { conn } => {
                    assert!(self.is_current(conn));
                    self.socket = DriverSocket::None;
                }
                Action::Complete { id, .. } => {
                    assert!(self.pending.remove(&id.number()), "O-3: {id:?} completed twice");
                    assert!(!self.stopped, "L-14: {id:?} completed after the end");
                }
                Action::Notify(notice) => {
                    assert!(!self.stopped, "L-14: {notice:?} after the last notice");
                    match notice {
                        Notice::Disconnected { reason, .. } => assert!(!reason.is_empty(), "L-18"),
                        Notice::Stopped => {
                            assert!(self.pending.is_empty(), "L-14: {:?}", self.pending);
                            assert!(self.unanswered.is_empty(), "H-6: {:?}", self.unanswered);
                            self.stopped = true;
                        }
                        _ => {}
                    }
                }
                Action::Respond { id, .. } => {
                    assert!(self.unanswered.remove(&id.number()), "H-6: {id:?} is answered twice");
                    assert!(!self.stopped, "H-6: {id:?} is answered after the end");
                }
                Action::Interrupt { session_key, .. } => assert!(!session_key.is_empty(), "L-16"),
                Action::Fatal(fatal) => {
                    assert!(self.pending.is_empty() && !fatal.retryable && !self.stopped, "L-10");
                    assert!(self.unanswered.is_empty(), "H-6: {:?}", self.unanswered);
                    self.fatal = true;
                }
            }
        }
    }

    /// Takes one output for the socket, after the actions are carried out.
    fn transmit(&mut self) {
        self.actions();
        let now = self.advance_clock();
        let mut out = std::mem::take(&mut self.out);
        if let Some(transmit) = self.machine.poll_transmit(now, &mut out) {
            let (Transmit::Frame { conn } | Transmit::Ping { conn } | Transmit::Close { conn, .. }) =
                transmit;
            assert_eq!(self.socket, DriverSocket::Open(conn), "it is not open");
            assert_ne!(self.close_sent, Some(conn), "nothing follows a close frame");
            let Ok(text) = std::str::from_utf8(&out) else { panic!("W-6: {out:?}") };
            match transmit {
                Transmit::Frame { .. } => {
                    assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "W-6");
                    let frame = serde_json::from_str::<serde_json::Value>(text);
                    let frame = frame.unwrap_or_else(|_| panic!("W-6: {text}"));
                    if let Some(id) = frame["requestId"].as_str() {
                        self.newest = self.newest.max(number(id));
                    }
                }
                Transmit::Close { code, .. } => {
                    assert!(code == 1000 && text.is_empty());
                    self.close_sent = Some(conn);
                }
                Transmit::Ping { .. } => assert!(text.is_empty()),
            }
            self.push_output(Output::Sent(transmit.clone(), text.to_owned()));
            if self.answers {
                self.answer(&transmit);
            }
        }
        self.out = out;
    }

    /// Answers as a live peer does.
    fn answer(&mut self, transmit: &Transmit) {
        match *transmit {
            Transmit::Frame { .. } => {}
            Transmit::Ping { conn } => self.io(IoEvent::Alive { conn }),
            Transmit::Close { conn, code, .. } => self.close(conn, Some(code), ""),
        }
    }

    fn deliver(&mut self) {
        let now = self.advance_clock();
        if let Some(delivery) = self.machine.poll_delivery(now) {
            assert_eq!(delivery.id.number(), self.last_delivery + 1);
            self.last_delivery += 1;
            self.push_output(Output::Delivery(delivery));
        }
    }

    /// Takes all outputs.
    pub fn drain(&mut self) {
        loop {
            let before = self.outputs.len();
            self.actions();
            self.transmit();
            self.deliver();
            if self.outputs.len() == before {
                return;
            }
        }
    }

    /// Asserts the invariants that hold at any time.
    pub fn check(&self) {
        let phase = self.machine.phase();
        match phase {
            Phase::Waiting | Phase::Dialing | Phase::Stopped | Phase::Revoked => {
                assert!(!self.machine.wants_read());
            }
            Phase::Handshaking | Phase::Connected | Phase::Idle | Phase::Closing => {}
        }
        let usage = self.machine.usage();
        let limits = &self.machine.config().limits;
        assert!(usage.chats <= limits.chats, "M-1");
        // A limit may be exceeded by the last item: the texts of one event and their overhead.
        let heaviest = 2 * limits.max_line_bytes + 4096;
        assert!(usage.unsettled_bytes < limits.unsettled_bytes + heaviest, "X-1: {usage:?}");
        // Items received before a handshake have their own limit (L-17).
        let read_ahead = limits.read_ahead_bytes;
        let most = limits.host_queue_bytes.max(read_ahead) + read_ahead + 2 * heaviest;
        assert!(usage.waiting_event_bytes < most, "A-6: {usage:?}");
        assert!(usage.host_queue_bytes <= usage.waiting_event_bytes, "A-6: {usage:?}");
        // Requests, idle requests and disconnects wait within the limit. The rest has completed, and its action is not
        // taken yet.
        assert!(self.pending.len() <= 4 * limits.max_in_flight + 1024, "O-6, X-1");
        // These requests wait. The rest has a response that is not taken yet.
        assert!(self.unanswered.len() <= limits.deliveries + 1024, "H-6, X-1");
        if self.fatal {
            assert_eq!((self.machine.deadline(), phase), (None, Phase::Revoked));
        }
    }

    /// Disconnects, and asserts that every accepted command completes within the time limit.
    pub fn finish(&mut self) {
        // A tick leaves nothing due, in any state.
        self.tick();
        self.drain();
        self.assert_nothing_due();
        self.submit(&Command::Disconnect);
        let end = self.clock + Duration::from_secs(5);
        self.drain();
        while let Some((due, _)) = self.machine.deadline() {
            assert!(due <= end, "L-14: {due} is beyond the budget, {end}");
            self.now.mono = due;
            self.tick();
            self.drain();
        }
        // A clock at the end of time cannot advance, so the end of the socket ends the machine.
        if let (false, Some(conn)) = (self.fatal || self.stopped, self.conn(0)) {
            assert!(end == Time::NEVER, "L-14: it is not over");
            self.socket = DriverSocket::None;
            self.io(IoEvent::Closed { conn, code: None, reason: "" });
            self.drain();
        }
        assert!(self.fatal || self.stopped);
        assert!(self.pending.is_empty(), "L-14: {:?} is left pending", self.pending);
        assert!(self.unanswered.is_empty(), "H-6: {:?} is left unanswered", self.unanswered);
        // Further input has no effect.
        let before = self.outputs.len();
        self.now.mono = self.now.mono + Duration::from_secs(3600);
        self.tick();
        self.drain();
        assert_eq!((self.outputs.len(), self.machine.deadline()), (before, None));
    }
}

/// Returns the number in a request id on the wire.
fn number(id: &str) -> u64 {
    u64::from_str_radix(&id[16..], 16).unwrap_or_else(|_| panic!("O-1: {id}"))
}
