//! Copies of a peer's JSON for a host.

use super::scan::{skip_space, skip_string};
use super::{hex4, low_surrogate};
use memchr::memchr;

/// Copies a text that is known to be JSON: without white space between its tokens, and with U+FFFD for each lone
/// surrogate, which strict readers reject (W-7). The copy is one line.
pub(crate) fn verbatim(raw: &str) -> Box<str> {
    let bytes = raw.as_bytes();
    let mut copy = String::with_capacity(raw.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => skip_string(bytes, at).unwrap_or(bytes.len()).min(bytes.len()),
            _ => bytes[at..].iter().position(|b| is_edge(*b)).map_or(bytes.len(), |length| at + length),
        };
        let token = raw.get(at..end).unwrap_or_default();
        if token.starts_with('"') {
            push_string(token, &mut copy)
        } else {
            copy.push_str(token)
        }
        at = skip_space(bytes, end);
    }
    copy.into_boxed_str()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns true if `byte` ends a run of tokens that are not strings.
fn is_edge(byte: u8) -> bool {
    byte == b'"' || is_space(byte)
}

/// Copies a raw string with its quotes, and replaces each lone surrogate.
fn push_string(mut raw: &str, copy: &mut String) {
    while let Some(at) = memchr(b'\\', raw.as_bytes()) {
        copy.push_str(&raw[..at]);
        let rest = &raw[at + 1..];
        let unit = if rest.starts_with('u') { hex4(rest, 1) } else { 0 };
        let length = match unit {
            0xD800..0xDC00 if low_surrogate(rest).is_some() => 12,
            0xD800..0xE000 => {
                copy.push_str("\\ufffd");
                raw = raw.get(at + 6..).unwrap_or_default();
                continue;
            }
            // Any other escape. The digits of a `\u` escape are copied with the text after them.
            _ => 2,
        };
        let (escape, after) = raw[at..].split_at_checked(length).unwrap_or((&raw[at..], ""));
        copy.push_str(escape);
        raw = after;
    }
    copy.push_str(raw);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn x_4_w_7_the_copy_is_one_line_without_lone_surrogates() {
        for (raw, expected) in [
            ("{ \"a b\" :\r\n [ 1 , -2.5e3,\ttrue ] }\n", r#"{"a b":[1,-2.5e3,true]}"#),
            (r#""\ud83d\ude00 \ud83d \ude00\"\\ud800\n""#, r#""\ud83d\ude00 \ufffd \ufffd\"\\ud800\n""#),
            (r#"{"\ud800":"\ud83d\ud83d\ude00"}"#, r#"{"\ufffd":"\ufffd\ud83d\ude00"}"#),
            (r#""\uD83D\uDE00\udBff""#, r#""\uD83D\uDE00\ufffd""#),
            ("null", "null"),
            ("\"é  \u{2028}\"", "\"é  \u{2028}\""),
        ] {
            assert_eq!(&*verbatim(raw), expected, "{raw}");
        }
    }

    proptest! {
        /// X-4: anything that serde_json writes, however it is spaced, is copied without a change of meaning.
        #[test]
        fn x_4_a_copy_has_the_same_meaning(
            text in r#"[a-z"\\\{\}\[\],: é😀\n]{0,12}"#, number in any::<f64>(), pretty in any::<bool>()
        ) {
            let value = serde_json::json!({ text.as_str(): [text.as_str(), number, {"a": null, "b": []}] });
            let raw = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let copy = verbatim(&raw.unwrap());
            prop_assert_eq!(serde_json::from_str::<Value>(&copy).unwrap(), value.clone());
            prop_assert_eq!(&*copy, serde_json::to_string(&value).unwrap());
        }

        /// A text that is not valid JSON causes no panic.
        #[test]
        fn w_3_a_copy_never_panics(raw in r#"[\{\}\[\]",:\\ua18dD é]{0,24}"#) {
            let _ = verbatim(&raw);
        }
    }
}
