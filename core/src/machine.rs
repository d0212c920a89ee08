//! [`RelayMachine`]: everything a gateway decides.
//!
//! The components that it is made of keep their state to themselves and return values; the machine and its modules here
//! pass these on from one to another.

mod connection;
mod dead_letters;
pub(crate) mod frames;
mod replies;
mod requests;
mod streams;
#[cfg(test)]
mod tests;
mod turns;
mod webhooks;

use crate::chats::{Chat, Chats};
use crate::command::{Command, Failure, NotAccepted, RequestId};
use crate::config::Config;
use crate::conn::Connection;
use crate::descriptor::Descriptor;
use crate::hash::Seed;
use crate::held::Held;
use crate::idle::IdleWaiters;
use crate::inbox::{Inbox, Origin};
use crate::lifecycle::{Arrow, Idleness, Signal, State, arrows};
use crate::line::{Line, LineSplitter};
use crate::outbox::{Item, Outbox};
use crate::output::{Action, Conn, Content, Delivery, DeliveryId, Outcome, Phase, Timer, Transmit};
use crate::prompts::Prompts;
use crate::redial::Redial;
use crate::requests::Requests;
use crate::stats::Stats;
use crate::streams::Streams;
use crate::targets::Targets;
use crate::time::{Now, Time};
use crate::turns::Turns;
use crate::upgrade::Refusal;
use crate::webhook::WebhookResponse;
use crate::webhooks::Webhooks;
use connection::Disconnect;
use std::collections::VecDeque;
use std::sync::Arc;

/// Actions that may wait for the driver before no more lines are read.
const MOST_ACTIONS: usize = 1024;

/// What happened to a dial or its socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoEvent<'a> {
    /// The upgrade is done: the socket takes messages.
    Opened {
        /// Which dial.
        conn: Conn,
    },
    /// The dial came to nothing.
    DialFailed {
        /// Which dial.
        conn: Conn,
        /// Why.
        failure: DialFailure<'a>,
    },
    /// The socket ended.
    Closed {
        /// Which.
        conn: Conn,
        /// The peer's close code, when it sent a close frame.
        code: Option<u16>,
        /// The peer's reason, or the error that ended it.
        reason: &'a str,
    },
    /// A WebSocket message of any kind was received, pongs too (L-11).
    Alive {
        /// On which socket.
        conn: Conn,
    },
}

/// Cause of a failed dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialFailure<'a> {
    /// There was no answer to the upgrade, for this reason: `connection refused`, for instance.
    Unanswered(&'a str),
    /// The upgrade was answered with another status than 101.
    Refused(Refusal<'a>),
}

/// The gateway side of the relay protocol, sans I/O: bytes and time in, actions and frames out. Pure and
/// deterministic: the same configuration, seed and inputs give the same outputs, byte for byte.
///
/// # How to drive it
///
/// 1. Make one; its first action is to dial.
/// 2. After every input, and after the other two polls, take [`poll_action`](Self::poll_action) until it is `None`,
///    and do what it says.
/// 3. Whenever the host takes one, hand it [`poll_delivery`](Self::poll_delivery); tell its fate with
///    [`settle`](Self::settle). No queue is needed between the two: the machine is the host's queue, and
///    [`has_delivery`](Self::has_delivery) says when to wake a host that waits.
/// 4. While the socket can take a message, write [`poll_transmit`](Self::poll_transmit): what was returned counts
///    as written.
/// 5. Read the socket while [`wants_read`](Self::wants_read), into [`handle_bytes`](Self::handle_bytes); offer what
///    was not consumed again once it wants to read.
/// 6. Hand what an HTTP server of signed deliveries is asked to [`handle_webhook`](Self::handle_webhook), if there
///    is one (H-6).
/// 7. Call [`handle_tick`](Self::handle_tick) at [`deadline`](Self::deadline). Early, late or spurious is harmless.
///
/// A peer's bytes and a network's failures are never an `Err` and never a panic. After [`Action::Fatal`] every poll
/// returns `None`, for good.
///
/// # Back-pressure
///
/// Events wait in the machine until the host takes them; results, interrupts and confirmations that stand between them
/// get through at once. There is room for `host_queue` events of `host_queue_bytes`, and for as many as
/// `read_ahead_bytes` hold. Without room the machine consumes no more bytes and [`wants_read`](Self::wants_read) turns
/// false, so that TCP pushes back on the connector; it goes on writing, and its own clock for silence rests. Before a
/// connection's handshake is complete it reads on whatever is still there of earlier ones, and so much more of what
/// comes early (L-17). So a host must not wait for a result before it takes its next event: while there is no room, that
/// result waits until the request times out.
#[derive(Debug)]
pub struct RelayMachine {
    config: Arc<Config>,
    seed: Seed,
    /// Never goes back, whatever the host's clock does (L-15).
    now: Time,
    unix_s: u64,
    conn: Connection,
    redial: Redial,
    idle_waiters: IdleWaiters,
    disconnect: Option<Disconnect>,
    splitter: LineSplitter,
    requests: Requests,
    outbox: Outbox,
    inbox: Inbox,
    chats: Chats,
    prompts: Prompts,
    streams: Streams,
    targets: Targets,
    turns: Turns,
    webhooks: Webhooks,
    descriptors: Vec<Arc<Descriptor>>,
    /// Those of the connection before (D-10).
    former: Vec<Arc<Descriptor>>,
    actions: VecDeque<Action>,
    /// Bytes of what the connector said in those since they were last all taken.
    action_bytes: usize,
    /// Reading is paused, since no more can be taken in.
    paused: bool,
    /// Reusable buffer of origins to acknowledge.
    taken: Vec<Origin>,
    stats: Stats,
    /// How often each of [`arrows`] was taken.
    transitions: Box<[u64]>,
}

/// # Inputs
impl RelayMachine {
    /// A machine that dials at once. `seed` decides all it draws: take it from a good source, and never twice.
    pub fn new(config: Arc<Config>, seed: [u8; 32], now: Now) -> Self {
        let mut seed = Seed::new(&seed);
        let limits = &config.limits;
        let [prompts, requests, drafts] = [seed.draw(), seed.draw(), seed.draw()];
        let mut machine = RelayMachine {
            requests: Requests::new(requests),
            seed,
            now: now.mono,
            unix_s: now.unix_s,
            conn: Connection::new(now.mono),
            redial: Redial::new(now.mono),
            idle_waiters: IdleWaiters::default(),
            disconnect: None,
            splitter: LineSplitter::new(limits.max_line_bytes),
            outbox: Outbox::default(),
            inbox: Inbox::new(limits),
            chats: Chats::new(limits.chats),
            prompts: Prompts::new(prompts, limits.prompts),
            streams: Streams::new(drafts),
            targets: Targets::new(limits.reply_targets, limits.reply_target_bytes),
            turns: Turns::new(),
            webhooks: Webhooks::new(),
            descriptors: Vec::new(),
            former: Vec::new(),
            actions: VecDeque::new(),
            action_bytes: 0,
            paused: false,
            taken: Vec::new(),
            stats: Stats::default(),
            transitions: arrows().map(|_| 0).collect(),
            config,
        };
        machine.step(Signal::DialDue, "");
        machine
    }

    /// Bytes of WebSocket messages, text or binary, in order (W-1). Says how many were consumed; offer the rest
    /// again when [`wants_read`](Self::wants_read).
    pub fn handle_bytes(&mut self, now: Now, conn: Conn, bytes: &[u8]) -> usize {
        self.advance(now);
        if !self.conn.is_open(conn) {
            self.stats.stale_inputs += 1;
            return bytes.len();
        }
        self.conn.heard(self.now);
        let mut rest = bytes;
        // The splitter lends out lines while the machine changes: it stands aside for that long.
        let mut splitter = std::mem::replace(&mut self.splitter, LineSplitter::new(0));
        while self.can_take_in() && self.conn.is_open(conn) {
            match splitter.next(&mut rest) {
                Some(Line::Whole(line)) => self.account_actions(|machine| machine.on_line(line)),
                Some(Line::TooLong) => {
                    let head = splitter.take_head();
                    self.account_actions(|machine| machine.on_overlong_line(&head));
                }
                None => break,
            }
        }
        // A line may have ended the connection; what stood behind it is nobody's.
        let left = if self.conn.is_open(conn) {
            rest.len()
        } else {
            splitter.reset();
            0
        };
        self.splitter = splitter;
        self.settle_state();
        bytes.len() - left
    }

    /// Time has passed. Fires whatever is due, once.
    pub fn handle_tick(&mut self, now: Now) {
        self.advance(now);
        while let Some((due, timer)) = self.deadline() {
            if due > self.now {
                break;
            }
            self.fire(timer);
            self.settle_state();
        }
    }

    /// What happened to a dial or its socket.
    pub fn handle_io(&mut self, now: Now, event: IoEvent<'_>) {
        self.advance(now);
        let (IoEvent::Opened { conn }
        | IoEvent::DialFailed { conn, .. }
        | IoEvent::Closed { conn, .. }
        | IoEvent::Alive { conn }) = event;
        if conn != self.conn.id() {
            self.stats.stale_inputs += 1;
            return;
        }
        match event {
            IoEvent::Opened { .. } => {
                let is_expected = self.step(Signal::Opened, "");
                self.stats.stale_inputs += u64::from(!is_expected);
            }
            IoEvent::DialFailed { failure, .. } => self.dial_failed(failure),
            IoEvent::Closed { code, reason, .. } => self.closed(code, reason),
            IoEvent::Alive { .. } => self.conn.heard(self.now),
        }
        self.settle_state();
    }

    /// What the host asks for. It completes exactly once, as [`Action::Complete`]; one that cannot even begin comes
    /// back at once (O-6, O-8, O-9).
    pub fn submit(&mut self, now: Now, command: impl Into<Command>) -> Result<RequestId, NotAccepted> {
        self.advance(now);
        let submitted = self.accept(command.into());
        self.stats.not_accepted += u64::from(submitted.is_err());
        self.settle_state();
        submitted
    }

    /// Counts a command that [`Command::check`] refused before it came here.
    pub fn count_refused(&mut self) {
        self.stats.not_accepted += 1;
    }

    /// Remembers a chat as the host says, after a restart for instance (M-6).
    ///
    /// # Errors
    /// Returns a definite failure when a text is longer than [`MAX_ID_BYTES`](crate::command::MAX_ID_BYTES). Nothing is
    /// remembered then.
    pub fn prime(&mut self, chat_id: &str, chat: Chat) -> Result<(), Failure> {
        let primed = self.chats.prime(&self.seed, chat_id, chat);
        self.stats.not_accepted += u64::from(primed.is_err());
        primed.map_err(Failure::definite)
    }

    /// What became of a delivery. Settling twice is harmless, and counted.
    pub fn settle(&mut self, now: Now, delivery: DeliveryId, outcome: Outcome) {
        self.advance(now);
        let mut taken = std::mem::take(&mut self.taken);
        let settled = self.inbox.settle(delivery, outcome, &mut taken);
        self.stats.stray_settles += u64::from(!settled.known);
        self.stats.refused += u64::from(outcome == Outcome::Refused && settled.known);
        if let Some(prompt) = settled.unanswered {
            self.reopen(prompt);
        }
        match settled.refused {
            Some(Origin::Http(id)) => {
                self.respond(id, WebhookResponse::Unavailable("the host could not take it"))
            }
            // What came on a connection that is over comes again by itself.
            Some(Origin::Buffer(conn, _)) if self.conn.is_open(conn) => {
                self.conn.must_redeliver("the host refused a buffered delivery: dialing again for it");
            }
            Some(Origin::Buffer(..) | Origin::Live(_)) | None => {}
        }
        self.acknowledge_all(taken);
        self.settle_state();
    }
}

/// # Outputs
impl RelayMachine {
    /// The next thing for the socket. Call it only when that socket can take a message: what is returned counts as
    /// written (O-3). `out` is cleared, and holds the message of a [`Transmit::Frame`].
    pub fn poll_transmit(&mut self, now: Now, out: &mut Vec<u8>) -> Option<Transmit> {
        self.advance(now);
        let transmit = self.next_transmit(out);
        // What was written may have been what the close waits for (L-14), and then the close is next.
        self.settle_state();
        transmit.or_else(|| self.next_transmit(out))
    }

    fn next_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        out.clear();
        let conn = self.conn.id();
        if !self.conn.is_open(conn) {
            return None;
        }
        if self.conn.take_ping() {
            return Some(Transmit::Ping { conn });
        }
        while let Some(item) = self.outbox.pop(out) {
            match item {
                Item::Hello(at) => {
                    let identity = &self.config.identities[at];
                    let (manifest, extra) = (&self.config.command_manifest, &self.config.hello_extra);
                    crate::encode::hello(out, identity, manifest.as_ref(), extra);
                }
                Item::Ack(buffer_id) => {
                    self.stats.acks += 1;
                    crate::encode::ack(out, &buffer_id);
                }
                Item::GoingIdle => crate::encode::going_idle(out),
                Item::Request(id, _) => {
                    // One that has failed meanwhile failed as never written: so it must not be.
                    if !self.written(id) {
                        out.clear();
                        continue;
                    }
                }
                Item::Close(reason) => return Some(Transmit::Close { conn, code: 1000, reason }),
            }
            self.stats.frames_out += 1;
            return Some(Transmit::Frame { conn });
        }
        None
    }

    /// The next delivery. Call it only when the host takes one: a live one counts as taken from now on.
    pub fn poll_delivery(&mut self, now: Now) -> Option<Delivery> {
        self.advance(now);
        let early = self.conn.early();
        let mut taken = std::mem::take(&mut self.taken);
        let delivery = self.inbox.poll(early, &mut taken);
        self.acknowledge_all(taken);
        if let Some(Delivery {
            id, content: Content::Message(event) | Content::PromptAnswer(event), ..
        }) = &delivery
        {
            self.stats.overlong_ids += u64::from(!self.targets.note(id.0, event));
        }
        self.stats.delivered += u64::from(delivery.is_some());
        self.settle_state();
        delivery
    }

    /// The next thing for the driver to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if self.actions.is_empty() {
            self.action_bytes = 0;
        }
        action
    }

    /// When to call [`handle_tick`](Self::handle_tick), and why, for logs; always later than the last tick. O(1).
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        self.timers().into_iter().flatten().filter(|(due, _)| *due < Time::NEVER).min()
    }
}

/// # Looks
impl RelayMachine {
    /// Whether it takes bytes: not while nothing more can be taken in, nor without a socket.
    pub fn wants_read(&self) -> bool {
        self.conn.state().has_socket() && self.can_take_in()
    }

    /// Returns whether [`poll_delivery`](Self::poll_delivery) has a delivery for the host.
    pub fn has_delivery(&self) -> bool {
        self.inbox.next(self.conn.early()).is_some()
    }

    /// Returns whether [`poll_action`](Self::poll_action) or [`poll_transmit`](Self::poll_transmit) has anything. O(1).
    pub fn has_output(&self) -> bool {
        let is_unwritten = self.conn.wants_ping() || !self.outbox.is_empty();
        !self.actions.is_empty() || (is_unwritten && self.conn.state().has_socket())
    }

    /// Where the connection is.
    pub fn phase(&self) -> Phase {
        match self.conn.state() {
            State::Waiting => Phase::Waiting,
            State::Dialing => Phase::Dialing,
            State::Handshaking => Phase::Handshaking,
            State::Up(Idleness::Idle) => Phase::Idle,
            State::Up(_) => Phase::Connected,
            State::Closing(_) => Phase::Closing,
            State::Stopped => Phase::Stopped,
            State::Revoked => Phase::Revoked,
        }
    }

    /// Whether another request may wait for its answer, as far as `max_in_flight` goes (O-6).
    pub fn has_room(&self) -> bool {
        self.requests.len() < self.config.limits.max_in_flight
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How often each transition of the lifecycle was taken, in the order of [`arrows`].
    pub fn transitions(&self) -> impl Iterator<Item = (Arrow, u64)> {
        arrows().zip(self.transitions.iter().copied())
    }

    /// What it is configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The descriptors of this connection, the default first, then the other platforms' (D-8). Those of a connection
    /// that ended stay until the next dial begins; from there to the first descriptor there are none.
    pub fn descriptors(&self) -> &[Arc<Descriptor>] {
        &self.descriptors
    }

    /// What the chat's platform can do: the descriptor of the platform on which the chat was last seen, else the
    /// default one; `None` while there are no [`descriptors`](Self::descriptors) (D-9).
    pub fn capabilities(&self, chat_id: &str) -> Option<&Arc<Descriptor>> {
        let platform = self.chats.get(&self.seed, chat_id).map(|chat| chat.platform.as_str());
        platform.and_then(|platform| self.descriptor_of(platform)).or(self.descriptors.first())
    }

    /// The connector's buffer entry of a delivery that the host has and has not settled, for logs and tools.
    pub fn buffer_id(&self, delivery: DeliveryId) -> Option<&str> {
        self.inbox.entry(delivery)
    }

    /// Whether the connector has already decided that a message's author may reach this instance: always (E-10). A
    /// host must not refuse for want of an allow-list of its own.
    pub fn authorization_is_upstream(&self) -> bool {
        true
    }

    /// What is remembered of a chat (M-1).
    pub fn chat(&self, chat_id: &str) -> Option<&Chat> {
        self.chats.get(&self.seed, chat_id)
    }

    /// Chat of a delivery that can still be answered by its number (M-7).
    pub fn chat_of(&self, delivery: DeliveryId) -> Option<String> {
        self.target(delivery).ok().map(|target| target.chat_id)
    }

    /// How full it is, and with what. It looks at each delivery that is in flight.
    pub fn held(&self) -> Held {
        Held {
            unfinished_line_bytes: self.splitter.held(),
            waiting_events: self.inbox.waiting(),
            waiting_event_bytes: self.inbox.bytes(),
            early_event_bytes: if self.conn.early().is_some() { self.inbox.early_bytes() } else { 0 },
            host_queue: self.inbox.queued(),
            host_queue_bytes: self.inbox.queued_bytes(),
            unsettled_deliveries: self.inbox.unsettled(),
            unsettled_bytes: self.inbox.unsettled_bytes(),
            remembered_deliveries: self.inbox.remembered(),
            unanswered_deliveries: self.webhooks.len(),
            requests: self.requests.len(),
            unwritten_bytes: self.outbox.request_bytes(),
            unwritten_acks: self.outbox.acks(),
            chats: self.chats.len(),
            prompts: self.prompts.len(),
            streams: self.streams.len(),
            stream_bytes: self.streams.bytes(),
            reply_targets: self.targets.len(),
            reply_target_bytes: self.targets.bytes(),
            turns: self.turns.len(),
            actions: self.actions.len(),
            action_bytes: self.action_bytes,
        }
    }

    /// A request's id on the wire, 32 hex digits (O-1).
    pub fn wire_id(&self, id: RequestId) -> String {
        self.requests.wire_id(id).to_string()
    }
}

impl RelayMachine {
    /// The host's clock, never backwards (L-15).
    fn advance(&mut self, now: Now) {
        self.now = self.now.max(now.mono);
        self.unix_s = now.unix_s;
    }

    /// Whether there is room for what one more line may bring.
    fn can_take_in(&self) -> bool {
        let limits = &self.config.limits;
        let full =
            if self.conn.early().is_some() { self.inbox.is_full_early() } else { self.inbox.is_full() };
        !full
            && !self.is_backed_up()
            && self.outbox.acks() < limits.dedupe.max(1)
            && self.outbox.ack_bytes() < limits.write_queue_bytes.max(1)
    }

    /// Whether the driver has left so many actions, or so much in them, that nothing may join that it does not ask for.
    fn is_backed_up(&self) -> bool {
        self.actions.len() >= MOST_ACTIONS || self.action_bytes >= self.config.limits.read_ahead_bytes.max(1)
    }

    /// Accounts for the bytes of the actions that something the connector said leads to.
    fn account_actions<T>(&mut self, hear: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.actions.len();
        let heard = hear(self);
        self.action_bytes += self.actions.iter().skip(before).map(Action::weight).sum::<usize>();
        heard
    }

    /// The answer to a prompt is not taken after all (I-3).
    fn reopen(&mut self, prompt: u64) {
        self.stats.prompts_evicted += u64::from(self.prompts.reopen(self.now, prompt));
    }

    fn descriptor_of(&self, platform: &str) -> Option<&Arc<Descriptor>> {
        self.descriptors.iter().find(|descriptor| descriptor.platform == platform)
    }

    /// Acknowledges all of them, and keeps the list warm.
    fn acknowledge_all(&mut self, mut taken: Vec<Origin>) {
        for origin in taken.drain(..) {
            self.acknowledge(origin);
        }
        self.taken = taken;
    }

    /// Queues one acknowledgement, if it is for the connection that is open; not behind our own close frame.
    fn push_ack(&mut self, conn: Conn, buffer_id: Box<str>) {
        if self.conn.takes_acks(conn) {
            self.outbox.push(Item::Ack(buffer_id));
        } else {
            self.stats.moot_acks += 1;
        }
    }

    /// Settles what follows from any input: steps that wait for nothing more, and the keep-alive's rest.
    fn settle_state(&mut self) {
        self.advance_streams();
        self.leave_if_due();
        self.redeliver_if_due();
        // A close that has begun just now has failed what was unwritten, steps of streams among it.
        self.advance_streams();
        let paused = self.conn.state().has_socket() && !self.can_take_in();
        if self.paused != paused {
            self.paused = paused;
            // The silence was our own doing: it counts from now.
            self.conn.heard(self.now);
        }
    }
}
