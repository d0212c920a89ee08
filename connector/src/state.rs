//! The durable state of a connector as a JSON text: buffers, issued secrets, used tokens, revoked and idle gateways.
//! Secrets are in it in plain text.

use crate::buffer::BufferId;
use crate::frame::DeliveryKind;
use relayline_core::secret::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;
use zeroize::Zeroizing;

/// Version of the format. No other version is read.
pub(crate) const FORMAT: u64 = 1;
/// Field that marks a JSON object as a state; its value is the format.
const FORMAT_FIELD: &str = "relayline_connector_state";

/// Error returned when a text is not a state that can be used.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum StateFault {
    /// The text is not JSON, or a JSON object without the mark.
    #[error("is not a connector's state, or is damaged ({0})")]
    Foreign(String),
    /// The object has the mark, and another part is invalid.
    #[error("is damaged ({0})")]
    Damaged(String),
    /// The format is another version.
    #[error("has the format {0}, and this program reads format {FORMAT} alone")]
    Format(u64),
    /// The state holds messages of a connector that admits every gateway, and this one does not.
    #[error(
        "holds {0} messages of a connector that let everybody in: start it without --gateway and tokens until they are \
         taken"
    )]
    Open(usize),
}

/// The format field, which is read first.
#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "relayline_connector_state")]
    format: Option<Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DurableState {
    #[serde(rename = "relayline_connector_state")]
    pub(crate) format: u64,
    pub(crate) gateways: Vec<GatewayState>,
    pub(crate) enroll_tokens: Vec<TokenState>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayState {
    pub(crate) id: String,
    pub(crate) tenant: String,
    /// Issued secrets, newest last. Configured ones are not part of the state.
    pub(crate) secrets: Vec<SecretState>,
    #[serde(serialize_with = "show_optional", deserialize_with = "read_optional")]
    pub(crate) delivery_key: Option<Secret>,
    pub(crate) unclaimed: bool,
    pub(crate) profiles: BTreeMap<String, Map<String, Value>>,
    pub(crate) last_platform: Option<String>,
    pub(crate) policies: BTreeMap<String, Map<String, Value>>,
    pub(crate) revoked: bool,
    pub(crate) idle: bool,
    /// Newest id that an entry of the buffer was given.
    pub(crate) newest_id: BufferId,
    pub(crate) buffer: Vec<EntryState>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretState {
    #[serde(serialize_with = "show", deserialize_with = "read")]
    pub(crate) secret: Secret,
    /// The end of its overlap, in Unix milliseconds.
    pub(crate) until_unix_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenState {
    #[serde(serialize_with = "show", deserialize_with = "read")]
    pub(crate) token: Secret,
    pub(crate) tenant: String,
    pub(crate) expires_unix_s: Option<u64>,
    pub(crate) used: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryState {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: DeliveryKind,
    pub(crate) content: Map<String, Value>,
}

impl DurableState {
    /// Returns the text. It holds secrets, and is wiped when dropped.
    pub(crate) fn to_text(&self) -> Zeroizing<Vec<u8>> {
        // Cannot fail: every map has text keys.
        let mut text = Zeroizing::new(serde_json::to_vec(self).unwrap_or_default());
        text.push(b'\n');
        text
    }

    /// Reads a text; an empty one is the state of a new connector. Faults do not quote the text (C-4).
    pub(crate) fn read(text: &[u8]) -> Result<DurableState, StateFault> {
        if text.trim_ascii().is_empty() {
            return Ok(DurableState { format: FORMAT, ..DurableState::default() });
        }
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(StateFault::Foreign("it is not a JSON object".to_owned()));
        }
        let mark: Mark = serde_json::from_slice(text).map_err(|error| StateFault::Foreign(place(&error)))?;
        match mark.format.as_ref().map(Value::as_u64) {
            None => return Err(StateFault::Foreign(format!("it has no field `{FORMAT_FIELD}`"))),
            Some(Some(FORMAT)) => {}
            Some(Some(format)) => return Err(StateFault::Format(format)),
            Some(None) => return Err(StateFault::Damaged(format!("`{FORMAT_FIELD}` is not a number"))),
        }
        serde_json::from_slice(text).map_err(|error| StateFault::Damaged(place(&error)))
    }
}

/// Returns the position of an error. Its message may quote a secret (C-4).
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

fn show<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

fn show_optional<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => show(secret, serializer),
        None => serializer.serialize_none(),
    }
}

fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_state_is_an_error_without_a_quote() {
        let good = DurableState { format: FORMAT, ..DurableState::default() }.to_text();
        assert!(DurableState::read(&good).is_ok() && DurableState::read(b" \n").is_ok());
        let cut = &good[..good.len() - 4];
        let check = |text: &[u8], expected: &str| {
            let fault = DurableState::read(text).unwrap_err().to_string();
            assert!(fault.starts_with(expected), "{fault}");
            assert!(!fault.contains("hunter2"), "C-4: {fault}");
        };
        check(cut, "is not a connector's state, or is damaged (line 1, column ");
        check(b"hunter2=1", "is not a connector's state, or is damaged (it is not a JSON object)");
        check(b"[1]", "is not a connector's state, or is damaged (it is not a JSON object)");
        check(b"{hunter2}", "is not a connector's state, or is damaged (line 1, column 2)");
        check(b"{\"hunter2\":1}", "is not a connector's state, or is damaged (it has no field");
        check(b"{\"\xff\xfe\":1}", "is not a connector's state, or is damaged (line 1, column ");
        check(
            b"{\"relayline_connector_state\":2}",
            "has the format 2, and this program reads format 1 alone",
        );
        check(
            b"{\"relayline_connector_state\":\"hunter2\"}",
            "is damaged (`relayline_connector_state` is not",
        );
        check(b"{\"relayline_connector_state\":1}", "is damaged (line 1, column ");
        // An unknown field would be lost at the next write.
        let more = br#"{"relayline_connector_state":1,"gateways":[],"enroll_tokens":[],"hunter2":1}"#;
        check(more, "is damaged (line 1, column ");
        let wrong = br#"{"relayline_connector_state":1,"gateways":["hunter2"],"enroll_tokens":[]}"#;
        check(wrong, "is damaged (line 1, column ");
    }
}
