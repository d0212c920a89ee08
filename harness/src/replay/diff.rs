//! Alignment of two sequences: missing, extra and changed items.

use std::collections::VecDeque;

/// Maximum number of comparisons of an alignment. Longer sequences are compared by position.
const MAX_CELLS: usize = 4_000_000;
/// Maximum distance at which a matching item is searched. Both sides of a longer gap advance together.
const MAX_LOOKAHEAD: usize = 1000;
/// Maximum length of a shown text.
const MAX_CHARS: usize = 100;

/// Returns the differences of two sequences: positions of pairs that are similar but not equal, and of items that only
/// one side has.
pub(crate) fn align<A, B>(
    recorded: &[A],
    ours: &[B],
    same: impl Fn(&A, &B) -> bool,
    akin: impl Fn(&A, &B) -> bool,
) -> Vec<(Option<usize>, Option<usize>)> {
    let head = recorded.iter().zip(ours).take_while(|(a, b)| same(a, b)).count();
    let most_tail = recorded.len().min(ours.len()) - head;
    let tail =
        recorded.iter().rev().zip(ours.iter().rev()).take(most_tail).take_while(|(a, b)| same(a, b)).count();
    let (left, right) = (head..recorded.len() - tail, head..ours.len() - tail);
    let (rows, columns) = (left.len(), right.len());
    // The longest common subsequence, computed from the end.
    let mut lengths = vec![0u32; if rows * columns <= MAX_CELLS { (rows + 1) * (columns + 1) } else { 0 }];
    let at = |row: usize, column: usize| row * (columns + 1) + column;
    if !lengths.is_empty() {
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                lengths[at(row, column)] = if same(&recorded[head + row], &ours[head + column]) {
                    lengths[at(row + 1, column + 1)] + 1
                } else {
                    lengths[at(row + 1, column)].max(lengths[at(row, column + 1)])
                };
            }
        }
    }
    let length = |row: usize, column: usize| lengths.get(at(row, column)).copied().unwrap_or(0);
    let (mut row, mut column) = (0, 0);
    let mut differences = Vec::new();
    let (mut only_recorded, mut only_ours) = (Vec::new(), VecDeque::new());
    let mut close_gap = |only_recorded: &mut Vec<usize>, only_ours: &mut VecDeque<usize>| {
        for left in only_recorded.drain(..) {
            let mut ahead = only_ours.iter().take(MAX_LOOKAHEAD);
            let partner = ahead.position(|right| akin(&recorded[left], &ours[*right]));
            // Items before the match exist only on our side, and are reported first.
            let before = partner.unwrap_or(0);
            differences.extend(only_ours.drain(..before).map(|right| (None, Some(right))));
            differences.push((Some(left), partner.and_then(|_| only_ours.pop_front())));
        }
        differences.extend(only_ours.drain(..).map(|right| (None, Some(right))));
    };
    while row < rows || column < columns {
        if row < rows && column < columns && same(&recorded[head + row], &ours[head + column]) {
            close_gap(&mut only_recorded, &mut only_ours);
            (row, column) = (row + 1, column + 1);
        } else if row < rows && (column == columns || length(row + 1, column) >= length(row, column + 1)) {
            only_recorded.push(head + row);
            row += 1;
            // Without lengths both sides advance together.
            if lengths.is_empty() && column < columns {
                only_ours.push_back(head + column);
                column += 1;
            }
        } else {
            only_ours.push_back(head + column);
            column += 1;
        }
    }
    close_gap(&mut only_recorded, &mut only_ours);
    differences
}

/// Returns the beginning of a long text.
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
            assert_eq!(align(&recorded, &ours, |a, b| a == b, akin), expected, "{recorded:?} {ours:?}");
        }
    }
}
