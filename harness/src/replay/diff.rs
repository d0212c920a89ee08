//! Alignment of two sequences: missing, extra and changed items.

use std::collections::VecDeque;
use std::ops::Range;

/// Maximum number of cells in the table of an alignment. Longer sequences are compared by position.
const MAX_CELLS: usize = 4_000_000;
/// Maximum number of our items that are searched for the partner of a recorded one, which bounds the time.
const MAX_LOOKAHEAD: usize = 1000;
/// Maximum number of characters of a shown text.
const MAX_CHARS: usize = 100;

/// Positions of two items that are akin but not the same, or the position of an item that only one side has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mismatch {
    /// Position of the recorded item.
    pub(crate) recorded: Option<usize>,
    /// Position of our item.
    pub(crate) ours: Option<usize>,
}

/// Aligns two sequences and returns their mismatches, in order.
///
/// As many items as possible are matched by `is_same`. Between two matches, items are paired by `is_akin`.
pub(crate) fn align<A, B>(
    recorded: &[A],
    ours: &[B],
    is_same: impl Fn(&A, &B) -> bool,
    is_akin: impl Fn(&A, &B) -> bool,
) -> Vec<Mismatch> {
    let (left, right) = differing_parts(recorded, ours, &is_same);
    let (rows, columns) = (left.len(), right.len());
    let is_same =
        |row: usize, column: usize| is_same(&recorded[left.start + row], &ours[right.start + column]);
    let is_akin = |row: usize, column: usize| is_akin(&recorded[row], &ours[column]);
    let lengths = SubsequenceLengths::compute(rows, columns, is_same);
    let length_from =
        |row: usize, column: usize| lengths.as_ref().map_or(0, |lengths| lengths.from(row, column));
    let mut mismatches = Vec::new();
    let mut gap = Gap::default();
    let (mut row, mut column) = (0, 0);
    while row < rows || column < columns {
        if row < rows && column < columns && is_same(row, column) {
            gap.close(is_akin, &mut mismatches);
            row += 1;
            column += 1;
        } else if row < rows
            && (column == columns || length_from(row + 1, column) >= length_from(row, column + 1))
        {
            gap.recorded.push(left.start + row);
            row += 1;
            // Sequences without a table are compared by position.
            if lengths.is_none() && column < columns {
                gap.ours.push_back(right.start + column);
                column += 1;
            }
        } else {
            gap.ours.push_back(right.start + column);
            column += 1;
        }
    }
    gap.close(is_akin, &mut mismatches);
    mismatches
}

/// Returns the ranges of both sequences without their common beginning and end.
fn differing_parts<A, B>(
    recorded: &[A],
    ours: &[B],
    is_same: impl Fn(&A, &B) -> bool,
) -> (Range<usize>, Range<usize>) {
    let start = recorded.iter().zip(ours).take_while(|(a, b)| is_same(a, b)).count();
    let max_end = recorded.len().min(ours.len()) - start;
    let backwards = recorded.iter().rev().zip(ours.iter().rev()).take(max_end);
    let end = backwards.take_while(|(a, b)| is_same(a, b)).count();
    (start..recorded.len() - end, start..ours.len() - end)
}

/// Lengths of the longest common subsequences of all ends of two sequences.
struct SubsequenceLengths {
    columns: usize,
    lengths: Vec<u32>,
}

impl SubsequenceLengths {
    /// Computes the lengths; `None` if the table would have more than [`MAX_CELLS`].
    fn compute(rows: usize, columns: usize, is_same: impl Fn(usize, usize) -> bool) -> Option<Self> {
        if rows.saturating_mul(columns) > MAX_CELLS {
            return None;
        }
        let mut table = SubsequenceLengths { columns, lengths: vec![0; (rows + 1) * (columns + 1)] };
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                let length = if is_same(row, column) {
                    table.from(row + 1, column + 1) + 1
                } else {
                    table.from(row + 1, column).max(table.from(row, column + 1))
                };
                let cell = table.cell(row, column);
                table.lengths[cell] = length;
            }
        }
        Some(table)
    }

    /// Returns the length for the ends that begin at `row` and `column`.
    fn from(&self, row: usize, column: usize) -> u32 {
        self.lengths[self.cell(row, column)]
    }

    fn cell(&self, row: usize, column: usize) -> usize {
        row * (self.columns + 1) + column
    }
}

/// Positions of the items between two matches.
#[derive(Default)]
struct Gap {
    recorded: Vec<usize>,
    ours: VecDeque<usize>,
}

impl Gap {
    /// Empties the gap: pairs its items by `is_akin`, in order, and adds the mismatches.
    fn close(&mut self, is_akin: impl Fn(usize, usize) -> bool, mismatches: &mut Vec<Mismatch>) {
        let only_ours = |position: usize| Mismatch { recorded: None, ours: Some(position) };
        for recorded in self.recorded.drain(..) {
            let partner = self.ours.iter().take(MAX_LOOKAHEAD).position(|ours| is_akin(recorded, *ours));
            // Our items before the partner have none, and are reported first.
            mismatches.extend(self.ours.drain(..partner.unwrap_or(0)).map(only_ours));
            let ours = partner.and_then(|_| self.ours.pop_front());
            mismatches.push(Mismatch { recorded: Some(recorded), ours });
        }
        mismatches.extend(self.ours.drain(..).map(only_ours));
    }
}

/// Returns the first [`MAX_CHARS`] characters of a text, with an ellipsis if there are more.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_1_a_long_gap_is_compared_in_linear_time() {
        for items in [3_000, 30_000] {
            let (recorded, ours) = (vec!["a"; items], vec!["b"; items]);
            let compared = std::cell::Cell::new(0);
            let akin = |_: &&str, _: &&str| {
                compared.set(compared.get() + 1);
                false
            };
            assert_eq!(align(&recorded, &ours, |a, b| a == b, akin).len(), 2 * items);
            assert!(compared.get() <= items * MAX_LOOKAHEAD, "{} of {items}", compared.get());
        }
    }

    #[test]
    fn an_alignment_names_what_is_missing_extra_and_changed() {
        let akin = |a: &&str, b: &&str| a.as_bytes()[0] == b.as_bytes()[0];
        for (recorded, ours, expected) in [
            (vec!["a", "b", "c"], vec!["a", "b", "c"], vec![]),
            (vec!["a", "b"], vec!["a", "x", "b"], vec![(None, Some(1))]),
            (vec!["a", "x", "b"], vec!["a", "b"], vec![(Some(1), None)]),
            (vec!["a", "b1", "c"], vec!["a", "b2", "c"], vec![(Some(1), Some(1))]),
            (vec!["a", "b1"], vec!["a", "x", "b2"], vec![(None, Some(1)), (Some(1), Some(2))]),
            (vec!["x1", "y"], vec!["z", "x2"], vec![(None, Some(0)), (Some(0), Some(1)), (Some(1), None)]),
            (vec![], vec!["a"], vec![(None, Some(0))]),
            (vec!["a", "a"], vec!["a"], vec![(Some(1), None)]),
        ] {
            let mismatches = align(&recorded, &ours, |a, b| a == b, akin);
            let positions: Vec<_> = mismatches.iter().map(|found| (found.recorded, found.ours)).collect();
            assert_eq!(positions, expected, "{recorded:?} {ours:?}");
        }
    }
}
