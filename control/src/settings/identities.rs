//! Who the gateway is: one identity or several, from wherever they are named (H-9).

use super::error::ConfigError;
use super::sources::{Setting, Source, Sources};
use super::{Arguments, names};
use relayline_core::config::Identity;
use serde_json::{Map, Value};

/// What a gateway is that was told no platform (H-9).
pub(super) fn none() -> Identity {
    Identity { platform: "relay".into(), bot_id: String::new() }
}

/// The identities, none of a platform twice, and none at all where no platform is named; and what the host should be
/// warned of.
pub(super) fn resolve(
    arguments: &Arguments,
    sources: &Sources<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Identity>, ConfigError> {
    let identities = named(arguments, sources, warnings)?;
    for (at, Identity { platform, .. }) in identities.iter().enumerate() {
        if identities[..at].iter().any(|earlier| earlier.platform == *platform) {
            return Err(ConfigError::Twice(platform.clone()));
        }
    }
    Ok(identities)
}

fn named(
    arguments: &Arguments,
    sources: &Sources<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Identity>, ConfigError> {
    if !arguments.identities.is_empty() {
        let from = || Source::Argument("--identity");
        return arguments.identities.iter().map(|text| identity(text, from())).collect();
    }
    let ids = BotIds::new(arguments, sources)?;
    let single = sources.variable("GATEWAY_RELAY_PLATFORM");
    let plural = sources.variable(names::PLATFORMS).filter(|plural| !goes_before(single.as_ref(), plural));
    let argument = arguments.platform.as_deref().filter(|platform| !platform.trim().is_empty());
    if let (None, Some(list)) = (argument, plural) {
        return several(&list, &ids, sources, warnings);
    }
    let Some(single) = sources.find(argument, &names::PLATFORM) else {
        let listed: Vec<_> = sources.file.identities.iter().map(|(identity, _)| identity.clone()).collect();
        return Ok(listed);
    };
    let platform = identity(single.text(), single.from.clone())?.platform;
    Ok(vec![ids.identity(platform, true, warnings)?])
}

/// Whether a singular variable stands in a layer before that of the plural one. In the same one the plural counts.
fn goes_before(single: Option<&Setting>, plural: &Setting) -> bool {
    single.is_some_and(|single| single.from.rank() < plural.from.rank())
}

fn several(
    list: &Setting,
    ids: &BotIds<'_>,
    sources: &Sources<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Identity>, ConfigError> {
    let names: Vec<&str> = list.list().collect();
    if names.is_empty() {
        return Err(ConfigError::Identity { from: list.from.clone(), value: list.text().to_owned() });
    }
    let single = sources.variable("GATEWAY_RELAY_PLATFORM");
    if single.as_ref().is_some_and(|single| !names.contains(&single.text())) {
        warnings.push(
            "GATEWAY_RELAY_PLATFORM and GATEWAY_RELAY_PLATFORMS differ: the plural one counts".to_owned(),
        );
    }
    names.into_iter().map(|name| ids.identity(name.to_owned(), false, warnings)).collect()
}

/// What is known of bot ids.
struct BotIds<'a> {
    argument: Option<&'a str>,
    plural: Map<String, Value>,
    sources: &'a Sources<'a>,
}

impl<'a> BotIds<'a> {
    fn new(arguments: &'a Arguments, sources: &'a Sources<'a>) -> Result<BotIds<'a>, ConfigError> {
        let plural = match sources.variable(names::BOT_IDS) {
            None => Map::new(),
            Some(found) => match serde_json::from_str(found.text()) {
                Ok(Value::Object(ids)) => ids,
                Ok(_) => return Err(ConfigError::BotIds("no JSON object".into())),
                Err(error) => return Err(ConfigError::BotIds(error.to_string())),
            },
        };
        let argument = arguments.bot_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
        Ok(BotIds { argument, plural, sources })
    }

    /// A platform's identity. What is said of one bot is this platform's when it is `alone`, or when it is the one
    /// that is named beside it.
    fn identity(
        &self,
        platform: String,
        alone: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Identity, ConfigError> {
        let variable = |name: &'static str| self.sources.variable(name);
        let meant = |named: Option<Setting>| named.map_or(alone, |named| named.text() == platform);
        let in_environment = meant(variable("GATEWAY_RELAY_PLATFORM"));
        let beside = |id: &Setting| self.sources.beside(id, "GATEWAY_RELAY_PLATFORM");
        let single = variable("GATEWAY_RELAY_BOT_ID").filter(|id| meant(beside(id)));
        let plural = self.plural(&platform, single.as_ref())?;
        let bot_id = match (self.argument.filter(|_| alone || in_environment), plural, single) {
            (Some(argument), _, _) => argument.to_owned(),
            (None, Some(plural), single) => {
                if single.is_some_and(|single| single.text() != plural) {
                    let warning =
                        "GATEWAY_RELAY_BOT_ID and GATEWAY_RELAY_BOT_IDS differ: the plural one counts";
                    warnings.push(warning.to_owned());
                }
                plural
            }
            (None, None, Some(single)) => single.text().to_owned(),
            (None, None, None) => self.in_file(&platform, alone),
        };
        Ok(Identity { platform, bot_id })
    }

    /// What the plural variable says of a platform, unless it is empty or the singular one goes before it.
    fn plural(&self, platform: &str, single: Option<&Setting>) -> Result<Option<String>, ConfigError> {
        let from = self.sources.variable(names::BOT_IDS);
        if from.is_some_and(|plural| goes_before(single, &plural)) {
            return Ok(None);
        }
        let id = match self.plural.get(platform).map(|entry| entry.get("botId").unwrap_or(entry)) {
            Some(Value::String(id)) => id.trim().to_owned(),
            Some(Value::Number(id)) => id.to_string(),
            Some(_) => return Err(ConfigError::BotIds(format!("no bot id for {platform:?}"))),
            None => String::new(),
        };
        Ok(Some(id).filter(|id| !id.is_empty()))
    }

    /// What the file says of a platform, which an argument or the environment may have named.
    fn in_file(&self, platform: &str, alone: bool) -> String {
        let file = &self.sources.file;
        if let Some((listed, _)) = file.identities.iter().find(|(listed, _)| listed.platform == platform) {
            return listed.bot_id.clone();
        }
        let meant = file.value(names::PLATFORM.key).map_or(alone, |named| named.text() == platform);
        let id = file.value(names::BOT_ID.key).filter(|_| meant);
        id.map_or_else(String::new, |id| id.text().to_owned())
    }
}

/// `PLATFORM[:BOT_ID]`; the bot id may hold colons.
fn identity(text: &str, from: Source) -> Result<Identity, ConfigError> {
    let (platform, bot_id) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
    if platform.is_empty() {
        return Err(ConfigError::Identity { from, value: text.to_owned() });
    }
    Ok(Identity { platform: platform.to_owned(), bot_id: bot_id.to_owned() })
}
