//! Patterns of scenarios: parts of JSON values, with conditions and variables.
//!
//! An object matches an object that has each of its fields. An array matches an array of the same length, item by item.
//! A string `$name` is a variable: it matches anything the first time, and that value from then on. An object whose keys
//! begin with `$` is a list of conditions, which [`CONDITIONS`] names. Anything else must be equal.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names of the conditions.
const CONDITIONS: [&str; 15] = [
    "$absent",
    "$type",
    "$not",
    "$any_of",
    "$contains",
    "$hex",
    "$min",
    "$max",
    "$max_chars",
    "$max_utf16",
    "$with",
    "$as",
    "$compact_line",
    "$json_line",
    "$empty",
];

/// Values of variables.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Variables(BTreeMap<String, Value>);

impl Variables {
    /// Creates variables with values.
    pub(super) fn new(values: impl IntoIterator<Item = (&'static str, String)>) -> Variables {
        Variables(values.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }

    /// Returns the variables after a match; `None` if the value does not match.
    pub(super) fn matched(&self, pattern: &Value, value: &Value) -> Option<Variables> {
        let mut variables = self.clone();
        variables.matches(pattern, Some(value)).then_some(variables)
    }

    /// Replaces the variables in a value: a string `$name` by the value, `${name}` within a string by its text.
    pub(super) fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match variable(text).and_then(|name| self.0.get(name)) {
                Some(value) => value.clone(),
                None => Value::String(self.fill_text(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.0 {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            filled = filled.replace(&format!("${{{name}}}"), &value);
        }
        filled
    }

    fn matches(&mut self, pattern: &Value, value: Option<&Value>) -> bool {
        if let Some(conditions) = conditions(pattern) {
            return conditions.iter().all(|(name, wanted)| self.holds(name, wanted, value));
        }
        let Some(value) = value else { return false };
        match (pattern, value) {
            (Value::String(text), value) if variable(text).is_some() => {
                let name = variable(text).unwrap_or_default();
                match self.0.get(name) {
                    Some(known) => known == value,
                    None => self.0.insert(name.to_owned(), value.clone()).is_none(),
                }
            }
            (Value::Object(part), Value::Object(whole)) => {
                part.iter().all(|(name, part)| self.matches(part, whole.get(name)))
            }
            (Value::Array(part), Value::Array(whole)) => {
                part.len() == whole.len()
                    && part.iter().zip(whole).all(|(part, whole)| self.matches(part, Some(whole)))
            }
            (pattern, value) => pattern == value,
        }
    }

    fn holds(&mut self, condition: &str, wanted: &Value, value: Option<&Value>) -> bool {
        if condition == "$absent" {
            return value.is_none() == wanted.as_bool().unwrap_or(true);
        }
        if condition == "$not" {
            return !self.clone().matches(wanted, value);
        }
        let Some(value) = value else { return false };
        let text = value.as_str();
        match condition {
            "$type" => wanted == type_name(value),
            "$any_of" => wanted.as_array().into_iter().flatten().any(|one| self.matches(one, Some(value))),
            "$contains" => text.zip(wanted.as_str()).is_some_and(|(text, part)| text.contains(part)),
            "$hex" => text.is_some_and(|text| {
                wanted.as_u64() == Some(text.len() as u64) && text.bytes().all(|b| b.is_ascii_hexdigit())
            }),
            "$min" => value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, least)| value >= least),
            "$max" => value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, most)| value <= most),
            "$max_chars" => text.is_some_and(|text| at_most(text.chars().count(), wanted)),
            "$max_utf16" => text.is_some_and(|text| at_most(text.encode_utf16().count(), wanted)),
            "$with" => {
                let items: Vec<&Value> = value.as_array().into_iter().flatten().collect();
                wanted
                    .as_array()
                    .into_iter()
                    .flatten()
                    .all(|one| items.iter().any(|item| self.matches(one, Some(item))))
            }
            "$as" => match wanted.as_str() {
                Some(name) => self.matches(&Value::String(format!("${name}")), Some(value)),
                None => false,
            },
            "$compact_line" => text.is_some_and(is_compact_line),
            "$json_line" => text.is_some_and(is_json_line),
            "$empty" => text.is_some_and(|text| text.is_empty() == wanted.as_bool().unwrap_or(true)),
            // The reader refuses other names.
            _ => false,
        }
    }
}

/// Returns the names of the variables in a pattern or a step; fails at a condition that does not exist.
pub(super) fn variables_in(value: &Value, names: &mut Vec<String>) -> Result<(), String> {
    if let Some(conditions) = conditions(value) {
        for (name, wanted) in conditions {
            if !CONDITIONS.contains(&name.as_str()) {
                return Err(format!(
                    "`{name}`: there is no such condition: take one of {}",
                    CONDITIONS.join(", ")
                ));
            }
            match (name.as_str(), wanted) {
                ("$as", Value::String(name)) => names.push(name.clone()),
                (_, wanted) => variables_in(wanted, names)?,
            }
        }
        return Ok(());
    }
    match value {
        Value::String(text) => {
            names.extend(variable(text).map(str::to_owned));
            let inner = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            names.extend(inner.map(|(name, _)| name.to_owned()));
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(|item| variables_in(item, names)),
        Value::Object(fields) => fields.values().try_for_each(|value| variables_in(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Returns the conditions of a pattern, if it consists of conditions.
fn conditions(pattern: &Value) -> Option<&Map<String, Value>> {
    pattern.as_object().filter(|fields| !fields.is_empty() && fields.keys().all(|name| name.starts_with('$')))
}

/// Returns the name of a variable, if the text is one.
fn variable(text: &str) -> Option<&str> {
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.strip_prefix('$').filter(is_name)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn at_most(length: usize, wanted: &Value) -> bool {
    wanted.as_u64().is_some_and(|most| length as u64 <= most)
}

/// Returns true if a text is one JSON object on one line, with a newline at its end.
fn is_json_line(text: &str) -> bool {
    let line = text.strip_suffix('\n').filter(|line| !line.contains('\n'));
    line.is_some_and(|line| serde_json::from_str::<Map<String, Value>>(line).is_ok())
}

/// Returns true if a text is one object of compact JSON with a newline at its end.
fn is_compact_line(text: &str) -> bool {
    let Some(line) = text.strip_suffix('\n') else { return false };
    let mut in_string = false;
    let mut escaped = false;
    let has_space = line.chars().any(|c| {
        match (in_string, escaped, c) {
            (true, true, _) => escaped = false,
            (true, false, '\\') => escaped = true,
            (_, false, '"') => in_string = !in_string,
            _ => return !in_string && c.is_whitespace(),
        }
        false
    });
    !has_space && serde_json::from_str::<Map<String, Value>>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(pattern: Value, value: Value, matches: bool) {
        assert_eq!(Variables::default().matched(&pattern, &value).is_some(), matches, "{pattern} {value}");
    }

    #[test]
    fn conditions_hold_as_their_names_say() {
        let frame = json!({"type": "inbound_ack", "n": 7, "list": ["a", "b"], "text": "so 😀"});
        for (pattern, matches) in [
            (json!({"type": "inbound_ack"}), true),
            (json!({"type": "outbound"}), false),
            (json!({"x": {"$absent": true}, "n": {"$min": 7, "$max": 7}}), true),
            (json!({"n": {"$absent": true}}), false),
            (json!({"n": {"$min": 8}}), false),
            (json!({"n": {"$type": "number"}, "list": {"$with": ["b"]}}), true),
            (json!({"list": {"$with": ["c"]}}), false),
            (json!({"list": ["a"]}), false),
            (json!({"type": {"$not": "x"}, "text": {"$contains": "so"}}), true),
            (json!({"type": {"$any_of": ["x", "inbound_ack"]}}), true),
            (json!({"text": {"$max_chars": 4}}), true),
            (json!({"text": {"$max_utf16": 4}}), false),
            (json!({"text": {"$hex": 4}}), false),
            (json!({"text": {"$empty": true}}), false),
            (json!({"missing": {"$not": 1}}), true),
        ] {
            check(pattern, frame.clone(), matches);
        }
        check(json!({"$hex": 4}), json!("0aF9"), true);
        check(json!({"$compact_line": true}), json!("{\"a\":\"b c\\\" \"}\n"), true);
        check(json!({"$compact_line": true}), json!("{\"a\": 1}\n"), false);
        check(json!({"$compact_line": true}), json!("{\"a\":1}"), false);
        check(json!({"$compact_line": true}), json!("{\"a\":1}\n{\"a\":1}\n"), false);
    }

    #[test]
    fn a_variable_keeps_its_first_value() {
        let pattern = json!({"id": "$id", "again": "$id"});
        check(pattern.clone(), json!({"id": 1, "again": 1}), true);
        check(pattern.clone(), json!({"id": 1, "again": 2}), false);
        let bound = Variables::default().matched(&pattern, &json!({"id": "x", "again": "x"})).unwrap();
        assert_eq!(
            bound.fill(&json!({"a": "$id", "b": "<${id}>", "c": "$other"})),
            json!({"a": "x", "b": "<x>", "c": "$other"})
        );
        assert!(bound.matched(&json!({"$as": "id"}), &json!("y")).is_none());
    }

    #[test]
    fn an_unknown_condition_is_an_error() {
        let mut names = Vec::new();
        assert!(variables_in(&json!({"a": {"$near": 1}}), &mut names).unwrap_err().contains("`$near`"));
        variables_in(&json!({"a": ["$x", {"$as": "y"}], "b": "-${z}-"}), &mut names).unwrap();
        assert_eq!(names, ["x", "y", "z"]);
    }
}
