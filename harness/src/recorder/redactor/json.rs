//! Reads JSON as far as it makes sense, and finds what of it is replaced. Every byte of what is not replaced stays as it
//! was written, and a text that is malformed stays malformed.

use super::fields::is_secret;
use super::words::{self, Class};
use super::{Edit, HIDDEN, Redactor};
use memchr::memchr2;
use relayline_core::json::{MAX_DEPTH, mend};
use serde::de::IgnoredAny;
use std::ops::Range;

/// Returns whether a text is one JSON object or array.
pub(super) fn is_container(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    text.trim_ascii_start().starts_with(['{', '['])
        && (is_json(text) || mend(text).is_some_and(|text| is_json(&text)))
}

/// Returns the edits of a text, in order. `nesting` is how many texts it is within.
pub(super) fn edits(redactor: &Redactor, text: &[u8], nesting: usize) -> Vec<Edit> {
    let known = redactor.known.is_in(text);
    let base = Level { is_array: false, ..Level::default() };
    let mut walk = Walk {
        redactor,
        text,
        nesting,
        known,
        levels: vec![base],
        deeper: 0,
        hidden: None,
        edits: Vec::new(),
    };
    walk.run();
    walk.sorted()
}

/// How far the containers of a text are open that comes piece by piece.
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

    /// Returns whether an object or an array has come, and is closed.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.is_in_string
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    Open {
        at: usize,
        is_array: bool,
    },
    Close {
        at: usize,
    },
    Colon,
    Comma,
    /// A string: its inside, as it is written, and whether it ends.
    Text {
        inside: Range<usize>,
        is_closed: bool,
    },
    /// A number, a literal, or anything else.
    Bare(Range<usize>),
}

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let begun = self.at + self.text[self.at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at = begun + 1;
        Some(match self.text[begun] {
            byte @ (b'{' | b'[') => Token::Open { at: begun, is_array: byte == b'[' },
            b'}' | b']' => Token::Close { at: begun },
            b':' => Token::Colon,
            b',' => Token::Comma,
            b'"' => {
                let (end, is_closed) = string_end(self.text, self.at);
                let inside = self.at..end;
                self.at = end + usize::from(is_closed);
                Token::Text { inside, is_closed }
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b"{}[]:,\"".contains(byte);
                self.at =
                    self.text[begun..].iter().position(ends).map_or(self.text.len(), |length| begun + length);
                Token::Bare(begun..self.at)
            }
        })
    }
}

/// Where the quote stands that ends a string; the end of the line where none does.
fn string_end(text: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if text[at + found] == b'"' {
            return (at + found, true);
        }
        at += found + 2;
    }
    let line_end = if text.ends_with(b"\n") { text.len() - 1 } else { text.len() };
    (line_end.max(from), false)
}

/// An object or an array that is open.
#[derive(Debug, Default)]
struct Level {
    is_array: bool,
    /// What the values are that come next.
    class: Class,
    /// A `name` in it is that of a command.
    names_command: bool,
    /// The first element of an array has come: of a pair, it names the others.
    has_first: bool,
    /// The value that comes next is that of a `value`, beside which a `name` may call it a secret.
    is_value: bool,
    /// So does a `name`.
    is_name: bool,
    names_secret: bool,
    /// Where such a value began, and all that have ended.
    begun: usize,
    values: Vec<Range<usize>>,
}

struct Walk<'a> {
    redactor: &'a Redactor,
    text: &'a [u8],
    nesting: usize,
    /// Whether a known credential is anywhere in the text.
    known: bool,
    levels: Vec<Level>,
    /// Containers that are open beyond the deepest level.
    deeper: usize,
    /// Where the container begins that is a credential, and how many are open within it.
    hidden: Option<(usize, usize)>,
    edits: Vec<Edit>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let mut tokens = Tokens { text: self.text, at: 0 }.peekable();
        while let Some(token) = tokens.next() {
            match token {
                Token::Open { at, is_array } => self.open(at, is_array),
                Token::Close { at } => self.close(at),
                Token::Colon | Token::Comma => {}
                Token::Text { inside, is_closed } if tokens.peek() == Some(&Token::Colon) => {
                    self.key(inside, is_closed)
                }
                Token::Text { inside, is_closed } => self.string(inside, is_closed),
                Token::Bare(range) => self.bare(range),
            }
        }
        if let Some((from, _)) = self.hidden.take() {
            let end = if self.text.ends_with(b"\n") { self.text.len() - 1 } else { self.text.len() };
            self.replace(from..end.max(from), quoted());
        }
        while let Some(level) = self.levels.pop() {
            self.hide_values(level);
        }
    }

    /// The edits in order, without those within another.
    fn sorted(self) -> Vec<Edit> {
        let mut edits = self.edits;
        edits.sort_by_key(|edit| (edit.range.start, std::cmp::Reverse(edit.range.end)));
        let mut end = 0;
        edits.retain(|edit| {
            let is_outer = edit.range.start >= end;
            end = end.max(edit.range.end);
            is_outer
        });
        edits
    }

    fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) {
        let with = with.into();
        if self.text[range.clone()] != with {
            self.edits.push(Edit { range, with });
        }
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn open(&mut self, at: usize, is_array: bool) {
        if let Some((_, depth)) = &mut self.hidden {
            *depth += 1;
            return;
        }
        let is_deep = self.levels.len() > MAX_DEPTH;
        let level = self.level();
        let class = level.class;
        if class == Class::Secret {
            level.begun = at;
            self.hidden = Some((at, 1));
        } else if is_deep {
            // What is deeper is read as one level: such a line is malformed (W-9).
            self.deeper += 1;
        } else {
            level.begun = at;
            let names_command = class == Class::Commands && !is_array;
            let class = if is_array { class } else { Class::Text };
            self.levels.push(Level { is_array, class, names_command, ..Level::default() });
        }
    }

    fn close(&mut self, at: usize) {
        match &mut self.hidden {
            Some((from, 1)) => {
                let from = *from;
                self.hidden = None;
                self.replace(from..at + 1, quoted());
                self.ended(from..at + 1);
            }
            Some((_, depth)) => *depth -= 1,
            None if self.deeper > 0 => self.deeper -= 1,
            // The outermost is the text's own.
            None if self.levels.len() > 1 => {
                if let Some(level) = self.levels.pop() {
                    self.hide_values(level);
                }
                let begun = self.level().begun;
                self.ended(begun..at + 1);
            }
            None => {}
        }
    }

    /// A value has ended.
    fn ended(&mut self, range: Range<usize>) {
        let level = self.level();
        if level.is_value {
            level.values.push(range);
        }
        level.has_first = true;
        (level.is_value, level.is_name) = (false, false);
        if !level.is_array {
            level.class = Class::Text;
        }
    }

    /// Of an object with a `name` that calls its `value` a secret, the values.
    fn hide_values(&mut self, level: Level) {
        for range in level.values.into_iter().filter(|_| level.names_secret) {
            self.replace(range, quoted());
        }
    }

    fn key(&mut self, inside: Range<usize>, is_closed: bool) {
        if self.hidden.is_some() {
            return;
        }
        if !is_closed {
            return self.replace(inside, HIDDEN);
        }
        let name = unescaped(&self.text[inside.clone()]);
        let (mut class, stays) = words::class(name.as_deref().unwrap_or_default());
        let is_one_of = |names: [&str; 2]| {
            names.iter().any(|one| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(one)))
        };
        let level = self.level();
        level.is_name = is_one_of(["name", "key"]);
        level.is_value = is_one_of(["value", "values"]);
        if level.names_command && level.is_name {
            class = Class::Command;
        }
        level.class = class;
        match (&name, &self.redactor.pseudonyms) {
            (Some(name), Some(pseudonyms)) if !stays => {
                let name = escaped(&pseudonyms.name(name));
                self.replace(inside, name);
            }
            (None, Some(_)) => self.replace_malformed(inside),
            _ => self.hide_known(inside),
        }
    }

    fn string(&mut self, inside: Range<usize>, is_closed: bool) {
        if self.hidden.is_some() {
            return;
        }
        let text = unescaped(&self.text[inside.clone()]);
        let Level { class, is_array, has_first, is_name, .. } = *self.level();
        if class == Class::Secret || !is_closed {
            self.replace(inside.clone(), HIDDEN);
        } else if let Some(text) = &text {
            let is_secret = (is_name || (is_array && !has_first)) && is_secret(text);
            let level = self.level();
            level.names_secret |= is_name && is_secret;
            // A pair, as forwards have their headers (P-1).
            if is_array && !has_first && is_secret {
                level.class = Class::Secret;
            }
            let replaced = match class {
                Class::Body => self.redactor.encoded_body(text, self.nesting),
                _ => self.redactor.value(class, text, self.nesting),
            };
            match replaced {
                Some(replaced) => {
                    let replaced = self.redactor.without_known(&escaped(&replaced));
                    self.replace(inside.clone(), replaced);
                }
                None => self.hide_known(inside.clone()),
            }
        } else if self.redactor.pseudonyms.is_some() {
            self.replace_malformed(inside.clone());
        } else {
            self.hide_known(inside.clone());
        }
        self.ended(inside.start.saturating_sub(1)..inside.end + usize::from(is_closed));
    }

    fn bare(&mut self, range: Range<usize>) {
        if self.hidden.is_some() {
            return;
        }
        let bare = &self.text[range.clone()];
        let is_literal = matches!(bare, b"null" | b"true" | b"false");
        let is_known = self.known && self.redactor.known.is_in(bare);
        let class = self.level().class;
        if !is_literal && (class == Class::Secret || is_known) {
            self.replace(range.clone(), quoted());
        } else if !is_literal
            && !matches!(bare, b"NaN" | b"Infinity" | b"-Infinity")
            && let Some(replaced) = self.redactor.bare(class, bare)
        {
            self.replace(range.clone(), replaced);
        }
        self.ended(range);
    }

    /// Puts filler in the place of a string's inside that is malformed, and remains so.
    fn replace_malformed(&mut self, inside: Range<usize>) {
        let text = &self.text[inside.clone()];
        // An escape that there is none of, or a byte that is none of a text.
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

/// A text as the inside of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The text of a JSON string's inside; half a surrogate pair is U+FFFD (W-7). `None` where it is malformed.
pub(super) fn unescaped(inside: &[u8]) -> Option<String> {
    let inside = std::str::from_utf8(inside).ok()?;
    let mut units: Vec<u16> = Vec::new();
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        let unit = match c {
            '\\' => match rest.next()? {
                'u' => {
                    let digits =
                        rest.as_str().get(..4).filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()))?;
                    rest = rest.as_str()[4..].chars();
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    continue;
                }
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            },
            '\0'..='\x1f' => return None,
            c => c,
        };
        text.push_str(&String::from_utf16_lossy(&units));
        units.clear();
        text.push(unit);
    }
    text.push_str(&String::from_utf16_lossy(&units));
    Some(text)
}
