//! A gateway's account: its credentials, profiles and policies.

use crate::buffer::BufferId;
use crate::chats::unix_ms;
use crate::config::{DEFAULT_TENANT, GatewayAccount};
use crate::issuer::{Credential, Issuer};
use crate::state::{GatewayState, SecretState};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::token;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Maximum number of secrets of an account. A further one replaces the oldest, even within its overlap.
const MAX_SECRETS: usize = 16;

/// A valid secret.
#[derive(Clone, Debug)]
struct ValidSecret {
    secret: Secret,
    /// End of its overlap; set once a newer secret exists.
    until: Option<Time>,
    /// True if it was issued, false if it was configured.
    is_issued: bool,
}

impl ValidSecret {
    fn issued(secret: Secret) -> Self {
        ValidSecret { secret, until: None, is_issued: true }
    }
}

/// The account of a gateway. It outlives connections and a crash of the connector.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) tenant: String,
    /// Secrets, newest last.
    secrets: Vec<ValidSecret>,
    delivery_key: Option<Secret>,
    /// True if the delivery key was issued, false if it was configured.
    has_issued_key: bool,
    /// True if its credentials are new and not handed out yet.
    unclaimed: bool,
    /// Configured URL that wakes it up.
    configured_wake_url: Option<String>,
    /// Profiles of its provisioning (H-4), by platform.
    pub(crate) profiles: BTreeMap<String, Map<String, Value>>,
    /// Platform that it provisioned last.
    pub(crate) last_platform: Option<String>,
    /// Policies (H-5), by platform.
    pub(crate) policies: BTreeMap<String, Map<String, Value>>,
}

impl Account {
    fn new(tenant: &str) -> Self {
        Account {
            tenant: tenant.to_owned(),
            secrets: Vec::new(),
            delivery_key: None,
            has_issued_key: false,
            unclaimed: false,
            configured_wake_url: None,
            profiles: BTreeMap::new(),
            last_platform: None,
            policies: BTreeMap::new(),
        }
    }

    /// Returns the account of a gateway that is admitted without a secret.
    pub(crate) fn open() -> Self {
        Account::new(DEFAULT_TENANT)
    }

    pub(crate) fn configured(account: &GatewayAccount) -> Self {
        let configured =
            |secret: &Secret| ValidSecret { secret: secret.clone(), until: None, is_issued: false };
        let secrets = account.secrets.iter().map(configured).collect();
        let delivery_key = account.delivery_key.clone();
        let configured_wake_url = account.wake_url.clone();
        Account { secrets, delivery_key, configured_wake_url, ..Account::new(DEFAULT_TENANT) }
    }

    /// Returns a new account, with credentials that are not handed out yet.
    pub(crate) fn issued(tenant: &str, issuer: &mut Issuer) -> Self {
        let mut account = Account::new(tenant);
        account.replace(issuer);
        account
    }

    /// Replaces the credentials. The old ones become invalid.
    pub(crate) fn replace(&mut self, issuer: &mut Issuer) {
        self.secrets = vec![ValidSecret::issued(issuer.issue(Credential::Secret))];
        self.delivery_key = Some(issuer.issue(Credential::DeliveryKey));
        self.has_issued_key = true;
        self.unclaimed = true;
    }

    /// Replaces the credentials. The old secrets stay valid for `overlap`.
    pub(crate) fn rotate(&mut self, now: Now, overlap: Duration, secret: Secret, key: Secret) {
        let until = now.mono + overlap;
        for good in &mut self.secrets {
            good.until = Some(good.until.map_or(until, |already| already.min(until)));
        }
        self.secrets.push(ValidSecret::issued(secret));
        if self.secrets.len() > MAX_SECRETS {
            self.secrets.remove(0);
        }
        self.delivery_key = Some(key);
        self.has_issued_key = true;
        self.unclaimed = true;
    }

    /// Returns the durable part of the account. The fields of the gateway are left empty.
    pub(crate) fn durable(&self, now: Now) -> GatewayState {
        let secret = |good: &ValidSecret| SecretState {
            secret: good.secret.clone(),
            until_unix_ms: good.until.map(|until| {
                let left = u64::try_from(until.since(now.mono).as_millis()).unwrap_or(u64::MAX);
                unix_ms(now).saturating_add(left)
            }),
        };
        GatewayState {
            id: String::new(),
            tenant: self.tenant.clone(),
            secrets: self.secrets.iter().filter(|good| good.is_issued).map(secret).collect(),
            delivery_key: self.delivery_key.clone().filter(|_| self.has_issued_key),
            unclaimed: self.unclaimed,
            profiles: self.profiles.clone(),
            last_platform: self.last_platform.clone(),
            policies: self.policies.clone(),
            revoked: false,
            idle: false,
            newest_id: BufferId::default(),
            buffer: Vec::new(),
        }
    }

    /// Restores the durable part. Configured secrets stay valid.
    pub(crate) fn restore(&mut self, now: Now, kept: GatewayState) {
        self.tenant = kept.tenant;
        for SecretState { secret, until_unix_ms } in kept.secrets {
            let left = |until: u64| Duration::from_millis(until.saturating_sub(unix_ms(now)));
            let until = until_unix_ms.map(|until| now.mono + left(until));
            self.secrets.push(ValidSecret { until, ..ValidSecret::issued(secret) });
        }
        if kept.delivery_key.is_some() {
            self.delivery_key = kept.delivery_key;
            self.has_issued_key = true;
        }
        self.unclaimed = kept.unclaimed;
        self.profiles = kept.profiles;
        self.last_platform = kept.last_platform;
        self.policies = kept.policies;
    }

    /// Returns the time at which the next of its older secrets expires.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.secrets.iter().filter_map(|good| good.until).min()
    }

    /// Removes the secrets whose overlap is over.
    pub(crate) fn prune(&mut self, now: Now) {
        self.secrets.retain(|good| good.until.is_none_or(|until| now.mono < until));
    }

    /// Returns true if `token` was made for `id` with a secret that is valid now, and had not expired at `unix_s` (C-2).
    pub(crate) fn has_signed(&self, id: &str, token: &str, now: Now, unix_s: u64) -> bool {
        let mut good = self.secrets.iter().filter(|good| good.until.is_none_or(|until| now.mono < until));
        good.any(|good| {
            let named = token::verify(token, std::slice::from_ref(&good.secret), unix_s);
            named.is_some_and(|named| named == id)
        })
    }

    /// Returns true if [`claim`](Self::claim) would return credentials.
    pub(crate) fn is_unclaimed(&self) -> bool {
        self.unclaimed
    }

    /// Hands out new credentials once: the newest secret and the delivery key.
    pub(crate) fn claim(&mut self) -> Option<(&Secret, &Secret)> {
        if !std::mem::take(&mut self.unclaimed) {
            return None;
        }
        Some((&self.secrets.last()?.secret, self.delivery_key.as_ref()?))
    }

    /// Returns the key that signs webhook requests to it.
    pub(crate) fn delivery_key(&self) -> Option<&Secret> {
        self.delivery_key.as_ref()
    }

    /// Returns its endpoint for webhook requests of `platform`, else of the platform that it provisioned last.
    pub(crate) fn endpoint(&self, platform: Option<&str>) -> Option<&str> {
        let of = |platform: &str| self.profiles.get(platform)?.get("gatewayEndpoint")?.as_str();
        let endpoint = platform.and_then(of).or_else(|| self.last_platform.as_deref().and_then(of));
        endpoint.filter(|endpoint| !endpoint.is_empty())
    }

    /// Returns the URL that wakes it up: that of its last provisioning, else the configured one.
    pub(crate) fn wake_url(&self) -> Option<&str> {
        let profile = self.last_platform.as_deref().and_then(|platform| self.profiles.get(platform));
        let provisioned = profile.and_then(|profile| profile.get("wakeUrl")?.as_str());
        provisioned.filter(|url| !url.is_empty()).or(self.configured_wake_url.as_deref())
    }
}
