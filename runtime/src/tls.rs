//! TLS: the choice of provider and roots, and error messages that say what to do.

#[cfg(feature = "platform-verifier")]
mod platform;
#[cfg(not(feature = "platform-verifier"))]
#[path = "tls/no_platform.rs"]
mod platform;
mod verifier;

use futures_rustls::TlsConnector;
use relayline_control::network::Network;
use relayline_control::settings::{Names, table};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use verifier::Verifier;

/// Creates a TLS connector that trusts the roots of browsers or of the operating system, and the network's certificates.
///
/// # Errors
/// Describes the problem of the certificates.
pub(crate) fn connector(network: &Network) -> Result<TlsConnector, String> {
    config(network).map(TlsConnector::from)
}

/// Certificates that a configuration trusts: whether the operating system decides, and the network's own in their file's
/// form.
type Trust = (bool, Option<Vec<u8>>);

/// Returns the TLS configuration. Gateways with the same certificates share one.
fn config(network: &Network) -> Result<Arc<ClientConfig>, String> {
    static KNOWN: Mutex<Vec<(Trust, Weak<ClientConfig>)>> = Mutex::new(Vec::new());
    let own = network.ca_certificates.as_ref().map(|own| own.bytes.clone());
    let trust = (network.platform_verifier, own);
    // Held while the configuration is created, so that another gateway waits for it.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(_, config)| config.strong_count() > 0);
    let same = known.iter().find(|(other, _)| *other == trust);
    if let Some(config) = same.and_then(|(_, config)| config.upgrade()) {
        return Ok(config);
    }
    let config = create(network)?;
    known.push((trust, Arc::downgrade(&config)));
    Ok(config)
}

fn create(network: &Network) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let pinned = match &network.ca_certificates {
        None => Vec::new(),
        Some(more) => add(&mut roots, &more.bytes).map_err(|problem| format!("{}: {problem}", more.from))?,
    };
    match network.platform_verifier {
        true => trusting(platform::chain(&pinned, provider())?, pinned),
        false => trusting(bundled(roots)?, pinned),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Creates a verifier of chains that end in `roots` or in one of the roots of browsers.
fn bundled(mut roots: RootCertStore) -> Result<Arc<dyn ServerCertVerifier>, String> {
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    Ok(chain.map_err(|error| error.to_string())?)
}

/// Creates a configuration that trusts the certificates that `chain` accepts, and the `pinned` ones.
fn trusting(
    chain: Arc<dyn ServerCertVerifier>,
    pinned: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, String> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(chain, pinned)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Adds the certificates of a file, and returns them. Skips certificates that cannot be an authority.
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

/// First byte of a certificate in DER form.
const SEQUENCE: u8 = 0x30;

/// Parses the certificates of a file in PEM form, or the single one of a file in DER form.
fn read(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if file.first() == Some(&SEQUENCE) {
        return Ok(vec![CertificateDer::from(file.to_vec())]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).collect();
    found.map_err(|error| format!("it is damaged ({error}): it must be in PEM form"))
}

/// Explains why a handshake with `host` failed, and what to do.
pub(crate) fn explain(error: &io::Error, host: &str, names: Names) -> String {
    let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(problem)) => certificate(problem, host, names),
        Some(Error::InvalidMessage(_)) => {
            "the port does not speak TLS: check the URL's scheme and port".to_owned()
        }
        Some(Error::AlertReceived(alert)) => {
            format!("the server closed it with an alert ({alert:?}): check the URL's host and port")
        }
        None if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ) =>
        {
            "the connection ended during it: check whether the port speaks TLS".to_owned()
        }
        // Rare errors, and those that later versions of rustls add.
        Some(_) | None => format!("{error}: check the URL"),
    }
}

fn certificate(problem: &CertificateError, host: &str, names: Names) -> String {
    let ca_file = names.with_value(&table::CA_FILE);
    match problem {
        CertificateError::NotValidForName => {
            format!("its certificate is not for {host}: check the URL's host")
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            // Names are printed as `DnsName("c.example")`.
            let names: Vec<_> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            format!("its certificate is for {}, not for {host}: check the URL's host", names.join(", "))
        }
        CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate names no host: use one that has {host} in its subjectAltName")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: have it renewed, and check this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: check this machine's clock".to_owned()
        }
        // `BadSignature`: signed by an authority that has a trusted one's name, for instance after it was recreated.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!(
                "no trusted authority has signed its certificate: check the URL, or trust its authority with {ca_file} or \
                 SSL_CERT_FILE"
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for servers: use one whose extendedKeyUsage is serverAuth".to_owned()
        }
        CertificateError::Other(other) => match other.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => format!(
                "its certificate is an authority's own (CA:TRUE), which proves no server's name: trust this very \
                 certificate with {ca_file} or SSL_CERT_FILE, or use one for {host} with CA:FALSE"
            ),
            Some(webpki::Error::UnsupportedCertVersion) => format!(
                "its certificate is of X.509 version 1: use one of version 3 that has {host} in its subjectAltName"
            ),
            _ => not_accepted(problem),
        },
        other => not_accepted(other),
    }
}

fn not_accepted(problem: &CertificateError) -> String {
    format!("its certificate is not accepted ({problem})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_control::network::CaCertificates;

    #[test]
    fn gateways_with_the_same_certificates_share_a_configuration() {
        let trusting = |certificate: &str| {
            let own = CaCertificates::new("a test", certificate);
            config(&Network::default().ca_certificates(own)).unwrap()
        };
        let certificate = || rcgen::generate_simple_self_signed(["c.example".to_owned()]).unwrap().cert.pem();
        let (one, other) = (certificate(), certificate());
        let configs = [trusting(&one), trusting(&one), trusting(&other)];
        assert!(Arc::ptr_eq(&configs[0], &configs[1]) && !Arc::ptr_eq(&configs[0], &configs[2]));
        let usual = config(&Network::default()).unwrap();
        assert!(
            !Arc::ptr_eq(&usual, &configs[0]) && Arc::ptr_eq(&usual, &config(&Network::default()).unwrap())
        );
    }
}
