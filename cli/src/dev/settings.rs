//! Limits of `relayline dev`, resolved as those of `run`, without the environment: a gateway of production must not meet this
//! connector.

use crate::gateway::HostLimits;
use relayline_control::config::GatewayConfig;
use relayline_control::settings::{self, Arguments, Names, Sources, table};

/// Sets limits, texts `NAME=VALUE` of which the last counts, in a configuration. Returns those of the program.
///
/// # Errors
/// A name or a value is wrong: the text for the user.
pub(super) fn apply(config: &mut GatewayConfig, limits: &[String]) -> Result<HostLimits, String> {
    let mut arguments = Arguments::default();
    arguments.names = Names::Flags;
    arguments.push(&table::URL, config.url.to_string());
    limits.iter().for_each(|limit| arguments.push(&table::SET, limit.as_str()));
    let mut host = HostLimits::default();
    let HostLimits { agent, queue, acp, control } = &mut host;
    let resolved =
        settings::resolve_with(&Sources::new(&arguments, &|_| None), &mut [agent, queue, acp, control]);
    let mut resolved = resolved.map_err(|error| error.to_string())?.config;
    resolved.machine.identities.clone_from(&config.machine.identities);
    resolved.machine.credentials.clone_from(&config.machine.credentials);
    *config = resolved;
    Ok(host)
}
