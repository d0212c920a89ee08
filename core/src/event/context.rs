//! The surrounding messages of a channel, as one text (E-6).

use super::{Buffer, Span};
use crate::json::{self, Kind};

/// The line that every context begins with.
pub(super) const HEADING: &str = "[Recent channel messages]";

/// Renders `context` into the buffer: the heading, then `author: text` per usable item, oldest first. `ABSENT` when
/// no item is usable.
pub(super) fn render(raw: Option<&str>, buffer: &mut Buffer) -> Span {
    let mark = buffer.mark();
    json::known_each(raw.unwrap_or("null"), |item| {
        let Some([Some(text), source]) = json::known_fields(item, &["text", "source"]) else { return };
        if json::kind(text) != Kind::String || text == "\"\"" {
            return;
        }
        if buffer.mark() == mark {
            buffer.push(HEADING);
        }
        buffer.push("\n");
        let source = source.and_then(|raw| json::known_fields(raw, &["user_name", "user_id"]));
        let [name, id] = source.unwrap_or([None; 2]);
        let name = name.filter(|raw| json::kind(raw) == Kind::String && *raw != "\"\"");
        let id = id.filter(|raw| json::is_id(raw) && *raw != "\"\"");
        if let Some(author) = name.or(id) {
            buffer.push_flat(author);
            buffer.push(": ");
        }
        buffer.push_flat(text);
    });
    if buffer.mark() == mark { Span::ABSENT } else { buffer.since(mark) }
}
