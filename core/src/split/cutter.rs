//! Chooses where a text is cut: at a newline, else at a space, else between two grapheme clusters. Code of the text
//! stays code in the parts, and nothing else becomes code.

use super::blocks::{Blocks, Context, Kind};
use super::part::{Builder, Part, Start, Style};
use super::{SplitOptions, bounded};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Maximum number of places of one sort that are tried: of those at which a part fits, and of those at which it does
/// not. Together they bound the cost of a part.
pub(super) const TRIES: usize = 6;
pub(super) const MISSES: usize = 12;

/// Place to cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// End of the part.
    end: usize,
    /// Start of the next part.
    next: usize,
    /// Units of the text up to the part's end.
    used: usize,
}

/// Places to cut in a part. Each sort is in the order of the text.
#[derive(Debug, Default)]
struct Places {
    newlines: Vec<Place>,
    spaces: Vec<Place>,
    others: Vec<Place>,
    /// Places that are used if none of the others works.
    odd: Vec<Place>,
    /// Places before the text of a line, used last: the next part would begin with markers, which are text there.
    in_markers: Vec<Place>,
}

/// A part, and the start of the next one.
pub(super) struct Cut {
    pub(super) part: Part,
    pub(super) next: usize,
}

/// Cutter of a text.
pub(super) struct Cutter<'a> {
    pub(super) text: &'a str,
    pub(super) blocks: &'a Blocks,
    pub(super) room: SplitOptions,
    /// Units of the number at a part's end.
    pub(super) number: usize,
}

impl Cutter<'_> {
    pub(super) fn builder(&self) -> Builder<'_> {
        Builder { text: self.text, blocks: self.blocks, room: self.room }
    }

    /// Returns the first part of the text from `start` on. It reads right if there is such a part.
    pub(super) fn cut(&self, start: &Start) -> Cut {
        let places = self.places(start);
        let sorts = [&places.newlines, &places.spaces, &places.others, &places.odd, &places.in_markers];
        for reads in [true, false] {
            let best = || sorts.iter().find_map(|places| self.best(start, places, reads));
            if let Some(cut) = self.all(start, reads).or_else(best) {
                return cut;
            }
        }
        self.anywhere(start)
    }

    /// Returns the whole rest of the text, if it fits.
    fn all(&self, start: &Start, reads: bool) -> Option<Cut> {
        let end = self.text.len();
        bounded(self.room.unit, &self.text[start.at..], self.budget())?;
        let mut parts = styles(start).iter().map(|style| self.builder().build(start, end, *style, true));
        let will_do =
            |part: &Part| self.excess(part) == 0 && (!reads || self.reads_right_to_its_end(start, part, end));
        parts.find(will_do).map(|part| Cut { part, next: end })
    }

    /// Returns the units for a part without its number.
    fn budget(&self) -> usize {
        self.room.limit - self.number
    }

    /// Returns the number of units by which a part is too long.
    fn excess(&self, part: &Part) -> usize {
        // After a fence the number is on a line of its own.
        let most = self.budget() - usize::from(part.ends_with_fence && self.number > 0);
        self.room.unit.len(&part.text).saturating_sub(most)
    }

    /// Returns the part that ends at the last place that works. With `reads`, its code and the code after it must stay
    /// code.
    fn best(&self, start: &Start, places: &[Place], reads: bool) -> Option<Cut> {
        let (mut tries, mut misses) = (0, 0);
        // Maximum units of the text that fit beside the inserted markers.
        let mut most = usize::MAX;
        for place in places.iter().rev() {
            if place.used > most {
                continue;
            }
            let mut least_excess = usize::MAX;
            for style in styles(start) {
                let part = self.builder().build(start, place.end, *style, true);
                let excess = self.excess(&part);
                least_excess = least_excess.min(excess);
                if excess == 0 && (!reads || self.reads_right_to_its_end(start, &part, place.end)) {
                    let next = self.past_fence(place.next);
                    if !reads || self.goes_on_well(next) {
                        return Some(Cut { part, next });
                    }
                }
            }
            if least_excess == 0 {
                tries += 1;
            } else {
                misses += 1;
                most = place.used.saturating_sub(least_excess);
            }
            if tries >= TRIES || misses >= MISSES {
                break;
            }
        }
        None
    }

    /// Returns the start of the next part: after a fence that closes a block which the part has closed already.
    fn past_fence(&self, next: usize) -> usize {
        let start = self.builder().start(next);
        match self.blocks.lines.get(start.line) {
            Some(line) if line.start == next && matches!(line.kind, Kind::Closes(_)) => line.next,
            Some(_) | None => next,
        }
    }

    /// Cuts anywhere and inserts nothing, so that at least one scalar value always fits.
    fn anywhere(&self, start: &Start) -> Cut {
        let mut used = 0;
        let mut end = start.at;
        for c in self.text[start.at..].chars() {
            used += self.room.unit.of(c);
            // After a fence the number needs a line of its own.
            if used >= self.budget() && end > start.at {
                break;
            }
            end += c.len_utf8();
        }
        Cut { part: self.builder().build(start, end, Style::Bare, false), next: end }
    }

    /// Returns every place up to which the text itself fits.
    fn places(&self, start: &Start) -> Places {
        let (unit, budget) = (self.room.unit, self.budget());
        // A scalar value has at most four bytes and at least one unit.
        let most = start.at.saturating_add(budget.saturating_add(2).saturating_mul(4));
        let window = &self.text[start.at..self.text.floor_char_boundary(most)];
        let mut places = Places::default();
        let (mut used, mut line, mut last_span) = (0, start.line, None);
        for (offset, cluster) in window.grapheme_indices(true) {
            let end = start.at + offset;
            while self.blocks.lines.get(line + 1).is_some_and(|next| next.start <= end) {
                line += 1;
            }
            if used > budget {
                return places;
            }
            let is_newline = matches!(cluster, "\n" | "\r\n" | "\r");
            let is_gap = is_newline || cluster == " ";
            let next = if is_gap { end + cluster.len() } else { end };
            if end > start.at {
                let place = Place { end, next, used };
                let splits_a_span = self.splits_a_span(place, &mut last_span);
                self.sort(&mut places, place, line, is_newline, is_gap, splits_a_span);
            }
            used += unit.len(cluster);
        }
        places
    }

    fn sort(
        &self,
        places: &mut Places,
        place: Place,
        line: usize,
        is_newline: bool,
        is_gap: bool,
        splits_a_span: bool,
    ) {
        let line = &self.blocks.lines[line];
        let is_before_text = place.next <= line.content;
        let is_fence = matches!(line.kind, Kind::Opens(_)) || matches!(line.kind, Kind::Closes(_));
        let is_odd = match is_newline {
            // An empty block would be left, or the next part would begin with empty lines.
            true => matches!(line.kind, Kind::Opens(_)) || place.end == line.start && line.kind == Kind::Text,
            false => is_fence,
        };
        if is_before_text && !is_newline {
            places.in_markers.push(place);
        } else if is_odd || splits_a_span {
            places.odd.push(place);
        } else if is_newline {
            places.newlines.push(place);
        } else if is_gap {
            places.spaces.push(place);
        } else {
            places.others.push(place);
        }
    }

    /// Returns whether a place is inside a code span that fits into a part, or inside the span's backticks. `last`
    /// caches the span of the previous place and whether it fits: places come in order, so each span is measured once.
    fn splits_a_span(&self, place: Place, last: &mut Option<(usize, bool)>) -> bool {
        let spans = &self.blocks.spans;
        let number = spans.partition_point(|span| span.whole.end <= place.end);
        let Some(span) = spans.get(number).filter(|span| span.whole.start < place.end) else { return false };
        let measured = last.filter(|(known, _)| *known == number);
        let (_, fits) = measured.unwrap_or_else(|| {
            (number, bounded(self.room.unit, &self.text[span.whole.clone()], self.budget()).is_some())
        });
        *last = Some((number, fits));
        fits || !span.code.contains(&place.end) || place.end == span.code.start
    }

    /// Returns whether a part reads right, and its number is not read as code.
    fn reads_right_to_its_end(&self, start: &Start, part: &Part, end: usize) -> bool {
        if !may_be_code(&part.text) {
            return self.reads_right(start, part, end);
        }
        let number = if part.ends_with_fence { "\n 1" } else { " 1" };
        let whole = [&part.text, number].concat();
        let code = Blocks::read(&whole, &Context::default()).code;
        code.last().is_none_or(|code| code.end <= part.text.len()) && self.reads_right(start, part, end)
    }

    /// Returns whether exactly the code of the text is code in a part.
    fn reads_right(&self, start: &Start, part: &Part, end: usize) -> bool {
        if !may_be_code(&part.text) && !may_be_code(&self.text[start.at..end]) {
            return true;
        }
        let read = Blocks::read(&part.text, &Context::default());
        let is_code = marks(&read.code, 0..part.text.len());
        let mut is_own = vec![false; part.text.len()];
        for (at, range) in &part.own {
            let wanted = marks(&self.blocks.code, range.clone());
            for (offset, wanted) in wanted.into_iter().enumerate() {
                let at = at + offset;
                is_own[at] = true;
                if is_code[at] != wanted && !part.text.as_bytes()[at].is_ascii_whitespace() {
                    return false;
                }
            }
        }
        // Inserted text must not be code.
        let bytes = part.text.as_bytes();
        (0..bytes.len()).all(|at| is_own[at] || !is_code[at] || bytes[at].is_ascii_whitespace())
    }

    /// Returns whether the text from `next` on still reads correctly, as far as the next part can reach.
    fn goes_on_well(&self, next: usize) -> bool {
        if next >= self.text.len() {
            return true;
        }
        let start = self.builder().start(next);
        let budget = self.budget();
        let lines = &self.blocks.lines[start.line..];
        let far = next.saturating_add(budget);
        let line = lines.iter().find(|line| line.next >= far).or(lines.last());
        let end = line.map_or(next, |line| line.end).min(next.saturating_add(budget.saturating_mul(4)));
        let end = self.text.floor_char_boundary(end).max(next);
        // A span that continues beyond the window cannot be checked.
        let spans = &self.blocks.spans;
        let span = spans.get(spans.partition_point(|span| span.whole.end <= end));
        let end = span.filter(|span| span.whole.start < end).map_or(end, |span| span.whole.start.max(next));
        styles(&start).iter().any(|style| {
            let part = self.builder().build(&start, end, *style, false);
            self.reads_right(&start, &part, end)
        })
    }
}

/// Returns the styles that differ: if no container is lost, there is nothing to shift.
fn styles(start: &Start) -> &'static [Style] {
    if start.lost.is_empty() { &[Style::AsIs] } else { &[Style::AsIs, Style::Shifted] }
}

fn may_be_code(text: &str) -> bool {
    memchr::memchr2(b'`', b'~', text.as_bytes()).is_some()
}

/// Returns a flag for each byte of a range: true if the byte is in one of the ranges.
fn marks(ranges: &[Range<usize>], of: Range<usize>) -> Vec<bool> {
    let mut marks = vec![false; of.len()];
    let first = ranges.partition_point(|range| range.end <= of.start);
    for range in ranges[first..].iter().take_while(|range| range.start < of.end) {
        let within = range.start.max(of.start) - of.start..range.end.min(of.end) - of.start;
        marks[within].fill(true);
    }
    marks
}
