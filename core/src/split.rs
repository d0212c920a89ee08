//! Splits a long text into messages along its CommonMark structure.
//!
//! - `blocks` reads lines: containers, fenced blocks, text; `cursor` counts their columns.
//! - `spans` finds the code spans of a paragraph.
//! - `part` writes one part, with the markers that must be inserted.
//! - `cutter` chooses the end of a part, and reads the part again to check that its code matches the text's.

mod blocks;
mod cursor;
mod cutter;
mod part;
mod spans;

use crate::descriptor::{Descriptor, LenUnit};
use blocks::{Blocks, Context};
use cutter::Cutter;
use part::Start;

/// Minimum limit of [`split`]. A lower limit counts as this.
pub const MIN_LIMIT: usize = 32;

/// Limits that a platform puts on a message's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SplitOptions {
    /// Maximum length of a message, in `unit`; at least [`MIN_LIMIT`].
    pub limit: usize,
    /// Unit of lengths.
    pub unit: LenUnit,
    /// True if the platform renders Markdown code. Otherwise backticks are plain text.
    pub code_blocks: bool,
}

impl From<&Descriptor> for SplitOptions {
    fn from(descriptor: &Descriptor) -> SplitOptions {
        SplitOptions {
            limit: usize::try_from(descriptor.max_message_length).unwrap_or(usize::MAX),
            unit: descriptor.len_unit,
            code_blocks: descriptor.code_blocks(),
        }
    }
}

impl SplitOptions {
    /// Creates limits for a platform that renders Markdown code.
    pub fn new(limit: usize, unit: LenUnit) -> SplitOptions {
        SplitOptions { limit, unit, code_blocks: true }
    }

    /// Sets whether the platform renders Markdown code.
    #[must_use]
    pub fn code_blocks(self, code_blocks: bool) -> SplitOptions {
        SplitOptions { code_blocks, ..self }
    }

    fn at_least(self) -> SplitOptions {
        SplitOptions { limit: self.limit.max(MIN_LIMIT), ..self }
    }

    fn read(self, text: &str, context: &Context) -> Blocks {
        if self.code_blocks { Blocks::read(text, context) } else { Blocks::plain(text) }
    }
}

/// Splits `text` into parts that fit: at a newline, else at a space, else between two grapheme clusters.
///
/// The newline or space at a cut is dropped, and nothing else. A code span or grapheme cluster that fits into a part
/// is not cut. A fenced code block that is cut is closed and opened again, with its info string if that is at most a
/// quarter of the limit. If there are several parts, each ends with its number, ` (1/3)`, on a line of its own after
/// a fence.
///
/// A text within the limit is returned unchanged as one part. Parts that consist of white space are left out.
pub fn split(text: &str, room: SplitOptions) -> Vec<String> {
    let room = room.at_least();
    if bounded(room.unit, text, room.limit).is_some() {
        return vec![text.to_owned()];
    }
    let blocks = room.read(text, &Context::default());
    // The numbers take room, which depends on the number of parts. Their width grows until both agree.
    let mut digits = 1;
    let parts = loop {
        let parts = parts(&Cutter { text, blocks: &blocks, room, number: " (/)".len() + 2 * digits });
        let needed = parts.len().to_string().len();
        if needed <= digits {
            break parts;
        }
        digits = needed;
    };
    let count = parts.len();
    if count == 1 {
        // The others would have had white space alone.
        return parts.into_iter().map(|(text, _)| text).collect();
    }
    let numbered = parts.into_iter().enumerate().map(|(at, (text, ends_with_fence))| {
        let gap = if ends_with_fence && !text.ends_with('\n') { "\n" } else { "" };
        format!("{text}{gap} ({}/{count})", at + 1)
    });
    numbered.collect()
}

/// Returns the parts, each with a flag that is true if its last line is a fence.
fn parts(cutter: &Cutter<'_>) -> Vec<(String, bool)> {
    let mut parts = Vec::new();
    let mut start = Start::default();
    while start.at < cutter.text.len() {
        let cut = cutter.cut(&start);
        if !cut.part.text.trim().is_empty() {
            parts.push((cut.part.text, cut.part.ends_with_fence));
        }
        start = cutter.builder().start(cut.next);
    }
    parts
}

/// Blocks that are open at a cut, kept for the rest of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block(Context);

impl Block {
    fn of(context: Context) -> Option<Block> {
        let is_open = !context.containers.is_empty() || context.fence.is_some() || context.is_mid_line;
        is_open.then_some(Block(context))
    }
}

/// Returns the context of a text that begins inside `block`.
fn context(block: Option<&Block>) -> Context {
    block.map(|Block(context)| context.clone()).unwrap_or_default()
}

/// First message of a text.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct First {
    /// The message, without a number; empty if it has only white space.
    pub(crate) content: String,
    /// Position in the text where the next message begins; the text's length if all of it fits.
    pub(crate) next: usize,
    /// Block that is open at that position.
    pub(crate) block: Option<Block>,
}

/// Returns the first message of a text that begins inside `block`, cut as [`split`] cuts. Open blocks are closed at its
/// end, whether or not the text continues, so that each state of a growing text is a valid message.
pub(crate) fn first(text: &str, block: Option<&Block>, room: SplitOptions) -> First {
    let room = room.at_least();
    if text.is_empty() {
        return First { content: String::new(), next: 0, block: block.cloned() };
    }
    let (near, context) = (near(text, room), context(block));
    let blocks = room.read(near, &context);
    let cutter = Cutter { text: near, blocks: &blocks, room, number: 0 };
    let start = cutter.builder().resumed(&context);
    let cut = cutter.cut(&start);
    let mut content = cut.part.text;
    // White space at the end is shown once more text follows.
    content.truncate(content.trim_end_matches([' ', '\n']).len());
    First { content, next: cut.next, block: Block::of(cutter.builder().context(cut.next)) }
}

/// Returns the beginning of a text that can matter for its first message: a little more than fits, up to the end of a
/// line. This keeps the cost of each message independent of the length of the text.
fn near(text: &str, room: SplitOptions) -> &str {
    let most = room.limit.saturating_mul(8).saturating_add(1 << 16);
    if most >= text.len() {
        return text;
    }
    let most = text.floor_char_boundary(most);
    let end = memchr::memrchr(b'\n', &text.as_bytes()[..most]).map_or(most, |at| at + 1);
    &text[..if end > most / 2 { end } else { most }]
}

/// Returns the number of bytes that are not shown at the beginning of a further message, and the block that is open
/// after them. Those bytes are blank lines, spaces inside a line, and the end of a block that the last message has
/// closed already.
pub(crate) fn resume(text: &str, block: Option<&Block>, room: SplitOptions) -> (usize, Option<Block>) {
    let mut context = context(block);
    let mut skipped = 0;
    if context.fence.is_some() {
        // The reopened block brings its own newline.
        if context.is_mid_line && text.starts_with('\n') {
            context.is_mid_line = false;
            skipped = 1;
        }
        let line = text[skipped..].split_inclusive('\n').next().unwrap_or("");
        let room = room.at_least();
        let blocks = room.read(line, &context);
        if !blocks.lines.first().is_some_and(|line| matches!(line.kind, blocks::Kind::Closes(_))) {
            return (skipped, Block::of(context));
        }
        skipped += line.len();
        context.fence = None;
        context.is_mid_line = false;
    }
    if context.is_mid_line && context.span.is_none() {
        skipped += text[skipped..].len() - text[skipped..].trim_start_matches(' ').len();
    }
    let blank = text[skipped..].split_inclusive('\n').take_while(|line| line.trim().is_empty());
    let blank: usize = blank.map(str::len).sum();
    if blank > 0 {
        context.is_mid_line = false;
        context.is_paragraph = false;
        context.span = None;
    }
    (skipped + blank, Block::of(context))
}

/// Returns the part of a growing text that can be shown: without a last line that may yet become a fence, and without a
/// block that is still empty.
pub(crate) fn settled<'t>(text: &'t str, block: Option<&Block>, room: SplitOptions) -> &'t str {
    if !room.code_blocks || text.is_empty() {
        return text;
    }
    &text[..Blocks::read(text, &context(block)).settled(text)]
}

/// Returns the length of a text if it is at most `most`. A huge text is not counted to its end.
fn bounded(unit: LenUnit, text: &str, most: usize) -> Option<usize> {
    let mut length = 0;
    for c in text.chars() {
        length += unit.of(c);
        if length > most {
            return None;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests;
