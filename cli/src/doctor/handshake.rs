//! The handshake: a gateway that connects, and leaves again.

use super::{Findings, Stop};
use crate::gateway::RuntimeName;
use futures_util::StreamExt;
use relayline_core::config::Config;
use relayline_core::output::Notice;
use relayline_runtime::Incoming;
use std::io;

pub(super) fn handshake(
    runtime: RuntimeName,
    config: Config,
    names_platform: bool,
    findings: &mut Findings,
) -> io::Result<Result<(), Stop>> {
    findings.wait("handshake", config.timing.dial_timeout + config.timing.handshake_timeout);
    let platforms: Vec<String> = config.identities.iter().map(|identity| identity.platform.clone()).collect();
    runtime.host(config, |relay, mut inbox| async move {
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Notice(Notice::Connected { descriptor, .. }) => {
                    let (platform, version) = (&descriptor.platform, descriptor.contract_version);
                    findings.ok("handshake", format_args!("served for {platform:?}, contract {version}"));
                    if names_platform && !platforms.contains(platform) {
                        findings.warn("handshake", foreign(platform, &platforms));
                    }
                    relay.disconnect().await;
                    return Ok(());
                }
                Incoming::Notice(Notice::Disconnected { code, reason, .. }) => {
                    let code = code.map(|code| format!(" (close code {code})")).unwrap_or_default();
                    relay.disconnect().await;
                    return Err(findings.stop("handshake", format_args!("{reason}{code}")));
                }
                Incoming::Fatal(fatal) => return Err(findings.stop("handshake", fatal)),
                // Messages and the like are dropped, and what is buffered comes again.
                _ => {}
            }
        }
        Err(findings.stop("handshake", "the connection ended before it"))
    })
}

/// What to say of a descriptor that is none of the gateway's platforms.
fn foreign(platform: &str, ours: &[String]) -> String {
    format!(
        "the descriptor is that of {platform:?}, and this gateway speaks for {}: check --platform, or what the connector \
         knows of this gateway's bot",
        ours.join(", ")
    )
}
