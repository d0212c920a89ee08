//! Memory that JSON takes as a tree of values.

use memchr::memchr3_iter;
use serde_json::{Map, Value};

/// Maximum number of values in a text that is read as a tree, nested ones included.
pub const MAX_VALUES: usize = 1 << 16;

/// Bytes that a node of an object's tree takes for one entry, beside the key's text and the value.
const ENTRY: usize = size_of::<String>() + size_of::<Value>();

/// Returns the bytes that a value keeps alive, about.
pub fn weight(value: &Value) -> usize {
    let own = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.capacity(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => weight_of_fields(fields),
    };
    size_of::<Value>() + own
}

/// Returns the bytes that an object's fields keep alive, about.
pub fn weight_of_fields(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| ENTRY + name.capacity() + weight(value)).sum()
}

/// Returns true if a text has at most [`MAX_VALUES`] values. Each value but the first follows an opener or a comma.
pub(super) fn count_is_fine(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Nearly no text has that many, even with those inside strings.
    if memchr3_iter(b',', b'[', b'{', bytes).take(MAX_VALUES).count() < MAX_VALUES {
        return true;
    }
    let (mut count, mut in_string, mut at) = (1_usize, false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
        at += 1;
    }
    count <= MAX_VALUES
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn x_1_the_values_of_a_tree_are_bounded() {
        let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
        assert!(count_is_fine(&list(MAX_VALUES - 1)));
        assert!(!count_is_fine(&list(MAX_VALUES)));
        let wide = format!("{{\"content\":\"{}\"}}", "\\\",[{".repeat(MAX_VALUES));
        assert!(count_is_fine(&wide), "a comma or bracket in a string is not a value");
        let error = crate::json::parse(&list(MAX_VALUES)).unwrap_err();
        assert_eq!(error.to_string(), "it holds more than 65536 values");
    }

    #[test]
    fn x_1_a_tree_weighs_what_it_keeps() {
        assert!(weight(&json!("x".repeat(1000))) >= 1000);
        assert!(weight(&json!(vec![0; 1000])) >= 1000 * size_of::<Value>());
        assert!(weight(&json!({ "x".repeat(1000): null })) >= 1000);
    }
}
