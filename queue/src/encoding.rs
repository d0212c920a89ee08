//! Envelope of everything in the store: a JSON array of the format's version and the value.

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
