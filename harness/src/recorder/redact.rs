//! Taking secrets out of what is recorded, and nothing else: each byte that is not of a secret stays as it was.
//!
//! The texts are JSON, and may be cut anywhere: a frame of one message may end in the next (W-1). So they are read
//! byte by byte, with what is to be known of the text before.
//!
//! What is recognised: the value of a secret's name, a pair (`["authorization", "…"]`), and an object whose `name` or
//! `key` calls its `value` or `values` a secret. Where the `value` comes first it is hidden only if it is a string, no
//! object stands between the two, and both come in one message: it is written by then.

use super::names::{MOST_NAME, is_secret, is_secret_parameter, speaks_of_secrets};
use super::words;
use data_encoding::{BASE64, BASE64_NOPAD};
use url::form_urlencoded;

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "<hidden>";
/// A name whose text is another text, in base64: the body of a forwarded request (P-1).
const BODY: &str = "bodyb64";

/// What the text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Frames, one a line: a line break begins anew, whatever the line before left open.
    Lines,
    /// One JSON value, over several lines perhaps.
    Document,
}

/// Reads a text and hides its secrets.
#[derive(Debug)]
pub(super) struct Redactor {
    form: Form,
    state: State,
    /// The last of `{ [ , :` that was read.
    mark: u8,
    /// The string that was read last, where it may still turn out to be a name, and the mark before it.
    last: Option<(Vec<u8>, u8)>,
    /// The value that comes next.
    next: Next,
    /// How deep it is within a secret that is an object or an array.
    depth: usize,
    /// The name of the value that was read last, as far as it matters.
    key: Key,
    /// A `name` of the present object calls its `value` a secret.
    names_secret: bool,
    /// Where the `value` of the present object stands in what is written, while its `name` may still come.
    value: Option<(usize, usize)>,
}

/// What a name is, beside a secret's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    /// It says what the `value` beside it is called.
    Name,
    Value,
    Other,
}

#[derive(Debug)]
enum State {
    Between,
    /// Within a string that stays.
    Text {
        escaped: bool,
        name: Vec<u8>,
        /// Where its inside begins in what is written.
        from: usize,
    },
    /// Within a secret string.
    Secret {
        escaped: bool,
    },
    /// Within a secret number.
    Number,
    /// Within an encoded body, which is kept back until its end.
    Body {
        escaped: bool,
        text: Vec<u8>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Plain,
    Secret,
    Body,
}

impl Redactor {
    pub(super) fn new(form: Form) -> Self {
        Redactor {
            form,
            state: State::Between,
            mark: 0,
            last: None,
            next: Next::Plain,
            depth: 0,
            key: Key::Other,
            names_secret: false,
            value: None,
        }
    }

    /// The next piece of the text, without its secrets.
    pub(super) fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        self.value = None;
        if let State::Text { from, .. } = &mut self.state {
            *from = 0;
        }
        for byte in piece {
            self.byte(*byte, &mut out);
        }
        // The rest of a body comes with another message: what has come cannot be judged by itself.
        if matches!(self.state, State::Body { .. }) {
            out.extend_from_slice(HIDDEN.as_bytes());
            self.state = State::Secret { escaped: false };
        }
        out
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte == b'\n' && self.form == Form::Lines {
            *self = Redactor::new(self.form);
            return out.push(byte);
        }
        match &mut self.state {
            State::Between => self.between(byte, out),
            State::Number if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => {}
            State::Number => {
                self.state = State::Between;
                self.between(byte, out);
            }
            State::Text { escaped, name, from } => {
                out.push(byte);
                if ends(byte, escaped) {
                    let (name, inside) = (std::mem::take(name), (*from, out.len() - 1));
                    match self.key {
                        Key::Name if self.mark == b':' => {
                            self.names_secret = next(&name) == Next::Secret;
                            if let Some((from, to)) = self.value.take().filter(|_| self.names_secret) {
                                out.splice(from..to, HIDDEN.bytes());
                            }
                        }
                        Key::Value if self.mark == b':' => self.value = Some(inside),
                        Key::Name | Key::Value | Key::Other => {}
                    }
                    self.last = (name.len() <= MOST_NAME).then_some((name, self.mark));
                    self.state = State::Between;
                } else if name.len() <= MOST_NAME {
                    name.push(byte);
                }
            }
            State::Secret { escaped } => {
                if ends(byte, escaped) {
                    out.push(byte);
                    self.state = State::Between;
                }
            }
            State::Body { escaped, text } => {
                if ends(byte, escaped) {
                    let text = std::mem::take(text);
                    out.extend_from_slice(body(&text).as_deref().unwrap_or(&text));
                    out.push(byte);
                    self.state = State::Between;
                } else {
                    text.push(byte);
                }
            }
        }
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b'"' => {
                out.push(byte);
                let hidden = self.depth > 0 || self.next == Next::Secret;
                self.state = if hidden {
                    out.extend_from_slice(HIDDEN.as_bytes());
                    State::Secret { escaped: false }
                } else if self.next == Next::Body {
                    State::Body { escaped: false, text: Vec::new() }
                } else {
                    State::Text { escaped: false, name: Vec::new(), from: out.len() }
                };
                self.next = Next::Plain;
                return;
            }
            b'-' | b'0'..=b'9' if self.depth > 0 || self.next == Next::Secret => {
                out.extend_from_slice(format!("\"{HIDDEN}\"").as_bytes());
                (self.state, self.next) = (State::Number, Next::Plain);
                return;
            }
            b'{' | b'[' => {
                if self.depth > 0 || self.next == Next::Secret {
                    self.depth += 1;
                }
                self.next = Next::Plain;
                self.names_secret &= byte == b'[';
                self.value = self.value.filter(|_| byte == b'[');
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.names_secret &= byte == b']';
                self.value = self.value.filter(|_| byte == b']');
            }
            b':' => {
                let name = self.last.as_ref().map_or(&[][..], |(name, _)| name);
                let is_one_of = |names: [&[u8]; 2]| names.iter().any(|one| name.eq_ignore_ascii_case(one));
                self.key = if is_one_of([b"name", b"key"]) {
                    Key::Name
                } else if is_one_of([b"value", b"values"]) {
                    Key::Value
                } else {
                    Key::Other
                };
                // A header as an object: `{"name":"Authorization","value":"…"}`.
                let is_value = self.names_secret && self.key == Key::Value;
                self.next = if is_value { Next::Secret } else { next(name) };
            }
            // A pair: `["authorization", "…"]`, as forwards have their headers (P-1).
            b',' => {
                self.next = match &self.last {
                    Some((name, b'[')) if next(name) == Next::Secret => Next::Secret,
                    Some(_) | None => Next::Plain,
                };
            }
            _ => return out.push(byte),
        }
        (self.mark, self.last) = (byte, None);
        out.push(byte);
    }
}

/// Whether the byte ends a string.
fn ends(byte: u8, escaped: &mut bool) -> bool {
    let is_end = byte == b'"' && !*escaped;
    *escaped = byte == b'\\' && !*escaped;
    is_end
}

/// What follows a name.
fn next(name: &[u8]) -> Next {
    let name = unescaped(name).unwrap_or_default();
    if name.eq_ignore_ascii_case(BODY) {
        Next::Body
    } else if is_secret(&name) {
        Next::Secret
    } else {
        Next::Plain
    }
}

/// The text of a JSON string's inside.
fn unescaped(inside: &[u8]) -> Option<String> {
    serde_json::from_slice(&[b"\"", inside, b"\""].concat()).ok()
}

/// An encoded body without its secrets; `None` where there are none.
fn body(encoded: &[u8]) -> Option<Vec<u8>> {
    let encoded = unescaped(encoded)?;
    let decoded =
        BASE64.decode(encoded.as_bytes()).or_else(|_| BASE64_NOPAD.decode(encoded.as_bytes())).ok()?;
    // A line break behind a form is none of it.
    let (inside, end) = decoded.split_at(decoded.trim_ascii_end().len());
    let clean = if decoded.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first)) {
        clean_text(document(&decoded).unwrap_or_else(|| decoded.clone()))
    } else if is_form(inside) {
        form(inside).map_or_else(|| decoded.clone(), |clean| [&clean, end].concat())
    } else if speaks_of_secrets(&decoded) {
        // Multipart, XML, anything: where the secret begins and ends nobody knows.
        HIDDEN.into()
    } else {
        clean_text(decoded.clone())
    };
    (clean != decoded).then(|| BASE64.encode(&clean).into_bytes())
}

/// What is text without the credentials within it.
fn clean_text(text: Vec<u8>) -> Vec<u8> {
    String::from_utf8(text).map_or_else(|error| error.into_bytes(), |text| words::clean(text).into_bytes())
}

/// Whether it may be a form: one word, with a name and a value.
fn is_form(text: &[u8]) -> bool {
    text.contains(&b'=') && text.iter().all(u8::is_ascii_graphic) && !text.starts_with(b"<")
}

/// One JSON value without its secrets; `None` where there are none.
pub(super) fn document(text: &[u8]) -> Option<Vec<u8>> {
    text.trim_ascii_start().first().filter(|first| b"{[".contains(first))?;
    let clean = Redactor::new(Form::Document).pass(text);
    (clean != text).then_some(clean)
}

/// A form (`token=…&payload={…}`) without its secrets; `None` where there are none.
fn form(text: &[u8]) -> Option<Vec<u8>> {
    let mut changed = false;
    let mut clean = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(text) {
        let hidden = if is_secret_parameter(&name) {
            Some(HIDDEN.to_owned())
        } else {
            let document =
                document(value.as_bytes()).map(|value| String::from_utf8_lossy(&value).into_owned());
            let clean = words::clean(document.unwrap_or_else(|| value.clone().into_owned()));
            (clean != value).then_some(clean)
        };
        changed |= hidden.is_some();
        clean.append_pair(&name, hidden.as_deref().unwrap_or(&value));
    }
    changed.then(|| clean.finish().into_bytes())
}

/// A path with its query's names and none of its values.
pub(super) fn path(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN}"),
        // A value without a name, for all that can be known.
        None if pair.is_empty() => String::new(),
        None => HIDDEN.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(form: Form, pieces: &[&str]) -> Vec<String> {
        let mut redactor = Redactor::new(form);
        pieces.iter().map(|piece| String::from_utf8(redactor.pass(piece.as_bytes())).unwrap()).collect()
    }

    #[test]
    fn c_4_secrets_are_hidden_and_nothing_else_changes() {
        for (text, expected) in [
            (r#"{"type":"x","token":"abc","n":1}"#, r#"{"type":"x","token":"<hidden>","n":1}"#),
            (r#"{ "Secret" : "a\"b\\" , "text":"token" }"#, r#"{ "Secret" : "<hidden>" , "text":"token" }"#),
            (r#"{"\u0074oken":"abc"}"#, r#"{"\u0074oken":"<hidden>"}"#),
            (r#"{"token":null,"secretIssued":false}"#, r#"{"token":null,"secretIssued":false}"#),
            (r#"{"token":-12.5e3,"a":2}"#, r#"{"token":"<hidden>","a":2}"#),
            (
                r#"{"secret":{"v":["x",1]},"a":["y",1]}"#,
                r#"{"secret":{"<hidden>":["<hidden>","<hidden>"]},"a":["y",1]}"#,
            ),
            (
                r#"{"headers":[["Authorization","Bearer x"],["content-type","a"]]}"#,
                r#"{"headers":[["Authorization","<hidden>"],["content-type","a"]]}"#,
            ),
            (
                r#"[{"name":"Authorization","value":"Basic x"},{"name":"accept","value":"a"}]"#,
                r#"[{"name":"Authorization","value":"<hidden>"},{"name":"accept","value":"a"}]"#,
            ),
            (
                r#"{"name":"token","n":{"value":"a"},"value":"b"}"#,
                r#"{"name":"token","n":{"value":"a"},"value":"b"}"#,
            ),
            (
                r#"{"name":"Authorization","values":["X",1],"n":"a"}"#,
                r#"{"name":"Authorization","values":["<hidden>","<hidden>"],"n":"a"}"#,
            ),
            (r#"{"Key":"Cookie","Value":"X"}"#, r#"{"Key":"Cookie","Value":"<hidden>"}"#),
            (r#"{"value":"a","name":"accept"}"#, r#"{"value":"a","name":"accept"}"#),
            (r#"[{"value":"a"},{"name":"token"}]"#, r#"[{"value":"a"},{"name":"token"}]"#),
            (r#"["a","token","b"]"#, r#"["a","token","b"]"#),
            (
                r#"{"text":"say \"token\": \"x\"","kind":"token"}"#,
                r#"{"text":"say \"token\": \"x\"","kind":"token"}"#,
            ),
            ("{\"token\":\n{\"a\":\"b\"}\n", "{\"token\":\n{\"a\":\"b\"}\n"),
            ("{\"token\":\"abc\n{\"a\":\"b\"}\n", "{\"token\":\"<hidden>\n{\"a\":\"b\"}\n"),
            ("", ""),
            ("no json at all: é", "no json at all: é"),
        ] {
            assert_eq!(redacted(Form::Lines, &[text]), [expected], "{text}");
            // However it is cut, nothing of it shows.
            let whole = text.as_bytes();
            let mut redactor = Redactor::new(Form::Lines);
            let cut: Vec<u8> = whole.iter().flat_map(|byte| redactor.pass(&[*byte])).collect();
            assert_eq!(String::from_utf8(cut).unwrap(), expected);
        }
        let pretty = ["{\n  \"token\":\n    \"abc\"\n}"];
        assert_eq!(redacted(Form::Document, &pretty), ["{\n  \"token\":\n    \"<hidden>\"\n}"]);
        let pieces = [r#"{"to"#, r#"ken":"ab"#, r#"cd"#, r#"ef","a":"b"}"#];
        assert_eq!(redacted(Form::Lines, &pieces), [r#"{"to"#, r#"ken":"<hidden>"#, "", r#"","a":"b"}"#]);
    }

    #[test]
    fn c_4_a_value_that_stands_before_its_name_is_hidden() {
        let check = |pieces: &[&str], expected: &[&str]| assert_eq!(redacted(Form::Lines, pieces), expected);
        check(
            &[r#"[{"value":"a\"X","name":"Authorization"},{"value":"a","name":"accept"}]"#],
            &[r#"[{"value":"<hidden>","name":"Authorization"},{"value":"a","name":"accept"}]"#],
        );
        check(
            &[r#"{"value":"X","n":[1],"key":"cookie"}"#],
            &[r#"{"value":"<hidden>","n":[1],"key":"cookie"}"#],
        );
        // Of one that is cut what is written already stays.
        check(
            &[r#"{"value":"a"#, r#"X","name":"token"}"#],
            &[r#"{"value":"a"#, r#"<hidden>","name":"token"}"#],
        );
        check(&[r#"{"value":"a","#, r#""name":"token"}"#], &[r#"{"value":"a","#, r#""name":"token"}"#]);
    }

    #[test]
    fn c_4_a_forwarded_body_is_looked_into() {
        let frame = |body: &str| {
            format!(r#"{{"forward":{{"bodyB64":"{}","path":"/x"}}}}"#, BASE64.encode(body.as_bytes()))
        };
        for (body, expected) in [
            (r#"{"type":2,"token":"abc"}"#, r#"{"type":2,"token":"<hidden>"}"#),
            ("token=abc&text=a+b", "token=%3Chidden%3E&text=a+b"),
            (
                "payload=%7B%22token%22%3A%22abc%22%7D&x=1",
                "payload=%7B%22token%22%3A%22%3Chidden%3E%22%7D&x=1",
            ),
            ("text=a%20b", "text=a%20b"),
            ("grant_type=authorization_code&code=X", "grant_type=authorization_code&code=%3Chidden%3E"),
            ("sig=X&x=1", "sig=%3Chidden%3E&x=1"),
            ("key=X", "key=%3Chidden%3E"),
            ("x=1&pwd=X\n", "x=1&pwd=%3Chidden%3E\n"),
            ("--b\r\nContent-Disposition: form-data; name=\"pwd\"\r\n\r\nabc\r\n--b--", "<hidden>"),
            ("--b\r\nContent-Disposition: form-data; name=\"passphrase\"\r\n\r\nabc\r\n--b--", "<hidden>"),
            ("<Credentials>X</Credentials>", "<hidden>"),
            ("<xml><response_url>https://x</response_url></xml>", "<hidden>"),
            ("see https://user:X@host/ please", "see https://<hidden>@host/ please"),
            ("text=a\n", "text=a\n"),
            ("text=https%3A%2F%2Fx%3Fsig%3Dabc", "text=https%3A%2F%2Fx%3Fsig%3D%3Chidden%3E"),
            (r#"{"url":"https://x?token=abc"}"#, r#"{"url":"https://x?token=<hidden>"}"#),
            ("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n--b--", "<hidden>"),
            ("<xml><Token>abc</Token></xml>", "<hidden>"),
            ("<xml><Text>abc</Text></xml>", "<xml><Text>abc</Text></xml>"),
            (r#"{"type":2}"#, r#"{"type":2}"#),
        ] {
            assert_eq!(redacted(Form::Lines, &[&frame(body)]), [frame(expected)], "{body}");
        }
        // One that comes in two messages cannot be looked into.
        let whole = frame(r#"{"type":2,"token":"abc"}"#);
        let (left, right) = whole.split_at(40);
        let pieces = redacted(Form::Lines, &[left, right]);
        assert_eq!(pieces.concat(), r#"{"forward":{"bodyB64":"<hidden>","path":"/x"}}"#);
        let broken = r#"{"bodyB64":"***"}"#;
        assert_eq!(redacted(Form::Lines, &[broken]), [broken]);
    }

    #[test]
    fn c_4_a_query_keeps_its_names() {
        for (text, expected) in [
            ("/relay", "/relay"),
            ("/relay?token=a&x=b", "/relay?token=<hidden>&x=<hidden>"),
            ("/relay?abc", "/relay?<hidden>"),
            ("/relay?", "/relay?"),
        ] {
            assert_eq!(path(text), expected);
        }
    }
}
