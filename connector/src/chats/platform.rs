//! A platform that a connector fronts: its name, its descriptor and the style of its ids.

use super::ids::IdStyle;
use relayline_core::op::{Definition, Gate, OPS, Returns};
use serde_json::{Map, Value, json};

/// A platform that a connector fronts.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Platform {
    /// Name on the wire, as in `discord`.
    pub name: String,
    /// Style of the platform's message ids.
    pub ids: IdStyle,
    /// Fields of the descriptor that answers a `hello` for the platform.
    pub descriptor: Map<String, Value>,
}

impl Platform {
    /// Creates a platform whose descriptor has only the required fields. Without `supported_ops` it offers the legacy
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

    /// Creates a platform. A descriptor that is not an object becomes an empty one.
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

/// Returns the names of all ops that a descriptor can list in `supported_ops`, except those in `left_out`.
pub(super) fn ops_without(left_out: &[&str]) -> Vec<&'static str> {
    // `task_card` stands for the other ops of task cards, too, and a raw op can have any name.
    let can_be_listed = |op: &&Definition| op.gate != Gate::TaskCards && op.returns != Returns::Raw;
    OPS.iter().filter(can_be_listed).map(|op| op.name).filter(|name| !left_out.contains(name)).collect()
}
