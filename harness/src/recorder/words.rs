//! Credentials within texts: parameters of URLs and forms, a URL's user-info, bearer tokens, what is called a secret,
//! JSON within JSON. What a text's own place says of it is `redact`'s; this looks at what it says.

use super::names::{MOST_NAME, is_secret};
use super::redact::HIDDEN;
use memchr::memmem;

/// Names of parameters that are secret in a query or a form, beside those that are so anywhere.
const PARAMETERS: [&str; 6] = ["key", "sig", "auth", "code", "xamzcredential", "xgoogcredential"];
/// A shorter word behind `Bearer` is a word.
const LEAST_BEARER: usize = 8;

/// Looks through a stream of texts, of which one may end in the middle of a credential.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The last text ended within one.
    is_open: bool,
    /// What the last text ended with, as far as it may begin a name.
    tail: Vec<u8>,
}

impl Words {
    /// The next text without its credentials.
    pub(super) fn pass(&mut self, text: String) -> String {
        let bytes = text.as_bytes();
        let mut hidden: Vec<(usize, usize)> = Vec::new();
        if self.is_open {
            hidden.push((0, value_end(bytes, 0)));
        }
        parameters(&self.tail, bytes, &mut hidden);
        user_info(bytes, &mut hidden);
        bearers(bytes, &mut hidden);
        labelled(bytes, &mut hidden);
        nested(bytes, &mut hidden);
        self.is_open = hidden.iter().any(|(_, to)| *to == bytes.len());
        hidden.retain(|(from, to)| from < to);
        hidden.sort_unstable();
        self.tail = name_before(&[], bytes, bytes.len());
        if hidden.is_empty() {
            return text;
        }
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for (from, to) in hidden {
            // All begin and end at ASCII, or where the text does.
            if from >= done {
                clean.push_str(&text[done..from]);
                clean.push_str(HIDDEN);
            }
            done = done.max(to);
        }
        clean.push_str(&text[done..]);
        clean
    }
}

/// A text by itself.
pub(super) fn clean(text: String) -> String {
    Words::default().pass(text)
}

/// Whether anything in it is called a secret: for what cannot be read, and so is hidden as a whole.
pub(super) fn speaks_of_secrets(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    ["token", "secret", "password", "passwd", "signature", "authorization", "bearer", "api_key", "apikey"]
        .iter()
        .any(|word| memmem::find(&lower, word.as_bytes()).is_some())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Where a value ends that begins there: at what no parameter holds as it is.
fn value_end(text: &[u8], from: usize) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"&;,\"'<>\\#(){}[]|".contains(byte);
    text[from..].iter().position(ends).map_or(text.len(), |at| from + at)
}

/// The name that ends there; it may have begun at the end of the text before.
fn name_before(tail: &[u8], text: &[u8], end: usize) -> Vec<u8> {
    let from = end.saturating_sub(MOST_NAME);
    let length = text[from..end].iter().rev().take_while(|byte| is_name(**byte)).count();
    let begun = if length == end { tail } else { &[] };
    [begun, &text[end - length..end]].concat()
}

/// `name=value`.
fn parameters(tail: &[u8], text: &[u8], hidden: &mut Vec<(usize, usize)>) {
    for equals in memchr::memchr_iter(b'=', text) {
        let name = name_before(tail, text, equals);
        let name = std::str::from_utf8(&name).unwrap_or_default();
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        if is_secret(name) || PARAMETERS.contains(&plain.as_str()) {
            hidden.push((equals + 1, value_end(text, equals + 1)));
        }
    }
}

/// `://user:password@`.
fn user_info(text: &[u8], hidden: &mut Vec<(usize, usize)>) {
    for scheme in memmem::find_iter(text, b"://") {
        let from = scheme + 3;
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\".contains(byte);
        let to = text[from..].iter().position(ends).map_or(text.len(), |at| from + at);
        if let Some(at) = text[from..to].iter().rposition(|byte| *byte == b'@') {
            hidden.push((from, from + at));
        }
    }
}

/// `Bearer credential`.
fn bearers(text: &[u8], hidden: &mut Vec<(usize, usize)>) {
    for rest in memmem::find_iter(text, b"earer ") {
        let is_word = rest > 0 && matches!(text[rest - 1], b'B' | b'b');
        let from = rest + b"earer ".len();
        let to = value_end(text, from);
        if is_word && (to - from >= LEAST_BEARER || to == text.len()) {
            hidden.push((from, to));
        }
    }
}

/// `name: value`, as people write it; and `/bot123:value`, as Telegram's URLs have their tokens.
fn labelled(text: &[u8], hidden: &mut Vec<(usize, usize)>) {
    for colon in memchr::memchr_iter(b':', text) {
        let name = name_before(&[], text, colon);
        let name = std::str::from_utf8(&name).unwrap_or_default();
        let is_bot = || {
            let number = name.strip_prefix("bot").unwrap_or_default();
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number && text[..colon - name.len()].last() == Some(&b'/')
        };
        let from = colon + 1 + usize::from(text.get(colon + 1) == Some(&b' '));
        if is_secret(name) {
            hidden.push((from, value_end(text, from)));
        } else if is_bot() {
            let to = text[from..].iter().position(|byte| *byte == b'/').map_or(usize::MAX, |at| from + at);
            hidden.push((from, value_end(text, from).min(to)));
        }
    }
}

/// `\"name\":\"value\"`: JSON that is a string of JSON.
fn nested(text: &[u8], hidden: &mut Vec<(usize, usize)>) {
    for end in memmem::find_iter(text, br#"\""#) {
        let behind = text[end + 2..].trim_ascii_start();
        let Some(behind) = behind.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else { continue };
        let Some(value) = behind.strip_prefix(br#"\""#) else { continue };
        let name = name_before(&[], text, end);
        if is_secret(std::str::from_utf8(&name).unwrap_or_default()) {
            let from = text.len() - value.len();
            hidden.push((from, memmem::find(value, br#"\""#).map_or(text.len(), |at| from + at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_speaks_of_secrets() {
        for (text, speaks) in [("<Token>x</Token>", true), ("name=\"password\"", true), ("<a>b</a>", false)] {
            assert_eq!(speaks_of_secrets(text.as_bytes()), speaks, "{text}");
        }
    }
}
