//! Policies: the messages of shared chats that are meant for this gateway.

use super::failure::judge;
use super::{Base, Bearer, Failure, Request};
use ::http::HeaderMap;
use relayline_core::config::{Credentials, Identity};
use serde::{Deserialize, Serialize};

/// Policy of a gateway on one platform. A policy without any field set is not sent; otherwise unset fields are sent
/// with their defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Platform of the policy.
    pub platform: String,
    /// True if a message must address the bot; true by default.
    pub require_address: Option<bool>,
    /// Scopes in which a message need not address the bot; none by default.
    pub free_response_scopes: Option<Vec<String>>,
    /// True if messages of other bots are delivered; false by default.
    pub allow_other_bots: Option<bool>,
}

/// Error returned when a configured policy is unusable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The policy is not JSON, or not of the right shape.
    #[error("{0}: write {{\"platform\": \"discord\", \"requireAddress\": true}}, or an array of such")]
    Shape(String),
    /// The gateway does not have an identity on the platform.
    #[error("this gateway does not speak for {0:?}: leave it out, or add the platform")]
    Platform(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configured {
    platform: Option<String>,
    require_address: Option<bool>,
    free_response_scopes: Option<Vec<String>>,
    allow_other_bots: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyBody<'a> {
    platform: &'a str,
    require_address: bool,
    free_response_scopes: &'a [String],
    allow_other_bots: bool,
}

/// Reads configured policies: one JSON object or an array of objects. Each applies to the platform that it names, or to
/// all of the gateway's platforms if it names none. The last policy for a platform counts.
pub fn parse(text: &str, identities: &[Identity]) -> Result<Vec<Policy>, PolicyError> {
    let shape = |error: serde_json::Error| PolicyError::Shape(error.to_string());
    let configured: Vec<Configured> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(shape)?
    } else {
        vec![serde_json::from_str(text).map_err(shape)?]
    };
    let mut policies: Vec<Policy> = Vec::new();
    for one in configured {
        let named =
            |identity: &&Identity| one.platform.as_ref().is_none_or(|name| *name == identity.platform);
        let mut platforms = identities.iter().filter(named).peekable();
        if platforms.peek().is_none() {
            return Err(PolicyError::Platform(one.platform.unwrap_or_default()));
        }
        for identity in platforms {
            policies.retain(|policy| policy.platform != identity.platform);
            policies.push(Policy {
                platform: identity.platform.clone(),
                require_address: one.require_address,
                free_response_scopes: one.free_response_scopes.clone(),
                allow_other_bots: one.allow_other_bots,
            });
        }
    }
    Ok(policies)
}

impl Policy {
    /// Returns true if any field is set.
    pub fn is_set(&self) -> bool {
        self.require_address.is_some()
            || self.free_response_scopes.is_some()
            || self.allow_other_bots.is_some()
    }

    /// Returns the request with a fresh upgrade token; `None` if no field is set.
    pub fn request(&self, base: &Base, upgrade_token: &Bearer) -> Option<Request> {
        let body = PolicyBody {
            platform: &self.platform,
            require_address: self.require_address.unwrap_or(true),
            free_response_scopes: self.free_response_scopes.as_deref().unwrap_or_default(),
            allow_other_bots: self.allow_other_bots.unwrap_or(false),
        };
        self.is_set().then(|| Request::json(base.endpoint("policy"), upgrade_token, &body))
    }

    /// Reads the response. Only 200 is a success, regardless of its body.
    ///
    /// `credentials` are those of the request's upgrade token. Errors show neither them nor the token.
    pub fn read(
        &self,
        base: &Base,
        credentials: &Credentials,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Failure> {
        match judge(base.host(), status, headers, body, &[&credentials.secret]) {
            Ok(_) | Err(Failure::NotJson { .. }) if status == 200 => Ok(()),
            Ok(_) | Err(Failure::NotJson { .. }) => {
                Err(Failure::Status { host: base.host().to_owned(), status, error: None })
            }
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;
    use crate::url::DialUrl;
    use relayline_core::secret::Secret;

    fn identities() -> Vec<Identity> {
        ["discord", "slack"].map(|name| Identity::new(name, "")).to_vec()
    }

    /// Returns the requests that are sent, one entry per platform.
    fn sent(text: &str) -> Result<Vec<String>, String> {
        let base = Base::new(&DialUrl::parse("wss://c.example").unwrap(), false).unwrap();
        let bearer = Bearer::new(&Secret::new("t")).unwrap();
        let policies = parse(text, &identities()).map_err(|error| error.to_string())?;
        let requests = policies.iter().filter_map(|policy| policy.request(&base, &bearer));
        Ok(requests
            .map(|request| {
                assert_eq!(request.url, "https://c.example/relay/policy");
                let Body::Bytes(bytes) = request.body else { panic!("a body") };
                String::from_utf8_lossy(&bytes).into_owned()
            })
            .collect())
    }

    #[test]
    fn a_policy_is_sent_whole_or_not_at_all() {
        let body = |platform, address, scopes, bots| {
            format!(
                r#"{{"platform":"{platform}","requireAddress":{address},"freeResponseScopes":{scopes},"allowOtherBots":{bots}}}"#
            )
        };
        for (text, expected) in [
            ("{}", vec![]),
            (r#"{"platform":"discord"}"#, vec![]),
            (
                r#"{"requireAddress":true}"#,
                vec![body("discord", true, "[]", false), body("slack", true, "[]", false)],
            ),
            (
                r#" [{"platform":"slack","freeResponseScopes":["C1"]},{"platform":"slack","allowOtherBots":true}]"#,
                vec![body("slack", true, "[]", true)],
            ),
        ] {
            assert_eq!(sent(text), Ok(expected), "{text}");
        }
        for (text, start) in [
            ("", "EOF while parsing"),
            (r#"{"requireAdress":true}"#, "unknown field `requireAdress`, expected one of"),
            (r#"{"requireAddress":"yes"}"#, "invalid type: string \"yes\""),
            (r#"{"platform":"irc"}"#, "this gateway does not speak for \"irc\": leave it out, or add"),
        ] {
            let error = sent(text).unwrap_err();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn only_200_accepts_a_policy() {
        let base = Base::new(&DialUrl::parse("wss://c.example").unwrap(), false).unwrap();
        let policy = parse(r#"{"platform":"slack"}"#, &identities()).unwrap().remove(0);
        let credentials = Credentials::new("gw-1", "hunter2");
        let read = |status, body: &[u8]| {
            policy
                .read(&base, &credentials, status, &HeaderMap::new(), body)
                .map_err(|error| error.to_string())
        };
        assert_eq!((read(200, b"{}"), read(200, b"")), (Ok(()), Ok(())));
        assert_eq!(read(204, b""), Err("c.example answered with status 204".into()));
        assert_eq!(read(404, br#"{"error":"no"}"#), Err("c.example answered with status 404: no".into()));
        // C-4: a server may echo the request, with a token minted at any time.
        let token = Bearer::mint(&credentials, 1000);
        let echo = format!(r#"{{"error":"no {}"}}"#, token.0.expose());
        assert_eq!(read(401, echo.as_bytes()), Err("c.example answered with status 401: no <hidden>".into()));
    }
}
