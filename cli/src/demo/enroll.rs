//! The demo's gateway enrolls as any other does: a single-use token and an access token, over HTTP (H-1).

use crate::gateway::RuntimeName;
use crate::random;
use relayline_control::http::enroll::Enroll;
use relayline_control::http::{Base, Bearer};
use relayline_control::network::Network;
use relayline_control::url::DialUrl;
use relayline_core::config::Credentials;
use relayline_core::secret::Secret;
use relayline_runtime::http::Client;

/// Tenant of everything in the demo.
pub(super) const TENANT: &str = "demo";

/// Tokens that an operator and an identity provider would issue.
pub(super) struct Tokens {
    pub(super) enrollment: Secret,
    pub(super) access: Secret,
}

impl Tokens {
    /// Creates fresh tokens, which no other user of this machine knows.
    pub(super) fn new() -> Result<Tokens, String> {
        Ok(Tokens { enrollment: secret()?, access: secret()? })
    }

    /// Enrolls, and gives what the connector has issued.
    pub(super) fn enroll(self, runtime: RuntimeName, url: &str, id: &str) -> Result<Credentials, String> {
        let text = |error: &dyn std::fmt::Display| format!("the demo's gateway cannot enroll: {error}");
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
