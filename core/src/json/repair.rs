//! Repairs constants that Python writes and JSON does not have.

use super::scan::skip_string;
use memchr::memchr3;

/// Replaces `NaN`, `Infinity` and `-Infinity` outside strings by `null`. Returns `None` if the text has none of them.
///
/// The result is valid JSON only if each constant is a value of its own: `NaN1` becomes `null1`.
pub fn repair(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut repaired = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr3(b'"', b'N', b'I', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            let Some(end) = skip_string(bytes, at) else { break };
            at = end.min(bytes.len());
            continue;
        }
        let Some(length) = constant(&bytes[at..]) else {
            at += 1;
            continue;
        };
        let signed = bytes[at] == b'I' && at > copied && bytes[at - 1] == b'-';
        repaired.push_str(&text[copied..at - usize::from(signed)]);
        repaired.push_str("null");
        at += length;
        copied = at;
    }
    repaired.push_str(&text[copied..]);
    (copied > 0).then_some(repaired)
}

/// Returns the length of the constant that `rest` starts with.
fn constant(rest: &[u8]) -> Option<usize> {
    let names: [&[u8]; 2] = [b"NaN", b"Infinity"];
    names.iter().find(|name| rest.starts_with(name)).map(|name| name.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(text: &str) -> Option<Value> {
        serde_json::from_str(&repair(text)?).ok()
    }

    #[test]
    fn w_11_constants_read_as_null_where_a_value_may_be() {
        for (text, expected) in [
            ("NaN", "null"),
            (" -Infinity ", " null "),
            (r#"{"a":NaN,"b":[Infinity,-Infinity],"c":1}"#, r#"{"a":null,"b":[null,null],"c":1}"#),
            (r#"["NaN \" NaN",NaN,"Infinity\\",Infinity]"#, r#"["NaN \" NaN",null,"Infinity\\",null]"#),
        ] {
            assert_eq!(repair(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "1", r#""NaN""#, r#"{"NaN":"-Infinity"}"#, "nan", "Inf", "\"NaN", r#""\"NaN"#] {
            assert_eq!(repair(text), None, "{text}");
        }
        for text in [
            "-NaN",
            "--Infinity",
            "NaNx",
            "NaN1",
            "1NaN",
            "1-Infinity",
            "Infinityy",
            "NaNNaN",
            "NaN Infinity",
            "+Infinity",
            "- Infinity",
            "{NaN:1}",
            "{\"a\" NaN}",
            "[NaN\"x\"]",
            "[NaN,]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// Returns the text with `null` for each constant outside of strings.
    fn with_nulls(text: &str) -> String {
        let (mut read, mut rest, mut in_string) = (String::new(), text, false);
        while let Some(c) = rest.chars().next() {
            let constants = ["-Infinity", "Infinity", "NaN"];
            let after = constants.iter().find_map(|constant| rest.strip_prefix(constant));
            if let (Some(after), false) = (after, in_string) {
                read += "null";
                rest = after;
                continue;
            }
            let is_escape = in_string && c == '\\';
            in_string ^= c == '"';
            let length = rest.char_indices().nth(1 + usize::from(is_escape)).map_or(rest.len(), |(at, _)| at);
            read += &rest[..length];
            rest = &rest[length..];
        }
        read
    }

    proptest! {
        /// W-11: each constant outside of strings is read as null, and nothing else changes.
        #[test]
        fn w_11_constants_outside_of_strings_read_as_null(
            tokens in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", " ", "\"", "\\", "\"a\"", "1", "-", "é", "NaN", "Infinity", "-Infinity", "null",
            ]), 0..12)
        ) {
            let text = tokens.concat();
            let repaired = repair(&text);
            if serde_json::from_str::<Value>(&text).is_ok() {
                prop_assert_eq!(repaired, None, "{}", text);
            } else if let Some(value) = repaired.and_then(|repaired| serde_json::from_str::<Value>(&repaired).ok()) {
                prop_assert_eq!(serde_json::from_str(&with_nulls(&text)).ok(), Some(value), "{}", text);
            }
        }
    }
}
