//! Tests long texts (O-11) against a CommonMark parser: exactly the code of the text is code in the parts. Code means
//! fenced blocks and code spans; indented code blocks count as text.

use crate::documents::{code, soup, written};
use proptest::prelude::*;
use relayline_core::descriptor::LenUnit;
use relayline_core::split::{SplitOptions, split};

/// From this limit on there is room for every fence of these documents inside its quotes.
const ROOMY: usize = 64;

/// Returns the parts without their numbers. A single part has none.
fn bodies(parts: &[String]) -> Vec<&str> {
    if let [only] = parts {
        return vec![only];
    }
    let body = |(at, part): (usize, &'_ String)| {
        let number = format!(" ({}/{})", at + 1, parts.len());
        part.strip_suffix(&number).unwrap_or_else(|| panic!("{part:?} has no{number}")).len()
    };
    parts.iter().enumerate().map(|(at, part)| &part[..body((at, part))]).collect()
}

/// Returns whether all characters of a text are in another, in this order, except white space and fences.
fn is_in(text: &str, whole: &str) -> bool {
    let mut whole = whole.chars();
    text.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '`' | '~'))
        .all(|c| whole.any(|other| other == c))
}

fn holds(text: &str, limit: usize, unit: LenUnit) -> Result<(), TestCaseError> {
    let room = SplitOptions::new(limit, unit);
    let parts = split(text, room);
    for part in &parts {
        prop_assert!(unit.len(part) <= limit, "{} {part:?}", unit.len(part));
    }
    if unit.len(text) <= limit {
        prop_assert_eq!(parts, [text]);
        return Ok(());
    }
    let bodies = bodies(&parts);
    prop_assert!(is_in(text, &bodies.concat()), "{parts:#?}");
    if limit >= ROOMY {
        let after: String = bodies.iter().map(|body| code(body)).collect();
        prop_assert_eq!(code(text), after, "{:#?}", parts);
        // Including the number.
        let after: String = parts.iter().map(|part| code(part)).collect();
        prop_assert_eq!(code(text), after, "{:#?}", parts);
    }
    Ok(())
}

fn unit() -> impl Strategy<Value = LenUnit> {
    prop_oneof![Just(LenUnit::Chars), Just(LenUnit::Utf16)]
}

proptest! {
    #[test]
    fn o_11_code_stays_code_in_any_text(text in soup(), limit in 32..400usize, unit in unit()) {
        holds(&text, limit, unit)?;
    }

    #[test]
    fn o_11_code_stays_code_in_a_written_text(text in written(), limit in 32..400usize, unit in unit()) {
        holds(&text, limit, unit)?;
    }
}
