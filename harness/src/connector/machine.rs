//! The connector's side of the protocol as a state machine: no socket, no clock, no randomness of its own.

use super::answers::Answerer;
use super::buffer::{Entry, Kind};
use super::config::{ConnectorConfig, Duplicates, Limits};
use super::control::{Act, Control, ControlError};
use super::frame::{Incoming, Known, Outgoing, read};
use super::gateway::Gateway;
use super::link::{Link, Output, Phase};
use super::saw::{ClosedBy, Saw, SawQueue};
use super::upgrade::{Bearer, Upgrade, check_bearer};
use crate::chats::Platform;
use relayline_core::line::Line;
use relayline_core::time::{Now, Time};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One connection, named by whoever drives the machine. A name is used once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Conn(pub u32);

/// What [`ConnectorMachine::poll_transmit`] wants done on a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transmit {
    /// Send the caller's buffer as one text message.
    Frame {
        /// The connection.
        conn: Conn,
    },
    /// Send a close frame; then wait for the gateway's, and say [`ConnectorMachine::handle_closed`].
    Close {
        /// The connection.
        conn: Conn,
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// Cut the connection, without a close frame. Nothing more is heard of it.
    Drop {
        /// The connection.
        conn: Conn,
    },
}

/// Counters of what was not obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Lines that are no frame, or a frame without what it is about (W-3).
    pub malformed: u64,
    /// Frames of a type that no gateway sends (W-4).
    pub unknown: u64,
    /// Lines over the limit (W-5).
    pub too_long: u64,
    /// Acks for what was not waiting for one.
    pub stray_acks: u64,
    /// Connections cut because their gateway did not read.
    pub cut_slow: u64,
    /// Results that came at once because too many were delayed already.
    pub not_delayed: u64,
    /// Observations that nobody fetched in time.
    pub lost_saws: u64,
}

/// Names in one table of scripted answers, delays or descriptors.
const MAX_SCRIPTED: usize = 256;

/// A connector. Feed it what happens, then drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_saw`](Self::poll_saw), and come back by [`deadline`](Self::deadline).
///
/// A gateway's bytes are never an error and never a panic. The same configuration, seed and inputs give the
/// same outputs, byte for byte.
#[derive(Debug)]
pub struct ConnectorMachine {
    config: ConnectorConfig,
    gateways: BTreeMap<String, Gateway>,
    links: BTreeMap<Conn, Link>,
    /// The connections with something to write.
    ready: BTreeSet<Conn>,
    /// Results that come later, by when and in what order.
    delayed: BTreeMap<(Time, u64), (Conn, Vec<u8>)>,
    delayed_count: u64,
    answerer: Answerer,
    saws: SawQueue,
    dials: u64,
    stats: Stats,
}

impl ConnectorMachine {
    /// A connector that nobody has dialled yet. The seed decides where its message ids start.
    pub fn new(config: ConnectorConfig, seed: [u8; 32]) -> Self {
        let ids = match config.gateways.is_empty() {
            true => vec![String::new()],
            false => config.gateways.iter().map(|account| account.id.clone()).collect(),
        };
        ConnectorMachine {
            gateways: ids.into_iter().map(|id| (id, Gateway::default())).collect(),
            links: BTreeMap::new(),
            ready: BTreeSet::new(),
            delayed: BTreeMap::new(),
            delayed_count: 0,
            answerer: Answerer::new(seed, &config.limits),
            saws: SawQueue::new(config.limits.saws, config.limits.saw_bytes),
            dials: 0,
            stats: Stats::default(),
            config,
        }
    }

    /// The connector after a crash: connections, delayed results and what it was told are gone. The durable
    /// buffers, revocations and the platforms' own memory of messages are not.
    #[must_use]
    pub fn restart(self) -> Self {
        let fresh = ConnectorMachine::new(self.config, [0; 32]);
        let gateways = self.gateways.into_iter().map(|(id, gateway)| (id, gateway.after_crash())).collect();
        ConnectorMachine { gateways, answerer: self.answerer, dials: self.dials, stats: self.stats, ..fresh }
    }

    // ---- inputs -------------------------------------------------------------------------------------------

    /// An upgrade request came. When it is accepted, `conn` names the connection from here on, whether or not
    /// the upgrade then succeeds: if not, say [`handle_closed`](Self::handle_closed).
    pub fn handle_upgrade(
        &mut self,
        now: Now,
        conn: Conn,
        path: &str,
        authorization: Option<&str>,
    ) -> Upgrade {
        // A name that is still in use is the driver's mistake; the old connection cannot be meant any more.
        self.handle_closed(now, conn, None, "");
        self.dials += 1;
        let (gateway, authenticated, refusal) = match path {
            "/relay" => self.judge(now, authorization),
            _ => (String::new(), false, Some((404, "not found"))),
        };
        let full = self.links.len() >= self.config.limits.connections;
        let refusal = refusal.or(full.then_some((503, "too many connections")));
        self.saws.push(
            0,
            Saw::Dial {
                gateway: gateway.clone(),
                dial: self.dials,
                authenticated,
                status: refusal.map(|(status, _)| status),
                error: refusal.map(|(_, error)| error),
            },
        );
        if let Some((status, error)) = refusal {
            return refuse(status, error);
        }
        let link = Link::new(gateway.clone(), self.dials, self.config.limits.max_line_bytes);
        self.links.insert(conn, link);
        self.settle_duplicates(&gateway, conn);
        Upgrade::Accept { gateway }
    }

    /// Bytes of the gateway's messages, text or binary, cut anywhere (W-1).
    pub fn handle_bytes(&mut self, now: Now, conn: Conn, bytes: &[u8]) {
        let mut input = bytes;
        loop {
            let Some(link) = self.links.get_mut(&conn) else { return };
            if link.phase == Phase::Ending {
                return;
            }
            let (weight, incoming) = match link.splitter.next(&mut input) {
                None => break,
                Some(Line::Whole(line)) => (line.len(), read(line)),
                Some(Line::TooLong) => {
                    self.stats.too_long += 1;
                    continue;
                }
            };
            match incoming {
                Incoming::Blank => {}
                Incoming::Malformed => self.stats.malformed += 1,
                Incoming::Unknown(frame) => {
                    self.stats.unknown += 1;
                    self.show(conn, weight, frame);
                }
                Incoming::Known(known, frame) => {
                    let action = match &known {
                        Known::Outbound { .. } => frame.get("action").cloned().unwrap_or_default(),
                        Known::Hello { .. }
                        | Known::Interrupt
                        | Known::GoingIdle
                        | Known::InboundAck { .. } => Value::Null,
                    };
                    self.show(conn, weight, frame);
                    self.obey(now, conn, known, &action);
                }
            }
        }
        // Only now: a gateway with several identities says its hellos in one go, and hears all descriptors first.
        self.drain(conn);
    }

    /// The connection has ended: by the gateway's close frame (`code`), or without one.
    pub fn handle_closed(&mut self, _now: Now, conn: Conn, code: Option<u16>, reason: &str) {
        let Some(link) = self.links.remove(&conn) else { return };
        self.ready.remove(&conn);
        self.forget(&link.gateway, conn);
        if link.phase == Phase::Ending {
            // Said already, when the connector ended it.
            return;
        }
        let by = if code.is_some() { ClosedBy::Gateway } else { ClosedBy::PeerLost };
        let reason = reason.to_owned();
        self.saws
            .push(reason.len(), Saw::Closed { gateway: link.gateway, dial: link.dial, code, reason, by });
    }

    /// Time has passed. Early, late or spurious: harmless.
    pub fn handle_tick(&mut self, now: Now) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now.mono {
                break;
            }
            let (conn, line) = entry.remove();
            self.send(conn, line);
        }
    }

    /// Does what the bridge or a test says.
    pub fn control(&mut self, now: Now, control: impl Into<Control>) -> Result<(), ControlError> {
        let Control { gateway, act } = control.into();
        let ids = self.meant(gateway)?;
        match act {
            Act::Inbound { event, buffered } => self.deliver(now, &ids, Kind::Inbound, event, buffered),
            Act::Passthrough { forward, buffered } => {
                self.deliver(now, &ids, Kind::Passthrough, forward, buffered)
            }
            Act::Interrupt { session_key, chat_id } => {
                let line =
                    Outgoing::InterruptInbound { session_key: &session_key, chat_id: &chat_id }.to_line();
                for conn in self.connected(&ids)? {
                    self.send(conn, line.clone());
                }
                Ok(())
            }
            Act::Raw { text } => {
                for conn in self.connected(&ids)? {
                    self.send(conn, text.clone().into_bytes());
                }
                Ok(())
            }
            Act::Drop => {
                for conn in self.connected(&ids)? {
                    self.end(conn, Output::Drop);
                }
                Ok(())
            }
            Act::Close { code, reason } => {
                check_close(code, &reason)?;
                for conn in self.connected(&ids)? {
                    self.end(conn, Output::Close { code, reason: reason.clone() });
                }
                Ok(())
            }
            Act::Revoke { on } => self.each(&ids, |machine, gateway| {
                gateway.revoked = on;
                if let (true, Some(conn)) = (on, gateway.conn) {
                    machine.push((conn, "unauthorized"));
                }
            }),
            Act::Expire => self.each(&ids, |machine, gateway| match gateway.conn {
                Some(conn) => machine.push((conn, "expired")),
                None => gateway.expire_next_dial = true,
            }),
            Act::Mute { on } => {
                self.each(&ids, |_, gateway| gateway.muted = on)?;
                // What was buffered meanwhile comes now, where there was a handshake before the silence.
                let open: Vec<Conn> = self.links.keys().copied().collect();
                open.into_iter().for_each(|conn| self.drain(conn));
                Ok(())
            }
            Act::IdleAck { on } => self.each(&ids, |_, gateway| gateway.withholds_idle_ack = !on),
            Act::Answer { op, result } => {
                let result = Some(result).filter(|result| !result.is_null());
                self.script(&ids, op, result, |gateway| &mut gateway.answers)
            }
            Act::Delay { op, ms } => {
                self.script(&ids, op, Some(ms).filter(|ms| *ms > 0), |gateway| &mut gateway.delays)
            }
            Act::Descriptor { descriptor, platform } => {
                let named = || descriptor.get("platform").and_then(Value::as_str).map(str::to_owned);
                let platform = platform.or_else(named).ok_or(ControlError::WhichPlatform)?;
                self.script(&ids, platform, Some(descriptor), |gateway| &mut gateway.descriptors)
            }
        }
    }

    /// Ends every connection in good order: 1001 `going away`.
    pub fn shut_down(&mut self) {
        let open: Vec<Conn> = self.links.keys().copied().collect();
        for conn in open {
            self.end(conn, Output::Close { code: 1001, reason: "going away".to_owned() });
        }
    }

    // ---- outputs ------------------------------------------------------------------------------------------

    /// The next thing to write, on whichever connection; a frame's text replaces what is in `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let conn = *self.ready.first()?;
        self.poll_transmit_on(conn, out)
    }

    /// The next thing to write on one connection: for drivers whose sockets are ready at different times.
    pub fn poll_transmit_on(&mut self, conn: Conn, out: &mut Vec<u8>) -> Option<Transmit> {
        let link = self.links.get_mut(&conn)?;
        let output = link.next_output()?;
        if !link.has_output() {
            self.ready.remove(&conn);
        }
        Some(match output {
            Output::Frame(line) => {
                *out = line;
                Transmit::Frame { conn }
            }
            Output::Close { code, reason } => Transmit::Close { conn, code, reason },
            Output::Drop => {
                self.links.remove(&conn);
                Transmit::Drop { conn }
            }
        })
    }

    /// Whether a connection has something to write.
    pub fn is_ready(&self, conn: Conn) -> bool {
        self.ready.contains(&conn)
    }

    /// The next observation.
    pub fn poll_saw(&mut self) -> Option<Saw> {
        self.saws.pop()
    }

    /// When [`handle_tick`](Self::handle_tick) is due: the next delayed result.
    pub fn deadline(&self) -> Option<Time> {
        self.delayed.first_key_value().map(|((due, _), _)| *due)
    }

    // ---- looks --------------------------------------------------------------------------------------------

    /// What was not obeyed.
    pub fn stats(&self) -> Stats {
        Stats { lost_saws: self.saws.lost(), ..self.stats }
    }

    /// The limits it was set up with.
    pub fn limits(&self) -> Limits {
        self.config.limits
    }

    /// What waits in a gateway's durable buffer, oldest first.
    pub fn buffered(&self, gateway: &str) -> impl Iterator<Item = &Entry> {
        self.gateways.get(gateway).into_iter().flat_map(|gateway| gateway.buffer.entries())
    }

    /// How many connections there are, those included whose end is not written yet.
    pub fn connections(&self) -> usize {
        self.links.len()
    }

    /// Whether the connector has ended this connection, or it has ended by itself.
    pub fn is_over(&self, conn: Conn) -> bool {
        self.links.get(&conn).is_none_or(|link| link.phase == Phase::Ending)
    }

    // ---- dials --------------------------------------------------------------------------------------------

    /// Whose dial it is, whether its token is right, and why it is refused, if it is.
    fn judge(
        &mut self,
        now: Now,
        authorization: Option<&str>,
    ) -> (String, bool, Option<(u16, &'static str)>) {
        let (id, authenticated) = if self.config.gateways.is_empty() {
            (String::new(), false)
        } else {
            match check_bearer(&self.config, authorization, now.unix_s) {
                Bearer::Right(id) => (id, true),
                Bearer::Expired(id) => return (id, false, Some((401, "expired"))),
                Bearer::Wrong => return (String::new(), false, Some((401, "unauthorized"))),
            }
        };
        let refusal = self.gateways.get_mut(&id).and_then(|gateway| {
            let expired = std::mem::take(&mut gateway.expire_next_dial);
            match (gateway.revoked, expired) {
                (true, _) => Some((401, "unauthorized")),
                (false, true) => Some((401, "expired")),
                (false, false) => None,
            }
        });
        (id, authenticated, refusal)
    }

    /// One connection per gateway stays.
    fn settle_duplicates(&mut self, id: &str, new: Conn) {
        let Some(gateway) = self.gateways.get_mut(id) else { return };
        let loser = match (gateway.conn, self.config.duplicates) {
            (None, _) => None,
            (Some(old), Duplicates::Replace) => Some(old),
            (Some(_), Duplicates::Refuse) => Some(new),
        };
        if loser != Some(new) {
            gateway.conn = Some(new);
        }
        if let Some(loser) = loser {
            self.end(loser, Output::Close { code: 1008, reason: "duplicate session".to_owned() });
        }
    }

    // ---- frames -------------------------------------------------------------------------------------------

    fn show(&mut self, conn: Conn, weight: usize, frame: Value) {
        if let Some(link) = self.links.get(&conn) {
            self.saws.push(weight, Saw::Frame { gateway: link.gateway.clone(), dial: link.dial, frame });
        }
    }

    fn obey(&mut self, now: Now, conn: Conn, known: Known, action: &Value) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&link.gateway) else { return };
        if gateway.muted {
            return;
        }
        match known {
            Known::Hello { platform } => {
                let descriptor = match gateway.descriptors.get(&platform) {
                    Some(scripted) => scripted.clone(),
                    None => front(&self.config.platforms, &platform).descriptor,
                };
                let line = Outgoing::Descriptor { descriptor: &descriptor }.to_line();
                link.default_platform.get_or_insert_with(|| platform.clone());
                // A gateway cannot make this grow without bound: it fronts a handful of platforms.
                if link.descriptors.len() < MAX_SCRIPTED {
                    link.descriptors.insert(platform, descriptor);
                }
                link.phase = Phase::Live;
                self.send(conn, line);
            }
            Known::Outbound { request_id, platform } => {
                let op = action.get("op").and_then(Value::as_str).unwrap_or_default();
                let scripted = gateway.answers.get(op).cloned();
                let delay = gateway.delays.get(op).copied();
                let name = platform.or_else(|| link.default_platform.clone()).unwrap_or_default();
                let platform = front(&self.config.platforms, &name);
                let descriptor = link.descriptors.get(&name).unwrap_or(&platform.descriptor);
                let result = match scripted {
                    Some(result) => {
                        self.answerer.note_scripted(action, &result);
                        result
                    }
                    None => self.answerer.answer(now, platform.ids, descriptor, action),
                };
                let line = Outgoing::OutboundResult { request_id: &request_id, result: &result }.to_line();
                self.send_after(now, conn, delay, line);
            }
            Known::InboundAck { buffer_id } => {
                if link.awaits_ack.as_ref() == Some(&buffer_id) {
                    link.awaits_ack = None;
                    gateway.buffer.pop();
                } else {
                    self.stats.stray_acks += 1;
                }
            }
            Known::GoingIdle => {
                if !gateway.withholds_idle_ack {
                    link.phase = Phase::Idle;
                    self.send(conn, Outgoing::GoingIdleAck.to_line());
                }
            }
            // There is no platform turn to stop here: it was shown, which is all.
            Known::Interrupt => {}
        }
    }

    // ---- deliveries ---------------------------------------------------------------------------------------

    fn deliver(
        &mut self,
        now: Now,
        ids: &[String],
        kind: Kind,
        content: Map<String, Value>,
        buffered: Option<bool>,
    ) -> Result<(), ControlError> {
        let [id] = ids else {
            return Err(ControlError::WhichGateway { known: self.known() });
        };
        let Some(gateway) = self.gateways.get_mut(id) else { return Ok(()) };
        let live = gateway.conn.filter(|conn| {
            !gateway.muted && self.links.get(conn).is_some_and(|link| link.phase == Phase::Live)
        });
        match (live, buffered) {
            (Some(conn), Some(false)) => {
                self.send(conn, kind.to_line(&content, None));
                return Ok(());
            }
            // What waits for the same chat goes first.
            (Some(conn), None) if !gateway.buffer.holds_lane_of(kind, &content) => {
                self.send(conn, kind.to_line(&content, None));
                return Ok(());
            }
            (None, Some(false)) => {
                let hint = ", or leave out \"buffered\": it then waits for the gateway";
                return Err(ControlError::NotConnected { gateway: show_id(id), hint });
            }
            (Some(_) | None, Some(true) | None) => {}
        }
        let limits = &self.config.limits;
        if !gateway.buffer.push(now, kind, content, (limits.buffer_entries, limits.buffer_bytes)) {
            let (entries, bytes) = (gateway.buffer.len(), gateway.buffer.bytes());
            return Err(ControlError::BufferFull { gateway: show_id(id), entries, bytes });
        }
        if let Some(conn) = live {
            self.drain(conn);
        }
        Ok(())
    }

    /// Sends the first buffered entry, unless one is waiting for its ack.
    fn drain(&mut self, conn: Conn) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&link.gateway) else { return };
        if link.phase != Phase::Live
            || link.awaits_ack.is_some()
            || gateway.muted
            || gateway.conn != Some(conn)
        {
            return;
        }
        let Some(entry) = gateway.buffer.front() else { return };
        link.awaits_ack = Some(entry.buffer_id().to_owned());
        let line = entry.to_line();
        self.send(conn, line);
    }

    // ---- writing ------------------------------------------------------------------------------------------

    fn send(&mut self, conn: Conn, line: Vec<u8>) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.phase == Phase::Ending {
            return;
        }
        if !link.queue_frame(line, self.config.limits.write_bytes) {
            self.stats.cut_slow += 1;
            link.cut();
            self.note_end(conn, None, "does not read".to_owned());
        }
        self.ready.insert(conn);
    }

    fn send_after(&mut self, now: Now, conn: Conn, delay_ms: Option<u64>, line: Vec<u8>) {
        let Some(ms) = delay_ms else {
            return self.send(conn, line);
        };
        if self.delayed.len() >= self.config.limits.delayed_results {
            self.stats.not_delayed += 1;
            return self.send(conn, line);
        }
        self.delayed_count += 1;
        let due = now.mono + Duration::from_millis(ms);
        self.delayed.insert((due, self.delayed_count), (conn, line));
    }

    fn end(&mut self, conn: Conn, end: Output) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.phase == Phase::Ending {
            return;
        }
        let (code, reason) = match &end {
            Output::Close { code, reason } => (Some(*code), reason.clone()),
            Output::Drop | Output::Frame(_) => (None, String::new()),
        };
        link.queue_end(end);
        self.ready.insert(conn);
        self.note_end(conn, code, reason);
    }

    /// The connector ended a connection: from here on its gateway counts as away.
    fn note_end(&mut self, conn: Conn, code: Option<u16>, reason: String) {
        let Some(link) = self.links.get(&conn) else { return };
        let (gateway, dial) = (link.gateway.clone(), link.dial);
        self.forget(&gateway, conn);
        self.saws.push(reason.len(), Saw::Closed { gateway, dial, code, reason, by: ClosedBy::Connector });
    }

    /// The connection is its gateway's no more; results for it are pointless.
    fn forget(&mut self, gateway: &str, conn: Conn) {
        self.delayed.retain(|_, (of, _)| *of != conn);
        if let Some(gateway) = self.gateways.get_mut(gateway) {
            gateway.conn.take_if(|current| *current == conn);
        }
    }

    // ---- control ------------------------------------------------------------------------------------------

    fn known(&self) -> String {
        self.gateways.keys().map(|id| show_id(id)).collect::<Vec<_>>().join(", ")
    }

    fn meant(&self, gateway: Option<String>) -> Result<Vec<String>, ControlError> {
        match gateway {
            None => Ok(self.gateways.keys().cloned().collect()),
            Some(id) if self.gateways.contains_key(&id) => Ok(vec![id]),
            Some(id) => Err(ControlError::UnknownGateway { id, known: self.known() }),
        }
    }

    /// The connections of these gateways; one at least.
    fn connected(&self, ids: &[String]) -> Result<Vec<Conn>, ControlError> {
        let conns: Vec<Conn> =
            ids.iter().filter_map(|id| self.gateways.get(id).and_then(|gateway| gateway.conn)).collect();
        match conns.is_empty() {
            true => Err(ControlError::NotConnected { gateway: name_all(ids), hint: "" }),
            false => Ok(conns),
        }
    }

    /// Changes each of these gateways; the connections that `change` adds are closed with 4401 and that reason.
    fn each(
        &mut self,
        ids: &[String],
        change: impl Fn(&mut Vec<(Conn, &'static str)>, &mut Gateway),
    ) -> Result<(), ControlError> {
        let mut refused = Vec::new();
        for id in ids {
            if let Some(gateway) = self.gateways.get_mut(id) {
                change(&mut refused, gateway);
            }
        }
        for (conn, reason) in refused {
            self.end(conn, Output::Close { code: 4401, reason: reason.to_owned() });
        }
        Ok(())
    }

    /// Sets (or, without a value, restores) a name in one of the tables of each gateway.
    fn script<V: Clone>(
        &mut self,
        ids: &[String],
        name: String,
        value: Option<V>,
        table: impl Fn(&mut Gateway) -> &mut BTreeMap<String, V>,
    ) -> Result<(), ControlError> {
        for id in ids {
            let Some(gateway) = self.gateways.get_mut(id) else { continue };
            let table = table(gateway);
            match &value {
                None => {
                    table.remove(&name);
                }
                Some(_) if table.len() >= MAX_SCRIPTED && !table.contains_key(&name) => {
                    return Err(ControlError::TooMany(table.len()));
                }
                Some(value) => {
                    table.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(())
    }
}

/// How a platform is fronted: as configured, else generically.
fn front(platforms: &[Platform], name: &str) -> Platform {
    match platforms.iter().find(|platform| platform.name == name) {
        Some(platform) => platform.clone(),
        None => Platform::generic(name),
    }
}

fn refuse(status: u16, error: &str) -> Upgrade {
    Upgrade::Refuse { status, body: format!("{{\"error\":\"{error}\"}}") }
}

/// What may stand in a close frame (RFC 6455, 7.4): tungstenite would refuse the rest.
fn check_close(code: u16, reason: &str) -> Result<(), ControlError> {
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ControlError::CloseCode(code));
    }
    match reason.len() > 123 {
        true => Err(ControlError::CloseReason(reason.len())),
        false => Ok(()),
    }
}

/// A gateway's id for a message to a person.
fn show_id(id: &str) -> String {
    match id.is_empty() {
        true => "the gateway".to_owned(),
        false => format!("`{id}`"),
    }
}

fn name_all(ids: &[String]) -> String {
    match ids {
        [id] => show_id(id),
        _ => "any gateway".to_owned(),
    }
}
