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

/// Returns the place at or after `at` of the next byte that is not plain text of a string: a quote, a backslash or a
/// control character. Returns the length of `bytes` if there is none.
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
    /// A byte of 1 in each place.
    const ONES: u64 = u64::MAX / 255;
    let find = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        // The top bit of a byte is set by the subtraction if the byte is less than the subtrahend. A borrow can also set
        // it in higher bytes, but the lowest set bit is right.
        let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word;
        let equal = |to: u8| less(word ^ (ONES * u64::from(to)), 1);
        let found = (less(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7);
        (found != 0).then(|| found.trailing_zeros() as usize / 8)
    };
    let rest = bytes.get(at..).unwrap_or_default();
    let (words, _) = rest.as_chunks::<8>();
    for word in words {
        if let Some(found) = find(word) {
            return at + found;
        }
        at += 8;
    }
    // The last eight bytes overlap the last word, in which nothing was found.
    if let Some(word) = rest.last_chunk::<8>() {
        return bytes.len() - 8 + find(word).unwrap_or(8);
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}
