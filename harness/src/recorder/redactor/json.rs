//! Redaction of JSON: a tolerant reader finds the ranges of a text to replace. All other bytes stay as they are, and a
//! malformed text stays malformed.

use super::fields::is_secret;
use super::words::{self, FieldClass};
use super::{Edit, HIDDEN, Redactor};
use memchr::memchr2;
use relayline_core::json::{MAX_DEPTH, repair};
use serde::de::{IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::cmp::Reverse;
use std::fmt;
use std::iter::Peekable;
use std::ops::Range;

/// Returns true if a text is one JSON object or array, as it is or once it is repaired.
pub(super) fn is_container(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    text.trim_ascii_start().starts_with(['{', '['])
        && (is_json(text) || repair(text).is_some_and(|text| is_json(&text)))
}

/// Returns the edits of a text, in order and without overlaps. `nesting` is the number of JSON texts whose strings the
/// text is inside of.
pub(super) fn edits(redactor: &Redactor, text: &[u8], nesting: usize) -> Vec<Edit> {
    let mut reader = Reader {
        redactor,
        text,
        nesting,
        has_known: redactor.known.is_in(text),
        is_interaction: nesting > 0 && redactor.pseudonyms.is_some() && is_interaction(text),
        tokens: Tokens { text, at: 0 }.peekable(),
        end: 0,
        edits: Vec::new(),
    };
    reader.read_container(0, Container::default());
    outer_edits(reader.edits)
}

/// Sorts edits, and drops those within other edits.
fn outer_edits(mut edits: Vec<Edit>) -> Vec<Edit> {
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

/// State of reading a text that arrives in pieces, which shows when its object or array is complete.
#[derive(Clone, Copy, Default, Debug)]
pub(in super::super) struct Progress {
    /// Number of open objects and arrays.
    depth: usize,
    /// True once an object or array was opened.
    has_begun: bool,
    is_in_string: bool,
    /// True if the next byte is escaped by a backslash.
    is_escaped: bool,
}

impl Progress {
    /// Reads the next piece of the text.
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

    /// Returns true if the outermost object or array is complete.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.is_in_string
    }
}

/// Kind of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
enum TokenKind {
    /// Opening bracket of an object or array.
    Open {
        is_array: bool,
    },
    /// Closing bracket.
    Close,
    Colon,
    Comma,
    /// String, with its quotes.
    Text {
        /// False if the closing quote is missing.
        is_closed: bool,
    },
    /// Number, literal, or any other sequence of bytes.
    Bare,
}

/// Iterator over the tokens of a text and their ranges.
struct Tokens<'a> {
    text: &'a [u8],
    /// End of the last token.
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = (TokenKind, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        let start = self.at + rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at = start + 1;
        let kind = match self.text[start] {
            byte @ (b'{' | b'[') => TokenKind::Open { is_array: byte == b'[' },
            b'}' | b']' => TokenKind::Close,
            b':' => TokenKind::Colon,
            b',' => TokenKind::Comma,
            b'"' => {
                let (end, is_closed) = string_end(self.text, self.at);
                self.at = end;
                TokenKind::Text { is_closed }
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b"{}[]:,\"".contains(byte);
                let rest = &self.text[start..];
                self.at = start + rest.iter().position(ends).unwrap_or(rest.len());
                TokenKind::Bare
            }
        };
        Some((kind, start..self.at))
    }
}

/// Returns the end of a string whose inside starts at `from`, and true if it has a closing quote. Without one it ends
/// with the line.
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

/// Returns the length of a text without its final newline.
fn line_end(text: &[u8]) -> usize {
    text.len() - usize::from(text.ends_with(b"\n"))
}

/// State of an object or array that is being read.
#[derive(Debug, Default)]
struct Container {
    is_array: bool,
    /// Class of the next value; in an array, of all values.
    class: FieldClass,
    /// True if the field `name` of the object is the name of a command.
    has_command_name: bool,
    /// True once the first element of an array was read. In a pair it names the second.
    has_first: bool,
    /// True if the next value is that of a field `name` or `key`.
    is_name: bool,
    /// True once such a name marks the fields `value` and `values` of the object as secrets.
    has_secret_name: bool,
    /// True if the next value is that of a field `value` or `values`.
    is_value: bool,
}

/// Reader of a text, which collects its edits.
struct Reader<'a> {
    redactor: &'a Redactor,
    text: &'a [u8],
    /// Number of JSON texts whose strings the text is inside of.
    nesting: usize,
    /// True if the text contains a known credential.
    has_known: bool,
    /// True if the text is an interaction that chooses a command.
    is_interaction: bool,
    tokens: Peekable<Tokens<'a>>,
    /// End of the last token.
    end: usize,
    edits: Vec<Edit>,
}

impl Reader<'_> {
    /// Returns the next token. At the end of the text, `end` becomes the end of the line.
    fn next(&mut self) -> Option<(TokenKind, Range<usize>)> {
        let next = self.tokens.next();
        self.end = next.as_ref().map_or(line_end(self.text).max(self.end), |(_, range)| range.end);
        next
    }

    /// Adds an edit, unless it changes nothing.
    fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) {
        let with = with.into();
        if self.text[range.clone()] != with {
            self.edits.push(Edit { range, with });
        }
    }

    /// Reads a container after its opening bracket, up to its closing one. The whole text is the outermost container.
    fn read_container(&mut self, depth: usize, mut container: Container) {
        let mut values = Vec::new();
        while let Some((kind, range)) = self.next() {
            match kind {
                TokenKind::Open { is_array } if depth < MAX_DEPTH => {
                    self.read_inner_container(depth, &container, is_array, range.start);
                }
                TokenKind::Open { .. } => self.skip_deep_container(range.start),
                TokenKind::Close if depth > 0 => break,
                TokenKind::Close | TokenKind::Colon | TokenKind::Comma => continue,
                TokenKind::Text { .. } if matches!(self.tokens.peek(), Some((TokenKind::Colon, _))) => {
                    self.read_key(&mut container, range.start + 1..range.end - 1);
                    continue;
                }
                TokenKind::Text { is_closed } => {
                    let inside = range.start + 1..range.end - usize::from(is_closed);
                    self.read_string(&mut container, inside, is_closed);
                }
                TokenKind::Bare => self.read_bare(container.class, range.clone()),
            }
            // A value was read.
            if container.is_value {
                values.push(range.start..self.end);
            }
            (container.has_first, container.is_name, container.is_value) = (true, false, false);
            if !container.is_array {
                container.class = FieldClass::Text;
            }
        }
        // The name may come after the value that it marks as a secret.
        if container.has_secret_name {
            for range in values {
                self.replace(range, quoted_placeholder());
            }
        }
    }

    /// Reads a container within another one, from its opening bracket at `start`.
    fn read_inner_container(&mut self, depth: usize, outer: &Container, is_array: bool, start: usize) {
        let has_command_name = match outer.class {
            FieldClass::Commands => !is_array,
            FieldClass::Interaction => self.is_interaction && depth == 1,
            _ => false,
        };
        let class = if is_array { outer.class } else { FieldClass::Text };
        let inner = Container { is_array, class, has_command_name, ..Container::default() };
        self.read_container(depth + 1, inner);
        if outer.class == FieldClass::Secret {
            self.replace(start..self.end, quoted_placeholder());
        }
    }

    /// Skips a container that is nested deeper than gateways read (W-9), and hides it if it has strings.
    fn skip_deep_container(&mut self, from: usize) {
        let (mut open, mut has_strings) = (1, false);
        while open > 0
            && let Some((kind, _)) = self.next()
        {
            match kind {
                TokenKind::Open { .. } => open += 1,
                TokenKind::Close => open -= 1,
                TokenKind::Text { .. } => has_strings = true,
                TokenKind::Colon | TokenKind::Comma | TokenKind::Bare => {}
            }
        }
        if has_strings || self.redactor.pseudonyms.is_some() {
            self.replace(from..self.end, vec![b'x'; self.end - from]);
        }
    }

    /// Reads the key of a field: it decides on the class of the field's value. `inside` is the range within the quotes.
    fn read_key(&mut self, container: &mut Container, inside: Range<usize>) {
        let name = unescaped(&self.text[inside.clone()]);
        let is_one_of = |names: [&str; 2]| {
            names.iter().any(|one| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(one)))
        };
        let (class, is_kept) = words::class(name.as_deref().unwrap_or_default());
        container.is_name = is_one_of(["name", "key"]);
        container.is_value = is_one_of(["value", "values"]);
        container.class =
            if container.has_command_name && container.is_name { FieldClass::Command } else { class };
        match (&name, &self.redactor.pseudonyms) {
            (Some(name), Some(pseudonyms)) if !is_kept => {
                let name = escaped(&pseudonyms.name(name));
                self.replace(inside, name);
            }
            (None, Some(_)) => self.replace_malformed(inside),
            _ => self.hide_known(inside),
        }
    }

    /// Reads a string that is a value. `inside` is the range within the quotes.
    fn read_string(&mut self, container: &mut Container, inside: Range<usize>, is_closed: bool) {
        let class = container.class;
        if class == FieldClass::Secret || !is_closed {
            return self.replace(inside, HIDDEN);
        }
        let Some(text) = unescaped(&self.text[inside.clone()]) else {
            return match self.redactor.pseudonyms {
                Some(_) => self.replace_malformed(inside),
                None => self.hide_known(inside),
            };
        };
        // Forwards have their headers as arrays of a name and a value (P-1).
        if container.is_array && !container.has_first && is_secret(&text) {
            container.class = FieldClass::Secret;
        }
        container.has_secret_name |= container.is_name && is_secret(&text);
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

    /// Reads a number or literal that is a value.
    fn read_bare(&mut self, class: FieldClass, range: Range<usize>) {
        let bare = &self.text[range.clone()];
        if matches!(bare, b"null" | b"true" | b"false") {
            return;
        }
        if class == FieldClass::Secret || self.has_known && self.redactor.known.is_in(bare) {
            self.replace(range, quoted_placeholder());
        } else if !matches!(bare, b"NaN" | b"Infinity" | b"-Infinity")
            && let Some(replaced) = self.redactor.bare(class, bare)
        {
            self.replace(range, replaced);
        }
    }

    /// Replaces the inside of a malformed string by a filler of the same length, which is malformed, too.
    fn replace_malformed(&mut self, inside: Range<usize>) {
        let text = &self.text[inside.clone()];
        // An invalid escape, or a byte that is not valid text.
        let head: &[u8] = if std::str::from_utf8(text).is_ok() { b"\\x" } else { b"\xFF" };
        let filler = text.len().saturating_sub(head.len());
        self.replace(inside, [head, &vec![b'x'; filler]].concat());
    }

    /// Hides the known credentials in a range.
    fn hide_known(&mut self, inside: Range<usize>) {
        if self.has_known
            && let Some(clean) = self.redactor.known.hide(&self.text[inside.clone()])
        {
            self.replace(inside, clean);
        }
    }
}

/// Returns the placeholder of a hidden value as a JSON string.
fn quoted_placeholder() -> String {
    format!("\"{HIDDEN}\"")
}

/// Returns a text escaped for the inside of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Returns the text of a JSON string, given the bytes within its quotes; `None` if they are malformed. Half a surrogate
/// pair becomes U+FFFD (W-7).
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
