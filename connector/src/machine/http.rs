//! Requests over HTTP (H): admission, response and observation.

use super::ConnectorMachine;
use crate::bearer::{Unauthenticated, bearer_token};
use crate::http::{HttpBody, HttpHead, HttpResponse, Refusal, Route, Served};
use crate::observation::{AskedBy, Observation};
use bytes::Bytes;
use relayline_core::time::Now;

/// An admitted request.
enum Admitted<'a> {
    /// By an identity of this tenant.
    Enroll(String),
    /// By an identity of this tenant.
    Provision(String),
    /// By this gateway.
    Policy(String),
    Upload(String),
    Download(String, &'a str),
}

impl ConnectorMachine {
    /// Returns the number of bytes to read of a request's body. It is 0 for a request that is refused for its head.
    pub fn http_body_limit(&self, now: Now, head: &HttpHead<'_>) -> usize {
        self.admit(now, head).map_or(0, |admitted| self.body_limit(&admitted))
    }

    fn body_limit(&self, admitted: &Admitted<'_>) -> usize {
        match admitted {
            Admitted::Download(..) => 0,
            Admitted::Enroll(_) | Admitted::Provision(_) | Admitted::Policy(_) => {
                self.config.limits.json_bytes
            }
            Admitted::Upload(_) => self.config.limits.media_file_bytes,
        }
    }

    /// Handles a request that is not a WebSocket upgrade, with at most [`http_body_limit`](Self::http_body_limit) bytes
    /// of its body, and returns the response.
    ///
    /// | request | admits | response |
    /// |---|---|---|
    /// | `POST /relay/enroll` | an identity, by an access token of its tenant | credentials; 403 for a token that is unknown, used, expired or of another tenant, and for an id that is another tenant's or revoked |
    /// | `POST /relay/provision` | an identity | credentials, which replace the earlier ones; 403 as above |
    /// | `POST /relay/policy` | a gateway, by an upgrade token | `{"ok": true}`; the policy is kept, by platform |
    /// | `POST /relay/media` | a gateway | an id; the file is kept for [`ConnectorConfig::media_ttl`](crate::ConnectorConfig::media_ttl) and as long as there is room |
    /// | `GET /relay/media/<id>` | the gateway that has uploaded the file | the file; 410 once it is gone, 404 if it never was, or is another gateway's |
    ///
    /// Each is an [`Observation::Http`]. The body of an error is `{"error": …}`: 400 for a malformed request, 401 for an
    /// unknown sender, 405, 408, 413.
    pub fn handle_http(&mut self, now: Now, head: &HttpHead<'_>, body: HttpBody) -> HttpResponse {
        let weight = head.path.len()
            + match &body {
                HttpBody::Whole(body) => body.len().min(self.config.limits.json_bytes),
                HttpBody::TooLarge | HttpBody::TooSlow => 0,
            };
        let (served, error) = match self.serve(now, head, body) {
            Ok(served) => (served, None),
            Err(refusal) => {
                let response = HttpResponse::refusal(&refusal);
                let gateway = refusal.gateway;
                (Served { gateway, response, asked: None, answered: None }, Some(refusal.error))
            }
        };
        self.observations.push(
            weight,
            Observation::Http {
                gateway: served.gateway,
                by: AskedBy::Gateway,
                method: head.method.to_owned(),
                path: head.path.to_owned(),
                status: Some(served.response.status),
                error,
                request: served.asked,
                answer: served.answered,
            },
        );
        served.response
    }

    fn serve(&mut self, now: Now, head: &HttpHead<'_>, body: HttpBody) -> Result<Served, Refusal> {
        let admitted = self.admit(now, head)?;
        let body = match body {
            HttpBody::Whole(body) if body.len() <= self.body_limit(&admitted) => Ok(body),
            HttpBody::Whole(_) | HttpBody::TooLarge => Err(Refusal::new(413, "the body is too large")),
            HttpBody::TooSlow => Err(Refusal::new(408, "the body did not come in time")),
        };
        let of = |body: Result<Bytes, Refusal>, id: &str| body.map_err(|refusal| refusal.of(id));
        self.has_durable_change |=
            matches!(admitted, Admitted::Enroll(_) | Admitted::Provision(_) | Admitted::Policy(_));
        match admitted {
            Admitted::Enroll(tenant) => self.enroll(now, &tenant, &body?),
            Admitted::Provision(tenant) => self.provision(&tenant, &body?),
            Admitted::Policy(id) => self.take_policy(&id, &of(body, &id)?).map_err(|refusal| refusal.of(&id)),
            Admitted::Upload(id) => {
                self.take_media(now, &id, head, of(body, &id)?).map_err(|refusal| refusal.of(&id))
            }
            Admitted::Download(id, media) => {
                self.give_media(now, &id, media).map_err(|refusal| refusal.of(&id))
            }
        }
    }

    /// Checks that there is such an endpoint, and that the sender may use it.
    fn admit<'a>(&self, now: Now, head: &HttpHead<'a>) -> Result<Admitted<'a>, Refusal> {
        let route = Route::new(head.path).ok_or_else(|| Refusal::new(404, "not found"))?;
        if route != Route::Socket && head.method != route.method() {
            let error = format!("{} here", route.method());
            return Err(Refusal { allow: Some(route.method()), ..Refusal::new(405, error) });
        }
        let tenant = || {
            let token = head.authorization.and_then(bearer_token);
            let tenant = token.and_then(|token| self.admission.tenant(token)).map(str::to_owned);
            tenant.ok_or_else(|| Refusal::new(401, "identity not verified"))
        };
        let gateway = || match self.authenticate(now, head.authorization) {
            Ok((id, _)) if self.gateways.get(&id).is_some_and(|gateway| gateway.is_revoked) => {
                Err(Refusal::new(401, "unauthorized").of(&id))
            }
            Ok((id, _)) => Ok(id),
            Err(Unauthenticated { id, error }) => Err(Refusal::new(401, error).of(&id)),
        };
        Ok(match route {
            Route::Socket => return Err(Refusal::new(426, "this is a WebSocket endpoint")),
            Route::Enroll => Admitted::Enroll(tenant()?),
            Route::Provision => Admitted::Provision(tenant()?),
            Route::Policy => Admitted::Policy(gateway()?),
            Route::Upload => Admitted::Upload(gateway()?),
            Route::Download(id) => Admitted::Download(gateway()?, id),
        })
    }
}
