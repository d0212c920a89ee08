//! Every rule of `PROTOCOL.md` has a test that names it.
//!
//! A test names a rule in a comment or a text (`L-7`), or in its own name (`l_7_…`). Only tests count: whole files
//! below a `tests/` folder, and in other sources the items after `#[cfg(test)]`. A rule id in other code proves
//! nothing, and neither does a snapshot: the test that takes it names the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Letters of the chapters.
const LETTERS: &str = "WDEOMLAPISCHX";

/// Heading of the section that compares the rules with the public implementation. It states no rules.
const DIFFERENCES: &str = "\n## How the public implementation differs\n";

/// Id of a rule, as in `L-7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rule(char, u32);

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Returns all separate ids in a text: the `L-7` of `(L-7)`, but not the `F-8` of `UTF-8`.
fn ids(text: &str) -> Vec<Rule> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let after = |at: usize| text[at..].strip_prefix('-');
    let mut found = Vec::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if LETTERS.contains(c) && !is_word(before) {
            let rest = after(at + c.len_utf8()).unwrap_or_default();
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let stands_alone = !rest[digits..].starts_with(is_word);
            found.extend(rest[..digits].parse().ok().filter(|_| stands_alone).map(|number| Rule(c, number)));
        }
        before = c;
    }
    found
}

/// Returns the ids in the names of functions: `fn l_7_a_7_waits` names L-7 and A-7.
fn ids_in_names(text: &str) -> Vec<Rule> {
    let names = text.lines().filter_map(|line| {
        let (_, remaining) = line.split_once("fn ")?;
        remaining.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    });
    let pairs = |name: &str| {
        let words: Vec<&str> = name.split('_').collect();
        let pair = |pair: &[&str]| {
            let letter = pair[0].to_ascii_uppercase();
            let letter = letter.chars().next().filter(|c| letter.len() == 1 && LETTERS.contains(*c))?;
            Some(Rule(letter, pair[1].parse().ok()?))
        };
        words.windows(2).filter_map(pair).collect::<Vec<_>>()
    };
    names.flat_map(pairs).collect()
}

/// Returns the rules of the protocol: the first cell of each table's row, and the two of the chapter on limits.
fn rules() -> BTreeSet<Rule> {
    let text = fs::read_to_string(root().join("PROTOCOL.md")).unwrap();
    let (text, _) = text.split_once(DIFFERENCES).unwrap();
    let mut rules: BTreeSet<Rule> = first_cells(text).into_iter().collect();
    let (_, limits) = text.split_once("## X. Limits").unwrap();
    rules.extend(ids(limits));
    rules
}

/// Returns the ids in the first cells of table rows, from top to bottom.
fn first_cells(text: &str) -> Vec<Rule> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    cells.filter_map(|(cell, _)| ids(cell).pop().filter(|rule| rule.to_string() == cell)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns all Rust sources of the repository except this one, by their path.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![PathBuf::new()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && path != Path::new("harness/tests/suite/rules.rs") {
                sources.push((path, fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    sources
}

/// Returns the tests in a source.
fn tests_in(path: &Path, text: &str) -> String {
    if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
        return text.to_owned();
    }
    let mut tests = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix("#[cfg(test)]").filter(|indent| indent.trim().is_empty()) else {
            continue;
        };
        // Sources are formatted: an item without a body ends with a semicolon, and one with a body ends with a brace at
        // its own indentation.
        for line in lines.by_ref() {
            tests.push_str(line);
            tests.push('\n');
            let Some(line) = line.strip_prefix(indent).filter(|line| !line.starts_with([' ', '#'])) else {
                continue;
            };
            if line.starts_with('}') || line.ends_with([';', '}']) {
                break;
            }
        }
    }
    tests
}

/// Returns the files whose tests name each rule.
fn named() -> BTreeMap<Rule, BTreeSet<PathBuf>> {
    let mut named: BTreeMap<Rule, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, text) in sources() {
        let tests = tests_in(&path, &text);
        for rule in ids(&tests).into_iter().chain(ids_in_names(&tests)) {
            named.entry(rule).or_default().insert(path.clone());
        }
    }
    named
}

#[test]
fn every_rule_has_a_test() {
    let (rules, named) = (rules(), named());
    assert!(rules.len() >= 108, "the rules were found: {}", rules.len());
    let missing: Vec<&Rule> = rules.iter().filter(|rule| !named.contains_key(rule)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

/// Each line of the threat model names a test in the last cell of its row.
#[test]
fn every_line_of_the_threat_model_has_a_test() {
    let sources: String = sources().into_iter().map(|(_, text)| text).collect();
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"))
        .map(|(_, name)| name)
        .collect();
    assert!(named.len() >= 20, "{named:?}");
    for name in named {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "SECURITY.md names {name}, and there is no such test"
        );
    }
}

/// A mistyped rule id would prove nothing without anyone noticing.
#[test]
fn tests_name_only_rules_that_there_are() {
    let rules = rules();
    for (rule, files) in named() {
        assert!(rules.contains(&rule), "{files:?} name {rule}, and PROTOCOL.md has no such rule");
    }
}

/// A row about a removed rule explains nothing, and rows out of order are hard to find.
#[test]
fn differences_are_listed_by_rule_in_order() {
    let text = fs::read_to_string(root().join("PROTOCOL.md")).unwrap();
    let (_, differences) = text.split_once(DIFFERENCES).unwrap();
    let rows: Vec<&str> = differences.lines().filter(|line| line.starts_with('|')).collect();
    let listed = first_cells(differences);
    assert_eq!(listed.len() + 2, rows.len(), "every row but the table's head begins with a rule");
    let (rules, place) = (rules(), |rule: &Rule| (LETTERS.find(rule.0), rule.1));
    for rule in &listed {
        assert!(rules.contains(rule), "{rule}: PROTOCOL.md has no such rule");
    }
    for pair in listed.windows(2) {
        assert!(place(&pair[0]) <= place(&pair[1]), "{} stands before {}", pair[0], pair[1]);
    }
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 4, "three cells: {row}");
    }
}

#[test]
fn which_texts_name_a_rule() {
    for (text, expected) in [
        ("(L-7) and L-07, A-3.", "[L-7, L-7, A-3]"),
        ("UTF-8 SHA-256 x-1 L-7x L- L-x L_7 Q-1", "[]"),
        ("É-1 ÉL-1 \u{20ac}L-1", "[L-1]"),
    ] {
        assert_eq!(format!("{:?}", ids(text)), expected, "{text}");
    }
    for (text, expected) in [
        ("fn l_07_a_3_waits()", "[L-7, A-3]"),
        ("    async fn and_x_1_too<T>(l_2: u8) {}", "[X-1]"),
        ("fn l7_l_()\nfn al_3()\nlet l_3 = 1;", "[]"),
    ] {
        assert_eq!(format!("{:?}", ids_in_names(text)), expected, "{text}");
    }
    let source = "// W-1\n#[cfg(test)]\nmod tests;\n// W-2\nimpl A {\n    #[cfg(test)]\n    fn b() {\n        // W-3\n    }\n    // W-4\n}\n#[cfg(test)]\n#[allow(a)]\nmod c {\n    // W-5\n    fn d() {}\n    // W-6\n}\n// W-7\n";
    for (path, expected) in [
        ("core/src/a.rs", "[W-3, W-5, W-6]"),
        ("core/src/a/tests/b.rs", "[W-1, W-2, W-3, W-4, W-5, W-6, W-7]"),
        ("cli/tests/b.rs", "[W-1, W-2, W-3, W-4, W-5, W-6, W-7]"),
    ] {
        assert_eq!(format!("{:?}", ids(&tests_in(Path::new(path), source))), expected, "{path}");
    }
}
