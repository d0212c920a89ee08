//! Writes one part of a text: its piece of the text, and the inserted markers that keep its code readable as code.

use super::blocks::{Blocks, Container, Context, Fence, Kind, MarkdownLine, enter};
use super::cursor::Cursor;
use super::{SplitOptions, bounded};
use std::ops::Range;

/// Start of a part, and the blocks that are open there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Start {
    pub(super) at: usize,
    /// Line that the part begins in.
    pub(super) line: usize,
    /// True if the part begins inside that line.
    pub(super) is_mid_line: bool,
    /// Containers around it that began in an earlier part.
    pub(super) lost: Vec<usize>,
    pub(super) fence: Option<usize>,
    /// Length of the run of backticks of the code span that the part begins in.
    pub(super) span: Option<usize>,
}

/// Style of the lines of containers that began in an earlier part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// As in the text.
    AsIs,
    /// Without the indentation that lost list items require, and inside their quotes.
    Shifted,
    /// As in the text, with nothing inserted.
    Bare,
}

/// A part under construction.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) text: String,
    /// Pieces of the text in the part: the position in the part, and the range of the text.
    pub(super) own: Vec<(usize, Range<usize>)>,
    /// True if its last line is a fence.
    pub(super) ends_with_fence: bool,
}

impl Part {
    fn put(&mut self, text: &str, range: Range<usize>) {
        if !range.is_empty() {
            self.own.push((self.text.len(), range.clone()));
            self.text.push_str(&text[range]);
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Number of parts that were built: the cost of splitting.
    pub(super) static BUILDS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Builder of the parts of one text.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a> {
    pub(super) text: &'a str,
    pub(super) blocks: &'a Blocks,
    pub(super) room: SplitOptions,
}

impl Builder<'_> {
    /// Builds the part from `start` to `end`. If `closes` is true, open blocks are closed at its end.
    pub(super) fn build(&self, start: &Start, end: usize, style: Style, closes: bool) -> Part {
        #[cfg(test)]
        BUILDS.set(BUILDS.get() + 1);
        let mut part = Part::default();
        if style != Style::Bare {
            self.reopen(&mut part, start, style);
        }
        let mut last = None;
        for line in &self.blocks.lines[start.line..] {
            if line.start >= end && last.is_some() {
                break;
            }
            last = Some(line);
            self.line(&mut part, start, line, end, style);
        }
        let Some(last) = last else { return part };
        let fence = match last.kind {
            Kind::Opens(fence) | Kind::Inside(fence) => Some(fence),
            Kind::Closes(_) => {
                part.ends_with_fence = end >= last.end;
                None
            }
            Kind::Text => None,
        };
        if !closes {
            return part;
        }
        if let Some(fence) = fence {
            if !part.text.ends_with(['\n', '\r']) {
                part.text.push('\n');
            }
            self.close_fence(&mut part, start, fence, style);
            part.ends_with_fence = true;
        } else if let Some(ticks) = self.span_at(end) {
            let touches = part.text.ends_with('`');
            push_ticks(&mut part.text, ticks, touches, false);
        }
        part
    }

    /// Reopens the blocks that are open at the start.
    fn reopen(&self, part: &mut Part, start: &Start, style: Style) {
        if let Some(number) = start.fence {
            let fence = &self.blocks.fences[number];
            self.push_quotes(&mut part.text, &start.lost);
            self.push_fence(&mut part.text, start, number);
            if bounded(self.room.unit, &fence.info, self.room.limit / 4).is_some() {
                part.text.push_str(&fence.info);
            }
            part.text.push('\n');
        }
        if start.is_mid_line && (start.fence.is_some() || style == Style::Shifted) {
            self.push_quotes(&mut part.text, &start.lost);
        }
    }

    /// Writes the rest of a line, where `from` is not beyond the beginning of the line's text. The code span that the
    /// part begins in is reopened at that beginning.
    fn put_line(&self, part: &mut Part, start: &Start, line: &MarkdownLine, from: usize, to: usize) {
        let from = from.min(to);
        let Some(ticks) = start.span.filter(|_| line.start <= start.at) else {
            return part.put(self.text, from..to);
        };
        let text = line.content.clamp(from, to);
        part.put(self.text, from..text);
        push_ticks(&mut part.text, ticks, self.text[text..].starts_with('`'), true);
        part.put(self.text, text..to);
    }

    /// Writes a line of the text, or the piece of it that is in the part.
    fn line(&self, part: &mut Part, start: &Start, line: &MarkdownLine, end: usize, style: Style) {
        let to = line.next.min(end);
        let is_cut = start.is_mid_line && line.start <= start.at;
        if is_cut || style == Style::Bare {
            return self.put_line(part, start, line, start.at.max(line.start), to);
        }
        // The line that ended the block is not in the part.
        if let Some(fence) = line.ends.filter(|fence| line.start > start.at && self.is_loose(start, *fence)) {
            self.close_fence(part, start, fence, style);
            part.text.push('\n');
        }
        let is_loose_end = matches!(line.kind, Kind::Closes(fence) if start.fence == Some(fence));
        let cursor = Cursor::new(&self.text[line.start..line.end]);
        if style == Style::AsIs && !(is_loose_end && cursor.indent() > 3) || start.lost.is_empty() {
            return self.put_line(part, start, line, line.start, to);
        }
        self.shifted(part, start, line, to);
    }

    /// Writes a line without the indentation that lost list items require. Lines of a fenced block keep their
    /// indentation, except before a quote.
    fn shifted(&self, part: &mut Part, start: &Start, line: &MarkdownLine, to: usize) {
        let is_inside = matches!(line.kind, Kind::Inside(_));
        let path = self.blocks.path(line.outer);
        let last_quote = path.iter().rposition(|node| !self.is_item(*node));
        let mut cursor = Cursor::new(&self.text[line.start..line.end]);
        // The white space before the next item on the line begins here, and loses this many columns.
        let (mut white, mut lost) = (cursor, 0);
        for (depth, node) in path.iter().enumerate() {
            let container = self.blocks.container(*node);
            match container {
                Container::Item { width } => {
                    let is_in_quote = last_quote.is_some_and(|quote| depth < quote);
                    if start.lost.contains(node) && (!is_inside || is_in_quote) {
                        lost += width;
                    }
                    enter(&mut cursor, container, false);
                }
                Container::Quote { .. } => {
                    let from = self.put_white(part, line, white, lost);
                    enter(&mut cursor, container, false);
                    part.put(self.text, from.min(to)..(line.start + cursor.at()).min(to));
                    (white, lost) = (cursor, 0);
                }
            }
        }
        // A continuation line of a paragraph may be indented by any width. The first line of a text may not.
        let is_first = line.start == start.at && self.blocks.goes_on.binary_search(&start.line).is_ok();
        let lost = if is_first { usize::MAX } else { lost };
        let from = self.put_white(part, line, white, lost);
        self.put_line(part, start, line, from, to);
    }

    /// Writes the white space at a position without `lost` columns of it. Returns its end in the text.
    fn put_white(&self, part: &mut Part, line: &MarkdownLine, white: Cursor<'_>, lost: usize) -> usize {
        if lost == 0 {
            return line.start + white.at();
        }
        let left = white.indent().saturating_sub(lost);
        part.text.extend(std::iter::repeat_n(' ', left));
        line.end - white.text().len()
    }

    fn is_item(&self, node: usize) -> bool {
        matches!(self.blocks.container(node), Container::Item { .. })
    }

    /// Returns whether a fenced block is in the part without all of its containers.
    fn is_loose(&self, start: &Start, fence: usize) -> bool {
        start.fence == Some(fence)
            || self.blocks.path(self.blocks.fence_in[fence]).iter().any(|node| start.lost.contains(node))
    }

    fn close_fence(&self, part: &mut Part, start: &Start, fence: usize, style: Style) {
        let path = self.blocks.path(self.blocks.fence_in[fence]);
        let new = path.iter().position(|node| !start.lost.contains(node)).unwrap_or(path.len());
        for (depth, node) in path.iter().enumerate() {
            match self.blocks.container(*node) {
                Container::Quote { spaced } => part.text.push_str(if spaced { "> " } else { ">" }),
                // Lost items require no indentation of their own, but items inside them keep theirs.
                Container::Item { width } => {
                    let is_in = depth >= new || style == Style::AsIs && new < path.len();
                    part.text.extend(std::iter::repeat_n(' ', if is_in { width } else { 0 }));
                }
            }
        }
        self.push_fence(&mut part.text, start, fence);
    }

    fn push_quotes(&self, to: &mut String, path: &[usize]) {
        for node in path {
            if let Container::Quote { spaced } = self.blocks.container(*node) {
                to.push_str(if spaced { "> " } else { ">" });
            }
        }
    }

    fn push_fence(&self, to: &mut String, start: &Start, number: usize) {
        let Fence { mark, length, indent, .. } = &self.blocks.fences[number];
        let items = self.blocks.path(self.blocks.fence_in[number]);
        let items = items.iter().rev().map_while(|node| match self.blocks.container(*node) {
            Container::Item { width } if start.fence == Some(number) => Some(width),
            Container::Item { .. } | Container::Quote { .. } => None,
        });
        // At most three columns: with more it would not be a fence.
        let indent = (indent + items.sum::<usize>()).min(3);
        to.extend(std::iter::repeat_n(' ', indent));
        // A run over the limit fits nowhere, whatever its length.
        to.extend(std::iter::repeat_n(*mark, (*length).min(self.room.limit + 1)));
    }

    /// Returns the run of backticks of the code span around a position.
    pub(super) fn span_at(&self, at: usize) -> Option<usize> {
        let spans = &self.blocks.spans;
        let span = spans.get(spans.partition_point(|span| span.whole.end <= at))?;
        (span.whole.start < at).then_some(span.ticks)
    }

    /// Returns the start of a text that continues another, in `context`.
    pub(super) fn resumed(&self, context: &Context) -> Start {
        // A span that began in the other text has no opening backticks here.
        let span = self.blocks.spans.first().filter(|span| span.whole.start == span.code.start);
        Start { span: span.map(|span| span.ticks), is_mid_line: context.is_mid_line, ..self.start(0) }
    }

    /// Returns the start of a part at `at`, a position at the start of `line` or inside it.
    pub(super) fn start(&self, at: usize) -> Start {
        let lines = &self.blocks.lines;
        let number = lines.partition_point(|line| line.next <= at).min(lines.len().saturating_sub(1));
        let Some(line) = lines.get(number) else { return Start::default() };
        let is_inside = at > line.start;
        let fence = match line.kind {
            Kind::Inside(fence) => Some(fence),
            Kind::Closes(fence) if !is_inside => Some(fence),
            Kind::Opens(_) | Kind::Closes(_) | Kind::Text => None,
        };
        let lost = self.blocks.path(if is_inside { line.inner } else { line.outer });
        Start { at, line: number, is_mid_line: is_inside, lost, fence, span: self.span_at(at) }
    }

    /// Returns the context at the end of the text, or at `at`, for a text that continues there.
    pub(super) fn context(&self, at: usize) -> Context {
        let lines = &self.blocks.lines;
        let number = lines.partition_point(|line| line.next <= at);
        let (line, is_mid_line) = match lines.get(number) {
            Some(line) => (line, at > line.start),
            // All of the text is before this position.
            None => match lines.last() {
                Some(line) => (line, line.end == line.next),
                None => return Context::default(),
            },
        };
        let is_past = number >= lines.len();
        let fence = match line.kind {
            Kind::Inside(fence) => Some(fence),
            Kind::Opens(fence) if is_past => Some(fence),
            Kind::Closes(fence) if !is_past && !is_mid_line => Some(fence),
            Kind::Opens(_) | Kind::Closes(_) | Kind::Text => None,
        };
        let innermost = if is_past || is_mid_line { line.inner } else { line.outer };
        let containers =
            self.blocks.path(innermost).iter().map(|node| self.blocks.container(*node)).collect();
        let is_paragraph = match is_mid_line {
            true => line.kind == Kind::Text,
            false => self.blocks.goes_on.binary_search(&number).is_ok(),
        };
        let span = if is_past { None } else { self.span_at(at) };
        let fence = fence.map(|fence| self.blocks.fences[fence].clone());
        Context { containers, fence, span, is_paragraph, is_mid_line }
    }
}

/// Writes a run of backticks, separated from a run that it would touch.
fn push_ticks(to: &mut String, ticks: usize, touches: bool, opens: bool) {
    if touches && !opens {
        to.push(' ');
    }
    to.extend(std::iter::repeat_n('`', ticks));
    if touches && opens {
        to.push(' ');
    }
}
