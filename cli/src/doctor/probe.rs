//! TLS and upgrade, by one upgrade request whose connection is closed after the answer.

use super::{CHECK_CREDENTIALS, Findings, MISSING_CREDENTIALS, Stop, Verdict, clock};
use crate::unix_s;
use http::Method;
use http::header::{DATE, HeaderMap};
use relayline_control::config::GatewayConfig;
use relayline_control::http::{Body, MAX_RESPONSE, Request, Unreachable};
use relayline_core::secret::Secret;
use relayline_core::token::{self, TOKEN_TTL_S};
use relayline_core::upgrade::Refusal;
use relayline_runtime::http::Client;

/// Requests the upgrade as a dial does, and reports on the answer.
pub(super) async fn probe(
    client: &Client,
    config: &GatewayConfig,
    findings: &mut Findings,
) -> Result<(), Stop> {
    findings.wait("upgrade", config.machine.timing.dial_timeout);
    let token =
        config.machine.credentials.as_ref().map(|credentials| {
            token::mint(&credentials.gateway_id, &credentials.secret, unix_s(), TOKEN_TTL_S)
        });
    let answer = match client.upgrade(&config.url, token, config.machine.timing.dial_timeout).await {
        Ok(answer) => answer,
        Err(cause) => return Err(no_answer(config, cause, findings)),
    };
    encryption(config, findings);
    let mut date = answer.header("date").map(str::to_owned);
    if date.is_none() {
        // The answer to an upgrade may lack a date. An ordinary answer usually has one.
        date = client.send(&plain(config)).await.ok().and_then(|answer| self::date(&answer.headers));
    }
    let clock = |findings: &mut Findings| clock::judge(date.as_deref(), unix_s(), findings);
    let Some(refusal) = answer.refusal() else {
        findings.ok("upgrade", "101");
        clock(findings);
        // The handshake shows if the connector accepts the credentials.
        return Ok(());
    };
    if refusal.verdict().is_none() && !refusal.is_foreign() {
        return Err(no_connector(config, &refusal, findings));
    }
    findings.ok("upgrade", format_args!("{}, credentials required", refusal.status));
    clock(findings);
    Err(refused(config, &refusal, findings))
}

/// Returns the secrets that an answer may repeat and that must be redacted (C-4).
fn hidden(config: &GatewayConfig) -> Vec<&Secret> {
    config.machine.credentials.iter().map(|credentials| &credentials.secret).collect()
}

/// Reports refused credentials. A 401 or 403 comes from the connector or from a proxy in front of it (L-9).
fn refused(config: &GatewayConfig, refusal: &Refusal<'_>, findings: &mut Findings) -> Stop {
    let said = refusal.describe(&hidden(config));
    match (&config.machine.credentials, refusal.verdict()) {
        (Some(_), Some(_)) => findings.stop(
            "credentials",
            format_args!("refused (401): {CHECK_CREDENTIALS} (the connector answered {said})"),
        ),
        (None, Some(_)) => {
            findings.stop("credentials", format_args!("{MISSING_CREDENTIALS} (it answered {said})"))
        }
        (Some(_), None) => findings.stop(
            "credentials",
            format_args!(
                "refused ({}), but not by a connector: ask the operator of the proxy or load balancer before it, and \
                 check the gateway's id and secret (the answer was {said})",
                refusal.status
            ),
        ),
        (None, None) => findings.stop(
            "credentials",
            format_args!(
                "none are set, and the connector, or a proxy or load balancer before it, requires them: set \
                 GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET, or ask its operator (the answer was {said})"
            ),
        ),
    }
}

fn no_connector(config: &GatewayConfig, refusal: &Refusal<'_>, findings: &mut Findings) -> Stop {
    let said = refusal.describe(&hidden(config));
    match refusal.status {
        300..=399 => findings.stop(
            "upgrade",
            format_args!(
                "{}: a redirect, which is not followed: set the URL to the connector's own address ({said})",
                refusal.status
            ),
        ),
        409 | 429 | 500..=599 => findings.stop(
            "upgrade",
            format_args!(
                "{}: the connector or a proxy before it is unavailable: try again later ({said})",
                refusal.status
            ),
        ),
        _ => findings.stop(
            "upgrade",
            format_args!(
                "{}: not the answer of a connector: check the URL's host, port and path ({said})",
                refusal.status
            ),
        ),
    }
}

fn no_answer(config: &GatewayConfig, cause: Unreachable, findings: &mut Findings) -> Stop {
    let step = match &cause {
        Unreachable::Name(_) => "dns",
        Unreachable::Connect(_) | Unreachable::Proxy { .. } => "tcp",
        Unreachable::Tls(_) => "tls",
        // Other causes, and those that later versions add.
        _ => "upgrade",
    };
    findings.stop(step, plain(config).unreachable(cause))
}

fn encryption(config: &GatewayConfig, findings: &mut Findings) {
    match (config.url.is_secure(), config.url.is_loopback()) {
        (true, _) => findings.ok("tls", "the certificate is trusted"),
        (false, true) => findings.ok("tls", "none, and none is required on this machine"),
        (false, false) => findings.say(Verdict::Warn, "tls", "none: others can read the traffic: use wss://"),
    }
}

/// Returns a plain request to the same URL, without upgrade and credentials.
fn plain(config: &GatewayConfig) -> Request {
    Request {
        method: Method::GET,
        url: config.url.as_str().replacen("ws", "http", 1),
        headers: HeaderMap::new(),
        body: Body::Empty,
        timeout: config.machine.timing.dial_timeout,
        max_response: MAX_RESPONSE,
    }
}

fn date(headers: &HeaderMap) -> Option<String> {
    headers.get(DATE)?.to_str().ok().map(str::to_owned)
}
