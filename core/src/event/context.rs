//! Renders the surrounding messages of a channel as one text.

use super::CompactString;
use super::read::{id, name};
use crate::json;

/// First line of every context.
const HEADING: &str = "[Recent channel messages]";

/// Bytes that a context may keep beside its text.
const MOST_SPARE: usize = 4096;

/// Renders `context`: the heading, then `author: text` per usable item, oldest first. Returns `None` when no item is
/// usable.
pub(super) fn render(raw: &str) -> Option<CompactString> {
    // Enough for three items and more: their names, commas and quotes take more room than the heading and line breaks.
    let mut lines = String::with_capacity(raw.len());
    json::each(raw, |item| {
        let Some([Some(text), source]) = json::fields(item, &["text", "source"]) else { return };
        let Some(text) = name(text) else { return };
        if lines.is_empty() {
            lines.push_str(HEADING);
        }
        lines.push('\n');
        let source = source.and_then(|raw| json::fields(raw, &["user_name", "user_id"]));
        let [user_name, user_id] = source.unwrap_or([None; 2]);
        if let Some(author) = user_name.and_then(name).or(user_id.and_then(id)) {
            push_flat(&author, &mut lines);
            lines.push_str(": ");
        }
        push_flat(&text, &mut lines);
    });
    if lines.capacity() - lines.len() > MOST_SPARE {
        lines.shrink_to_fit();
    }
    (!lines.is_empty()).then(|| lines.into())
}

/// Appends a text on one line: each line break in it becomes a space, so that a message cannot forge another's line.
fn push_flat(text: &str, out: &mut String) {
    if text.contains(is_break) {
        let text = text.replace("\r\n", "\n");
        out.extend(text.chars().map(|c| if is_break(c) { ' ' } else { c }));
    } else {
        out.push_str(text);
    }
}

/// Returns true if some programs show this character as a line break.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X-1: only the text of an item is kept.
    #[test]
    fn x_1_a_context_keeps_little_more_than_its_text() {
        let item = r#"{"text":"a","source":{"user_name":"b","user_id":"1234567890"}}"#;
        let rendered = render(&format!("[{}]", vec![item; 1000].join(","))).unwrap();
        assert_eq!(rendered.len(), HEADING.len() + 1000 * "\nb: a".len());
        assert!(rendered.capacity() <= rendered.len() + MOST_SPARE, "{}", rendered.capacity());
    }
}
