//! Boot of a gateway: access token, provisioning and policies before the dial (H-4, H-5).

use crate::gateway::RuntimeName;
use crate::{token_command, unix_s};
use relayline_control::config::GatewayConfig;
use relayline_control::http::Bearer;
use relayline_control::http::access_token::{TokenSource, from_output};
use relayline_control::http::boot::{KnownAlready, Plan, Report};
use relayline_control::settings::Resolved;
use relayline_runtime::http::{Booted, Client, read_token_file};
use std::io;

/// Runs a boot plan, and reports the result of each step.
pub(crate) async fn run_plan(
    client: &Client,
    plan: Plan,
    report: impl FnMut(Report),
) -> Result<Booted, KnownAlready> {
    client.boot(plan, async |command| token_command::run(command), report).await
}

/// Runs the boot plan of a configuration, and returns the configuration for the dial. Logs steps that fail.
///
/// # Errors
/// There is no client, or the connector knows the gateway already and the gateway has no secret.
pub(crate) fn ready(runtime: RuntimeName, resolved: Resolved) -> io::Result<GatewayConfig> {
    let network = resolved.config.network.clone();
    let ready = runtime.with_client(&network, |client| async move {
        client.ready(resolved, async |command| token_command::run(command)).await
    })?;
    ready.map_err(io::Error::other)
}

/// Gets an access token from its source (H-8).
///
/// # Errors
/// Names the source and the cause.
pub(crate) async fn identity(client: &Client, source: TokenSource) -> Result<Bearer, String> {
    match source {
        TokenSource::Given(token) => Ok(token),
        TokenSource::Command(command) => {
            let token = token_command::run(command.expose())
                .and_then(|output| from_output(&output).map_err(|error| error.to_string()));
            token.map_err(|why| format!("the access token command: {why}"))
        }
        TokenSource::File(file) => {
            let token = match read_token_file(&file) {
                Ok(content) => file.read(&content, unix_s()),
                Err(why) => Err(file.unreadable(why)),
            };
            token.map_err(|error| error.to_string())
        }
        TokenSource::Endpoint(endpoint) => match client.send(&endpoint.request()).await {
            Ok(answer) => answer
                .read(|status, headers, body| endpoint.read(status, headers, body))
                .map_err(|error| error.to_string()),
            Err(failure) => Err(format!("the identity provider: {failure}")),
        },
    }
}
