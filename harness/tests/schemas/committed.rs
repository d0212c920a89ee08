//! Comparing a schema with the one that is committed, for the tests that make them.

use serde_json::Value;
use std::path::Path;

/// Asserts that a schema is the one that is committed under `schema/`. With `UPDATE_SCHEMA=1` it is written instead.
#[track_caller]
pub(crate) fn check(name: &str, schema: &Value) {
    let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema").join(name);
    if std::env::var_os("UPDATE_SCHEMA").is_some_and(|value| value == "1") {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let line = text.lines().zip(committed.lines()).position(|(new, old)| new != old);
    assert!(
        text == committed,
        "schema/{name} is not that of the code, from line {:?}: write it anew with UPDATE_SCHEMA=1 cargo test --workspace schema",
        line.map(|line| line + 1),
    );
}

/// Lists every property of a schema's branch: its own, and those of what it refers to.
pub(crate) fn properties(root: &Value, branch: &Value) -> Vec<String> {
    let own = branch["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    let mut names: Vec<String> = own.collect();
    if let Some(name) = branch["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        names.extend(properties(root, &root["$defs"][name]));
    }
    names.sort();
    names.dedup();
    names
}

/// The branches of a schema that is told by one property, each with that property's value.
pub(crate) fn branches<'s>(schema: &'s Value, tag: &str) -> Vec<(&'s str, &'s Value)> {
    let all = schema["oneOf"].as_array().into_iter().flatten();
    all.filter_map(|branch| Some((branch["properties"][tag]["const"].as_str()?, branch))).collect()
}

/// Lists the names in backticks behind `mark`, as the code's own errors list what they take.
#[allow(dead_code)] // No code lists the names of frames.
pub(crate) fn quoted<'t>(error: &'t str, mark: &str) -> impl Iterator<Item = String> + use<'t> {
    let (_, list) = error.split_once(mark).unwrap_or_else(|| panic!("{error}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned)
}
