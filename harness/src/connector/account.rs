//! A gateway's account: its secrets, what its deliveries are signed with, and what it has said of itself.

use super::config::{DEFAULT_TENANT, GatewayAccount};
use super::issuer::{Credential, Issuer};
use relayline_core::secret::Secret;
use relayline_core::time::{Now, Time};
use relayline_core::token;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Secrets of one account at a time; with a further one the oldest goes, though its overlap lasts.
const MAX_SECRETS: usize = 16;

/// What is known of a gateway whatever becomes of its connections. It outlives a crash of the connector.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) tenant: String,
    /// Newest last; each with the end of its overlap, when a newer one has taken its place.
    secrets: Vec<(Secret, Option<Time>)>,
    delivery_key: Option<Secret>,
    /// Its credentials are new, and it does not have them yet: provisioning will give them.
    unclaimed: bool,
    /// What it said when it provisioned a platform (H-4), by platform.
    pub(crate) profiles: BTreeMap<String, Map<String, Value>>,
    /// The platform that it provisioned last.
    pub(crate) last_platform: Option<String>,
    /// By platform (H-5).
    pub(crate) policies: BTreeMap<String, Map<String, Value>>,
}

impl Account {
    fn new(tenant: &str) -> Self {
        Account {
            tenant: tenant.to_owned(),
            secrets: Vec::new(),
            delivery_key: None,
            unclaimed: false,
            profiles: BTreeMap::new(),
            last_platform: None,
            policies: BTreeMap::new(),
        }
    }

    /// The account of somebody who is let in without a secret.
    pub(crate) fn open() -> Self {
        Account::new(DEFAULT_TENANT)
    }

    pub(crate) fn configured(account: &GatewayAccount) -> Self {
        let secrets = account.secrets.iter().map(|secret| (secret.clone(), None)).collect();
        let delivery_key = account.delivery_key.clone();
        Account { secrets, delivery_key, ..Account::new(DEFAULT_TENANT) }
    }

    /// A new account, with credentials that nobody has yet.
    pub(crate) fn issued(tenant: &str, issuer: &mut Issuer) -> Self {
        let mut account = Account::new(tenant);
        account.replace(issuer);
        account
    }

    /// New credentials; the old ones are good no more.
    pub(crate) fn replace(&mut self, issuer: &mut Issuer) {
        self.secrets = vec![(issuer.issue(Credential::Secret), None)];
        self.delivery_key = Some(issuer.issue(Credential::DeliveryKey));
        self.unclaimed = true;
    }

    /// New credentials; the old secrets are good for `overlap` more.
    pub(crate) fn rotate(&mut self, now: Now, overlap: Duration, secret: Secret, key: Secret) {
        let until = now.mono + overlap;
        for (_, good_until) in &mut self.secrets {
            *good_until = Some(good_until.map_or(until, |already| already.min(until)));
        }
        self.secrets.push((secret, None));
        if self.secrets.len() > MAX_SECRETS {
            self.secrets.remove(0);
        }
        self.delivery_key = Some(key);
        self.unclaimed = true;
    }

    /// When the next of its older secrets ends.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.secrets.iter().filter_map(|(_, until)| *until).min()
    }

    /// Forgets the secrets whose overlap is over.
    pub(crate) fn prune(&mut self, now: Now) {
        self.secrets.retain(|(_, until)| until.is_none_or(|until| now.mono < until));
    }

    /// Whether `token` was made for `id` with a secret that is good now, and had not expired at `unix_s` (C-2).
    pub(crate) fn made(&self, id: &str, token: &str, now: Now, unix_s: u64) -> bool {
        let mut good = self.secrets.iter().filter(|(_, until)| until.is_none_or(|until| now.mono < until));
        good.any(|(secret, _)| {
            token::verify(token, std::slice::from_ref(secret), unix_s).is_some_and(|named| named == id)
        })
    }

    /// Whether credentials were issued that [`claim`](Self::claim) has not handed out yet.
    pub(crate) fn is_unclaimed(&self) -> bool {
        self.unclaimed
    }

    /// The newest secret and delivery key, for whoever may have them now.
    pub(crate) fn claim(&mut self) -> Option<(&Secret, &Secret)> {
        if !std::mem::take(&mut self.unclaimed) {
            return None;
        }
        Some((&self.secrets.last()?.0, self.delivery_key.as_ref()?))
    }

    /// What signs its deliveries.
    pub(crate) fn delivery_key(&self) -> Option<&Secret> {
        self.delivery_key.as_ref()
    }

    /// Where it takes deliveries of `platform`; what it said last of itself, when it said nothing of that one.
    pub(crate) fn endpoint(&self, platform: Option<&str>) -> Option<&str> {
        let of = |platform: &str| self.profiles.get(platform)?.get("gatewayEndpoint")?.as_str();
        let endpoint = platform.and_then(of).or_else(|| self.last_platform.as_deref().and_then(of));
        endpoint.filter(|endpoint| !endpoint.is_empty())
    }
}
