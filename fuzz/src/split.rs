//! Long texts (O-11): no part is over the limit, nothing is lost, no code block stays open.

use arbitrary::{Result, Unstructured};
use relayline_core::descriptor::LenUnit;
use relayline_core::split::{LEAST_LIMIT, Room, split};

pub(crate) fn run(data: &[u8]) {
    let _ = any(Unstructured::new(data));
}

fn any(mut input: Unstructured<'_>) -> Result<()> {
    let limit = usize::from(input.arbitrary::<u8>()?);
    // Mostly short limits, where all the edges are; at times one that is below the least.
    let limit = if limit > 200 { limit * 10 } else { limit };
    let unit = if input.arbitrary()? { LenUnit::Utf16 } else { LenUnit::Chars };
    let room = Room { limit, unit, code_blocks: input.arbitrary()? };
    let text = String::from_utf8_lossy(input.take_rest());
    holds(&text, room);
    Ok(())
}

fn holds(text: &str, room: Room) {
    let limit = room.limit.max(LEAST_LIMIT);
    let parts = split(text, room);
    if room.unit.len(text) <= limit {
        assert_eq!(parts, [text], "what fits stays as it is");
        return;
    }
    let mut bodies = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        assert!(room.unit.len(part) <= limit, "{part:?} is over {limit}");
        let number = format!(" ({}/{})", at + 1, parts.len());
        let body = part.strip_suffix(&number).unwrap_or_else(|| panic!("{part:?} has no{number}"));
        bodies.push(body);
    }
    if room.code_blocks {
        nothing_is_lost_between_fences(text, &bodies, limit);
    } else {
        assert_eq!(squeezed(&bodies.concat()), squeezed(text), "nothing is lost");
    }
}

/// A text without the white space that a cut may cost.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '\n')).collect()
}

/// Each part closes what it opens; and once the fences that cuts have put in are gone, the text is whole.
fn nothing_is_lost_between_fences(text: &str, bodies: &[&str], limit: usize) {
    let mut whole = String::new();
    for body in bodies {
        assert_eq!(open_block(body, limit), None, "{body:?} leaves a block open");
        whole.push_str(&squeezed(body));
    }
    // What was put in is backticks and info strings: the text is what the parts say with pieces left out.
    let mut said = whole.chars();
    let text = squeezed(text);
    assert!(text.chars().all(|c| said.any(|other| other == c)), "{text:?} is not all in {whole:?}");
    // Per cut a marker, a marker again and an info string of a quarter of the limit at most.
    let most = bodies.len() * (limit / 4 + 2 * longest_marker(limit));
    assert!(whole.chars().count() <= text.chars().count() + most, "{whole:?} says more than {text:?}");
}

fn longest_marker(limit: usize) -> usize {
    4.max(limit / 8)
}

/// The length of the marker of the block that is open at a text's end, as a reader of Markdown sees it.
fn open_block(text: &str, limit: usize) -> Option<usize> {
    let mut open: Option<usize> = None;
    for line in text.split('\n') {
        let bare = line.trim_start_matches(' ');
        let info = bare.trim_start_matches('`');
        let ticks = bare.len() - info.len();
        // A run that is too long to be said again is text on purpose.
        if line.len() - bare.len() > 3 || !(3..=longest_marker(limit)).contains(&ticks) {
            continue;
        }
        open = match open {
            Some(marker) if ticks >= marker && info.trim_end_matches([' ', '\r']).is_empty() => None,
            Some(marker) => Some(marker),
            None if info.contains('`') => None,
            None => Some(ticks),
        };
    }
    open
}
