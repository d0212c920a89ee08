//! The connector's side of the protocol as a state machine. It coordinates the components; each owns its state.

mod commands;
mod deliveries;
mod dials;
mod durable;
mod enroll;
mod frames;
mod http;
mod uploads;
mod users;
mod webhooks;
mod writing;

use crate::account::Account;
use crate::ack_timers::AckTimers;
use crate::admission::Admission;
use crate::buffer::Entry;
use crate::config::{ConnectorConfig, Limits, UpgradeRefusal};
use crate::connection::{Connection, Output, Phase};
use crate::delayed::Delayed;
use crate::frame::{GatewayFrame, Incoming, read};
use crate::gateway::Gateway;
use crate::issuer::Issuer;
use crate::media::Media;
use crate::observation::{ClosedBy, Observation, ObservationQueue};
use crate::prompts::Prompts;
use crate::responder::Responder;
use crate::values::{ConnId, Stats, Transmit, Upgrade};
use crate::wakes::Wakes;
use crate::webhooks::Webhooks;
use relayline_core::line::Line;
use relayline_core::machine::CREDENTIALS_REJECTED;
use relayline_core::time::{Now, Time};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A connector without I/O. [The crate's documentation](crate#driving-the-machine) has the order of calls.
///
/// A gateway's bytes are never an error and never a panic. The same configuration, seed and inputs give the same
/// outputs, byte for byte.
#[derive(Debug)]
pub struct ConnectorMachine {
    config: ConnectorConfig,
    gateways: BTreeMap<String, Gateway>,
    connections: BTreeMap<ConnId, Connection>,
    /// Connections with output.
    ready: BTreeSet<ConnId>,
    delayed: Delayed,
    ack_timers: AckTimers,
    responder: Responder,
    admission: Admission,
    issuer: Issuer,
    media: Media,
    prompts: Prompts,
    webhooks: Webhooks,
    wakes: Wakes,
    /// End of each gateway's oldest overlap of secrets.
    overlaps: BTreeSet<(Time, String)>,
    observations: ObservationQueue,
    dials: u64,
    stats: Stats,
    /// True if every dial is accepted, because no gateway is known or could enroll.
    is_open: bool,
    /// True if the state is kept in a file: each buffered entry is observed.
    is_durable: bool,
    /// True if the durable state may have changed.
    has_durable_change: bool,
}

impl ConnectorMachine {
    /// Creates a connector without connections. The seed decides the first message id and every secret that the
    /// connector issues: draw it at random and keep it secret, except in tests.
    pub fn new(config: ConnectorConfig, seed: [u8; 32]) -> Self {
        let account = |account| Gateway::new(Account::configured(account));
        let mut gateways: BTreeMap<String, Gateway> =
            config.gateways.iter().map(|given| (given.id.clone(), account(given))).collect();
        let is_open = config.is_open();
        if is_open {
            gateways.insert(String::new(), Gateway::new(Account::open()));
        }
        ConnectorMachine {
            gateways,
            connections: BTreeMap::new(),
            ready: BTreeSet::new(),
            delayed: Delayed::default(),
            ack_timers: AckTimers::default(),
            responder: Responder::new(seed, &config.limits),
            admission: Admission::new(&config),
            issuer: Issuer::new(seed),
            media: Media::new(),
            prompts: Prompts::new(),
            webhooks: Webhooks::default(),
            wakes: Wakes::default(),
            overlaps: BTreeSet::new(),
            observations: ObservationQueue::new(config.limits.observations, config.limits.observation_bytes),
            dials: 0,
            stats: Stats::default(),
            is_open,
            is_durable: false,
            has_durable_change: false,
            config,
        }
    }

    /// Returns the connector as it is after a crash. Connections, delayed results, pending webhook requests and scripted
    /// behavior are gone. Buffers, accounts, used tokens, revocations, files and the platforms' messages are kept.
    #[must_use]
    pub fn restart(self) -> Self {
        let fresh = ConnectorMachine::new(self.config, [0; 32]);
        let gateways = self.gateways.into_iter().map(|(id, gateway)| (id, gateway.after_crash())).collect();
        ConnectorMachine {
            gateways,
            responder: self.responder,
            admission: self.admission,
            issuer: self.issuer,
            media: self.media,
            prompts: self.prompts,
            overlaps: self.overlaps,
            dials: self.dials,
            stats: self.stats,
            is_open: self.is_open,
            is_durable: self.is_durable,
            ..fresh
        }
    }

    // ---- inputs -------------------------------------------------------------------------------------------

    /// Handles an upgrade request, and returns the answer to it. `path` is without a query; `authorization` is the
    /// value of that header.
    ///
    /// An accepted connection is named `conn` from here on. Call [`handle_closed`](Self::handle_closed) if the upgrade
    /// then fails.
    pub fn handle_upgrade(
        &mut self,
        now: Now,
        conn: ConnId,
        path: &str,
        authorization: Option<&str>,
    ) -> Upgrade {
        // A reused id is a driver error: its old connection must have ended.
        self.handle_closed(now, conn, None, "");
        self.dials += 1;
        let (gateway, authenticated, unwelcome) = match path {
            "/relay" => self.check_dial(now, authorization),
            _ => (String::new(), false, None),
        };
        let refusal = match unwelcome {
            _ if path != "/relay" => Some((404, "not found")),
            Some(error) if self.config.upgrade_refusal == UpgradeRefusal::Http => Some((401, error)),
            _ if self.connections.len() >= self.config.limits.connections => {
                Some((503, "too many connections"))
            }
            Some(_) | None => None,
        };
        self.observations.push(
            0,
            Observation::Dial {
                gateway: gateway.clone(),
                dial: self.dials,
                authenticated,
                status: refusal.map(|(status, _)| status),
                error: refusal.map(|(_, error)| error).or(unwelcome),
            },
        );
        if let Some((status, error)) = refusal {
            return refuse(status, error);
        }
        let connection = Connection::new(gateway.clone(), self.dials, self.config.limits.max_line_bytes);
        self.connections.insert(conn, connection);
        match unwelcome {
            Some(reason) => {
                self.end(conn, Output::Close { code: CREDENTIALS_REJECTED, reason: reason.to_owned() })
            }
            None => self.settle_duplicates(&gateway, conn),
        }
        Upgrade::Accept { gateway }
    }

    /// Handles the content of a gateway's messages, text or binary. Frames are lines: they may be split or joined over
    /// messages and calls in any way.
    pub fn handle_bytes(&mut self, now: Now, conn: ConnId, bytes: &[u8]) {
        let mut input = bytes;
        loop {
            let Some(connection) = self.connections.get_mut(&conn) else { return };
            if connection.phase == Phase::Ending || connection.is_half_open {
                return;
            }
            let (weight, incoming) = match connection.splitter.next(&mut input) {
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
                    self.observe_frame(conn, weight, frame);
                }
                Incoming::Known(known, frame) => {
                    let action = match &known {
                        GatewayFrame::Outbound { .. } => frame.get("action").cloned().unwrap_or_default(),
                        GatewayFrame::Hello { .. }
                        | GatewayFrame::Interrupt
                        | GatewayFrame::GoingIdle
                        | GatewayFrame::InboundAck { .. } => Value::Null,
                    };
                    self.observe_frame(conn, weight, frame);
                    self.handle_frame(now, conn, known, &action);
                }
            }
        }
        // After all lines: a gateway with several identities sends its hellos at once, and must get all descriptors
        // first.
        self.drain(now, conn);
    }

    /// Handles the end of a connection: by the gateway's close frame, with its `code`, or without one. An unknown
    /// connection is ignored.
    pub fn handle_closed(&mut self, _now: Now, conn: ConnId, code: Option<u16>, reason: &str) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        self.ready.remove(&conn);
        self.detach(&connection.gateway, conn);
        if connection.phase == Phase::Ending {
            // The end was observed when the connector caused it.
            return;
        }
        let by = if code.is_some() { ClosedBy::Gateway } else { ClosedBy::PeerLost };
        let reason = reason.to_owned();
        self.observations.push(
            reason.len(),
            Observation::Closed { gateway: connection.gateway, dial: connection.dial, code, reason, by },
        );
    }

    /// Handles the passing of time. Early, late and spurious calls are harmless.
    pub fn handle_tick(&mut self, now: Now) {
        while let Some((conn, line)) = self.delayed.take_due(now.mono) {
            self.send(conn, line);
        }
        while let Some((conn, id)) = self.ack_timers.take_due(now.mono) {
            self.report_late_ack(now, conn, &id);
        }
        while let Some(gateway) = self.wakes.take_due(now.mono) {
            self.wake(now, &gateway);
        }
        while self.overlaps.first().is_some_and(|(due, _)| *due <= now.mono) {
            let Some((_, id)) = self.overlaps.pop_first() else { break };
            let Some(gateway) = self.gateways.get_mut(&id) else { continue };
            gateway.account.prune(now);
            self.has_durable_change = true;
            self.overlaps.extend(gateway.account.next_expiry().map(|end| (end, id)));
        }
        self.media.prune(now.mono);
    }

    /// Closes every connection with 1001 `going away`.
    pub fn shut_down(&mut self) {
        let open: Vec<ConnId> = self.connections.keys().copied().collect();
        for conn in open {
            self.end(conn, Output::Close { code: 1001, reason: "going away".to_owned() });
        }
    }

    // ---- outputs ------------------------------------------------------------------------------------------

    /// Returns the next output of any connection. The text of a frame replaces the content of `out`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let conn = *self.ready.first()?;
        self.poll_transmit_on(conn, out)
    }

    /// Returns the next output of one connection, for drivers whose sockets are ready at different times.
    pub fn poll_transmit_on(&mut self, conn: ConnId, out: &mut Vec<u8>) -> Option<Transmit> {
        let connection = self.connections.get_mut(&conn)?;
        let output = connection.next_output()?;
        if !connection.has_output() {
            self.ready.remove(&conn);
        }
        Some(match output {
            Output::Frame(line) => {
                *out = line;
                Transmit::Frame { conn }
            }
            Output::Close { code, reason } => Transmit::Close { conn, code, reason },
            Output::Drop => {
                self.connections.remove(&conn);
                Transmit::Drop { conn }
            }
        })
    }

    /// Returns true if nothing more may be read on a connection: [`Act::HalfOpen`](crate::Act::HalfOpen) lost it. Its
    /// pings must not be answered.
    pub fn is_half_open(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_some_and(|connection| connection.is_half_open)
    }

    /// Returns true if a connection has output.
    pub fn is_ready(&self, conn: ConnId) -> bool {
        self.ready.contains(&conn)
    }

    /// Returns the next observation. Beyond [`Limits::observations`] the oldest ones are dropped.
    pub fn poll_observation(&mut self) -> Option<Observation> {
        self.observations.pop()
    }

    /// Returns the time at which [`handle_tick`](Self::handle_tick) is due, if there is one: of a delayed result, a late
    /// acknowledgement, the end of an overlap of secrets, or of a file.
    pub fn deadline(&self) -> Option<Time> {
        let overlap = self.overlaps.first().map(|(due, _)| *due);
        let timers = [self.delayed.deadline(), self.ack_timers.deadline(), self.wakes.deadline()];
        timers.into_iter().chain([overlap, self.media.deadline()]).flatten().min()
    }

    // ---- getters --------------------------------------------------------------------------------------------

    /// Returns the counters.
    pub fn stats(&self) -> Stats {
        Stats { lost_observations: self.observations.lost(), ..self.stats }
    }

    /// Returns the configured limits.
    pub fn limits(&self) -> Limits {
        self.config.limits
    }

    /// Returns the entries of a gateway's durable buffer, oldest first.
    pub fn buffered(&self, gateway: &str) -> impl Iterator<Item = &Entry> {
        self.gateways.get(gateway).into_iter().flat_map(|gateway| gateway.buffer.entries())
    }

    /// Returns the policy that a gateway has sent for a platform.
    pub fn policy(&self, gateway: &str, platform: &str) -> Option<&Map<String, Value>> {
        self.gateways.get(gateway)?.account.policies.get(platform)
    }

    /// Returns the profile with which a gateway has provisioned a platform.
    pub fn profile(&self, gateway: &str, platform: &str) -> Option<&Map<String, Value>> {
        self.gateways.get(gateway)?.account.profiles.get(platform)
    }

    /// Returns the number of connections, including those whose end is not written yet.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Returns true if a connection has ended, or the connector ends it.
    pub fn is_over(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_none_or(|connection| connection.phase == Phase::Ending)
    }
}

fn refuse(status: u16, error: &str) -> Upgrade {
    Upgrade::Refuse { status, body: format!("{{\"error\":\"{error}\"}}") }
}
