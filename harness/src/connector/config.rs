//! What a connector is set up with.

use super::server::ServerTls;
use crate::chats::Platform;
use relayline_core::secret::Secret;

/// One gateway that may connect.
#[derive(Clone, Debug)]
pub struct GatewayAccount {
    /// Its id, the one in its upgrade tokens (C-1).
    pub id: String,
    /// Its secrets: any of them will do, so that one can be rotated (C-2).
    pub secrets: Vec<Secret>,
}

/// What happens to a second connection of one gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Duplicates {
    /// The newest wins; the older one is closed with 1008 `duplicate session`.
    #[default]
    Replace,
    /// The one that is connected stays; the new one is closed with 1008 `duplicate session`.
    Refuse,
}

/// What keeps the connector's memory bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest line that a gateway may send, in bytes; default 1 MiB. A longer one is discarded (W-5).
    pub max_line_bytes: usize,
    /// Entries in one gateway's durable buffer; default 1024.
    pub buffer_entries: usize,
    /// Bytes in one gateway's durable buffer; default 8 MiB.
    pub buffer_bytes: usize,
    /// Bytes that wait to be written on one connection; default 4 MiB. A gateway that reads so little is cut off.
    pub write_bytes: usize,
    /// Connections at a time, all gateways together; default 256. A further upgrade is answered 503.
    pub connections: usize,
    /// Results held back by `delay`; default 4096. A further one is not held back.
    pub delayed_results: usize,
    /// Sent messages that can still be edited; default 4096, the oldest leaves first.
    pub sent_messages: usize,
    /// Observations that nobody has fetched yet; default 4096, the oldest leaves first.
    pub saws: usize,
    /// Bytes of frames in them; default 16 MiB.
    pub saw_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_line_bytes: 1 << 20,
            buffer_entries: 1024,
            buffer_bytes: 8 << 20,
            write_bytes: 4 << 20,
            connections: 256,
            delayed_results: 4096,
            sent_messages: 4096,
            saws: 4096,
            saw_bytes: 16 << 20,
        }
    }
}

/// A connector's settings. The default fronts the three fake platforms and lets everybody in.
#[derive(Clone, Debug)]
pub struct ConnectorConfig {
    /// Who may connect. With none, every dial is accepted, unauthenticated, as the one gateway `""`.
    pub gateways: Vec<GatewayAccount>,
    /// The platforms it fronts. A `hello` for another gets [`Platform::generic`].
    pub platforms: Vec<Platform>,
    /// What happens to a second connection of one gateway.
    pub duplicates: Duplicates,
    /// What keeps its memory bounded.
    pub limits: Limits,
    /// What it proves itself with over TLS; without, it takes plain connections, as by default.
    pub tls: Option<ServerTls>,
}

impl Default for ConnectorConfig {
    fn default() -> Self {
        ConnectorConfig {
            gateways: Vec::new(),
            platforms: Platform::fakes(),
            duplicates: Duplicates::default(),
            limits: Limits::default(),
            tls: None,
        }
    }
}

impl ConnectorConfig {
    /// Lets the gateway `id` in with `secret`; said twice for one id, either secret will do.
    #[must_use]
    pub fn gateway(mut self, id: &str, secret: impl Into<Secret>) -> Self {
        let secret = secret.into();
        match self.gateways.iter_mut().find(|account| account.id == id) {
            Some(account) => account.secrets.push(secret),
            None => self.gateways.push(GatewayAccount { id: id.to_owned(), secrets: vec![secret] }),
        }
        self
    }
}
