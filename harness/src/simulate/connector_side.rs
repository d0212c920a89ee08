//! The connector's side: driver of its machine, and its end of the network.

use super::active_faults::Recovery;
use super::chat_view::ChatView;
use super::json_variants;
use super::model::streams::NAME;
use super::network::{Packet, Stage, UpgradeResponse};
use super::random::Random;
use super::world::World;
use crate::recording::{LineContent, Rejection};
use relayline_connector::{Act, ConnectorMachine, Observation, Transmit, Upgrade};
use relayline_core::command::Command;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The connector's side: its machine and what the chats show.
#[derive(Debug)]
pub(crate) struct ConnectorSide {
    pub(crate) machine: ConnectorMachine,
    /// Source of results and close reasons that cannot be predicted.
    pub(crate) random: Random,
    pub(crate) chat_view: ChatView,
    /// Names of streams by the id of their draft.
    pub(crate) drafts: BTreeMap<i64, String>,
    /// Serial numbers of events that the connector took into its buffer.
    pub(crate) buffered: BTreeSet<u64>,
}

impl ConnectorSide {
    pub(crate) fn new(machine: ConnectorMachine, random: Random) -> Self {
        ConnectorSide {
            machine,
            random,
            chat_view: ChatView::default(),
            drafts: BTreeMap::new(),
            buffered: BTreeSet::new(),
        }
    }
}

impl World<'_> {
    /// Transfers outputs of both sides until there are no more.
    pub(crate) fn pump(&mut self) {
        self.drain();
        self.read_observations();
        self.connector_writes();
    }

    fn is_down(&self) -> bool {
        self.now < self.faults.crashed_until
    }

    /// Handles the arrival of a dial at the connector, or at a proxy before it.
    pub(crate) fn dial_arrives(&mut self, place: usize) {
        let Stage::Asking { token, .. } = &self.network.links[place].stage else { return };
        let authorization = token.as_ref().map(|token| format!("Bearer {token}"));
        let answer = if self.is_down() || self.now < self.faults.refuse_dials_until {
            UpgradeResponse::Unanswered("connection refused")
        } else if self.now < self.faults.bad_gateway_until {
            let unix_s = self.gateway_now().unix_s;
            UpgradeResponse::Refused(proxy_response(&mut self.random, unix_s))
        } else {
            let (now, theirs) = (self.connector_now(), self.network.links[place].theirs);
            match self.connector.machine.handle_upgrade(now, theirs, "/relay", authorization.as_deref()) {
                Upgrade::Accept { .. } => {
                    self.network.links[place].connector = true;
                    self.network.links[place].heard = self.now;
                    self.network.links[place].pinged = self.now;
                    UpgradeResponse::Accepted
                }
                Upgrade::Refuse { status: 401, body } if self.setup.refuses_after_upgrade => {
                    let body: Value = serde_json::from_str(&body).unwrap_or_default();
                    self.network.links[place].refused = body["error"].as_str().map(str::to_owned);
                    UpgradeResponse::Accepted
                }
                Upgrade::Refuse { status, body } => {
                    UpgradeResponse::Refused(Rejection::new(status, Some(body)))
                }
            }
        };
        // A dial that the gateway has given up is not part of its session.
        if self.network.links[place].gateway {
            let dial = Some(self.network.links[place].theirs.0);
            self.log.record(self.now, || LineContent::Connect {
                url_path: "/relay".to_owned(),
                dial,
                authorization: None,
                headers: serde_json::Map::new(),
                clock_unix_s: None,
            });
            match &answer {
                UpgradeResponse::Accepted => {}
                UpgradeResponse::Unanswered(_) => self
                    .log
                    .record(self.now, || LineContent::Reject { dial, answer: Rejection::new(503, None) }),
                UpgradeResponse::Refused(answer) => {
                    self.log.record(self.now, || LineContent::Reject { dial, answer: answer.clone() });
                }
            }
        }
        self.log.trace_line(self.now, format_args!("dial arrives: {answer:?}"));
        let latency = Duration::from_micros(100 + self.random.below(self.setup.link_config.latency_us));
        self.network.links[place].stage = Stage::Answered { at: self.now + latency, answer };
    }

    /// Handles the next packet for the connector.
    pub(crate) fn connector_reads(&mut self, place: usize) {
        let Some(packet) = self.network.links[place].to_connector.pop() else { return };
        let (now, theirs) = (self.connector_now(), self.network.links[place].theirs);
        if !self.network.links[place].connector {
            return;
        }
        self.network.links[place].heard = self.now;
        match packet {
            Packet::Bytes(bytes) => {
                self.log.trace_line(self.now, format_args!("connector reads {}", bytes.len()));
                self.connector.machine.handle_bytes(now, theirs, &bytes);
            }
            Packet::Ping => self.send_to_gateway(place, Packet::Pong),
            Packet::Pong => {}
            Packet::Close { code, reason } => {
                self.network.links[place].connector = false;
                self.connector.machine.handle_closed(now, theirs, Some(code), &reason);
                if self.now < self.faults.refuse_closes_until {
                    // The connector's own close frame was sent before it received the gateway's.
                    let reason = if self.connector.random.chance(50) { "expired" } else { "unauthorized" };
                    self.send_to_gateway(place, Packet::Close { code: 4401, reason: reason.to_owned() });
                } else if self.now >= self.faults.no_close_echo_until {
                    self.send_to_gateway(place, Packet::Close { code, reason: String::new() });
                }
            }
            Packet::Reset => {
                self.network.links[place].connector = false;
                self.connector.machine.handle_closed(now, theirs, None, "connection reset");
            }
        }
    }

    /// Ends a connection on which the connector has received nothing for too long.
    pub(crate) fn connector_gives_up(&mut self, place: usize) {
        self.log.trace_line(
            self.now,
            format_args!("the connector gives {:?} up", self.network.links[place].theirs),
        );
        self.network.links[place].connector = false;
        let (now, theirs) = (self.connector_now(), self.network.links[place].theirs);
        self.connector.machine.handle_closed(now, theirs, None, "silent");
        self.send_to_gateway(place, Packet::Reset);
    }

    pub(crate) fn send_to_gateway(&mut self, place: usize, packet: Packet) {
        let link = &mut self.network.links[place];
        link.to_gateway.put(self.now, packet, &mut link.random, self.setup.link_config);
    }

    fn connector_writes(&mut self) {
        let mut line = Vec::new();
        for place in 0..self.network.links.len() {
            while self.network.links[place].connector && self.network.links[place].to_gateway.has_room() {
                let theirs = self.network.links[place].theirs;
                let Some(transmit) = self.connector.machine.poll_transmit_on(theirs, &mut line) else {
                    break;
                };
                match transmit {
                    Transmit::Frame { .. } => {
                        let Some(mut line) = self.draw_result(line.clone()) else { continue };
                        self.note_result(&line);
                        json_variants::vary(&mut line);
                        self.send_to_gateway(place, Packet::Bytes(line));
                    }
                    Transmit::Close { code, reason, .. } => {
                        self.send_to_gateway(place, Packet::Close { code, reason });
                    }
                    Transmit::Drop { .. } => {
                        self.network.links[place].connector = false;
                        self.send_to_gateway(place, Packet::Reset);
                    }
                }
            }
        }
    }

    /// Applies a result to the chat view.
    fn note_result(&mut self, line: &[u8]) {
        if line.starts_with(b"{\"type\":\"outbound_result\"")
            && let Ok(frame) = serde_json::from_slice::<Value>(line)
        {
            let request = frame["requestId"].as_str().unwrap_or_default();
            self.connector.chat_view.answered(request, &frame["result"]);
        }
    }

    /// Handles the connector's observations.
    fn read_observations(&mut self) {
        while let Some(saw) = self.connector.machine.poll_observation() {
            let Observation::Frame { frame, .. } = saw else { continue };
            if frame["type"] != "outbound" {
                continue;
            }
            let id = frame["requestId"].as_str().unwrap_or_default();
            let first = self.setup.config.identities.first().map_or("", |first| &first.platform);
            let platform = frame["platform"].as_str().unwrap_or(first);
            self.connector.chat_view.asked(id, platform, &frame["action"]);
            self.check_new_draft(&frame["action"]);
            if let Some(process) = &self.gateway.process
                && let Some(half) = id.strip_prefix(process.model.prefix.as_str())
            {
                let number = u64::from_str_radix(half, 16).unwrap_or(0);
                let definite = process.model.requests.never_written.contains(&number);
                self.oracle.check("O-3", "definite-was-never-seen", !definite, || {
                    format!("the connector has seen request {number}")
                });
            }
            if frame["action"]["op"] == "prompt" {
                let prompt = frame["action"]["prompt_id"].as_str().unwrap_or_default().to_owned();
                self.host.seen_prompts.push(prompt);
            }
        }
    }

    /// Checks that each draft id belongs to one stream, over all processes (O-12).
    fn check_new_draft(&mut self, action: &Value) {
        let (Some(name), Some(id)) = (action["metadata"][NAME].as_str(), action["draft_id"].as_i64()) else {
            return;
        };
        let of = self.connector.drafts.entry(id).or_insert_with(|| name.to_owned());
        self.oracle.check("O-12", "drafts-have-ids-of-their-own", of == name, || {
            format!("{id} is a draft of {of} and of {name}")
        });
    }

    /// Restarts the connector with its durable state.
    pub(crate) fn crash(&mut self, down: Duration) {
        let config = self.setup.connector.clone();
        let machine = std::mem::replace(&mut self.connector.machine, ConnectorMachine::new(config, [0; 32]));
        self.connector.machine = machine.restart();
        self.faults.crashed_until = self.now + down;
        for place in 0..self.network.links.len() {
            if std::mem::take(&mut self.network.links[place].connector) {
                self.send_to_gateway(place, Packet::Reset);
            }
        }
        self.recover_at(self.now + down, Recovery::WakeUp);
    }

    /// Cuts the connection in both directions. Packets in flight are lost.
    pub(crate) fn cut(&mut self) {
        for place in 0..self.network.links.len() {
            let link = &mut self.network.links[place];
            if link.gateway && link.stage == Stage::Open {
                link.to_gateway.clear();
                link.to_connector.clear();
                link.to_gateway.dead = false;
                link.to_connector.dead = false;
                link.to_connector.put(self.now, Packet::Reset, &mut link.random, self.setup.link_config);
                self.send_to_gateway(place, Packet::Reset);
            }
        }
    }

    /// Ends a fault.
    pub(crate) fn recover(&mut self, recovery: Recovery) {
        let act = match recovery {
            Recovery::Unmute => Act::Mute { on: false },
            Recovery::ConfirmIdle => Act::IdleAck { on: true },
            Recovery::Readmit => return self.readmit(),
            Recovery::RestoreDescriptors => return self.describe(),
            Recovery::Disconnect => {
                self.submit(Command::Disconnect);
                return;
            }
            Recovery::WakeUp => return,
        };
        self.instruct(act);
    }

    pub(crate) fn readmit(&mut self) {
        self.instruct(Act::Revoke { on: false });
    }

    pub(crate) fn describe(&mut self) {
        for identity in self.setup.config.clone().identities.iter() {
            let descriptor = self.setup.initial_descriptor(&identity.platform);
            self.instruct(Act::Descriptor { descriptor, platform: Some(identity.platform.clone()) });
        }
    }

    /// Gives the connector an instruction. One that it cannot carry out now has no effect.
    pub(crate) fn instruct(&mut self, act: Act) {
        let now = self.connector_now();
        let _ = self.connector.machine.control(now, act);
    }
}

/// Returns the response of a proxy, a load balancer or a login page before the connector (L-9, L-18).
fn proxy_response(random: &mut Random, unix_s: u64) -> Rejection {
    let answer = |status, body: &str| Rejection::new(status, Some(body.to_owned()));
    let verdict = || answer(401, r#"{"error":"unauthorized"}"#);
    match random.below(14) {
        0..5 => Rejection::new(*random.pick(&[502, 503, 429, 404, 400]), None),
        5 => Rejection::new(401, None),
        6 => answer(401, "<html>Who are you?</html>"),
        7 => Rejection { has_challenge: true, ..verdict() },
        8 => Rejection { is_cut: true, ..verdict() },
        9 => answer(403, r#"{"error":"forbidden"}"#),
        10 => answer(409, r#"{"error":"busy"}"#),
        11 => Rejection {
            retry_after: Some(random.pick(&["0", "20", "400", "soon"]).to_string()),
            ..answer(429, r#"{"detail":"slow down"}"#)
        },
        12 => {
            let due = unix_s.saturating_add(random.below(120));
            let date = std::time::UNIX_EPOCH + Duration::from_secs(due);
            Rejection { retry_after: Some(httpdate::fmt_http_date(date)), ..Rejection::new(503, None) }
        }
        _ => Rejection {
            location: Some("https://login.example/?next=relay".to_owned()),
            ..Rejection::new(302, None)
        },
    }
}
