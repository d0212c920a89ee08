//! Finds the code spans of one paragraph or heading, as CommonMark does.

use std::collections::BTreeMap;
use std::ops::Range;

/// A code span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// Range from the first opening backtick to the last closing one.
    pub(super) whole: Range<usize>,
    /// Range between the backticks.
    pub(super) code: Range<usize>,
    /// Length of the run of backticks on each side.
    pub(super) ticks: usize,
}

/// A run of backticks.
struct Run {
    start: usize,
    length: usize,
    /// True if a backslash outside of code removes the first backtick from the run.
    is_escaped: bool,
}

/// Finds the code spans in the lines of one paragraph. `open` is the length of the run that opened a span before the
/// first line. That span begins at the start of the line.
///
/// The cost is linear in the text, times the logarithm of the number of runs.
pub(super) fn spans(text: &str, lines: &[Range<usize>], open: Option<usize>) -> Vec<Span> {
    let runs = runs(text, lines);
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate() {
        by_length.entry(run.length).or_default().push(at);
    }
    let closes = |length: usize, from: usize| {
        let same = by_length.get(&length)?;
        same.get(same.partition_point(|at| *at < from)).copied()
    };
    let mut found = Vec::new();
    let mut next = 0;
    if let (Some(ticks), Some(first), Some(last)) = (open, lines.first(), lines.last()) {
        let closing = closes(ticks, 0);
        let (code_end, end) =
            closing.map_or((last.end, last.end), |at| (runs[at].start, runs[at].start + ticks));
        found.push(Span { whole: first.start..end, code: first.start..code_end, ticks });
        next = closing.map_or(runs.len(), |at| at + 1);
    }
    while let Some(run) = runs.get(next) {
        let skipped = usize::from(run.is_escaped);
        let (start, ticks) = (run.start + skipped, run.length - skipped);
        match closes(ticks, next + 1) {
            Some(at) => {
                let close = runs[at].start;
                found.push(Span { whole: start..close + ticks, code: start + ticks..close, ticks });
                next = at + 1;
            }
            None => next += 1,
        }
    }
    found
}

fn runs(text: &str, lines: &[Range<usize>]) -> Vec<Run> {
    let mut runs = Vec::new();
    for line in lines {
        let bytes = &text.as_bytes()[line.clone()];
        let mut at = 0;
        while let Some(offset) = memchr::memchr(b'`', &bytes[at..]) {
            let start = at + offset;
            let length = bytes[start..].iter().take_while(|b| **b == b'`').count();
            let slashes = bytes[..start].iter().rev().take_while(|b| **b == b'\\').count();
            runs.push(Run { start: line.start + start, length, is_escaped: slashes % 2 == 1 });
            at = start + length;
        }
    }
    runs
}
