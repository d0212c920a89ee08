//! Configuration of the connector from the flags. No error quotes a value: it may be a secret.

use super::{ConnectorArgs, Refuse};
use relayline_connector::chats::Platform;
use relayline_connector::{ConnectorConfig, DEFAULT_TENANT, EnrollToken, UpgradeRefusal};
use relayline_core::secret::Secret;
use std::time::Duration;

pub(super) fn config(args: &ConnectorArgs) -> Result<ConnectorConfig, String> {
    let mut config = ConnectorConfig::default();
    for pair in &args.gateway {
        let (id, secret) = pair_of(pair).ok_or("--gateway: write ID=SECRET, neither of them empty")?;
        config = config.gateway(id, secret);
    }
    for pair in &args.delivery_key {
        let (id, key) = pair_of(pair).ok_or("--delivery-key: write ID=KEY, neither of them empty")?;
        if !config.gateways.iter().any(|account| account.id == id) {
            // An id is not a secret, but a misplaced value may be one.
            return Err("--delivery-key: no --gateway has that id: give one with the same id".to_owned());
        }
        config = config.delivery_key(id, key);
    }
    for pair in &args.wake_url {
        let (id, url) =
            pair.split_once('=').ok_or("--wake-url: write ID=URL, as in gw-1=http://127.0.0.1:8788/")?;
        if !config.gateways.iter().any(|account| account.id == id) {
            return Err(format!("--wake-url {id}: no --gateway has that id: give one with the same id"));
        }
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("--wake-url {id}: the URL must begin with http:// or https://"));
        }
        config = config.wake_url(id, url);
    }
    for token in &args.enroll_token {
        let (token, tenant) = tenant_of("--enroll-token", token)?;
        config = config.enroll_token(token, tenant);
    }
    for token in &args.access_token {
        let (token, tenant) = tenant_of("--access-token", token)?;
        config = config.identity(token, tenant);
    }
    let is_unusable = |token: &EnrollToken| !config.identities.iter().any(|who| who.tenant == token.tenant);
    if config.enroll_tokens.iter().any(is_unusable) {
        return Err(
            "--enroll-token: no gateway could use it: give an --access-token of the same tenant, too".into(),
        );
    }
    config.upgrade_refusal = match args.refuse {
        Refuse::Close => UpgradeRefusal::Close,
        Refuse::Http => UpgradeRefusal::Http,
    };
    config.like = args.like;
    config.media_ttl = Duration::from_millis(args.media_ttl_ms);
    if !args.platform.is_empty() {
        config.platforms = args.platform.iter().map(|name| Platform::named(name)).collect();
    }
    Ok(config)
}

/// Splits a pair. Errors do not quote it: it may be a secret (C-4).
fn pair_of(pair: &Secret) -> Option<(&str, &str)> {
    pair.expose().split_once('=').filter(|(id, secret)| !id.trim().is_empty() && !secret.trim().is_empty())
}

/// Splits a token and its tenant. A token may contain `=`, a tenant may not.
fn tenant_of<'a>(flag: &str, token: &'a Secret) -> Result<(&'a str, &'a str), String> {
    let (token, tenant) = token.expose().rsplit_once('=').unwrap_or((token.expose(), DEFAULT_TENANT));
    match token.trim().is_empty() || tenant.trim().is_empty() {
        true => Err(format!("{flag}: write TOKEN or TOKEN=TENANT, neither of them empty")),
        false => Ok((token.trim(), tenant.trim())),
    }
}
