//! Network settings: proxies and trusted certificates. Nothing here connects.

mod exceptions;
mod proxy;

pub use proxy::{Proxies, Proxy, ProxyError};

use crate::settings::Names;

/// Network settings of all connections, WebSocket and HTTP.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Network {
    /// Proxies; none by default.
    pub proxies: Proxies,
    /// Certificates that are trusted besides the authorities; none by default.
    pub ca_certificates: Option<CaCertificates>,
    /// Verifies certificates by the operating system instead of the authorities that browsers trust; false by default.
    /// Needs the runtime's feature `platform-verifier`.
    pub platform_verifier: bool,
    /// Names of settings in messages.
    pub names: Names,
}

/// Trusted certificates of authorities and servers. They are parsed when TLS is set up.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CaCertificates {
    /// Source of the certificates, for messages, as in `--ca-file ca.pem`.
    pub from: String,
    /// One or more certificates in PEM, or one in DER. A server's own certificate is trusted if it is included byte
    /// for byte.
    pub bytes: Vec<u8>,
}

impl CaCertificates {
    /// Creates certificates of these bytes.
    pub fn new(from: impl Into<String>, bytes: impl Into<Vec<u8>>) -> CaCertificates {
        CaCertificates { from: from.into(), bytes: bytes.into() }
    }
}

impl Network {
    /// Sets the proxies.
    #[must_use]
    pub fn proxies(self, proxies: Proxies) -> Network {
        Network { proxies, ..self }
    }

    /// Sets the certificates to trust.
    #[must_use]
    pub fn ca_certificates(self, certificates: CaCertificates) -> Network {
        Network { ca_certificates: Some(certificates), ..self }
    }

    /// Reads the proxies from the environment, and adds the certificates that the caller has read. `names` are the names
    /// of settings in messages.
    ///
    /// # Errors
    /// A proxy variable is unusable.
    pub fn resolve(
        ca_certificates: Option<CaCertificates>,
        names: Names,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Network, ProxyError> {
        let proxies = Proxies::from_environment(environment)?;
        Ok(Network { proxies, ca_certificates, names, ..Network::default() })
    }
}
