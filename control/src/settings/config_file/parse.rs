//! Parser of the configuration file, whose errors quote no value.

use super::{ConfigFile, HostSetting, HostValue};
use crate::settings::error::ConfigError;
use crate::settings::setting::Setting;
use crate::settings::source::Source;
use crate::settings::table::{self, ALL, Kind};
use relayline_core::config::Identity;
use relayline_core::secret::Secret;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use toml::Spanned;

impl ConfigFile {
    /// Parses a configuration file's text. `name` is its name in messages. Keys of the host are kept for
    /// [`host`](ConfigFile::host).
    ///
    /// # Errors
    /// The text is not TOML, or has an unknown key or a value of the wrong form. The error names the line and the key,
    /// and quotes no value.
    pub fn parse(name: &str, text: &str, host_keys: &[String]) -> Result<ConfigFile, ConfigError> {
        let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
        let place =
            |error: &toml::de::Error| format!("{name}:{}", error.span().map_or(1, |span| line(span.start)));
        let document = toml::Deserializer::parse(text)
            .map_err(|error| ConfigError::invalid(place(&error), error.message()))?;
        let mut file = ConfigFile { name: name.to_owned(), ..ConfigFile::default() };
        let keys = Keys { file: &mut file, host_keys, line: &line, table: "" };
        keys.deserialize(document)
            .map_err(|error| ConfigError::invalid(place(&error), explain(error, host_keys)))?;
        let both = |line: &usize, problem: &str| ConfigError::invalid(format_args!("{name}:{line}"), problem);
        if let (Some((_, line)), false) = (file.values.get(table::PLATFORM.key), file.identities.is_empty()) {
            return Err(both(line, "write platform and bot-id, or [[identity]], not both"));
        }
        for spec in ALL {
            if let (true, Some((_, line))) =
                (file.values.contains_key(spec.key), file.values.get(spec.file_key))
            {
                return Err(both(line, &format!("write {} or {}, not both", spec.key, spec.file_key)));
            }
        }
        Ok(file)
    }
}

/// Returns the problem of a key, and the form to write. The parser's message may quote a value (C-4), so it is used
/// only if it is about a key.
fn explain(mut error: toml::de::Error, host_keys: &[String]) -> String {
    // Without the input it shows the path of keys instead of the line.
    error.set_input(None);
    let text = error.to_string();
    let path = text.rsplit_once("\nin `").map_or("", |(_, path)| path.trim_end().trim_end_matches('`'));
    let message = error.message();
    let wanted = match (path, path.split_once('.')) {
        _ if message.starts_with("unknown field") => message,
        _ if message.starts_with("missing field") || message == NO_PLATFORM => NO_PLATFORM,
        ("set" | "idp", _) => &format!("write a table, [{path}]"),
        ("identity" | "policy", _) => &format!("write tables, [[{path}]]"),
        (_, Some(("set", _))) => "write a text or a whole number, as in \"1s\"",
        (_, Some(("policy", "require-address" | "allow-other-bots"))) => wanted(Kind::Bool),
        (_, Some(("policy", "free-response-scopes"))) => "write an array of texts",
        (_, Some(("policy" | "identity", key))) => wanted(kind(key).unwrap_or(Kind::Text)),
        _ if host_keys.iter().any(|known| known == path) => {
            "write a text, a whole number, true, false, or an array of texts"
        }
        _ => match kind(path) {
            Some(kind) => wanted(kind),
            None => &unknown_key(host_keys),
        },
    };
    format!("{}: {wanted}", path.escape_debug())
}

fn unknown_key(host_keys: &[String]) -> String {
    let mut known: Vec<_> = table::file_keys().map(str::to_owned).chain(host_keys.iter().cloned()).collect();
    known.sort_unstable();
    format!("there is no such key; there are {}", known.join(", "))
}

/// Returns the form of a key's value.
fn kind(key: &str) -> Option<Kind> {
    let spec = ALL.iter().find(|spec| [spec.key, spec.file_key].contains(&key) && !key.is_empty())?;
    Some(if spec.key == key { spec.kind } else { Kind::File })
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::File | Kind::Word(_) | Kind::Entries => "write a text in quotes",
        Kind::Id => "write a text in quotes, or a whole number",
        Kind::Bool | Kind::Switch | Kind::Presence => "write true or false",
        Kind::OnOff => "write \"on\" or \"off\"",
        Kind::List => "write an array of texts, none of them with a comma",
    }
}

/// Visitor that reads the keys of a table into a [`ConfigFile`].
struct Keys<'a> {
    file: &'a mut ConfigFile,
    host_keys: &'a [String],
    line: &'a dyn Fn(usize) -> usize,
    /// Name of the table; empty for the top level.
    table: &'static str,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Keys { file, host_keys, line, table } = self;
        let name = file.name.clone();
        let source = |key: &str, at: usize| Source::ConfigFile {
            file: name.clone(),
            line: line(at),
            key: key.to_owned(),
        };
        while let Some(key) = map.next_key::<String>()? {
            match (table, key.as_str()) {
                ("", "idp") => map.next_value_seed(Keys { file, host_keys, line, table: "idp" })?,
                ("", "set") => map.next_value_seed(Keys { file, host_keys, line, table: "set" })?,
                ("", "identity") => {
                    let tables = map.next_value::<Vec<IdentityTable>>()?.into_iter();
                    file.identities.extend(
                        tables.map(|IdentityTable { platform, bot_id }| Identity::new(platform, bot_id)),
                    );
                }
                ("", "policy") => {
                    let policies = map.next_value::<Spanned<Vec<PolicyTable>>>()?;
                    let json = serde_json::to_string(policies.get_ref()).map_err(A::Error::custom)?;
                    file.values.insert(table::POLICY.key, (Secret::new(json), line(policies.span().start)));
                }
                ("", key) if host_keys.iter().any(|known| known == key) => {
                    let value = map.next_value::<Spanned<HostValue>>()?;
                    let source = source(key, value.span().start);
                    file.host.push(HostSetting { key: key.to_owned(), value: value.into_inner(), source });
                }
                ("set", _) => {
                    let (value, at) = map.next_value_seed(Leaf(Kind::Id))?;
                    let source = source(&format!("set.{key}"), at);
                    file.set.push((key, Setting::new(&table::SET, value, source)));
                }
                (table, key) => {
                    let key = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
                    let known = kind(&key).zip(table::file_keys().find(|known| *known == key));
                    let (kind, key) = known.unwrap_or((Kind::Entries, ""));
                    let (value, at) = map.next_value_seed(Leaf(kind))?;
                    file.values.insert(key, (value, line(at)));
                }
            }
        }
        Ok(())
    }
}

/// Seed that reads the value of a key as the text that an environment variable would hold.
struct Leaf(Kind);

impl<'de> DeserializeSeed<'de> for Leaf {
    /// Text, and the beginning of the value.
    type Value = (Secret, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(Secret, usize), D::Error> {
        let value = Spanned::<Value>::deserialize(deserializer)?;
        let start = value.span().start;
        let text = match (self.0, value.into_inner()) {
            (
                Kind::Text | Kind::Id | Kind::List | Kind::OnOff | Kind::File | Kind::Word(_),
                Value::Text(text),
            ) => text,
            (Kind::Id, Value::Number(number)) => Secret::new(number),
            (Kind::Bool | Kind::Switch | Kind::Presence | Kind::OnOff, Value::Bool(on)) => {
                Secret::new(on.to_string())
            }
            (Kind::List, Value::List(parts)) => {
                let texts = parts.iter().map(|part| match part {
                    Value::Text(text) if !text.expose().contains(',') => Some(text.expose()),
                    _ => None,
                });
                let texts: Option<Vec<&str>> = texts.collect();
                Secret::new(texts.ok_or_else(|| D::Error::custom(WRONG))?.join(","))
            }
            _ => return Err(D::Error::custom(WRONG)),
        };
        Ok((text, start))
    }
}

/// Message of errors that [`explain`] rewords.
const WRONG: &str = "a value of the wrong form";
const NO_PLATFORM: &str = "it names no platform: write platform = \"discord\"";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct IdentityTable {
    #[serde(deserialize_with = "platform")]
    platform: String,
    #[serde(default, deserialize_with = "id")]
    bot_id: String,
}

fn platform<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let platform = String::deserialize(deserializer)?.trim().to_owned();
    if platform.is_empty() { Err(D::Error::custom(NO_PLATFORM)) } else { Ok(platform) }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let (id, _) = Leaf(Kind::Id).deserialize(deserializer)?;
    Ok(id.expose().trim().to_owned())
}

/// Policy. It is written as the JSON of `GATEWAY_RELAY_POLICY`, whose parser checks it further.
#[derive(Deserialize, Serialize)]
#[serde(rename_all(deserialize = "kebab-case", serialize = "camelCase"), deny_unknown_fields)]
struct PolicyTable {
    platform: Option<String>,
    require_address: Option<bool>,
    free_response_scopes: Option<Vec<String>>,
    allow_other_bots: Option<bool>,
}

/// Value of any form. A value of another form is an error, and [`explain`] names the wanted form.
enum Value {
    Bool(bool),
    Number(String),
    Text(Secret),
    List(Vec<Value>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Any;

        macro_rules! numbers {
            ($($visit:ident: $number:ty),*) => {$(
                fn $visit<E>(self, value: $number) -> Result<Value, E> {
                    Ok(Value::Number(value.to_string()))
                }
            )*};
        }

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WRONG)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            numbers! { visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128 }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(Secret::from(value)))
            }

            fn visit_string<E>(self, value: String) -> Result<Value, E> {
                Ok(Value::Text(Secret::new(value)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(part) = parts.next_element()? {
                    list.push(part);
                }
                Ok(Value::List(list))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for HostValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostValue, D::Error> {
        let text = |value| match value {
            Value::Text(text) => Some(text.expose().to_owned()),
            Value::Number(number) => Some(number),
            Value::Bool(_) | Value::List(_) => None,
        };
        let value = match Value::deserialize(deserializer)? {
            Value::Bool(on) => Some(HostValue::Switch(on)),
            Value::List(parts) => parts.into_iter().map(text).collect::<Option<_>>().map(HostValue::List),
            one => text(one).map(HostValue::Text),
        };
        value.ok_or_else(|| D::Error::custom(WRONG))
    }
}
