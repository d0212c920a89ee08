//! TLS: the provider and the roots are chosen here and nowhere else, and what failed is said in words that help.

mod verifier;

use futures_rustls::TlsConnector;
use relayline_control::network::CaCertificates;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use std::io;
use std::sync::{Arc, OnceLock};
use verifier::Verifier;

/// A connector with the roots that browsers trust, and these certificates. The error says what is wrong with them.
pub(crate) fn connector(more: Option<&CaCertificates>) -> Result<TlsConnector, String> {
    config(more).map(TlsConnector::from)
}

fn config(more: Option<&CaCertificates>) -> Result<Arc<ClientConfig>, String> {
    // Most gateways of a process trust the same: these share one.
    static USUAL: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let usual = || RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(more) = more else { return USUAL.get_or_init(|| trusting(usual(), Vec::new())).clone() };
    let mut roots = usual();
    let pinned = add(&mut roots, &more.bytes).map_err(|problem| format!("{}: {problem}", more.from))?;
    trusting(roots, pinned)
}

/// Trusts what these authorities have signed, and these very certificates.
fn trusting(roots: RootCertStore, pinned: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(chain, pinned)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Adds the certificates of a file, and returns them. One in a bundle that cannot be an authority does not spoil the
/// others.
pub(crate) fn add(roots: &mut RootCertStore, file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = read(file)?;
    match roots.add_parsable_certificates(found.iter().cloned()) {
        (0, _) => Err(
            "it holds no usable certificate: it must be in PEM form, -----BEGIN CERTIFICATE-----, or one \
                       certificate in DER form"
                .to_owned(),
        ),
        _ => Ok(found),
    }
}

/// First byte of everything in DER form that could be meant here.
const SEQUENCE: u8 = 0x30;

/// Reads the certificates of a file in PEM form, or the one of a file in DER form.
fn read(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if file.first() == Some(&SEQUENCE) {
        return Ok(vec![CertificateDer::from(file.to_vec())]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).collect();
    found.map_err(|error| format!("it is damaged ({error}): it must be in PEM form"))
}

/// Why a handshake with `host` failed, and what to do.
pub(crate) fn meaning(error: &io::Error, host: &str) -> String {
    let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(problem)) => certificate(problem, host),
        Some(Error::InvalidMessage(_)) => {
            "the port does not speak TLS: check the URL's scheme and port".to_owned()
        }
        Some(Error::AlertReceived(alert)) => format!("the other side gave up ({alert:?})"),
        None if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ) =>
        {
            "the connection ended in the middle of it: check whether the port speaks TLS".to_owned()
        }
        // Rare ones, of a library's enum that grows.
        Some(_) | None => format!("{error}: check the URL"),
    }
}

fn certificate(problem: &CertificateError, host: &str) -> String {
    match problem {
        CertificateError::NotValidForName => {
            format!("its certificate is not for {host}: check the URL's host")
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            // As the library has them: `DnsName("c.example")`.
            let names: Vec<_> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            format!("its certificate is for {}, not for {host}: check the URL's host", names.join(", "))
        }
        CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is for nobody: one that has {host} in its subjectAltName is needed")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: have it renewed, and check this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: check this machine's clock".to_owned()
        }
        // The second: by one who only has a trusted one's name, as an authority that was made anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody who is trusted here has signed its certificate: check the URL, or trust its authority with \
             --ca-file FILE or SSL_CERT_FILE"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for servers: one whose extendedKeyUsage is serverAuth is needed".to_owned()
        }
        CertificateError::Other(other) => match other.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => format!(
                "its certificate is an authority's own (CA:TRUE), which proves no server's name: trust this very \
                 certificate with --ca-file FILE or SSL_CERT_FILE, or use one for {host} with CA:FALSE"
            ),
            Some(webpki::Error::UnsupportedCertVersion) => format!(
                "its certificate is of X.509 version 1: one of version 3 that has {host} in its subjectAltName is needed"
            ),
            _ => not_accepted(problem),
        },
        other => not_accepted(other),
    }
}

fn not_accepted(problem: &CertificateError) -> String {
    format!("its certificate is not accepted ({problem})")
}
