//! TLS, built once: the provider and the roots are chosen here and nowhere else.

use futures_rustls::TlsConnector;
use rustls::{ClientConfig, RootCertStore};
use std::sync::{Arc, OnceLock};

/// The connector for `wss`, with the roots that browsers trust.
pub fn connector() -> Result<TlsConnector, rustls::Error> {
    static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
    if let Some(connector) = CONNECTOR.get() {
        return Ok(connector.clone());
    }
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONNECTOR.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
}
