//! `relayline provision` and `relayline policy`: the steps of `run` before the dial, as commands (H-4, H-5).

use crate::boot::run_plan;
use crate::fail;
use crate::gateway::{GatewayArguments, Unresolved};
use clap::Args;
use relayline_control::http::boot::{Plan, Report};
use relayline_control::network::Network;
use relayline_runtime::http::Booted;
use std::io::{self, Write};
use std::process::ExitCode;

/// Request a secret from the connector for each identity, as `run` does before it dials.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ACCESS_TOKEN=... \\
    relayline provision --identity discord:1 --identity slack:B1

Prints one line with the result for each identity. Secrets are not printed or stored. A connector that issues a new
secret each time makes the previous one invalid: a gateway that runs with it is refused at its next dial. If an id and a
secret are set, nothing is requested.

Exit codes: 0 done; 1 a request failed, or the connector knows the gateway already and issues no secret; 2 flags,
environment or config file wrong.")]
pub(crate) struct ProvisionArguments {
    #[command(flatten)]
    pub(crate) gateway: GatewayArguments,
}

/// Send policies to the connector, as `run` does before it dials.
///
/// A policy says which messages of shared chats are meant for this gateway.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ID=gw-1 GATEWAY_RELAY_SECRET=... \\
    relayline policy --platform slack --policy '{\"requireAddress\": false, \"freeResponseScopes\": [\"C1\"]}'

A policy is a JSON object with `requireAddress`, `freeResponseScopes`, `allowOtherBots`, and `platform` if it is for one
platform only; several policies are an array. Prints one line with the result for each platform. Without an id and a
secret, it requests a secret first, as `provision` does.

Exit codes: 0 done; 1 a request failed; 2 flags, environment or config file wrong.")]
pub(crate) struct PolicyArguments {
    #[command(flatten)]
    pub(crate) gateway: GatewayArguments,
}

pub(crate) fn provision(arguments: &ProvisionArguments) -> ExitCode {
    let resolved = match arguments.gateway.resolve_to_provision() {
        Ok(resolved) => resolved,
        Err(error) => return error.end(),
    };
    if resolved.config.machine.credentials.is_some() {
        return crate::print(
            "nothing to provision: an id and a secret are set; unset them to request new ones",
        );
    }
    let mut plan = resolved.plan;
    plan.iter_mut().for_each(|plan| plan.policies.clear());
    run(&arguments.gateway, &resolved.config.network, plan)
}

pub(crate) fn policy(arguments: &PolicyArguments) -> ExitCode {
    let resolved = match arguments.gateway.resolve() {
        Ok(resolved) => resolved,
        Err(error) => return error.end(),
    };
    match resolved.plan {
        Some(plan) if !plan.policies.is_empty() => {
            run(&arguments.gateway, &resolved.config.network, Some(plan))
        }
        Some(_) | None => no_policy(resolved.config.machine.credentials.is_some()),
    }
}

/// Reports that there is no policy to send, or no credentials to send it with.
fn no_policy(has_credentials: bool) -> ExitCode {
    let why = if has_credentials {
        "no policy is set that differs from the connector's default: give --policy or set GATEWAY_RELAY_POLICY"
    } else {
        "a policy needs credentials: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET or an access token, and --policy or \
         GATEWAY_RELAY_POLICY"
    };
    Unresolved::Unreadable(why.to_owned()).end()
}

fn run(gateway: &GatewayArguments, network: &Network, plan: Option<Plan>) -> ExitCode {
    let Some(plan) = plan else {
        return fail(1, "nothing to request from the connector");
    };
    let mut failed = false;
    let booted = gateway.network.runtime.with_client(network, |client| {
        let failed = &mut failed;
        async move { run_plan(&client, plan, |report| *failed |= !say(&report)).await }
    });
    match booted {
        Ok(Err(known)) => fail(1, known),
        Ok(Ok(Booted { unsent, .. })) => {
            for platform in &unsent {
                line(format_args!("the policy for {platform}: not sent, since there are no credentials"));
            }
            if failed || !unsent.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS }
        }
        Err(error) => fail(1, error),
    }
}

/// Prints the result of a step. Returns false if it failed.
fn say(report: &Report) -> bool {
    match report {
        Report::Provisioned(platform, true) => {
            line(format_args!("provisioning {platform}: done, secret <hidden>"))
        }
        Report::Provisioned(platform, false) => {
            line(format_args!("provisioning {platform}: no secret issued, the gateway is known already"));
        }
        Report::Policy(platform) => line(format_args!("the policy for {platform}: accepted")),
        Report::Failed { what, why } => line(format_args!("{what}: failed: {why}")),
        Report::AccessToken | Report::Nothing => {}
    }
    !matches!(report, Report::Failed { .. })
}

/// Prints a line. A closed stdout is ignored.
fn line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}
