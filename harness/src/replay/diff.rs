//! Comparing two sequences, and two JSON values, so that a person can read what differs.

use serde_json::Value;

/// The most comparisons that an alignment may take; a longer stretch is compared place by place.
const MOST_CELLS: usize = 4_000_000;
/// How many differing places of a value are listed, and how much of each.
const MOST_PLACES: usize = 5;
const MOST_CHARS: usize = 100;

/// What does not fit between two sequences: the positions of a pair that is akin but not the same, or of an item that
/// only one side has.
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
    // The longest common subsequence, from the end.
    let mut lengths = vec![0u32; if rows * columns <= MOST_CELLS { (rows + 1) * (columns + 1) } else { 0 }];
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
    let (mut only_recorded, mut only_ours) = (Vec::new(), Vec::new());
    let mut close_gap = |only_recorded: &mut Vec<usize>, only_ours: &mut Vec<usize>| {
        for left in only_recorded.drain(..) {
            let partner = only_ours.iter().position(|right| akin(&recorded[left], &ours[*right]));
            // What stands before the partner is ours alone, and is told first.
            let before = partner.unwrap_or(0);
            differences.extend(only_ours.drain(..before).map(|right| (None, Some(right))));
            differences.push((Some(left), partner.map(|_| only_ours.remove(0))));
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
            // Without lengths both sides go on together.
            if lengths.is_empty() && column < columns {
                only_ours.push(head + column);
                column += 1;
            }
        } else {
            only_ours.push(head + column);
            column += 1;
        }
    }
    close_gap(&mut only_recorded, &mut only_ours);
    differences
}

/// Where two values differ: `path: recorded | ours`, some of them.
pub(crate) fn places(recorded: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", recorded, ours, &mut found);
    let more = found.len().saturating_sub(MOST_PLACES);
    found.truncate(MOST_PLACES);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn walk(path: &str, recorded: &Value, ours: &Value, found: &mut Vec<String>) {
    if recorded == ours {
        return;
    }
    let absent = "(absent)";
    let note = |name: &str, left: Option<&Value>, right: Option<&Value>| {
        let shown =
            |value: Option<&Value>| value.map_or(absent.to_owned(), |value| short(&value.to_string()));
        format!("{name}: {} | {}", shown(left), shown(right))
    };
    if let (Value::Object(left), Value::Object(right)) = (recorded, ours) {
        let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match (left.get(name), right.get(name)) {
                (Some(a), Some(b)) => walk(&path, a, b, found),
                (a, b) => found.push(note(&path, a, b)),
            }
        }
    } else {
        found.push(note(if path.is_empty() { "value" } else { path }, Some(recorded), Some(ours)));
    }
}

/// The beginning of a long text.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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

    #[test]
    fn the_places_in_which_values_differ_are_named() {
        let recorded = json!({"a": {"b": 1, "c": [1]}, "gone": "x"});
        let ours = json!({"a": {"b": 2, "c": [1]}, "new": null});
        let expected = ["a.b: 1 | 2", "gone: \"x\" | (absent)", "new: (absent) | null"];
        assert_eq!(places(&recorded, &ours), expected);
        assert_eq!(
            places(&json!("é".repeat(200)), &json!(1))[0].chars().count(),
            "value: ".len() + 101 + " | 1".len()
        );
    }
}
