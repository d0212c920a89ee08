//! Search for known credentials in any encoding.
//!
//! A text is searched after its JSON and percent escapes are decoded, at any nesting. It is searched for the
//! credential, for its hexadecimal digits, and for its base64 in both alphabets and at each of the three alignments.

use super::HIDDEN;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use memchr::{memchr2, memmem};
use relayline_core::secret::Secret;
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// Minimum length of a searched credential. Shorter ones would match ordinary words.
const MIN_LENGTH: usize = 8;
/// Maximum number of credentials from the traffic. Those of the settings are kept in addition.
const MAX_LEARNED: usize = 128;
/// Maximum length of a searched text. A longer credential is searched in pieces.
const MAX_PIECE: usize = 4096;
/// Maximum number of escape layers.
const MAX_LAYERS: usize = 4;
/// Minimum length of a part of a bearer token that is searched by itself.
const MIN_PART_LENGTH: usize = 16;

/// The known credentials.
#[derive(Default)]
pub(super) struct Known {
    settings: Vec<Credential>,
    seen: VecDeque<Credential>,
}

/// Shows only the number of credentials (C-4).
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("settings", &self.settings.len()).finish_non_exhaustive()
    }
}

struct Credential {
    text: Secret,
    patterns: Vec<Pattern>,
}

struct Pattern {
    bytes: Zeroizing<Vec<u8>>,
    /// True if the base64 digit before or after it shares bits with it.
    shares: [bool; 2],
}

impl Known {
    /// Adds a credential of the settings permanently.
    pub(super) fn add_permanent(&mut self, text: &str) {
        self.settings.extend(pieces(text).map(Credential::new));
    }

    /// Adds a credential of the traffic, and replaces the oldest one beyond the limit.
    pub(super) fn learn(&mut self, text: &str) {
        for piece in pieces(text) {
            let is_known = |credential: &Credential| credential.text.expose() == piece;
            if !self.settings.iter().chain(&self.seen).any(is_known) {
                self.seen.truncate(MAX_LEARNED - 1);
                self.seen.push_front(Credential::new(piece));
            }
        }
    }

    /// Adds the content of an `Authorization` header: the credential, the parts of a token, and a password.
    pub(super) fn learn_authorization(&mut self, scheme: Option<&str>, credential: &str) {
        self.learn(credential);
        credential.split('.').filter(|part| part.len() >= MIN_PART_LENGTH).for_each(|part| self.learn(part));
        let bare = credential.trim_end_matches('=').as_bytes();
        let decoded = BASE64_NOPAD.decode(bare).or_else(|_| BASE64URL_NOPAD.decode(bare));
        let Some(decoded) = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok().map(Secret::new))
        else {
            return;
        };
        let parts = if scheme == Some("Basic") {
            decoded.expose().split_once(':')
        } else {
            // An upgrade token ends with its signature. The id in it is not a secret (C-1).
            decoded.expose().rsplit_once(':')
        };
        if let Some((_, secret)) = parts {
            self.learn(secret);
        }
    }

    /// Returns true if the text holds a known credential.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let view = View::of(text);
        self.patterns().any(|pattern| memmem::find(&view.text, &pattern.bytes).is_some())
    }

    /// Returns the text without known credentials; `None` if it holds none.
    pub(super) fn hide(&self, text: &[u8]) -> Option<Vec<u8>> {
        let view = View::of(text);
        let mut found: Vec<Range<usize>> = Vec::new();
        for pattern in self.patterns() {
            found.extend(
                memmem::find_iter(&view.text, &pattern.bytes[..]).map(|at| pattern.range(&view.text, at)),
            );
        }
        if found.is_empty() {
            return None;
        }
        found.sort_unstable_by_key(|range| range.start);
        let (mut clean, mut done) = (Vec::with_capacity(text.len()), 0);
        for range in found {
            let (from, to) = (view.origin(range.start), view.origin(range.end));
            if from >= done {
                clean.extend_from_slice(&text[done..from]);
                clean.extend_from_slice(HIDDEN.as_bytes());
            }
            done = done.max(to);
        }
        clean.extend_from_slice(&text[done..]);
        Some(clean)
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.settings.iter().chain(&self.seen).flat_map(|credential| &credential.patterns)
    }
}

/// Returns the pieces in which a credential is searched.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let end = rest.floor_char_boundary(MAX_PIECE);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (piece.len() >= MIN_LENGTH).then_some(piece)
    })
}

impl Credential {
    fn new(text: &str) -> Credential {
        let plain = View::of(text.as_bytes()).text.into_owned();
        let mut all = BTreeSet::new();
        // A form encodes a space as `+`.
        let spaced = plain.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
        for bytes in [plain, spaced] {
            all.insert((HEXLOWER.encode(&bytes).into_bytes(), [false; 2]));
            all.insert((HEXUPPER.encode(&bytes).into_bytes(), [false; 2]));
            all.insert((bytes, [false; 2]));
        }
        for before in 0..3 {
            let padded = Zeroizing::new([&[0; 3][..before], text.as_bytes()].concat());
            // The digits that hold only bits of the credential.
            let (from, to) = ([0, 2, 3][before], padded.len() * 8 / 6);
            let shares = [before > 0, !padded.len().is_multiple_of(3)];
            for encoded in [BASE64.encode(&padded), BASE64URL.encode(&padded)] {
                all.insert((encoded.as_bytes()[from..to].to_vec(), shares));
            }
        }
        // A credential of backslashes alone leaves nothing to search for.
        let all = all.into_iter().filter(|(bytes, _)| bytes.len() >= MIN_LENGTH / 2);
        let pattern = |(bytes, shares)| Pattern { bytes: Zeroizing::new(bytes), shares };
        Credential { text: Secret::new(text), patterns: all.map(pattern).collect() }
    }
}

impl Pattern {
    /// Returns the range of a match, including the digits that share bits with it.
    fn range(&self, text: &[u8], at: usize) -> Range<usize> {
        let is_digit =
            |at: usize| text.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(b));
        let end = at + self.bytes.len();
        let before = usize::from(self.shares[0] && at > 0 && is_digit(at - 1));
        at - before..end + usize::from(self.shares[1] && is_digit(end))
    }
}

/// A decoded text with the original position of each byte.
struct View<'a> {
    text: Cow<'a, [u8]>,
    /// Original position of each byte; empty if nothing was escaped.
    origins: Vec<usize>,
    length: usize,
}

impl<'a> View<'a> {
    fn of(written: &'a [u8]) -> View<'a> {
        let mut view = View { text: Cow::Borrowed(written), origins: Vec::new(), length: written.len() };
        for _ in 0..MAX_LAYERS {
            if memchr2(b'\\', b'%', &view.text).is_none() || !view.unescape() {
                break;
            }
        }
        view
    }

    /// Decodes one layer of escapes. Returns true if there was one.
    fn unescape(&mut self) -> bool {
        let (mut text, mut origins) =
            (Vec::with_capacity(self.text.len()), Vec::with_capacity(self.text.len()));
        let mut at = 0;
        while at < self.text.len() {
            let begun = at;
            // An escape includes all backslashes before it: nested JSON has many.
            let run = self.text[at..].iter().take_while(|byte| **byte == b'\\').count();
            at += run;
            let (bytes, length) = match self.text.get(at) {
                Some(b'u') if run > 0 => unicode(&self.text[at..]).unwrap_or((vec![b'u'], 1)),
                Some(b'%') => percent(&self.text[at..]).map_or((vec![b'%'], 1), |byte| (vec![byte], 3)),
                Some(byte) => (vec![*byte], 1),
                None => (Vec::new(), 0),
            };
            origins.extend(bytes.iter().map(|_| self.origin(begun)));
            text.extend(bytes);
            at += length;
        }
        let changed = text.len() < self.text.len();
        (self.text, self.origins) = (Cow::Owned(text), origins);
        changed
    }

    /// Returns the original position of a byte.
    fn origin(&self, at: usize) -> usize {
        match &self.text {
            Cow::Borrowed(_) => at,
            Cow::Owned(_) => self.origins.get(at).copied().unwrap_or(self.length),
        }
    }
}

/// Decodes `uXXXX`, and the second half of a pair after it. Returns its bytes, and its encoded length.
fn unicode(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let unit = |text: &[u8]| {
        let digits =
            text.strip_prefix(b"u")?.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(text)?;
    let run = text[5..].iter().take_while(|byte| **byte == b'\\').count();
    let second = if run > 0 { unit(&text[5 + run..]) } else { None };
    let both: Vec<u16> = std::iter::once(first).chain(second).collect();
    let is_pair = second.is_some() && String::from_utf16(&both).is_ok_and(|text| text.chars().count() == 1);
    let (units, length) = if is_pair { (&both[..], 10 + run) } else { (&both[..1], 5) };
    Some((String::from_utf16_lossy(units).into_bytes(), length))
}

fn percent(text: &[u8]) -> Option<u8> {
    let digits = text.get(1..3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(known: &Known, text: &str) -> String {
        known.hide(text.as_bytes()).map_or(text.to_owned(), |clean| String::from_utf8(clean).unwrap())
    }

    #[test]
    fn c_4_a_known_credential_is_found_in_every_encoding() {
        const SECRET: &str = "s1+gäte 😀/secret\"q7";
        let mut known = Known::default();
        known.learn(SECRET);
        let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let json = serde_json::to_string(SECRET).unwrap();
        let json = json.trim_matches('"');
        let escaped: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let form = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
        let mut forms = vec![
            SECRET.to_owned(),
            percent(SECRET),
            percent(SECRET).to_lowercase(),
            percent(&percent(SECRET)),
            json.to_owned(),
            json.replace('/', "\\/"),
            serde_json::to_string(json).unwrap().trim_matches('"').to_owned(),
            escaped.clone(),
            escaped.to_uppercase().replace("\\U", "\\u"),
            escaped.replace('\\', "\\\\\\\\"),
            form,
            HEXLOWER.encode(SECRET.as_bytes()),
            HEXUPPER.encode(SECRET.as_bytes()),
        ];
        for before in ["", "a", "ab", "abc"] {
            let text = format!("{before}{SECRET}");
            for encoded in [BASE64.encode(text.as_bytes()), BASE64URL.encode(text.as_bytes())] {
                forms.extend([encoded.trim_end_matches('=').to_owned(), percent(&encoded), encoded]);
            }
        }
        for form in forms {
            let clean = hidden(&known, &format!("[{form}]"));
            let around = clean.replace(HIDDEN, "");
            assert!(clean.contains(HIDDEN) && around.len() <= 20, "{form}: {clean}");
        }
    }

    #[test]
    fn c_4_text_beside_a_credential_is_kept() {
        let mut known = Known::default();
        known.learn("its-very-own");
        known.learn("short");
        for (text, expected) in [
            (r#"a \"its-very-own\"\n"#, r#"a \"<hidden>\"\n"#),
            ("its-very-own its-very-own", "<hidden> <hidden>"),
            ("100% \\u00e9 short", "100% \\u00e9 short"),
            ("%69ts-very-own%21", "<hidden>%21"),
            ("", ""),
        ] {
            assert_eq!(hidden(&known, text), expected);
        }
    }

    #[test]
    fn c_4_the_parts_of_an_authorization_are_known() {
        let basic = BASE64.encode(b"user:hunter2-and-more");
        let signature = "0f".repeat(32);
        let upgrade = BASE64URL_NOPAD.encode(format!("gw:1:1000:{signature}").as_bytes());
        for (scheme, credential, part) in [
            (Some("Basic"), basic.as_str(), "hunter2-and-more"),
            (Some("Bearer"), upgrade.as_str(), signature.as_str()),
            (
                Some("Bearer"),
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJlLW9mLWl0",
                "c2lnbmF0dXJlLW9mLWl0",
            ),
            (None, "its-very-own", "its-very-own"),
        ] {
            let mut known = Known::default();
            known.learn_authorization(scheme, credential);
            for text in [credential, part] {
                assert_eq!(hidden(&known, &format!("<{text}>")), "<<hidden>>", "{text}");
            }
            assert!(!known.is_in(b"gw:1 user"));
        }
    }

    #[test]
    fn x_1_known_credentials_are_bounded() {
        let mut known = Known::default();
        known.add_permanent("of the settings");
        for number in 0..1000 {
            known.learn(&format!("credential {number}"));
        }
        assert_eq!((known.settings.len(), known.seen.len()), (1, MAX_LEARNED));
        assert!(known.is_in(b"of the settings") && known.is_in(b"credential 999"));
        known.learn(&"long ".repeat(10_000));
        assert!(known.seen.iter().all(|credential| credential.text.expose().len() <= MAX_PIECE));
        // Nested escapes cost only a few passes.
        assert!(!known.is_in("%25".repeat(500_000).as_bytes()));
    }
}
