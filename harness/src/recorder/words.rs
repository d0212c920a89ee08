//! Credentials within texts: parameters of URLs and forms, a URL's user-info, bearer tokens, what is called a secret,
//! headers, JSON within JSON. What a text's own place says of it is `redact`'s; this looks at what it says.

mod ending;
mod plain;

use super::names::{MOST_NAME, is_header, is_secret, is_secret_parameter, is_short};
use super::redact::HIDDEN;
use ending::{Ending, opens};
use memchr::memmem;
use plain::{Plain, backslashes};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A shorter word behind `Bearer` is a word.
const LEAST_BEARER: usize = 8;

/// Looks through a stream of texts, of which one may end in the middle of a credential.
#[derive(Default)]
pub(super) struct Words {
    /// The last text ended within one.
    open: Option<Ending>,
    /// What the texts ended with, as far as it may call what comes a credential.
    tail: Vec<u8>,
}

/// The tail may be of a credential.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").finish_non_exhaustive()
    }
}

/// A credential that was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    from: usize,
    to: usize,
    ending: Ending,
    /// The quotes that a number gets, for JSON to stay JSON, have so many backslashes.
    quotes: Option<usize>,
}

impl Found {
    fn new(text: &[u8], from: usize, ending: Ending) -> Self {
        Found { from, to: ending.of(text, from), ending, quotes: None }
    }
}

impl Words {
    /// The next text without its credentials.
    pub(super) fn pass(&mut self, text: String) -> String {
        let begun = self.tail.len();
        let whole: Cow<'_, [u8]> =
            if begun == 0 { text.as_bytes().into() } else { [&self.tail, text.as_bytes()].concat().into() };
        let plain = Plain::of(&whole);
        let seen = plain.text();
        let mut found = Vec::new();
        if let Some(ending) = self.open {
            found.push(Found::new(seen, plain.at(begun), ending));
        }
        named(seen, &mut found);
        user_info(seen, &mut found);
        bearers(seen, &mut found);
        nested(seen, &mut found);
        self.open = found.iter().filter(|found| found.to == seen.len()).map(|found| found.ending).max();
        found.sort_unstable();
        let clean = without(&text, begun, &plain, &found);
        let line = memchr::memrchr(b'\n', &whole).map_or(0, |at| at + 1);
        let tail = whole[line.max(whole.len().saturating_sub(MOST_NAME))..].to_vec();
        self.tail = tail;
        clean.unwrap_or(text)
    }
}

/// The text without what was found, which begins `begun` bytes before it; `None` where that is the text as it is.
fn without(text: &str, begun: usize, plain: &Plain<'_>, found: &[Found]) -> Option<String> {
    let mut clean = String::new();
    let mut done = 0;
    for found in found {
        // All begin and end at ASCII, or where the text does. What was written before cannot be hidden any more.
        let from = plain.origin(found.from).saturating_sub(begun);
        let to = plain.origin(found.to).saturating_sub(begun);
        if from >= done && from < to {
            let quote = found.quotes.map(|depth| "\\".repeat(depth) + "\"").unwrap_or_default();
            for part in [&text[done..from], &quote, HIDDEN, &quote] {
                clean.push_str(part);
            }
        }
        done = if from < to { done.max(to) } else { done };
    }
    (done > 0).then(|| clean + &text[done..])
}

/// A text by itself.
pub(super) fn clean(text: String) -> String {
    Words::default().pass(text)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_space(byte: &&u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The name that ends there.
fn name_before(text: &[u8], end: usize) -> &str {
    let text = &text[end.saturating_sub(MOST_NAME)..end];
    let length = text.iter().rev().take_while(|byte| is_name(**byte)).count();
    std::str::from_utf8(&text[text.len() - length..]).unwrap_or_default()
}

/// `name=value` and `name: value`, with spaces or without; and `/bot123:value`, as Telegram's URLs have their tokens.
fn named(text: &[u8], found: &mut Vec<Found>) {
    // How far the last of each kind goes. One more within it is hidden with it, and nobody's text is read that often.
    let mut ends = BTreeMap::new();
    for sign in memchr::memchr2_iter(b':', b'=', text) {
        let end = sign - text[..sign].iter().rev().take_while(is_space).count();
        let name = name_before(text, end);
        if name.is_empty() {
            continue;
        }
        // Also `==`, and ` =>`; in HTML a `>` directly behind a name's `=` is another thing.
        let is_value = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'=') && (*byte != b'>' || end == sign);
        let from = text[sign + 1..].iter().position(is_value).map_or(text.len(), |at| sign + 1 + at);
        let is_tight = end == sign && from == sign + 1;
        let is_query = is_tight && text[sign] == b'=';
        let ending = if is_query && is_secret_parameter(name) {
            if is_header(name) { Ending::Query } else { Ending::Parameter }
        } else if is_tight && is_bot(&text[..end], name) {
            Ending::Segment
        } else if is_query || !is_secret(name) || (is_tight && is_short(name)) {
            continue;
        } else if is_header(name) {
            Ending::Line
        } else {
            Ending::Label
        };
        let (from, ending) = match opens(text, from) {
            Some(depth) if !is_header(name) => (from + depth + 1, Ending::Quoted(depth)),
            Some(_) | None => (from, ending),
        };
        if ends.get(&ending).is_none_or(|end| from >= *end) {
            let new = Found::new(text, from, ending);
            ends.insert(ending, new.to);
            found.push(new);
        }
    }
}

/// Whether a text that ends in this name ends in `/bot123`.
fn is_bot(text: &[u8], name: &str) -> bool {
    let number = name.strip_prefix("bot").unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && text[..text.len() - name.len()].ends_with(b"/")
}

/// `://user:password@`.
fn user_info(text: &[u8], found: &mut Vec<Found>) {
    for scheme in memmem::find_iter(text, b"://") {
        let begun = Found::new(text, scheme + 3, Ending::Authority);
        let inside = &text[begun.from..begun.to];
        // Without its `@` it may still be one that goes on in the next text, unless it has a port.
        let is_password = |colon: usize| inside[colon + 1..].iter().any(|byte| !byte.is_ascii_digit());
        let is_cut = || begun.to == text.len() && memchr::memchr(b':', inside).is_some_and(is_password);
        if text.get(begun.to) == Some(&b'@') || is_cut() {
            found.push(begun);
        }
    }
}

/// `Bearer credential`.
fn bearers(text: &[u8], found: &mut Vec<Found>) {
    for space in memchr::memchr_iter(b' ', text) {
        if !text[..space].last_chunk::<6>().is_some_and(|word| word.eq_ignore_ascii_case(b"bearer")) {
            continue;
        }
        let from = space + text[space..].iter().take_while(is_space).count();
        let bearer = Found::new(text, from, Ending::Parameter);
        if bearer.to - from >= LEAST_BEARER || bearer.to == text.len() {
            found.push(bearer);
        }
    }
}

/// `\"name\":\"value\"`: JSON that is a string of JSON.
fn nested(text: &[u8], found: &mut Vec<Found>) {
    for last in memmem::find_iter(text, br#"\""#) {
        let behind = text[last + 2..].trim_ascii_start();
        let Some(value) = behind.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { continue };
        let depth = text[..=last].iter().rev().take_while(|byte| **byte == b'\\').count();
        if !is_secret(name_before(text, last + 1 - depth)) {
            continue;
        }
        let from = text.len() - value.len();
        match value.get(backslashes(value)) {
            Some(b'"') if backslashes(value) == depth => {
                found.push(Found::new(text, from + depth + 1, Ending::Quoted(depth)));
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = Found::new(text, from, Ending::Number);
                found.push(Found { quotes: Some(depth), ..number });
            }
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    #[test]
    fn c_4_credentials_within_texts_are_hidden_and_nothing_else_changes() {
        for (text, expected) in [
            ("/hook?access_token=a%2Fb&x=1", "/hook?access_token=<hidden>&x=1"),
            ("/relay;token=abc/x y", "/relay;token=<hidden> y"),
            (
                r#"{"u":"https://cdn/x?X-Amz-Signature=ab&v=2"}"#,
                r#"{"u":"https://cdn/x?X-Amz-Signature=<hidden>&v=2"}"#,
            ),
            ("https://maps/?key=AIza&q=é", "https://maps/?key=<hidden>&q=é"),
            ("token=", "token="),
            ("a=b c==d tokens=5 keyboard=1", "a=b c==d tokens=5 keyboard=1"),
            ("http://u:p%40w@x/y@z", "http://<hidden>@x/y@z"),
            ("https://x/@me and a@b.c", "https://x/@me and a@b.c"),
            (r#"{"n":"Bearer abc.def-123"}"#, r#"{"n":"Bearer <hidden>"}"#),
            ("the bearer of news", "the bearer of news"),
            (
                r#"{"raw":"{\"token\": \"a b\",\"n\":\"c\"}"}"#,
                r#"{"raw":"{\"token\": \"<hidden>\",\"n\":\"c\"}"}"#,
            ),
            (r#"{"text":"say \"hi\": \"x\""}"#, r#"{"text":"say \"hi\": \"x\""}"#),
            ("my password: hunter2, and", "my password: <hidden>, and"),
            ("token:abc", "token:<hidden>"),
            (r#"{"token":1,"url":"https://x:1/y"}"#, r#"{"token":1,"url":"https://x:1/y"}"#),
            ("https://api/bot123:AA-b_c/sendMessage", "https://api/bot123:<hidden>/sendMessage"),
            ("robot123:x /bot:y /bots1:z", "robot123:x /bot:y /bots1:z"),
            ("password=a&password=b", "password=<hidden>&password=<hidden>"),
            ("", ""),
        ] {
            assert_eq!(clean(text.to_owned()), expected, "{text}");
        }
    }

    #[test]
    fn c_4_one_that_goes_on_in_the_next_text_is_hidden_there_too() {
        let mut words = Words::default();
        let pieces = [r#"{"u":"https://x?token=ab"#, "cd", r#"ef&v=1"}"#, "ab"];
        let clean: Vec<String> = pieces.into_iter().map(|piece| words.pass(piece.to_owned())).collect();
        assert_eq!(clean, [r#"{"u":"https://x?token=<hidden>"#, "<hidden>", r#"<hidden>&v=1"}"#, "ab"]);
        // So is one whose name begins in the text before, however it is cut.
        let whole = "https://x?a=1&access_token=abc&v=1";
        for at in 0..whole.len() {
            let mut words = Words::default();
            let clean = words.pass(whole[..at].to_owned()) + &words.pass(whole[at..].to_owned());
            assert_eq!(
                clean.replace("<hidden><hidden>", "<hidden>"),
                whole.replace("abc", "<hidden>"),
                "{at}"
            );
        }
    }

    /// Its secrets are written with an X.
    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text.to_owned()), expected, "{text}");
        // However it is cut, nothing of it shows.
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            let mut words = Words::default();
            let pieces = [words.pass(text[..at].to_owned()), words.pass(text[at..].to_owned())];
            assert!(!pieces.concat().contains('X'), "{pieces:?}");
        }
    }

    #[test]
    fn c_4_nothing_of_a_credential_stays_behind_what_is_hidden() {
        // Headers, to the end of their line or of the string they are in.
        check("Authorization: Basic dXNl=\nHost: x", "Authorization: <hidden>\nHost: x");
        check("Authorization: Bot abc", "Authorization: <hidden>");
        check("proxy-authorization:Bot abc\r\nx", "proxy-authorization:<hidden>\r\nx");
        check("Cookie: a=b; session=X", "Cookie: <hidden>");
        check("Set-Cookie: a=b; session=X", "Set-Cookie: <hidden>");
        check(r#"{"t":"Cookie: a=b; c=X\nhi","n":1}"#, r#"{"t":"Cookie: <hidden>\nhi","n":1}"#);
        check(r#"{"t":"Authorization: Basic ab=","n":1}"#, r#"{"t":"Authorization: <hidden>","n":1}"#);
        check(
            r#"{"t":"Authorization: Digest a=\"b\", c=\"X\"","n":1}"#,
            r#"{"t":"Authorization: <hidden>","n":1}"#,
        );
        check(
            r#"{"t":"{\"h\":\"Cookie: a; b=X\",\"n\":1}"}"#,
            r#"{"t":"{\"h\":\"Cookie: <hidden>\",\"n\":1}"}"#,
        );
        check("?authorization=Basic X&x=1", "?authorization=<hidden>&x=1");
        // Spaces.
        check("password:  X", "password:  <hidden>");
        check("password = X and", "password = <hidden> and");
        check("password\t:\tX", "password\t:\t<hidden>");
        check("password == X; token => X", "password == <hidden>; token => <hidden>");
        // Signs and escapes within it.
        check("password:pa(X", "password:<hidden>");
        check("password: a&b;c,d'e<f#X, and", "password: <hidden>, and");
        check("<b>password: X</b>", "<b>password: <hidden></b>");
        check(r"password: a\\X\n", r"password: <hidden>\n");
        check(r"password: a\u00e9X\n", r"password: <hidden>\n");
        check("(https://x?token=a(b)X) b", "(https://x?token=<hidden>) b");
        check("<https://x?token=X|label>", "<https://x?token=<hidden>|label>");
        check(r#"password: \"a X\", and"#, r#"password: \"<hidden>\", and"#);
        check(r#"password="a X" and"#, r#"password="<hidden>" and"#);
        check(r#"{"text":"password: ","n":"x"}"#, r#"{"text":"password: ","n":"x"}"#);
        // However it is written.
        check("BEARER abcdefgh", "BEARER <hidden>");
        check("bEaReR  abcdefgh", "bEaReR  <hidden>");
        // JSON within JSON, and within that.
        check(r#"{"raw":"{\"password\":\"ab\\\"X\"}"}"#, r#"{"raw":"{\"password\":\"<hidden>\"}"}"#);
        check(
            r#"{"raw":"{\"password\":\"ab\\\\\",\"n\":1}"}"#,
            r#"{"raw":"{\"password\":\"<hidden>\",\"n\":1}"}"#,
        );
        check(r#"{"raw":"{\"token\":12345678}"}"#, r#"{"raw":"{\"token\":\"<hidden>\"}"}"#);
        check(r#"{"raw":"{\"token\": -1.5,\"n\":1}"}"#, r#"{"raw":"{\"token\": \"<hidden>\",\"n\":1}"}"#);
        check(
            r#""{\"r\":\"{\\\"token\\\":\\\"X\\\"}\"}""#,
            r#""{\"r\":\"{\\\"token\\\":\\\"<hidden>\\\"}\"}""#,
        );
        // What ids and words look like stays.
        for text in [
            r#"{"chat_id":"auth:42","id":"otp:1"}"#,
            "https://x:443/a, key : value, code = 5, 12:30",
            r#"{"raw":"{\"token\":null,\"tokens\":5}"}"#,
        ] {
            check(text, text);
        }
        check("auth: X, otp = X", "auth: <hidden>, otp = <hidden>");
    }

    #[test]
    fn c_4_escapes_of_json_hide_no_credential() {
        check(r"https://x?a=1\u0026key=X\u0026b=2", r"https://x?a=1\u0026key=<hidden>\u0026b=2");
        check(r"https://x?key\u003dX", r"https://x?key\u003d<hidden>");
        check(r"token=ab\/X", "token=<hidden>");
        check(r#"{"u":"token=ab\/X","n":1}"#, r#"{"u":"token=<hidden>","n":1}"#);
        check(r"https:\/\/user:X@x\/y", r"https:\/\/<hidden>@x\/y");
        check(r"https:\\\/\\\/user:X@x", r"https:\\\/\\\/<hidden>@x");
        check(r"https:\/\/api\/bot12:X\/send", r"https:\/\/api\/bot12:<hidden>\/send");
        check(r"password: a\u0026X é", r"password: <hidden> é");
    }

    #[test]
    fn c_4_one_that_is_cut_is_hidden_as_far_as_it_is_known() {
        let check = |pieces: &[&str], expected: &str| {
            let mut words = Words::default();
            let clean: Vec<String> = pieces.iter().map(|piece| words.pass((*piece).to_owned())).collect();
            assert_eq!(clean.join("|"), expected, "{pieces:?}");
        };
        check(&["https://x?to", "k", "en=X"], "https://x?to|k|en=<hidden>");
        check(&["tok", "", "en=X"], "tok||en=<hidden>");
        check(&["my pass", "word: X"], "my pass|word: <hidden>");
        check(&["password", ": X"], "password|: <hidden>");
        check(&["password:", " X"], "password:| <hidden>");
        check(&["password:", " ", " X y"], "password:| | <hidden> y");
        check(&["Authorization: Bea", "rer X"], "Authorization: <hidden>|<hidden>");
        check(&["Authorization: Basic ", "a; X", "X\nb"], "Authorization: <hidden>|<hidden>|<hidden>\nb");
        check(&["https://user:X1", "X2@host"], "https://<hidden>|<hidden>@host");
        check(&["https://us", "er:X@host"], "https://us|<hidden>@host");
        check(&["https://host:80", "80/x@y"], "https://host:80|80/x@y");
        check(&[r"https:\", r"/\/user:X@host"], r"https:\|/\/<hidden>@host");
        check(&[r"?a=1\u00", "26key=X"], r"?a=1\u00|26key=<hidden>");
        check(&[r#"{\"tok"#, r#"en\":\"a b"#, r#"c\\\"X\"}"#], r#"{\"tok|en\":\"<hidden>|<hidden>\"}"#);
        check(&["bear", "er abc", "defgh"], "bear|er <hidden>|<hidden>");
        // A line that ends says nothing of the next.
        check(&["{\"a\":\"token\"}\n", "=b"], "{\"a\":\"token\"}\n|=b");
        check(&["password:\n", "b"], "password:\n|b");
        // One that is longer than what is kept in mind.
        let long = "X".repeat(99);
        for name in ["password: ", "?token=", "Cookie: ", "https://u:"] {
            check(
                &[&format!("{name}{long}"), &long, "X@ y"],
                &match name {
                    "Cookie: " => format!("{name}<hidden>|<hidden>|<hidden>"),
                    "https://u:" => "https://<hidden>|<hidden>|<hidden>@ y".to_owned(),
                    _ => format!("{name}<hidden>|<hidden>|<hidden> y"),
                },
            );
        }
    }

    /// A peer's text costs no more than its length, and not its square: nothing is read to its end for each name in it.
    #[test]
    fn x_1_a_long_text_of_nothing_but_names_is_read_once() {
        for word in [
            "token=",
            "cookie:",
            "password: ",
            "x:token=\\\"",
            "https://a:b",
            "Bearer ",
            "\\\"token\\\":",
            "a:b@://",
            "token=\"",
            "\\",
            "= ",
        ] {
            assert!(clean(word.repeat(100_000)).len() <= 1_800_000, "{word}");
        }
    }

    proptest! {
        /// Whatever a text is made of and wherever it is cut, it is read, and a plain one stays as it is.
        #[test]
        fn c_4_no_text_is_too_odd(pieces in vec(vec(select(WORDS), 0..12), 1..4)) {
            let mut words = Words::default();
            for piece in pieces {
                let text = piece.concat();
                let clean = words.pass(text.clone());
                prop_assert!(clean.contains(HIDDEN) || clean == text, "{text:?} became {clean:?}");
            }
        }
    }

    const WORDS: &[&str] = &[
        "token",
        "to",
        "ken",
        "cookie",
        "Authorization",
        "Bearer ",
        "abcdefgh",
        "é",
        "日",
        "=",
        ":",
        " ",
        "\"",
        "\\",
        "\\\"",
        "\\\\\\\"",
        "\\u0026",
        "\\u00",
        "26",
        "\\/",
        "/",
        "://",
        "@",
        "&",
        ";",
        ",",
        "<",
        ">",
        "</",
        "/bot1",
        "\n",
        "\r",
        "1",
        "-",
        "#",
        "{",
        "}",
    ];
}
