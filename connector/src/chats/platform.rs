//! A platform's descriptor and style of ids.

use super::ids::IdStyle;
use relayline_core::op::{Definition, Gate, OPS, Returns};
use serde_json::{Map, Value, json};

/// A platform that a connector fronts.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Platform {
    /// Name on the wire: `discord`, `telegram`, …
    pub name: String,
    /// Style of its message ids.
    pub ids: IdStyle,
    /// Capability descriptor that answers a `hello` for it.
    pub descriptor: Map<String, Value>,
}

impl Platform {
    /// Returns a platform with the required fields of a descriptor alone. Without `supported_ops` it offers the legacy
    /// set of ops.
    pub fn generic(name: &str) -> Self {
        let descriptor = json!({
            "contract_version": 1,
            "platform": name,
            "label": name,
            "max_message_length": 4096,
            "supports_draft_streaming": false,
            "supports_edit": true,
            "supports_threads": false,
            "markdown_dialect": "plain",
            "len_unit": "chars",
        });
        Platform::new(name, IdStyle::Counter, descriptor)
    }

    pub(super) fn new(name: &str, ids: IdStyle, descriptor: Value) -> Self {
        let descriptor = match descriptor {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        Platform { name: name.to_owned(), ids, descriptor }
    }
}

/// Lists all ops that a descriptor can name, without these.
pub(super) fn ops_without(left_out: &[&str]) -> Vec<&'static str> {
    let can_be_named = |op: &&Definition| op.gate != Gate::TaskCards && op.returns != Returns::Raw;
    OPS.iter().filter(can_be_named).map(|op| op.name).filter(|name| !left_out.contains(name)).collect()
}
