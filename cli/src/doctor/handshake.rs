//! Handshake: connects a gateway, and disconnects it.

use super::{Findings, Stop};
use crate::gateway::RuntimeName;
use futures_util::StreamExt;
use relayline_control::config::GatewayConfig;
use relayline_core::output::Notice;
use relayline_runtime::Incoming;
use std::io;

/// Close code of rejected credentials (L-7).
const REFUSED: u16 = 4401;

pub(super) fn handshake(
    runtime: RuntimeName,
    config: GatewayConfig,
    names_platform: bool,
    findings: &mut Findings,
) -> io::Result<Result<(), Stop>> {
    findings.wait("handshake", config.machine.timing.dial_timeout + config.machine.timing.handshake_timeout);
    let gateway_id = config.machine.credentials.as_ref().map(|credentials| credentials.gateway_id.clone());
    let platforms: Vec<String> =
        config.machine.identities.iter().map(|identity| identity.platform.clone()).collect();
    runtime.host(config, |relay, mut inbox| async move {
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Notice(Notice::Connected { descriptor, .. }) => {
                    accepted(gateway_id.as_deref(), findings);
                    let (platform, version) = (&descriptor.platform, descriptor.contract_version);
                    findings.ok("handshake", format_args!("served for {platform:?}, contract {version}"));
                    if names_platform && !platforms.contains(platform) {
                        findings.warn("handshake", foreign(platform, &platforms));
                    }
                    relay.disconnect().await;
                    return Ok(());
                }
                Incoming::Notice(Notice::Disconnected { code: Some(REFUSED), reason, .. }) => {
                    relay.disconnect().await;
                    return Err(refused(gateway_id.as_deref(), &reason, findings));
                }
                Incoming::Notice(Notice::Disconnected { code, reason, .. }) => {
                    let code = code.map(|code| format!(" (close code {code})")).unwrap_or_default();
                    relay.disconnect().await;
                    accepted(gateway_id.as_deref(), findings);
                    return Err(findings.stop("handshake", format_args!("{reason}{code}")));
                }
                Incoming::Fatal(fatal) => return Err(findings.stop("handshake", fatal)),
                // Dropped events are refused: buffered ones are redelivered.
                _ => {}
            }
        }
        Err(findings.stop("handshake", "the connection ended before the handshake: try again"))
    })
}

/// Reports that the credentials were accepted, or that none are required.
fn accepted(gateway_id: Option<&str>, findings: &mut Findings) {
    match gateway_id {
        Some(id) => findings.ok("credentials", format_args!("the token of {id:?} was accepted")),
        None => findings.warn(
            "credentials",
            "none are set, and the connector requires none: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET if other \
             machines can reach it",
        ),
    }
}

/// L-7: the connector accepted the upgrade, and closed the connection because of the credentials.
fn refused(gateway_id: Option<&str>, reason: &str, findings: &mut Findings) -> Stop {
    match gateway_id {
        Some(_) => findings.stop(
            "credentials",
            format_args!(
                "refused (close code {REFUSED}, {reason}): check the gateway's id and secret, and enroll again if they \
                 were revoked"
            ),
        ),
        None => findings.stop(
            "credentials",
            format_args!(
                "none are set, and the connector requires them: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET, or enroll \
                 (it closed with {REFUSED}, {reason})"
            ),
        ),
    }
}

/// Returns the warning for a descriptor of another platform.
fn foreign(platform: &str, ours: &[String]) -> String {
    format!(
        "the descriptor is for {platform:?}, and this gateway is configured for {}: check --platform, or this gateway's bot \
         at the connector",
        ours.join(", ")
    )
}
