//! Admission to enrollment: access tokens of identities, and single-use tokens (H-1).

use crate::config::{ConnectorConfig, EnrollToken, Identity};
use crate::state::TokenState;
use relayline_core::secret::Secret;
use subtle::ConstantTimeEq;

/// The access tokens and enrollment tokens of a connector. Used ones stay used over a crash.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    identities: Vec<Identity>,
    tokens: Vec<KnownToken>,
}

#[derive(Clone, Debug)]
struct KnownToken {
    token: EnrollToken,
    is_used: bool,
    /// True if it is part of the configuration, and so not of the durable state.
    is_configured: bool,
}

impl Admission {
    pub(crate) fn new(config: &ConnectorConfig) -> Self {
        let known =
            |token: &EnrollToken| KnownToken { token: token.clone(), is_used: false, is_configured: true };
        let tokens = config.enroll_tokens.iter().map(known).collect();
        Admission { identities: config.identities.clone(), tokens }
    }

    /// Returns the tenant that an access token proves.
    pub(crate) fn tenant(&self, access_token: &str) -> Option<&str> {
        let known = |identity: &&Identity| same(&identity.access_token, access_token);
        self.identities.iter().find(known).map(|identity| identity.tenant.as_str())
    }

    /// Adds a token; a known one becomes valid again. Returns false if there are too many.
    pub(crate) fn add(&mut self, token: EnrollToken, most: usize) -> bool {
        self.tokens.retain(|known| known.token.token != token.token);
        if self.tokens.len() >= most {
            // A used token is kept only for its error.
            let Some(used) = self.tokens.iter().position(|known| known.is_used) else { return false };
            self.tokens.remove(used);
        }
        self.tokens.push(KnownToken { token, is_used: false, is_configured: false });
        true
    }

    /// Returns the used tokens, and those that were added at run time.
    pub(crate) fn durable(&self) -> Vec<TokenState> {
        let kept = self.tokens.iter().filter(|known| known.is_used || !known.is_configured);
        let state = |KnownToken { token, is_used, .. }: &KnownToken| TokenState {
            token: token.token.clone(),
            tenant: token.tenant.clone(),
            expires_unix_s: token.expires_unix_s,
            used: *is_used,
        };
        kept.map(state).collect()
    }

    /// Restores one token.
    pub(crate) fn restore(&mut self, kept: TokenState) {
        let TokenState { token, tenant, expires_unix_s, used } = kept;
        match self.tokens.iter_mut().find(|known| known.token.token == token) {
            Some(known) => known.is_used |= used,
            None => {
                let token = EnrollToken { token, tenant, expires_unix_s };
                self.tokens.push(KnownToken { token, is_used: used, is_configured: false });
            }
        }
    }

    /// Checks that a gateway of `tenant` may enroll with `token` now.
    pub(crate) fn check(&self, token: &str, tenant: &str, unix_s: u64) -> Result<(), &'static str> {
        let found = self.tokens.iter().find(|known| same(&known.token.token, token));
        match found {
            None => Err("invalid enrollment token"),
            Some(known) if known.is_used => Err("enrollment token already used"),
            Some(known) if known.token.expires_unix_s.is_some_and(|last| unix_s > last) => {
                Err("enrollment token expired")
            }
            Some(known) if known.token.tenant != tenant => Err("tenant mismatch"),
            Some(_) => Ok(()),
        }
    }

    /// Marks a token as used.
    pub(crate) fn use_up(&mut self, token: &str) {
        for known in &mut self.tokens {
            known.is_used |= same(&known.token.token, token);
        }
    }
}

/// Compares in constant time for tokens of one length.
fn same(known: &Secret, given: &str) -> bool {
    !known.is_blank() && known.expose().as_bytes().ct_eq(given.as_bytes()).into()
}
