//! Configuration of a gateway: its connection, its servers and its machine.

use crate::network::Network;
use crate::settings::limits::set;
use crate::url::DialUrl;
use relayline_core::config::{Config, Identity};
use relayline_core::limits;
use relayline_core::limits::MIN_INTERVAL;
use std::time::Duration;

/// Configuration of a gateway.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// URL of the connector.
    pub url: DialUrl,
    /// Allows sending credentials unencrypted to other machines; false by default.
    pub allow_insecure: bool,
    /// Proxies and trusted certificates.
    pub network: Network,
    /// Address that the webhook server listens on, as in `0.0.0.0:8787`; none by default.
    pub inbound_listen: Option<String>,
    /// Limits of the HTTP servers.
    pub server: ServerLimits,
    /// Configuration of the machine.
    pub machine: Config,
}

impl GatewayConfig {
    /// Creates a configuration with every default, for one identity and without credentials.
    pub fn new(url: DialUrl, identity: Identity) -> GatewayConfig {
        GatewayConfig {
            url,
            allow_insecure: false,
            network: Network::default(),
            inbound_listen: None,
            server: ServerLimits::default(),
            machine: Config::new(identity),
        }
    }

    /// Sets a limit or a time-out by its name, as `--set NAME=VALUE` does. Sizes take `KiB` and `MiB`, times `us`,
    /// `ms`, `s`, `m` and `h`.
    ///
    /// # Errors
    /// The name is unknown, or the value is malformed or out of range. The text says what would be accepted.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        set(&mut [&mut self.machine.limits, &mut self.machine.timing, &mut self.server], name, value)
    }
}

limits! {
    /// Limits of the HTTP servers: of webhooks and of metrics.
    pub struct ServerLimits {
        /// Maximum size of the body of a webhook request, in bytes; 1 MiB by default.
        delivery_body: Size = 1 << 20, least 1024;
        /// Maximum number of bytes of bodies that are being read. The last one may exceed it; 16 MiB by default.
        delivery_bytes: Size = 16 << 20, least 1024;
        /// Maximum number of open connections to the webhook server. The one idle for the longest time is closed for
        /// a new one; 128 by default.
        delivery_connections: Size = 128, least 1;
        /// Time in which the head of a request must arrive, then its body, and in which a client must read a part of
        /// the response; for webhooks and metrics; 10 s by default.
        delivery_read_timeout: Time = Duration::from_secs(10), least MIN_INTERVAL;
        /// Maximum age of a client's connection to either server; 5 min by default.
        http_connection_age: Time = Duration::from_secs(300), least MIN_INTERVAL;
    }
}
