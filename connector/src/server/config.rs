//! Settings of the embedded connector.

use super::tls::ServerTls;
use crate::config::ConnectorConfig;
use relayline_runtime::serve::Bounds;

/// Settings of an [`EmbeddedConnector`](crate::EmbeddedConnector): those of its machine, and those of its port.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Settings of the machine.
    pub connector: ConnectorConfig,
    /// Bounds on the cost of HTTP clients. By default 64 at a time, WebSockets not counted.
    pub http: Bounds,
    /// Certificates for TLS. Default `None`: the port takes plain connections.
    pub tls: Option<ServerTls>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig::from(ConnectorConfig::default())
    }
}

impl From<ConnectorConfig> for ServerConfig {
    fn from(connector: ConnectorConfig) -> Self {
        ServerConfig { connector, http: Bounds { clients: 64, ..Bounds::default() }, tls: None }
    }
}

impl ServerConfig {
    /// Bounds the cost of HTTP clients.
    #[must_use]
    pub fn http(self, http: Bounds) -> Self {
        ServerConfig { http, ..self }
    }

    /// Takes TLS connections, with these certificates.
    #[must_use]
    pub fn tls(self, tls: ServerTls) -> Self {
        ServerConfig { tls: Some(tls), ..self }
    }
}
