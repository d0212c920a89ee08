//! Credentials that a connector issues, by enrollment or provisioning.

use super::failure::Failure;
use relayline_core::config::Credentials;
use relayline_core::json;
use relayline_core::secret::Secret;

/// Credentials that a connector has issued.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// Credentials to dial with. The id is the connector's, else the one that was asked for.
    pub credentials: Credentials,
    /// Key that signs webhook requests, if the connector signs them.
    pub delivery_key: Option<Secret>,
    /// Tenant of the gateway, for messages.
    pub tenant: Option<String>,
}

/// Content of a response.
pub(super) enum Issuance {
    Issued(Issued),
    /// No secret. The flag is true if the response says that none was meant to be issued.
    Nothing {
        on_purpose: bool,
    },
}

/// Reads a response that [`super::failure::judge`] has accepted. An id, secret or key with control characters is
/// unusable: it would break a header or a file.
pub(super) fn read(host: &str, text: &str, gateway_id: &str) -> Result<Issuance, Failure> {
    let not_json = || Failure::NotJson { host: host.to_owned() };
    let names = ["secret", "deliveryKey", "tenant", "gatewayId", "secretIssued"];
    let [secret, delivery_key, tenant, id, issued] = json::fields(text, &names).ok_or_else(not_json)?;
    let usable = |raw: Option<&str>| {
        let text = raw.and_then(json::string).map(Secret::new)?;
        let plain = !text.is_blank() && !text.expose().chars().any(char::is_control);
        plain.then(|| Secret::from(text.expose().trim()))
    };
    let Some(secret) = usable(secret) else {
        return Ok(Issuance::Nothing { on_purpose: issued == Some("false") });
    };
    let gateway_id = usable(id).map_or_else(|| gateway_id.to_owned(), |id| id.expose().to_owned());
    Ok(Issuance::Issued(Issued {
        credentials: Credentials::new(gateway_id, secret),
        delivery_key: usable(delivery_key),
        tenant: usable(tenant).map(|tenant| tenant.expose().to_owned()),
    }))
}
