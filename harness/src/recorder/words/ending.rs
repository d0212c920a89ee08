//! Where a credential ends, by what it stands in.

use super::plain::backslashes;

/// What a credential stands in. Where one is open in more than one way, the last of these goes on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Ending {
    /// `/bot123:…/`
    Segment,
    /// `name=…&`
    Parameter,
    /// `name: …`, as people write it.
    Label,
    /// `://…@`
    Authority,
    /// A number of JSON.
    Number,
    /// A string whose quotes have so many backslashes.
    Quoted(usize),
    /// A header in a query.
    Query,
    /// A header: it may hold spaces, quotes and `;`.
    Line,
}

impl Ending {
    /// Where it ends when it begins there: the text's end where it may go on behind it.
    pub(super) fn of(self, text: &[u8], from: usize) -> usize {
        let until =
            |ends: fn(&u8) -> bool| text[from..].iter().position(ends).map_or(text.len(), |at| from + at);
        match self {
            Ending::Segment => until(|byte| !byte.is_ascii_alphanumeric() && !b"_-".contains(byte)),
            Ending::Number => until(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte)),
            Ending::Parameter => value_end(text, from, b"&;\"<>#|"),
            Ending::Label => value_end(text, from, b"\""),
            Ending::Authority => {
                let to = until(|byte| byte.is_ascii_whitespace() || b"/?#\"'<>\\".contains(byte));
                text[from..to].iter().rposition(|byte| *byte == b'@').map_or(to, |at| from + at)
            }
            Ending::Quoted(depth) => quoted_end(text, from, depth),
            Ending::Query => until(|byte| *byte == b'&').min(line_end(text, from)),
            Ending::Line => line_end(text, from),
        }
    }
}

/// The backslashes of a quote that stands there, where it begins a value, not ends a string: behind the end of one
/// comes what JSON has there.
pub(super) fn opens(text: &[u8], at: usize) -> Option<usize> {
    let depth = backslashes(text.get(at..)?);
    let behind = text[at + depth..].strip_prefix(b"\"")?;
    match behind {
        [] | [b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\r' | b'\n', ..] => None,
        [b'\\', b'n' | b'r' | b't', ..] => None,
        _ => Some(depth),
    }
}

/// Whether a quote with so many backslashes ends a string whose quotes have `depth`. Each level of JSON within JSON
/// doubles them and adds one: `"`, `\"`, `\\\"`; one within the string has more, and so has one behind a backslash.
fn closes(backslashes: usize, depth: usize) -> bool {
    let is_outer = backslashes.is_multiple_of(2);
    if depth == 0 { is_outer } else { is_outer || closes((backslashes - 1) / 2, (depth - 1) / 2) }
}

fn quoted_end(text: &[u8], from: usize, depth: usize) -> usize {
    let mut at = from;
    while at < text.len() {
        let run = backslashes(&text[at..]);
        match text.get(at + run) {
            Some(b'"') if closes(run, depth) => return at + run - run.min(depth),
            Some(b'\n') => return at + run,
            Some(_) => at += run + 1,
            None => break,
        }
    }
    text.len()
}

/// Where a value of one word ends: at a space, at one of `stops`, at an escape that is none of a letter.
fn value_end(text: &[u8], from: usize, stops: &[u8]) -> usize {
    let mut at = from;
    while at < text.len() {
        let run = backslashes(&text[at..]);
        match text.get(at + run) {
            // Two are a backslash; an odd one begins an escape.
            Some(behind) if run % 2 == 1 && *behind != b'u' => break,
            Some(b'<') if text.get(at + run + 1) == Some(&b'/') => {
                at += run;
                break;
            }
            Some(behind) if behind.is_ascii_whitespace() || stops.contains(behind) => {
                at += run;
                break;
            }
            Some(_) => at += run + 1,
            None => at = text.len(),
        }
    }
    // `password: abc, and`: unless it may go on, these are of the sentence.
    let trailing = |byte: &&u8| b",;)]}>'`".contains(byte);
    if at < text.len() { at - text[from..at].iter().rev().take_while(trailing).count() } else { at }
}

/// Where a line or the string that it is in ends. `a="b"` does not end it: so are some headers written.
fn line_end(text: &[u8], from: usize) -> usize {
    let mut quoted = None;
    let mut at = from;
    while at < text.len() {
        let run = backslashes(&text[at..]);
        match (text.get(at + run), quoted) {
            (Some(b'\n' | b'\r'), _) => return at + run,
            (Some(b'n' | b'r'), _) if run % 2 == 1 => return at,
            (Some(b'"'), Some(depth)) if run < depth => return at,
            (Some(b'"'), Some(depth)) if run == depth => quoted = None,
            (Some(b'"'), None) => {
                quoted = opens(text, at).filter(|_| at > from && text[at - 1] == b'=');
                if quoted.is_none() {
                    return at;
                }
            }
            (Some(_), _) => {}
            (None, _) => break,
        }
        at += run + 1;
    }
    text.len()
}
