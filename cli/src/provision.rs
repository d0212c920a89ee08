//! `relayline provision` and `relayline policy`: what `run` does before it dials, by hand (H-4, H-5).

use crate::boot::carry_out;
use crate::fail;
use crate::gateway::{GatewayArguments, Unresolved};
use clap::Args;
use relayline_control::http::boot::{Plan, Report};
use relayline_control::network::Network;
use relayline_runtime::http::Booted;
use std::io::{self, Write};
use std::process::ExitCode;

/// Ask the connector for a secret, once for each identity, as `run` does before it dials
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ACCESS_TOKEN=... \\
    relayline provision --identity discord:1 --identity slack:B1

One line for each identity says what came of it. The secrets are shown to nobody, and gone when this ends: what stays is
what the connector knows of the gateway now. A connector that issues a new secret each time makes the earlier ones void:
a gateway that runs with one of those is refused at its next dial. Where an id and a secret are set they are respected,
and nothing is asked.

Exit codes: 0 done, 1 one of them failed, or the connector knows the gateway already and issues no secret, 2 flags, environment or configuration file wrong.")]
pub(crate) struct ProvisionArguments {
    #[command(flatten)]
    pub(crate) gateway: GatewayArguments,
}

/// Tell the connector which messages of shared chats are meant for this gateway, as `run` does before it dials
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ID=gw-1 GATEWAY_RELAY_SECRET=... \\
    relayline policy --platform slack --policy '{\"requireAddress\": false, \"freeResponseScopes\": [\"C1\"]}'

A policy is a JSON object with `requireAddress`, `freeResponseScopes`, `allowOtherBots`, and `platform` if it is not
meant for all of them; or an array of such. One line for each platform says what came of it. Without an id and a secret,
one is asked for first, as `provision` does.

Exit codes: 0 done, 1 one of them failed, 2 flags, environment or configuration file wrong.")]
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
            "nothing to provision: an id and a secret are set, and respected; unset them to be issued new ones",
        );
    }
    let plan = resolved.plan.map(|plan| Plan { policies: Vec::new(), ..plan });
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

/// There is nothing to send, or nobody to be.
fn no_policy(has_credentials: bool) -> ExitCode {
    let why = if has_credentials {
        "nothing is set that the connector does not assume anyway: give --policy or set GATEWAY_RELAY_POLICY"
    } else {
        "a policy goes out with credentials: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET, or what provisions them, \
         and --policy or GATEWAY_RELAY_POLICY"
    };
    Unresolved::Unreadable(why.to_owned()).end()
}

fn run(gateway: &GatewayArguments, network: &Network, plan: Option<Plan>) -> ExitCode {
    let Some(plan) = plan else {
        return fail(1, "there is nothing to ask the connector");
    };
    let mut failed = false;
    let booted = gateway.network.runtime.with_client(network, |client| {
        let failed = &mut failed;
        async move { carry_out(&client, plan, |report| *failed |= !say(&report)).await }
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

/// One line on a step, and whether it went well.
fn say(report: &Report) -> bool {
    match report {
        Report::Provisioned(platform, true) => {
            line(format_args!("provisioning {platform}: done, secret <hidden>"))
        }
        Report::Provisioned(platform, false) => {
            line(format_args!("provisioning {platform}: no secret issued, it is known already"));
        }
        Report::Policy(platform) => line(format_args!("the policy for {platform}: taken")),
        Report::Failed { what, why } => line(format_args!("{what}: failed: {why}")),
        Report::Identity | Report::Nothing => {}
    }
    !matches!(report, Report::Failed { .. })
}

/// A reader that has left is none to tell.
fn line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}
