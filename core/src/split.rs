//! Cutting a long text into messages (O-11).

use crate::descriptor::LenUnit;

/// The least limit that [`split`] works with; a lower one counts as this.
pub const LEAST_LIMIT: usize = 32;

/// Cuts `text` into parts of at most `limit` in `unit`: at a newline, else at a space, else between two scalar
/// values (O-11). The white space at a cut goes. Of several parts each ends with its number: ` (1/3)`.
///
/// A text within the limit comes back as it is, as one part. A limit under [`LEAST_LIMIT`] counts as that.
pub fn split(text: &str, limit: usize, unit: LenUnit) -> Vec<String> {
    let limit = limit.max(LEAST_LIMIT);
    // One pass tells whether there is anything to do, without counting all of a huge text.
    if fits(text, limit, unit) {
        return vec![text.to_owned()];
    }
    // The numbers take room, and how much depends on how many parts there are: widen until they agree. A text
    // would need over 10^4 parts to run thrice.
    let mut digits = 1;
    loop {
        let room = limit - (" (/)".len() + 2 * digits);
        let parts = cut(text, room, unit);
        let needed = parts.len().to_string().len();
        if needed <= digits {
            let count = parts.len();
            return parts
                .iter()
                .enumerate()
                .map(|(at, part)| format!("{part} ({}/{count})", at + 1))
                .collect();
        }
        digits = needed;
    }
}

fn fits(text: &str, limit: usize, unit: LenUnit) -> bool {
    let mut length = 0;
    text.chars().all(|c| {
        length += unit.of(c);
        length <= limit
    })
}

/// The bare parts, each of at most `room`.
fn cut(text: &str, room: usize, unit: LenUnit) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = cut_at(rest, room, unit);
        let (part, after) = rest.split_at(end);
        let (part, after) = if after.is_empty() {
            (part, after)
        } else {
            (part.trim_end_matches([' ', '\n']), after.trim_start_matches([' ', '\n']))
        };
        if !part.is_empty() {
            parts.push(part);
        }
        rest = after;
    }
    parts
}

/// Where the first part of `text` ends, in bytes.
fn cut_at(text: &str, room: usize, unit: LenUnit) -> usize {
    let (mut length, mut newline, mut space) = (0, None, None);
    for (at, c) in text.char_indices() {
        // White space at the very edge is a cut that costs nothing.
        match c {
            '\n' if at > 0 => newline = Some(at),
            ' ' if at > 0 => space = Some(at),
            _ => {}
        }
        length += unit.of(c);
        if length > room {
            return newline.or(space).unwrap_or(at);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, limit: usize, unit: LenUnit, expected: &[&str]) {
        assert_eq!(split(text, limit, unit), expected, "{text:?}");
    }

    #[test]
    fn o_11_where_a_text_is_cut() {
        use LenUnit::{Chars, Utf16};
        check("", 32, Chars, &[""]);
        check("as it is\n ", 32, Chars, &["as it is\n "]);
        // 26 are left beside the number.
        check(&"a".repeat(33), 32, Chars, &["aaaaaaaaaaaaaaaaaaaaaaaaaa (1/2)", "aaaaaaa (2/2)"]);
        check(
            "the first line\nthe second line here",
            32,
            Chars,
            &["the first line (1/2)", "the second line here (2/2)"],
        );
        check(
            "no newline in here but some spaces",
            32,
            Chars,
            &["no newline in here but (1/2)", "some spaces (2/2)"],
        );
        check("😀".repeat(17).as_str(), 32, Utf16, &["😀😀😀😀😀😀😀😀😀😀😀😀😀 (1/2)", "😀😀😀😀 (2/2)"]);
        check("😀".repeat(32).as_str(), 32, Chars, &["😀".repeat(32).as_str()]);
    }

    /// What is left of a text when white space at the cuts does not count.
    fn squeezed(text: &str) -> String {
        text.chars().filter(|c| !matches!(c, ' ' | '\n')).collect()
    }

    proptest! {
        #[test]
        fn o_11_no_part_is_over_the_limit_and_nothing_is_lost(
            text in "([a-z \n]|😀|é|\u{301}|\u{200d}){0,400}",
            limit in 32usize..80,
            utf16 in any::<bool>(),
        ) {
            let unit = if utf16 { LenUnit::Utf16 } else { LenUnit::Chars };
            let parts = split(&text, limit, unit);
            let count = parts.len();
            let mut joined = String::new();
            for (at, part) in parts.iter().enumerate() {
                prop_assert!(unit.len(part) <= limit, "{part:?}");
                let number = format!(" ({}/{count})", at + 1);
                let bare = if count > 1 { part.strip_suffix(number.as_str()) } else { Some(part.as_str()) };
                joined.push_str(bare.expect("numbered"));
            }
            prop_assert_eq!(squeezed(&joined), squeezed(&text));
        }
    }
}
