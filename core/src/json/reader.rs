//! Reads JSON in one pass, which checks the grammar and the depth, and finds the fields and items.
//!
//! The grammar is that of RFC 8259, in which a string may spell a lone surrogate (W-7). A number may have any length.

use super::scan::special;
use super::{Kind, MAX_DEPTH, kind, unescape};
use std::borrow::Cow;

/// Error returned when a text is not JSON, or nests deeper than [`MAX_DEPTH`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

/// Raw value that is known to be JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    text: &'a str,
    /// False for a string that is known to have no escapes.
    may_have_escapes: bool,
}

impl<'a> Raw<'a> {
    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    pub(crate) fn kind(self) -> Kind {
        kind(self.text)
    }

    /// Returns true for an empty string.
    pub(crate) fn is_empty(self) -> bool {
        self.text == "\"\""
    }

    /// Returns the text of a string that is known to have no escapes.
    pub(crate) fn plain(self) -> Option<&'a str> {
        if self.may_have_escapes { None } else { self.text.get(1..self.text.len() - 1) }
    }
}

impl<'a> From<&'a str> for Raw<'a> {
    fn from(text: &'a str) -> Raw<'a> {
        Raw { text, may_have_escapes: true }
    }
}

/// Value that is filled from a JSON object field by field. Filling in place avoids moves, since some values are large.
pub(crate) trait FromObject<'a>: Default {
    /// Reads all fields.
    fn fill(&mut self, fields: Fields<'_, 'a>) -> Result<(), Malformed>;
}

impl<'a, T: FromObject<'a>> FromObject<'a> for Box<T> {
    fn fill(&mut self, fields: Fields<'_, 'a>) -> Result<(), Malformed> {
        T::fill(self, fields)
    }
}

/// Reads a whole text as an object; `None` if it is JSON of another kind.
pub(crate) fn read_object<'a, T: FromObject<'a>>(text: &'a str) -> Result<Option<T>, Malformed> {
    let mut read = T::default();
    let is_object = whole(text, |reader| reader.object(|fields| read.fill(fields)))?;
    Ok(is_object.then_some(read))
}

/// Reads one value that takes up the whole text.
pub(super) fn whole<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_space();
    let value = read(&mut reader)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(Malformed) }
}

/// Place in a text, at the beginning of a value or after one.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Number of objects and arrays that are open here.
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Calls `visit` with the fields of the object here, or skips a value of another kind. Returns true for an object.
    pub(super) fn object(
        &mut self,
        visit: impl FnOnce(Fields<'_, 'a>) -> Result<(), Malformed>,
    ) -> Result<bool, Malformed> {
        if self.peek() != Some(b'{') {
            return self.skip().map(|()| false);
        }
        self.open()?;
        visit(Fields { reader: self, is_first: true })?;
        Ok(true)
    }

    /// Calls `visit` with each raw item of the array here, or skips a value of another kind.
    pub(super) fn array(&mut self, mut visit: impl FnMut(&'a str)) -> Result<(), Malformed> {
        if self.peek() != Some(b'[') {
            return self.skip();
        }
        self.open()?;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.close();
            return Ok(());
        }
        loop {
            visit(self.raw()?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.step_over(),
                Some(b']') => {
                    self.close();
                    return Ok(());
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// Returns the text of the value here.
    fn raw(&mut self) -> Result<&'a str, Malformed> {
        self.value().map(|value| value.text)
    }

    /// Returns the value here.
    fn value(&mut self) -> Result<Raw<'a>, Malformed> {
        let start = self.at;
        let may_have_escapes = match self.peek() {
            Some(b'"') => self.skip_string()?,
            _ => self.skip().map(|()| true)?,
        };
        let text = self.text.get(start..self.at).ok_or(Malformed)?;
        Ok(Raw { text, may_have_escapes })
    }

    /// Reads past the value here.
    fn skip(&mut self) -> Result<(), Malformed> {
        let outer = self.depth;
        // One bit for each open value: 1 for an object. The lowest is the innermost.
        let mut objects = 0_u128;
        loop {
            match self.peek() {
                Some(b'"') => self.skip_string().map(drop)?,
                Some(opener @ (b'{' | b'[')) => {
                    let is_object = opener == b'{';
                    self.open()?;
                    self.skip_space();
                    if self.peek() == Some(if is_object { b'}' } else { b']' }) {
                        self.close();
                    } else {
                        objects = objects << 1 | u128::from(is_object);
                        if is_object {
                            self.skip_name()?;
                        }
                        continue;
                    }
                }
                Some(b't') => self.skip_word(b"true")?,
                Some(b'f') => self.skip_word(b"false")?,
                Some(b'n') => self.skip_word(b"null")?,
                Some(b'-' | b'0'..=b'9') => self.skip_number()?,
                _ => return Err(Malformed),
            }
            // After a value: the next one, or the end of those that are open.
            while self.depth > outer {
                let is_object = objects & 1 == 1;
                self.skip_space();
                match self.peek() {
                    Some(b',') => {
                        self.step_over();
                        if is_object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    Some(b'}') if is_object => self.close(),
                    Some(b']') if !is_object => self.close(),
                    _ => return Err(Malformed),
                }
                objects >>= 1;
            }
            if self.depth == outer {
                return Ok(());
            }
        }
    }

    /// Reads past a field's name and colon.
    fn skip_name(&mut self) -> Result<(), Malformed> {
        self.name_bounds().map(drop)
    }

    /// Reads past a field's name, its colon and the space after it. Returns the bounds of the name, and true if it has
    /// escapes.
    fn name_bounds(&mut self) -> Result<(usize, usize, bool), Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let start = self.at + 1;
        let has_escapes = self.skip_string()?;
        let end = self.at - 1;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(Malformed);
        }
        self.step_over();
        Ok((start, end, has_escapes))
    }

    /// Reads past the string here. Returns true if it has escapes.
    fn skip_string(&mut self) -> Result<bool, Malformed> {
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        self.at += 1;
        loop {
            self.at = special(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += match bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') => {
                            let digits = bytes.get(self.at + 2..self.at + 6).ok_or(Malformed)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return Err(Malformed);
                            }
                            6
                        }
                        _ => return Err(Malformed),
                    };
                }
                // A control character, or the end of the text.
                _ => return Err(Malformed),
            }
        }
    }

    fn skip_number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.skip_digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Ok(())
    }

    /// Reads past one or more digits.
    fn skip_digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Malformed) }
    }

    fn skip_word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        self.at = super::scan::skip_space(self.text.as_bytes(), self.at);
    }

    /// Reads past a comma or colon, and the space after it.
    fn step_over(&mut self) {
        self.at += 1;
        self.skip_space();
    }

    /// Reads past an opening bracket.
    fn open(&mut self) -> Result<(), Malformed> {
        self.depth += 1;
        self.at += 1;
        if self.depth > MAX_DEPTH { Err(Malformed) } else { Ok(()) }
    }

    /// Reads past a closing bracket.
    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }
}

/// Fields of an object that are not read yet.
pub(crate) struct Fields<'r, 'a> {
    reader: &'r mut Reader<'a>,
    is_first: bool,
}

impl<'a> Fields<'_, 'a> {
    /// Returns the name of the next field. A lone surrogate in it is U+FFFD (W-7). The field's value must be read next.
    pub(crate) fn next_name(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        let reader = &mut *self.reader;
        reader.skip_space();
        match reader.peek() {
            Some(b'}') => {
                reader.close();
                return Ok(None);
            }
            Some(b',') if !self.is_first => reader.step_over(),
            Some(_) if self.is_first => self.is_first = false,
            _ => return Err(Malformed),
        }
        let (start, end, has_escapes) = reader.name_bounds()?;
        let name = reader.text.get(start..end).ok_or(Malformed)?;
        if !has_escapes {
            return Ok(Some(Cow::Borrowed(name)));
        }
        let mut plain = String::with_capacity(name.len());
        unescape(name, &mut plain);
        Ok(Some(Cow::Owned(plain)))
    }

    /// Returns the text of the field's value.
    pub(crate) fn raw(&mut self) -> Result<&'a str, Malformed> {
        self.reader.raw()
    }

    /// Returns the field's value.
    pub(crate) fn value(&mut self) -> Result<Raw<'a>, Malformed> {
        self.reader.value()
    }

    /// Reads the field's value into `into`; the default if it is not an object.
    pub(crate) fn object<T: FromObject<'a>>(&mut self, into: &mut T) -> Result<(), Malformed> {
        *into = T::default();
        self.reader.object(|fields| into.fill(fields)).map(drop)
    }

    /// Reads the field's value; `None` if it is not an object. Returns also its raw text.
    pub(crate) fn object_and_raw<T: FromObject<'a>>(&mut self) -> Result<(Option<T>, &'a str), Malformed> {
        let start = self.reader.at;
        let mut read = T::default();
        let is_object = self.reader.object(|fields| read.fill(fields))?;
        let raw = self.reader.text.get(start..self.reader.at).ok_or(Malformed)?;
        Ok((is_object.then_some(read), raw))
    }
}

#[cfg(test)]
mod tests;
