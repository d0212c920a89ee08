//! What a gateway does before it dials: identity token, provisioning, policies (H-4, H-5).

use crate::{token_command, unix_s};
use relayline_core::config::{Config, Credentials};
use relayline_core::http::Bearer;
use relayline_core::http::boot::{Boot, Plan, Report, Step};
use relayline_core::http::identity::{TokenSource, from_output};
use relayline_core::secret::Secret;
use relayline_core::settings::Resolved;
use relayline_runtime::http::Client;
use std::io;

use crate::gateway::RuntimeName;

/// How a boot ended.
#[derive(Debug)]
pub(crate) struct Booted {
    /// What to dial with.
    pub(crate) credentials: Option<Credentials>,
    /// What signs deliveries, if any was issued.
    pub(crate) delivery_key: Option<Secret>,
    /// The platforms whose policy was not sent, for want of credentials.
    pub(crate) unsent: Vec<String>,
}

/// Carries out a plan, and tells what comes of each step as it comes.
pub(crate) async fn carry_out(client: &Client, plan: Plan, mut tell: impl FnMut(Report)) -> Booted {
    let (mut boot, reports) = Boot::new(plan);
    reports.into_iter().for_each(&mut tell);
    loop {
        let report = match boot.next(unix_s()) {
            Step::Run(command) => {
                let output = token_command::run(&command);
                boot.printed(output.as_deref().map(Vec::as_slice).map_err(Clone::clone))
            }
            Step::Send(request) => match client.send(&request).await {
                Ok(answer) => answer.read(|status, headers, body| boot.answered(Ok((status, headers, body)))),
                Err(failure) => boot.answered(Err(failure)),
            },
            Step::Dial { credentials, delivery_key, unsent } => {
                return Booted { credentials, delivery_key, unsent };
            }
        };
        tell(report);
    }
}

/// Makes a resolved configuration ready to dial with. What fails is in the log, and stops nothing.
pub(crate) fn ready(runtime: RuntimeName, resolved: Resolved) -> io::Result<Config> {
    let Resolved { mut config, plan, .. } = resolved;
    let Some(plan) = plan else {
        return Ok(config);
    };
    let network = config.network.clone();
    let booted =
        runtime.with_client(&network, |client| async move { carry_out(&client, plan, log).await })?;
    if !booted.unsent.is_empty() {
        tracing::warn!(platforms = booted.unsent.join(","), "policy_unsent");
    }
    config.credentials = booted.credentials;
    // What was set is kept: during a rotation both are in use.
    config.delivery_keys.extend(booted.delivery_key.filter(|key| !config.delivery_keys.contains(key)));
    Ok(config)
}

fn log(report: Report) {
    match report {
        Report::Identity => tracing::info!("identity_token"),
        Report::Provisioned(platform, secret_issued) => {
            tracing::info!(platform, secret_issued, "provisioned");
        }
        Report::Policy(platform) => tracing::info!(platform, "policy_taken"),
        Report::Failed { what, why } => tracing::warn!(what, why, "boot_failed"),
        Report::Nothing => {}
    }
}

/// An identity token from its source (H-8), or why there is none.
pub(crate) async fn identity(client: &Client, source: TokenSource) -> Result<Bearer, String> {
    match source {
        TokenSource::Given(token) => Ok(token),
        TokenSource::Command(command) => {
            let token = token_command::run(&command)
                .and_then(|output| from_output(&output).map_err(|error| error.to_string()));
            token.map_err(|why| format!("the access token command: {why}"))
        }
        TokenSource::ClientCredentials(provider) => match client.send(&provider.request()).await {
            Ok(answer) => answer
                .read(|status, headers, body| provider.read(status, headers, body))
                .map_err(|error| error.to_string()),
            Err(failure) => Err(format!("the identity provider: {failure}")),
        },
    }
}
