//! Filler for private texts, and pseudonyms for ids.
//!
//! Filler has the same length as the text in scalar values, bytes and UTF-16 code units. Pseudonyms depend on a random
//! key that is never stored: a part of an id has the same pseudonym within a recording, and the id cannot be
//! recovered.

use super::words::{is_reason, is_word, phrases};
use data_encoding::HEXLOWER;
use relayline_core::secret::Secret;
use relayline_core::token;
use std::io;

/// Characters that divide ids, paths and URLs into parts.
const SEPARATORS: [char; 14] = ['.', ':', '/', '~', '@', '+', '?', '&', '=', '#', ',', ';', '(', ')'];
/// Number of digits in the pseudonym of a number.
const DIGITS: u32 = 12;
/// Number of letters and digits in any other pseudonym, after its `p`.
const LETTERS: usize = 9;
/// Maximum size in bytes of a part whose pseudonym has that length. The pseudonym of a longer part is as long as the
/// part.
const MAX_SHORT_PART: usize = 32;
/// Maximum length of a name that is split into parts.
const MAX_NAME: usize = 1024;
/// Maximum length of a command's name.
const MAX_COMMAND: usize = 32;

/// Generator of pseudonyms.
#[derive(Debug)]
pub(super) struct Pseudonyms {
    key: Secret,
}

impl Pseudonyms {
    pub(super) fn new() -> io::Result<Pseudonyms> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(format!("no randomness: {error}")))?;
        Ok(Pseudonyms { key: Secret::new(HEXLOWER.encode(&key)) })
    }

    /// Returns a digest that identifies a body.
    pub(super) fn digest(&self, body: &[u8]) -> String {
        HEXLOWER.encode(&token::sign(&[b"body:", body], &self.key))
    }

    /// Returns a name with pseudonyms for all parts that are not words of the protocol.
    pub(super) fn name(&self, name: &str) -> String {
        if is_word(name) {
            return name.to_owned();
        }
        if name.len() > MAX_NAME {
            return self.part(name);
        }
        let mut shown = String::with_capacity(name.len());
        for (at, segment) in name.split(':').enumerate() {
            if at > 0 {
                shown.push(':');
            }
            if let Some((process, number)) = prompt_id(segment) {
                let hex = |part: &str| HEXLOWER.encode(&self.mac(part)[..part.len() / 2]);
                shown.extend([&hex(process), ".", &hex(number)]);
                continue;
            }
            for piece in segment.split_inclusive(SEPARATORS) {
                let part = piece.trim_end_matches(SEPARATORS);
                shown.push_str(&self.part(part));
                shown.push_str(&piece[part.len()..]);
            }
        }
        shown
    }

    fn mac(&self, part: &str) -> [u8; 32] {
        token::sign(&[b"part:", part.as_bytes()], &self.key)
    }

    fn part(&self, part: &str) -> String {
        if part.is_empty() || is_word(part) {
            return part.to_owned();
        }
        let bare = part.strip_prefix('-').unwrap_or(part);
        let mac = self.mac(bare);
        let seed = mac[..8].iter().fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
        let mut pseudonym = if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            let sign = &part[..part.len() - bare.len()];
            let least = 10u64.pow(DIGITS - 1);
            format!("{sign}{}", least + seed % (9 * least))
        } else {
            // Characters that a prompt id may not contain are kept out of its pseudonym (I-1).
            let is_plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            let digit = |at: usize| char::from_digit(u32::from(mac[8 + at] % 36), 36).unwrap_or('0');
            std::iter::once(if is_plain { "p" } else { "p*" }.to_owned())
                .chain((0..LETTERS).map(|at| digit(at).to_string()))
                .collect()
        };
        if part.len() > MAX_SHORT_PART {
            let filler = if pseudonym.starts_with('p') { 'x' } else { '0' };
            pseudonym.extend(std::iter::repeat_n(filler, part.len() - pseudonym.len()));
        }
        pseudonym
    }
}

/// Returns the halves of a gateway's prompt id (I-1). The first half identifies the gateway's own prompts (I-3).
fn prompt_id(text: &str) -> Option<(&str, &str)> {
    let is_hex = |half: &str| half.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    text.split_once('.').filter(|(process, number)| {
        (process.len(), number.len()) == (6, 8) && is_hex(process) && is_hex(number)
    })
}

/// Returns a text as filler. Line breaks, spaces and fences are kept, and with `keeps_command` a leading command.
pub(super) fn filler(text: &str, keeps_command: bool) -> String {
    let command = if keeps_command { command(text) } else { "" };
    let mut filled = String::with_capacity(text.len());
    filled.push_str(command);
    for line in text[command.len()..].split_inclusive('\n') {
        let fence = fence(line);
        filled.push_str(fence);
        filled.extend(line[fence.len()..].chars().map(filler_of));
    }
    filled
}

/// Returns an error or a close reason: unchanged if it is listed, else filler with the listed phrases.
pub(super) fn error(text: &str) -> String {
    if is_reason(text) {
        return text.to_owned();
    }
    let (mut filled, mut done) = (String::new(), 0);
    for range in phrases(text) {
        filled += &filler(&text[done..range.start], false);
        // In lower case, because the peer chooses the case.
        filled += &text[range.clone()].to_ascii_lowercase();
        done = range.end;
    }
    filled + &filler(&text[done..], false)
}

/// Returns true if a text is the name of a command.
pub(super) fn is_command(text: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=MAX_COMMAND).contains(&text.len()) && text.bytes().all(is_name)
}

/// Returns the command at the start of a text: `/word`.
fn command(text: &str) -> &str {
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let word = &text[..end];
    if word.strip_prefix('/').is_some_and(is_command) { word } else { "" }
}

/// Returns the fence at the start of a line, with its indentation.
fn fence(line: &str) -> &str {
    let inside = line.trim_start_matches([' ', '\t', '>']);
    let mark = inside.chars().next().filter(|mark| matches!(mark, '`' | '~'));
    let Some(mark) = mark else { return "" };
    let behind = inside.trim_start_matches(mark);
    if inside.len() - behind.len() >= 3 { &line[..line.len() - behind.len()] } else { "" }
}

fn filler_of(c: char) -> char {
    match (c, c.len_utf8()) {
        ('\n' | '\r' | '\t' | ' ', _) => c,
        (_, 1) => 'x',
        (_, 2) => 'ø',
        (_, 3) => '字',
        _ => '𝕩',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_4_filler_is_as_long_as_the_text() {
        for (text, expected) in [
            ("Hi, Zoë! 日本 🚀\r\n\tend", "xxx xxøx 字字 𝕩\r\n\txxx"),
            ("/status 42 now", "/status xx xxx"),
            ("/Secret word", "xxxxxxx xxxx"),
            ("/home/ada", "xxxxxxxxx"),
            ("a /status", "x xxxxxxx"),
            ("```rust\nlet a;\n```\n> ~~~~\n`a`", "```xxxx\nxxx xx\n```\n> ~~~~\nxxx"),
            ("\u{2028}\u{0}", "字x"),
            ("", ""),
        ] {
            assert_eq!(filler(text, true), expected);
            let sizes = |text: &str| (text.len(), text.chars().count(), text.encode_utf16().count());
            assert_eq!(sizes(&filler(text, false)), sizes(text));
        }
        assert_eq!(error("Slack EGRESS Declined: no"), "xxxxx egress declined: xx");
        assert_eq!((error("expired"), error("expired?")), ("expired".to_owned(), "xxxxxxxx".to_owned()));
    }

    #[test]
    fn c_4_pseudonyms_are_the_same_within_one_recording() {
        let pseudonyms = Pseudonyms::new().unwrap();
        let name = |text: &str| pseudonyms.name(text);
        let key = name("agent:main:discord:group:-1001:42");
        assert_eq!(key, format!("agent:main:discord:group:{}:{}", name("-1001"), name("42")));
        assert_eq!(name("-1001"), format!("-{}", name("1001")));
        assert!(name("42").len() == 12 && name("42").bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(
            name("060284.d32acfe6").split_once('.').unwrap().0,
            name("060284.deadbeef").split_once('.').unwrap().0
        );
        assert!(prompt_id(&name("060284.d32acfe6")).is_some() && prompt_id(&name("a.b")).is_none());
        assert!(
            relayline_core::prompts::is_id(&name("approve_once"))
                && !relayline_core::prompts::is_id(&name("a b"))
        );
        let custom_id = name("hp1:060284.d32acfe6:once");
        assert_eq!(custom_id, format!("hp1:{}:{}", name("060284.d32acfe6"), name("once")));
        assert!(custom_id.len() <= 64);
        assert_eq!(name("https://cdn.example/relay/media/a.png").split('/').next(), Some("https:"));
        for text in ["42", "ada", "a b", "é", &"long ".repeat(1000), "a.b"] {
            assert_eq!(name(text), name(text));
            assert_ne!(name(text), Pseudonyms::new().unwrap().name(text));
        }
        assert_eq!(name(&"7".repeat(40)).len(), 40);
        assert_eq!(
            (name(""), name("discord"), name("image/png")),
            (String::new(), "discord".into(), "image/png".into())
        );
    }
}
