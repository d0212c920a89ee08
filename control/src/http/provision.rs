//! Provisioning: a gateway that was given no secret asks for one at boot (H-4).

use super::failure::judge;
use super::issued::{self, Answer};
use super::{Base, Bearer, Failure, Issued, Request};
use ::http::HeaderMap;
use relayline_core::config::Identity;
use serde::Serialize;

/// What a gateway says of itself, whatever the platform.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Profile {
    /// The id that the gateway wants.
    pub gateway_id: String,
    /// Where it takes signed deliveries; empty when it takes none.
    pub gateway_endpoint: String,
    /// What the connector routes to it by.
    pub route_keys: Vec<String>,
    /// Which instance of its tenant it is.
    pub instance_id: Option<String>,
    /// What wakes it when it sleeps.
    pub wake_url: Option<String>,
    /// How people know it.
    pub display_name: Option<String>,
}

/// The provisioning of one identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provision {
    /// Whom to ask.
    pub base: Base,
    /// Who asks: the identity's access token (H-8).
    pub access_token: Bearer,
    /// What it says of itself.
    pub profile: Profile,
    /// The platform that it is about.
    pub identity: Identity,
}

/// What provisioning brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provisioned {
    /// Credentials; they live in memory only.
    Issued(Issued),
    /// The platform is known to the connector, and no secret was issued (`secretIssued: false`).
    Known,
}

/// Why it failed. It never stops the boot (H-4).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// Success, but neither a secret nor `secretIssued: false`.
    #[error("unexpected response from {0}: neither a usable secret nor \"secretIssued\": false")]
    NoSecret(String),
    /// What can befall any exchange.
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisionBody<'a> {
    gateway_id: &'a str,
    platform: &'a str,
    bot_id: &'a str,
    gateway_endpoint: &'a str,
    route_keys: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wake_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

impl Provision {
    /// What to send.
    pub fn request(&self) -> Request {
        let body = ProvisionBody {
            gateway_id: &self.profile.gateway_id,
            platform: &self.identity.platform,
            bot_id: &self.identity.bot_id,
            gateway_endpoint: &self.profile.gateway_endpoint,
            route_keys: &self.profile.route_keys,
            instance_id: self.profile.instance_id.as_deref(),
            wake_url: self.profile.wake_url.as_deref(),
            display_name: self.profile.display_name.as_deref(),
        };
        Request::json(self.base.endpoint("provision"), &self.access_token, &body)
    }

    /// What the answer means.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Provisioned, ProvisionError> {
        let host = self.base.host();
        let text = judge(host, status, headers, body, &[&self.access_token.0])?;
        match issued::read(host, &text, &self.profile.gateway_id)? {
            Answer::Issued(issued) => Ok(Provisioned::Issued(issued)),
            Answer::Nothing { on_purpose: true } => Ok(Provisioned::Known),
            Answer::Nothing { on_purpose: false } => Err(ProvisionError::NoSecret(host.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;
    use crate::url::DialUrl;
    use relayline_core::secret::Secret;

    fn provision(profile: Profile) -> Provision {
        Provision {
            base: Base::new(&DialUrl::parse("wss://c.example").unwrap(), false).unwrap(),
            access_token: Bearer::new(&Secret::new("acc3ss")).unwrap(),
            profile,
            identity: Identity { platform: "discord".into(), bot_id: "7".into() },
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let bare = Profile { gateway_id: "gw-1".into(), ..Profile::default() };
        let full = Profile {
            gateway_id: "gw-1".into(),
            gateway_endpoint: "https://me.example".into(),
            route_keys: vec!["a".into(), "b".into()],
            instance_id: Some("i".into()),
            wake_url: Some("https://wake.example".into()),
            display_name: Some("Me".into()),
        };
        for (profile, expected) in [
            (
                bare,
                r#"{"gatewayId":"gw-1","platform":"discord","botId":"7","gatewayEndpoint":"","routeKeys":[]}"#,
            ),
            (
                full,
                r#"{"gatewayId":"gw-1","platform":"discord","botId":"7","gatewayEndpoint":"https://me.example","routeKeys":["a","b"],"instanceId":"i","wakeUrl":"https://wake.example","displayName":"Me"}"#,
            ),
        ] {
            let request = provision(profile).request();
            assert_eq!(request.url, "https://c.example/relay/provision");
            let Body::Bytes(bytes) = request.body else { panic!("a body") };
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
        }
    }

    #[test]
    fn an_answer_without_a_secret_must_say_so() {
        let exchange = provision(Profile { gateway_id: "gw-1".into(), ..Profile::default() });
        let read = |status, body: &str| exchange.read(status, &HeaderMap::new(), body.as_bytes());
        let Ok(Provisioned::Issued(issued)) = read(200, r#"{"secret":"s"}"#) else { panic!("a secret") };
        assert_eq!(issued.credentials.gateway_id, "gw-1");
        assert_eq!(read(200, r#"{"secretIssued":false}"#), Ok(Provisioned::Known));
        let no_secret =
            "unexpected response from c.example: neither a usable secret nor \"secretIssued\": false";
        for (status, body, expected) in [
            (200, "{}", no_secret),
            (200, r#"{"secretIssued":true}"#, no_secret),
            (200, r#"{"secretIssued":"false"}"#, no_secret),
            (409, r#"{"error":"not for acc3ss"}"#, "c.example answered with status 409: not for <hidden>"),
        ] {
            assert_eq!(read(status, body).unwrap_err().to_string(), expected, "{body}");
        }
    }
}
