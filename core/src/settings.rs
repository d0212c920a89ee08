//! Configuration out of arguments and the environment (H-9), as a pure function: the environment is a look-up
//! that the caller gives.

use crate::config::{Config, Credentials, Identity};
use crate::network::{CaCertificates, Network, ProxyError};
use crate::secret::Secret;
use crate::url::{DialUrl, UrlError};
use serde_json::Value;

/// What the caller was given as arguments; each goes before the environment (H-9).
#[derive(Clone, Default, Debug)]
pub struct Arguments {
    /// `--url`
    pub url: Option<String>,
    /// `--gateway-id`
    pub gateway_id: Option<String>,
    /// The secret out of `--secret-file`; never an argument itself.
    pub secret: Option<Secret>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--bot-id`
    pub bot_id: Option<String>,
    /// `--identity PLATFORM[:BOT_ID]`, each; they go before `--platform`.
    pub identities: Vec<String>,
    /// `--set NAME=VALUE`, each.
    pub set: Vec<String>,
    /// `--allow-insecure` (C-6)
    pub allow_insecure: bool,
    /// What the file of `--ca-file` or `SSL_CERT_FILE` holds.
    pub ca_certificates: Option<CaCertificates>,
}

/// What is wrong with a configuration, naming the argument or variable. A host's mistake, never a peer's fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No URL was given.
    #[error("no connector URL: give --url or set GATEWAY_RELAY_URL, as in wss://connector.example")]
    NoUrl,
    /// The URL cannot be dialled (L-1).
    #[error("{from}: {error}")]
    Url {
        /// The argument or variable.
        from: &'static str,
        /// What is wrong with it.
        error: UrlError,
    },
    /// An id without a secret (L-2).
    #[error(
        "{0} is set, but there is no secret to it: set GATEWAY_RELAY_SECRET or give --secret-file, or unset the id"
    )]
    NoSecret(&'static str),
    /// A secret without an id (L-2).
    #[error(
        "{0} is set, but there is no id to it: set GATEWAY_RELAY_ID or give --gateway-id, or unset the secret"
    )]
    NoId(&'static str),
    /// Credentials would go out in the clear (C-6).
    #[error(
        "{0} is no loopback address, and its scheme is not encrypted: use wss:// or https://, or give \
         --allow-insecure to send credentials in the clear"
    )]
    Insecure(String),
    /// An identity without a platform, or a platform without its name.
    #[error("{from}: {value:?} names no platform: write PLATFORM or PLATFORM:BOT_ID")]
    Identity {
        /// The argument or variable.
        from: &'static str,
        /// What was given.
        value: String,
    },
    /// Two identities of one platform: what is sent names a platform (M-3), so that the second could never be meant.
    #[error(
        "{0} is named twice: a gateway speaks for one bot of each platform, so run a second gateway for the other"
    )]
    Twice(String),
    /// The bot ids are no JSON object of the right shape.
    #[error("GATEWAY_RELAY_BOT_IDS: {0}: write {{\"discord\": {{\"botId\": \"123\"}}}}")]
    BotIds(String),
    /// A variable that is about proxies.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A file of certificates that cannot be used.
    #[error("{from}: {problem}")]
    CaFile {
        /// The argument or variable, and the file.
        from: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `--set` without `=`, an unknown name, or a bad value.
    #[error("--set {setting}: {problem}")]
    Setting {
        /// What was given.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A configuration, and what the host should be warned of.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// Contradictions that were settled, a sentence each.
    pub warnings: Vec<String>,
}

/// Resolves the configuration: argument, else environment (H-9). White space alone counts as unset (L-2).
pub fn resolve(
    arguments: &Arguments,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Resolved, ConfigError> {
    let mut warnings = Vec::new();
    let pick = |argument: &Option<String>, flag: &'static str, variable: &'static str| {
        let given = argument.clone().map(|value| (value, flag));
        let found = || environment(variable).map(|value| (value, variable));
        given
            .filter(|(value, _)| !value.trim().is_empty())
            .or_else(found)
            .filter(|(v, _)| !v.trim().is_empty())
    };
    let (url, from) = pick(&arguments.url, "--url", "GATEWAY_RELAY_URL").ok_or(ConfigError::NoUrl)?;
    let url = DialUrl::parse(&url).map_err(|error| ConfigError::Url { from, error })?;

    let id = pick(&arguments.gateway_id, "--gateway-id", "GATEWAY_RELAY_ID");
    let secret = arguments.secret.clone().map(|secret| (secret, "--secret-file"));
    let secret = secret.filter(|(secret, _)| !secret.is_blank()).or_else(|| {
        environment("GATEWAY_RELAY_SECRET").map(|secret| (Secret::new(secret), "GATEWAY_RELAY_SECRET"))
    });
    let credentials = match (id, secret.filter(|(secret, _)| !secret.is_blank())) {
        (Some((id, _)), Some((secret, _))) => Some(Credentials {
            gateway_id: id.trim().to_owned(),
            // A secret out of a file or a shell may have a newline at its end.
            secret: Secret::new(secret.expose().trim()),
        }),
        (None, None) => None,
        (Some((_, from)), None) => return Err(ConfigError::NoSecret(from)),
        (None, Some((_, from))) => return Err(ConfigError::NoId(from)),
    };
    if credentials.is_some() && !url.is_secure() && !url.is_loopback() && !arguments.allow_insecure {
        return Err(ConfigError::Insecure(url.to_string()));
    }

    let identities = identities(arguments, environment, &mut warnings)?;
    for (at, Identity { platform, .. }) in identities.iter().enumerate() {
        if identities[..at].iter().any(|earlier| earlier.platform == *platform) {
            return Err(ConfigError::Twice(platform.clone()));
        }
    }
    let mut config = Config { credentials, identities, ..Config::new(url, none()) };
    config.allow_insecure = arguments.allow_insecure;
    config.network = Network::resolve(arguments.ca_certificates.clone(), environment)?;
    for setting in &arguments.set {
        let (name, value) = setting.split_once('=').ok_or_else(|| ConfigError::Setting {
            setting: setting.clone(),
            problem: "write NAME=VALUE".into(),
        })?;
        config
            .set(name.trim(), value.trim())
            .map_err(|problem| ConfigError::Setting { setting: setting.clone(), problem })?;
    }
    Ok(Resolved { config, warnings })
}

/// What a gateway is that was told no platform (H-9).
fn none() -> Identity {
    Identity { platform: "relay".into(), bot_id: String::new() }
}

fn identities(
    arguments: &Arguments,
    environment: &dyn Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Identity>, ConfigError> {
    let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    if !arguments.identities.is_empty() {
        return arguments.identities.iter().map(|text| identity(text, "--identity")).collect();
    }
    if let Some(platform) = &arguments.platform {
        let bot_id =
            arguments.bot_id.clone().or_else(|| variable("GATEWAY_RELAY_BOT_ID")).unwrap_or_default();
        let platform = identity(platform, "--platform")?.platform;
        return Ok(vec![Identity { platform, bot_id: bot_id.trim().to_owned() }]);
    }
    let single = variable("GATEWAY_RELAY_PLATFORM");
    let single_id = arguments.bot_id.clone().or_else(|| variable("GATEWAY_RELAY_BOT_ID"));
    let ids = match variable("GATEWAY_RELAY_BOT_IDS") {
        None => serde_json::Map::new(),
        Some(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(ids)) => ids,
            Ok(_) => return Err(ConfigError::BotIds("no JSON object".into())),
            Err(error) => return Err(ConfigError::BotIds(error.to_string())),
        },
    };
    let bot_id = |platform: &str| match ids.get(platform).map(|entry| entry.get("botId").unwrap_or(entry)) {
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        Some(_) => Err(ConfigError::BotIds(format!("no bot id for {platform:?}"))),
        None => Ok(String::new()),
    };
    if let Some(list) = variable("GATEWAY_RELAY_PLATFORMS") {
        let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Err(ConfigError::Identity { from: "GATEWAY_RELAY_PLATFORMS", value: list });
        }
        if single.as_ref().is_some_and(|single| !names.contains(&single.trim())) {
            warnings.push(
                "GATEWAY_RELAY_PLATFORM and GATEWAY_RELAY_PLATFORMS differ: the plural one counts".to_owned(),
            );
        }
        let mut identities = Vec::new();
        for name in names {
            let mut id = bot_id(name)?;
            if id.is_empty() && single.as_deref().map(str::trim) == Some(name) {
                id = single_id.clone().unwrap_or_default().trim().to_owned();
            }
            identities.push(Identity { platform: name.to_owned(), bot_id: id });
        }
        return Ok(identities);
    }
    let Some(platform) = single else {
        return Ok(vec![none()]);
    };
    let platform = identity(&platform, "GATEWAY_RELAY_PLATFORM")?.platform;
    let plural = bot_id(&platform)?;
    let single_id = single_id.unwrap_or_default().trim().to_owned();
    if !plural.is_empty() && !single_id.is_empty() && plural != single_id {
        warnings
            .push("GATEWAY_RELAY_BOT_ID and GATEWAY_RELAY_BOT_IDS differ: the plural one counts".to_owned());
    }
    let bot_id = if plural.is_empty() { single_id } else { plural };
    Ok(vec![Identity { platform, bot_id }])
}

/// `PLATFORM[:BOT_ID]`; the bot id may hold colons.
fn identity(text: &str, from: &'static str) -> Result<Identity, ConfigError> {
    let (platform, bot_id) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
    if platform.is_empty() {
        return Err(ConfigError::Identity { from, value: text.to_owned() });
    }
    Ok(Identity { platform: platform.to_owned(), bot_id: bot_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &Arguments, environment: &[(&str, &str)]) -> Result<Resolved, ConfigError> {
        resolve(arguments, &|name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[track_caller]
    fn fails(arguments: &Arguments, environment: &[(&str, &str)], message: &str) {
        assert_eq!(run(arguments, environment).unwrap_err().to_string(), message);
    }

    const URL: (&str, &str) = ("GATEWAY_RELAY_URL", "ws://127.0.0.1:9");

    #[test]
    fn h_9_an_argument_goes_before_the_environment() {
        let arguments = Arguments { url: Some("wss://a.example".into()), ..Arguments::default() };
        assert_eq!(run(&arguments, &[URL]).unwrap().config.url.as_str(), "wss://a.example/relay");
        assert_eq!(run(&Arguments::default(), &[URL]).unwrap().config.url.as_str(), "ws://127.0.0.1:9/relay");
    }

    #[test]
    fn l_2_id_and_secret_come_together_or_not_at_all() {
        let id = ("GATEWAY_RELAY_ID", "gw-1");
        let secret = ("GATEWAY_RELAY_SECRET", "hunter2\n");
        let none = Arguments::default();
        let both = run(&none, &[URL, id, secret]).unwrap().config.credentials.unwrap();
        assert_eq!((both.gateway_id.as_str(), both.secret.expose()), ("gw-1", "hunter2"));
        assert_eq!(run(&none, &[URL]).unwrap().config.credentials, None);
        let blank = [URL, ("GATEWAY_RELAY_ID", " "), ("GATEWAY_RELAY_SECRET", "\t")];
        assert_eq!(run(&none, &blank).unwrap().config.credentials, None);
        fails(
            &none,
            &[URL, id],
            "GATEWAY_RELAY_ID is set, but there is no secret to it: set GATEWAY_RELAY_SECRET or give \
             --secret-file, or unset the id",
        );
        fails(
            &none,
            &[URL, secret],
            "GATEWAY_RELAY_SECRET is set, but there is no id to it: set GATEWAY_RELAY_ID or give --gateway-id, \
             or unset the secret",
        );
    }

    #[test]
    fn c_6_credentials_in_the_clear_stay_on_loopback() {
        let far = [
            ("GATEWAY_RELAY_URL", "ws://c.example"),
            ("GATEWAY_RELAY_ID", "gw-1"),
            ("GATEWAY_RELAY_SECRET", "hunter2"),
        ];
        assert!(matches!(run(&Arguments::default(), &far), Err(ConfigError::Insecure(_))));
        assert!(run(&Arguments { allow_insecure: true, ..Arguments::default() }, &far).is_ok());
        assert!(run(&Arguments::default(), &far[..1]).is_ok());
    }

    #[test]
    fn l_1_errors_name_where_the_url_came_from() {
        let none = Arguments::default();
        fails(
            &none,
            &[],
            "no connector URL: give --url or set GATEWAY_RELAY_URL, as in wss://connector.example",
        );
        fails(
            &none,
            &[("GATEWAY_RELAY_URL", "ftp://x")],
            r#"GATEWAY_RELAY_URL: "ftp://x" is no ws, wss, http or https URL"#,
        );
        let arguments = Arguments { url: Some("ftp://x".into()), ..Arguments::default() };
        fails(&arguments, &[URL], r#"--url: "ftp://x" is no ws, wss, http or https URL"#);
    }

    #[test]
    fn h_9_identities() {
        let identities = |arguments: &Arguments, environment: &[(&str, &str)]| {
            let mut all = vec![URL];
            all.extend(environment);
            let resolved = run(arguments, &all).unwrap();
            let list = resolved.config.identities.iter().map(|i| format!("{}:{}", i.platform, i.bot_id));
            (list.collect::<Vec<_>>().join(" "), resolved.warnings.len())
        };
        let none = Arguments::default();
        let flags = |list: &[&str]| Arguments {
            identities: list.iter().map(|s| (*s).to_owned()).collect(),
            ..Arguments::default()
        };
        let plural = ("GATEWAY_RELAY_PLATFORMS", "discord, telegram");
        let ids = ("GATEWAY_RELAY_BOT_IDS", r#"{"discord":{"botId":"1"},"telegram":{"botId":7}}"#);
        for (arguments, environment, expected) in [
            (&none, vec![], ("relay:", 0)),
            (
                &none,
                vec![("GATEWAY_RELAY_PLATFORM", "slack"), ("GATEWAY_RELAY_BOT_ID", "B1")],
                ("slack:B1", 0),
            ),
            (&none, vec![plural, ids], ("discord:1 telegram:7", 0)),
            (&none, vec![plural, ids, ("GATEWAY_RELAY_PLATFORM", "slack")], ("discord:1 telegram:7", 1)),
            (&flags(&["discord:1", "matrix:@a:b"]), vec![plural], ("discord:1 matrix:@a:b", 0)),
        ] {
            assert_eq!(identities(arguments, &environment), (expected.0.to_owned(), expected.1));
        }
        fails(
            &flags(&[":1"]),
            &[URL],
            "--identity: \":1\" names no platform: write PLATFORM or PLATFORM:BOT_ID",
        );
        let twice = "discord is named twice: a gateway speaks for one bot of each platform, so run a second gateway for the other";
        fails(&flags(&["discord:1", "slack", "discord:2"]), &[URL], twice);
        fails(&none, &[URL, ("GATEWAY_RELAY_PLATFORMS", "discord,discord")], twice);
        fails(
            &none,
            &[URL, plural, ("GATEWAY_RELAY_BOT_IDS", "[]")],
            r#"GATEWAY_RELAY_BOT_IDS: no JSON object: write {"discord": {"botId": "123"}}"#,
        );
    }

    #[test]
    fn settings_by_name() {
        let set = |text: &str| Arguments { set: vec![text.to_owned()], ..Arguments::default() };
        let resolved = run(&set("handshake_timeout=1s"), &[URL]).unwrap();
        assert_eq!(resolved.config.timing.handshake_timeout, std::time::Duration::from_secs(1));
        fails(&set("handshake_timeout"), &[URL], "--set handshake_timeout: write NAME=VALUE");
    }
}
