//! Verification of certificates by the operating system.

use crate::builder::{Builder, CurrentRuntime};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

impl<R: CurrentRuntime> Builder<R> {
    /// Verifies servers' certificates by the operating system instead of the authorities that browsers trust: by its
    /// verifier on Windows and Apple's systems, and by its store of authorities on other systems, where `SSL_CERT_FILE`
    /// and `SSL_CERT_DIR` replace that store. [`certificates`](Builder::certificates) are trusted besides. Needs the
    /// feature `platform-verifier`.
    ///
    /// Connecting fails with [`ConnectError::Certificates`](crate::ConnectError::Certificates) if the store is empty and
    /// there are no other certificates.
    pub fn platform_verifier(mut self) -> Self {
        self.platform_verifier = true;
        self
    }
}

/// Creates a verifier of chains that end in an authority of the operating system, or in one of `more`.
///
/// # Errors
/// There is no authority.
pub(super) fn chain(
    more: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    // The verifier refuses what cannot be an authority, which a certificate of a server may be.
    let authorities = more.iter().filter(|one| RootCertStore::empty().add((*one).clone()).is_ok()).cloned();
    let chain = Verifier::new_with_extra_roots(authorities, provider);
    let problem =
        |error| format!("{error}: install the operating system's certificates, or trust others besides");
    Ok(Arc::new(chain.map_err(problem)?))
}
