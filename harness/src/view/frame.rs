//! A line of the wire, read for a view.

use super::gist::quoted;
use super::problems::ProblemKind;
use relayline_core::json;
use serde_json::{Map, Value};

/// Maximum length of a line that a gateway reads.
const MAX_LINE: usize = 1 << 20;
/// Types of frames that a gateway sends.
const OF_GATEWAY: [&str; 5] = ["hello", "outbound", "interrupt", "going_idle", "inbound_ack"];
/// Types of frames that a connector sends.
const OF_CONNECTOR: [&str; 7] = [
    "descriptor",
    "inbound",
    "outbound_result",
    "interrupt_inbound",
    "passthrough_forward",
    "going_idle_ack",
    "error",
];

/// A line, as far as it can be read.
#[derive(Debug)]
pub(super) struct ReadFrame {
    /// Exact text; bytes that are not UTF-8 are replaced.
    pub(super) text: String,
    /// Fields; empty if the line is not a JSON object.
    pub(super) fields: Map<String, Value>,
    /// Type; a description if there is none.
    pub(super) name: String,
    /// Problem of the line by itself, with details.
    pub(super) problem: Option<(ProblemKind, String)>,
}

impl ReadFrame {
    /// Reads a line of the gateway or of the connector.
    pub(super) fn read(bytes: &[u8], is_gateways: bool) -> ReadFrame {
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        let malformed = |text: String, kind, detail: &str| ReadFrame {
            text,
            fields: Map::new(),
            name: "malformed".to_owned(),
            problem: Some((kind, detail.to_owned())),
        };
        if !is_utf8 {
            return malformed(text, ProblemKind::Malformed, "It is not UTF-8.");
        }
        let parsed = json::parse(&text).or_else(|error| {
            json::repair(&text).and_then(|repaired| json::parse(&repaired).ok()).ok_or(error)
        });
        let fields = match parsed {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return malformed(text, ProblemKind::Malformed, "It is JSON, but not an object."),
            Err(error) if objects_on(&text) > 1 => {
                let detail = format!("{} objects are on one line: {error}.", objects_on(&text));
                return malformed(text, ProblemKind::TwoOnALine, &detail);
            }
            Err(error) => {
                let detail = format!("It is not valid JSON: {error}.");
                return malformed(text, ProblemKind::Malformed, &detail);
            }
        };
        let Some(name) = fields.get("type").and_then(Value::as_str).map(str::to_owned) else {
            let mut frame = malformed(text, ProblemKind::Malformed, "It has no string `type`.");
            frame.fields = fields;
            return frame;
        };
        let own: &[&str] = if is_gateways { &OF_GATEWAY } else { &OF_CONNECTOR };
        let problem = if !is_gateways && bytes.len() > MAX_LINE {
            Some((ProblemKind::Overlong, format!("It has {} bytes.", bytes.len())))
        } else if !own.contains(&name.as_str()) {
            Some((ProblemKind::UnknownType, format!("The type is {}.", quoted(&name, 60))))
        } else {
            None
        };
        ReadFrame { text, fields, name, problem }
    }

    /// Returns a text field, or the digits of an integer.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        id(self.fields.get(name))
    }

    /// Returns an object field.
    pub(super) fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.fields.get(name).and_then(Value::as_object)
    }
}

/// Returns a text, or the digits of an integer; `None` for an empty text.
pub(super) fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the number of JSON objects that follow each other on a line, 2 at most.
fn objects_on(text: &str) -> usize {
    let objects = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    objects.take_while(|read| read.as_ref().is_ok_and(Value::is_object)).take(2).count()
}
