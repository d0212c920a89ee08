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
mod layers;
pub(crate) mod limits;
mod names;
#[cfg(test)]
mod tests;
mod token_source;

pub use arguments::{Arguments, FileText, Files};
pub use enrollment::{Enrollment, enrollment};
pub use error::ConfigError;
pub use file::file_keys;
pub use glance::{Glance, HostSetting, HostValue, glance};
pub use layers::Origin;
pub use token_source::SourceError;

use crate::config::GatewayConfig;
use crate::http::Base;
use crate::http::boot::{Plan, When};
use crate::http::enroll::default_gateway_id;
use crate::http::policy::{self, Policy};
use crate::http::provision::Profile;
use crate::network::Network;
use crate::url::DialUrl;
use layers::{Found, Layers, Name};
use relayline_core::config::{Config, Credentials, Identity};
use relayline_core::limits::NamedLimits;
use relayline_core::secret::Secret;
use relayline_core::signature;

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
    let layers = Layers::read(environment, files)?;
    let environment: &dyn Fn(&str) -> Option<String> = &|name| layers.look_up(name);
    on(arguments, &layers)?;
    let url = url(arguments.url.as_deref(), "--url", &layers)?;
    let allow_insecure = allow_insecure(arguments, &layers)?;
    let source = token_source::resolve(arguments, &layers, allow_insecure)?;
    let when = when(arguments, &layers)?;
    let managed = managed(arguments, environment);
    let provisions = match when {
        When::Auto => managed || source.is_some(),
        When::Always => true,
        When::Never => false,
    };
    let id = layers.find(arguments.gateway_id.as_deref(), &names::GATEWAY_ID);
    let credentials = credentials(arguments, &layers, id.clone(), provisions)?;
    if credentials.is_some() {
        // C-6, for the dial as for what comes before it.
        Base::new(&url, allow_insecure)?;
    }

    let mut warnings = layers.quoted();
    let mut identities = identities::resolve(arguments, &layers, &mut warnings)?;
    let names_platform = !identities.is_empty();
    if !names_platform {
        identities.push(identities::none());
    }
    let policies = policies(arguments, &layers, &identities)?;
    let gateway_id =
        id.map_or_else(|| default_gateway_id(arguments.hostname.as_deref()), |id| id.text().to_owned());
    let profile = profile(arguments, &layers, gateway_id)?;
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
            when,
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
        inbound_listen: listen(arguments, &layers)?,
        ..GatewayConfig::new(url, identities::none())
    };
    config.machine.credentials = credentials;
    config.machine.identities = identities;
    config.machine.delivery_keys = delivery_keys(arguments, &layers)?;
    if config.inbound_listen.is_some() && config.machine.delivery_keys.is_empty() && !provisions {
        warnings.push(
            "signed deliveries are taken, but there is no key to check them with: set GATEWAY_RELAY_DELIVERY_KEY, or \
             each is refused"
                .to_owned(),
        );
    }
    switches(&mut config.machine, arguments, &layers)?;
    limits(&mut config, others, arguments, &layers)?;
    Ok(Resolved { config, plan, names_platform, warnings })
}

/// Whether the relay is switched on, which it is unless somebody says otherwise (H-9).
fn on(arguments: &Arguments, layers: &Layers<'_>) -> Result<(), ConfigError> {
    match flag(arguments.enabled, &names::ENABLED, layers) {
        Some(found) if !switch(&found)? => Err(ConfigError::Disabled(found.from)),
        Some(_) | None => Ok(()),
    }
}

fn flag(argument: Option<bool>, name: &Name, layers: &Layers<'_>) -> Option<Found> {
    layers.find(argument.map(|on| on.to_string()).as_deref(), name)
}

fn switch(found: &Found) -> Result<bool, ConfigError> {
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

fn url(argument: Option<&str>, flag: &'static str, layers: &Layers<'_>) -> Result<DialUrl, ConfigError> {
    let name = Name { flag, ..names::URL };
    let found = layers.find(argument, &name).ok_or(ConfigError::NoUrl(flag))?;
    DialUrl::parse(found.text()).map_err(|error| ConfigError::Url { from: found.from, error })
}

fn allow_insecure(arguments: &Arguments, layers: &Layers<'_>) -> Result<bool, ConfigError> {
    let found = layers.find(None, &names::ALLOW_INSECURE);
    Ok(arguments.allow_insecure || found.as_ref().map(switch).transpose()?.unwrap_or(false))
}

fn when(arguments: &Arguments, layers: &Layers<'_>) -> Result<When, ConfigError> {
    if let Some(when) = arguments.provision {
        return Ok(when);
    }
    let Some(found) = layers.find(None, &names::PROVISION) else {
        return Ok(When::default());
    };
    match found.text() {
        "auto" => Ok(When::Auto),
        "always" => Ok(When::Always),
        "never" => Ok(When::Never),
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
    layers: &Layers<'_>,
    id: Option<Found>,
    provisions: bool,
) -> Result<Option<Credentials>, ConfigError> {
    let secret = layers.find(arguments.secret.as_ref().map(Secret::expose), &names::SECRET);
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
    layers: &Layers<'_>,
    identities: &[Identity],
) -> Result<Vec<Policy>, ConfigError> {
    let Some(found) = layers.find(arguments.policy.as_deref(), &names::POLICY) else {
        return Ok(Vec::new());
    };
    policy::parse(found.text(), identities).map_err(|error| ConfigError::Policy { from: found.from, error })
}

fn profile(arguments: &Arguments, layers: &Layers<'_>, gateway_id: String) -> Result<Profile, ConfigError> {
    let text = |argument: &Option<String>, name| plain(layers.find(argument.as_deref(), name));
    let route_keys = layers.find(arguments.route_keys.as_deref(), &names::ROUTE_KEYS);
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
fn plain(found: Option<Found>) -> Result<Option<String>, ConfigError> {
    Ok(found.map(on_one_line).transpose()?.map(|found| found.text().to_owned()))
}

/// The same: a file with two secrets in it must not become one that nobody knows.
fn on_one_line(found: Found) -> Result<Found, ConfigError> {
    match found.text().chars().any(char::is_control) {
        true => Err(ConfigError::Control(found.from)),
        false => Ok(found),
    }
}

fn listen(arguments: &Arguments, layers: &Layers<'_>) -> Result<Option<String>, ConfigError> {
    let Some(found) = layers.find(arguments.inbound_listen.as_deref(), &names::INBOUND_LISTEN) else {
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

fn delivery_keys(arguments: &Arguments, layers: &Layers<'_>) -> Result<Vec<Secret>, ConfigError> {
    let argument = arguments.delivery_key.as_ref().map(Secret::expose);
    let keys = layers.find(argument, &names::DELIVERY_KEY).map(on_one_line).transpose()?;
    Ok(keys.map(|keys| signature::keys(&keys.value)).unwrap_or_default())
}

/// Sets which messages share a session (S-3, S-7, S-8), what shows a turn (O-15), and what the host is shown (X-4, X-5,
/// I-6).
fn switches(config: &mut Config, arguments: &Arguments, layers: &Layers<'_>) -> Result<(), ConfigError> {
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
        if let Some(found) = flag(argument, name, layers) {
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
    layers: &Layers<'_>,
) -> Result<(), ConfigError> {
    let mut all: Vec<&mut dyn NamedLimits> =
        vec![&mut config.machine.limits, &mut config.machine.timing, &mut config.server];
    all.extend(others.iter_mut().map(|limits| &mut **limits as &mut dyn NamedLimits));
    for (name, value, from) in &layers.file.set {
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
