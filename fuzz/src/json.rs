//! JSON read the plain way: serde_json's own maps and strings, field by field. What the core reads in one pass with
//! care for lone surrogates and duplicates is compared with this, on whatever both can read.

use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An object's fields; of duplicates the last (W-9).
pub(crate) struct Object(BTreeMap<String, Box<RawValue>>);

/// Whether serde_json reads all of it, down to each string: it takes no lone surrogate, and no number beyond its own.
pub(crate) fn is_plain(raw: &str) -> bool {
    serde_json::from_str::<Value>(raw).is_ok()
}

impl Object {
    pub(crate) fn read(raw: &str) -> Option<Object> {
        serde_json::from_str(raw).ok().map(Object)
    }

    fn empty() -> Object {
        Object(BTreeMap::new())
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// The object in a field; one without fields where there is none.
    pub(crate) fn object(&self, name: &str) -> Object {
        self.raw(name).and_then(Object::read).unwrap_or_else(Object::empty)
    }

    pub(crate) fn items(&self, name: &str) -> Vec<Box<RawValue>> {
        self.raw(name).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(text)
    }

    /// A string, or an integer as it is written (W-8).
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        self.text(name).or_else(|| self.raw(name).filter(|raw| is_integer(raw)).map(str::to_owned))
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.raw(name).and_then(|raw| serde_json::from_str(raw).ok())
    }
}

pub(crate) fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

pub(crate) fn is_integer(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A text where an empty one counts as absent.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
