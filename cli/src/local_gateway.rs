//! A connector on this machine, and a gateway that has enrolled with it as any other does: a single-use token and an
//! access token, over HTTP (H-1).

use crate::gateway::RuntimeName;
use crate::random;
use relayline_connector::chats::Platform;
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use relayline_control::config::GatewayConfig;
use relayline_control::http::enroll::Enroll;
use relayline_control::http::{Base, Bearer};
use relayline_control::network::Network;
use relayline_control::url::DialUrl;
use relayline_core::config::{Credentials, Identity};
use relayline_core::secret::Secret;
use relayline_runtime::http::Client;

/// Tenant of the gateway.
const TENANT: &str = "local";

/// Connector that listens, and a gateway that has enrolled with it.
pub(crate) struct LocalGateway {
    pub(crate) connector: EmbeddedConnector,
    pub(crate) config: GatewayConfig,
}

impl LocalGateway {
    /// Starts the connector with these platforms, and enrolls the gateway `id`. `observes_output` is for a workbench.
    ///
    /// # Errors
    /// The connector cannot listen, or the gateway cannot enroll: the text for the user.
    pub(crate) fn start(
        runtime: RuntimeName,
        id: &str,
        platforms: Vec<Platform>,
        observes_output: bool,
    ) -> Result<LocalGateway, String> {
        let tokens = Tokens::new()?;
        let mut connector = ConnectorConfig::default()
            .enroll_token(tokens.enrollment.clone(), TENANT)
            .identity(tokens.access.clone(), TENANT)
            .observes_output(observes_output);
        let names: Vec<String> = platforms.iter().map(|platform| platform.name.clone()).collect();
        connector.platforms = platforms;
        let connector = EmbeddedConnector::start(connector, "127.0.0.1:0")
            .map_err(|error| format!("the connector cannot listen on 127.0.0.1: {error}"))?;
        let credentials = tokens.enroll(runtime, &connector.url(), id)?;
        let config = config(&connector.url(), &names, credentials)?;
        Ok(LocalGateway { connector, config })
    }
}

fn config(url: &str, platforms: &[String], credentials: Credentials) -> Result<GatewayConfig, String> {
    let bot_id = |platform: &str| match platform {
        "discord" => "1187654321098765432",
        "telegram" => "7012345678",
        "slack" => "B07RELAY",
        _ => "+15550199",
    };
    let mut identities = platforms.iter().map(|platform| Identity::new(platform, bot_id(platform)));
    let first = identities.next().ok_or("the connector has no platforms")?;
    let url = DialUrl::parse(url).map_err(|error| error.to_string())?;
    let mut config = GatewayConfig::new(url, first);
    config.machine.identities.extend(identities);
    config.machine.credentials = Some(credentials);
    Ok(config)
}

/// Tokens that an operator and an identity provider would issue.
struct Tokens {
    enrollment: Secret,
    access: Secret,
}

impl Tokens {
    /// Creates fresh tokens, which no other user of this machine knows.
    fn new() -> Result<Tokens, String> {
        Ok(Tokens { enrollment: secret()?, access: secret()? })
    }

    /// Enrolls, and gives what the connector has issued.
    fn enroll(self, runtime: RuntimeName, url: &str, id: &str) -> Result<Credentials, String> {
        let text = |error: &dyn std::fmt::Display| format!("the gateway cannot enroll: {error}");
        let url = DialUrl::parse(url).map_err(|error| text(&error))?;
        let base = Base::new(&url, false).map_err(|error| text(&error))?;
        let access_token = Bearer::new(&self.access).map_err(|error| text(&error))?;
        let enroll = Enroll::new(base, access_token, self.enrollment, id);
        // Without the proxies of the environment: the connector is on this machine.
        let request = enroll.request();
        let send = |client: Client| async move { client.send(&request).await };
        let answer = runtime.with_client(&Network::default(), send).map_err(|error| text(&error))?;
        let answer = answer.map_err(|failure| text(&failure))?;
        let issued = answer.read(|status, headers, body| enroll.read(status, headers, body));
        issued.map(|issued| issued.credentials).map_err(|error| text(&error))
    }
}

fn secret() -> Result<Secret, String> {
    random::hex::<32>().map(Secret::new).map_err(|error| format!("no randomness: {error}"))
}
