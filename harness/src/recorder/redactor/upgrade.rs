//! A recorded upgrade for people: without its credentials, whoever recorded it.

use super::{HIDDEN, Redactor, fields};
use crate::recording::{LineContent, RecordedLine};
use serde_json::{Map, Value, json};

/// Returns an upgrade's line as JSON, and its path. Values of its query, and of headers that are not known to be
/// harmless, are hidden. Both are empty for another line.
pub(crate) fn hidden_upgrade(line: &RecordedLine) -> (String, String) {
    let LineContent::Connect { url_path, authorization, headers, .. } = &line.what else {
        return (String::new(), String::new());
    };
    let redactor = Redactor::new([]);
    let path = redactor.target(url_path);
    let mut shown: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            let (name, value) = redactor.header(name.clone(), value.as_str().unwrap_or_default());
            (name, Value::from(value))
        })
        .collect();
    if let Some(value) = authorization {
        let (scheme, _) = fields::authorization(value.expose());
        let scheme = scheme.map(|scheme| format!("{scheme} ")).unwrap_or_default();
        shown.insert("authorization".to_owned(), Value::from(format!("{scheme}{HIDDEN}")));
    }
    let mut object = json!({"t_ms": line.t_ms, "dir": "connect", "url_path": path});
    if let Some(dial) = line.dial() {
        object["dial"] = Value::from(dial);
    }
    if let Some(gateway) = line.rest.get(crate::recording::GATEWAY_ID).and_then(Value::as_str) {
        object["gateway_id"] = Value::from(gateway);
    }
    if !shown.is_empty() {
        object["headers"] = Value::Object(shown);
    }
    (object.to_string(), path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;

    #[test]
    fn c_4_an_upgrade_is_shown_without_credentials() {
        let text = concat!(
            "{\"relay_session\":1}\n{\"t_ms\":3,\"dir\":\"connect\",\"url_path\":\"/relay?ticket=s3cret-1\",\"dial\":2,",
            "\"headers\":{\"authorization\":\"Bearer s3cret-2\",\"Cookie\":\"s3cret-3\",\"Host\":\"h.example\"}}\n"
        );
        let recording = Recording::read("r.jsonl", text.as_bytes()).unwrap();
        let (line, path) = hidden_upgrade(&recording.lines[0]);
        assert_eq!(path, "/relay?ticket=<hidden>");
        assert!(
            !line.contains("s3cret") && line.contains("Bearer <hidden>") && line.contains("h.example"),
            "{line}"
        );
    }
}
