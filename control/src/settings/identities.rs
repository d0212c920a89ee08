//! Identities of the gateway.

use super::error::ConfigError;
use super::setting::Setting;
use super::sources::Sources;
use super::table;
use relayline_core::config::Identity;
use relayline_core::event::UNNAMED_PLATFORM;
use serde_json::{Map, Value};

/// Returns the identity of a gateway without a named platform (H-9).
pub(super) fn none() -> Identity {
    Identity::new(UNNAMED_PLATFORM, "")
}

/// Resolves the identities: at most one for each platform, and none if no platform is named. Adds warnings for the
/// host.
pub(super) fn resolve(
    sources: &Sources<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Identity>, ConfigError> {
    let identities = named(sources, warnings)?;
    for (at, Identity { platform, .. }) in identities.iter().enumerate() {
        if identities[..at].iter().any(|earlier| earlier.platform == *platform) {
            return Err(ConfigError::Twice(platform.clone()));
        }
    }
    Ok(identities)
}

fn named(sources: &Sources<'_>, warnings: &mut Vec<String>) -> Result<Vec<Identity>, ConfigError> {
    let mut given = sources.arguments(&table::IDENTITY).peekable();
    if given.peek().is_some() {
        return given.map(|setting| identity(&setting)).collect();
    }
    let ids = BotIds::new(sources)?;
    let single = sources.variable(&table::PLATFORM);
    let plural = sources.variable(&table::IDENTITY);
    let plural = plural.filter(|plural| !overrides(single.as_ref(), plural));
    let argument = sources.argument(&table::PLATFORM);
    if let (None, Some(list)) = (argument, plural) {
        return several(&list, &ids, single.as_ref(), warnings);
    }
    let Some(single) = sources.find(&table::PLATFORM) else {
        return Ok(sources.config_file.map(|file| file.identities.clone()).unwrap_or_default());
    };
    let platform = identity(&single)?.platform;
    Ok(vec![ids.identity(platform, true, warnings)?])
}

/// Returns true if a singular variable overrides the plural one. Within one source the plural variable counts.
fn overrides(single: Option<&Setting>, plural: &Setting) -> bool {
    single.is_some_and(|single| single.source.rank() < plural.source.rank())
}

fn several(
    list: &Setting,
    ids: &BotIds<'_>,
    single: Option<&Setting>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Identity>, ConfigError> {
    let names: Vec<&str> = list.list().collect();
    if names.is_empty() {
        return Err(no_platform(list));
    }
    if single.is_some_and(|single| !names.contains(&single.text())) {
        warnings.push(
            "GATEWAY_RELAY_PLATFORM and GATEWAY_RELAY_PLATFORMS differ: the plural one counts".to_owned(),
        );
    }
    names.into_iter().map(|name| ids.identity(name.to_owned(), false, warnings)).collect()
}

/// Bot ids of all sources.
struct BotIds<'a> {
    argument: Option<Setting>,
    /// Plural variable, with its JSON object.
    plural: Option<(Setting, Map<String, Value>)>,
    sources: &'a Sources<'a>,
}

/// Returns an error about the plural variable.
fn bot_ids(setting: &Setting, problem: &str) -> ConfigError {
    setting.invalid(format_args!("{problem}: write {{\"discord\": {{\"botId\": \"123\"}}}}"))
}

impl<'a> BotIds<'a> {
    fn new(sources: &'a Sources<'a>) -> Result<BotIds<'a>, ConfigError> {
        let parse = |setting: Setting| match serde_json::from_str(setting.text()) {
            Ok(Value::Object(ids)) => Ok((setting, ids)),
            Ok(_) => Err(bot_ids(&setting, "not a JSON object")),
            Err(error) => Err(bot_ids(&setting, &format!("not valid JSON: {error}"))),
        };
        Ok(BotIds {
            argument: sources.argument(&table::BOT_ID),
            plural: sources.variable(&table::BOT_IDS).map(parse).transpose()?,
            sources,
        })
    }

    /// Returns a platform's identity. A single bot id belongs to this platform if the platform `is_alone`, or if it is
    /// named beside the bot id.
    fn identity(
        &self,
        platform: String,
        is_alone: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Identity, ConfigError> {
        let is_meant = |named: Option<Setting>| named.map_or(is_alone, |named| named.text() == platform);
        let in_environment = is_meant(self.sources.variable(&table::PLATFORM));
        let beside = |id: &Setting| self.sources.beside(id, &table::PLATFORM);
        let single = self.sources.variable(&table::BOT_ID).filter(|id| is_meant(beside(id)));
        let argument = self.argument.as_ref().filter(|_| is_alone || in_environment);
        let plural = self.plural(&platform, single.as_ref())?;
        let bot_id = match (argument, plural, single) {
            (Some(argument), _, _) => argument.text().to_owned(),
            (None, Some(plural), single) => {
                if single.is_some_and(|single| single.text() != plural) {
                    let warning =
                        "GATEWAY_RELAY_BOT_ID and GATEWAY_RELAY_BOT_IDS differ: the plural one counts";
                    warnings.push(warning.to_owned());
                }
                plural
            }
            (None, None, Some(single)) => single.text().to_owned(),
            (None, None, None) => self.in_file(&platform, is_alone),
        };
        Ok(Identity::new(platform, bot_id))
    }

    /// Returns a platform's bot id from the plural variable, unless it is empty or the singular one overrides it.
    fn plural(&self, platform: &str, single: Option<&Setting>) -> Result<Option<String>, ConfigError> {
        let plural = self.plural.as_ref().filter(|(plural, _)| !overrides(single, plural));
        let Some((setting, ids)) = plural else { return Ok(None) };
        let id = match ids.get(platform).map(|entry| entry.get("botId").unwrap_or(entry)) {
            Some(Value::String(id)) => id.trim().to_owned(),
            Some(Value::Number(id)) => id.to_string(),
            Some(_) => return Err(bot_ids(setting, &format!("no bot id for {platform:?}"))),
            None => String::new(),
        };
        Ok(Some(id).filter(|id| !id.is_empty()))
    }

    /// Returns a platform's bot id from the configuration file. Another source may have named the platform.
    fn in_file(&self, platform: &str, is_alone: bool) -> String {
        let Some(file) = self.sources.config_file else { return String::new() };
        if let Some(listed) = file.identities.iter().find(|listed| listed.platform == platform) {
            return listed.bot_id.clone();
        }
        let is_meant = file.setting(&table::PLATFORM).map_or(is_alone, |named| named.text() == platform);
        let id = file.setting(&table::BOT_ID).filter(|_| is_meant);
        id.map_or_else(String::new, |id| id.text().to_owned())
    }
}

/// Parses `PLATFORM[:BOT_ID]`. The bot id may contain colons.
fn identity(setting: &Setting) -> Result<Identity, ConfigError> {
    let (platform, bot_id) = setting.text().split_once(':').unwrap_or((setting.text(), ""));
    if platform.is_empty() {
        return Err(no_platform(setting));
    }
    Ok(Identity::new(platform, bot_id))
}

fn no_platform(setting: &Setting) -> ConfigError {
    setting.invalid(format_args!("{} names no platform: write PLATFORM or PLATFORM:BOT_ID", setting.quoted()))
}
