//! Error of a build without the feature `platform-verifier`.

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// Always returns an error.
pub(super) fn chain(
    _: &[CertificateDer<'static>],
    _: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let why = "the operating system cannot verify certificates: this program is built without the feature \
               `platform-verifier` of its relayline crate: enable it";
    Err(why.to_owned())
}
