//! Who may enrol: identities by their access tokens, and single-use tokens (H-1).

use crate::config::{ConnectorConfig, EnrollToken, Identity};
use crate::state::TokenState;
use relayline_core::secret::Secret;
use subtle::ConstantTimeEq;

/// The access tokens and enrolment tokens of a connector. What is used up stays so over a crash.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    identities: Vec<Identity>,
    tokens: Vec<KnownToken>,
}

#[derive(Clone, Debug)]
struct KnownToken {
    token: EnrollToken,
    is_used: bool,
    /// It is part of the configuration, and so need not be kept.
    is_configured: bool,
}

impl Admission {
    pub(crate) fn new(config: &ConnectorConfig) -> Self {
        let known =
            |token: &EnrollToken| KnownToken { token: token.clone(), is_used: false, is_configured: true };
        let tokens = config.enroll_tokens.iter().map(known).collect();
        Admission { identities: config.identities.clone(), tokens }
    }

    /// The tenant that an access token names.
    pub(crate) fn tenant(&self, access_token: &str) -> Option<&str> {
        let known = |identity: &&Identity| same(&identity.access_token, access_token);
        self.identities.iter().find(known).map(|identity| identity.tenant.as_str())
    }

    /// Hands out a further token; one that was there already is good again. False: there are too many.
    pub(crate) fn add(&mut self, token: EnrollToken, most: usize) -> bool {
        self.tokens.retain(|known| known.token.token != token.token);
        if self.tokens.len() >= most {
            // A used one is only kept to say that it was used.
            let Some(used) = self.tokens.iter().position(|known| known.is_used) else { return false };
            self.tokens.remove(used);
        }
        self.tokens.push(KnownToken { token, is_used: false, is_configured: false });
        true
    }

    /// Returns the used tokens, and those that were handed out at run time.
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

    /// Whether `token` lets a gateway of `tenant` in now; why not, if not.
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

    /// It has let somebody in, and lets in nobody else.
    pub(crate) fn use_up(&mut self, token: &str) {
        for known in &mut self.tokens {
            known.is_used |= same(&known.token.token, token);
        }
    }
}

/// Takes as long for a token that is nearly right as for any other of its length.
fn same(known: &Secret, given: &str) -> bool {
    !known.is_blank() && known.expose().as_bytes().ct_eq(given.as_bytes()).into()
}
