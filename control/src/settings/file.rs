//! The configuration file: TOML, whose keys are the flags' names.
//!
//! ```toml
//! url = "wss://connector.example"
//! gateway-id = "gw-1"
//! secret = "…"                      # the file is the place for it: keep it readable to its owner alone
//! # or: secret-file = "secret"      # a file beside this one
//! route-keys = ["acme", "acme-eu"]
//!
//! [[identity]]                      # or, for one alone: platform = "discord" and bot-id = "123" at the top
//! platform = "discord"
//! bot-id = "123"
//!
//! [[policy]]
//! platform = "discord"
//! require-address = true
//!
//! [idp]
//! token-url = "https://login.example/token"
//!
//! [set]
//! handshake_timeout = "1s"
//! ```

use super::error::ConfigError;
use super::sources::{Kind, Name, Setting, Source};
use super::{Files, Glance, HostSetting, HostValue, names};
use relayline_core::config::Identity;
use relayline_core::secret::Secret;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration file, read.
#[derive(Debug, Default)]
pub(super) struct File {
    name: String,
    /// By their key.
    values: BTreeMap<&'static str, (Secret, usize)>,
    /// What `[[identity]]` names, with the lines.
    pub(super) identities: Vec<(Identity, Source)>,
    /// What `[set]` sets: name, value, and where.
    pub(super) set: Vec<(String, String, Source)>,
    /// What is the host's to read.
    pub(super) host: Vec<HostSetting>,
}

/// Keys that name tables.
const TABLES: [&str; 3] = ["identity", "policy", "set"];

/// Returns the keys of a configuration file, but for those of the host's own.
pub fn file_keys() -> impl Iterator<Item = &'static str> {
    names::ALL.iter().map(|name| name.key).chain(TABLES)
}

type Entry<'a, 'i> = (&'a str, &'a Spanned<DeValue<'i>>);

impl File {
    /// Reads the configuration file, if there is one.
    pub(super) fn parse(files: &Files<'_>) -> Result<File, ConfigError> {
        let Some(file) = files.config else { return Ok(File::default()) };
        let reader = Reader { name: file.name, text: file.text, host_keys: files.host_keys };
        let table = DeTable::parse(file.text).map_err(|error| {
            // Its own rendering quotes the line.
            reader.problem(error.span().map_or(0, |span| span.start), error.message())
        })?;
        let mut read = File { name: file.name.to_owned(), ..File::default() };
        for (key, value) in in_order(table.get_ref()) {
            read.entry(&reader, key, value)?;
        }
        if let (Some((_, line)), false) = (read.values.get(names::PLATFORM.key), read.identities.is_empty()) {
            let problem = "write platform and bot-id, or [[identity]], not both";
            return Err(reader.problem_in(*line, problem));
        }
        read.content(&reader, &names::SECRET, &names::SECRET_FILE, files.secret)?;
        read.content(&reader, &names::DELIVERY_KEY, &names::DELIVERY_KEY_FILE, files.delivery_key)?;
        Ok(read)
    }

    /// Puts a file's content where the file may hold it itself; it does not do both.
    fn content(
        &mut self,
        reader: &Reader<'_>,
        name: &Name,
        by_file: &Name,
        content: Option<&Secret>,
    ) -> Result<(), ConfigError> {
        let Some((_, line)) = self.values.get(by_file.key) else { return Ok(()) };
        let line = *line;
        if self.values.contains_key(name.key) {
            let problem = format!("write {} or {}, not both", name.key, by_file.key);
            return Err(reader.problem_in(line, &problem));
        }
        if let Some(content) = content {
            self.values.insert(name.key, (content.clone(), line));
        }
        Ok(())
    }

    /// What a caller must know of the file before it can resolve.
    pub(super) fn glance(&self) -> Glance {
        let given = |name: &Name| self.value(name.key).filter(|found| !found.value.is_blank());
        let path = |name| given(name).map(|found| (found.text().to_owned(), found.from));
        Glance {
            ca_file: path(&names::CA_FILE),
            secret_file: path(&names::SECRET_FILE),
            delivery_key_file: path(&names::DELIVERY_KEY_FILE),
            secret: names::SECRETS.into_iter().find_map(given).map(|found| found.from),
            env_file_secret: None,
            host: self.host.clone(),
        }
    }

    fn entry(
        &mut self,
        reader: &Reader<'_>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        match (key, value.get_ref()) {
            ("set", DeValue::Table(table)) => {
                for (name, value) in in_order(table) {
                    let text = text(value, Kind::Id).ok_or_else(|| {
                        reader.wrong(name, value, "write a text or a whole number, as in \"1s\"")
                    })?;
                    let from = reader.origin(format!("set.{name}"), value);
                    self.set.push((name.to_owned(), text.expose().to_owned(), from));
                }
            }
            ("idp", DeValue::Table(table)) => {
                for (name, value) in in_order(table) {
                    self.value_of(reader, &format!("idp.{name}"), value)?;
                }
            }
            ("identity", DeValue::Array(entries)) => {
                for entry in entries {
                    let identity = reader.identity(entry)?;
                    self.identities.push((identity, reader.origin("identity".into(), entry)));
                }
            }
            ("policy", DeValue::Array(entries)) => {
                let policies: Result<Vec<Value>, _> =
                    entries.iter().map(|entry| reader.policy(entry)).collect();
                let line = reader.line(value.span().start);
                self.values
                    .insert(names::POLICY.key, (Secret::new(Value::Array(policies?).to_string()), line));
            }
            _ if reader.host_keys.iter().any(|known| known == key) => {
                let setting = HostSetting {
                    key: key.to_owned(),
                    value: reader.host_value(key, value)?,
                    from: reader.origin(key.to_owned(), value),
                };
                self.host.push(setting);
            }
            ("set" | "idp", _) => return Err(reader.wrong(key, value, &format!("write a table, [{key}]"))),
            ("identity" | "policy", _) => {
                return Err(reader.wrong(key, value, &format!("write tables, [[{key}]]")));
            }
            _ => self.value_of(reader, key, value)?,
        }
        Ok(())
    }

    fn value_of(
        &mut self,
        reader: &Reader<'_>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let name: &Name = names::ALL.iter().find(|name| name.key == key).ok_or_else(|| {
            let mut known: Vec<&str> = names::ALL.iter().map(|name| name.key).collect();
            known.extend(TABLES);
            known.extend(reader.host_keys.iter().map(String::as_str));
            known.sort_unstable();
            let problem = format!("there is no key {key:?}; there are {}", known.join(", "));
            reader.problem(value.span().start, &problem)
        })?;
        let text = text(value, name.kind).ok_or_else(|| {
            let wanted = match name.kind {
                Kind::Text => "write a text in quotes",
                Kind::Id => "write a text in quotes, or a whole number",
                Kind::Switch => "write true or false",
                Kind::OnOff => "write \"on\" or \"off\"",
                Kind::List => "write an array of texts, none of them with a comma",
            };
            reader.wrong(key, value, wanted)
        })?;
        self.values.insert(name.key, (text, reader.line(value.span().start)));
        Ok(())
    }

    pub(super) fn value(&self, key: &'static str) -> Option<Setting> {
        let (value, line) = self.values.get(key)?;
        let from = Source::File { file: self.name.clone(), line: *line, key: key.to_owned() };
        Some(Setting { value: value.clone(), from })
    }
}

/// What says where in the file something is.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    host_keys: &'a [String],
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
    }

    fn origin(&self, key: String, value: &Spanned<DeValue<'_>>) -> Source {
        Source::File { file: self.name.to_owned(), line: self.line(value.span().start), key }
    }

    fn problem(&self, at: usize, problem: &str) -> ConfigError {
        self.problem_in(self.line(at), problem)
    }

    fn problem_in(&self, line: usize, problem: &str) -> ConfigError {
        ConfigError::File { file: self.name.to_owned(), line, problem: problem.to_owned() }
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> ConfigError {
        self.problem(value.span().start, &format!("{key}: {wanted}"))
    }

    fn table<'a, 'i>(
        &self,
        key: &str,
        entry: &'a Spanned<DeValue<'i>>,
    ) -> Result<Vec<Entry<'a, 'i>>, ConfigError> {
        match entry.get_ref().as_table() {
            Some(table) => Ok(in_order(table)),
            None => Err(self.wrong(key, entry, &format!("write tables, [[{key}]]"))),
        }
    }

    fn host_value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<HostValue, ConfigError> {
        let text = |value: &Spanned<DeValue<'_>>| text(value, Kind::Id).map(|text| text.expose().to_owned());
        let read = match value.get_ref() {
            DeValue::Boolean(on) => Some(HostValue::Switch(*on)),
            DeValue::Array(parts) => parts.iter().map(text).collect::<Option<_>>().map(HostValue::List),
            _ => text(value).map(HostValue::Text),
        };
        read.ok_or_else(|| {
            self.wrong(key, value, "write a text, a whole number, true, false, or an array of texts")
        })
    }

    fn identity(&self, entry: &Spanned<DeValue<'_>>) -> Result<Identity, ConfigError> {
        let mut identity = Identity { platform: String::new(), bot_id: String::new() };
        for (key, value) in self.table("identity", entry)? {
            let (slot, kind) = match key {
                "platform" => (&mut identity.platform, Kind::Text),
                "bot-id" => (&mut identity.bot_id, Kind::Id),
                _ => return Err(self.wrong("identity", value, &unknown(key, "platform, bot-id"))),
            };
            let text = text(value, kind).ok_or_else(|| self.wrong(key, value, "write a text in quotes"))?;
            *slot = text.expose().trim().to_owned();
        }
        if identity.platform.is_empty() {
            return Err(self.wrong("identity", entry, "it names no platform: write platform = \"discord\""));
        }
        Ok(identity)
    }

    /// A policy in the JSON of `GATEWAY_RELAY_POLICY`, which is what checks it further.
    fn policy(&self, entry: &Spanned<DeValue<'_>>) -> Result<Value, ConfigError> {
        let mut policy = Map::new();
        for (key, value) in self.table("policy", entry)? {
            let (name, kind, wanted) = match key {
                "platform" => ("platform", Kind::Text, "write a text in quotes"),
                "require-address" => ("requireAddress", Kind::Switch, "write true or false"),
                "free-response-scopes" => ("freeResponseScopes", Kind::List, "write an array of texts"),
                "allow-other-bots" => ("allowOtherBots", Kind::Switch, "write true or false"),
                _ => {
                    let known = "platform, require-address, free-response-scopes, allow-other-bots";
                    return Err(self.wrong("policy", value, &unknown(key, known)));
                }
            };
            let json = match (kind, value.get_ref()) {
                (Kind::Text, DeValue::String(text)) => Some(Value::String(text.to_string())),
                (Kind::Switch, DeValue::Boolean(on)) => Some(Value::Bool(*on)),
                (Kind::List, DeValue::Array(parts)) => {
                    let parts = parts.iter().map(|part| part.get_ref().as_str().map(Value::from));
                    parts.collect::<Option<Vec<_>>>().map(Value::Array)
                }
                (Kind::Text | Kind::Id | Kind::Switch | Kind::OnOff | Kind::List, _) => None,
            };
            policy.insert(name.to_owned(), json.ok_or_else(|| self.wrong(key, value, wanted))?);
        }
        Ok(Value::Object(policy))
    }
}

fn unknown(key: &str, known: &str) -> String {
    format!("there is no key {key:?}; there are {known}")
}

/// As they stand in the file, so that the first mistake is the one that is named.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(|(key, value)| (key.get_ref().as_ref(), value)).collect()
}

/// The text of a value, as an environment variable would hold it.
fn text(value: &Spanned<DeValue<'_>>, kind: Kind) -> Option<Secret> {
    match (kind, value.get_ref()) {
        (Kind::Text | Kind::Id | Kind::List | Kind::OnOff, DeValue::String(text)) => {
            Some(Secret::from(text.as_ref()))
        }
        (Kind::Id, DeValue::Integer(number)) => Some(Secret::from(number.as_str())),
        (Kind::Switch | Kind::OnOff, DeValue::Boolean(on)) => Some(Secret::new(on.to_string())),
        (Kind::List, DeValue::Array(parts)) => {
            let parts: Option<Vec<&str>> = parts.iter().map(|part| part.get_ref().as_str()).collect();
            let parts = parts.filter(|parts| parts.iter().all(|part| !part.contains(',')))?;
            Some(Secret::new(parts.join(",")))
        }
        (Kind::Text | Kind::Id | Kind::Switch | Kind::OnOff | Kind::List, _) => None,
    }
}
