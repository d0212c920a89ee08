//! Finds top-level fields in a line that is not JSON.

use super::scan::{place, skip_space, skip_string};
use super::{Kind, kind};
use serde_json::value::RawValue;

/// Returns the raw text of each named field of the outermost object in `line`, if it is a string or an integer. Of
/// duplicate keys the last wins.
///
/// The line may be cut off, nest too deep, and hold bad UTF-8 and malformed values. The search takes one pass. It ends
/// where strings or brackets no longer match, since what follows may be nested text that only looks like a field.
pub fn salvage<'a, const N: usize>(line: &'a [u8], names: &[&str; N]) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    let mut open = Vec::new();
    // The position in `names` of the key whose value comes next.
    let mut pending = None;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let is_field = open.len() == 1;
        match byte {
            b'"' => {
                let Some(end) = skip_string(line, at) else { break };
                let next = skip_space(line, end);
                if is_field && pending.is_none() && line.get(next) == Some(&b':') {
                    pending = Some(key(&line[at..end], names));
                    at = next + 1;
                    continue;
                }
                if is_field && let Some(place) = pending.take() {
                    keep(&mut found, place, &line[at..end], line.get(next));
                }
                at = end;
            }
            b'{' | b'[' => {
                if is_field && let Some(Some(place)) = pending.take() {
                    found[place] = None;
                }
                if open.is_empty() && byte == b'[' {
                    break;
                }
                open.push(byte);
                at += 1;
            }
            b'}' | b']' => {
                let opener = if byte == b'}' { b'{' } else { b'[' };
                if open.pop() != Some(opener) || open.is_empty() {
                    break;
                }
                at += 1;
            }
            // A backslash occurs in strings only, so the search has lost track of the quotes.
            b'\\' => break,
            b',' | b':' | b' ' | b'\t' | b'\r' => at += 1,
            _ => {
                let end = at + bare(&line[at..]);
                if is_field && let Some(place) = pending.take() {
                    keep(&mut found, place, &line[at..end], line.get(skip_space(line, end)).or(Some(&b'?')));
                }
                at = end;
            }
        }
    }
    found
}

/// Returns the place of a key among `names`.
fn key(quoted: &[u8], names: &[&str]) -> Option<usize> {
    place(std::str::from_utf8(quoted.get(1..quoted.len() - 1)?).ok()?, names)
}

/// Returns the length of the token that `rest` starts with, at least 1.
fn bare(rest: &[u8]) -> usize {
    let ends = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'{' | b'[' | b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r')
    };
    rest.iter().position(ends).unwrap_or(rest.len()).max(1)
}

/// Stores a value that is a whole string or integer. `next` is the first byte after it, if there is one.
fn keep<'a, const N: usize>(
    found: &mut [Option<&'a str>; N],
    place: Option<usize>,
    raw: &'a [u8],
    next: Option<&u8>,
) {
    let Some(place) = place else { return };
    let text = std::str::from_utf8(raw).ok();
    let text = text.filter(|text| matches!(kind(text), Kind::String | Kind::Integer));
    let is_whole = |text: &&str| serde_json::from_str::<&RawValue>(text).is_ok();
    found[place] = text.filter(is_whole).filter(|_| matches!(next, None | Some(b',' | b'}')));
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 2] = ["type", "bufferId"];

    #[track_caller]
    fn check(line: &[u8], expected: [Option<&str>; 2]) {
        assert_eq!(salvage(line, &NAMES), expected, "{}", line.escape_ascii());
    }

    #[test]
    fn a_9_the_id_is_found_in_broken_lines() {
        let both = [Some("\"inbound\""), Some("\"b1\"")];
        check(b"{\"type\":\"inbound\",\"event\":{\"text\":\"\xff\xfe\"},\"bufferId\":\"b1\"}", both);
        check(b"{\"bufferId\":\"b1\",\"type\":\"inbound\",\"event\":{\"text\":\"cut o", both);
        check(b"{\"bufferId\":\"b1\",\"type\":\"inbound\"", both);
        check(b"{\"type\":\"inbound\",\"event\":{\"n\":undefined},\"bufferId\":\"b1\"}", both);
        check(b"{\"x\":1 \"type\":\"inbound\", \"event\":{} , \"bufferId\" : \"b1\" }", both);
        check(b"\xef\xbb\xbf{\"type\":\"inbound\",\"bufferId\":\"b1\"}", both);
        check(b"{\"type\":\"inbound\",\"bufferId\":\"b1\"} {\"bufferId\":\"b2\"}", both);
        check(b"{\"type\":\"inbound\",'x':\x01,\"\\u0062ufferId\":\"b1\",}", both);
        check(b"{\"bufferId\":\"b0\",\"type\":\"x\",\"type\":\"inbound\",\"bufferId\":\"b1\",nope}", both);
        let nest =
            [b"{\"type\":\"inbound\",\"event\":".as_slice(), &b"[".repeat(500), &b"]".repeat(500)].concat();
        check(&[nest.as_slice(), b",\"bufferId\":12}"].concat(), [both[0], Some("12")]);
    }

    #[test]
    fn a_9_a_nested_or_partial_id_is_not_found() {
        let kind = [Some("\"inbound\""), None];
        // Nested, in a text, in a list, as a value.
        check(b"{\"type\":\"inbound\",\"event\":{\"bufferId\":\"b\",\xff}}", kind);
        check(b"{\"type\":\"inbound\",\"event\":{\"text\":\",\\\"bufferId\\\":\\\"b\\\",\"},nope}", kind);
        check(b"{\"type\":\"inbound\",\"event\":\"bufferId\",\"x\":\"b\",}", kind);
        check(b"{\"type\":\"inbound\",\"event\":\"bufferId\":\"b\"}", kind);
        check(b"[{\"type\":\"inbound\",\"bufferId\":\"b\"}]", [None, None]);
        // An unescaped quote makes the search lose track of strings; the next escape ends the search.
        check(b"{\"type\":\"inbound\",\"event\":{\"text\":\"5\" of \\\"x\\\"},\\\"bufferId\\\":\\\"b\\\"\"},\"bufferId\":\"c\"}", kind);
        // A bracket too many or too few.
        check(b"{\"type\":\"inbound\",\"event\":{\"x\":1],\"bufferId\":\"b\"}}", kind);
        check(b"{\"type\":\"inbound\",\"event\":{\"x\":1,\"bufferId\":\"b\"}", kind);
        // An incomplete id, or none.
        check(b"{\"type\":\"inbound\",\"bufferId\":\"b", kind);
        check(b"{\"type\":\"inbound\",\"bufferId\":12", kind);
        check(b"{\"type\":\"inbound\",\"bufferId\":\"b\xff\"}", kind);
        check(b"{\"type\":\"inbound\",\"bufferId\":\"b\"c\"}", kind);
        check(b"{\"type\":\"inbound\",\"bufferId\":\"\\q\",nope}", kind);
        for other in ["1.5", "1e3", "01", "null", "true", "[\"b\"]", "{\"bufferId\":\"b\"}", "nope", ""] {
            check(
                format!("{{\"type\":\"inbound\",\"bufferId\":\"b\",\"bufferId\":{other},nope}}").as_bytes(),
                kind,
            );
        }
    }

    fn any_object() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "null",
            "1",
            "-20",
            "1.5",
            "\"\"",
            "\"b\"",
            "\"bufferId\"",
            "\"\\\"type\\\":\\\"x\\\"\"",
            "\"\\ud800\"",
        ])
        .prop_map(str::to_owned);
        let keys = prop::sample::select(vec!["type", "bufferId", "buffer\\u0049d", "event", "x", "", "\\\""]);
        let object = move |value: BoxedStrategy<String>| {
            prop::collection::vec((keys.clone(), value, " ?"), 0..5).prop_map(|fields| {
                let fields = fields
                    .iter()
                    .map(|(key, value, space)| format!("{space}\"{key}\"{space}:{space}{value}{space}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            })
        };
        let nested = leaf.boxed().prop_recursive(3, 16, 4, {
            let object = object.clone();
            move |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..4)
                        .prop_map(|items| format!("[{}]", items.join(","))),
                    object(inner),
                ]
            }
        });
        object(nested.boxed())
    }

    /// Returns the value that the parser finds, if it is a string or an integer.
    fn parsed(text: &str) -> [Option<&str>; 2] {
        let found = fields(text, &NAMES).unwrap();
        found.map(|raw| raw.filter(|raw| matches!(kind(raw), Kind::String | Kind::Integer)))
    }

    proptest! {
        /// on whole objects the search finds what the parser finds.
        #[test]
        fn a_9_on_valid_json_the_search_equals_the_parser(text in any_object()) {
            prop_assert_eq!(salvage(text.as_bytes(), &NAMES), parsed(&text), "{}", text);
        }

        /// in a line that was cut off, nothing is found that is not in the whole line.
        #[test]
        fn a_9_a_cut_line_gives_no_other_id(text in any_object(), cut in any::<prop::sample::Index>()) {
            let cut = &text.as_bytes()[..cut.index(text.len() + 1)];
            // Of duplicate keys, the last may have been cut off, so that an earlier one is found.
            let [_, id] = salvage(cut, &NAMES);
            if let Some(id) = id {
                let quoted = |key: &str| text.match_indices(&format!("\"{key}\"")).count();
                let only_one = quoted("bufferId") + quoted("buffer\\u0049d") <= 1;
                prop_assert!(!only_one || parsed(&text)[1] == Some(id), "{} of {}", id, text);
            }
        }

        /// bytes that break a nested value leave the top-level fields as they are.
        #[test]
        fn a_9_a_broken_nested_text_keeps_top_level_fields(text in any_object(), junk in prop::collection::vec(0x80_u8..=0xff, 1..4)) {
            let [kind, id] = parsed(&text);
            let line = [b"{\"event\":{\"text\":\"", junk.as_slice(), b"\"},", &text.as_bytes()[1..]].concat();
            let line = if text.trim_start_matches(['{', ' ']).starts_with('}') { line.repeat(1) } else { line };
            prop_assert_eq!(salvage(&line, &NAMES), [kind, id], "{}", text);
        }

        /// any bytes are searched without a panic, and whatever is found can be written back.
        #[test]
        fn a_9_the_search_never_panics(line in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\"type\"", "\"bufferId\"", "1", "-", "x", " ", "\u{80}",
        ]), 0..24)) {
            let line = line.concat();
            for raw in salvage(line.as_bytes(), &NAMES).into_iter().flatten() {
                prop_assert!(serde_json::from_str::<&RawValue>(raw).is_ok());
            }
        }
    }
}
