//! Secrets and ids, derived from the machine's seed.

use data_encoding::HEXLOWER;
use relayline_core::secret::Secret;
use relayline_core::token;
use zeroize::Zeroizing;

/// Kind of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Credential {
    /// Secret of upgrade tokens (C-1).
    Secret,
    /// Key of signed webhook requests (C-3).
    DeliveryKey,
}

impl Credential {
    fn name(self) -> &'static [u8] {
        match self {
            Credential::Secret => b"secret",
            Credential::DeliveryKey => b"delivery key",
        }
    }
}

/// Source of secret values: each is an HMAC of its number under the seed, and cannot be guessed without the seed.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    key: Secret,
    count: u64,
}

impl Issuer {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Issuer { key: Secret::new(HEXLOWER.encode(&seed)), count: 0 }
    }

    /// Returns a new secret: 256 bits, as 64 hex digits.
    pub(crate) fn issue(&mut self, what: Credential) -> Secret {
        let bytes = Zeroizing::new(self.draw(what.name()));
        Secret::new(HEXLOWER.encode(bytes.as_slice()))
    }

    /// Returns a new id of a file: 128 bits, as 32 hex digits.
    pub(crate) fn media_id(&mut self) -> String {
        HEXLOWER.encode(&self.draw(b"media id")[..16])
    }

    fn draw(&mut self, what: &[u8]) -> [u8; 32] {
        self.count += 1;
        token::sign(&[what, b" ", self.count.to_string().as_bytes()], &self.key)
    }
}
