//! A text as it reads: PHP writes `/` as `\/`, and Go `&` as `\u0026`. What looks for credentials need not know it.

use memchr::memmem;
use std::borrow::Cow;

/// A text without these escapes, which knows where each of its bytes stood.
pub(super) struct Plain<'a> {
    text: Cow<'a, [u8]>,
    /// Where each byte began; empty where nothing was escaped, as in most texts.
    origins: Vec<usize>,
    length: usize,
}

impl<'a> Plain<'a> {
    pub(super) fn of(written: &'a [u8]) -> Self {
        let length = written.len();
        if [&br"\/"[..], br"\u00"].iter().all(|escape| memmem::find(written, escape).is_none()) {
            return Plain { text: written.into(), origins: Vec::new(), length };
        }
        let (mut text, mut origins) = (Vec::with_capacity(length), Vec::with_capacity(length));
        let mut at = 0;
        while at < length {
            let to = memchr::memchr(b'\\', &written[at..]).map_or(length, |run| at + run);
            text.extend_from_slice(&written[at..to]);
            origins.extend(at..to);
            let run = backslashes(&written[to..]);
            // JSON within JSON has more of them: all that stand before the same byte belong to it.
            if let Some((byte, long)) = escaped(&written[to + run..]) {
                text.push(byte);
                origins.push(to);
                at = to + run + long;
            } else {
                at = to + run;
                text.extend_from_slice(&written[to..at]);
                origins.extend(to..at);
            }
        }
        Plain { text: text.into(), origins, length }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where that byte began as it was written.
    pub(super) fn origin(&self, at: usize) -> usize {
        if self.origins.is_empty() { at } else { self.origins.get(at).copied().unwrap_or(self.length) }
    }

    /// The first byte that began there or behind.
    pub(super) fn at(&self, origin: usize) -> usize {
        if self.origins.is_empty() { origin } else { self.origins.partition_point(|begun| *begun < origin) }
    }
}

/// How many of them the text begins with.
pub(super) fn backslashes(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b'\\').count()
}

/// What stands behind a backslash, and how long it is written. Quotes, backslashes and line breaks stay escaped: it
/// matters whether they are.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    if text.first() == Some(&b'/') {
        return Some((b'/', 1));
    }
    let digits = std::str::from_utf8(text.strip_prefix(b"u00")?.get(..2)?).ok()?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')).then_some((byte, 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_found_again() {
        for (written, expected) in [
            (r"a\/b", "a/b"),
            (r"?a=1\u0026key\u003D", "?a=1&key="),
            (r"https:\\\/\\\/x", "https://x"),
            (r#"\"a\n\u00e9\u0022\u005c\u00"#, r#"\"a\n\u00e9\u0022\u005c\u00"#),
            ("a/b é", "a/b é"),
            (r"\", r"\"),
        ] {
            let plain = Plain::of(written.as_bytes());
            assert_eq!(plain.text(), expected.as_bytes(), "{written}");
            assert_eq!(plain.origin(plain.text().len()), written.len());
            for at in 0..=plain.text().len() {
                assert_eq!(plain.at(plain.origin(at)), at, "{written}");
            }
        }
        assert_eq!(Plain::of(br"a\u0026b").at(3), 2);
    }
}
