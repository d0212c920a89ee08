//! Takes credentials out of what is recorded (C-4): the values of the names in `fields`, wherever the structure of a text
//! says that they are values, and every credential that is known, in any encoding. Nothing else changes, but for bodies
//! that have no structure to read: their length and hash take their place.

mod fields;
mod json;
mod known;

pub(super) use json::Progress;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use fields::{is_secret, is_secret_parameter};
use known::Known;
use relayline_core::secret::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::ops::Range;
use url::form_urlencoded;

/// Text that stands in the place of a credential.
pub(super) const HIDDEN: &str = "<hidden>";
/// Texts within texts that are read: JSON in a string of JSON, in a field of a form, in a body.
const MOST_NESTED: usize = 8;

/// A part of a text, and what stands in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) with: Vec<u8>,
}

/// Redacts texts, and keeps in mind which credentials are known.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    known: Known,
}

impl Redactor {
    /// Creates a redactor that knows these credentials.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Redactor {
        let mut redactor = Redactor::default();
        secrets.into_iter().for_each(|secret| redactor.known.keep(secret.expose()));
        redactor
    }

    /// Learns the credential of an `Authorization` header. Returns the header as it is recorded, and the credential.
    pub(super) fn authorization<'a>(&mut self, value: &'a str) -> (String, &'a str) {
        let (scheme, credential) = fields::authorization(value);
        self.known.see_authorization(scheme, credential);
        (scheme.map_or(HIDDEN.to_owned(), |scheme| format!("{scheme} {HIDDEN}")), credential)
    }

    /// Learns the credentials that an answer issues.
    pub(super) fn issued(&mut self, answer: &str) {
        if let Ok(answer) = serde_json::from_str(answer) {
            self.learn(&answer, false);
        }
    }

    fn learn(&mut self, value: &Value, is_issued: bool) {
        match value {
            Value::String(text) if is_issued => self.known.see(text),
            Value::Array(items) => items.iter().for_each(|item| self.learn(item, is_issued)),
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| self.learn(value, is_issued || is_secret(name)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Returns the edits of a line of frames, whole or cut, in order.
    pub(super) fn line(&self, line: &[u8]) -> Vec<Edit> {
        json::edits(self, line, 0)
    }

    /// Returns the value of an upgrade's header as it is recorded.
    pub(super) fn header(&self, name: &str, value: &str) -> String {
        if fields::is_plain_header(name) { self.text(value) } else { HIDDEN.to_owned() }
    }

    /// Returns a text of a peer without the credentials that are known.
    pub(super) fn text(&self, text: &str) -> String {
        let clean = self.known.hide(text.as_bytes());
        clean.map_or_else(|| text.to_owned(), |clean| String::from_utf8_lossy(&clean).into_owned())
    }

    /// Returns the target of a request: its path, and of its query the names alone.
    pub(super) fn target(&self, target: &str) -> String {
        // First of all, since a credential may hold what divides a target.
        let target = self.text(target);
        let Some((path, query)) = target.split_once('?') else { return target };
        let hide = |pair: &str| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            // A value without a name, for all that can be known.
            None if pair.is_empty() => String::new(),
            None => HIDDEN.to_owned(),
        };
        format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
    }

    /// Returns the body of an answer.
    pub(super) fn body(&self, body: &[u8]) -> String {
        let clean = self.nested_body(body, 0);
        clean.map_or_else(
            || String::from_utf8_lossy(body).into_owned(),
            |clean| String::from_utf8_lossy(&clean).into_owned(),
        )
    }

    /// Returns a body without its credentials; `None` where it has none.
    fn nested_body(&self, body: &[u8], nesting: usize) -> Option<Vec<u8>> {
        if body.is_empty() {
            return None;
        }
        if nesting < MOST_NESTED && json::is_container(body) {
            let edits = json::edits(self, body, nesting + 1);
            return (!edits.is_empty()).then(|| apply(body, &edits));
        }
        // A line break behind a form is none of it.
        let (inside, end) = body.split_at(body.trim_ascii_end().len());
        if nesting < MOST_NESTED && is_form(inside) {
            let known = self.known.hide(inside);
            let form = self.form(known.as_deref().unwrap_or(inside), nesting).or(known)?;
            return Some([self.known.hide(&form).as_deref().unwrap_or(&form), end].concat());
        }
        Some(
            format!("<{} bytes, SHA-256 {}>", body.len(), HEXLOWER.encode(&Sha256::digest(body)))
                .into_bytes(),
        )
    }

    /// Returns the body of a forwarded request, which is base64, without its credentials; `None` where it has none.
    fn encoded_body(&self, encoded: &str, nesting: usize) -> Option<String> {
        let decoded = BASE64.decode(encoded.as_bytes()).or_else(|_| BASE64_NOPAD.decode(encoded.as_bytes()));
        match decoded {
            Ok(decoded) => self.nested_body(&decoded, nesting).map(|clean| BASE64.encode(&clean)),
            // What takes its place is no base64 either (P-1).
            Err(_) => self
                .nested_body(encoded.as_bytes(), MOST_NESTED)
                .map(|hash| String::from_utf8_lossy(&hash).into_owned()),
        }
    }

    /// Returns a form without its credentials; `None` where it has none.
    fn form(&self, form: &[u8], nesting: usize) -> Option<Vec<u8>> {
        let mut changed = false;
        let mut clean = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(form) {
            let hidden = if is_secret_parameter(&name) {
                Some(HIDDEN.to_owned())
            } else {
                self.value(&value, nesting + 1)
            };
            changed |= hidden.is_some();
            clean.append_pair(&name, hidden.as_deref().unwrap_or(&value));
        }
        changed.then(|| clean.finish().into_bytes())
    }

    /// Returns a value that is itself JSON or a URL without its credentials; `None` where it has none.
    fn value(&self, text: &str, nesting: usize) -> Option<String> {
        if !json::is_container(text.as_bytes()) {
            // First of all, since a credential may hold what divides a URL.
            let known = self.text(text);
            return url(&known).or_else(|| (known != text).then_some(known));
        }
        if nesting >= MOST_NESTED {
            return Some(HIDDEN.to_owned());
        }
        let edits = json::edits(self, text.as_bytes(), nesting + 1);
        (!edits.is_empty()).then(|| String::from_utf8_lossy(&apply(text.as_bytes(), &edits)).into_owned())
    }
}

/// Returns a text with edits that are in order.
fn apply(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let (mut whole, mut done) = (Vec::with_capacity(text.len()), 0);
    for Edit { range, with } in edits {
        whole.extend_from_slice(&text[done..range.start]);
        whole.extend_from_slice(with);
        done = range.end;
    }
    whole.extend_from_slice(&text[done..]);
    whole
}

/// Returns whether a body may be a form: one word, with a name and a value.
fn is_form(text: &[u8]) -> bool {
    text.contains(&b'=') && text.iter().all(u8::is_ascii_graphic) && !text.starts_with(b"<")
}

/// Returns a URL, or a path, without the user-info, the token of a bot of Telegram and the parameters in it that are
/// credentials; `None` where it has none of them, and for every other text.
fn url(text: &str) -> Option<String> {
    let is_word = text.bytes().all(|byte| byte > b' ' && byte != 0x7F);
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, _)) if is_word && is_scheme(scheme) => text.split_at(scheme.len() + 3),
        _ if is_word && text.starts_with('/') => ("", text),
        _ => return None,
    };
    let mut clean = scheme.to_owned();
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    match authority.rsplit_once('@') {
        Some((_, host)) => clean.extend([HIDDEN, "@", host]),
        None => clean.push_str(authority),
    }
    for part in rest.split_inclusive(['/', '?', '&', '#', ';']) {
        let value = part.trim_end_matches(['/', '?', '&', '#', ';']);
        let kept = match (value.split_once('='), value.split_once(':')) {
            (Some((name, _)), _) if is_secret_parameter(&decoded(name)) => Some((name, "=")),
            (_, Some((bot, _))) if is_bot(bot) => Some((bot, ":")),
            _ => None,
        };
        match kept {
            Some((name, sign)) => clean.extend([name, sign, HIDDEN]),
            None => clean.push_str(value),
        }
        clean.push_str(&part[value.len()..]);
    }
    (clean != text).then_some(clean)
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Returns whether a segment of a path names a bot of Telegram: `bot123`.
fn is_bot(text: &str) -> bool {
    text.strip_prefix("bot")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The name of a parameter.
fn decoded(name: &str) -> String {
    form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;
