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
    findings: &mut Findings,
) -> io::Result<Result<(), Stop>> {
    runtime.host(config, |relay, mut inbox| async move {
        while let Some(incoming) = inbox.next().await {
            match incoming {
                Incoming::Notice(Notice::Connected { descriptor, .. }) => {
                    let (platform, version) = (&descriptor.platform, descriptor.contract_version);
                    findings.ok("handshake", format_args!("served for {platform:?}, contract {version}"));
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
