//! The credentials that a connector issues, by enrolment or provisioning.

use super::failure::Failure;
use relayline_core::config::Credentials;
use relayline_core::json;
use relayline_core::secret::Secret;

/// Credentials that a connector has issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// What to dial with. The id is the one that the connector names, else the one that was asked for.
    pub credentials: Credentials,
    /// What signs deliveries (C-3), when the connector signs any.
    pub delivery_key: Option<Secret>,
    /// Whose gateway it is; for messages.
    pub tenant: Option<String>,
}

/// What an answer holds.
pub(super) enum Answer {
    Issued(Issued),
    /// No secret; and whether the answer says that none was meant to be issued.
    Nothing {
        on_purpose: bool,
    },
}

/// Reads an answer that [`super::failure::judge`] has let through. An id, secret or key with control characters is no
/// use: it would break the header or the file that it goes to.
pub(super) fn read(host: &str, text: &str, gateway_id: &str) -> Result<Answer, Failure> {
    let not_json = || Failure::NotJson { host: host.to_owned() };
    let names = ["secret", "deliveryKey", "tenant", "gatewayId", "secretIssued"];
    let [secret, delivery_key, tenant, id, issued] = json::fields(text, &names).ok_or_else(not_json)?;
    let usable = |raw: Option<&str>| {
        let text = raw.and_then(json::string).map(Secret::new)?;
        let plain = !text.is_blank() && !text.expose().chars().any(char::is_control);
        plain.then(|| Secret::from(text.expose().trim()))
    };
    let Some(secret) = usable(secret) else {
        return Ok(Answer::Nothing { on_purpose: issued == Some("false") });
    };
    let gateway_id = usable(id).map_or_else(|| gateway_id.to_owned(), |id| id.expose().to_owned());
    Ok(Answer::Issued(Issued {
        credentials: Credentials { gateway_id, secret },
        delivery_key: usable(delivery_key),
        tenant: usable(tenant).map(|tenant| tenant.expose().to_owned()),
    }))
}
