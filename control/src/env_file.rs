//! Reads the variables of an env file's text, and sets them without changing any other byte.
//!
//! The file is read as bytes, since lines of other programs may contain anything. It is parsed as common libraries do:
//! a line is `KEY=value`, optionally after `export`. A value may be quoted, and can then span lines.

use relayline_core::secret::Secret;
use std::ops::Range;
use zeroize::Zeroizing;

/// Error returned when a value cannot be written into an env file. It does not quote the value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvFileError {
    /// The value of this key has control characters, and a reader would take a part of it for further lines.
    #[error("the value of {0} holds a line break or another control character: an env file cannot hold it")]
    Control(String),
    /// The written value would not be read back.
    #[error(
        "a quote is opened in the file and never closed, and a new value would close it: mend that line first"
    )]
    OpenQuote,
}

/// A variable of an env file.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Variable {
    /// Name of the variable.
    pub name: String,
    /// Value without its quotes.
    pub value: Secret,
    /// Number of its first line, from 1.
    pub line: usize,
}

/// Reads the variables of an env file's text, in their order. If a name occurs twice, the last value counts, as in a
/// shell.
pub fn read(text: &str) -> Vec<Variable> {
    let bytes = text.as_bytes();
    let variable = |binding: Binding| Variable {
        line: bytes[..binding.key.start].iter().filter(|b| **b == b'\n').count() + 1,
        name: text[binding.key].to_owned(),
        value: unquoted(&text[binding.value]),
    };
    bindings(bytes).into_iter().map(variable).collect()
}

/// Returns a value without its quotes. In double quotes a backslash escapes `"`, `\`, `$` and a backtick, as in a
/// shell.
fn unquoted(value: &str) -> Secret {
    let quote = value.bytes().next().filter(|b| matches!(b, b'"' | b'\''));
    let is_quoted = |quote| closing(value.as_bytes(), 1, quote) == Some(value.len() - 1);
    let Some(quote) = quote.filter(|quote| is_quoted(*quote)) else { return Secret::from(value) };
    let inner = &value[1..value.len() - 1];
    if quote == b'\'' {
        return Secret::from(inner);
    }
    let mut plain = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('"' | '\\' | '$' | '`')) => plain.extend(chars.next()),
            ('\\', Some('\n')) => {
                chars.next();
            }
            _ => plain.push(c),
        }
    }
    Secret::new(plain)
}

/// Returns the file's text with each of `values` set. Every value of its key is replaced within its quotes and before
/// its comment. A key that is missing is appended as a line. Setting the same value again changes nothing.
///
/// # Errors
///
/// Returns [`EnvFileError`] if a value cannot be written such that it is read back.
pub fn set(text: &[u8], values: &[(&str, &Secret)]) -> Result<Zeroizing<Vec<u8>>, EnvFileError> {
    for (key, value) in values {
        if value.expose().chars().any(char::is_control) {
            return Err(EnvFileError::Control((*key).to_owned()));
        }
    }
    let out = filled(text, values);
    // A quote that was opened earlier may end inside a new value, which would then be a part of that quoted value.
    if *filled(&out, values) == *out { Ok(out) } else { Err(EnvFileError::OpenQuote) }
}

fn filled(text: &[u8], values: &[(&str, &Secret)]) -> Zeroizing<Vec<u8>> {
    let bindings = bindings(text);
    let mut out = Zeroizing::new(Vec::new());
    let mut kept = 0;
    for binding in &bindings {
        let Some((_, value)) = values.iter().find(|(key, _)| text[binding.key.clone()] == *key.as_bytes())
        else {
            continue;
        };
        out.extend_from_slice(&text[kept..binding.value.start]);
        push(value.expose(), text.get(binding.value.start).copied(), &mut out);
        kept = binding.value.end;
    }
    out.extend_from_slice(&text[kept..]);
    let newline: &[u8] = if text.windows(2).any(|pair| pair == b"\r\n") { b"\r\n" } else { b"\n" };
    for (key, value) in values {
        if bindings.iter().any(|binding| text[binding.key.clone()] == *key.as_bytes()) {
            continue;
        }
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(newline);
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        push(value.expose(), None, &mut out);
        out.extend_from_slice(newline);
    }
    out
}

/// Positions of a key and of its value with quotes.
struct Binding {
    key: Range<usize>,
    value: Range<usize>,
}

fn bindings(text: &[u8]) -> Vec<Binding> {
    let mut bindings = Vec::new();
    // The byte order mark that some editors write is not part of the first key.
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < text.len() {
        let binding = binding(text, at);
        at = binding.as_ref().map_or(at, |binding| binding.value.end);
        at += text[at..].iter().position(|b| *b == b'\n').map_or(text.len() - at, |newline| newline + 1);
        bindings.extend(binding);
    }
    bindings
}

/// Returns the binding that begins on the line at `start`, if there is one.
fn binding(text: &[u8], start: usize) -> Option<Binding> {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let skip = |from: usize| from + text[from..].iter().take_while(|b| is_blank(b)).count();
    let mut at = skip(start);
    if text[at..].starts_with(b"export") && text.get(at + 6).is_some_and(is_blank) {
        at = skip(at + 6);
    }
    let is_key = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let key = at..at + text[at..].iter().take_while(is_key).count();
    let equals = skip(key.end);
    if key.is_empty() || text.get(equals) != Some(&b'=') {
        return None;
    }
    let begin = skip(equals + 1);
    let quoted = text.get(begin).filter(|b| matches!(b, b'"' | b'\'')).and_then(|quote| {
        let end = closing(text, begin + 1, *quote)? + 1;
        // Only a comment may follow a quoted value.
        let rest = skip(end);
        matches!(text.get(rest), None | Some(b'\n' | b'\r' | b'#')).then_some(end)
    });
    if let Some(end) = quoted {
        return Some(Binding { key, value: begin..end });
    }
    let line = &text[begin..begin + text[begin..].iter().take_while(|b| **b != b'\n').count()];
    // A comment follows a blank. After an empty value, the value ends before the blank of the comment.
    let mut end = line.len();
    for (at, b) in line.iter().enumerate() {
        let before = if at == 0 { text.get(begin - 1) } else { line.get(at - 1) };
        if *b == b'#' && before.is_some_and(is_blank) {
            end = at;
            break;
        }
    }
    let value = line[..end].trim_ascii_end().len();
    // An empty value directly follows the equals sign, so that the blank before a comment stays.
    let begin = if value == 0 { equals + 1 } else { begin };
    Some(Binding { key, value: begin..begin + value })
}

/// Returns the end of the quoted value that begins at `from`. In double quotes, a backslash escapes the next byte.
fn closing(text: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    loop {
        match *text.get(at)? {
            b'\\' if quote == b'"' => at += 2,
            b if b == quote => return Some(at),
            _ => at += 1,
        }
    }
}

/// Writes a value in the quotes of the old value if they can hold it, else in the quotes that it needs.
fn push(value: &str, before: Option<u8>, out: &mut Vec<u8>) {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b"_-./:@%+,=~".contains(&b);
    let single = !value.contains(['\'', '\\']);
    let quote = match before {
        Some(b'\'') if single => Some(b'\''),
        Some(b'"') => Some(b'"'),
        _ if value.bytes().all(bare) => None,
        _ if single => Some(b'\''),
        _ => Some(b'"'),
    };
    out.extend(quote);
    for b in value.bytes() {
        if quote == Some(b'"') && matches!(b, b'"' | b'\\' | b'$' | b'`') {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.extend(quote);
}

#[cfg(test)]
mod tests {
    use super::read as read_all;
    use super::*;
    use proptest::prelude::*;

    fn with(text: &str, values: &[(&str, &str)]) -> String {
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, Secret::from(*value))).collect();
        let values: Vec<_> = values.iter().map(|(key, value)| (*key, value)).collect();
        String::from_utf8(set(text.as_bytes(), &values).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn text_around_a_value_is_kept() {
        for (text, expected) in [
            ("", "ID=new\n"),
            ("A=1", "A=1\nID=new\n"),
            ("A=1\r\n", "A=1\r\nID=new\r\n"),
            ("A=1\nID=old\nB=2\n", "A=1\nID=new\nB=2\n"),
            ("  export ID = old  # mine\n", "  export ID = new  # mine\n"),
            ("ID=\"old\" # mine\r\nB", "ID=\"new\" # mine\r\nB"),
            ("ID='o#ld'", "ID='new'"),
            ("ID=", "ID=new"),
            ("ID= # none yet", "ID=new # none yet"),
            ("ID=#old", "ID=new"),
            ("ID=\"old\nlines\"\nB=1\n", "ID=\"new\"\nB=1\n"),
            ("ID=1\nID=2\n", "ID=new\nID=new\n"),
            ("\u{feff}ID=1\n", "\u{feff}ID=new\n"),
            // None of these lines sets the key.
            ("# ID=old\n", "# ID=old\nID=new\n"),
            ("ID\nMY_ID=1\nID2=1\nexportID=1\n", "ID\nMY_ID=1\nID2=1\nexportID=1\nID=new\n"),
            ("A=\"\nID=inside\n\"\n", "A=\"\nID=inside\n\"\nID=new\n"),
            // A quote that is never closed is a part of its value.
            ("A=\"it\nID=old\n", "A=\"it\nID=new\n"),
            ("A='it\nID='old'\n", "A='it\nID='new'\n"),
            ("ID=\"old\" and more\n", "ID=\"new\"\n"),
            // In single quotes nothing is escaped, as in a shell.
            ("A='\\'\nID='#'\n", "A='\\'\nID='new'\n"),
        ] {
            assert_eq!(with(text, &[("ID", "new")]), expected, "{text:?}");
        }
    }

    #[test]
    fn a_value_gets_the_quotes_it_needs() {
        for (before, value, expected) in [
            ("", "wss://c.example/relay", "ID=wss://c.example/relay\n"),
            ("", "a b", "ID='a b'\n"),
            ("", "a#b", "ID='a#b'\n"),
            ("", "it's $HOME", "ID=\"it's \\$HOME\"\n"),
            ("", "", "ID=\n"),
            ("ID='x'\n", "it's", "ID=\"it's\"\n"),
            ("ID=\"x\"\n", "a\\\"b", "ID=\"a\\\\\\\"b\"\n"),
            ("ID=x\n", "ü", "ID='ü'\n"),
        ] {
            assert_eq!(with(before, &[("ID", value)]), expected, "{value:?}");
        }
        for value in ["a\nPATH=/evil", "a\r", "\0"] {
            let error = set(b"", &[("ID", &Secret::from(value))]).unwrap_err();
            assert_eq!(error, EnvFileError::Control("ID".into()));
        }
    }

    #[test]
    fn h_9_a_file_is_read_as_a_shell_reads_it() {
        let text = "# ID=no\nexport A = 'x y' # mine\n\nB=\"it's \\$5 \\\\ \\n\"\r\nC= # none\nD=a\\b#c\nE=\"x\ny\"\nA=2\n\
                    F=\"a\" and \"b\"\nG='é'\nH=\"open\n";
        let read = read_all(text);
        let read: Vec<_> = read.iter().map(|v| (v.name.as_str(), v.value.expose(), v.line)).collect();
        let expected = [
            ("A", "x y", 2),
            ("B", "it's $5 \\ \\n", 4),
            ("C", "", 5),
            ("D", "a\\b#c", 6),
            ("E", "x\ny", 7),
            ("A", "2", 9),
            ("F", "\"a\" and \"b\"", 10),
            ("G", "é", 11),
            ("H", "\"open", 12),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_value_inside_an_open_quote_is_refused() {
        for (text, value) in [("A='it\n", "#1"), ("A='it\nID='old'\n", "#1"), ("A=\"it\n", "#it's")] {
            assert_eq!(
                set(text.as_bytes(), &[("ID", &Secret::from(value))]),
                Err(EnvFileError::OpenQuote),
                "{text:?}"
            );
        }
    }

    /// Returns the values of `key`, by a reader that shares no code with the writer, for values of one line.
    fn read(text: &str, key: &str) -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let value = |line: &str| match line.chars().next() {
            Some('\'') => line[1..].split('\'').next().unwrap().to_owned(),
            Some('"') => {
                let (mut value, mut chars) = (String::new(), line[1..].chars());
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    value.push(if c == '\\' { chars.next().unwrap() } else { c });
                }
                value
            }
            Some(_) | None => line.split(" #").next().unwrap().trim_end().to_owned(),
        };
        lines.map(value).collect()
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "# [ -~]{0,12}",
            "[A-Z]{1,3}=[a-z$`]{0,5}( # [ -~]{0,6})?",
            "export [A-Z]{1,3}='[ -&(-~]{0,5}'",
            "(X_ID|X_URL)=([a-z]{0,5}|\"[a-z #]{0,5}\"|'[a-z #]{0,5}')( # [a-z]{0,4})?",
            "[ -~&&[^'\"]]{0,12}",
            "\\PC{0,5}".prop_filter("no quotes", |text| !text.contains(['"', '\''])),
        ]
    }

    proptest! {
        #[test]
        fn setting_keeps_other_lines_and_is_idempotent(
            lines in proptest::collection::vec(line(), 0..8),
            newline in prop_oneof![Just("\n"), Just("\r\n")],
            ended: bool,
            id in "\\PC{0,12}",
            url in "[ -~]{0,12}",
        ) {
            let mut text = lines.join(newline);
            if ended && !lines.is_empty() {
                text.push_str(newline);
            }
            let values = [("X_ID", id.as_str()), ("X_URL", url.as_str())];
            let once = with(&text, &values);
            prop_assert_eq!(&with(&once, &values), &once, "twice is once");
            for (key, value) in values {
                let found = read(&once, key);
                prop_assert!(!found.is_empty() && found.iter().all(|found| found == value), "{}: {:?}", once, found);
            }
            let ours = |line: &&str| line.starts_with("X_ID=") || line.starts_with("X_URL=");
            let others = |text: &str| {
                let lines = text.split_inclusive('\n').filter(|line| !ours(line));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            let mut before = others(&text);
            // A last line without a line break gets one when something is appended.
            let after = others(&once);
            if before.last() != after.last()
                && let Some(last) = before.last_mut()
            {
                let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
                last.push_str(end);
            }
            prop_assert_eq!(after, before);
        }

        #[test]
        fn any_bytes_are_accepted(text in proptest::collection::vec(any::<u8>(), 0..64), tail in "[\"'=#\\\\\n ID]{0,24}") {
            let text = [&text[..], tail.as_bytes()].concat();
            let value = Secret::from("v");
            let Ok(once) = set(&text, &[("ID", &value)]) else { return Ok(()) };
            prop_assert_eq!(&set(&once, &[("ID", &value)]).unwrap(), &once);
        }

        /// H-2, H-9: a value that was written into any file is read back unchanged.
        #[test]
        fn h_9_a_written_value_is_read_back(text in "[ -~\n'\"é]{0,40}", value in "[ -~é]{0,12}") {
            let value = Secret::from(value.as_str());
            let Ok(once) = set(text.as_bytes(), &[("ID", &value)]) else { return Ok(()) };
            let read = read_all(std::str::from_utf8(&once).unwrap());
            let last = read.iter().rev().find(|variable| variable.name == "ID");
            prop_assert_eq!(last.map(|variable| variable.value.expose()), Some(value.expose()));
        }
    }
}
