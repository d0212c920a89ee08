//! Long texts (O-11): no part exceeds the limit, is empty or lacks its number, and no text is lost.

use arbitrary::{Result, Unstructured};
use relayline_core::descriptor::LenUnit;
use relayline_core::split::{MIN_LIMIT, SplitOptions, split};

pub(crate) fn run(data: &[u8]) {
    let _ = any(Unstructured::new(data));
}

fn any(mut input: Unstructured<'_>) -> Result<()> {
    let limit = usize::from(input.arbitrary::<u8>()?);
    // Mostly small limits, which reach the edge cases; at times one below the minimum.
    let limit = if limit > 200 { limit * 10 } else { limit };
    let unit = if input.arbitrary()? { LenUnit::Utf16 } else { LenUnit::Chars };
    let room = SplitOptions::new(limit, unit).code_blocks(input.arbitrary()?);
    let text = String::from_utf8_lossy(input.take_rest());
    check_limits(&text, room);
    Ok(())
}

fn check_limits(text: &str, room: SplitOptions) {
    let limit = room.limit.max(MIN_LIMIT);
    let parts = split(text, room);
    if room.unit.len(text) <= limit {
        assert_eq!(parts, [text], "what fits stays as it is");
        return;
    }
    let mut said = String::new();
    for (at, part) in parts.iter().enumerate() {
        assert!(room.unit.len(part) <= limit, "{part:?} is over {limit}");
        // A single part has no number: the others would have had white space alone.
        let number = if parts.len() > 1 { format!(" ({}/{})", at + 1, parts.len()) } else { String::new() };
        let body = part.strip_suffix(&number).unwrap_or_else(|| panic!("{part:?} has no{number}"));
        assert!(!body.trim().is_empty(), "{part:?} is empty");
        said.push_str(body);
    }
    if room.code_blocks {
        // Fences are added, and one that closes what a cut has closed is left out. The rest is in the parts, in order.
        let mut said = said.chars();
        let mut text = without_whitespace(text)
            .chars()
            .filter(|c| !matches!(c, '`' | '~'))
            .collect::<Vec<_>>()
            .into_iter();
        assert!(text.all(|c| said.any(|other| other == c)), "something is lost");
    } else {
        assert_eq!(without_whitespace(&said), without_whitespace(text), "nothing is lost");
    }
}

/// Returns a text without white space.
fn without_whitespace(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
