//! Redaction of credentials (C-4): values of the names in `fields`, wherever the structure of a text shows them, and
//! every known credential in any encoding. The rest is unchanged, except for bodies without a readable structure:
//! their length and hash replace them.
//!
//! On request it also redacts texts and ids: values that no list in `words` allows become filler or pseudonyms.

mod fields;
mod json;
mod known;
mod text;
mod upgrade;
mod words;

pub(super) use json::Progress;
pub(crate) use upgrade::hidden_upgrade;

use data_encoding::{BASE64, HEXLOWER};
use fields::{is_secret, is_secret_parameter};
use known::Known;
use relayline_core::passthrough::Forward;
use relayline_core::secret::Secret;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io;
use std::ops::Range;
use text::Pseudonyms;
use url::form_urlencoded;
use words::FieldClass;

/// Text that replaces a credential.
pub(super) const HIDDEN: &str = "<hidden>";
/// Maximum nesting of texts: JSON in a JSON string, in a field of a form, in a body.
const MAX_NESTING: usize = 8;

/// Maximum length of a line that a gateway reads by default (W-5).
const MAX_LINE_BYTES: usize = 1 << 20;

/// Maximum length of a number that is kept in redacted texts. A longer one may be personal.
const MAX_NUMBER_DIGITS: usize = 9;

/// A range of a text, and its replacement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) with: Vec<u8>,
}

/// Redactor with the known credentials.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    known: Known,
    /// Set if texts are redacted, too.
    pseudonyms: Option<Pseudonyms>,
}

impl Redactor {
    /// Creates a redactor with these known credentials.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Redactor {
        let mut redactor = Redactor::default();
        secrets.into_iter().for_each(|secret| redactor.known.add_permanent(secret.expose()));
        redactor
    }

    /// Enables redaction of texts and ids. Fails if the system has no randomness.
    pub(crate) fn redact_text(&mut self) -> io::Result<()> {
        self.pseudonyms = Some(Pseudonyms::new()?);
        Ok(())
    }

    /// Adds the credential of an `Authorization` header. Returns the redacted header, and the credential.
    pub(super) fn authorization<'a>(&mut self, value: &'a str) -> (String, &'a str) {
        let (scheme, credential) = fields::authorization(value);
        self.known.learn_authorization(scheme, credential);
        (scheme.map_or(HIDDEN.to_owned(), |scheme| format!("{scheme} {HIDDEN}")), credential)
    }

    /// Adds the credentials that a response issues.
    pub(super) fn issued(&mut self, answer: &str) {
        if let Ok(answer) = serde_json::from_str(answer) {
            self.learn(&answer, false);
        }
    }

    fn learn(&mut self, value: &Value, is_issued: bool) {
        match value {
            Value::String(text) if is_issued => self.known.learn(text),
            Value::Array(items) => items.iter().for_each(|item| self.learn(item, is_issued)),
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| self.learn(value, is_issued || is_secret(name)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Returns the edits of a line of frames, complete or not, in order.
    pub(super) fn line(&self, line: &[u8]) -> Vec<Edit> {
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        if self.pseudonyms.is_some() && line.len() > MAX_LINE_BYTES {
            // A gateway discards such a line without reading it (W-5).
            return vec![Edit { range: 0..end, with: vec![b'x'; end] }];
        }
        json::edits(self, line, 0)
    }

    /// Returns an upgrade's header for the recording.
    pub(super) fn header(&self, name: String, value: &str) -> (String, String) {
        let is_plain = fields::is_plain_header(&name);
        let name = if is_plain { name } else { self.name(&name) };
        let value = if is_plain { self.name(value) } else { HIDDEN.to_owned() };
        (name, value)
    }

    /// Returns a name of the protocol, or an id, for the recording.
    pub(super) fn name(&self, name: &str) -> String {
        self.shown(FieldClass::Name, name)
    }

    /// Returns the reason of a close for the recording.
    pub(super) fn reason(&self, reason: &str) -> String {
        self.shown(FieldClass::Error, reason)
    }

    /// Returns the value of a `Retry-After` for the recording.
    pub(super) fn retry_after(&self, text: &str) -> String {
        let is_date = httpdate::parse_http_date(text).is_ok();
        if is_date { text.to_owned() } else { self.shown(FieldClass::Number, text) }
    }

    fn shown(&self, class: FieldClass, text: &str) -> String {
        match &self.pseudonyms {
            Some(pseudonyms) => self.filled(pseudonyms, class, text),
            None => self.without_known(text),
        }
    }

    pub(super) fn without_known(&self, text: &str) -> String {
        let clean = self.known.hide(text.as_bytes());
        clean.map_or_else(|| text.to_owned(), |clean| String::from_utf8_lossy(&clean).into_owned())
    }

    /// Returns the replacement of a text, if texts are redacted.
    fn filled(&self, pseudonyms: &Pseudonyms, class: FieldClass, text: &str) -> String {
        let is_known = self.known.is_in(text.as_bytes());
        match class {
            FieldClass::Secret => HIDDEN.to_owned(),
            FieldClass::Name | FieldClass::Kind => pseudonyms.name(text),
            FieldClass::Number if text.len() <= MAX_NUMBER_DIGITS && is_number(text) && !is_known => {
                text.to_owned()
            }
            FieldClass::Command if text::is_command(text) && !is_known => text.to_owned(),
            FieldClass::Error => text::error(text),
            _ => text::filler(text, class == FieldClass::Message && !is_known),
        }
    }

    /// Returns the replacement of a number or an invalid value; `None` if it is kept.
    fn bare(&self, class: FieldClass, bare: &[u8]) -> Option<Vec<u8>> {
        let pseudonyms = self.pseudonyms.as_ref()?;
        let Ok(text) = std::str::from_utf8(bare) else { return Some(vec![0xFF; bare.len()]) };
        let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !is_number(text) {
            return Some(text::filler(text, false).into_bytes());
        }
        match class {
            FieldClass::Name if is_integer => Some(pseudonyms.name(text).into_bytes()),
            FieldClass::Name => Some(b"0.5".to_vec()),
            FieldClass::Kind | FieldClass::Number if text.len() <= MAX_NUMBER_DIGITS => None,
            _ => Some(b"0".to_vec()),
        }
    }

    /// Returns the target of a request: its path, and only the names of its query.
    pub(super) fn target(&self, target: &str) -> String {
        // Known credentials first, because one may contain a separator.
        let target = self.without_known(target);
        let Some((path, query)) = target.split_once('?') else { return self.name(&target) };
        let hide = |pair: &str| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            // A part without `=` may be a value without a name.
            None if pair.is_empty() => String::new(),
            None => HIDDEN.to_owned(),
        };
        self.name(&format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&")))
    }

    /// Returns the body of a response for the recording.
    pub(super) fn body(&self, body: &[u8]) -> String {
        let clean = self.nested_body(body, 0);
        clean.map_or_else(
            || String::from_utf8_lossy(body).into_owned(),
            |clean| String::from_utf8_lossy(&clean).into_owned(),
        )
    }

    /// Returns a body without its credentials; `None` if it has none.
    fn nested_body(&self, body: &[u8], nesting: usize) -> Option<Vec<u8>> {
        if body.is_empty() {
            return None;
        }
        if nesting < MAX_NESTING && json::is_container(body) {
            let edits = json::edits(self, body, nesting + 1);
            return (!edits.is_empty()).then(|| apply(body, &edits));
        }
        // A line break after a form is not part of it.
        let (inside, end) = body.split_at(body.trim_ascii_end().len());
        if nesting < MAX_NESTING && is_form(inside) {
            let known = self.known.hide(inside);
            let form = self.form(known.as_deref().unwrap_or(inside), nesting).or(known)?;
            return Some([self.known.hide(&form).as_deref().unwrap_or(&form), end].concat());
        }
        let digest = match &self.pseudonyms {
            Some(pseudonyms) => format!("pseudonym {}", pseudonyms.digest(body)),
            None => format!("SHA-256 {}", HEXLOWER.encode(&Sha256::digest(body))),
        };
        Some(format!("<{} bytes, {digest}>", body.len()).into_bytes())
    }

    /// Returns the base64 body of a forwarded request without its credentials; `None` if it has none.
    fn encoded_body(&self, encoded: &str, nesting: usize) -> Option<String> {
        // Decoded as a gateway does (P-1).
        let (forward, is_base64) = Forward::read(&json!({ "bodyB64": encoded }).to_string())?;
        if is_base64 {
            self.nested_body(&forward.body, nesting).map(|clean| BASE64.encode(&clean))
        } else {
            // The replacement is not valid base64, either.
            let hash = self.nested_body(encoded.as_bytes(), MAX_NESTING);
            hash.map(|hash| String::from_utf8_lossy(&hash).into_owned())
        }
    }

    /// Returns a form without its credentials; `None` if it has none.
    fn form(&self, form: &[u8], nesting: usize) -> Option<Vec<u8>> {
        let mut changed = false;
        let mut clean = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(form) {
            let (class, stays) = words::class(&name);
            let hidden = if is_secret_parameter(&name) {
                Some(HIDDEN.to_owned())
            } else {
                self.value(class, &value, nesting + 1)
            };
            let name = if stays { name } else { self.name(&name).into() };
            changed |= hidden.is_some() || self.pseudonyms.is_some();
            clean.append_pair(&name, hidden.as_deref().unwrap_or(&value));
        }
        changed.then(|| clean.finish().into_bytes())
    }

    /// Returns the replacement of a string; `None` if it is kept. A string with JSON or a URL is redacted inside.
    fn value(&self, class: FieldClass, text: &str, nesting: usize) -> Option<String> {
        if let Some(pseudonyms) = &self.pseudonyms {
            return Some(self.filled(pseudonyms, class, text));
        }
        if !json::is_container(text.as_bytes()) {
            // Known credentials first, because one may contain a separator.
            let known = self.without_known(text);
            return url(&known).or_else(|| (known != text).then_some(known));
        }
        if nesting >= MAX_NESTING {
            return Some(HIDDEN.to_owned());
        }
        let edits = json::edits(self, text.as_bytes(), nesting + 1);
        (!edits.is_empty()).then(|| String::from_utf8_lossy(&apply(text.as_bytes(), &edits)).into_owned())
    }
}

/// Returns a text with its edits applied, which must be in order.
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

/// Returns true if a body may be a form: a single word with a name and a value.
fn is_form(text: &[u8]) -> bool {
    text.contains(&b'=') && text.iter().all(u8::is_ascii_graphic) && !text.starts_with(b"<")
}

/// Returns a URL or a path without its credentials: user-info, Telegram bot tokens and secret parameters. Returns
/// `None` if it has none, or is another text.
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
    // A value may contain a path separator.
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, query) = rest.split_at(path_end);
    let parts = path.split_inclusive('/').chain(query.split_inclusive(['&', '#']));
    parts.for_each(|part| part_of_url(part, &mut clean));
    (clean != text).then_some(clean)
}

/// Appends a part of a path or a query, up to its first credential.
fn part_of_url(part: &str, clean: &mut String) {
    let inside = part.trim_end_matches(['/', '&', '#']);
    for piece in inside.split_inclusive(['?', ';']) {
        match (piece.split_once('='), piece.split_once(':')) {
            (Some((name, _)), _) if is_secret_parameter(&decoded(name)) => {
                clean.extend([name, "=", HIDDEN]);
                break;
            }
            (_, Some((bot, _))) if is_bot(bot) => {
                clean.extend([bot, ":", HIDDEN]);
                break;
            }
            _ => clean.push_str(piece),
        }
    }
    clean.push_str(&part[inside.len()..]);
}

/// Returns true if a text is a JSON number.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit())
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Returns true if a path segment names a Telegram bot: `bot123`.
fn is_bot(text: &str) -> bool {
    text.strip_prefix("bot")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns the decoded name of a parameter.
fn decoded(name: &str) -> String {
    form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;
