//! How the network is reached: through which proxy, and whose certificates are trusted. Values only: nothing here
//! connects.

mod exceptions;
mod proxy;

pub use proxy::{Proxies, Proxy, ProxyError};

/// How connections are made, WebSocket and HTTP alike.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Network {
    /// The proxies; none by default.
    pub proxies: Proxies,
    /// Certificates that are trusted besides the authorities that browsers trust; none by default.
    pub ca_certificates: Option<CaCertificates>,
}

/// Certificates of authorities and servers that are trusted, as they were given. Whoever sets up TLS reads them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaCertificates {
    /// Where they come from, for messages: `--ca-file ca.pem`.
    pub from: String,
    /// One or more certificates in PEM form, or one in DER form. A server's own is trusted if it is byte for byte there.
    pub bytes: Vec<u8>,
}

impl Network {
    /// What the environment says of proxies, and the certificates that the caller has read.
    pub fn resolve(
        ca_certificates: Option<CaCertificates>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Network, ProxyError> {
        Ok(Network { proxies: Proxies::from_environment(environment)?, ca_certificates })
    }
}
