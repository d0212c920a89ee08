//! Settings of a connector.

use crate::chats::Platform;
use crate::like::Like;
use relayline_control::http::media::MAX_MEDIA;
use relayline_core::secret::Secret;
use std::time::Duration;

/// Tenant of a gateway or token that is given none.
pub const DEFAULT_TENANT: &str = "default";

/// Maximum number of names in one table: of scripted results, delays or descriptors, or of a gateway's platforms.
pub(crate) const MAX_NAMES: usize = 256;

/// A gateway that may connect without enrollment. Its tenant is [`DEFAULT_TENANT`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayAccount {
    /// Id of the gateway, which its upgrade tokens name.
    pub id: String,
    /// Secrets of the gateway. Each is valid, so that one can be rotated.
    pub secrets: Vec<Secret>,
    /// Key that signs its webhook requests. Without one none can be sent.
    pub delivery_key: Option<Secret>,
    /// URL that wakes it up. That of its provisioning takes precedence.
    pub wake_url: Option<String>,
}

/// A token that one gateway may enroll with, once.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EnrollToken {
    /// The token.
    pub token: Secret,
    /// Tenant of the token. The identity's access token must name the same tenant.
    pub tenant: String,
    /// Last Unix second at which it is valid. Without one it does not expire.
    pub expires_unix_s: Option<u64>,
}

/// An access token that proves an identity.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The token.
    pub access_token: Secret,
    /// Tenant that the token proves.
    pub tenant: String,
}

/// Handling of a second connection of a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Duplicates {
    /// The newer one stays; the older one is closed with 1008 `duplicate session`.
    #[default]
    Replace,
    /// The older one stays; the newer one is closed with 1008 `duplicate session`.
    Refuse,
}

/// Refusal of an upgrade with an invalid, expired or revoked token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UpgradeRefusal {
    /// Accepts the upgrade, then closes the connection with 4401 `unauthorized`, `expired` or `revoked`.
    #[default]
    Close,
    /// Answers 401, with `unauthorized` or `expired` as the `error` of a JSON body.
    Http,
}

/// Bounds on the connector's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum length of a gateway's line, in bytes. A longer one is discarded. Default 1 MiB.
    pub max_line_bytes: usize,
    /// Maximum number of entries in a gateway's durable buffer. Default 1024.
    pub buffer_entries: usize,
    /// Maximum number of bytes in a gateway's durable buffer. Default 8 MiB.
    pub buffer_bytes: usize,
    /// Maximum number of bytes that wait to be written on a connection; a gateway that does not read them is cut off.
    /// Default 4 MiB.
    pub write_bytes: usize,
    /// Maximum number of connections of all gateways. A further upgrade is answered 503. Default 256.
    pub connections: usize,
    /// Maximum number of results that `delay` holds back; further ones are sent at once. Default 4096.
    pub delayed_results: usize,
    /// Maximum number of sent messages that can be edited; the oldest is forgotten first. Default 4096.
    pub sent_messages: usize,
    /// Maximum number of observations that wait to be polled; the oldest is dropped first. Default 4096.
    pub observations: usize,
    /// Maximum number of bytes of frames and requests in them. Default 16 MiB.
    pub observation_bytes: usize,
    /// Maximum number of gateways that are known. The enrollment of a further one is answered 503. Default 1024.
    pub gateways: usize,
    /// Maximum number of enrollment tokens, including used ones. Default 1024.
    pub enroll_tokens: usize,
    /// Maximum size of the body of a JSON request, in bytes. A larger one is answered 413. Default 64 KiB.
    pub json_bytes: usize,
    /// Maximum size of a file, in bytes. A larger one is answered 413. Default 25 MiB.
    pub media_file_bytes: usize,
    /// Maximum number of bytes of all files; the oldest file is removed first. Default 128 MiB.
    pub media_bytes: usize,
    /// Maximum number of files; the oldest is removed first. Default 1024.
    pub media_files: usize,
    /// Maximum number of webhook requests that wait to be posted or for their answer. Default 256.
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

/// Settings of a connector. The default fronts the three fake platforms and admits every gateway.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectorConfig {
    /// Gateways that may connect. If there are none, and no enrollment tokens and identities either, every dial is
    /// accepted without authentication, as the one gateway `""`.
    pub gateways: Vec<GatewayAccount>,
    /// Tokens that gateways may enroll with.
    pub enroll_tokens: Vec<EnrollToken>,
    /// Identities that may enroll and provision gateways.
    pub identities: Vec<Identity>,
    /// Time for which an uploaded file is kept. Default 1 h.
    pub media_ttl: Duration,
    /// Platforms that it fronts. A `hello` for another gets [`Platform::generic`].
    pub platforms: Vec<Platform>,
    /// Handling of a second connection of a gateway.
    pub duplicates: Duplicates,
    /// Refusal of upgrades.
    pub upgrade_refusal: UpgradeRefusal,
    /// Time without an acknowledgement after which an entry is observed as
    /// [`Observation::Unacked`](crate::Observation::Unacked). Default 10 s; `None` observes none.
    pub unacked_after: Option<Duration>,
    /// Observes results and frames that are sent, too. Default false.
    pub observes_output: bool,
    /// Independent connector to play. Default `None`: the behavior of `PROTOCOL.md`.
    pub like: Option<Like>,
    /// Bounds on its memory.
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
            observes_output: false,
            like: None,
            limits: Limits::default(),
        }
    }
}

impl ConnectorConfig {
    /// Admits the gateway `id` with `secret`. Each call for an id adds a secret.
    #[must_use]
    pub fn gateway(mut self, id: &str, secret: impl Into<Secret>) -> Self {
        self.account(id).secrets.push(secret.into());
        self
    }

    /// Signs the webhook requests to the gateway `id` with `key`. The last call for an id counts.
    #[must_use]
    pub fn delivery_key(mut self, id: &str, key: impl Into<Secret>) -> Self {
        self.account(id).delivery_key = Some(key.into());
        self
    }

    /// Wakes the gateway `id` up with a GET of `url`, if something waits for it while it is not connected. The last call for
    /// an id counts.
    #[must_use]
    pub fn wake_url(mut self, id: &str, url: impl Into<String>) -> Self {
        self.account(id).wake_url = Some(url.into());
        self
    }

    /// Lets a gateway of `tenant` enroll with `token`, once.
    #[must_use]
    pub fn enroll_token(mut self, token: impl Into<Secret>, tenant: &str) -> Self {
        let (token, tenant) = (token.into(), tenant.to_owned());
        self.enroll_tokens.push(EnrollToken { token, tenant, expires_unix_s: None });
        self
    }

    /// Accepts `access_token` as the proof of an identity of `tenant`.
    #[must_use]
    pub fn identity(mut self, access_token: impl Into<Secret>, tenant: &str) -> Self {
        let (access_token, tenant) = (access_token.into(), tenant.to_owned());
        self.identities.push(Identity { access_token, tenant });
        self
    }

    /// Sets how a second connection of a gateway is handled.
    #[must_use]
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// Sets how upgrades are refused.
    #[must_use]
    pub fn upgrade_refusal(mut self, upgrade_refusal: UpgradeRefusal) -> Self {
        self.upgrade_refusal = upgrade_refusal;
        self
    }

    /// Sets the time after which an entry without an acknowledgement is observed; `None` observes none.
    #[must_use]
    pub fn unacked_after(mut self, unacked_after: Option<Duration>) -> Self {
        self.unacked_after = unacked_after;
        self
    }

    /// Observes results and frames that are sent, too.
    #[must_use]
    pub fn observes_output(mut self, observes_output: bool) -> Self {
        self.observes_output = observes_output;
        self
    }

    /// Plays an independent connector.
    #[must_use]
    pub fn like(mut self, like: Like) -> Self {
        self.like = Some(like);
        self
    }

    /// Sets the bounds on its memory.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns true if every gateway is admitted: none is known, and none could become so.
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
            self.gateways.push(GatewayAccount { id, secrets, delivery_key: None, wake_url: None });
            self.gateways.len() - 1
        });
        &mut self.gateways[at]
    }
}
