//! Walking over values that serde_json has already found to be JSON: where each one ends, and nothing else. On a text
//! that is none it finds nothing, or nonsense; it never panics.

use memchr::memchr2;

/// As [`super::fields`], for an object that is known to be JSON: one pass that checks nothing again.
pub(crate) fn known_fields<'a, const N: usize>(
    raw: &'a str,
    names: &[&str; N],
) -> Option<[Option<&'a str>; N]> {
    let mut found = [None; N];
    // Peers write fields in one order: the search starts after the last hit.
    let mut next = 0;
    known_entries(raw, |key, value| {
        if let Some(place) = place(key, names, next) {
            found[place] = Some(value);
            next = place + 1;
        }
    })?;
    Some(found)
}

/// Calls `visit` with each key, without its quotes, and value of an object that is known to be JSON. `None` when it is
/// no object.
pub(crate) fn known_entries<'a>(raw: &'a str, mut visit: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut at = skip_space(bytes, 1);
    while bytes.get(at) == Some(&b'"') {
        let end = skip_string(bytes, at)?;
        let key = raw.get(at + 1..end - 1)?;
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let start = skip_space(bytes, at + 1);
        let end = skip_value(bytes, start)?;
        visit(key, raw.get(start..end)?);
        at = skip_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
    Some(())
}

/// Calls `visit` with each item of an array that is known to be JSON; of what is no array with none.
pub(crate) fn known_each<'a>(raw: &'a str, mut visit: impl FnMut(&'a str)) {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'[') {
        return;
    }
    let mut at = skip_space(bytes, 1);
    while at < bytes.len() && bytes[at] != b']' {
        let Some(end) = skip_value(bytes, at) else { return };
        let Some(item) = raw.get(at..end) else { return };
        visit(item);
        at = skip_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
}

/// Which of `names` a key is; a key may be written with escapes.
pub(super) fn place(key: &str, names: &[&str], next: usize) -> Option<usize> {
    if key.contains('\\') {
        let plain = super::string_body(key);
        return names.iter().position(|name| *name == plain);
    }
    let (before, behind) = names.split_at(next.min(names.len()));
    let found = behind.iter().position(|name| *name == key).map(|at| before.len() + at);
    found.or_else(|| before.iter().position(|name| *name == key))
}

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Behind the string that begins at `at`.
pub(super) fn skip_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    at += 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that begins at `at`. At least one byte is passed, or there is none.
fn skip_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at),
        b'{' | b'[' => {
            let mut depth = 0_usize;
            loop {
                match bytes.get(at)? {
                    b'"' => {
                        at = skip_string(bytes, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
        }
        _ => {
            let length = bytes[at..]
                .iter()
                .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
            // A comma where a value should be is no JSON.
            Some(at + length.unwrap_or(bytes.len() - at)).filter(|end| *end > at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            r#"[a-z"\\\{\}\[\],: é😀]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((r#"[a-c"\\\n]{0,2}"#, inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    const NAMES: [&str; 5] = ["a", "b", "ab", "c", "\""];

    proptest! {
        /// W-3, W-9: on what is JSON the walk finds what serde_json finds, however it is spaced.
        #[test]
        fn w_09_the_walk_finds_what_the_parser_finds(value in any_json(), pretty in any::<bool>()) {
            let raw = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let raw = raw.unwrap();
            prop_assert_eq!(known_fields(&raw, &NAMES), super::super::fields(&raw, &NAMES));
            let (mut walked, mut parsed) = (Vec::new(), Vec::new());
            known_each(&raw, |item| walked.push(item));
            super::super::each(&raw, |item| parsed.push(item));
            prop_assert_eq!(walked, parsed);
        }

        /// On what is none it does not panic.
        #[test]
        fn w_03_the_walk_survives_anything(raw in r#"[\{\}\[\]",:\\a1 é]{0,24}"#) {
            let _ = known_fields(&raw, &NAMES);
            known_each(&raw, |_| {});
        }
    }

    #[test]
    fn w_09_the_last_of_duplicate_keys_wins_escaped_or_not() {
        let found =
            known_fields(r#"{"b":1,"a":{"b":2},"\u0062":3,"\ud800":4 , "c" :[ ] }"#, &["a", "b", "c"]);
        assert_eq!(found, Some([Some(r#"{"b":2}"#), Some("3"), Some("[ ]")]));
        assert_eq!(known_fields("[1]", &["a"]), None);
    }
}
