//! TLS and upgrade, by one request that asks for a WebSocket and hangs up.

use super::{Findings, Stop, Verdict, clock};
use crate::unix_s;
use relayline_core::config::Config;
use relayline_core::http::{Body, Failure, MAX_ANSWER, Method, Request, Unreachable, Value};
use relayline_core::secret::Secret;
use relayline_core::token::{self, TOKEN_TTL_S};
use relayline_runtime::http::Client;

/// Asks for the upgrade, as a dial would, and judges the answer.
pub(super) async fn probe(client: &Client, config: &Config, findings: &mut Findings) -> Result<(), Stop> {
    findings.wait("upgrade", config.timing.dial_timeout);
    let answer = match client.send(&upgrade(config)).await {
        Ok(answer) => answer,
        Err(failure) => return Err(no_answer(failure, findings)),
    };
    encryption(config, findings);
    let mut date = date(&answer.headers);
    if date.is_none() {
        // An upgrade need not say the time; an ordinary answer usually does.
        let plain = Request { headers: Vec::new(), ..upgrade(config) };
        date = client.send(&plain).await.ok().and_then(|answer| self::date(&answer.headers));
    }
    let clock = |findings: &mut Findings| clock::judge(date.as_deref(), unix_s(), findings);
    match (answer.status, &config.credentials) {
        (101, Some(credentials)) => {
            findings.ok("upgrade", "101");
            clock(findings);
            findings.ok("credentials", format_args!("the token of {:?} was taken", credentials.gateway_id));
            Ok(())
        }
        (101, None) => {
            findings.ok("upgrade", "101");
            clock(findings);
            findings.warn(
                "credentials",
                "none are set, and the connector wants none: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET where others can \
                 reach it",
            );
            Ok(())
        }
        (401, credentials) => {
            findings.ok("upgrade", "401: something there wants to know who asks");
            clock(findings);
            let why = match credentials {
                Some(_) => {
                    "refused (401): check the gateway's id and secret, and enroll again if they were revoked"
                }
                None => {
                    "there are none, and the connector wants some: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET, or enroll"
                }
            };
            Err(findings.stop("credentials", why))
        }
        (status @ 300..=399, _) => Err(findings.stop(
            "upgrade",
            format_args!(
                "{status}: a redirect, which is not followed: set the URL to the connector's own address"
            ),
        )),
        (status @ (429 | 500..=599), _) => Err(findings.stop(
            "upgrade",
            format_args!("{status}: the connector, or what stands before it, is not well: try again later"),
        )),
        (status, _) => Err(findings.stop(
            "upgrade",
            format_args!("{status}: no connector answers so: check the URL's host, port and path"),
        )),
    }
}

fn no_answer(failure: Failure, findings: &mut Findings) -> Stop {
    let step = match &failure {
        Failure::Unreachable { cause: Unreachable::Name(_), .. } => "dns",
        Failure::Unreachable { cause: Unreachable::Connect(_) | Unreachable::Proxy { .. }, .. } => "tcp",
        Failure::Unreachable { cause: Unreachable::Tls(_), .. } => "tls",
        // Whatever else there is, or comes to be.
        _ => "upgrade",
    };
    findings.stop(step, failure)
}

fn encryption(config: &Config, findings: &mut Findings) {
    match (config.url.is_secure(), config.url.is_loopback()) {
        (true, _) => findings.ok("tls", "the certificate is trusted"),
        (false, true) => findings.ok("tls", "none, and none is needed on this machine"),
        (false, false) => findings.say(Verdict::Warn, "tls", "none: others can read along, use wss://"),
    }
}

fn upgrade(config: &Config) -> Request {
    let plain = |text: &str| Value::Plain(text.to_owned());
    let mut headers = vec![
        ("connection", plain("Upgrade")),
        ("upgrade", plain("websocket")),
        ("sec-websocket-version", plain("13")),
        // Any sixteen bytes: nothing is ever said over this socket.
        ("sec-websocket-key", plain("cmVsYXlsaW5lIGRvY3Rvcg==")),
    ];
    if let Some(credentials) = &config.credentials {
        let token = token::mint(&credentials.gateway_id, &credentials.secret, unix_s(), TOKEN_TTL_S);
        headers.push(("authorization", Value::Secret(Secret::new(["Bearer ", token.expose()].concat()))));
    }
    Request {
        method: Method::Get,
        url: config.url.as_str().replacen("ws", "http", 1),
        headers,
        body: Body::Empty,
        timeout: config.timing.dial_timeout,
        max_answer: MAX_ANSWER,
    }
}

fn date(headers: &[(String, String)]) -> Option<String> {
    headers.iter().find(|(name, _)| name == "date").map(|(_, date)| date.clone())
}
