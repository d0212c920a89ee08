//! Envelope of everything in the store: a JSON array of the format's version and the value.

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use thiserror::Error;

/// Bytes that the store, its answers and the dispatcher share. It is cheap to clone. `Debug` prints the number of bytes
/// alone, since they contain texts of people.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(Arc<[u8]>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes.into())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.into())
    }
}

/// Version of the format that this release writes.
pub const FORMAT_VERSION: u32 = 1;

/// Error returned when something in the store cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A newer release wrote it.
    #[error("{place} has {found}, which a newer version of this program wrote: use that version")]
    Newer {
        /// Place in the store, for instance `record 7`.
        place: String,
        /// Kind or version that is not known.
        found: String,
    },
    /// It is damaged.
    #[error("{place} is damaged: {why}: restore the queue from a backup, or move it away")]
    Damaged {
        /// Place in the store, for instance `record 7`.
        place: String,
        /// Description of the damage.
        why: String,
    },
}

/// Writes a value with the version of the format.
pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    let mut bytes = Vec::with_capacity(64);
    // The values have string keys and no foreign serializer, so writing to memory does not fail.
    if serde_json::to_writer(&mut bytes, &(FORMAT_VERSION, value)).is_err() {
        bytes.clear();
    }
    bytes.into()
}

/// Writer of the values of which each entry has one, in the form that [`encode`] gives them. A serializer takes several
/// times as long.
pub(crate) struct Draft(Vec<u8>);

impl Draft {
    /// Begins the envelope.
    pub(crate) fn new() -> Draft {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(b'[');
        let mut draft = Draft(bytes);
        draft.number(FORMAT_VERSION.into()).raw(",");
        draft
    }

    /// Writes JSON as it is.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Draft {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    pub(crate) fn number(&mut self, mut number: u64) -> &mut Draft {
        let (mut digits, mut at) = ([b'0'; 20], 19);
        while let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
            at -= 1;
        }
        self.0.extend(digits.get(at..).into_iter().flatten());
        self
    }

    /// Writes bytes as a string of lowercase hexadecimal digits.
    pub(crate) fn hex(&mut self, bytes: &[u8; 16]) -> &mut Draft {
        let mut digits = [0; 32];
        HEXLOWER.encode_mut(bytes, &mut digits);
        self.0.push(b'"');
        self.0.extend_from_slice(&digits);
        self.0.push(b'"');
        self
    }

    /// Writes any value.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> &mut Draft {
        let before = self.0.len();
        // As in `encode`.
        if serde_json::to_writer(&mut self.0, value).is_err() {
            self.0.truncate(before);
        }
        self
    }

    /// Ends the envelope.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.0.push(b']');
        self.0.as_slice().into()
    }
}

/// Reads a value of one of these kinds. `place` says where it is.
pub(crate) fn decode<T: DeserializeOwned>(
    place: &str,
    bytes: &[u8],
    kinds: &[&str],
) -> Result<T, DecodeError> {
    let damaged =
        |error: serde_json::Error| DecodeError::Damaged { place: place.to_owned(), why: error.to_string() };
    let newer = |found: String| DecodeError::Newer { place: place.to_owned(), found };
    // The version comes first, so that the rest may have any form in later versions.
    let parts: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(damaged)?;
    let version: u32 =
        serde_json::from_str(parts.first().map_or("null", |raw| raw.get())).map_err(damaged)?;
    if version > FORMAT_VERSION {
        return Err(newer(format!("version {version} of the format")));
    }
    let value = parts.get(1).map_or("null", |raw| raw.get());
    serde_json::from_str(value).map_err(|error| match kind_of(value) {
        Some(kind) if !kinds.is_empty() && !kinds.contains(&kind.as_str()) => {
            newer(format!("the unknown kind {kind:?}"))
        }
        Some(_) | None => damaged(error),
    })
}

/// Returns the kind of an externally tagged value.
fn kind_of(value: &str) -> Option<String> {
    if let Ok(kind) = serde_json::from_str(value) {
        return Some(kind);
    }
    let fields: BTreeMap<String, IgnoredAny> = serde_json::from_str(value).ok()?;
    fields.into_keys().next()
}
