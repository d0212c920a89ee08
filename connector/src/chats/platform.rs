//! What a connector says about a platform.

use super::{IdStyle, discord, slack, telegram};
use relayline_core::op::{Definition, Gate, OPS, Returns};
use serde_json::{Map, Value, json};

/// A platform as the connector fronts it.
#[derive(Clone, PartialEq, Debug)]
pub struct Platform {
    /// Its name on the wire: `discord`, `telegram`, …
    pub name: String,
    /// How it numbers its messages.
    pub ids: IdStyle,
    /// The capability descriptor that answers a `hello` for it (D-1, D-2, D-6).
    pub descriptor: Map<String, Value>,
}

impl Platform {
    /// The fake platform of that name, or a generic one (D-1's required fields and nothing else) under that name.
    pub fn named(name: &str) -> Self {
        match name {
            "discord" => discord::platform(),
            "telegram" => telegram::platform(),
            "slack" => slack::platform(),
            other => Platform::generic(other),
        }
    }

    /// The least that a descriptor can say: D-1's required fields. Without `supported_ops` it offers the legacy set (D-6).
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

    /// The three fake platforms.
    pub fn fakes() -> Vec<Self> {
        vec![discord::platform(), telegram::platform(), slack::platform()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_1_every_descriptor_has_what_is_required() {
        for platform in Platform::fakes().into_iter().chain([Platform::named("matrix")]) {
            let field = |name: &str| platform.descriptor.get(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(field("contract_version"), 1);
            assert_eq!(field("platform"), platform.name.as_str());
            assert!(field("max_message_length").as_u64().is_some_and(|limit| limit >= 2000));
            for name in ["label", "markdown_dialect", "len_unit"] {
                assert!(field(name).is_string(), "{name}");
            }
            for name in ["supports_draft_streaming", "supports_edit", "supports_threads"] {
                assert!(field(name).is_boolean(), "{name}");
            }
        }
    }
}
