//! The one buffer of an event, and where its texts lie in it.

use crate::json::{self, Kind};

/// Where one text lies in the buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    pub(super) const ABSENT: Span = Span { start: u32::MAX, len: 0 };

    pub(super) fn len(self) -> u32 {
        self.len
    }
}

/// The texts of one event, one behind the other. A line is at most 1 GiB, so 32 bits tell where.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Buffer(String);

impl Buffer {
    pub(super) fn with_capacity(room: usize) -> Self {
        Buffer(String::with_capacity(room))
    }

    pub(super) fn get(&self, span: Span) -> Option<&str> {
        let start = usize::try_from(span.start).ok()?;
        self.0.get(start..start.checked_add(usize::try_from(span.len).ok()?)?)
    }

    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Gives back room that the estimate asked for and nobody used, where it is more than a few kilobytes.
    pub(super) fn trim(&mut self) {
        if self.0.capacity() - self.0.len() > 4096 {
            self.0.shrink_to_fit();
        }
    }

    /// Where the next text will begin.
    pub(super) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets what was pushed since.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// What was pushed since.
    pub(super) fn since(&self, mark: usize) -> Span {
        match (u32::try_from(mark), u32::try_from(self.0.len() - mark)) {
            (Ok(start), Ok(len)) => Span { start, len },
            _ => Span::ABSENT,
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Adds a whole text.
    pub(super) fn add(&mut self, text: &str) -> Span {
        let mark = self.mark();
        self.push(text);
        self.since(mark)
    }

    /// The text of a raw string or integer.
    pub(super) fn id(&mut self, raw: &str) -> Option<Span> {
        json::is_id(raw).then(|| {
            let mark = self.mark();
            json::push_text(raw, &mut self.0);
            self.since(mark)
        })
    }

    /// The text of a raw string.
    pub(super) fn string(&mut self, raw: &str) -> Option<Span> {
        (json::kind(raw) == Kind::String).then(|| self.id(raw)).flatten()
    }

    /// The text of a raw string, if there is one.
    pub(super) fn optional(&mut self, raw: Option<&str>) -> Span {
        raw.and_then(|raw| self.string(raw)).unwrap_or(Span::ABSENT)
    }

    /// A raw string or integer on one line: each line break in it becomes a space, so that a message cannot forge
    /// another's line (E-6).
    pub(super) fn push_flat(&mut self, raw: &str) {
        let mark = self.mark();
        json::push_text(raw, &mut self.0);
        if self.0[mark..].contains(is_break) {
            let text = self.0.split_off(mark).replace("\r\n", "\n");
            self.0.extend(text.chars().map(|c| if is_break(c) { ' ' } else { c }));
        }
    }
}

/// Every character that somebody shows as a new line.
fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
