//! Handshake: connects a gateway as `run` does, reports the result, and disconnects.

use super::{CHECK_CREDENTIALS, Findings, MISSING_CREDENTIALS, Stop};
use crate::gateway::RuntimeName;
use futures_util::StreamExt;
use relayline_control::config::GatewayConfig;
use relayline_core::machine::CREDENTIALS_REJECTED;
use relayline_core::output::Notice;
use relayline_runtime::Incoming;

/// Connects a gateway, and waits for the result of its first dial. `names_platform` is true if the settings name a
/// platform: then the descriptor must be for it.
pub(super) fn handshake(
    runtime: RuntimeName,
    config: GatewayConfig,
    names_platform: bool,
    findings: &mut Findings,
) -> Result<(), Stop> {
    findings.wait("handshake", config.machine.timing.dial_timeout + config.machine.timing.handshake_timeout);
    let gateway_id = config.machine.credentials.as_ref().map(|credentials| credentials.gateway_id.clone());
    let platforms: Vec<String> =
        config.machine.identities.iter().map(|identity| identity.platform.clone()).collect();
    let result = runtime.host(config, None, |relay, mut inbox| async move {
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Notice(Notice::Connected { descriptor, .. }) => {
                    report_accepted(gateway_id.as_deref(), findings);
                    let (platform, version) = (&descriptor.platform, descriptor.contract_version);
                    findings.ok("handshake", format_args!("served for {platform:?}, contract {version}"));
                    if names_platform && !platforms.contains(platform) {
                        findings.warn("handshake", other_platform(platform, &platforms));
                    }
                    relay.disconnect().await;
                    return Ok(());
                }
                Incoming::Notice(Notice::Disconnected {
                    code: Some(CREDENTIALS_REJECTED), reason, ..
                }) => {
                    relay.disconnect().await;
                    return Err(report_rejected(gateway_id.as_deref(), &reason, findings));
                }
                Incoming::Notice(Notice::Disconnected { code, reason, .. }) => {
                    let code = code.map(|code| format!(" (close code {code})")).unwrap_or_default();
                    relay.disconnect().await;
                    report_accepted(gateway_id.as_deref(), findings);
                    return Err(findings.stop("handshake", format_args!("{reason}{code}")));
                }
                Incoming::Fatal(fatal) => return Err(findings.stop("handshake", fatal)),
                // Dropped events are refused: buffered ones are redelivered.
                _ => {}
            }
        }
        Err(findings.stop("handshake", "the connection ended before the handshake: try again"))
    });
    result?
}

/// Reports that the credentials were accepted, or that none are required.
fn report_accepted(gateway_id: Option<&str>, findings: &mut Findings) {
    match gateway_id {
        Some(id) => findings.ok("credentials", format_args!("the token of {id:?} was accepted")),
        None => findings.warn(
            "credentials",
            "none are set, and the connector requires none: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET if other \
             machines can reach it",
        ),
    }
}

/// Reports that the connector accepted the upgrade, and rejected the credentials by a close (L-7).
fn report_rejected(gateway_id: Option<&str>, reason: &str, findings: &mut Findings) -> Stop {
    match gateway_id {
        Some(_) => findings.stop(
            "credentials",
            format_args!("refused (close code {CREDENTIALS_REJECTED}, {reason}): {CHECK_CREDENTIALS}"),
        ),
        None => findings.stop(
            "credentials",
            format_args!("{MISSING_CREDENTIALS} (it closed with {CREDENTIALS_REJECTED}, {reason})"),
        ),
    }
}

/// Returns the warning for a descriptor of a platform that is not among `configured`.
fn other_platform(platform: &str, configured: &[String]) -> String {
    format!(
        "the descriptor is for {platform:?}, and this gateway is configured for {}: check --platform, or this gateway's bot \
         at the connector",
        configured.join(", ")
    )
}
