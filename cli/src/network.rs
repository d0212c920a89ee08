//! The network of commands that dial without a gateway's settings.

use relayline_control::network::Network;
use relayline_control::settings::{ConfigError, Names};
use relayline_runtime::ca_certificates;
use std::path::Path;

/// Returns the proxies of the environment, and the certificates to trust: those of the file, else of `SSL_CERT_FILE`.
///
/// # Errors
/// The file or a variable cannot be read.
pub(crate) fn network(ca_file: Option<&Path>) -> Result<Network, ConfigError> {
    let certificates = ca_certificates(ca_file)?;
    Ok(Network::resolve(certificates, Names::Flags, &|name| std::env::var(name).ok())?)
}
