//! The reader against serde_json, which reads the same grammar.

use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;

/// Returns the raw text of the value that takes up the whole text.
fn raw(text: &str) -> Option<&str> {
    whole(text, Reader::raw).ok()
}

/// Returns the same by serde_json.
fn by_serde(text: &str) -> Option<&str> {
    serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get)
}

#[test]
fn the_grammar_is_that_of_serde_json() {
    for text in [
        "",
        " ",
        "1",
        " -0 ",
        "01",
        "-",
        "1.",
        "1.5",
        ".5",
        "1e",
        "1e+",
        "1e-07",
        "1E5",
        "+1",
        "1 2",
        "0x1",
        "-01",
        "tru",
        "true",
        "truex",
        "nul",
        "null",
        "fals",
        "false",
        "NaN",
        "\"",
        "\"a",
        "\"a\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\\\\"",
        "\"a\tb\"",
        "\"a\u{7f}é\"",
        "\"\u{1f}\"",
        "{",
        "}",
        "{}",
        "{ }",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" : 1 , \"b\" : [ ] }",
        "{1:2}",
        "{\"a\":1]",
        "[",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1}",
        "[[],{}]",
        "[{\"a\":[{}]},2]",
        "]",
        "{\"a\":{\"b\":{}},\"c\":[[]]}",
        "[\"]\"]",
        "\u{feff}1",
        "[1]]",
    ] {
        assert_eq!(raw(text), by_serde(text), "{text:?}");
    }
}

/// W-9: the depth is that of the innermost value.
#[test]
fn w_9_deeper_texts_are_malformed() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let nested = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        let most = MAX_DEPTH / open.matches(['[', '{']).count();
        assert!(raw(&nested(most)).is_some(), "{open}");
        assert_eq!(raw(&nested(most + 1)), None, "{open}");
        let fields = |text: &str| crate::json::fields(text, &["a"]).is_some();
        assert_eq!(fields(&nested(most)), open.starts_with('{'));
        assert!(!fields(&nested(most + 1)));
    }
    // Values side by side do not add up.
    assert!(raw(&format!("[{}[]]", "[],{\"a\":[]},".repeat(1000))).is_some());
}

#[test]
fn special_bytes_are_found_in_any_place() {
    for length in 0..40 {
        for at in 0..length {
            for byte in [b'"', b'\\', 0, 0x1f] {
                // 0x80 and 0xff are next to a borrow, and `!` is next to the quote.
                for plain in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    let mut bytes = vec![plain; length];
                    bytes[at] = byte;
                    assert_eq!(special(&bytes, 0), at, "{byte} among {plain}");
                    assert_eq!(special(&bytes, at), at);
                    assert_eq!(special(&bytes, at + 1), length);
                }
            }
        }
    }
    assert_eq!(special(b"abc", 7), 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Tokens in any order: the reader accepts what serde_json accepts, and finds the same text.
    #[test]
    fn any_text_is_read_as_by_serde_json(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", " ", "\"", "\\", "\"a\"", "\"b\":", "\\u00e9", "1", "-", "0", ".5", "e3",
            "é", "true", "null", "\n", "{\"a\":", "[1,", "{}", "[]",
        ]), 0..14)
    ) {
        let text = tokens.concat();
        prop_assert_eq!(raw(&text), by_serde(&text), "{}", text);
    }
}
