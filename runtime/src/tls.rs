//! TLS: the provider and the roots are chosen here and nowhere else, and what failed is said in words that help.

use futures_rustls::TlsConnector;
use relayline_core::network::CaCertificates;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use std::io;
use std::sync::{Arc, OnceLock};

/// A connector with the roots that browsers trust, and these. The error says what is wrong with them.
pub(crate) fn connector(more: Option<&CaCertificates>) -> Result<TlsConnector, String> {
    // Most gateways of a process trust the same: these share one.
    static USUAL: OnceLock<Result<TlsConnector, String>> = OnceLock::new();
    let usual = || RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(more) = more else { return USUAL.get_or_init(|| trusting(usual())).clone() };
    let mut roots = usual();
    add(&mut roots, &more.pem).map_err(|problem| format!("{}: {problem}", more.from))?;
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Adds the certificates of a PEM file. One in a bundle that cannot be an authority does not spoil the others.
pub(crate) fn add(roots: &mut RootCertStore, pem: &str) -> Result<(), String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| format!("it is damaged ({error}): it must be in PEM form"))?;
    let (added, _) = roots.add_parsable_certificates(found);
    match added {
        0 => {
            Err("it holds no usable certificate: it must be in PEM form, -----BEGIN CERTIFICATE-----"
                .to_owned())
        }
        _ => Ok(()),
    }
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
            format!("its certificate is for nobody, not for {host}: check the URL's host")
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
        other => format!("its certificate is not accepted ({other})"),
    }
}
