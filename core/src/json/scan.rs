//! Scans text that may not be JSON for the ends of strings and white space. It never panics.

use super::unescape;
use memchr::memchr2;

/// Returns which of `names` a key is; a key may be written with escapes.
pub(super) fn place(key: &str, names: &[&str]) -> Option<usize> {
    if !key.contains('\\') {
        return names.iter().position(|name| *name == key);
    }
    let mut plain = String::with_capacity(key.len());
    unescape(key, &mut plain);
    names.iter().position(|name| *name == plain)
}

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Returns the place after the string that begins at `at`.
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
