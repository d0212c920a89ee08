//! An authority that signs certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use relayline_core::network::{CaCertificates, Network};
use relayline_harness::connector::ServerTls;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// The years in which a certificate holds.
pub(crate) const NOW: (i32, i32) = (1975, 4000);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A network in which it is trusted.
    pub(crate) fn network(&self) -> Network {
        let certificates = CaCertificates { from: "the test".to_owned(), pem: self.pem.clone() };
        Network { ca_certificates: Some(certificates), ..Network::default() }
    }

    /// A server of this name.
    pub(crate) fn server(&self, name: &str, (from, to): (i32, i32)) -> ServerTls {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        ServerTls::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
}
