//! Verification of server certificates.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// Verifier that accepts a server by the chain of its certificate, or by the certificate itself if it is pinned.
///
/// A self-signed certificate is often an authority's (CA:TRUE), which is invalid as the first of a chain. The verifier
/// checks the name, the validity and the handshake's signature of a pinned certificate, too.
#[derive(Debug)]
pub(super) struct Verifier {
    chain: Arc<dyn ServerCertVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(chain: Arc<dyn ServerCertVerifier>, pinned: Vec<CertificateDer<'static>>) -> Verifier {
        Verifier { chain, pinned }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pinned.iter().any(|pinned| pinned == end_entity) {
            return self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        check_validity(end_entity, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let (rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    if !rest.is_empty() {
        return Err(CertificateError::BadEncoding);
    }
    let validity = parsed.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet)
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired)
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Helpers of tests are tests, too.
mod tests {
    use crate::tls::explain;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use relayline_control::network::{CaCertificates, Network};
    use relayline_control::settings::Names;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};
    use std::io;
    use std::sync::Arc;

    /// Resolver that serves this certificate, even if the key does not belong to it.
    #[derive(Debug)]
    struct Served(Arc<CertifiedKey>);

    impl ResolvesServerCert for Served {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }

    /// Returns a self-signed certificate like those of `openssl req -x509`.
    fn self_signed(key: &KeyPair, names: &[&str], (from, to): (i32, i32)) -> rcgen::Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(key).unwrap()
    }

    /// Returns a network in which certificates are trusted.
    fn trusting(certificates: impl Into<Vec<u8>>) -> Network {
        let mut network = Network::default().ca_certificates(CaCertificates::new("x", certificates));
        network.names = Names::Flags;
        network
    }

    /// Performs a handshake in memory with a server that shows `shown` and signs with `key`. Returns the message of a
    /// failure.
    fn handshake(
        network: &Network,
        shown: &rcgen::Certificate,
        key: &KeyPair,
        host: &str,
        version: &'static SupportedProtocolVersion,
    ) -> Result<(), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let served = Served(Arc::new(CertifiedKey::new(vec![shown.der().clone()], key)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(served));
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let mut client = ClientConnection::new(crate::tls::config(network)?, name).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets().map_err(|error| error.to_string())?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client
                .process_new_packets()
                .map_err(|error| explain(&io::Error::other(error), host, network.names))?;
        }
        Ok(())
    }

    /// C-7: exactly the named certificate is trusted, and all other checks apply to it.
    #[test]
    fn c_7_a_named_certificate_is_trusted_and_still_checked() {
        let (key, other_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let names = ["c.example", "127.0.0.1", "::1"];
        let now = (1975, 4000);
        let ours = self_signed(&key, &names, now);
        for version in [&TLS12, &TLS13] {
            for host in names {
                for trusted in [ours.pem().into_bytes(), ours.der().to_vec()] {
                    let done = handshake(&trusting(trusted), &ours, &key, host, version);
                    assert_eq!(done, Ok(()), "{host} {version:?}");
                }
            }
            let expect = |shown: &rcgen::Certificate, key: &KeyPair, host: &str, expected: &str| {
                let failure = handshake(&trusting(shown.pem()), shown, key, host, version).unwrap_err();
                assert!(failure.starts_with(expected), "{version:?}: {failure}");
            };
            let expired = self_signed(&key, &names, (1975, 2020));
            expect(&expired, &key, "c.example", "its certificate has expired: ");
            let early = self_signed(&key, &names, (3000, 4000));
            expect(&early, &key, "127.0.0.1", "its certificate is not valid yet: ");
            expect(&ours, &key, "d.example", "its certificate is for c.example, ");
            expect(&ours, &key, "127.0.0.2", "its certificate is for ");
            let unnamed = self_signed(&key, &[], now);
            let nobody = "its certificate names no host: use one that has c.example in its subjectAltName";
            expect(&unnamed, &key, "c.example", nobody);
            expect(&ours, &other_key, "c.example", "no trusted authority has signed its certificate");

            // Another certificate of the same key is not the trusted one, and the error says which kind to use.
            let renewed = self_signed(&key, &names, (1976, 4000));
            let failure = handshake(&trusting(renewed.pem()), &ours, &key, "c.example", version).unwrap_err();
            assert_eq!(
                failure,
                "its certificate is an authority's own (CA:TRUE), which proves no server's name: trust this very \
                 certificate with --ca-file FILE or SSL_CERT_FILE, or use one for c.example with CA:FALSE"
            );
        }
    }

    /// C-7: named certificates are trusted besides those of the operating system.
    #[cfg(feature = "platform-verifier")]
    #[test]
    fn c_7_the_system_verifies_and_named_certificates_count() {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            rcgen::CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (ours, theirs) = (authority("ours"), authority("theirs"));
        let key = KeyPair::generate().unwrap();
        let shown = CertificateParams::new(["c.example".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
        let itself = self_signed(&key, &["c.example"], (1975, 4000));
        let not_trusted = "no trusted authority has signed its certificate: check the URL, or trust its authority \
                           with --ca-file FILE or SSL_CERT_FILE";
        for (trusted, shown, expected) in [
            (ours.pem(), &shown, Ok(())),
            (itself.pem(), &itself, Ok(())),
            (theirs.pem(), &shown, Err(not_trusted.to_owned())),
        ] {
            let mut network = trusting(trusted);
            network.platform_verifier = true;
            assert_eq!(handshake(&network, shown, &key, "c.example", &TLS13), expected);
        }
    }

    #[cfg(not(feature = "platform-verifier"))]
    #[test]
    fn a_build_without_the_systems_verifier_says_so() {
        let mut network = Network::default();
        network.platform_verifier = true;
        assert!(crate::tls::config(&network).err().unwrap().contains("the feature `platform-verifier`"));
    }

    #[test]
    fn an_invalid_certificate_is_an_error() {
        for bytes in [&b"\x30\x03\x02\x01\x01"[..], b"\x30", b"\xff"] {
            let error = crate::tls::config(&trusting(bytes)).err().unwrap();
            assert!(error.starts_with("x: it holds no usable certificate: "), "{error}");
        }
    }
}
