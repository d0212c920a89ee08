//! What a connector is set up with.

use crate::chats::Platform;
use crate::like::Like;
use relayline_control::http::media::MAX_MEDIA;
use relayline_core::secret::Secret;
use std::time::Duration;

/// The tenant of whoever was given none.
pub const DEFAULT_TENANT: &str = "default";

/// Maximum number of names in one table: of scripted results, delays or descriptors, or of a gateway's platforms.
pub(crate) const MAX_NAMES: usize = 256;

/// One gateway that may connect without having enrolled. Its tenant is [`DEFAULT_TENANT`].
#[derive(Clone, Debug)]
pub struct GatewayAccount {
    /// Its id, the one in its upgrade tokens (C-1).
    pub id: String,
    /// Its secrets: any of them will do, so that one can be rotated (C-2).
    pub secrets: Vec<Secret>,
    /// What its deliveries are signed with (C-3); without one none can be.
    pub delivery_key: Option<Secret>,
}

/// A token that one gateway may enrol with, once (H-1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnrollToken {
    /// The token.
    pub token: Secret,
    /// Whose it is: the identity's access token must name the same tenant.
    pub tenant: String,
    /// The last unix second at which it is good; without one it does not expire.
    pub expires_unix_s: Option<u64>,
}

/// An access token that this connector takes for a proof of identity (H-8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The token.
    pub access_token: Secret,
    /// The tenant that it names.
    pub tenant: String,
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

/// Refusal of an upgrade with a bad, expired or revoked token (L-7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UpgradeRefusal {
    /// It is accepted, and the connection closed with 4401 `unauthorized`, `expired` or `revoked`.
    #[default]
    Close,
    /// It is answered 401, with `unauthorized` or `expired` as the `error` of a JSON body.
    Http,
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
    pub observations: usize,
    /// Bytes of frames in them; default 16 MiB.
    pub observation_bytes: usize,
    /// Gateways that are known at a time; default 1024. A further one cannot enrol: 503.
    pub gateways: usize,
    /// Enrolment tokens that are known at a time, used ones included; default 1024.
    pub enroll_tokens: usize,
    /// The largest body of a JSON request, in bytes; default 64 KiB. Above it the answer is 413.
    pub json_bytes: usize,
    /// The largest file, in bytes; default 25 MiB (H-7). Above it the answer is 413.
    pub media_file_bytes: usize,
    /// Bytes of all files together; default 128 MiB, the oldest file leaves first.
    pub media_bytes: usize,
    /// Files at a time; default 1024, the oldest leaves first.
    pub media_files: usize,
    /// Signed deliveries that wait to be posted or for their answer; default 256.
    pub webhooks: usize,
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
            observations: 4096,
            observation_bytes: 16 << 20,
            gateways: 1024,
            enroll_tokens: 1024,
            json_bytes: 64 << 10,
            media_file_bytes: usize::try_from(MAX_MEDIA).unwrap_or(usize::MAX),
            media_bytes: 128 << 20,
            media_files: 1024,
            webhooks: 256,
        }
    }
}

/// A connector's settings. The default fronts the three fake platforms and lets everybody in.
#[derive(Clone, Debug)]
pub struct ConnectorConfig {
    /// Who may connect. With none, and none that could enrol or provision either, every dial is accepted,
    /// unauthenticated, as the one gateway `""`.
    pub gateways: Vec<GatewayAccount>,
    /// What gateways may enrol with.
    pub enroll_tokens: Vec<EnrollToken>,
    /// Who may enrol and provision gateways.
    pub identities: Vec<Identity>,
    /// How long an uploaded file is kept; default 1 h.
    pub media_ttl: Duration,
    /// The platforms it fronts. A `hello` for another gets [`Platform::generic`].
    pub platforms: Vec<Platform>,
    /// What happens to a second connection of one gateway.
    pub duplicates: Duplicates,
    /// Refusal of upgrades.
    pub upgrade_refusal: UpgradeRefusal,
    /// Time without an ack after which an entry is reported as [`Observation::Unacked`](crate::Observation::Unacked). Default 10 s;
    /// `None` reports nothing.
    pub unacked_after: Option<Duration>,
    /// Independent connector to play. Default `None`: the behaviour of `PROTOCOL.md`.
    pub like: Option<Like>,
    /// What keeps its memory bounded.
    pub limits: Limits,
}

impl Default for ConnectorConfig {
    fn default() -> Self {
        ConnectorConfig {
            gateways: Vec::new(),
            enroll_tokens: Vec::new(),
            identities: Vec::new(),
            media_ttl: Duration::from_secs(3600),
            platforms: Platform::fakes(),
            duplicates: Duplicates::default(),
            upgrade_refusal: UpgradeRefusal::default(),
            unacked_after: Some(Duration::from_secs(10)),
            like: None,
            limits: Limits::default(),
        }
    }
}

impl ConnectorConfig {
    /// Lets the gateway `id` in with `secret`; said twice for one id, either secret will do.
    #[must_use]
    pub fn gateway(mut self, id: &str, secret: impl Into<Secret>) -> Self {
        self.account(id).secrets.push(secret.into());
        self
    }

    /// Signs the deliveries of the gateway `id` with `key`; said twice for one id, the last counts.
    #[must_use]
    pub fn delivery_key(mut self, id: &str, key: impl Into<Secret>) -> Self {
        self.account(id).delivery_key = Some(key.into());
        self
    }

    /// Lets a gateway of `tenant` enrol with `token`, once.
    #[must_use]
    pub fn enroll_token(mut self, token: impl Into<Secret>, tenant: &str) -> Self {
        let (token, tenant) = (token.into(), tenant.to_owned());
        self.enroll_tokens.push(EnrollToken { token, tenant, expires_unix_s: None });
        self
    }

    /// Takes `access_token` for a proof that somebody of `tenant` asks.
    #[must_use]
    pub fn identity(mut self, access_token: impl Into<Secret>, tenant: &str) -> Self {
        let (access_token, tenant) = (access_token.into(), tenant.to_owned());
        self.identities.push(Identity { access_token, tenant });
        self
    }

    /// Whether everybody is let in: nobody is known, and nobody could become so.
    pub(crate) fn is_open(&self) -> bool {
        self.gateways.is_empty() && self.enroll_tokens.is_empty() && self.identities.is_empty()
    }

    /// Returns a platform as configured, else a generic one.
    pub(crate) fn platform(&self, name: &str) -> Platform {
        let configured = self.platforms.iter().find(|platform| platform.name == name);
        configured.cloned().unwrap_or_else(|| Platform::generic(name))
    }

    fn account(&mut self, id: &str) -> &mut GatewayAccount {
        let at = self.gateways.iter().position(|account| account.id == id).unwrap_or_else(|| {
            let (id, secrets) = (id.to_owned(), Vec::new());
            self.gateways.push(GatewayAccount { id, secrets, delivery_key: None });
            self.gateways.len() - 1
        });
        &mut self.gateways[at]
    }
}
