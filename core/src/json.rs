//! Tolerant reading of JSON that peers wrote.
//!
//! `reader` checks that the text is JSON and finds the place of each value. The *meaning* of a value is decided here, on
//! its raw text. So a bad field loses only itself, a number of any length keeps its digits, and a lone surrogate
//! becomes U+FFFD instead of an error.

mod reader;
mod repair;
mod salvage;
mod scan;
mod verbatim;
mod weight;
mod whole;
mod write;

pub(crate) use reader::{Fields, FromObject, Malformed, Raw, read_object};
pub use repair::repair;
pub use salvage::salvage;
pub(crate) use verbatim::verbatim;
pub use weight::{MAX_VALUES, weight, weight_of_fields};
pub use whole::whole;
pub(crate) use write::{BySerde, Write};

use compact_str::CompactString;
use memchr::{memchr, memchr2_iter};
use serde::de::Error as _;

/// Maximum nesting depth of a line.
pub const MAX_DEPTH: usize = 128;

/// Returns the raw text of the named fields of the object `raw`, by position in `names`. The last of duplicate keys
/// wins. Returns `None` if `raw` is not a JSON object, or nests deeper than [`MAX_DEPTH`].
pub fn fields<'a, const N: usize>(raw: &'a str, names: &[&str; N]) -> Option<[Option<&'a str>; N]> {
    let (mut found, mut next) = ([None; N], 0);
    let is_object = reader::whole(raw, |reader| {
        reader.object(|mut fields| {
            while let Some(name) = fields.next_name()? {
                let value = fields.raw()?;
                if let Some(at) = position(names, &name, &mut next) {
                    found[at] = Some(value);
                }
            }
            Ok(())
        })
    });
    (is_object == Ok(true)).then_some(found)
}

/// Reads a peer's whole text as [`fields`] does. If the text is JSON but for `NaN`, `Infinity` or `-Infinity`, reads
/// a copy with `null` in their places, which is stored in `room`.
pub fn peer_fields<'a, const N: usize>(
    text: &'a str,
    room: &'a mut String,
    names: &[&str; N],
) -> Option<[Option<&'a str>; N]> {
    if let Some(found) = fields(text, names) {
        return Some(found);
    }
    *room = repair(text)?;
    fields(room, names)
}

/// Reads a peer's whole text as an object. If it is JSON except for `NaN`, `Infinity` or `-Infinity`, a copy with `null`
/// in their places is read instead; it is stored in `room` (W-11). Returns `None` when the text is not a JSON object.
pub(crate) fn peer_object<'a, T: FromObject<'a>>(text: &'a str, room: &'a mut String) -> Option<T> {
    if let Ok(read) = read_object(text) {
        return read;
    }
    *room = repair(text)?;
    read_object(room).ok()?
}

/// Calls `visit` with the name and the raw value of each field of the object `raw`, in order. Any other value has no
/// fields.
pub(crate) fn entries<'a>(raw: &'a str, mut visit: impl FnMut(&str, &'a str)) {
    // The text was parsed before, so this cannot fail.
    let _ = reader::whole(raw, |reader| {
        reader.object(|mut fields| {
            while let Some(name) = fields.next_name()? {
                visit(&name, fields.raw()?);
            }
            Ok(())
        })
    });
}

/// Calls `visit` with the raw text of each item of the array `raw`, without collecting them. Does nothing if `raw` is
/// not an array.
pub(crate) fn each<'a>(raw: &'a str, visit: impl FnMut(&'a str)) {
    // The text was parsed before, so this cannot fail.
    let _ = reader::whole(raw, |reader| reader.array(visit));
}

/// Returns the position of a name. Peers write fields in one order, so the search begins at `next`: the position after
/// the last hit.
pub(crate) fn position(names: &[&str], name: &str, next: &mut usize) -> Option<usize> {
    let (earlier, later) = names.split_at(*next);
    let is_it = |known: &&str| *known == name;
    let later = later.iter().position(is_it).map(|at| at + *next);
    let at = later.or_else(|| earlier.iter().position(is_it))?;
    *next = at + 1;
    Some(at)
}

/// Keeps the raw value of a field at the position of its name in `names`. Drops it if the name is not listed.
pub(crate) fn keep<'a, const N: usize>(
    values: &mut [Option<&'a str>; N],
    names: &[&str; N],
    name: &str,
    value: &'a str,
) {
    if let Some(at) = names.iter().position(|known| *known == name) {
        values[at] = Some(value);
    }
}

/// Kind of a raw value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// A number without fraction or exponent.
    Integer,
    /// A number with a fraction or an exponent.
    Fraction,
    String,
    Array,
    Object,
}

/// Returns the kind of a value that is known to be JSON.
pub(crate) fn kind(raw: &str) -> Kind {
    match raw.as_bytes().first() {
        Some(b'"') => Kind::String,
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b't') => Kind::Bool(true),
        Some(b'f') => Kind::Bool(false),
        Some(b'n') | None => Kind::Null,
        Some(_) if raw.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => Kind::Fraction,
        Some(_) => Kind::Integer,
    }
}

/// Returns true if a raw value can be an id: a string, or an integer, which counts as its literal (W-8).
pub(crate) fn is_id(raw: &str) -> bool {
    matches!(kind(raw), Kind::String | Kind::Integer)
}

/// Appends the text of a raw string or integer. Anything else appends nothing.
pub(crate) fn push_text(raw: &str, out: &mut String) {
    match kind(raw) {
        Kind::Integer => out.push_str(raw),
        Kind::String => unescape(&raw[1..raw.len() - 1], out),
        Kind::Null | Kind::Bool(_) | Kind::Fraction | Kind::Array | Kind::Object => {}
    }
}

/// Returns the text of a raw string, inline where it is short.
#[inline]
pub(crate) fn compact(raw: Raw<'_>) -> CompactString {
    match raw.plain() {
        Some(text) => text.into(),
        None => unescaped(raw.text()),
    }
}

fn unescaped(raw: &str) -> CompactString {
    let body = &raw[1..raw.len() - 1];
    let mut text = CompactString::with_capacity(body.len());
    unescape(body, &mut text);
    text
}

/// Returns the text of a raw string, or `None` for a value of another kind.
pub fn string(raw: &str) -> Option<String> {
    (kind(raw) == Kind::String).then(|| {
        let mut text = String::with_capacity(raw.len() - 2);
        push_text(raw, &mut text);
        text
    })
}

/// Returns the text of a raw string or integer, or `None` for a value of another kind.
pub fn id(raw: &str) -> Option<String> {
    is_id(raw).then(|| {
        let mut text = String::with_capacity(raw.len());
        push_text(raw, &mut text);
        text
    })
}

/// Text that grows.
trait Text {
    fn push(&mut self, c: char);
    fn push_str(&mut self, text: &str);
}

impl Text for String {
    fn push(&mut self, c: char) {
        String::push(self, c);
    }

    fn push_str(&mut self, text: &str) {
        String::push_str(self, text);
    }
}

impl Text for CompactString {
    fn push(&mut self, c: char) {
        CompactString::push(self, c);
    }

    fn push_str(&mut self, text: &str) {
        CompactString::push_str(self, text);
    }
}

/// Undoes the escapes of a string body that is known to be well-formed. A surrogate without its
/// partner becomes U+FFFD (W-7).
fn unescape(mut body: &str, out: &mut impl Text) {
    while let Some(at) = memchr(b'\\', body.as_bytes()) {
        out.push_str(&body[..at]);
        let rest = &body[at + 1..];
        let mut used = 1;
        match rest.as_bytes().first() {
            Some(b'n') => out.push('\n'),
            Some(b't') => out.push('\t'),
            Some(b'r') => out.push('\r'),
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'u') => {
                used = 5;
                let unit = hex4(rest, 1);
                match char::from_u32(unit) {
                    Some(c) => out.push(c),
                    None => match low_surrogate(rest).filter(|_| unit < 0xDC00) {
                        Some(low) => {
                            used = 11;
                            let scalar = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                            out.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
                        }
                        None => out.push(char::REPLACEMENT_CHARACTER),
                    },
                }
            }
            // The quote, the backslash and the slash stand for themselves.
            Some(&other) => out.push(char::from(other)),
            None => return,
        }
        body = rest.get(used..).unwrap_or("");
    }
    out.push_str(body);
}

/// Returns the low surrogate that follows `uXXXX` at the start of `rest`, if there is one.
fn low_surrogate(rest: &str) -> Option<u32> {
    let follows = rest.as_bytes().get(5..7)? == b"\\u";
    let unit = hex4(rest, 7);
    (follows && (0xDC00..0xE000).contains(&unit)).then_some(unit)
}

/// Reads four hex digits at `at`. Returns a value that is not a scalar if there are none.
fn hex4(text: &str, at: usize) -> u32 {
    text.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0xDFFF)
}

/// Returns true if `line` nests no deeper than [`MAX_DEPTH`] (W-9).
pub(crate) fn depth_is_fine(line: &str) -> bool {
    let bytes = line.as_bytes();
    // A text that nests this deep has at least as many openers, and nearly no line has that many.
    if memchr2_iter(b'[', b'{', bytes).take(MAX_DEPTH + 1).count() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut in_string, mut at) = (0_usize, false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    true
}

/// Reads a whole text as JSON with last-wins keys, for tests and tools; the machine never builds trees.
///
/// # Errors
/// If it is not valid JSON, nests deeper than [`MAX_DEPTH`], or holds more than [`MAX_VALUES`]: as a tree a value takes
/// up to fifty times the bytes of its text.
pub fn parse(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    if !depth_is_fine(text) {
        return Err(serde_json::Error::custom("it nests deeper than 128 levels"));
    }
    if !weight::count_is_fine(text) {
        return Err(serde_json::Error::custom(format_args!("it holds more than {MAX_VALUES} values")));
    }
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_7_strings_lose_nothing_and_lone_surrogates_become_u_fffd() {
        for (raw, text) in [
            (r#""plain""#, "plain"),
            (r#""a\n\t\r\b\f\"\\\/z""#, "a\n\t\r\u{8}\u{c}\"\\/z"),
            (r#""\u0000\u2028\u00e9""#, "\0\u{2028}é"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d!""#, "\u{fffd}!"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\udfff\ude00""#, "\u{fffd}\u{fffd}"),
            (r#""\udc00\udc00""#, "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(string(raw).as_deref(), Some(text), "{raw}");
        }
    }

    #[test]
    fn w_8_integers_are_ids_as_written() {
        for (raw, expected) in [
            ("-1001234", Some("-1001234")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            ("-0", Some("-0")),
            (r#""x""#, Some("x")),
            ("1.0", None),
            ("1e3", None),
            ("1E3", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(id(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn w_9_the_last_of_duplicate_keys_wins() {
        let found = fields(r#"{"b":1,"a":{"b":2},"\u0062":3,"\ud800":4}"#, &["a", "b", "c"]);
        assert_eq!(found, Some([Some(r#"{"b":2}"#), Some("3"), None]));
        assert_eq!(fields("[1]", &["a"]), None);
        assert_eq!(fields(r#"{"a":1} x"#, &["a"]), None);
    }

    #[test]
    fn w_9_depth_is_bounded() {
        let nest = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(depth_is_fine(&nest(128)));
        assert!(!depth_is_fine(&nest(129)));
        assert!(depth_is_fine(&format!("[\"{}\"]", "[\\\"".repeat(500))));
        assert!(depth_is_fine(&format!("[{}]", "[],".repeat(500))));
        assert!(depth_is_fine(&format!("[[],{}]", nest(127))));
        assert!(!depth_is_fine(&format!("[[],{}]", nest(128))));
        // A bracket inside a string closes nothing.
        assert!(!depth_is_fine(&format!("{}{}", r#"["]]]\"}}",{"]":"#.repeat(65), "}]".repeat(65))));
    }
}
