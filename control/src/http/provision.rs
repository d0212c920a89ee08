//! Provisioning: the exchange by which a gateway without a secret requests one at boot.

use super::failure::judge;
use super::issued::{self, Issuance};
use super::{Base, Bearer, Failure, Issued, Request};
use ::http::HeaderMap;
use relayline_core::config::Identity;
use relayline_core::id::Id;
use serde::Serialize;

/// Profile of a gateway. It is the same for all of the gateway's identities.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Profile {
    /// Id that the gateway requests.
    pub gateway_id: String,
    /// URL of the gateway's webhook server; empty if it has none.
    pub gateway_endpoint: String,
    /// Keys by which the connector routes to the gateway.
    pub route_keys: Vec<String>,
    /// Id of this instance of the gateway among those of its tenant.
    pub instance_id: Option<String>,
    /// URL that wakes the gateway when it is dormant.
    pub wake_url: Option<String>,
    /// Name of the gateway for people.
    pub display_name: Option<String>,
}

impl Profile {
    /// Creates the profile of a gateway that names no more than its id.
    pub fn new(gateway_id: impl Into<Id>) -> Profile {
        Profile { gateway_id: gateway_id.into().into(), ..Profile::default() }
    }
}

/// Request to provision one identity.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Provision {
    /// Base URL of the connector.
    pub base: Base,
    /// Access token of the identity.
    pub access_token: Bearer,
    /// Profile of the gateway.
    pub profile: Profile,
    /// Identity to provision.
    pub identity: Identity,
}

/// Result of provisioning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provisioned {
    /// The connector issued credentials. They are kept in memory only.
    Issued(Issued),
    /// The connector knows the identity already, and issued no secret (`secretIssued: false`).
    Known,
}

/// Error returned when provisioning fails. It does not stop the boot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The response has neither a secret nor `secretIssued: false`.
    #[error("unexpected response from {0}: neither a usable secret nor \"secretIssued\": false")]
    NoSecret(String),
    /// The exchange failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Body of the request.
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
    /// Creates the request to provision a gateway on one platform.
    pub fn new(base: Base, access_token: Bearer, profile: Profile, identity: Identity) -> Provision {
        Provision { base, access_token, profile, identity }
    }

    /// Returns the HTTP request.
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

    /// Reads the response to the request.
    ///
    /// # Errors
    /// Returns the reason if the connector refused the request, or if the response cannot be used.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Provisioned, ProvisionError> {
        let host = self.base.host();
        let text = judge(host, status, headers, body, &[&self.access_token.0])?;
        match issued::read(host, &text, &self.profile.gateway_id)? {
            Issuance::Issued(issued) => Ok(Provisioned::Issued(issued)),
            Issuance::Nothing { on_purpose: true } => Ok(Provisioned::Known),
            Issuance::Nothing { on_purpose: false } => Err(ProvisionError::NoSecret(host.to_owned())),
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
            identity: Identity::new("discord", "7"),
        }
    }

    #[test]
    fn unknown_fields_of_a_profile_are_left_out() {
        let bare = Profile::new("gw-1");
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
        let exchange = provision(Profile::new("gw-1"));
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
