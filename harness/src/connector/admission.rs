//! Who may enrol: identities by their access tokens, and single-use tokens (H-1).

use super::config::{ConnectorConfig, EnrollToken, Identity};
use relayline_core::secret::Secret;
use subtle::ConstantTimeEq;

/// The access tokens and enrolment tokens of a connector. What is used up stays so over a crash.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    identities: Vec<Identity>,
    /// Each with whether it is used up.
    tokens: Vec<(EnrollToken, bool)>,
}

impl Admission {
    pub(crate) fn new(config: &ConnectorConfig) -> Self {
        let tokens = config.enroll_tokens.iter().map(|token| (token.clone(), false)).collect();
        Admission { identities: config.identities.clone(), tokens }
    }

    /// The tenant that an access token names.
    pub(crate) fn tenant(&self, access_token: &str) -> Option<&str> {
        let known = |identity: &&Identity| same(&identity.access_token, access_token);
        self.identities.iter().find(known).map(|identity| identity.tenant.as_str())
    }

    /// Hands out a further token; one that was there already is good again. False: there are too many.
    pub(crate) fn add(&mut self, token: EnrollToken, most: usize) -> bool {
        self.tokens.retain(|(known, _)| known.token != token.token);
        if self.tokens.len() >= most {
            // A used one is only kept to say that it was used.
            let Some(used) = self.tokens.iter().position(|(_, used)| *used) else { return false };
            self.tokens.remove(used);
        }
        self.tokens.push((token, false));
        true
    }

    /// Whether `token` lets a gateway of `tenant` in now; why not, if not.
    pub(crate) fn check(&self, token: &str, tenant: &str, unix_s: u64) -> Result<(), &'static str> {
        let found = self.tokens.iter().find(|(known, _)| same(&known.token, token));
        match found {
            None => Err("invalid enrollment token"),
            Some((_, true)) => Err("enrollment token already used"),
            Some((known, false)) if known.expires_unix_s.is_some_and(|last| unix_s > last) => {
                Err("enrollment token expired")
            }
            Some((known, false)) if known.tenant != tenant => Err("tenant mismatch"),
            Some((_, false)) => Ok(()),
        }
    }

    /// It has let somebody in, and lets in nobody else.
    pub(crate) fn use_up(&mut self, token: &str) {
        for (known, used) in &mut self.tokens {
            *used |= same(&known.token, token);
        }
    }
}

/// Takes as long for a token that is nearly right as for any other of its length.
fn same(known: &Secret, given: &str) -> bool {
    !known.is_blank() && known.expose().as_bytes().ct_eq(given.as_bytes()).into()
}
