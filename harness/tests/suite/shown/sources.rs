//! Types of the libraries and of the program, as declared in their sources.

use std::fs;
use std::path::{Path, PathBuf};

/// A struct or an enum.
pub(crate) struct Declared {
    /// Path of its file in the repository.
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) is_public: bool,
    /// Text after its name, without comments.
    pub(crate) body: String,
}

impl Declared {
    /// Returns its crate, by its folder.
    pub(crate) fn package(&self) -> &str {
        self.file.split('/').next().unwrap()
    }

    /// Returns true if its body contains a word.
    pub(crate) fn names(&self, word: &str) -> bool {
        words(&self.body).any(|known| known == word)
    }
}

pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Returns all declarations outside of tests.
pub(crate) fn declared() -> Vec<Declared> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut declared = Vec::new();
    let folders = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let packages: Vec<PathBuf> = folders.filter(|folder| folder.join("Cargo.toml").exists()).collect();
    assert!(packages.len() >= 7, "{packages:?}");
    for package in packages {
        let mut folders = vec![package.join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("tests") {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs")
                    && !path.ends_with("tests.rs")
                {
                    read(&root, &path, &mut declared);
                }
            }
        }
    }
    declared
}

fn read(root: &Path, path: &PathBuf, declared: &mut Vec<Declared>) {
    let file = path.strip_prefix(root).unwrap().display().to_string();
    let text = fs::read_to_string(path).unwrap();
    declared.extend(in_text(&text).into_iter().map(|found| Declared { file: file.clone(), ..found }));
}

/// Sources are formatted: a declaration ends on its own line, or on a line with its own indentation.
fn in_text(text: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    // Tests are at the end, and are not checked.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((is_public, rest)) = head(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, mut body) = (rest[..end].to_owned(), rest[end..].to_owned());
        while !body.ends_with([';', '}'])
            || (body.ends_with('}') && body.matches('{').count() != body.matches('}').count())
        {
            let Some(line) = lines.next() else { break };
            let code = line.split("//").next().unwrap().trim_end();
            body.push('\n');
            body.push_str(code);
            if code.strip_prefix(indent).is_some_and(|code| code.starts_with('}')) {
                break;
            }
        }
        found.push(Declared { file: String::new(), name, is_public, body });
    }
    found
}

/// Parses the text after `struct` or `enum`.
fn head(line: &str) -> Option<(bool, &str)> {
    let line = line.trim_start();
    let (is_public, rest) = match line.strip_prefix("pub") {
        Some(rest) => (rest.starts_with(' '), rest.trim_start_matches(|c: char| c != ' ').trim_start()),
        None => (false, line),
    };
    let rest = rest.strip_prefix("struct ").or_else(|| rest.strip_prefix("enum "))?;
    Some((is_public, rest))
}

#[test]
fn declarations_are_found() {
    let text = "/// A.\npub struct A(Secret);\n#[derive(Debug)]\npub(crate) enum B<'a> {\n    // a String\n    C { token: &'a str },\n    D(String),\n}\nstruct E;\nfn f() {\n    struct G {\n        key: String,\n    }\n}\n#[cfg(test)]\nmod tests {\n    struct H;\n}\n";
    let found = in_text(text);
    let names: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.is_public)).collect();
    assert_eq!(names, [("A", true), ("B", false), ("E", false), ("G", false)]);
    assert!(found[0].names("Secret") && found[1].names("token") && !found[1].body.contains("a String"));
    assert!(found[3].names("key") && !found[2].names("key"));
}
