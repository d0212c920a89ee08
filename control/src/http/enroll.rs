//! Enrollment: exchanges a single-use token for a gateway's credentials.

use super::failure::{judge, said};
use super::issued::{self, Issuance};
use super::{Base, Bearer, Failure, Issued, Request};
use ::http::HeaderMap;
use relayline_core::id::Id;
use relayline_core::secret::Secret;
use serde::Serialize;

/// An enrollment.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Enroll {
    /// Base URL of the connector.
    pub base: Base,
    /// Access token of the identity.
    pub access_token: Bearer,
    /// Single-use token that the connector's operator issued.
    pub enrollment_token: Secret,
    /// Id that the gateway asks for.
    pub gateway_id: String,
}

/// Error returned when an enrollment fails. It contains no secret of the request or the response.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrollError {
    /// 401: the connector could not verify the access token.
    #[error("the connector could not verify your identity (401): get a fresh access token and try again")]
    NotVerified,
    /// 403: the connector refused the enrollment token, with its reason.
    #[error("the enrollment token was refused (403): {0}")]
    Refused(String),
    /// The response has no usable secret.
    #[error("unexpected response from {0}: it holds no usable secret, check the URL")]
    NoSecret(String),
    /// The exchange failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnrollBody<'a> {
    enrollment_token: &'a str,
    gateway_id: &'a str,
}

impl Enroll {
    /// Creates the enrollment of a gateway under the id that it proposes.
    pub fn new(
        base: Base,
        access_token: Bearer,
        enrollment_token: impl Into<Secret>,
        gateway_id: impl Into<Id>,
    ) -> Enroll {
        let (enrollment_token, gateway_id) = (enrollment_token.into(), gateway_id.into().into());
        Enroll { base, access_token, enrollment_token, gateway_id }
    }

    /// Returns the request. Do not retry it: the token may be used up.
    pub fn request(&self) -> Request {
        let body = EnrollBody {
            enrollment_token: self.enrollment_token.expose().trim(),
            gateway_id: &self.gateway_id,
        };
        Request::json(self.base.endpoint("enroll"), &self.access_token, &body)
    }

    /// Reads the response.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Issued, EnrollError> {
        let hidden = [&self.access_token.0, &self.enrollment_token];
        let text = match judge(self.base.host(), status, headers, body, &hidden) {
            Ok(text) => text,
            Err(Failure::Status { status: 401, .. }) => return Err(EnrollError::NotVerified),
            Err(Failure::Status { status: 403, .. }) => {
                let why = said(body, "error", &hidden);
                let usual = "invalid, expired, already used, or tenant mismatch";
                return Err(EnrollError::Refused(why.unwrap_or_else(|| usual.to_owned())));
            }
            Err(failure) => return Err(failure.into()),
        };
        match issued::read(self.base.host(), &text, &self.gateway_id)? {
            Issuance::Issued(issued) => Ok(issued),
            Issuance::Nothing { .. } => Err(EnrollError::NoSecret(self.base.host().to_owned())),
        }
    }
}

/// Returns the id that a gateway asks for by default, named after its host.
pub fn default_gateway_id(hostname: Option<&str>) -> String {
    let hostname = hostname.map(str::trim).filter(|name| !name.is_empty());
    format!("gw-{}", hostname.unwrap_or("hermes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Body, Unreachable, headers};
    use crate::url::DialUrl;
    use ::http::Method;
    use std::time::Duration;

    fn enroll() -> Enroll {
        Enroll {
            base: Base::new(&DialUrl::parse("wss://c.example/relay").unwrap(), false).unwrap(),
            access_token: Bearer::new(&Secret::new("acc3ss")).unwrap(),
            enrollment_token: Secret::new("s1ngle-use\n"),
            gateway_id: "gw-1".into(),
        }
    }

    #[test]
    fn enrolment_is_one_request() {
        let request = enroll().request();
        assert_eq!((request.method, request.url.as_str()), (Method::POST, "https://c.example/relay/enroll"));
        let json = "application/json";
        let expected = [("authorization", "Bearer acc3ss"), ("content-type", json), ("accept", json)];
        assert_eq!(request.headers, headers(&expected));
        let Body::Bytes(bytes) = request.body else { panic!("a body") };
        assert_eq!(*bytes, br#"{"enrollmentToken":"s1ngle-use","gatewayId":"gw-1"}"#);
        assert_eq!((request.timeout, request.max_response), (Duration::from_secs(15), 65536));
    }

    #[test]
    fn enrolment_brings_credentials() {
        let all =
            br#"{"secret":"5\u0065cret","deliveryKey":"dk","tenant":"acme","gatewayId":"gw-2","more":1}"#;
        let issued = enroll().read(200, &HeaderMap::new(), all).unwrap();
        assert_eq!(
            (issued.credentials.gateway_id.as_str(), issued.credentials.secret.expose()),
            ("gw-2", "5ecret")
        );
        assert_eq!((issued.delivery_key, issued.tenant.as_deref()), (Some(Secret::new("dk")), Some("acme")));
        let least = enroll().read(201, &HeaderMap::new(), br#"{"secret":"x","deliveryKey":null}"#).unwrap();
        assert_eq!((least.credentials.gateway_id.as_str(), least.delivery_key), ("gw-1", None));
    }

    #[test]
    fn each_failure_of_an_enrolment_has_its_message() {
        let redirect = [("Location", "https://evil.example/x?t=1")];
        let large = vec![b' '; 200 << 10];
        let no_secret = "unexpected response from c.example: it holds no usable secret, check the URL";
        let not_json = "unexpected response from c.example: not a JSON object, check the URL";
        for (status, pairs, body, expected) in [
            (
                401,
                &[][..],
                &br#"{"error":"no"}"#[..],
                "the connector could not verify your identity (401): get a fresh access token and try again",
            ),
            (
                403,
                &[],
                br#"{"error":"token\n s1ngle-use \u001b[1m was used"}"#,
                "the enrollment token was refused (403): token <hidden> [1m was used",
            ),
            (
                403,
                &[],
                b"<html>",
                "the enrollment token was refused (403): invalid, expired, already used, or tenant mismatch",
            ),
            (500, &[], br#"{"error":"out of order"}"#, "c.example answered with status 500: out of order"),
            (502, &[], b"<html>Bad gateway", "c.example answered with status 502"),
            (200, &[], b"<html>", not_json),
            (200, &[], b"[]", not_json),
            (200, &[], b"\xff", not_json),
            (204, &[], b"", not_json),
            (200, &[], b"{}", no_secret),
            (200, &[], br#"{"secret":" "}"#, no_secret),
            (200, &[], br#"{"secret":7}"#, no_secret),
            // The line break would write another line into the file.
            (200, &[], br#"{"secret":"a\nPATH=/evil"}"#, no_secret),
            (
                200,
                &[],
                &large,
                "c.example answered with more than 65536 bytes: this is not a connector's answer, check the URL",
            ),
            (
                307,
                &redirect,
                b"",
                "c.example answered with a redirect to evil.example (status 307), which is not followed: set \
                 GATEWAY_RELAY_URL to the connector's own address",
            ),
        ] {
            let error = enroll().read(status, &headers(pairs), body).unwrap_err();
            assert_eq!(error.to_string(), expected, "{status}");
        }
        for (cause, expected) in [
            (
                Unreachable::Connect("connection refused".into()),
                "no connection (connection refused): is the connector running, and the port right?",
            ),
            (
                Unreachable::Name("no such name".into()),
                "its name cannot be looked up (no such name): check the URL and the network's DNS",
            ),
            (
                Unreachable::Tls("its certificate has expired: renew it".into()),
                "TLS failed: its certificate has expired: renew it",
            ),
            (Unreachable::TimedOut(Duration::from_secs(15)), "no complete answer within 15 s"),
            (Unreachable::Broken("reset".into()), "the connection broke (reset)"),
        ] {
            let error = EnrollError::from(enroll().request().unreachable(cause));
            assert_eq!(error.to_string(), format!("could not reach c.example: {expected}"));
        }
    }

    #[test]
    fn a_gateway_is_named_after_its_host() {
        assert_eq!(default_gateway_id(Some("box\n")), "gw-box");
        assert_eq!(default_gateway_id(Some(" ")), "gw-hermes");
        assert_eq!(default_gateway_id(None), "gw-hermes");
    }
}
