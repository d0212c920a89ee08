#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(clippy::unwrap_used)] // Only tests use this: one that cannot go on should stop.
//! Compares the JSON Schemas of this folder with those made of the code's types, for the tests that make them.

use relayline_core::op::{Definition, Field, InFrame, Kind};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Asserts that a schema is the one that is committed under this name. With `UPDATE_SCHEMA=1` it is written instead.
///
/// # Panics
/// Panics if the two differ, with the first line that does.
#[track_caller]
pub fn check(name: &str, schema: &Value) {
    let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_SCHEMA").is_some_and(|value| value == "1") {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let line = text.lines().zip(committed.lines()).position(|(new, old)| new != old);
    assert!(
        text == committed,
        "schema/{name} is stale, from line {:?}: renew it with UPDATE_SCHEMA=1 cargo test --workspace schema",
        line.map(|line| line + 1),
    );
}

/// Lists every property of a schema's branch: its own, and those of what it refers to.
pub fn properties(root: &Value, branch: &Value) -> Vec<String> {
    let own = branch["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    let mut names: Vec<String> = own.collect();
    if let Some(name) = branch["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        names.extend(properties(root, &root["$defs"][name]));
    }
    names.sort();
    names.dedup();
    names
}

/// Lists the branches of a schema that one property tells apart, each with that property's value.
pub fn branches<'s>(schema: &'s Value, tag: &str) -> Vec<(&'s str, &'s Value)> {
    let all = schema["oneOf"].as_array().into_iter().flatten();
    all.filter_map(|branch| Some((branch["properties"][tag]["const"].as_str()?, branch))).collect()
}

/// Lists the names in backticks after `mark`, as the code's own errors list what they take.
///
/// # Panics
/// Panics if the error does not contain `mark`.
pub fn quoted<'t>(error: &'t str, mark: &str) -> impl Iterator<Item = String> + use<'t> {
    let (_, list) = error.split_once(mark).unwrap_or_else(|| panic!("{error}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Describes an op as a host gives it, with the fields that the bridge adds.
pub fn given(op: &Definition, extra: impl IntoIterator<Item = Field>) -> Value {
    let fields = op.fields.iter().copied().chain(extra);
    branch(op, fields.map(|field| (field, field.required, !field.required)))
}

/// Describes an op as a gateway writes it.
pub fn written(op: &Definition) -> Value {
    let fields = op.fields.iter().filter(|field| field.in_frame != InFrame::Never);
    branch(
        op,
        fields.map(|field| {
            let is_there = matches!(field.in_frame, InFrame::Always | InFrame::OrNull);
            (*field, is_there, field.in_frame != InFrame::Always)
        }),
    )
}

/// Makes a branch of fields, each with whether it is required and whether it may be null.
fn branch(op: &Definition, fields: impl Iterator<Item = (Field, bool, bool)>) -> Value {
    let mut properties = Map::new();
    properties.insert("op".to_owned(), json!({"type": "string", "const": op.name}));
    let mut required = vec!["op"];
    for (field, is_required, may_be_null) in fields {
        properties.insert(field.name.to_owned(), described(&field, may_be_null));
        required.extend(is_required.then_some(field.name));
    }
    json!({"type": "object", "description": summary(op.doc), "properties": properties, "required": required})
}

fn described(field: &Field, may_be_null: bool) -> Value {
    let id = json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,32}$"});
    let mut schema = match field.kind {
        Kind::Id => json!({"type": ["string", "integer"]}),
        Kind::Text => json!({"type": ["string"]}),
        Kind::Flag => json!({"type": ["boolean"]}),
        Kind::Integer => json!({"type": ["integer"], "format": "int64"}),
        Kind::Unsigned => json!({"type": ["integer"], "format": "uint64", "minimum": 0}),
        Kind::OneOf(names) => json!({"type": ["string"], "enum": names}),
        Kind::Object => json!({"type": ["object"]}),
        Kind::Objects => json!({"type": ["array"], "items": {"type": "object"}}),
        Kind::Options => json!({"type": ["array"], "maxItems": 100, "items": {
            "type": "object",
            "properties": {"id": id, "label": {"type": "string"}, "style": {"type": ["string", "null"]}},
            "required": ["id", "label"],
        }}),
    };
    if may_be_null {
        for (list, null) in [("type", json!("null")), ("enum", Value::Null)] {
            schema[list].as_array_mut().into_iter().for_each(|list| list.push(null.clone()));
        }
    }
    let is_one = schema["type"].as_array().is_some_and(|types| types.len() == 1);
    if is_one {
        schema["type"] = schema["type"][0].take();
    }
    schema.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    schema["description"] = summary(field.doc).into();
    schema
}

/// Returns the first sentence of a documentation.
fn summary(doc: &str) -> String {
    let text = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
}
