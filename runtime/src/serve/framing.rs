//! Checks the line ends of request heads, against request smuggling: hyper accepts a bare LF as a line end, and a proxy
//! in front of it may not (RFC 9112, 2.2).
//!
//! It parses just enough of each head to find the next one. It leaves other errors to hyper.

/// Maximum number of bytes kept of a header line: enough for the headers that delimit a body.
const LINE: usize = 128;

/// State of the parser: the part that is expected next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Head,
    /// Bytes left of a body.
    Body(u64),
    /// Size of a chunk so far; true once an extension has begun.
    Size(u64, bool),
    /// Bytes left of a chunk, including its CRLF.
    Chunk(u64),
    /// Fields after the last chunk.
    Trailers,
    /// Data that is not parsed: not HTTP, or malformed.
    Raw,
}

/// Parser of request heads.
#[derive(Debug)]
pub(super) struct Framing {
    next: Next,
    last: u8,
    /// Beginning of the current line, in lower case.
    line: Vec<u8>,
    /// Length of the current line.
    length: usize,
    /// True once the current head has a line.
    has_lines: bool,
    body: u64,
    is_chunked: bool,
    upgrades: bool,
}

impl Framing {
    pub(super) fn new() -> Framing {
        Framing {
            next: Next::Head,
            last: 0,
            line: Vec::new(),
            length: 0,
            has_lines: false,
            body: 0,
            is_chunked: false,
            upgrades: false,
        }
    }

    /// Parses received bytes. Replaces a bare LF in a head by NUL, which is invalid there, so that hyper answers 400 and
    /// closes.
    pub(super) fn read(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            match self.next {
                Next::Raw => return,
                Next::Body(left) => at += self.skip(left, bytes.len() - at, Next::Body, Next::Head),
                Next::Chunk(left) => {
                    at += self.skip(left, bytes.len() - at, Next::Chunk, Next::Size(0, false));
                }
                Next::Size(size, extends) => {
                    self.next = size_and(size, extends, bytes[at]);
                    at += 1;
                }
                Next::Head | Next::Trailers => {
                    let byte = bytes[at];
                    if byte == b'\n' && self.last != b'\r' {
                        bytes[at] = 0;
                        self.next = Next::Raw;
                        return;
                    }
                    self.of_line(byte);
                    self.last = byte;
                    at += 1;
                }
            }
        }
    }

    /// Skips the received part of a body, and returns its length.
    fn skip(&mut self, left: u64, there: usize, more: fn(u64) -> Next, then: Next) -> usize {
        let there = there as u64;
        self.next = if left > there { more(left - there) } else { then };
        // At most `there`, which is a `usize`.
        left.min(there) as usize
    }

    fn of_line(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_line(),
            b'\r' => {}
            byte => {
                self.length += 1;
                if self.line.len() < LINE {
                    self.line.push(byte.to_ascii_lowercase());
                }
            }
        }
    }

    fn end_line(&mut self) {
        let is_empty = std::mem::take(&mut self.length) == 0;
        match self.next {
            Next::Head if is_empty && self.has_lines => self.end_head(),
            // Empty lines before a request are skipped (RFC 9112, 2.2).
            Next::Head if is_empty => {}
            Next::Head => {
                self.has_lines = true;
                self.field();
            }
            Next::Trailers if is_empty => self.next = Next::Head,
            Next::Trailers | Next::Body(_) | Next::Size(..) | Next::Chunk(_) | Next::Raw => {}
        }
        self.line.clear();
    }

    fn field(&mut self) {
        let Some(colon) = self.line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&self.line[..colon], self.line[colon + 1..].trim_ascii());
        match name {
            b"content-length" => {
                // hyper rejects a value that is not a number, and two that differ.
                self.body = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).unwrap_or(0);
            }
            b"transfer-encoding" => self.is_chunked = true,
            b"upgrade" => self.upgrades = true,
            _ => {}
        }
    }

    fn end_head(&mut self) {
        self.next = match () {
            // Data of another protocol may follow. The connection is closed if it is not upgraded.
            () if self.upgrades => Next::Raw,
            () if self.is_chunked => Next::Size(0, false),
            () if self.body > 0 => Next::Body(self.body),
            () => Next::Head,
        };
        (self.has_lines, self.body, self.is_chunked, self.upgrades) = (false, 0, false, false);
    }
}

/// Returns the state after one more byte of a chunk's size line. hyper validates the rest of that line.
fn size_and(size: u64, extends: bool, byte: u8) -> Next {
    match byte {
        b'\n' if size == 0 => Next::Trailers,
        b'\n' => Next::Chunk(size.saturating_add(2)),
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' if !extends => {
            let digit = char::from(byte).to_digit(16).unwrap_or(0);
            Next::Size(size.saturating_mul(16).saturating_add(digit.into()), false)
        }
        b'\r' => Next::Size(size, extends),
        _ => Next::Size(size, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the bytes that hyper would get if they arrived in pieces of this size.
    fn passed(text: &str, piece: usize) -> String {
        let (mut framing, mut bytes) = (Framing::new(), text.as_bytes().to_vec());
        for piece in bytes.chunks_mut(piece) {
            framing.read(piece);
        }
        String::from_utf8(bytes).unwrap()
    }

    const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                           5;a=\"b\"\r\n\n\n\n\n\n\r\n1F\r\n0123456789\n0123456789\n012345678\r\n0\r\nt: 1\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:  3 \r\n\r\n\n\n\n";
    const BARE: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn h_6_a_bare_lf_is_replaced_in_heads_only() {
        for before in ["", "\r\n", BARE, SIZED, CHUNKED, &[SIZED, CHUNKED, BARE, CHUNKED].concat()] {
            for piece in [1, 2, 3, 7, 4096] {
                assert_eq!(passed(before, piece), before);
                for (head, spoiled) in [
                    ("GET / HTTP/1.1\nHost: x\r\n\r\n", "GET / HTTP/1.1\0Host: x\r\n\r\n"),
                    ("GET / HTTP/1.1\r\nHost: x\n\r\n", "GET / HTTP/1.1\r\nHost: x\0\r\n"),
                    ("GET / HTTP/1.1\r\nHost: x\r\n\n", "GET / HTTP/1.1\r\nHost: x\r\n\0"),
                    ("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                ] {
                    let (text, expected) = ([before, head].concat(), [before, spoiled].concat());
                    let passed = passed(&text, piece);
                    assert_eq!(passed[..expected.len()], expected, "{piece}");
                }
            }
        }
    }

    #[test]
    fn h_6_an_upgraded_connection_is_not_checked() {
        let text = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n\n\n\u{1}\nGET / HTTP/1.1\n\n";
        assert_eq!(passed(text, 5), text);
    }
}
