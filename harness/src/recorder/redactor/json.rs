//! Tolerant JSON reader that finds the ranges to replace. All other bytes are unchanged, and malformed text stays
//! malformed.

use super::fields::is_secret;
use super::words::{self, FieldClass};
use super::{Edit, HIDDEN, Redactor};
use memchr::memchr2;
use relayline_core::json::{MAX_DEPTH, mend};
use serde::de::{IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::cmp::Reverse;
use std::fmt;
use std::iter::Peekable;
use std::ops::Range;

/// Returns true if a text is one JSON object or array.
pub(super) fn is_container(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    text.trim_ascii_start().starts_with(['{', '['])
        && (is_json(text) || mend(text).is_some_and(|text| is_json(&text)))
}

/// Returns the edits of a text, in order. `nesting` is the number of texts around it.
pub(super) fn edits(redactor: &Redactor, text: &[u8], nesting: usize) -> Vec<Edit> {
    let known = redactor.known.is_in(text);
    let tokens = Tokens { text, at: 0 }.peekable();
    let is_interaction = nesting > 0 && redactor.pseudonyms.is_some() && is_interaction(text);
    let mut walk = Walk { redactor, text, nesting, known, is_interaction, tokens, end: 0, edits: Vec::new() };
    walk.container(0, Level::default());
    // An edit within another edit is dropped.
    let mut edits = walk.edits;
    edits.sort_by_key(|edit| (edit.range.start, Reverse(edit.range.end)));
    let mut end = 0;
    edits.retain(|edit| {
        let is_outer = edit.range.start >= end;
        end = end.max(edit.range.end);
        is_outer
    });
    edits
}

/// Returns true if a body is a Discord interaction that chooses a command (P-3).
fn is_interaction(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Interaction<'a> {
        r#type: u64,
        #[serde(borrow, rename = "application_id")]
        _application: &'a RawValue,
    }
    serde_json::from_slice::<Interaction<'_>>(text).is_ok_and(|interaction| interaction.r#type == 2)
}

/// Open containers of a text that arrives in pieces.
#[derive(Clone, Copy, Default, Debug)]
pub(in super::super) struct Progress {
    depth: usize,
    has_begun: bool,
    is_in_string: bool,
    is_escaped: bool,
}

impl Progress {
    pub(in super::super) fn read(&mut self, piece: &[u8]) {
        for byte in piece {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.is_in_string,
                b'"' => self.is_in_string = !self.is_in_string,
                _ if self.is_in_string => {}
                b'{' | b'[' => (self.depth, self.has_begun) = (self.depth + 1, true),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Returns true if an object or an array is complete.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.is_in_string
    }
}

/// Kind of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Open {
        is_array: bool,
    },
    Close,
    Colon,
    Comma,
    /// A string, and true if it is terminated.
    Text {
        is_closed: bool,
    },
    /// A number, a literal, or any other token.
    Bare,
}

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = (Kind, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        let begun = self.at + rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at = begun + 1;
        let kind = match self.text[begun] {
            byte @ (b'{' | b'[') => Kind::Open { is_array: byte == b'[' },
            b'}' | b']' => Kind::Close,
            b':' => Kind::Colon,
            b',' => Kind::Comma,
            b'"' => {
                let (end, is_closed) = string_end(self.text, self.at);
                self.at = end;
                Kind::Text { is_closed }
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b"{}[]:,\"".contains(byte);
                let rest = &self.text[begun..];
                self.at = begun + rest.iter().position(ends).unwrap_or(rest.len());
                Kind::Bare
            }
        };
        Some((kind, begun..self.at))
    }
}

/// Returns the end of a string, and true if it is terminated. Otherwise the end is that of the line.
fn string_end(text: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if text[at + found] == b'"' {
            return (at + found + 1, true);
        }
        at += found + 2;
    }
    (line_end(text).max(from), false)
}

fn line_end(text: &[u8]) -> usize {
    text.len() - usize::from(text.ends_with(b"\n"))
}

/// State of a container that is being read.
#[derive(Debug, Default)]
struct Level {
    is_array: bool,
    /// Class of the next value; in an array, of all values.
    class: FieldClass,
    /// True if a `name` in it names a command.
    names_command: bool,
    /// True if the first element of an array was read. In a pair it names the others.
    has_first: bool,
    /// True if the next value is that of a `name`, which may mark the `value` beside it as a secret.
    is_name: bool,
    names_secret: bool,
    /// True if the next value is that of a `value`.
    is_value: bool,
}

struct Walk<'a> {
    redactor: &'a Redactor,
    text: &'a [u8],
    nesting: usize,
    /// True if the text holds a known credential.
    known: bool,
    /// True if the text is an interaction that chooses a command.
    is_interaction: bool,
    tokens: Peekable<Tokens<'a>>,
    /// End of the last token.
    end: usize,
    edits: Vec<Edit>,
}

impl Walk<'_> {
    fn next(&mut self) -> Option<(Kind, Range<usize>)> {
        let next = self.tokens.next();
        self.end = next.as_ref().map_or(line_end(self.text).max(self.end), |(_, range)| range.end);
        next
    }

    fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) {
        let with = with.into();
        if self.text[range.clone()] != with {
            self.edits.push(Edit { range, with });
        }
    }

    /// Reads a container from its bracket to its end. The whole text is the outermost container.
    fn container(&mut self, depth: usize, mut level: Level) {
        let mut values = Vec::new();
        while let Some((kind, range)) = self.next() {
            let class = level.class;
            match kind {
                Kind::Open { is_array } if depth < MAX_DEPTH => {
                    let names_command = match class {
                        FieldClass::Commands => !is_array,
                        FieldClass::Interaction => self.is_interaction && depth == 1,
                        _ => false,
                    };
                    let inner = if is_array { class } else { FieldClass::Text };
                    self.container(
                        depth + 1,
                        Level { is_array, class: inner, names_command, ..Level::default() },
                    );
                    if class == FieldClass::Secret {
                        self.replace(range.start..self.end, quoted());
                    }
                }
                Kind::Open { .. } => self.deep(range.start),
                Kind::Close if depth > 0 => break,
                Kind::Close | Kind::Colon | Kind::Comma => continue,
                Kind::Text { .. } if matches!(self.tokens.peek(), Some((Kind::Colon, _))) => {
                    self.key(&mut level, range.start + 1..range.end - 1);
                    continue;
                }
                Kind::Text { is_closed } => {
                    self.string(&mut level, range.start + 1..range.end - usize::from(is_closed), is_closed);
                }
                Kind::Bare => self.bare(class, range.clone()),
            }
            if level.is_value {
                values.push(range.start..self.end);
            }
            (level.has_first, level.is_name, level.is_value) = (true, false, false);
            if !level.is_array {
                level.class = FieldClass::Text;
            }
        }
        for range in values.into_iter().filter(|_| level.names_secret) {
            self.replace(range, quoted());
        }
    }

    /// Skips a container that is nested deeper than gateways read (W-9), and hides it if it holds strings.
    fn deep(&mut self, from: usize) {
        let (mut open, mut has_strings) = (1, false);
        while open > 0
            && let Some((kind, _)) = self.next()
        {
            match kind {
                Kind::Open { .. } => open += 1,
                Kind::Close => open -= 1,
                Kind::Text { .. } => has_strings = true,
                Kind::Colon | Kind::Comma | Kind::Bare => {}
            }
        }
        if has_strings || self.redactor.pseudonyms.is_some() {
            self.replace(from..self.end, vec![b'x'; self.end - from]);
        }
    }

    fn key(&mut self, level: &mut Level, inside: Range<usize>) {
        let name = unescaped(&self.text[inside.clone()]);
        let is_one_of = |names: [&str; 2]| {
            names.iter().any(|one| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(one)))
        };
        let (class, stays) = words::class(name.as_deref().unwrap_or_default());
        level.is_name = is_one_of(["name", "key"]);
        level.is_value = is_one_of(["value", "values"]);
        level.class = if level.names_command && level.is_name { FieldClass::Command } else { class };
        match (&name, &self.redactor.pseudonyms) {
            (Some(name), Some(pseudonyms)) if !stays => {
                let name = escaped(&pseudonyms.name(name));
                self.replace(inside, name);
            }
            (None, Some(_)) => self.replace_malformed(inside),
            _ => self.hide_known(inside),
        }
    }

    fn string(&mut self, level: &mut Level, inside: Range<usize>, is_closed: bool) {
        let class = level.class;
        let Some(text) =
            unescaped(&self.text[inside.clone()]).filter(|_| class != FieldClass::Secret && is_closed)
        else {
            return if class == FieldClass::Secret || !is_closed {
                self.replace(inside, HIDDEN);
            } else if self.redactor.pseudonyms.is_some() {
                self.replace_malformed(inside);
            } else {
                self.hide_known(inside);
            };
        };
        // Forwards have their headers as pairs (P-1).
        if level.is_array && !level.has_first && is_secret(&text) {
            level.class = FieldClass::Secret;
        }
        level.names_secret |= level.is_name && is_secret(&text);
        let replaced = match class {
            FieldClass::Body => self.redactor.encoded_body(&text, self.nesting),
            _ => self.redactor.value(class, &text, self.nesting),
        };
        match replaced {
            Some(replaced) => {
                let replaced = self.redactor.without_known(&escaped(&replaced));
                self.replace(inside, replaced);
            }
            None => self.hide_known(inside),
        }
    }

    fn bare(&mut self, class: FieldClass, range: Range<usize>) {
        let bare = &self.text[range.clone()];
        if matches!(bare, b"null" | b"true" | b"false") {
            return;
        }
        if class == FieldClass::Secret || self.known && self.redactor.known.is_in(bare) {
            self.replace(range, quoted());
        } else if !matches!(bare, b"NaN" | b"Infinity" | b"-Infinity")
            && let Some(replaced) = self.redactor.bare(class, bare)
        {
            self.replace(range, replaced);
        }
    }

    /// Replaces the inside of a malformed string with filler that is malformed, too.
    fn replace_malformed(&mut self, inside: Range<usize>) {
        let text = &self.text[inside.clone()];
        // An invalid escape, or a byte that is not valid text.
        let head: &[u8] = if std::str::from_utf8(text).is_ok() { b"\\x" } else { b"\xFF" };
        let filler = text.len().saturating_sub(head.len());
        self.replace(inside, [head, &vec![b'x'; filler]].concat());
    }

    fn hide_known(&mut self, inside: Range<usize>) {
        if self.known
            && let Some(clean) = self.redactor.known.hide(&self.text[inside.clone()])
        {
            self.replace(inside, clean);
        }
    }
}

fn quoted() -> String {
    format!("\"{HIDDEN}\"")
}

/// Returns a text escaped for the inside of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Returns the text of a JSON string's inside; `None` if it is malformed. Half a surrogate pair becomes U+FFFD (W-7).
fn unescaped(inside: &[u8]) -> Option<String> {
    struct Lossy;
    impl Visitor<'_> for Lossy {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    std::str::from_utf8(inside).ok()?;
    let quoted = [b"\"", inside, b"\""].concat();
    serde_json::Deserializer::from_slice(&quoted).deserialize_bytes(Lossy).ok()
}
