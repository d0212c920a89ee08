//! Configuration out of arguments, the environment, an env file and a configuration file (H-9), as a pure function: the
//! environment is a look-up that the caller gives, and the files are texts that it has read.
//!
//! The configuration file is TOML, and its keys are the flags' names without their dashes: `url`, `gateway-id`, `secret`
//! or `secret-file`, `delivery-key` or `delivery-key-file`, `ca-file`, `platform` and `bot-id` or `[[identity]]` tables of both, `endpoint`, `route-keys`, `instance-id`,
//! `wake-url`, `display-name`, `enroll-token`, `access-token`, `access-token-command`, `access-token-file`, `inbound-listen`, `provision`,
//! `slack-reply-in-thread`, `slack-thread-sessions`, `group-sessions-per-user`, `thread-sessions-per-user`,
//! `turn-reactions`, `raw-events`, `unknown-frames`, `prompts`, `allow-insecure`, `enabled`; in `[idp]` `token-url`, `client-id`, `client-secret`, `scope`; `[[policy]]` tables of
//! `platform`, `require-address`, `free-response-scopes`, `allow-other-bots`; in `[set]` what `--set` sets. It may hold
//! secrets, so it should be readable to its owner alone. Any other key is an error, unless it is the host's own.
//!
//! `enabled = false` beats every URL, wherever that is said: [`ConfigError::Disabled`]. Itself it is a setting like any
//! other, so that a flag or the environment can overrule a file's.

mod arguments;
mod enrollment;
mod error;
mod file;
mod glance;
mod identities;
pub(crate) mod limits;
mod names;
mod sources;
#[cfg(test)]
mod tests;
mod token_source;

pub use arguments::{Arguments, FileText, Files};
pub use enrollment::{Enrollment, enrollment};
pub use error::ConfigError;
pub use file::file_keys;
pub use glance::{Glance, HostSetting, HostValue, glance};
pub use sources::Source;
pub use token_source::SourceError;

use crate::config::GatewayConfig;
use crate::http::Base;
use crate::http::boot::{Plan, Provisioning};
use crate::http::enroll::default_gateway_id;
use crate::http::policy::{self, Policy};
use crate::http::provision::Profile;
use crate::network::Network;
use crate::url::DialUrl;
use relayline_core::config::{Config, Credentials, Identity};
use relayline_core::limits::NamedLimits;
use relayline_core::secret::Secret;
use relayline_core::signature;
use sources::{Name, Setting, Sources};

/// A configuration, what is to be done before it is dialled with, and what the host should be warned of.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// The configuration.
    pub config: GatewayConfig,
    /// What to provision and which policies to send first (H-4, H-5): [`crate::http::boot::Boot`] carries it out. `None`
    /// when there is nothing of it to do. Who dials without it dials with what is configured alone.
    pub plan: Option<Plan>,
    /// Whether anything names a platform. If not, the gateway says that it is one of `relay`'s.
    pub names_platform: bool,
    /// Contradictions that were settled and values that look wrong, a sentence each.
    pub warnings: Vec<String>,
}

/// Resolves the configuration: argument, else environment, else env file, else configuration file (H-9). What is blank
/// counts as unset (L-2).
pub fn resolve(
    arguments: &Arguments,
    environment: &dyn Fn(&str) -> Option<String>,
    files: &Files<'_>,
) -> Result<Resolved, ConfigError> {
    resolve_with(arguments, environment, files, &mut [])
}

/// Resolves the configuration as [`resolve`] does, and sets limits of `others` too, which `--set` and the file's `[set]`
/// know beside those of [`GatewayConfig`].
pub fn resolve_with(
    arguments: &Arguments,
    environment: &dyn Fn(&str) -> Option<String>,
    files: &Files<'_>,
    others: &mut [&mut dyn NamedLimits],
) -> Result<Resolved, ConfigError> {
    let sources = Sources::read(environment, files)?;
    let environment: &dyn Fn(&str) -> Option<String> = &|name| sources.look_up(name);
    on(arguments, &sources)?;
    let url = url(arguments.url.as_deref(), "--url", &sources)?;
    let allow_insecure = allow_insecure(arguments, &sources)?;
    let source = token_source::resolve(arguments, &sources, allow_insecure)?;
    let when = when(arguments, &sources)?;
    let managed = managed(arguments, environment);
    let provisions = match when {
        Provisioning::Auto => managed || source.is_some(),
        Provisioning::Always => true,
        Provisioning::Never => false,
    };
    let id = sources.find(arguments.gateway_id.as_deref(), &names::GATEWAY_ID);
    let credentials = credentials(arguments, &sources, id.clone(), provisions)?;
    if credentials.is_some() {
        // C-6, for the dial as for what comes before it.
        Base::new(&url, allow_insecure)?;
    }

    let mut warnings = sources.quoted();
    let mut identities = identities::resolve(arguments, &sources, &mut warnings)?;
    let names_platform = !identities.is_empty();
    if !names_platform {
        identities.push(identities::none());
    }
    let policies = policies(arguments, &sources, &identities)?;
    let gateway_id =
        id.map_or_else(|| default_gateway_id(arguments.hostname.as_deref()), |id| id.text().to_owned());
    let profile = profile(arguments, &sources, gateway_id)?;
    let is_set = policies.iter().any(Policy::is_set);
    let sends = credentials.is_some() && is_set;
    if is_set && !sends && !provisions {
        let why = "a policy is set and goes to nobody, since it goes out with credentials: set GATEWAY_RELAY_ID and \
                   GATEWAY_RELAY_SECRET, or what provisions them";
        warnings.push(why.to_owned());
    }
    let plan = if (provisions && credentials.is_none()) || sends {
        Some(Plan {
            base: Base::new(&url, allow_insecure)?,
            credentials: credentials.clone(),
            provisioning: when,
            managed,
            source,
            profile,
            identities: identities.clone(),
            policies,
        })
    } else {
        None
    };
    let mut config = GatewayConfig {
        allow_insecure,
        network: Network::resolve(arguments.ca_certificates.clone(), environment)?,
        inbound_listen: listen(arguments, &sources)?,
        ..GatewayConfig::new(url, identities::none())
    };
    config.machine.credentials = credentials;
    config.machine.identities = identities;
    config.machine.delivery_keys = delivery_keys(arguments, &sources)?;
    if config.inbound_listen.is_some() && config.machine.delivery_keys.is_empty() && !provisions {
        warnings.push(
            "signed deliveries are taken, but there is no key to check them with: set GATEWAY_RELAY_DELIVERY_KEY, or \
             each is refused"
                .to_owned(),
        );
    }
    switches(&mut config.machine, arguments, &sources)?;
    limits(&mut config, others, arguments, &sources)?;
    Ok(Resolved { config, plan, names_platform, warnings })
}

/// Whether the relay is switched on, which it is unless somebody says otherwise (H-9).
fn on(arguments: &Arguments, sources: &Sources<'_>) -> Result<(), ConfigError> {
    match flag(arguments.enabled, &names::ENABLED, sources) {
        Some(found) if !switch(&found)? => Err(ConfigError::Disabled(found.from)),
        Some(_) | None => Ok(()),
    }
}

fn flag(argument: Option<bool>, name: &Name, sources: &Sources<'_>) -> Option<Setting> {
    sources.find(argument.map(|on| on.to_string()).as_deref(), name)
}

fn switch(found: &Setting) -> Result<bool, ConfigError> {
    match found.text().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ConfigError::Word {
            from: found.from.clone(),
            value: found.text().to_owned(),
            wanted: "true, false, on, off",
        }),
    }
}

fn url(argument: Option<&str>, flag: &'static str, sources: &Sources<'_>) -> Result<DialUrl, ConfigError> {
    let name = Name { flag, ..names::URL };
    let found = sources.find(argument, &name).ok_or(ConfigError::NoUrl(flag))?;
    DialUrl::parse(found.text()).map_err(|error| ConfigError::Url { from: found.from, error })
}

fn allow_insecure(arguments: &Arguments, sources: &Sources<'_>) -> Result<bool, ConfigError> {
    let found = sources.find(None, &names::ALLOW_INSECURE);
    Ok(arguments.allow_insecure || found.as_ref().map(switch).transpose()?.unwrap_or(false))
}

fn when(arguments: &Arguments, sources: &Sources<'_>) -> Result<Provisioning, ConfigError> {
    if let Some(when) = arguments.provision {
        return Ok(when);
    }
    let Some(found) = sources.find(None, &names::PROVISION) else {
        return Ok(Provisioning::default());
    };
    match found.text() {
        "auto" => Ok(Provisioning::Auto),
        "always" => Ok(Provisioning::Always),
        "never" => Ok(Provisioning::Never),
        value => Err(ConfigError::Word {
            value: value.to_owned(),
            wanted: "auto, always, never",
            from: found.from,
        }),
    }
}

/// Whether the install is managed (H-3): `HERMES_MANAGED` says so, if it is not one of the words for no; it may name who
/// manages it.
pub fn managed(arguments: &Arguments, environment: &dyn Fn(&str) -> Option<String>) -> bool {
    let said = environment(names::MANAGED).unwrap_or_default().trim().to_ascii_lowercase();
    arguments.managed || !matches!(said.as_str(), "" | "0" | "false" | "no" | "off")
}

/// Id and secret come together or not at all (L-2), unless the secret is still to be provisioned (H-4).
fn credentials(
    arguments: &Arguments,
    sources: &Sources<'_>,
    id: Option<Setting>,
    provisions: bool,
) -> Result<Option<Credentials>, ConfigError> {
    let secret = sources.find(arguments.secret.as_ref().map(Secret::expose), &names::SECRET);
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let (id, secret) = (on_one_line(id)?, on_one_line(secret)?);
            Ok(Some(Credentials { gateway_id: id.text().to_owned(), secret: secret.secret() }))
        }
        (None, None) => Ok(None),
        (Some(_), None) if provisions => Ok(None),
        (Some(id), None) => Err(ConfigError::NoSecret(id.from)),
        (None, Some(secret)) => Err(ConfigError::NoId(secret.from)),
    }
}

fn policies(
    arguments: &Arguments,
    sources: &Sources<'_>,
    identities: &[Identity],
) -> Result<Vec<Policy>, ConfigError> {
    let Some(found) = sources.find(arguments.policy.as_deref(), &names::POLICY) else {
        return Ok(Vec::new());
    };
    policy::parse(found.text(), identities).map_err(|error| ConfigError::Policy { from: found.from, error })
}

fn profile(arguments: &Arguments, sources: &Sources<'_>, gateway_id: String) -> Result<Profile, ConfigError> {
    let text = |argument: &Option<String>, name| plain(sources.find(argument.as_deref(), name));
    let route_keys = sources.find(arguments.route_keys.as_deref(), &names::ROUTE_KEYS);
    Ok(Profile {
        gateway_id,
        gateway_endpoint: text(&arguments.endpoint, &names::ENDPOINT)?.unwrap_or_default(),
        route_keys: route_keys.map(|keys| keys.list().map(str::to_owned).collect()).unwrap_or_default(),
        instance_id: text(&arguments.instance_id, &names::INSTANCE_ID)?,
        wake_url: text(&arguments.wake_url, &names::WAKE_URL)?,
        display_name: text(&arguments.display_name, &names::DISPLAY_NAME)?,
    })
}

/// A text without control characters.
fn plain(found: Option<Setting>) -> Result<Option<String>, ConfigError> {
    Ok(found.map(on_one_line).transpose()?.map(|found| found.text().to_owned()))
}

/// The same: a file with two secrets in it must not become one that nobody knows.
fn on_one_line(found: Setting) -> Result<Setting, ConfigError> {
    match found.text().chars().any(char::is_control) {
        true => Err(ConfigError::Control(found.from)),
        false => Ok(found),
    }
}

fn listen(arguments: &Arguments, sources: &Sources<'_>) -> Result<Option<String>, ConfigError> {
    let Some(found) = sources.find(arguments.inbound_listen.as_deref(), &names::INBOUND_LISTEN) else {
        return Ok(None);
    };
    let text = found.text().to_owned();
    let usable = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
    if text.rsplit_once(':').is_some_and(usable) {
        Ok(Some(text))
    } else {
        Err(ConfigError::Listen { from: found.from, value: text })
    }
}

fn delivery_keys(arguments: &Arguments, sources: &Sources<'_>) -> Result<Vec<Secret>, ConfigError> {
    let argument = arguments.delivery_key.as_ref().map(Secret::expose);
    let keys = sources.find(argument, &names::DELIVERY_KEY).map(on_one_line).transpose()?;
    Ok(keys.map(|keys| signature::keys(&keys.value)).unwrap_or_default())
}

/// Sets which messages share a session (S-3, S-7, S-8), what shows a turn (O-15), and what the host is shown (X-4, X-5,
/// I-6).
fn switches(config: &mut Config, arguments: &Arguments, sources: &Sources<'_>) -> Result<(), ConfigError> {
    let sessions = &mut config.sessions;
    for (slot, argument, name) in [
        (&mut config.slack_reply_in_thread, arguments.slack_reply_in_thread, &names::SLACK_REPLY_IN_THREAD),
        (&mut config.slack_thread_sessions, arguments.slack_thread_sessions, &names::SLACK_THREAD_SESSIONS),
        (
            &mut sessions.group_sessions_per_user,
            arguments.group_sessions_per_user,
            &names::GROUP_SESSIONS_PER_USER,
        ),
        (
            &mut sessions.thread_sessions_per_user,
            arguments.thread_sessions_per_user,
            &names::THREAD_SESSIONS_PER_USER,
        ),
        (&mut config.turn_reactions, arguments.turn_reactions, &names::TURN_REACTIONS),
        (&mut config.raw_events, arguments.raw_events, &names::RAW_EVENTS),
        (&mut config.unknown_frames, arguments.unknown_frames, &names::UNKNOWN_FRAMES),
        (&mut config.prompts, arguments.prompts, &names::PROMPTS),
    ] {
        if let Some(found) = flag(argument, name, sources) {
            *slot = switch(&found)?;
        }
    }
    Ok(())
}

/// Sets limits and time-outs: the file's first, then the arguments', which override them.
fn limits(
    config: &mut GatewayConfig,
    others: &mut [&mut dyn NamedLimits],
    arguments: &Arguments,
    sources: &Sources<'_>,
) -> Result<(), ConfigError> {
    let mut all: Vec<&mut dyn NamedLimits> =
        vec![&mut config.machine.limits, &mut config.machine.timing, &mut config.server];
    all.extend(others.iter_mut().map(|limits| &mut **limits as &mut dyn NamedLimits));
    for (name, value, from) in &sources.file.set {
        let problem = |problem| ConfigError::Setting { setting: from.to_string(), problem };
        limits::set(&mut all, name, value.trim()).map_err(problem)?;
    }
    for setting in &arguments.set {
        let problem = |problem| ConfigError::Setting { setting: format!("--set {setting}"), problem };
        let (name, value) = setting.split_once('=').ok_or_else(|| problem("write NAME=VALUE".into()))?;
        limits::set(&mut all, name.trim(), value.trim()).map_err(problem)?;
    }
    Ok(())
}
