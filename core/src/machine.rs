//! State machine of a gateway: [`RelayMachine`].
//!
//! Its components own their state and return values. The machine passes these on from one component to another.

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
use crate::event::Event;
use crate::hash::Seed;
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
use crate::usage::Usage;
use crate::webhook::WebhookResponse;
use crate::webhooks::Webhooks;
use connection::Disconnect;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// Maximum number of pending actions before reading pauses.
const MAX_ACTIONS: usize = 1024;

/// Close code with which a connector rejects the gateway's credentials.
pub const CREDENTIALS_REJECTED: u16 = 4401;

/// Event of a dial or its socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoEvent<'a> {
    /// The upgrade completed. The socket accepts messages.
    Opened {
        /// Number of the dial.
        conn: Conn,
    },
    /// The dial failed.
    DialFailed {
        /// Number of the dial.
        conn: Conn,
        /// Cause of the failure.
        failure: DialFailure<'a>,
    },
    /// The socket closed.
    Closed {
        /// Number of the dial.
        conn: Conn,
        /// Close code of the peer, if it sent a close frame.
        code: Option<u16>,
        /// Close reason of the peer, or the error that ended the connection.
        reason: &'a str,
    },
    /// A ping or a pong was received, which shows that the peer is alive. Text and binary messages show the same, and
    /// go to [`RelayMachine::handle_bytes`] alone.
    Alive {
        /// Number of the dial.
        conn: Conn,
    },
}

/// Cause of a failed dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialFailure<'a> {
    /// The upgrade was not answered, for this reason, for instance `connection refused`.
    Unanswered(&'a str),
    /// The upgrade was answered with another status than 101.
    Refused(Refusal<'a>),
}

/// Gateway side of the relay protocol, without I/O: its inputs are bytes and times, its outputs actions and frames.
///
/// The machine is deterministic: the same configuration, seed and inputs give the same outputs, byte for byte.
///
/// # How to drive it
///
/// 1. Create a machine. Its first action is to dial.
/// 2. After every input, and after the other two polls, call [`poll_action`](Self::poll_action) until it returns
///    `None`, and carry out the actions.
/// 3. When the host accepts a delivery, call [`poll_delivery`](Self::poll_delivery), and report the outcome with
///    [`settle`](Self::settle). No queue is needed in between: the machine is the host's queue, and
///    [`has_delivery`](Self::has_delivery) tells when to wake a waiting host.
/// 4. While the socket accepts a message, write the result of [`poll_transmit`](Self::poll_transmit). A returned
///    message counts as written.
/// 5. Read the socket while [`wants_read`](Self::wants_read) is true, and pass the bytes to
///    [`handle_bytes`](Self::handle_bytes). Offer the bytes that were not consumed again once it is true.
/// 6. Pass webhook requests to [`handle_webhook`](Self::handle_webhook), if there is a webhook server.
/// 7. Call [`handle_tick`](Self::handle_tick) at [`deadline`](Self::deadline). Early, late and spurious calls are
///    harmless.
///
/// Bytes of a peer and failures of the network never cause an `Err` or a panic. After [`Action::Fatal`] every poll
/// returns `None`.
///
/// # Back-pressure
///
/// Events wait in the machine until the host polls them. Results, interrupts and confirmations overtake them.
///
/// The queue has room for `host_queue` events of `host_queue_bytes`, or for as many events as fit into
/// `read_ahead_bytes`. When it is full, the machine consumes no more bytes and [`wants_read`](Self::wants_read) is
/// false, so that TCP pushes back on the connector. The machine continues to write, and its silence timer pauses.
///
/// Before the handshake of a connection completes, the machine reads regardless of events of earlier connections,
/// with a budget of its own for early events.
///
/// A host must not wait for a result before it polls its next event: while the queue is full, that result is not
/// read, and the request times out.
#[derive(Debug)]
pub struct RelayMachine {
    config: Arc<Config>,
    /// Source of all random draws, and key of all hashes.
    seed: Seed,
    /// Latest time of the host's monotonic clock. Never goes back, even if that clock does.
    now: Time,
    /// Time of the last activity, which [`last_activity`](Self::last_activity) returns.
    last_activity: Time,
    /// Time of the host's wall clock, in seconds since 1970.
    unix_s: u64,
    conn: Connection,
    redial: Redial,
    idle_waiters: IdleWaiters,
    /// Disconnect in progress.
    disconnect: Option<Disconnect>,
    /// Splitter of the socket's bytes. It holds the line whose end has not come.
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
    /// Descriptors of this connection, the default one first.
    descriptors: Vec<Arc<Descriptor>>,
    /// Last descriptors of earlier connections, to report changes.
    previous_descriptors: Vec<Arc<Descriptor>>,
    /// Actions that the driver has not polled.
    actions: VecDeque<Action>,
    /// Bytes of the connector in the actions, counted until the last action is polled.
    action_bytes: usize,
    /// True while a socket is open and not read, because there is no room.
    is_reading_paused: bool,
    /// Reusable buffer of origins to acknowledge.
    to_acknowledge: Vec<Origin>,
    stats: Stats,
    /// Number of times that each of [`arrows`] was taken.
    transitions: Box<[u64]>,
}

/// # Inputs
impl RelayMachine {
    /// Creates a machine that dials immediately. `seed` determines all random draws: it must come from a good source
    /// and must not be reused.
    pub fn new(config: Arc<Config>, seed: [u8; 32], now: Now) -> Self {
        let mut seed = Seed::new(&seed);
        let limits = &config.limits;
        let [prompts, requests, drafts] = [seed.draw(), seed.draw(), seed.draw()];
        let mut machine = RelayMachine {
            requests: Requests::new(requests),
            seed,
            now: now.mono,
            last_activity: now.mono,
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
            previous_descriptors: Vec::new(),
            actions: VecDeque::new(),
            action_bytes: 0,
            is_reading_paused: false,
            to_acknowledge: Vec::new(),
            stats: Stats::default(),
            transitions: arrows().map(|_| 0).collect(),
            config,
        };
        machine.step(Signal::DialDue, "");
        machine
    }

    /// Handles the bytes of WebSocket messages, text or binary, in order. Returns the number of consumed bytes. Offer
    /// the rest again when [`wants_read`](Self::wants_read) is true.
    pub fn handle_bytes(&mut self, now: Now, conn: Conn, bytes: &[u8]) -> usize {
        self.advance(now);
        if !self.conn.is_open(conn) {
            self.stats.stale_inputs += 1;
            return bytes.len();
        }
        self.conn.heard(self.now);
        let mut rest = bytes;
        // The splitter lends its lines while the machine changes, so it is moved out meanwhile.
        let mut splitter = std::mem::replace(&mut self.splitter, LineSplitter::new(0));
        while self.can_read_line() && self.conn.is_open(conn) {
            match splitter.next(&mut rest) {
                Some(Line::Whole(line)) => self.account_actions(|machine| machine.on_line(line)),
                Some(Line::TooLong) => {
                    let head = splitter.take_head();
                    self.account_actions(|machine| machine.on_overlong_line(&head));
                }
                None => break,
            }
        }
        // A line may have ended the connection. The bytes after it are discarded.
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

    /// Fires all timers that are due, once each.
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

    /// Handles an event of a dial or its socket. An event of an earlier dial is ignored, and counted.
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

    /// Submits a command of the host. An accepted command completes exactly once, as [`Action::Complete`].
    ///
    /// # Errors
    ///
    /// Returns [`NotAccepted`] with the command if it cannot be started. Nothing was written then.
    pub fn submit(&mut self, now: Now, command: impl Into<Command>) -> Result<RequestId, NotAccepted> {
        self.advance(now);
        let command = command.into();
        let is_activity = !command.is_about_connection();
        let submitted = self.accept(command);
        if is_activity && submitted.is_ok() {
            self.last_activity = self.now;
        }
        self.stats.not_accepted += u64::from(submitted.is_err());
        self.settle_state();
        submitted
    }

    /// Counts a command that [`Command::check`] refused before it was submitted.
    pub fn count_refused(&mut self) {
        self.stats.not_accepted += 1;
    }

    /// Adds a chat to the chat memory, for instance after a restart.
    ///
    /// # Errors
    /// Returns a definite failure if a text is longer than [`MAX_ID_BYTES`](crate::command::MAX_ID_BYTES). The memory
    /// is unchanged then.
    pub fn prime(&mut self, chat_id: &str, chat: Chat) -> Result<(), Failure> {
        let primed = self.chats.prime(&self.seed, chat_id, chat);
        self.stats.not_accepted += u64::from(primed.is_err());
        primed.map_err(Failure::definite)
    }

    /// Replaces [`Config::command_manifest`](crate::config::Config::command_manifest). It is declared by each `hello` from
    /// now on: the connection in progress keeps the former one.
    pub fn set_command_manifest(&mut self, manifest: Option<Vec<Value>>) {
        Arc::make_mut(&mut self.config).command_manifest = manifest;
    }

    /// Gives a new number to a message that the host has stored, so that it can be answered by its number (M-7), also by
    /// another process than the one that received it. Nothing is delivered, and there is nothing to settle.
    pub fn recall(&mut self, event: &Event) -> DeliveryId {
        let id = self.inbox.take_number();
        self.stats.overlong_ids += u64::from(!self.targets.note(id.0, event));
        id
    }

    /// Settles a delivery with its outcome. Settling twice is harmless, and counted.
    pub fn settle(&mut self, now: Now, delivery: DeliveryId, outcome: Outcome) {
        self.advance(now);
        let mut to_acknowledge = std::mem::take(&mut self.to_acknowledge);
        let settled = self.inbox.settle(delivery, outcome, &mut to_acknowledge);
        if settled.is_known {
            self.last_activity = self.now;
        }
        self.stats.stray_settles += u64::from(!settled.is_known);
        self.stats.refused += u64::from(outcome == Outcome::Refused && settled.is_known);
        if let Some(prompt) = settled.unanswered {
            self.reopen(prompt);
        }
        match settled.refused {
            Some(Origin::Http(id)) => {
                self.respond(id, WebhookResponse::Unavailable("the host could not take it"))
            }
            // An entry of a connection that has ended is redelivered anyway.
            Some(Origin::Buffer(conn, _)) if self.conn.is_open(conn) => {
                self.conn.must_redeliver("the host refused a buffered delivery: dialing again for it");
            }
            Some(Origin::Buffer(..) | Origin::Live(_)) | None => {}
        }
        self.acknowledge_all(to_acknowledge);
        self.settle_state();
    }
}

/// # Outputs
impl RelayMachine {
    /// Returns the next message for the socket. Call it only when the socket accepts a message, since a returned
    /// message counts as written.
    ///
    /// `out` is cleared, and filled with the message of a [`Transmit::Frame`].
    pub fn poll_transmit(&mut self, now: Now, out: &mut Vec<u8>) -> Option<Transmit> {
        self.advance(now);
        let transmit = self.next_transmit(out);
        // The queue may be empty now, which a disconnect waits for before it queues its close (L-14). If there was
        // nothing else to write, the close is written at once.
        self.settle_state();
        transmit.or_else(|| self.next_transmit(out))
    }

    /// Takes the next message for the socket from the queue.
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
                    // A request that has failed meanwhile was reported as never written. It must not be written now.
                    if !self.note_written(id) {
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

    /// Returns the next delivery. Call it only when the host accepts one: a live delivery counts as accepted from now
    /// on.
    pub fn poll_delivery(&mut self, now: Now) -> Option<Delivery> {
        self.advance(now);
        let early = self.conn.early();
        let mut to_acknowledge = std::mem::take(&mut self.to_acknowledge);
        let delivery = self.inbox.poll(early, &mut to_acknowledge);
        self.acknowledge_all(to_acknowledge);
        if let Some(Delivery {
            id, content: Content::Message(event) | Content::PromptAnswer(event), ..
        }) = &delivery
        {
            self.stats.overlong_ids += u64::from(!self.targets.note(id.0, event));
        }
        if delivery.is_some() {
            self.stats.delivered += 1;
            self.last_activity = self.now;
        }
        self.settle_state();
        delivery
    }

    /// Returns the next action for the driver.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if self.actions.is_empty() {
            self.action_bytes = 0;
        }
        action
    }

    /// Returns the time of the next [`handle_tick`](Self::handle_tick), and its timer for logs. It is always later
    /// than the last tick. O(1).
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        self.timers().into_iter().flatten().filter(|(due, _)| *due < Time::NEVER).min()
    }
}

/// # Queries
impl RelayMachine {
    /// Returns true if the machine consumes bytes: a socket is open, and there is room for another line.
    pub fn wants_read(&self) -> bool {
        self.conn.state().has_socket() && self.can_read_line()
    }

    /// Returns true if [`poll_delivery`](Self::poll_delivery) has a delivery for the host.
    pub fn has_delivery(&self) -> bool {
        self.inbox.has_next(self.conn.early())
    }

    /// Returns true if [`poll_action`](Self::poll_action) or [`poll_transmit`](Self::poll_transmit) has an output.
    /// O(1).
    pub fn has_output(&self) -> bool {
        let is_unwritten = self.conn.wants_ping() || !self.outbox.is_empty();
        !self.actions.is_empty() || (is_unwritten && self.conn.state().has_socket())
    }

    /// Returns the time at which the host last received or settled a delivery, submitted a command, or had the result of
    /// an op. Commands about the connection do not count: `GoIdle`, `GoDormant`, `Hold`, `Resume` and `Disconnect`.
    pub fn last_activity(&self) -> Time {
        self.last_activity
    }

    /// Returns the phase of the connection.
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

    /// Returns true if another request fits within `max_in_flight`.
    pub fn has_room(&self) -> bool {
        self.requests.len() < self.config.limits.max_in_flight
    }

    /// Returns the counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the number of times that each transition of the lifecycle was taken, in the order of [`arrows`].
    pub fn transitions(&self) -> impl Iterator<Item = (Arrow, u64)> {
        arrows().zip(self.transitions.iter().copied())
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the descriptors of this connection: the default one first, then those of the other platforms.
    ///
    /// The descriptors of a connection that ended stay until the next dial begins. From then to the first descriptor
    /// there are none.
    pub fn descriptors(&self) -> &[Arc<Descriptor>] {
        &self.descriptors
    }

    /// Returns the descriptor of the platform on which the chat was last seen, else the default one; `None` while
    /// there are no [`descriptors`](Self::descriptors).
    pub fn capabilities(&self, chat_id: &str) -> Option<&Arc<Descriptor>> {
        self.descriptor_for(self.chat(chat_id), None)
    }

    /// Returns the connector's buffer entry of an unsettled delivery, for logs and tools.
    pub fn buffer_id(&self, delivery: DeliveryId) -> Option<&str> {
        self.inbox.entry(delivery)
    }

    /// Returns true, always: the connector has authorized the author of each message for this instance. A host must not
    /// refuse messages because it has no allow-list of its own.
    ///
    /// This is a method because hosts ask it of each of their adapters, and others answer false.
    pub fn authorization_is_upstream(&self) -> bool {
        true
    }

    /// Returns the memory of a chat; `None` if the chat is not remembered.
    pub fn chat(&self, chat_id: &str) -> Option<&Chat> {
        self.chats.get(Chats::key(&self.seed, chat_id))
    }

    /// Returns the id of the chat that a delivery came from; `None` if the delivery is too old to be answered by its
    /// number.
    pub fn chat_of(&self, delivery: DeliveryId) -> Option<String> {
        self.target(delivery).ok().map(|target| target.chat_id)
    }

    /// Returns the sizes of all queues and tables. Visits each delivery in flight.
    pub fn usage(&self) -> Usage {
        Usage {
            unfinished_line_bytes: self.splitter.pending_bytes(),
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

    /// Returns the id of a request on the wire, 32 hex digits.
    pub fn wire_id(&self, id: RequestId) -> String {
        self.requests.wire_id(id).to_string()
    }
}

impl RelayMachine {
    /// Advances the clock, never backwards (L-15).
    fn advance(&mut self, now: Now) {
        self.now = self.now.max(now.mono);
        self.unix_s = now.unix_s;
    }

    /// Returns true if there is room for everything that one more line may cause.
    fn can_read_line(&self) -> bool {
        let limits = &self.config.limits;
        let full =
            if self.conn.early().is_some() { self.inbox.is_full_early() } else { self.inbox.is_full() };
        !full
            && !self.are_actions_full()
            && self.outbox.acks() < limits.dedupe.max(1)
            && self.outbox.ack_bytes() < limits.write_queue_bytes.max(1)
    }

    /// Returns true if the pending actions, or their bytes, have reached their limit. Then no input of the connector or
    /// of a webhook client may add more.
    fn are_actions_full(&self) -> bool {
        self.actions.len() >= MAX_ACTIONS || self.action_bytes >= self.config.limits.read_ahead_bytes.max(1)
    }

    /// Runs `handle_input`, and adds the bytes of the actions that it queues to `action_bytes`.
    fn account_actions<T>(&mut self, handle_input: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.actions.len();
        let result = handle_input(self);
        self.action_bytes += self.actions.iter().skip(before).map(Action::weight).sum::<usize>();
        result
    }

    /// Reopens a prompt whose answer was not accepted in the end (I-3).
    fn reopen(&mut self, prompt: u64) {
        self.stats.prompts_evicted += u64::from(self.prompts.reopen(self.now, prompt));
    }

    /// Returns the descriptor of a platform on this connection.
    fn descriptor_of(&self, platform: &str) -> Option<&Arc<Descriptor>> {
        self.descriptors.iter().find(|descriptor| descriptor.platform == platform)
    }

    /// Acknowledges all of `to_acknowledge`, and keeps its buffer for reuse.
    fn acknowledge_all(&mut self, mut to_acknowledge: Vec<Origin>) {
        for origin in to_acknowledge.drain(..) {
            self.acknowledge(origin);
        }
        self.to_acknowledge = to_acknowledge;
    }

    /// Queues an acknowledgement if its connection is open and our close frame is not queued.
    fn push_ack(&mut self, conn: Conn, buffer_id: Box<str>) {
        if self.conn.takes_acks(conn) {
            self.outbox.push(Item::Ack(buffer_id));
        } else {
            self.stats.late_acks += 1;
        }
    }

    /// Takes the steps that the last input may have made possible, and pauses the keep-alive while nothing is read.
    /// Every input ends with this call. To settle a delivery is another matter: see [`settle`](Self::settle).
    fn settle_state(&mut self) {
        self.advance_streams();
        self.leave_if_due();
        self.redeliver_if_due();
        // A close that has just begun has failed unwritten requests, which may be steps of streams.
        self.advance_streams();
        let is_reading_paused = self.conn.state().has_socket() && !self.can_read_line();
        if self.is_reading_paused != is_reading_paused {
            self.is_reading_paused = is_reading_paused;
            // We caused the silence by not reading, so it counts from now.
            self.conn.heard(self.now);
        }
    }
}
