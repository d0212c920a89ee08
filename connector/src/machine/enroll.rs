//! Enrollment with a single-use token (H-1), and provisioning with an identity alone (H-4).

use super::ConnectorMachine;
use crate::account::Account;
use crate::config::MAX_NAMES;
use crate::gateway::Gateway;
use crate::http::{self, Fields, HIDDEN, HttpResponse, Refusal, Served};
use relayline_core::secret::Secret;
use relayline_core::time::Now;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Body of the response: the credentials and their account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_issued: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_key: Option<&'a str>,
    tenant: &'a str,
    gateway_id: &'a str,
}

impl<'a> Issued<'a> {
    fn new(id: &'a str, tenant: &'a str, claimed: Option<(&'a Secret, &'a Secret)>) -> Self {
        let (secret, delivery_key) = claimed.map(|(secret, key)| (secret.expose(), key.expose())).unzip();
        Issued { secret_issued: None, secret, delivery_key, tenant, gateway_id: id }
    }

    fn served(self, asked: Value) -> Served {
        let response = HttpResponse::json(200, &self);
        let gateway = self.gateway_id.to_owned();
        let hide = |secret: Option<&str>| secret.map(|_| HIDDEN);
        let (secret, delivery_key) = (hide(self.secret), hide(self.delivery_key));
        let shown = serde_json::to_value(Issued { secret, delivery_key, ..self }).ok();
        Served { gateway, response, asked: Some(asked), answered: shown }
    }
}

impl ConnectorMachine {
    /// Enrolls a gateway. An invalid token changes nothing, and neither does one of another tenant.
    pub(super) fn enroll(&mut self, now: Now, tenant: &str, body: &[u8]) -> Result<Served, Refusal> {
        let fields = Fields::read(body)?;
        let id = fields.name("gatewayId")?;
        let token = fields.text("enrollmentToken").map_err(|refusal| refusal.of(id))?.trim();
        let refuse = |error: &'static str| Refusal::new(403, error).of(id);
        self.admission.check(token, tenant, now.unix_s).map_err(refuse)?;
        self.may_have(id, tenant)?;
        self.admission.use_up(token);
        let issuer = &mut self.issuer;
        let account = match self.gateways.get_mut(id) {
            Some(gateway) => {
                gateway.account.replace(issuer);
                &mut gateway.account
            }
            None => {
                let gateway = Gateway::new(Account::issued(tenant, issuer));
                &mut self.gateways.entry(id.to_owned()).or_insert(gateway).account
            }
        };
        let asked = json!({ "enrollmentToken": HIDDEN, "gatewayId": id });
        Ok(Issued::new(id, tenant, account.claim()).served(asked))
    }

    /// Issues credentials on each call and makes the earlier ones invalid (H-4). Credentials of a rotation that were
    /// not fetched yet are handed out first.
    pub(super) fn provision(&mut self, tenant: &str, body: &[u8]) -> Result<Served, Refusal> {
        let fields = Fields::read(body)?;
        let id = fields.name("gatewayId")?;
        let profile = profile(&fields).map_err(|refusal| refusal.of(id))?;
        let platform = fields.name("platform")?.to_owned();
        self.may_have(id, tenant)?;
        let issuer = &mut self.issuer;
        let gateway = self.gateways.entry(id.to_owned());
        let account = &mut gateway.or_insert_with(|| Gateway::new(Account::issued(tenant, issuer))).account;
        if account.profiles.len() >= MAX_NAMES && !account.profiles.contains_key(&platform) {
            return Err(Refusal::new(503, "too many platforms").of(id));
        }
        let asked = Value::Object(profile.clone());
        account.profiles.insert(platform.clone(), profile);
        account.last_platform = Some(platform);
        if !account.is_unclaimed() {
            account.replace(&mut self.issuer);
        }
        let issued = Issued::new(id, tenant, account.claim());
        Ok(Issued { secret_issued: Some(issued.secret.is_some()), ..issued }.served(asked))
    }

    /// Checks that a gateway of this tenant may have that id.
    fn may_have(&self, id: &str, tenant: &str) -> Result<(), Refusal> {
        let refuse = |status, error: &str| Err(Refusal::new(status, error).of(id));
        match self.gateways.get(id) {
            Some(gateway) if gateway.account.tenant != tenant => {
                refuse(403, "the gateway id belongs to another tenant")
            }
            Some(gateway) if gateway.is_revoked => refuse(403, "the gateway is revoked"),
            Some(_) => Ok(()),
            None if self.gateways.len() >= self.config.limits.gateways => refuse(503, "too many gateways"),
            None => Ok(()),
        }
    }
}

/// Returns the fields that the protocol defines for a gateway's profile.
fn profile(fields: &Fields) -> Result<Map<String, Value>, Refusal> {
    let endpoint = fields.text("gatewayEndpoint")?;
    if !endpoint.is_empty() && http::endpoint(endpoint).is_none() {
        let error = "`gatewayEndpoint` must be an http or https URL without user-info, or empty";
        return Err(Refusal::new(400, error));
    }
    let mut profile = Map::new();
    let mut set = |name: &str, value: Value| profile.insert(name.to_owned(), value);
    set("gatewayId", fields.name("gatewayId")?.into());
    set("platform", fields.name("platform")?.into());
    set("botId", fields.text("botId")?.into());
    set("gatewayEndpoint", endpoint.into());
    set("routeKeys", fields.texts("routeKeys")?.into());
    for name in ["instanceId", "wakeUrl", "displayName"] {
        if let Some(text) = fields.optional_text(name)? {
            set(name, text.into());
        }
    }
    Ok(profile)
}
