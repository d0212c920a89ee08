//! Committed inputs: one text file per target, one line per input, with non-printable bytes escaped. A corpus is thus
//! one readable file instead of hundreds.

use std::path::PathBuf;
use std::{fs, io};

/// Returns the path of a target's inputs.
pub fn path(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).with_extension("txt")
}

/// Returns a target's committed inputs; none without a file.
pub fn load(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = match fs::read_to_string(path(target)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let decode = |line: &str| {
        unescape(line).ok_or_else(|| io::Error::other(format!("{target}: no line of a corpus: {line}")))
    };
    text.lines().map(decode).collect()
}

/// Writes the inputs in an order that does not depend on their original order.
pub fn save(target: &str, mut inputs: Vec<Vec<u8>>) -> io::Result<()> {
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    let lines: String = inputs.iter().map(|input| format!("{}\n", input.escape_ascii())).collect();
    fs::write(path(target), lines)
}

/// Reverses `escape_ascii`.
fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (byte, length) = match escape.bytes().next()? {
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            byte @ (b'\\' | b'\'' | b'"') => (byte, 1),
            b'x' => (u8::from_str_radix(escape.get(1..3)?, 16).ok()?, 3),
            _ => return None,
        };
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&all.escape_ascii().to_string()), Some(all));
        for wrong in ["\\", "\\x", "\\x4", "\\xg0", "\\q"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }
}
