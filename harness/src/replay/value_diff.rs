//! Text comparison of two JSON values: `-` marks recorded lines, `+` replayed ones.

use super::diff::short;
use serde_json::Value;

/// Maximum number of differing lines shown.
const MAX_LINES: usize = 40;
/// Number of characters of a long text shown on each side of a difference.
const CONTEXT_CHARS: usize = 40;

/// Returns the lines of both values. Equal lines are shown once and shortened.
pub(super) fn diff_lines(recorded: &Value, ours: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk(0, "", recorded, ours, &mut lines);
    let marks = lines.iter().filter(|line| !line.starts_with(' ')).count();
    if marks > MAX_LINES {
        let end = lines.iter().enumerate().filter(|(_, line)| !line.starts_with(' ')).nth(MAX_LINES);
        lines.truncate(end.map_or(lines.len(), |(at, _)| at));
        lines.push(format!("  and {} more lines that differ", marks - MAX_LINES));
    }
    lines
}

fn walk(depth: usize, name: &str, recorded: &Value, ours: &Value, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match (recorded, ours) {
        _ if recorded == ours => lines.push(format!("  {indent}{name}{}", shown(recorded))),
        (Value::Object(left), Value::Object(right)) => {
            lines.push(format!("  {indent}{name}{{"));
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                both(
                    depth + 1,
                    &format!("{}: ", Value::from(name.as_str())),
                    left.get(name),
                    right.get(name),
                    lines,
                );
            }
            lines.push(format!("  {indent}}}"));
        }
        (Value::Array(left), Value::Array(right)) => {
            lines.push(format!("  {indent}{name}["));
            for at in 0..left.len().max(right.len()) {
                both(depth + 1, "", left.get(at), right.get(at), lines);
            }
            lines.push(format!("  {indent}]"));
        }
        (Value::String(left), Value::String(right)) => {
            let same = left.chars().zip(right.chars()).take_while(|(a, b)| a == b).count();
            for (mark, text) in [('-', left), ('+', right)] {
                lines.push(format!("{mark} {indent}{name}{}", Value::from(around(text, same))));
            }
        }
        _ => {
            both(depth, name, Some(recorded), None, lines);
            both(depth, name, None, Some(ours), lines);
        }
    }
}

fn both(depth: usize, name: &str, recorded: Option<&Value>, ours: Option<&Value>, lines: &mut Vec<String>) {
    let one = |mark: char, value: &Value| format!("{mark} {}{name}{}", "  ".repeat(depth), shown(value));
    match (recorded, ours) {
        (Some(recorded), Some(ours)) => walk(depth, name, recorded, ours, lines),
        (Some(recorded), None) => lines.push(one('-', recorded)),
        (None, Some(ours)) => lines.push(one('+', ours)),
        (None, None) => {}
    }
}

fn shown(value: &Value) -> String {
    short(&value.to_string())
}

/// Returns the part of a long text around the difference.
fn around(text: &str, place: usize) -> String {
    let from = place.saturating_sub(CONTEXT_CHARS);
    let part: String = text.chars().skip(from).take(2 * CONTEXT_CHARS).collect();
    let before = if from > 0 { "…" } else { "" };
    let behind = if text.chars().nth(from + 2 * CONTEXT_CHARS).is_some() { "…" } else { "" };
    format!("{before}{part}{behind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differing_lines_are_marked() {
        let recorded = json!({"op": "send", "a": {"b": 1, "c": [1, "x"]}, "gone": "x", "kind": 1});
        let ours = json!({"op": "send", "a": {"b": 2, "c": [1, "y", null]}, "new": null, "kind": {}});
        let expected = r#"  {
    "a": {
-     "b": 1
+     "b": 2
      "c": [
        1
-       "x"
+       "y"
+       null
      ]
    }
-   "gone": "x"
-   "kind": 1
+   "kind": {}
    "op": "send"
+   "new": null
  }"#;
        assert_eq!(diff_lines(&recorded, &ours).join("\n"), expected);
    }

    #[test]
    fn long_texts_are_shown_around_their_difference() {
        let (left, right) = (format!("{}a{}", "é".repeat(200), "z".repeat(200)), "é".repeat(200));
        let lines = diff_lines(&json!(left), &json!(right));
        let end = "é".repeat(40);
        assert_eq!(lines, [format!("- \"…{end}a{}…\"", "z".repeat(39)), format!("+ \"…{end}\"")]);
        let many = |n: i32| (0..100).map(|at| json!(at * n)).collect::<Vec<_>>();
        let lines = diff_lines(&json!(many(1)), &json!(many(2)));
        assert_eq!(lines.last().unwrap(), "  and 158 more lines that differ");
    }
}
