//! Reads the blocks of a text line by line, as CommonMark does: containers, fenced code, and text.

use super::cursor::Cursor;
use super::spans::{Span, spans};
use std::ops::Range;

/// Maximum nesting of containers. A marker at a deeper level is text. This bounds the cost of a line.
const DEEPEST: usize = 32;

/// A block quote or a list item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Container {
    Quote {
        /// True if a space follows its `>`.
        spaced: bool,
    },
    Item {
        /// Columns by which its lines are indented.
        width: usize,
    },
}

/// A container and the containers around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) container: Container,
    parent: Option<usize>,
    /// True if nothing but its marker has been read yet.
    is_bare: bool,
}

/// An opening fence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fence {
    /// Character of the fence.
    pub(super) mark: char,
    pub(super) length: usize,
    pub(super) info: String,
    /// Columns of white space before it, inside its containers.
    pub(super) indent: usize,
}

/// Kind of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// An empty line, or text outside of code.
    Text,
    /// Line that opens a fenced block, by its index in [`Blocks::fences`].
    Opens(usize),
    /// Line inside that block.
    Inside(usize),
    /// Line that closes it.
    Closes(usize),
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarkdownLine {
    pub(super) start: usize,
    /// End of the line, without its line break.
    pub(super) end: usize,
    /// Start of the next line.
    pub(super) next: usize,
    /// Start of its text, after the white space and markers of its containers.
    pub(super) content: usize,
    pub(super) kind: Kind,
    /// Innermost container that was open before the line and contains it.
    pub(super) outer: Option<usize>,
    /// Innermost container at its end.
    pub(super) inner: Option<usize>,
    /// Fenced block that ends before the line, since the line is not in the block's container.
    pub(super) ends: Option<usize>,
}

/// Context of a text that continues another: the blocks that are open at its beginning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Context {
    pub(super) containers: Vec<Container>,
    pub(super) fence: Option<Fence>,
    /// Length of the run of backticks that opened a code span.
    pub(super) span: Option<usize>,
    pub(super) is_paragraph: bool,
    /// True if the text begins inside a line.
    pub(super) is_mid_line: bool,
}

/// Blocks of a text.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub(super) lines: Vec<MarkdownLine>,
    pub(super) fences: Vec<Fence>,
    /// Innermost container of each fence.
    pub(super) fence_in: Vec<Option<usize>>,
    pub(super) spans: Vec<Span>,
    /// Ranges of code, in order: each line of a fenced block, and of a code span between its backticks.
    pub(super) code: Vec<Range<usize>>,
    /// Lines that continue a paragraph, in order; the number of lines if a paragraph is open at the end.
    pub(super) goes_on: Vec<usize>,
    nodes: Vec<Node>,
}

impl Blocks {
    /// Reads a text that begins in `context`.
    pub(super) fn read(text: &str, context: &Context) -> Blocks {
        let mut reader = Reader::new(context);
        let mut start = 0;
        while start < text.len() {
            let (end, next) = line_end(text, start);
            reader.line(text, start, end, next, context.is_mid_line && start == 0);
            start = next;
        }
        if reader.leaf == Leaf::Paragraph {
            reader.blocks.goes_on.push(reader.blocks.lines.len());
        }
        reader.end_paragraph(text);
        reader.blocks
    }

    /// Returns the lines of a text without code.
    pub(super) fn plain(text: &str) -> Blocks {
        let mut lines = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let (end, next) = line_end(text, start);
            lines.push(MarkdownLine {
                start,
                end,
                next,
                content: start,
                kind: Kind::Text,
                outer: None,
                inner: None,
                ends: None,
            });
            start = next;
        }
        Blocks { lines, ..Blocks::default() }
    }

    /// Returns the length of the part of a growing text that can be shown: without a last line that may yet become a
    /// fence, and without a block that is still empty.
    pub(super) fn settled(&self, text: &str) -> usize {
        let mut hold = None;
        for line in &self.lines {
            let is_blank = text[line.start..line.end].trim_matches(['>', ' ', '\t']).is_empty();
            match line.kind {
                Kind::Opens(_) => hold = Some(line.start),
                Kind::Closes(_) => hold = None,
                Kind::Text | Kind::Inside(_) if !is_blank => hold = None,
                Kind::Text | Kind::Inside(_) => {}
            }
        }
        match self.lines.last() {
            Some(last) if last.end == last.next && may_be_fence(&text[last.start..last.end]) => {
                hold.unwrap_or(last.start)
            }
            Some(_) | None => hold.unwrap_or(text.len()),
        }
    }

    /// Returns the containers around a position, outermost first.
    pub(super) fn path(&self, innermost: Option<usize>) -> Vec<usize> {
        let up = std::iter::successors(innermost, |node| self.nodes[*node].parent);
        let mut path: Vec<usize> = up.collect();
        path.reverse();
        path
    }

    pub(super) fn container(&self, node: usize) -> Container {
        self.nodes[node].container
    }
}

/// Returns the end of the line at `start`, and the start of the next line.
fn line_end(text: &str, start: usize) -> (usize, usize) {
    match memchr::memchr2(b'\n', b'\r', &text.as_bytes()[start..]) {
        None => (text.len(), text.len()),
        Some(offset) => {
            let end = start + offset;
            let length = if text[end..].starts_with("\r\n") { 2 } else { 1 };
            (end, end + length)
        }
    }
}

/// Leaf block that is open after the lines read so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaf {
    None,
    Paragraph,
    Fence(usize),
}

struct Reader {
    blocks: Blocks,
    open: Vec<usize>,
    leaf: Leaf,
    /// Lines of the open paragraph.
    paragraph: Vec<Range<usize>>,
    /// Code span that is open before the first paragraph.
    span: Option<usize>,
}

impl Reader {
    fn new(context: &Context) -> Self {
        let mut reader = Reader {
            blocks: Blocks::default(),
            open: Vec::new(),
            leaf: if context.is_paragraph { Leaf::Paragraph } else { Leaf::None },
            paragraph: Vec::new(),
            span: context.span,
        };
        for container in &context.containers {
            reader.push(*container);
        }
        reader.fill();
        if let Some(fence) = &context.fence {
            reader.open_fence(fence.clone());
        }
        reader
    }

    fn push(&mut self, container: Container) {
        self.fill();
        let parent = self.open.last().copied();
        self.open.push(self.blocks.nodes.len());
        self.blocks.nodes.push(Node { container, parent, is_bare: true });
    }

    /// Marks the innermost container as no longer empty.
    fn fill(&mut self) {
        if let Some(node) = self.open.last() {
            self.blocks.nodes[*node].is_bare = false;
        }
    }

    fn open_fence(&mut self, fence: Fence) -> usize {
        let number = self.blocks.fences.len();
        self.blocks.fences.push(fence);
        self.blocks.fence_in.push(self.open.last().copied());
        self.leaf = Leaf::Fence(number);
        number
    }

    fn line(&mut self, text: &str, start: usize, end: usize, next: usize, is_mid_line: bool) {
        let mut cursor = Cursor::new(&text[start..end]);
        let matched = if is_mid_line { self.open.len() } else { self.matched(&mut cursor) };
        let outer = matched.checked_sub(1).map(|at| self.open[at]);
        let mut ends = None;
        let kind = match self.leaf {
            Leaf::Fence(number) if matched == self.open.len() => {
                self.fill();
                self.inside(number, cursor, start, end)
            }
            Leaf::Fence(number) => {
                ends = Some(number);
                self.leaf = Leaf::None;
                self.open.truncate(matched);
                self.outside(text, &mut cursor, start, end, matched, is_mid_line)
            }
            Leaf::None | Leaf::Paragraph => self.outside(text, &mut cursor, start, end, matched, is_mid_line),
        };
        let inner = self.open.last().copied();
        let content = match kind {
            Kind::Inside(_) => start + cursor.at(),
            Kind::Text | Kind::Opens(_) | Kind::Closes(_) => end - cursor.text().len(),
        };
        self.blocks.lines.push(MarkdownLine { start, end, next, content, kind, outer, inner, ends });
    }

    /// Returns how many of the open containers contain a line, and consumes their markers.
    fn matched(&self, cursor: &mut Cursor<'_>) -> usize {
        let is_in = |node: &&usize| {
            let Node { container, is_bare, .. } = self.blocks.nodes[**node];
            enter(cursor, container, is_bare)
        };
        self.open.iter().take_while(is_in).count()
    }

    /// Reads a line inside a fenced block.
    fn inside(&mut self, number: usize, cursor: Cursor<'_>, start: usize, end: usize) -> Kind {
        let fence = &self.blocks.fences[number];
        let text = cursor.text();
        let run = text.len() - text.trim_start_matches(fence.mark).len();
        let is_rest_blank = text[run..].trim_end_matches([' ', '\t']).is_empty();
        if cursor.indent() <= 3 && run >= fence.length && is_rest_blank {
            self.leaf = Leaf::None;
            return Kind::Closes(number);
        }
        self.blocks.code.push(start + cursor.at()..end);
        Kind::Inside(number)
    }

    /// Reads a line outside of fenced blocks.
    fn outside(
        &mut self,
        text: &str,
        cursor: &mut Cursor<'_>,
        start: usize,
        end: usize,
        matched: usize,
        is_mid_line: bool,
    ) -> Kind {
        // True once a container has begun on this line.
        let mut has_begun = false;
        while !cursor.is_blank() && !is_mid_line {
            let is_paragraph = self.leaf == Leaf::Paragraph && !has_begun;
            if cursor.indent() >= 4 {
                if is_paragraph {
                    break;
                }
                self.close_to(text, matched, has_begun);
                self.fill();
                return Kind::Text;
            }
            let interrupts = is_paragraph && matched == self.open.len();
            if let Some(container) = opens_container(cursor, interrupts, self.open.len()) {
                self.close_to(text, matched, has_begun);
                self.push(container);
                has_begun = true;
                continue;
            }
            if let Some(fence) = opens_fence(cursor) {
                self.close_to(text, matched, has_begun);
                self.fill();
                return Kind::Opens(self.open_fence(fence));
            }
            if interrupts && is_underline(cursor.text()) {
                self.end_paragraph(text);
                return Kind::Text;
            }
            if is_heading(cursor.text()) {
                self.close_to(text, matched, has_begun);
                self.fill();
                self.paragraph.push(start + cursor.at()..end);
                self.end_paragraph(text);
                return Kind::Text;
            }
            if is_rule(cursor.text()) {
                self.close_to(text, matched, has_begun);
                self.fill();
                return Kind::Text;
            }
            break;
        }
        if cursor.is_blank() {
            self.close_to(text, matched, has_begun);
            return Kind::Text;
        }
        if self.leaf != Leaf::Paragraph || has_begun {
            self.close_to(text, matched, has_begun);
        } else {
            self.blocks.goes_on.push(self.blocks.lines.len());
        }
        self.fill();
        self.leaf = Leaf::Paragraph;
        self.paragraph.push(end - cursor.text().len()..end);
        Kind::Text
    }

    /// Closes the containers that a line is not in, and the paragraph before it, unless a container that began on the
    /// line has done so.
    fn close_to(&mut self, text: &str, matched: usize, has_begun: bool) {
        if !has_begun {
            self.end_paragraph(text);
            self.open.truncate(matched);
        }
    }

    fn end_paragraph(&mut self, text: &str) {
        self.leaf = Leaf::None;
        let open = self.span.take();
        for span in spans(text, &self.paragraph, open) {
            let first = self.paragraph.partition_point(|line| line.end <= span.code.start);
            let lines = self.paragraph[first..].iter().take_while(|line| line.start < span.code.end);
            for line in lines {
                let piece = line.start.max(span.code.start)..line.end.min(span.code.end);
                if !piece.is_empty() {
                    self.blocks.code.push(piece);
                }
            }
            self.blocks.spans.push(span);
        }
        self.paragraph.clear();
    }
}

/// Returns whether a line continues a container, and consumes the container's marker.
pub(super) fn enter(cursor: &mut Cursor<'_>, container: Container, is_bare: bool) -> bool {
    match container {
        Container::Quote { .. } => {
            let is_quoted = cursor.indent() <= 3 && cursor.text().starts_with('>');
            if is_quoted {
                cursor.skip(3);
                cursor.bump(1);
                cursor.skip(1);
            }
            is_quoted
        }
        // An item that begins with a blank line ends with a second one.
        Container::Item { .. } if cursor.is_blank() && is_bare => false,
        Container::Item { width } => {
            let is_in = cursor.is_blank() || cursor.indent() >= width;
            if is_in {
                cursor.skip(width);
            }
            is_in
        }
    }
}

/// Returns the container that a line opens, and consumes its marker. `interrupts` says that the line could continue a
/// paragraph.
fn opens_container(cursor: &mut Cursor<'_>, interrupts: bool, depth: usize) -> Option<Container> {
    let text = cursor.text();
    if depth >= DEEPEST {
        return None;
    }
    if text.starts_with('>') {
        cursor.skip(3);
        cursor.bump(1);
        let spaced = cursor.indent() > 0;
        cursor.skip(1);
        return Some(Container::Quote { spaced });
    }
    let marker = marker(text).filter(|_| !(is_rule(text) || interrupts && is_underline(text)))?;
    let rest = &text[marker..];
    let is_empty = rest.trim_start_matches([' ', '\t']).is_empty();
    let is_first = text.starts_with(['-', '+', '*']) || text[..marker - 1].parse() == Ok(1u32);
    if !(is_empty || rest.starts_with([' ', '\t'])) || interrupts && (is_empty || !is_first) {
        return None;
    }
    let indent = cursor.indent();
    cursor.skip(indent);
    cursor.bump(marker);
    let gap = cursor.indent();
    // An empty item, or an item that begins with indented code.
    let gap = if is_empty || gap > 4 { 1 } else { gap };
    cursor.skip(gap);
    Some(Container::Item { width: indent + marker + gap })
}

/// Returns the length of the list marker that a text begins with.
fn marker(text: &str) -> Option<usize> {
    if text.starts_with(['-', '+', '*']) {
        return Some(1);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_marker = (1..=9).contains(&digits) && text[digits..].starts_with(['.', ')']);
    is_marker.then_some(digits + 1)
}

/// Returns the fence that a line opens.
pub(super) fn opens_fence(cursor: &Cursor<'_>) -> Option<Fence> {
    let text = cursor.text();
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = text.trim_start_matches(mark);
    let length = text.len() - info.len();
    let is_fence = length >= 3 && !(mark == '`' && info.contains('`'));
    let info = info.trim_matches([' ', '\t']).to_owned();
    is_fence.then(|| Fence { mark, length, info, indent: cursor.indent() })
}

/// Returns whether more text could turn an unfinished line into a fence, or into a different fence. The text before the
/// fence on the line may be markers of containers.
fn may_be_fence(line: &str) -> bool {
    let text = line.trim_start_matches(|c: char| {
        c.is_ascii_digit() || matches!(c, ' ' | '\t' | '>' | '-' | '+' | '*' | '.' | ')')
    });
    ['`', '~'].into_iter().any(|mark| {
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        if length < 3 { length > 0 && info.is_empty() } else { mark == '~' || !info.contains('`') }
    })
}

fn is_heading(text: &str) -> bool {
    let rest = text.trim_start_matches('#');
    (1..=6).contains(&(text.len() - rest.len())) && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Returns whether a line turns the paragraph before it into a heading.
fn is_underline(text: &str) -> bool {
    let text = text.trim_end_matches([' ', '\t']);
    ['=', '-'].iter().any(|mark| text.starts_with(*mark) && text.trim_start_matches(*mark).is_empty())
}

fn is_rule(text: &str) -> bool {
    ['-', '*', '_'].iter().any(|mark| {
        text.chars().filter(|c| c == mark).count() >= 3
            && text.chars().all(|c| c == *mark || matches!(c, ' ' | '\t'))
    })
}
