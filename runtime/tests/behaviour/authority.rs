//! An authority that signs certificates for tests.

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use relayline_connector::ServerTls;
use relayline_control::network::{CaCertificates, Network};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    params: CertificateParams,
    certificate: Certificate,
}

/// Years in which a certificate is valid.
pub(crate) const NOW: (i32, i32) = (1975, 4000);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority::made(params, key)
    }

    fn made(params: CertificateParams, key: KeyPair) -> Authority {
        let certificate = params.self_signed(&key).unwrap();
        Authority { issuer: Issuer::new(params.clone(), key), params, certificate }
    }

    /// Sets other years.
    pub(crate) fn of_years(self, (from, to): (i32, i32)) -> Authority {
        let mut params = self.params;
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        Authority::made(params, KeyPair::generate().unwrap())
    }

    /// Returns a server that shows the authority's own certificate, which is valid for this machine, too.
    pub(crate) fn itself(&self) -> ServerTls {
        ServerTls::from_pem(&self.certificate.pem(), &self.issuer.key().serialize_pem()).unwrap()
    }

    /// Returns its certificate in DER form.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// Returns network settings that trust the authority.
    pub(crate) fn network(&self) -> Network {
        Network::default().ca_certificates(CaCertificates::new("the test", self.certificate.pem()))
    }

    /// Returns a server with this name.
    pub(crate) fn server(&self, name: &str, (from, to): (i32, i32)) -> ServerTls {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        ServerTls::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
}
