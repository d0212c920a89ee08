//! Configuration from arguments, the environment, an env file and a configuration file, as a pure function: the
//! caller looks up variables and reads the files.
//!
//! [`table`] lists the settings with their flags, variables and keys. The configuration file also has
//! [`table::IDENTITY`] and [`table::POLICY`] as tables, and a table `[set]` for the limits of `--set`. The file may
//! contain secrets, so only its owner should be able to read it. Any other key is an error, unless it is one of the
//! host's own.
//!
//! `enabled = false` overrides the URL of every source: see [`ConfigError::Disabled`]. It is a setting like any other,
//! so a flag or the environment overrides the file.

mod arguments;
mod config_file;
mod enrollment;
mod env_file;
mod error;
mod identities;
pub(crate) mod limits;
pub(crate) mod names;
mod setting;
mod source;
mod sources;
pub mod table;
#[cfg(test)]
#[cfg(feature = "config-file")]
mod tests;
mod token_source;

pub use arguments::Arguments;
pub use config_file::{ConfigFile, HostSetting, HostValue};
pub use enrollment::{Enrollment, enrollment};
pub use env_file::EnvFile;
pub use error::ConfigError;
pub use limits::parse_time;
pub use names::Names;
pub use setting::Setting;
pub use source::Source;
pub use sources::Sources;

use crate::config::GatewayConfig;
use crate::http::boot::{Plan, Provisioning};
use crate::http::enroll::default_gateway_id;
use crate::http::policy::{self, Policy};
use crate::http::provision::Profile;
pub use limits::set as set_limit;
use relayline_core::config::{Config, Credentials, Identity};
use relayline_core::limits::NamedLimits;
use relayline_core::secret::Secret;
use relayline_core::signature;

/// A configuration, the plan of the steps before its first dial, and warnings for the host.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// The configuration.
    pub config: GatewayConfig,
    /// Provisioning and policies, which [`crate::http::boot::Boot`] carries out before the first dial; `None` if there
    /// are none. A gateway that dials without carrying them out has only what is configured.
    pub plan: Option<Plan>,
    /// True if any source names a platform. If not, the gateway's platform is `relay`.
    pub names_platform: bool,
    /// Contradictions that were resolved and values that look wrong, one sentence each.
    pub warnings: Vec<String>,
}

impl Resolved {
    /// Creates a configuration that names its platform, without warnings.
    pub fn new(config: GatewayConfig, plan: Option<Plan>) -> Resolved {
        Resolved { config, plan, names_platform: true, warnings: Vec::new() }
    }
}

/// Resolves the configuration: arguments override the environment, which overrides the env file, which overrides the
/// configuration file. A blank value counts as unset.
///
/// # Errors
/// Names the setting that is wrong or missing, and what to do.
pub fn resolve(sources: &Sources<'_>) -> Result<Resolved, ConfigError> {
    resolve_with(sources, &mut [])
}

/// Resolves the configuration as [`resolve`] does, and also sets the limits of `others`, which `--set` and the file's
/// `[set]` can name like those of [`GatewayConfig`].
///
/// # Errors
/// Returns the errors of [`resolve`].
pub fn resolve_with(
    sources: &Sources<'_>,
    others: &mut [&mut dyn NamedLimits],
) -> Result<Resolved, ConfigError> {
    check_enabled(sources)?;
    let url = sources.url(&table::URL)?;
    let allow_insecure = sources.bool(&table::ALLOW_INSECURE)?.unwrap_or(false);
    let source = token_source::resolve(sources, allow_insecure)?;
    let provisioning = provisioning(sources)?;
    let managed = sources.is_managed();
    let provisions = match provisioning {
        Provisioning::Auto => managed || source.is_some(),
        Provisioning::Always => true,
        Provisioning::Never => false,
    };
    let id = sources.find(&table::GATEWAY_ID);
    let credentials = credentials(sources, id.clone(), provisions)?;
    if credentials.is_some() {
        // C-6 applies to the dial and to the requests before it.
        sources.base(&url, allow_insecure)?;
    }

    let mut warnings = sources.quote_warnings();
    let mut identities = identities::resolve(sources, &mut warnings)?;
    let names_platform = !identities.is_empty();
    if !names_platform {
        identities.push(identities::none());
    }
    let policies = policies(sources, &identities)?;
    let hostname = sources.arguments.hostname.as_deref();
    let gateway_id = id.map_or_else(|| default_gateway_id(hostname), |id| id.text().to_owned());
    let profile = profile(sources, gateway_id)?;
    let is_set = policies.iter().any(Policy::is_set);
    let sends = credentials.is_some() && is_set;
    if is_set && !sends && !provisions {
        let why = "a policy is set but is not sent, since it needs credentials: set GATEWAY_RELAY_ID and \
                   GATEWAY_RELAY_SECRET, or have them provisioned";
        warnings.push(why.to_owned());
    }
    let plan = if (provisions && credentials.is_none()) || sends {
        Some(Plan {
            base: sources.base(&url, allow_insecure)?,
            credentials: credentials.clone(),
            provisioning,
            managed,
            source,
            profile,
            identities: identities.clone(),
            policies,
            names: sources.arguments.names,
        })
    } else {
        None
    };
    let mut config = GatewayConfig {
        allow_insecure,
        network: sources.network()?,
        inbound_listen: inbound_listen(sources)?,
        ..GatewayConfig::new(url, identities::none())
    };
    config.machine.credentials = credentials;
    config.machine.identities = identities;
    let keys = sources.line(&table::DELIVERY_KEY)?;
    config.machine.delivery_keys = keys.map(|keys| signature::keys(&keys.value)).unwrap_or_default();
    if config.inbound_listen.is_some() && config.machine.delivery_keys.is_empty() && !provisions {
        let why = "there is an address for webhook requests, but no key to verify them with, so each is rejected: set \
                   GATEWAY_RELAY_DELIVERY_KEY";
        warnings.push(why.to_owned());
    }
    set_switches(&mut config.machine, sources)?;
    set_limits(&mut config, others, sources)?;
    Ok(Resolved { config, plan, names_platform, warnings })
}

/// Checks that the relay is not switched off (H-9).
fn check_enabled(sources: &Sources<'_>) -> Result<(), ConfigError> {
    match sources.find(&table::ENABLED) {
        Some(setting) if !setting.bool()? => Err(ConfigError::Disabled(setting.source)),
        Some(_) | None => Ok(()),
    }
}

fn provisioning(sources: &Sources<'_>) -> Result<Provisioning, ConfigError> {
    let Some(setting) = sources.find(&table::PROVISION) else {
        return Ok(Provisioning::default());
    };
    match setting.text() {
        "auto" => Ok(Provisioning::Auto),
        "always" => Ok(Provisioning::Always),
        "never" => Ok(Provisioning::Never),
        _ => Err(setting.none_of(&["auto", "always", "never"])),
    }
}

/// Resolves id and secret. Both are set or neither (L-2), unless the secret is still to be provisioned (H-4).
fn credentials(
    sources: &Sources<'_>,
    id: Option<Setting>,
    provisions: bool,
) -> Result<Option<Credentials>, ConfigError> {
    match (id, sources.find(&table::SECRET)) {
        (Some(id), Some(secret)) => {
            let (id, secret) = (id.on_one_line()?, secret.on_one_line()?);
            Ok(Some(Credentials::new(id.text(), secret.secret())))
        }
        (None, None) => Ok(None),
        (Some(_), None) if provisions => Ok(None),
        (Some(id), None) => Err(ConfigError::NoSecret { id: id.source, names: sources.arguments.names }),
        (None, Some(secret)) => {
            Err(ConfigError::NoId { secret: secret.source, names: sources.arguments.names })
        }
    }
}

fn policies(sources: &Sources<'_>, identities: &[Identity]) -> Result<Vec<Policy>, ConfigError> {
    let Some(setting) = sources.find(&table::POLICY) else { return Ok(Vec::new()) };
    policy::parse(setting.text(), identities).map_err(|error| setting.invalid(error))
}

fn profile(sources: &Sources<'_>, gateway_id: String) -> Result<Profile, ConfigError> {
    let text = |spec| {
        let setting = sources.line(spec);
        setting.map(|setting| setting.map(|setting| setting.text().to_owned()))
    };
    let route_keys = sources.find(&table::ROUTE_KEYS);
    Ok(Profile {
        gateway_id,
        gateway_endpoint: text(&table::ENDPOINT)?.unwrap_or_default(),
        route_keys: route_keys.map(|keys| keys.list().map(str::to_owned).collect()).unwrap_or_default(),
        instance_id: text(&table::INSTANCE_ID)?,
        wake_url: text(&table::WAKE_URL)?,
        display_name: text(&table::DISPLAY_NAME)?,
    })
}

fn inbound_listen(sources: &Sources<'_>) -> Result<Option<String>, ConfigError> {
    let Some(setting) = sources.find(&table::INBOUND_LISTEN) else { return Ok(None) };
    let is_usable = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
    if setting.text().rsplit_once(':').is_some_and(is_usable) {
        Ok(Some(setting.text().to_owned()))
    } else {
        Err(setting.invalid(format_args!(
            "{} is not an address to listen on: write HOST:PORT, as in 0.0.0.0:8787",
            setting.quoted()
        )))
    }
}

/// Sets the rules for sharing a session (S-3, S-7, S-8), the reactions to a turn (O-15), and the parts of the
/// connector's frames that the host sees (X-4, X-5, I-6).
fn set_switches(config: &mut Config, sources: &Sources<'_>) -> Result<(), ConfigError> {
    for (slot, spec) in [
        (&mut config.slack_reply_in_thread, &table::SLACK_REPLY_IN_THREAD),
        (&mut config.slack_thread_sessions, &table::SLACK_THREAD_SESSIONS),
        (&mut config.sessions.group_sessions_per_user, &table::GROUP_SESSIONS_PER_USER),
        (&mut config.sessions.thread_sessions_per_user, &table::THREAD_SESSIONS_PER_USER),
        (&mut config.turn_reactions, &table::TURN_REACTIONS),
        (&mut config.raw_events, &table::RAW_EVENTS),
        (&mut config.unknown_frames, &table::UNKNOWN_FRAMES),
        (&mut config.prompts, &table::PROMPTS),
    ] {
        *slot = sources.bool(spec)?.unwrap_or(*slot);
    }
    Ok(())
}

/// Sets limits and time-outs: first from the file, then from the arguments, which override the file.
fn set_limits(
    config: &mut GatewayConfig,
    others: &mut [&mut dyn NamedLimits],
    sources: &Sources<'_>,
) -> Result<(), ConfigError> {
    let mut all: Vec<&mut dyn NamedLimits> =
        vec![&mut config.machine.limits, &mut config.machine.timing, &mut config.server];
    all.extend(others.iter_mut().map(|limits| &mut **limits as &mut dyn NamedLimits));
    for (name, value) in sources.config_file.into_iter().flat_map(|file| &file.set) {
        limits::set(&mut all, name, value.text()).map_err(|problem| value.invalid(problem))?;
    }
    for limit in sources.arguments.values(&table::SET).iter().map(Secret::expose) {
        let name = sources.arguments.names.of(&table::SET);
        let problem = |problem| ConfigError::invalid(format_args!("{name} {limit}"), problem);
        let (name, value) = limit.split_once('=').ok_or_else(|| problem("write NAME=VALUE".to_owned()))?;
        limits::set(&mut all, name.trim(), value.trim()).map_err(problem)?;
    }
    Ok(())
}
