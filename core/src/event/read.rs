//! Reads events: the event and its source in one pass over the JSON, the rare nested fields in a second one.
//!
//! The reader finds the fields. The meaning of a value is decided on its raw text: a field of the wrong type loses only
//! itself, a number of any length keeps its digits, and a lone surrogate becomes U+FFFD.

use super::source::FALLBACKS;
use super::{CompactString, Event, PromptResponse, ReplyTo, Source};
use crate::json::{self, Fields, FromObject, Kind, Malformed, Raw};

/// Returns a string's text; empty for any other value.
pub(super) fn text<'a>(raw: impl Into<Raw<'a>>) -> CompactString {
    name(raw).unwrap_or_default()
}

/// Returns the text of a string that is not empty.
pub(super) fn name<'a>(raw: impl Into<Raw<'a>>) -> Option<CompactString> {
    let raw = raw.into();
    // Emptiness is checked on the raw text: a string that was just made is slow to inspect.
    (raw.kind() == Kind::String && !raw.is_empty()).then(|| json::compact(raw))
}

/// Returns the text of a string or an integer (W-8); empty for any other value.
pub(super) fn id_or_empty<'a>(raw: impl Into<Raw<'a>>) -> CompactString {
    id(raw).unwrap_or_default()
}

/// Returns the text of a string that is not empty, or of an integer (W-8).
pub(super) fn id<'a>(raw: impl Into<Raw<'a>>) -> Option<CompactString> {
    let raw = raw.into();
    match raw.kind() {
        Kind::String if !raw.is_empty() => Some(json::compact(raw)),
        Kind::Integer => Some(raw.text().into()),
        _ => None,
    }
}

/// Returns the kind of a name; the default for any other value.
pub(super) fn kind<T: Default + for<'a> From<&'a str>>(raw: Raw<'_>) -> T {
    match raw.plain() {
        Some(name) if !name.is_empty() => T::from(name),
        Some(_) => T::default(),
        None => name(raw).map_or_else(T::default, |name| T::from(&name)),
    }
}

pub(super) fn flag(raw: Raw<'_>) -> Option<bool> {
    match raw.kind() {
        Kind::Bool(value) => Some(value),
        _ => None,
    }
}

pub(super) fn is_set(raw: Raw<'_>) -> bool {
    flag(raw) == Some(true)
}

pub(super) fn size(raw: &str) -> Option<u64> {
    json::whole(raw).and_then(|size| u64::try_from(size).ok())
}

impl Event {
    /// Reads an `event` value. Returns `None` if it is not a JSON object.
    pub fn read(raw: &str) -> Option<Event> {
        json::peer_object(raw, &mut String::new())
    }
}

impl<'a> FromObject<'a> for Event {
    fn fill(&mut self, mut fields: Fields<'_, 'a>) -> Result<(), Malformed> {
        let (mut nested, mut next) = ([None; NESTED.len()], 0);
        while let Some(name) = fields.next_name()? {
            if name == SOURCE {
                fields.object(&mut self.source)?;
                continue;
            }
            let value = fields.value()?;
            match json::position(Self::FIELDS, &name, &mut next) {
                Some(field) => self.set(field, value),
                None => json::keep(&mut nested, &NESTED, &name, value.text()),
            }
        }
        self.source.assume_platform();
        let [reply_to, response, media_urls, media, context] = nested;
        self.reply_to = reply_to.and_then(part::<ReplyTo>).filter(|reply| *reply != ReplyTo::default());
        self.prompt_response = response.and_then(prompt_response);
        self.media = super::media::read(media_urls, media);
        self.context = context.and_then(super::context::render);
        Ok(())
    }
}

/// Name of the field that is read as it arrives.
pub(super) const SOURCE: &str = "source";
/// Names of the fields that hold several values and are rare.
pub(super) const NESTED: [&str; 5] = ["reply_to", "prompt_response", "media_urls", "media", "context"];

/// Reads a part that is known to be JSON.
fn part<'a, T: FromObject<'a>>(raw: &'a str) -> Option<T> {
    json::read_object(raw).ok()?
}

impl<'a> FromObject<'a> for Source {
    fn fill(&mut self, mut fields: Fields<'_, 'a>) -> Result<(), Malformed> {
        let (mut fallbacks, mut next) = ([None; FALLBACKS.len()], 0);
        while let Some(name) = fields.next_name()? {
            let value = fields.value()?;
            match json::position(Self::FIELDS, &name, &mut next) {
                Some(field) => self.set(field, value),
                None => json::keep(&mut fallbacks, &FALLBACKS, &name, value.text()),
            }
        }
        self.fall_back(fallbacks);
        Ok(())
    }
}

impl<'a> FromObject<'a> for ReplyTo {
    fn fill(&mut self, mut fields: Fields<'_, 'a>) -> Result<(), Malformed> {
        let mut next = 0;
        while let Some(name) = fields.next_name()? {
            let value = fields.value()?;
            if let Some(field) = json::position(Self::FIELDS, &name, &mut next) {
                self.set(field, value);
            }
        }
        Ok(())
    }
}

/// Names of the fields of an answer to a prompt.
pub(super) const PROMPT_RESPONSE: [&str; 4] = ["prompt_id", "option_id", "label", "prompt_message_id"];

/// Reads an answer to a prompt; `None` without both ids (E-8).
fn prompt_response(raw: &str) -> Option<PromptResponse> {
    let fields = json::fields(raw, &PROMPT_RESPONSE)?;
    let [prompt_id, option_id, label, prompt_message_id] = fields;
    let is_string = |raw: &&str| json::kind(raw) == Kind::String;
    Some(PromptResponse {
        prompt_id: text(prompt_id.filter(is_string)?),
        option_id: text(option_id.filter(is_string)?),
        label: label.and_then(name),
        prompt_message_id: prompt_message_id.and_then(id),
    })
}
