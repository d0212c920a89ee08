//! A connector's machine in virtual time, and the outputs that a gateway would receive.

use relayline_connector::chats::{Ids, discord};
use relayline_connector::{
    Act, ConnId, ConnectorConfig, ConnectorMachine, Transmit, Upgrade, UpgradeRefusal,
};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::token;
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(crate) const A: ConnId = ConnId(1);
pub(crate) const B: ConnId = ConnId(2);

/// A connector, its clock, and the outputs that a gateway would receive.
pub(crate) struct Bench {
    pub(crate) machine: ConnectorMachine,
    pub(crate) now: Now,
    pub(crate) ids: Ids,
}

impl Bench {
    pub(crate) fn new(config: ConnectorConfig) -> Self {
        let now = Now { mono: Time::ZERO, unix_s: 1_718_900_000 };
        Bench { machine: ConnectorMachine::new(config, [0; 32]), now, ids: Ids::new([0; 32]) }
    }

    /// Creates a connector that admits every gateway. `A` has completed its handshake on Discord.
    pub(crate) fn live() -> Self {
        let mut bench = Bench::new(ConnectorConfig::default());
        bench.connect(A);
        bench
    }

    pub(crate) fn with_gateway() -> Self {
        Bench::refusing_by(UpgradeRefusal::default())
    }

    pub(crate) fn refusing_by(upgrade_refusal: UpgradeRefusal) -> Self {
        let config = ConnectorConfig::default().upgrade_refusal(upgrade_refusal);
        Bench::new(config.gateway("gw", "s3cret"))
    }

    /// Dials with a valid token. Returns the answer and the frames that are written at once.
    pub(crate) fn dials(&mut self, conn: ConnId) -> (Upgrade, Vec<(ConnId, Value)>) {
        (self.dial(conn), self.written())
    }

    pub(crate) fn dial(&mut self, conn: ConnId) -> Upgrade {
        let bearer = token::mint("gw", &Secret::from("s3cret"), self.now.unix_s, 300);
        let header = format!("Bearer {}", bearer.expose());
        self.machine.handle_upgrade(self.now, conn, "/relay", Some(&header))
    }

    pub(crate) fn connect(&mut self, conn: ConnId) {
        assert!(matches!(self.dial(conn), Upgrade::Accept { .. }));
        self.says(conn, json!({"type": "hello", "platform": "discord", "botId": ""}));
        let seen = self.written();
        assert_eq!(seen[0].1["type"], "descriptor", "{seen:?}");
        // The test itself looks at the frames from the buffer.
        self.machine.handle_tick(self.now);
    }

    pub(crate) fn says(&mut self, conn: ConnId, frame: Value) {
        self.machine.handle_bytes(self.now, conn, format!("{frame}\n").as_bytes());
    }

    pub(crate) fn request(&mut self, conn: ConnId, id: &str, action: Value) {
        self.says(conn, json!({"type": "outbound", "requestId": id, "action": action}));
    }

    pub(crate) fn ack(&mut self, conn: ConnId, buffer_id: &Value) {
        self.says(conn, json!({"type": "inbound_ack", "bufferId": buffer_id}));
    }

    pub(crate) fn does(&mut self, act: Act) {
        self.machine.control(self.now, act).unwrap();
    }

    pub(crate) fn passes(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        self.now.unix_s += ms / 1000;
        self.machine.handle_tick(self.now);
    }

    pub(crate) fn event(&mut self, text: &str) -> Map<String, Value> {
        discord::guild_channel().message(&mut self.ids, self.now, text)
    }

    pub(crate) fn inject(&mut self, text: &str) {
        let event = self.event(text);
        self.does(Act::Inbound { event, buffered: None });
    }

    /// Returns the output to write, with frames as JSON.
    pub(crate) fn written(&mut self) -> Vec<(ConnId, Value)> {
        let mut out = Vec::new();
        let mut written = Vec::new();
        while let Some(transmit) = self.machine.poll_transmit(&mut out) {
            written.push(match transmit {
                Transmit::Frame { conn } => (conn, serde_json::from_slice(&out).unwrap()),
                Transmit::Close { conn, code, reason } => (conn, json!({"close": code, "reason": reason})),
                Transmit::Drop { conn } => (conn, json!("drop")),
            });
        }
        written
    }

    /// Returns the delivered texts, with their buffer ids.
    pub(crate) fn delivered(&mut self) -> Vec<(Value, Value)> {
        let text = |frame: &Value| (frame["event"]["text"].clone(), frame["bufferId"].clone());
        self.written().iter().map(|(_, frame)| text(frame)).collect()
    }

    pub(crate) fn saws(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.machine.poll_observation())
            .map(|saw| serde_json::to_value(saw).unwrap())
            .collect()
    }
}

pub(crate) fn close(code: u16, reason: &str) -> Value {
    json!({"close": code, "reason": reason})
}
